//! Annotations and labels of a pod, to options.

use serde_json::Value;

use super::finding::{Reason, Remark, Report};
use super::mesh::Mesh;
use super::option::{OPTIONS, Opt, Options};
use super::{Context, environment, resolver, value};
use crate::import::environment::Environment;
use crate::import::go::boolean;
use crate::import::json::wrong_type;
use crate::import::manifest::{self, NOTHING, Pod};
use crate::import::words::misspelt;
use crate::import::{GeneralRemark, Given};
use crate::policy::ClauseKey;

/// Turns injection on or off; a label or an annotation.
pub(super) const INJECT: &str = "sidecar.istio.io/inject";
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

pub(super) const OUTBOUND_RANGES: &str = "traffic.sidecar.istio.io/includeOutboundIPRanges";
pub(super) const OUTBOUND_RANGES_EXCLUDED: &str =
    "traffic.sidecar.istio.io/excludeOutboundIPRanges";
pub(super) const INBOUND_PORTS: &str = "traffic.sidecar.istio.io/includeInboundPorts";
pub(super) const INBOUND_PORTS_EXCLUDED: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
pub(super) const OUTBOUND_PORTS: &str = "traffic.sidecar.istio.io/includeOutboundPorts";
pub(super) const OUTBOUND_PORTS_EXCLUDED: &str = "traffic.sidecar.istio.io/excludeOutboundPorts";
pub(super) const INTERFACES_EXCLUDED: &str = "traffic.sidecar.istio.io/excludeInterfaces";
pub(super) const KUBEVIRT: &str = "traffic.sidecar.istio.io/kubevirtInterfaces";
pub(super) const STATUS_PORT: &str = "status.sidecar.istio.io/port";
pub(super) const PROXY_CONFIG: &str = "proxy.istio.io/config";

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
const PLUGIN: &[(Opt, &str)] = &[
    (Opt::Mode, "REDIRECT"),
    (Opt::Destinations, "*"),
    (Opt::InboundPorts, "*"),
    (Opt::InboundExcludes, ALWAYS_EXCLUDED),
    (Opt::OutboundPortExcludes, "15020"),
    (Opt::ProxyUid, "1337"),
    (Opt::ProxyGid, "1337"),
];

/// What the injector's template gives an init container without being asked.
const INJECTOR: &[(Opt, &str)] = &[
    (Opt::Mode, "REDIRECT"),
    (Opt::Destinations, "*"),
    (Opt::InboundPorts, "*"),
    (Opt::ProxyUid, "1337"),
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

/// What Istio makes of a pod's annotations and of the environment of its proxy: by its CNI plugin, or
/// by the init container that its injector adds where the mesh has no plugin.
///
/// If the pod is not injected yet, the injector would rewrite some annotations first; what it
/// would change is taken into account.
pub(super) fn read(
    pod: &Pod<'_>,
    mesh: &Mesh,
    environment: &Environment,
    context: &Context,
    report: &mut Report,
) -> Options {
    // One that is injected and has no init container can only have its rules of the plugin.
    let is_injected = pod.annotations.contains_key(STATUS);
    if mesh.cni == Some(false) && !is_injected {
        report.remark(Remark::AsInjected);
        return injected(pod, mesh, environment, context, report);
    }
    if mesh.cni.is_none() && !is_injected {
        report.remark(Remark::CniUnknown);
    } else {
        report.remark(Remark::AsCniPlugin);
    }
    let mut options = Options::new();
    for (option, value) in PLUGIN {
        options.preset(*option, value);
    }
    if let Some(given) = mode(pod, mesh) {
        set_mode(given, &mut options, report);
    }
    lists(pod, mesh, &mut options, report);
    plugin_excludes(pod, mesh, &mut options, report);
    reroute(pod, &mut options, report);
    ids(pod, &mut options);
    switches(environment, &mut options, report);
    options
}

/// What the injector's template makes of the pod: arguments and variables of an `istio-init`
/// (`manifests/charts/istio-control/istio-discovery/files/injection-template.yaml`).
fn injected(
    pod: &Pod<'_>,
    mesh: &Mesh,
    environment: &Environment,
    context: &Context,
    report: &mut Report,
) -> Options {
    let mut options = Options::new();
    environment::read(environment, &mut options, report);
    for (option, value) in INJECTOR {
        options.preset(*option, value);
    }
    let ports = [(Opt::ProxyPort, &mesh.outbound_port), (Opt::InboundPort, &mesh.inbound_port)];
    for (option, given) in ports {
        if let Some(given) = given {
            options.set(option, given.clone(), report);
        }
    }
    if let Some(given) = mode(pod, mesh) {
        set_mode(given, &mut options, report);
    }
    lists(pod, mesh, &mut options, report);
    let excludes = excludes(pod, mesh, "15020", report);
    let all = [vec!["15090".to_owned(), "15021".to_owned()], excludes].concat().join(",");
    if mesh.setting(pod, INBOUND_PORTS_EXCLUDED).is_some()
        || mesh.setting(pod, STATUS_PORT).is_some()
    {
        options.set(Opt::InboundExcludes, Given::field(INBOUND_PORTS_EXCLUDED, all), report);
    } else {
        options.preset(Opt::InboundExcludes, &all);
    }
    exclude_origins(pod, mesh, report);
    report.origin_in_words(EXCLUDE_PORT, "Istio's injector: 15090,15021, and 15020 for its status");
    reroute(pod, &mut options, report);
    resolver::user(&mut options, environment, context, true, report);
    options
}

fn set_mode(given: Given, options: &mut Options, report: &mut Report) {
    if matches!(given.value.as_str(), "REDIRECT" | "TPROXY") {
        options.set(Opt::Mode, given, report);
    } else {
        report.refuse(&given, Reason::NotMode);
    }
}

fn lists(pod: &Pod<'_>, mesh: &Mesh, options: &mut Options, report: &mut Report) {
    for &(key, option, kind) in LISTS {
        if let Some(given) = checked(pod, mesh, key, kind, report) {
            options.set(option, given, report);
        }
    }
}

/// The mode that the pod asks for. Its annotation wins over its proxy's configuration, and that over
/// the mesh's.
pub(super) fn mode(pod: &Pod<'_>, mesh: &Mesh) -> Option<Given> {
    let configured = || {
        let config = manifest::values(pod.annotations.get(PROXY_CONFIG)?).ok()?;
        let mode = config.first()?["interceptionMode"].as_str()?.to_owned();
        Some(Given::field(PROXY_CONFIG, mode))
    };
    let own = pod.annotations.get(MODE).map(|mode| Given::field(MODE, *mode));
    let of_mesh = || mesh.mode.clone().filter(|_| !pod.annotations.contains_key(STATUS));
    own.or_else(configured).or_else(of_mesh)
}

/// The setting, unless it has items that upstream takes in arguments only.
fn checked(
    pod: &Pod<'_>,
    mesh: &Mesh,
    key: &'static str,
    kind: Items,
    report: &mut Report,
) -> Option<Given> {
    let given = mesh.setting(pod, key)?;
    match refused_item(&given, kind) {
        Some(reason) => {
            report.refuse(&given, reason);
            None
        }
        None => Some(given),
    }
}

/// Why upstream does not take an item in an annotation, though it would as an argument.
fn refused_item(given: &Given, kind: Items) -> Option<Reason> {
    let is_range = |item: &str| {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        item.contains(':')
            || item.split_once('-').is_some_and(|(first, last)| digits(first) && digits(last))
    };
    given.value.split(',').map(str::trim).find_map(|item| match kind {
        _ if item.is_empty() && !given.value.is_empty() => Some(Reason::EmptyItem),
        Items::Ports if is_range(item) => Some(Reason::RangeInAnnotation { item: item.to_owned() }),
        Items::Interfaces
            if !item.is_empty()
                && (item.ends_with('+')
                    || !item.starts_with(|c: char| c.is_ascii_alphabetic())) =>
        {
            Some(Reason::NotAnnotatedInterface { item: item.to_owned() })
        }
        _ => None,
    })
}

/// The inbound ports that the pod excludes, with the one that its health is asked on, which the injector
/// adds. `status` is what that is if nobody says so; empty if it is known already.
fn excludes(pod: &Pod<'_>, mesh: &Mesh, status: &str, report: &mut Report) -> Vec<String> {
    let written = checked(pod, mesh, INBOUND_PORTS_EXCLUDED, Items::Ports, report);
    let mut ports: Vec<String> = Vec::new();
    if let Some(given) = &written {
        ports.extend(value::ports(given, report).iter().map(ToString::to_string));
    }
    if pod.annotations.contains_key(STATUS) {
        return ports;
    }
    let given = mesh.setting(pod, STATUS_PORT);
    match given.as_ref().filter(|given| !given.value.trim().is_empty()) {
        Some(given) if given.value.trim() == "0" => {}
        Some(given) => ports.push(value::port(given, report).to_string()),
        None if given.is_none() && !status.is_empty() => ports.push(status.to_owned()),
        None => {}
    }
    let mut seen = std::collections::BTreeSet::new();
    ports.retain(|port| seen.insert(port.clone()));
    ports
}

/// The plugin adds the proxy's ports to what the pod excludes.
fn plugin_excludes(pod: &Pod<'_>, mesh: &Mesh, options: &mut Options, report: &mut Report) {
    if options.text(Opt::InboundPorts) != "*" {
        // Then nothing is excluded, which concerns the pod only if it asks for it.
        options.preset(Opt::InboundExcludes, "");
        let written = checked(pod, mesh, INBOUND_PORTS_EXCLUDED, Items::Ports, report);
        if let Some(given) = written {
            options.set(Opt::InboundExcludes, given, report);
        }
        return;
    }
    let before = report.mistakes.len();
    let ports = excludes(pod, mesh, "", report);
    if report.mistakes.len() == before && !ports.is_empty() {
        let all = format!("{},{ALWAYS_EXCLUDED}", ports.join(","));
        options.set(Opt::InboundExcludes, Given::field(INBOUND_PORTS_EXCLUDED, all), report);
        exclude_origins(pod, mesh, report);
        report.origin_in_words(EXCLUDE_PORT, format!("Istio's CNI plugin: {ALWAYS_EXCLUDED}"));
    }
}

/// The clause of excluded inbound ports.
const EXCLUDE_PORT: ClauseKey = ("inbound", "exclude port");

fn exclude_origins(pod: &Pod<'_>, mesh: &Mesh, report: &mut Report) {
    for key in [INBOUND_PORTS_EXCLUDED, STATUS_PORT] {
        if let Some(given) = mesh.setting(pod, key) {
            report.origin(EXCLUDE_PORT, &given);
        }
    }
}

/// The newer annotation, or else the deprecated one.
fn reroute(pod: &Pod<'_>, options: &mut Options, report: &mut Report) {
    let own = |key| pod.annotations.get(key).map(|value| Given::field(key, *value));
    let (current, old) = (own(REROUTE), own(KUBEVIRT));
    match (&current, &old) {
        (Some(_), Some(old)) => {
            report.note(old, GeneralRemark::Overridden { by: REROUTE.to_owned() });
        }
        (None, Some(old)) => report.note(old, Remark::Deprecated { now: REROUTE }),
        _ => {}
    }
    let Some(given) = current.or(old) else { return };
    match refused_item(&given, Items::Interfaces) {
        Some(reason) => report.refuse(&given, reason),
        None => options.set(Opt::Reroute, given, report),
    }
}

/// Who the proxy's container runs as; root counts as unsaid.
fn ids(pod: &Pod<'_>, options: &mut Options) {
    let context = pod.container("istio-proxy").map_or(&NOTHING, |proxy| &proxy["securityContext"]);
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
    let is_option = |name: &str| OPTIONS.iter().any(|spec| spec.environment.contains(&name));
    for (name, value) in environment {
        let given = Given::field(name, value);
        if SWITCHES.iter().any(|(switch, _)| switch == name) {
            continue;
        }
        if is_option(name) {
            report.note(&given, Remark::InitOnly);
        } else {
            environment::note_stray(&given, report);
        }
    }
}

/// The environment of the pod's proxy: of its container, and before that container is there, of
/// the configuration that the mesh and the pod ask for.
pub(super) fn proxy_environment(pod: &Pod<'_>, mesh: &Mesh, report: &mut Report) -> Environment {
    let is_injected = pod.annotations.contains_key(STATUS);
    let mut own = Environment::new();
    if let Some(&text) = pod.annotations.get(PROXY_CONFIG)
        && !is_injected
    {
        let given = Given::field(PROXY_CONFIG, text);
        match manifest::values(text) {
            Err(reason) => report.refuse(&given, reason),
            Ok(config) => {
                let config = config.first().unwrap_or(&Value::Null);
                for (name, value) in config["proxyMetadata"].as_object().into_iter().flatten() {
                    match value {
                        Value::String(value) => {
                            own.insert(name.clone(), value.clone());
                        }
                        other => report.refuse(
                            &Given::field(name, other.to_string()),
                            wrong_type(other, "text in quotes"),
                        ),
                    }
                }
                let known = ["proxyMetadata", "interceptionMode"];
                for key in config.as_object().into_iter().flatten().map(|(key, _)| key) {
                    if let Some(near) = misspelt(key, known) {
                        let nearest = Some(near.to_owned());
                        let given = Given::field(key, "");
                        report.note(&given, GeneralRemark::NotAnOption { nearest });
                    }
                }
            }
        }
    }
    let mut environment = if is_injected { own } else { mesh.variables(pod, own) };
    if let Some(proxy) = pod.container("istio-proxy") {
        environment.extend(manifest::environment(proxy));
        let read = |name: &str| SWITCHES.iter().any(|(switch, _)| *switch == name);
        manifest::note_absent(proxy, read, report);
    }
    environment
}
