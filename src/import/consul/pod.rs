//! A pod to a policy: with what the injector wrote, or by its annotations.

use serde_json::Value;

use super::fields::{Fields, Items};
use super::finding::{Remark, Report};
use super::{Context, Imported, NAME, Refused, meaning};
use crate::import::json::{unreadable, wrong_type};
use crate::import::manifest::{self, Mesh, Node, Pod, Vocabulary};
use crate::import::{GeneralReason, Given, NoRules, go};
use crate::policy::Kind;
use crate::span::Sources;

const CONFIG: &str = "consul.hashicorp.com/redirect-traffic-config";
const DUAL_STACK: &str = "consul.hashicorp.com/dual-stack";
const INJECT: &str = "consul.hashicorp.com/connect-inject";
const TRANSPARENT: &str = "consul.hashicorp.com/transparent-proxy";
const OVERWRITE_PROBES: &str = "consul.hashicorp.com/transparent-proxy-overwrite-probes";
const METRICS: &str = "consul.hashicorp.com/enable-metrics";
const SCRAPE_PORT: &str = "consul.hashicorp.com/prometheus-scrape-port";
const HEALTH_CHECK: &str = "consul.hashicorp.com/use-proxy-health-check";
const INBOUND_PORTS: &str = "consul.hashicorp.com/transparent-proxy-exclude-inbound-ports";
const OUTBOUND_PORTS: &str = "consul.hashicorp.com/transparent-proxy-exclude-outbound-ports";
const NETWORKS: &str = "consul.hashicorp.com/transparent-proxy-exclude-outbound-cidrs";
const USERS: &str = "consul.hashicorp.com/transparent-proxy-exclude-uids";

/// Annotations that list what is excluded.
const EXCLUDES: [&str; 4] = [INBOUND_PORTS, OUTBOUND_PORTS, NETWORKS, USERS];

/// The container of the proxy.
const PROXY: &str = "consul-dataplane";

/// Where the proxy answers probes of the first container instead, by the kind of probe.
const PROBES: [(&str, usize); 3] =
    [("livenessProbe", 20300), ("readinessProbe", 20400), ("startupProbe", 20500)];

/// Consul's names in manifests (consul-k8s, `control-plane/connect-inject/constants`).
const MESH: Mesh = Mesh {
    name: NAME,
    title: "Consul",
    vocabulary: Vocabulary {
        domains: &["consul.hashicorp.com"],
        annotations: &[
            CONFIG,
            DUAL_STACK,
            INJECT,
            TRANSPARENT,
            OVERWRITE_PROBES,
            METRICS,
            SCRAPE_PORT,
            HEALTH_CHECK,
            INBOUND_PORTS,
            OUTBOUND_PORTS,
            NETWORKS,
            USERS,
        ],
        labels: &[],
        namespace: &[TRANSPARENT],
        namespace_sort: None,
        inherited: None,
        unrelated: &[
            "consul.hashicorp.com/connect-inject-status",
            "consul.hashicorp.com/connect-service",
            "consul.hashicorp.com/connect-service-port",
            "consul.hashicorp.com/connect-service-protocol",
            "consul.hashicorp.com/connect-service-upstreams",
            "consul.hashicorp.com/connect-inject-mount-volume",
            "consul.hashicorp.com/connect-k8s-version",
            "consul.hashicorp.com/consul-envoy-proxy-version",
            "consul.hashicorp.com/consul-namespace",
            "consul.hashicorp.com/consul-sidecar-",
            "consul.hashicorp.com/sidecar-proxy-",
            "consul.hashicorp.com/enable-sidecar-proxy-lifecycle",
            "consul.hashicorp.com/enable-sidecar-proxy-lifecycle-shutdown-drain-listeners",
            "consul.hashicorp.com/enable-metrics-merging",
            "consul.hashicorp.com/merged-metrics-port",
            "consul.hashicorp.com/prometheus-",
            "consul.hashicorp.com/service-",
            "consul.hashicorp.com/envoy-extra-args",
            "consul.hashicorp.com/gateway-",
            "consul.hashicorp.com/mesh-gateway-",
            "consul.hashicorp.com/k8s-",
            "consul.hashicorp.com/transparent-proxy-status",
            "consul.hashicorp.com/proxy-config-map",
            "consul.hashicorp.com/original-pod",
            "consul.hashicorp.com/key-",
            "consul.hashicorp.com/api-gateway",
        ],
    },
    kinds: &[],
    keys: &[],
};

/// The pods of a manifest in YAML or JSON: of several documents, of lists, and of anything with a
/// pod template, such as a Deployment.
///
/// A pod with the annotation `consul.hashicorp.com/redirect-traffic-config` is what that says. One
/// that only asks for injection is what Consul's webhook would make of its other annotations, with
/// the defaults of its chart.
///
/// # Errors
///
/// If the text is not YAML or has no pod, and everything that Consul refuses, or that a policy
/// cannot say.
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

/// The policy of a pod, if Consul makes rules for it.
fn read(pod: &Pod<'_>, context: &Context, report: &mut Report) -> Result<Kind, NoRules> {
    if pod.is_on_host_network() {
        return Err(NoRules::HostNetwork);
    }
    let mut fields = if let Some(config) = pod.annotations.get(CONFIG) {
        for annotation in EXCLUDES {
            if let Some(value) = pod.annotations.get(annotation) {
                report.note(&Given::field(annotation, *value), Remark::InConfig);
            }
        }
        written(config, report)
    } else {
        injected(pod, report)?
    };
    fields.dual_stack = switch(pod, DUAL_STACK, false, report);
    Ok(Kind::from(meaning::consul(&fields, &context.users, report)))
}

/// What the injector wrote.
fn written(config: &str, report: &mut Report) -> Fields {
    match serde_json::from_str(config) {
        Ok(Value::Object(config)) => return Fields::read(&config, report),
        Ok(other) => {
            report.refuse(&Given::field(CONFIG, ""), wrong_type(&other, "an object"));
        }
        Err(error) => report.refuse(&Given::field(CONFIG, ""), unreadable(&error)),
    }
    Fields::default()
}

/// What Consul's webhook makes of the pod's annotations (consul-k8s 0a09c6f3,
/// `control-plane/connect-inject/webhook/redirect_traffic.go`), where its chart has its defaults.
fn injected(pod: &Pod<'_>, report: &mut Report) -> Result<Fields, NoRules> {
    let is_excluding = EXCLUDES.iter().any(|name| pod.annotations.contains_key(name));
    if !switch(pod, INJECT, is_excluding, report) {
        return Err(NoRules::Unasked { mesh: "Consul" });
    }
    if !switch(pod, TRANSPARENT, true, report) {
        return Err(NoRules::Otherwise { why: "its proxy is not transparent" });
    }
    report.remark(Remark::AsInjected);
    let mut ports = Vec::new();
    if switch(pod, METRICS, false, report) {
        ports.push((*pod.annotations.get(SCRAPE_PORT).unwrap_or(&"20200")).to_owned());
    }
    if switch(pod, HEALTH_CHECK, false, report) {
        ports.push("21000".to_owned());
    }
    if switch(pod, OVERWRITE_PROBES, true, report) {
        ports.extend(probes(pod));
    }
    let list = |name: &str, items: Vec<String>| Items {
        given: Given::field(name, items.join(",")),
        items,
    };
    let annotated = |annotation: &str| {
        let value = pod.annotations.get(annotation)?;
        Some(list(annotation, value.split(',').map(str::to_owned).collect()))
    };
    let own = |name, items: Vec<String>| Some(list(name, items)).filter(|it| !it.items.is_empty());
    Ok(Fields {
        user: Some(Given::field("ProxyUserID", "5995")),
        inbound_port: Some(Given::field("ProxyInboundPort", "20000")),
        exclude_inbound_ports: own("ExcludeInboundPorts", ports)
            .into_iter()
            .chain(annotated(INBOUND_PORTS))
            .collect(),
        exclude_outbound_ports: annotated(OUTBOUND_PORTS).into_iter().collect(),
        exclude_networks: annotated(NETWORKS).into_iter().collect(),
        exclude_users: own("ExcludeUIDs", vec!["5996".to_owned()])
            .into_iter()
            .chain(annotated(USERS))
            .collect(),
        ..Fields::default()
    })
}

/// Where the proxy answers the probes over HTTP of the pod's containers.
fn probes(pod: &Pod<'_>) -> Vec<String> {
    let workload = pod.main_containers().filter(|container| container["name"] != PROXY);
    let of = |(place, container): (usize, &Node)| {
        let probed = PROBES.iter().filter(|(probe, _)| container[*probe]["httpGet"].is_object());
        probed.map(|(_, first)| (first + place).to_string()).collect::<Vec<_>>()
    };
    workload.enumerate().flat_map(of).collect()
}

/// What a switch among the annotations says; `default` if it is not there.
fn switch(pod: &Pod<'_>, annotation: &str, default: bool, report: &mut Report) -> bool {
    let Some(value) = pod.annotations.get(annotation) else { return default };
    go::boolean(value).unwrap_or_else(|| {
        report.refuse(&Given::field(annotation, *value), GeneralReason::NotBoolean);
        default
    })
}
