//! Annotations and labels of a pod, to options.

use serde_json::Value;

use super::finding::{Reason, Remark, Report};
use super::option::{OPTIONS, Opt, Options};
use super::value;
use crate::import::environment::Environment;
use crate::import::go::boolean;
use crate::import::json::wrong_type;
use crate::import::manifest::{self, Pod};
use crate::import::{GeneralRemark, Given};

/// Turns injection on or off; a label or an annotation.
const INJECT: &str = "sidecar.istio.io/inject";
/// Written by upstream when it injects.
pub(super) const STATUS: &str = "sidecar.istio.io/status";
/// `REDIRECT`, `TPROXY` or `NONE`.
pub(super) const MODE: &str = "sidecar.istio.io/interceptionMode";
/// Virtual interfaces, of sidecars and in ambient mode.
pub(super) const REROUTE: &str = "istio.io/reroute-virtual-interfaces";
/// Leaves inbound connections alone, in ambient mode.
pub(super) const BYPASS_INBOUND: &str = "ambient.istio.io/bypass-inbound-capture";
/// Turns DNS capture on or off, in ambient mode.
pub(super) const DNS_CAPTURE: &str = "ambient.istio.io/dns-capture";

const OUTBOUND_RANGES: &str = "traffic.sidecar.istio.io/includeOutboundIPRanges";
const OUTBOUND_RANGES_EXCLUDED: &str = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
const INBOUND_PORTS: &str = "traffic.sidecar.istio.io/includeInboundPorts";
const INBOUND_PORTS_EXCLUDED: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
const OUTBOUND_PORTS: &str = "traffic.sidecar.istio.io/includeOutboundPorts";
const OUTBOUND_PORTS_EXCLUDED: &str = "traffic.sidecar.istio.io/excludeOutboundPorts";
const INTERFACES_EXCLUDED: &str = "traffic.sidecar.istio.io/excludeInterfaces";
const KUBEVIRT: &str = "traffic.sidecar.istio.io/kubevirtInterfaces";
const STATUS_PORT: &str = "status.sidecar.istio.io/port";
const PROXY_CONFIG: &str = "proxy.istio.io/config";

/// Annotations that say something about a sidecar's traffic.
pub(super) const ANNOTATIONS: &[&str] = &[
    MODE,
    OUTBOUND_RANGES,
    OUTBOUND_RANGES_EXCLUDED,
    INBOUND_PORTS,
    INBOUND_PORTS_EXCLUDED,
    OUTBOUND_PORTS,
    OUTBOUND_PORTS_EXCLUDED,
    INTERFACES_EXCLUDED,
    REROUTE,
    KUBEVIRT,
    STATUS_PORT,
    PROXY_CONFIG,
];

/// What upstream's CNI plugin sets without being asked (`cni/pkg/plugin/sidecar_redirect.go`).
const DEFAULTS: &[(Opt, &str)] = &[
    (Opt::Mode, "REDIRECT"),
    (Opt::Destinations, "*"),
    (Opt::InboundPorts, "*"),
    (Opt::InboundExcludes, ALWAYS_EXCLUDED),
    (Opt::OutboundPortExcludes, "15020"),
    (Opt::ProxyUid, "1337"),
    (Opt::ProxyGid, "1337"),
];

/// Inbound ports of the proxy that the plugin always excludes.
const ALWAYS_EXCLUDED: &str = "15020,15021,15090";

/// What the items of an annotation are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Items {
    Ports,
    Prefixes,
    Interfaces,
}

/// Annotations that are options, and what they list.
const LISTS: &[(&str, Opt, Items)] = &[
    (OUTBOUND_RANGES, Opt::Destinations, Items::Prefixes),
    (OUTBOUND_RANGES_EXCLUDED, Opt::DestinationExcludes, Items::Prefixes),
    (INBOUND_PORTS, Opt::InboundPorts, Items::Ports),
    (OUTBOUND_PORTS, Opt::OutboundPorts, Items::Ports),
    (OUTBOUND_PORTS_EXCLUDED, Opt::OutboundPortExcludes, Items::Ports),
    (INTERFACES_EXCLUDED, Opt::InterfaceExcludes, Items::Interfaces),
];

/// Variables of the proxy that the plugin reads, and what they switch on.
const SWITCHES: &[(&str, &[Opt])] = &[
    ("ISTIO_META_DNS_CAPTURE", &[Opt::Dns, Opt::AllDns]),
    ("ISTIO_DUAL_STACK", &[Opt::DualStack]),
    ("INVALID_DROP", &[Opt::DropInvalid]),
];

/// What the pod says about injection. Its label wins over its annotation.
pub(super) fn inject(pod: &Pod<'_>) -> Option<bool> {
    boolean(pod.labels.get(INJECT).or(pod.annotations.get(INJECT))?)
}

/// What upstream's CNI plugin makes of a pod's annotations and of the environment of its proxy.
///
/// If the pod is not injected yet, the injector would rewrite some annotations first; what it
/// would change is taken into account.
pub(super) fn read(pod: &Pod<'_>, environment: &Environment, report: &mut Report) -> Options {
    report.remark(Remark::AsCniPlugin);
    let mut options = Options::new();
    for (option, value) in DEFAULTS {
        options.preset(*option, value);
    }
    if let Some(mode) = mode(pod) {
        let given = Given::field(MODE, mode);
        if matches!(given.value.as_str(), "REDIRECT" | "TPROXY") {
            options.set(Opt::Mode, given, report);
        } else {
            report.refuse(&given, Reason::NotMode);
        }
    }
    for &(key, option, kind) in LISTS {
        if let Some(given) = checked(pod, key, kind, report) {
            options.set(option, given, report);
        }
    }
    inbound_excludes(pod, &mut options, report);
    reroute(pod, &mut options, report);
    ids(pod, &mut options);
    switches(environment, &mut options, report);
    options
}

/// The mode that the pod asks for. Its annotation wins over its proxy's configuration.
pub(super) fn mode(pod: &Pod<'_>) -> Option<String> {
    let configured = || {
        let config = manifest::documents(pod.annotations.get(PROXY_CONFIG)?).ok()?;
        Some(config.first()?["interceptionMode"].as_str()?.to_owned())
    };
    pod.annotations.get(MODE).map(|mode| (*mode).to_owned()).or_else(configured)
}

/// The annotation, unless it has items that upstream takes in arguments only.
fn checked(pod: &Pod<'_>, key: &str, kind: Items, report: &mut Report) -> Option<Given> {
    let given = Given::field(key, *pod.annotations.get(key)?);
    let reason = given.value.split(',').map(str::trim).find_map(|item| match kind {
        _ if item.is_empty() && !given.value.is_empty() => Some(Reason::EmptyItem),
        Items::Ports if item.contains(':') => {
            Some(Reason::RangeInAnnotation { item: item.to_owned() })
        }
        Items::Interfaces
            if !item.is_empty()
                && (item.ends_with('+')
                    || !item.starts_with(|c: char| c.is_ascii_alphabetic())) =>
        {
            Some(Reason::NotAnnotatedInterface { item: item.to_owned() })
        }
        _ => None,
    });
    match reason {
        Some(reason) => {
            report.refuse(&given, reason);
            None
        }
        None => Some(given),
    }
}

/// The plugin adds the proxy's ports to what the pod excludes; before that, the injector adds the
/// port that its health is asked on.
fn inbound_excludes(pod: &Pod<'_>, options: &mut Options, report: &mut Report) {
    let written = checked(pod, INBOUND_PORTS_EXCLUDED, Items::Ports, report);
    if options.text(Opt::InboundPorts) != "*" {
        // Then nothing is excluded, which concerns the pod only if it asks for it.
        options.preset(Opt::InboundExcludes, "");
        if let Some(given) = written {
            options.set(Opt::InboundExcludes, given, report);
        }
        return;
    }
    let before = report.mistakes.len();
    let mut ports: Vec<_> = written.iter().flat_map(|given| value::ports(given, report)).collect();
    if let Some(port) = pod.annotations.get(STATUS_PORT)
        && !pod.annotations.contains_key(STATUS)
        && port.trim() != "0"
    {
        ports.push(value::port(&Given::field(STATUS_PORT, *port), report).into());
    }
    if report.mistakes.len() == before && !ports.is_empty() {
        let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
        let all = format!("{},{ALWAYS_EXCLUDED}", ports.join(","));
        options.set(Opt::InboundExcludes, Given::field(INBOUND_PORTS_EXCLUDED, all), report);
    }
}

/// The newer annotation, or else the deprecated one.
fn reroute(pod: &Pod<'_>, options: &mut Options, report: &mut Report) {
    let current = checked(pod, REROUTE, Items::Interfaces, report);
    if let Some(&value) = pod.annotations.get(KUBEVIRT) {
        let given = Given::field(KUBEVIRT, value);
        if pod.annotations.contains_key(REROUTE) {
            report.note(&given, GeneralRemark::Overridden { by: REROUTE.to_owned() });
        } else {
            report.note(&given, Remark::Deprecated { now: REROUTE });
            if let Some(given) = checked(pod, KUBEVIRT, Items::Interfaces, report) {
                options.set(Opt::Reroute, given, report);
            }
        }
    }
    if let Some(given) = current {
        options.set(Opt::Reroute, given, report);
    }
}

/// Who the proxy's container runs as; root counts as unsaid.
fn ids(pod: &Pod<'_>, options: &mut Options) {
    let context =
        pod.container("istio-proxy").map_or(&Value::Null, |proxy| &proxy["securityContext"]);
    for (key, option) in [("runAsUser", Opt::ProxyUid), ("runAsGroup", Opt::ProxyGid)] {
        if let Some(id) = context[key].as_u64().filter(|id| *id != 0) {
            options.preset(option, &id.to_string());
        }
    }
}

fn switches(environment: &Environment, options: &mut Options, report: &mut Report) {
    for (name, switched) in SWITCHES {
        let Some(value) = environment.get(*name) else { continue };
        let given = Given::field(*name, value);
        if boolean(value).is_none() {
            report.note(&given, Remark::BooleanIgnored);
            continue;
        }
        for option in *switched {
            options.set(*option, given.clone(), report);
        }
    }
    let known = OPTIONS.iter().flat_map(|spec| spec.environment);
    for name in known.filter(|name| SWITCHES.iter().all(|(switch, _)| switch != *name)) {
        if let Some(value) = environment.get(*name) {
            report.note(&Given::field(*name, value), Remark::InitOnly);
        }
    }
}

/// The environment of the pod's proxy: of its container, and before that container is there, of
/// the configuration that the pod asks for.
pub(super) fn proxy_environment(pod: &Pod<'_>, report: &mut Report) -> Environment {
    let mut environment = Environment::new();
    if let Some(&text) = pod.annotations.get(PROXY_CONFIG)
        && !pod.annotations.contains_key(STATUS)
    {
        let given = Given::field(PROXY_CONFIG, text);
        match manifest::documents(text) {
            Err(reason) => report.refuse(&given, reason),
            Ok(config) => {
                let metadata =
                    config.first().map_or(&Value::Null, |config| &config["proxyMetadata"]);
                for (name, value) in metadata.as_object().into_iter().flatten() {
                    match value {
                        Value::String(value) => {
                            environment.insert(name.clone(), value.clone());
                        }
                        other => report.refuse(
                            &Given::field(name, other.to_string()),
                            wrong_type(other, "text in quotes"),
                        ),
                    }
                }
            }
        }
    }
    if let Some(proxy) = pod.container("istio-proxy") {
        environment.extend(manifest::environment(proxy));
        let read = |name: &str| SWITCHES.iter().any(|(switch, _)| *switch == name);
        manifest::note_absent(proxy, read, report);
    }
    environment
}
