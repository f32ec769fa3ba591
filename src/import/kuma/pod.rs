//! A pod to a policy: injected, or annotated.

use serde_json::Value;

use super::finding::{Reason, Remark, Report};
use super::option::{Opt, Options};
use super::proxy::{self, Host, note_overridden};
use super::{Context, Imported, Refused};
use crate::import::json::wrong_type;
use crate::import::manifest::{self, Mesh, Pod, Vocabulary};
use crate::import::{Given, NoRules, Sort};
use crate::policy::Kind;
use crate::span::Sources;

/// The whole configuration, as the injector writes it.
const CONFIG: &str = "traffic.kuma.io/transparent-proxy-config";
/// Asks for the proxy, or says no to it.
const INJECTION: &str = "kuma.io/sidecar-injection";
/// The mesh of a pod.
const MESH_LABEL: &str = "kuma.io/mesh";
/// Turns inbound capture off.
const GATEWAY: &str = "kuma.io/gateway";
/// The port of the proxy for kubelet's probes; 0 is none.
const PROBES: &str = "kuma.io/application-probe-proxy-port";
/// That port without an annotation (Kuma 348b6528, `pkg/config/plugins/runtime/k8s/config.go`).
const PROBES_PORT: &str = "9001";

/// Annotations that change what the control plane configures.
const ANNOTATIONS: &[(&str, Opt)] = &[
    ("traffic.kuma.io/exclude-inbound-ports", Opt::InboundExcludes),
    ("traffic.kuma.io/exclude-outbound-ports", Opt::OutboundExcludes),
    ("traffic.kuma.io/exclude-outbound-ports-for-uids", Opt::OutboundUsers),
    ("traffic.kuma.io/exclude-inbound-ips", Opt::InboundIps),
    ("traffic.kuma.io/exclude-outbound-ips", Opt::OutboundIps),
    ("traffic.kuma.io/drop-invalid-packets", Opt::DropInvalid),
    ("traffic.kuma.io/iptables-logs", Opt::Log),
    ("kuma.io/transparent-proxying-ip-family-mode", Opt::Family),
];

/// Kuma's names in manifests (348b6528, `pkg/plugins/runtime/k8s/metadata/annotations.go`).
const MESH: Mesh = Mesh {
    name: super::NAME,
    title: "Kuma",
    vocabulary: Vocabulary {
        domains: &["kuma.io"],
        annotations: &[
            CONFIG,
            GATEWAY,
            PROBES,
            "traffic.kuma.io/exclude-inbound-ports",
            "traffic.kuma.io/exclude-outbound-ports",
            "traffic.kuma.io/exclude-outbound-ports-for-uids",
            "traffic.kuma.io/exclude-inbound-ips",
            "traffic.kuma.io/exclude-outbound-ips",
            "traffic.kuma.io/drop-invalid-packets",
            "traffic.kuma.io/iptables-logs",
            "kuma.io/transparent-proxying-ip-family-mode",
        ],
        labels: &[INJECTION, MESH_LABEL],
        namespace: &[INJECTION, MESH_LABEL],
        namespace_sort: None,
        inherited: Some(Sort::Label),
        unrelated: &[
            "kuma.io/sidecar-injected",
            "kuma.io/sidecar-uid",
            "kuma.io/sidecar-env-vars",
            "kuma.io/sidecar-drain-time",
            "kuma.io/sidecar-proxy-config",
            "kuma.io/container-patches",
            "kuma.io/transparent-proxying",
            "kuma.io/transparent-proxying-inbound-port",
            "kuma.io/transparent-proxying-outbound-port",
            "kuma.io/transparent-proxying-experimental-engine",
            "kuma.io/transparent-proxying-reachable-services",
            "kuma.io/transparent-proxying-reachable-backends",
            "kuma.io/builtindns",
            "kuma.io/builtindnsport",
            "kuma.io/envoy-admin-port",
            "kuma.io/virtual-probes",
            "kuma.io/virtual-probes-port",
            "kuma.io/init-first",
            "kuma.io/ignore",
            "kuma.io/direct-access-services",
            "kuma.io/service-account-token-volume",
            "kuma.io/tags",
            "kuma.io/zone",
            "kuma.io/wait-for-dataplane-ready",
            "kuma.io/xds-transport-protocol-variant",
            "kuma.io/system-namespace",
            "prometheus.metrics.kuma.io/",
            "metrics.kuma.io/",
            "k8s.kuma.io/",
            "ingress.kubernetes.kuma.io/",
            "traffic.kuma.io/transparent-proxy-configmap-name",
        ],
    },
    kinds: &[],
    keys: &[],
};

/// The pods of a manifest in YAML or JSON: of several documents, of lists, and of anything with a
/// pod template, such as a Deployment.
///
/// A pod that Kuma injected carries its whole configuration in an annotation, to which arguments of
/// its `kuma-init` container are added. Any other is what the injector would make of its
/// annotations under the control plane's defaults.
///
/// # Errors
///
/// If the text is not YAML or has no pod, and everything that Kuma refuses, or that a policy cannot
/// say.
pub fn pods(text: &str, context: &Context) -> Result<Imported, Refused> {
    manifests(&Sources::of("manifest", text), context)
}

/// As [`pods`], of several files together. Findings say where in `sources` they are.
///
/// # Errors
///
/// As for [`pods`].
pub fn manifests(sources: &Sources, context: &Context) -> Result<Imported, Refused> {
    manifest::policies_of_each(sources, &MESH, context, read)
}

/// The policy of a pod, if Kuma makes rules for it.
fn read(pod: &Pod<'_>, context: &Context, report: &mut Report) -> Result<Kind, NoRules> {
    if pod.is_on_host_network() {
        return Err(NoRules::HostNetwork);
    }
    let mut options = Options::default();
    let config = pod.annotations.get(CONFIG).copied().filter(|text| !text.trim().is_empty());
    let init = pod.container("kuma-init");
    let arguments = init.map(|container| manifest::arguments(container, report));
    if let Some(text) = config {
        injected(text, &mut options, report);
        for (name, _) in ANNOTATIONS {
            if let Some(value) = pod.annotations.get(name) {
                note_overridden(&Given::field(*name, *value), CONFIG, report);
            }
        }
    } else if arguments.is_none() {
        annotated(pod, &mut options, report)?;
    }
    if let Some(arguments) = arguments {
        options.read_arguments(&arguments, config.is_some(), report);
    }
    let addresses = pod.addresses();
    let has_ipv6 = addresses.iter().any(std::net::IpAddr::is_ipv6);
    let host = super::host(context);
    let host = Host {
        ipv6: host.ipv6.or((!addresses.is_empty()).then_some(has_ipv6)),
        servers: host.servers.or_else(|| pod.resolvers()),
        // Docker has its chain in containers of its own networks.
        docker_output: Some(false),
    };
    Ok(proxy::kuma(&options, &host, &context.users, report).into())
}

/// The configuration that the injector wrote.
fn injected(text: &str, options: &mut Options, report: &mut Report) {
    match manifest::values(text) {
        Err(why) => report.refuse(&Given::field(CONFIG, ""), why),
        Ok(documents) => match &documents[..] {
            [] | [Value::Null] => {}
            [Value::Object(config)] => options.read_config(config, report),
            [other, ..] => {
                report.refuse(&Given::field(CONFIG, ""), wrong_type(other, "an object"));
            }
        },
    }
}

/// What the injector would make of the pod (`pkg/transparentproxy/kubernetes`).
fn annotated(pod: &Pod<'_>, options: &mut Options, report: &mut Report) -> Result<(), NoRules> {
    let injection = pod.labels.get(INJECTION).copied();
    if matches!(injection, Some("disabled" | "false" | "no")) {
        return Err(NoRules::InjectionOff);
    }
    let is_known = |name: &str| {
        [GATEWAY, PROBES].contains(&name) || ANNOTATIONS.iter().any(|(known, _)| *known == name)
    };
    let asks = injection.is_some()
        || pod.labels.contains_key(MESH_LABEL)
        || pod.annotations.keys().any(|name| is_known(name));
    if !asks {
        return Err(NoRules::Unasked { mesh: "Kuma" });
    }
    report.remark(Remark::NotInjected);
    for (name, option) in ANNOTATIONS {
        let Some(value) = pod.annotations.get(name) else { continue };
        let given = Given::field(*name, *value);
        let items: Vec<Given> = match option {
            Opt::DropInvalid | Opt::Log => match switch(&given, false, report) {
                Some(on) => vec![Given { value: on.to_string(), ..given }],
                None => continue,
            },
            Opt::OutboundUsers => split(&given, ';'),
            Opt::InboundIps | Opt::OutboundIps => split(&given, ','),
            _ => vec![given],
        };
        options.set(*option, items, report);
    }
    let gateway = pod.annotations.get(GATEWAY).map(|value| Given::field(GATEWAY, *value));
    let is_gateway = gateway.as_ref().is_some_and(|given| {
        // `provided` and the like are gateways of another kind, for which Kuma reads a boolean too.
        switch(given, true, report) == Some(true)
    });
    if is_gateway {
        let given = gateway.into_iter().map(|given| Given { value: "false".to_owned(), ..given });
        options.set(Opt::Inbound, given.collect(), report);
        return Ok(());
    }
    let probes = pod.annotations.get(PROBES).copied().unwrap_or(PROBES_PORT);
    if probes != "0" {
        let mut excluded = options.all(Opt::InboundExcludes).to_vec();
        excluded.push(Given::field(PROBES, probes));
        options.set(Opt::InboundExcludes, excluded, report);
    }
    Ok(())
}

/// The items that are not empty.
fn split(given: &Given, by: char) -> Vec<Given> {
    let items = given.value.split(by).filter(|item| !item.is_empty() || by == ';');
    items.map(|item| Given { value: item.to_owned(), ..given.clone() }).collect()
}

/// A boolean as annotations have it.
fn switch(given: &Given, may_be_enabled: bool, report: &mut Report) -> Option<bool> {
    match given.value.as_str() {
        "true" | "yes" => Some(true),
        "false" | "no" => Some(false),
        "enabled" if may_be_enabled => Some(true),
        "disabled" if may_be_enabled => Some(false),
        _ => {
            report.refuse(given, Reason::NotAnnotatedBoolean);
            None
        }
    }
}
