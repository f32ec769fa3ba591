//! A pod to a policy: with the init container, or by its annotations.

use super::finding::{Reason, Remark, Report};
use super::meaning;
use super::option::{OPTIONS, Opt, Options};
use super::{Context, Imported, NAME, Refused};
use crate::import::manifest::{self, Mesh, Pod, Vocabulary};
use crate::import::{Given, NoRules};
use crate::policy::Kind;
use crate::span::Sources;

/// Sets up the rules.
const INIT: &str = "proxyinit";
/// Asks for the proxy, or says no to it.
const INJECTION: &str = "appmesh.k8s.aws/sidecarInjectorWebhook";
/// Leaves the rules to the CNI plugin.
const CNI: &str = "appmesh.k8s.aws/appmeshCNI";
/// Turns IPv6 off.
const IPV6: &str = "appmesh.k8s.aws/ipv6";

/// Annotations that the controller reads, or writes for its CNI plugin, and the options that they are.
const ANNOTATIONS: [(&str, Opt); 7] = [
    ("appmesh.k8s.aws/ignoredUID", Opt::User),
    ("appmesh.k8s.aws/ignoredGID", Opt::Group),
    ("appmesh.k8s.aws/ports", Opt::Ports),
    ("appmesh.k8s.aws/proxyIngressPort", Opt::InboundPort),
    ("appmesh.k8s.aws/proxyEgressPort", Opt::OutboundPort),
    ("appmesh.k8s.aws/egressIgnoredIPs", Opt::ExcludedAddresses),
    ("appmesh.k8s.aws/egressIgnoredPorts", Opt::ExcludedPorts),
];

/// App Mesh's names in manifests (aws-app-mesh-controller-for-k8s, `pkg/inject`).
const MESH: Mesh = Mesh {
    name: NAME,
    title: "App Mesh",
    vocabulary: Vocabulary {
        domains: &["appmesh.k8s.aws"],
        annotations: &[
            INJECTION,
            CNI,
            IPV6,
            "appmesh.k8s.aws/ignoredUID",
            "appmesh.k8s.aws/ignoredGID",
            "appmesh.k8s.aws/ports",
            "appmesh.k8s.aws/proxyIngressPort",
            "appmesh.k8s.aws/proxyEgressPort",
            "appmesh.k8s.aws/egressIgnoredIPs",
            "appmesh.k8s.aws/egressIgnoredPorts",
        ],
        labels: &[],
        namespace: &[INJECTION],
        namespace_sort: None,
        inherited: None,
        unrelated: &[
            "appmesh.k8s.aws/mesh",
            "appmesh.k8s.aws/virtualNode",
            "appmesh.k8s.aws/virtualGateway",
            "appmesh.k8s.aws/cpuRequest",
            "appmesh.k8s.aws/memoryRequest",
            "appmesh.k8s.aws/cpuLimit",
            "appmesh.k8s.aws/memoryLimit",
            "appmesh.k8s.aws/preview",
            "appmesh.k8s.aws/secretMounts",
            "appmesh.k8s.aws/sidecarEnv",
            "appmesh.k8s.aws/volumeMounts",
            "appmesh.k8s.aws/sds",
            "appmesh.k8s.aws/jaegerAgentAddress",
            "appmesh.k8s.aws/jaegerAgentPort",
            "appmesh.k8s.aws/xrayAgentConfigMountPath",
            "appmesh.k8s.aws/logLevel",
            "appmesh.k8s.aws/readinessProbe",
            "appmesh.k8s.aws/virtualGatewayImageOverride",
            "appmesh.k8s.aws/virtualGatewaySkipImageOverride",
        ],
    },
    kinds: &[],
    keys: &[],
};

/// The pods of a manifest in YAML or JSON: of several documents, of lists, and of anything with a
/// pod template, such as a Deployment.
///
/// A pod with a `proxyinit` container is what that container's variables say. One whose annotations the
/// controller wrote for its CNI plugin is what these say; any other is what the controller would make
/// of its annotations, with the defaults of its chart.
///
/// # Errors
///
/// If the text is not YAML or has no pod, and everything that App Mesh refuses, or that a policy
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

/// The policy of a pod, if App Mesh makes rules for it.
fn read(pod: &Pod<'_>, context: &Context, report: &mut Report) -> Result<Kind, NoRules> {
    if pod.is_on_host_network() {
        return Err(NoRules::HostNetwork);
    }
    let options = if let Some(init) = pod.container(INIT) {
        let sets_option = |name: &str| OPTIONS.iter().any(|spec| spec.variable == name);
        manifest::note_absent(init, sets_option, report);
        Options::of_environment(&manifest::environment(init), report)
    } else {
        annotated(pod, context, report)?
    };
    Ok(Kind::from(meaning::appmesh(&options, context, report)))
}

/// What annotations say, or the controller makes of them (aws-app-mesh-controller-for-k8s,
/// `pkg/inject/proxy.go`).
fn annotated(pod: &Pod<'_>, context: &Context, report: &mut Report) -> Result<Options, NoRules> {
    let mut options = Options::default();
    for (name, option) in ANNOTATIONS {
        if let Some(value) = pod.annotations.get(name) {
            options.set(option, Given::field(name, *value));
        }
    }
    let is_written = options.get(Opt::User).is_some() && options.get(Opt::OutboundPort).is_some();
    if pod.annotations.get(INJECTION) == Some(&"disabled") {
        return Err(NoRules::InjectionOff);
    }
    if is_written {
        report.remark(Remark::AsCniPlugin);
        return Ok(options);
    }
    let asks = options.get(Opt::Ports).or(options.get(Opt::ExcludedPorts)).is_some();
    if !asks && !pod.annotations.contains_key(INJECTION) && !pod.annotations.contains_key(CNI) {
        return Err(NoRules::Unasked { mesh: "App Mesh" });
    }
    report.remark(Remark::AsInjected);
    if options.get(Opt::Ports).is_none() {
        report.fail(Reason::PortsElsewhere);
    }
    let ipv6 = match (pod.annotations.get(IPV6), context.ipv6) {
        (Some(&"disabled"), _) => false,
        (_, Some(ipv6)) => ipv6,
        (_, None) => {
            report.remark(Remark::FamiliesUnknown);
            true
        }
    };
    for (option, value) in [
        (Opt::User, "1337"),
        (Opt::InboundPort, "15000"),
        (Opt::OutboundPort, "15001"),
        (Opt::ExcludedAddresses, "169.254.169.254"),
        (Opt::Ipv6, if ipv6 { "1" } else { "0" }),
    ] {
        options.set(option, Given::field(option.spec().variable, value));
    }
    Ok(options)
}
