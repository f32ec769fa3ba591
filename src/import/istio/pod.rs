//! A pod to policies: injected, annotated or ambient.

use serde_json::Value;

use super::ambient::Ambient;
use super::annotation::{self, ANNOTATIONS, BYPASS_INBOUND, DNS_CAPTURE, REROUTE, STATUS};
use super::finding::{Remark, Report};
use super::option::{OPTIONS, Options};
use super::{Context, Imported, Refused, command, resolver, sidecar};
use crate::import::environment::Environment;
use crate::import::go::boolean;
use crate::import::manifest::{self, Pod};
use crate::import::words::{misspelt, shortened};
use crate::import::{GeneralRemark, Given, NoRules};
use crate::policy::{Kind, Proxy};

/// Asks for ambient mode, or says no to it.
const DATAPLANE_MODE: &str = "istio.io/dataplane-mode";
/// Written by upstream where a pod is in ambient mode.
const REDIRECTION: &str = "ambient.istio.io/redirection";

/// The pods of a manifest in YAML or JSON: of several documents, of lists, and of anything with a
/// pod template, such as a Deployment.
///
/// A pod that Istio injected with an `istio-init` container is what that container's arguments and
/// environment say. Any other is what Istio's CNI plugin makes of its annotations. One that
/// ambient mode captures is an ambient pod, under the defaults of upstream's chart: both families,
/// and DNS unless the pod says otherwise.
///
/// # Errors
///
/// If the text is not YAML or has no pod, and everything that upstream refuses, or that a policy cannot say.
pub fn pods(text: &str, context: &Context) -> Result<Imported, Refused> {
    manifest::policies(text, super::NAME, context, |pod, report| read(pod, context, report))
}

/// The policy of a pod, if upstream makes rules for it.
fn read(pod: &Pod<'_>, context: &Context, report: &mut Report) -> Result<Kind, NoRules> {
    note_misspelt(pod, report);
    let mut options = if let Some(container) = pod.container("istio-init") {
        init(container, context, report)
    } else if pod.is_on_host_network() {
        return Err(NoRules::HostNetwork);
    } else if is_ambient(pod) {
        return Ok(Kind::AmbientPod(Box::new(ambient(pod, context, report).pod(report))));
    } else {
        let environment = annotation::proxy_environment(pod, report);
        without_rules(pod, &environment)?;
        annotation::read(pod, &environment, report)
    };
    resolver::families(&mut options, &pod.addresses(), context, report);
    resolver::servers(&mut options, pod.resolvers(), context, report);
    let sidecar = sidecar::sidecar(&options, &context.groups, report);
    note_who_runs_as_the_proxy(pod, &sidecar.proxy, report);
    Ok(Kind::Sidecar(Box::new(sidecar)))
}

/// Notes annotations that look like one of those that are read.
fn note_misspelt(pod: &Pod<'_>, report: &mut Report) {
    let known = || ANNOTATIONS.iter().copied().chain([BYPASS_INBOUND, DNS_CAPTURE, REDIRECTION]);
    for (&key, &value) in &pod.annotations {
        let near = misspelt(key, known());
        let ours = key.starts_with("traffic.sidecar.istio.io/") && !known().any(|name| name == key);
        if near.is_some() || ours {
            let nearest = near.map(str::to_owned);
            report.note(&Given::field(key, value), GeneralRemark::NotAnOption { nearest });
        }
    }
}

/// Notes containers of the workload that run as a user or a group of the proxy's.
fn note_who_runs_as_the_proxy(pod: &Pod<'_>, proxy: &Proxy, report: &mut Report) {
    let workload = pod.main_containers().filter(|container| container["name"] != "istio-proxy");
    for container in workload {
        for (key, what, ids) in
            [("runAsUser", "user", &*proxy.users), ("runAsGroup", "group", &*proxy.groups)]
        {
            if let Some(id) = pod.runs_as(container, key).filter(|id| ids.contains(id)) {
                let container = shortened(container["name"].as_str().unwrap_or_default());
                report.remark(Remark::RunsAsTheProxy { container, what, id });
            }
        }
    }
}

/// What the arguments and the environment of the `istio-init` container say.
fn init(container: &Value, context: &Context, report: &mut Report) -> Options {
    let arguments = manifest::arguments(container, report);
    let sets_option = |name: &str| OPTIONS.iter().any(|spec| spec.environment.contains(&name));
    manifest::note_absent(container, sets_option, report);
    command(&arguments, &manifest::environment(container), &context.users, report).0
}

/// Whether the pod is one of ambient mode, as far as it says itself: its namespace may ask, too.
fn is_ambient(pod: &Pod<'_>) -> bool {
    // Injection comes first, and upstream does not give a pod two proxies.
    let injected = is_injected(pod) || pod.container("istio-proxy").is_some();
    if injected || annotation::inject(pod) == Some(true) {
        return false;
    }
    match pod.labels.get(DATAPLANE_MODE) {
        Some(mode) => *mode == "ambient",
        None => [REDIRECTION, BYPASS_INBOUND, DNS_CAPTURE]
            .iter()
            .any(|annotation| pod.annotations.contains_key(annotation)),
    }
}

/// Whether Istio has injected its proxy.
fn is_injected(pod: &Pod<'_>) -> bool {
    pod.annotations.contains_key(STATUS)
}

/// Why the CNI plugin would make no rules (`cni/pkg/plugin/plugin.go`), or the injector no proxy.
fn without_rules(pod: &Pod<'_>, environment: &Environment) -> Result<(), NoRules> {
    let inject = annotation::inject(pod);
    let proxy = pod.container("istio-proxy");
    let asks = is_injected(pod)
        || proxy.is_some()
        || inject == Some(true)
        || ANNOTATIONS.iter().any(|annotation| pod.annotations.contains_key(annotation));
    let role = proxy.filter(|proxy| proxy["args"][0] == "proxy").map(|proxy| &proxy["args"][1]);
    let is_on = |name| environment.get(name).is_some_and(|text| boolean(text) == Some(true));
    if inject == Some(false) {
        Err(NoRules::InjectionOff)
    } else if !asks {
        Err(NoRules::Unasked { mesh: "Istio" })
    } else if is_on("DISABLE_ENVOY") {
        Err(NoRules::Otherwise { why: "`DISABLE_ENVOY` is set" })
    } else if role.is_some_and(|role| role.is_string() && role != "sidecar") {
        Err(NoRules::Otherwise { why: "its proxy is not a sidecar" })
    } else if annotation::mode(pod).as_deref() == Some("NONE") {
        Err(NoRules::Otherwise { why: "the mode is NONE" })
    } else {
        Ok(())
    }
}

/// What the pod's annotations change about ambient mode (`cni/pkg/nodeagent/net.go`).
fn ambient(pod: &Pod<'_>, context: &Context, report: &mut Report) -> Ambient {
    let mut switch = |key| {
        let given = Given::field(key, *pod.annotations.get(key)?);
        let on = boolean(&given.value);
        if on.is_none() {
            report.note(&given, Remark::BooleanIgnored);
        }
        on
    };
    let (ingress, pod_dns) = (switch(BYPASS_INBOUND), switch(DNS_CAPTURE));
    for key in ANNOTATIONS.iter().filter(|key| **key != REROUTE) {
        if let Some(value) = pod.annotations.get(key) {
            let by = "ambient mode".to_owned();
            report.note(&Given::field(*key, *value), GeneralRemark::Overridden { by });
        }
    }
    Ambient {
        ipv6: context.ipv6.unwrap_or(true),
        dns: true,
        pod_dns,
        ingress: ingress.unwrap_or_default(),
        reroute: pod.annotations.get(REROUTE).map(|value| Given::field(REROUTE, *value)),
        ..Ambient::default()
    }
}
