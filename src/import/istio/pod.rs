//! A pod to policies: injected, annotated or ambient.

use super::ambient::Ambient;
use super::annotation::{self, ANNOTATIONS, BYPASS_INBOUND, DNS_CAPTURE, REROUTE};
use super::enrolment::{self, Enrolment};
use super::finding::{Remark, Report};
use super::mesh::Mesh;
use super::option::{OPTIONS, Options};
use super::{Context, Imported, Refused, command, release, resolver, sidecar, vocabulary};
use crate::import::environment::Environment;
use crate::import::go::boolean;
use crate::import::manifest::{self, Node, Pod};
use crate::import::words::shortened;
use crate::import::{GeneralRemark, Given, NoRules};
use crate::policy::{Kind, Proxy};
use crate::span::Sources;

/// The pods of a manifest in YAML or JSON: of several documents, of lists, and of anything with a
/// pod template, such as a Deployment.
///
/// A pod that Istio injected with an `istio-init` container is what that container's arguments and
/// environment say. Any other is what Istio's injector and its CNI plugin make of its annotations, of
/// its namespace and of the mesh's configuration, as far as these are among the manifests. One that
/// ambient mode captures is an ambient pod.
///
/// # Errors
///
/// If the text is not YAML or has no pod, and everything that upstream refuses, or that a policy cannot say.
pub fn pods(text: &str, context: &Context) -> Result<Imported, Refused> {
    manifests(&Sources::of("manifest", text), context)
}

/// As [`pods`], of several files together. Findings say where in `sources` they are.
///
/// # Errors
///
/// As for [`pods`].
pub fn manifests(sources: &Sources, context: &Context) -> Result<Imported, Refused> {
    let mut report = Report::default();
    let of_its_own = Mesh::of_text(context.mesh_config.as_deref(), &mut report);
    let pods = manifest::policies(
        sources,
        &vocabulary::MESH,
        context,
        |objects, report| of_its_own.with(objects, report),
        |mesh, pod, report| read(pod, mesh, context, report),
    );
    report.before(pods)
}

/// The policy of a pod, if upstream makes rules for it.
fn read(
    pod: &Pod<'_>,
    mesh: &Mesh,
    context: &Context,
    report: &mut Report,
) -> Result<Kind, NoRules> {
    let mut options = if let Some(container) = init_container(pod) {
        init(container, context, report)
    } else {
        pod.has_own_network()?;
        let is_assumed = match enrolment::of(pod, mesh.injects_by_default, report)? {
            Enrolment::Sidecar { is_assumed } => is_assumed,
            Enrolment::Ambient => {
                let ambient = ambient(pod, mesh, context, report);
                let kind = Kind::AmbientPod(Box::new(ambient.pod(report)));
                release::note(pod, mesh, &kind, report);
                return Ok(kind);
            }
        };
        let environment = annotation::proxy_environment(pod, mesh, report);
        without_rules(pod, mesh, &environment)?;
        if is_assumed {
            report.remark(Remark::NamespaceUnknown);
        }
        annotation::read(pod, mesh, &environment, context, report)
    };
    resolver::families(&mut options, &pod.addresses(), context, report);
    resolver::servers(&mut options, pod.resolvers(), context, report);
    let sidecar = sidecar::sidecar(&options, &context.groups, report);
    note_who_runs_as_the_proxy(pod, &sidecar.proxy, report);
    let kind = Kind::Sidecar(Box::new(sidecar));
    release::note(pod, mesh, &kind, report);
    Ok(kind)
}

/// Notes containers of the workload that run as a user or a group of the proxy's.
fn note_who_runs_as_the_proxy(pod: &Pod<'_>, proxy: &Proxy, report: &mut Report) {
    let workload = pod.main_containers().filter(|container| container["name"] != "istio-proxy");
    for node in workload {
        for (key, what, ids) in
            [("runAsUser", "user", &*proxy.users), ("runAsGroup", "group", &*proxy.groups)]
        {
            if let Some(id) = pod.runs_as(node, key).filter(|id| ids.contains(id)) {
                let container = shortened(node["name"].as_str().unwrap_or_default());
                report.at(pod.place_of(node, key), |report| {
                    report.remark(Remark::RunsAsTheProxy { container, what, id });
                });
            }
        }
    }
}

/// The container that makes the rules, by its name or by its command. One called `istio-validation` only
/// looks whether they are there.
fn init_container<'a>(pod: &Pod<'a>) -> Option<&'a Node> {
    let runs = |container: &&Node| {
        let word = |key: &str| container[key][0].as_str().unwrap_or_default();
        let words = [word("command"), word("args")];
        container["name"] != "istio-validation"
            && words.iter().any(|word| word.rsplit('/').next() == Some("istio-iptables"))
    };
    let named = pod.container("istio-init");
    named.or_else(|| pod.containers.iter().copied().find(runs))
}

/// What the arguments and the environment of the `istio-init` container say.
fn init(container: &Node, context: &Context, report: &mut Report) -> Options {
    let arguments = manifest::arguments(container, report);
    let sets_option = |name: &str| OPTIONS.iter().any(|spec| spec.environment.contains(&name));
    manifest::note_absent(container, sets_option, report);
    command(&arguments, &manifest::environment(container), context, true, report).0
}

/// Why the CNI plugin would make no rules (`cni/pkg/plugin/plugin.go`), or the injector no proxy.
fn without_rules(pod: &Pod<'_>, mesh: &Mesh, environment: &Environment) -> Result<(), NoRules> {
    let proxy = pod.container("istio-proxy");
    let role = proxy.filter(|proxy| proxy["args"][0] == "proxy").map(|proxy| &proxy["args"][1]);
    let is_on = |name| environment.get(name).is_some_and(|text| boolean(text) == Some(true));
    if enrolment::plugin_says(pod) == Some(false) {
        return Err(NoRules::InjectionOff);
    }
    if is_on("DISABLE_ENVOY") {
        return Err(NoRules::Otherwise { why: "`DISABLE_ENVOY` is set" });
    }
    if role.and_then(Node::as_str).is_some_and(|role| role != "sidecar") {
        return Err(NoRules::Otherwise { why: "its proxy is not a sidecar" });
    }
    enrolment::template(pod, &mesh.templates)?;
    if annotation::mode(pod, mesh).is_some_and(|mode| mode.value == "NONE") {
        return Err(NoRules::Otherwise { why: "the mode is NONE" });
    }
    Ok(())
}

/// What the pod's annotations change about ambient mode (`cni/pkg/nodeagent/net.go`).
fn ambient(pod: &Pod<'_>, mesh: &Mesh, context: &Context, report: &mut Report) -> Ambient {
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
    let defaults = &mesh.ambient;
    Ambient {
        ipv6: context.ipv6.or(defaults.ipv6).unwrap_or(true),
        dns: defaults.dns.unwrap_or(true),
        probe_v4: defaults.probe_v4.clone(),
        probe_v6: defaults.probe_v6.clone(),
        pod_dns,
        ingress: ingress.unwrap_or_default(),
        reroute: pod.annotations.get(REROUTE).map(|value| Given::field(REROUTE, *value)),
    }
}
