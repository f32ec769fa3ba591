//! A pod to a policy: its annotations, and the `MeshConfig`.

use super::finding::{Reason, Remark, Report};
use super::meaning;
use super::option::{INJECTION, Options};
use super::{Context, Imported, Refused};
use crate::import::manifest::{self, Mesh, Pod, Vocabulary};
use crate::import::{Given, NoRules, Sort};
use crate::policy::Kind;
use crate::span::Sources;

/// OSM's names in manifests.
const MESH: Mesh = Mesh {
    name: super::NAME,
    title: "OSM",
    vocabulary: Vocabulary {
        domains: &["openservicemesh.io"],
        annotations: &[
            INJECTION,
            "openservicemesh.io/inbound-port-exclusion-list",
            "openservicemesh.io/outbound-port-exclusion-list",
            "openservicemesh.io/outbound-ip-range-exclusion-list",
            "openservicemesh.io/outbound-ip-range-inclusion-list",
        ],
        labels: &[],
        namespace: &[INJECTION],
        namespace_sort: Some(Sort::Annotation),
        inherited: Some(Sort::Annotation),
        unrelated: &[
            "openservicemesh.io/metrics",
            "openservicemesh.io/monitored-by",
            "openservicemesh.io/ignore",
            "openservicemesh.io/bootstrap-uuid",
        ],
    },
    kinds: &["MeshConfig"],
    keys: &[],
};

/// The pods of a manifest in YAML or JSON: of several documents, of lists, and of anything with a
/// pod template, such as a Deployment.
///
/// A pod is what its annotations and the `MeshConfig` of `context` say, unless it says that it gets no
/// proxy.
///
/// # Errors
///
/// If the text is not YAML or has no pod, and everything that OSM refuses, or that a policy cannot
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
    let mut report = Report::default();
    let mut mesh = Options::default();
    match context.mesh_config.as_deref().map(manifest::values) {
        None => report.remark(Remark::MeshUnknown),
        Some(Err(reason)) => report.fail(reason),
        Some(Ok(documents)) => {
            for config in &documents {
                mesh.mesh_config(config, &mut report);
            }
        }
    }
    let pods = manifest::policies(
        sources,
        &MESH,
        context,
        |_, _| (),
        |(), pod, report| read(pod, &mesh, report),
    );
    report.before(pods)
}

/// The policy of a pod, if OSM makes rules for it.
fn read(pod: &Pod<'_>, mesh: &Options, report: &mut Report) -> Result<Kind, NoRules> {
    if pod.is_on_host_network() {
        return Err(NoRules::HostNetwork);
    }
    match pod.annotations.get(INJECTION).map(|value| value.to_lowercase()).as_deref() {
        Some("disabled" | "no" | "false") => return Err(NoRules::InjectionOff),
        Some("enabled" | "yes" | "true") => {}
        Some(value) => report.refuse(&Given::field(INJECTION, value), Reason::NotInjection),
        None if pod.its_namespace.is_some() => return Err(NoRules::Unasked { mesh: "OSM" }),
        None => report.remark(Remark::AsInjected),
    }
    let mut options = mesh.clone();
    for (key, value) in &pod.annotations {
        let _ = options.annotation(key, value);
    }
    let address = pod.addresses().into_iter().find(std::net::IpAddr::is_ipv4);
    options.pod_address = address.map(|address| Given::field("podIP", address.to_string()));
    Ok(Kind::from(meaning::osm(&options, report)))
}

#[cfg(test)]
mod tests {
    use super::pods;
    use crate::import::Context;
    use crate::policy::{Detail, print};

    fn told(pod: &str, mesh: Option<&str>) -> String {
        let context = Context { mesh_config: mesh.map(str::to_owned), ..Context::default() };
        match pods(pod, &context) {
            Err(refused) => refused.to_string(),
            Ok(imported) => {
                let policies =
                    imported.policies.iter().map(|policy| print(policy, Detail::Differences));
                let notes = imported.notes.iter().map(|note| format!("{note}\n"));
                policies.chain(notes).collect()
            }
        }
    }

    const POD: &str = "kind: Pod\nmetadata: {name: a, annotations: \
                       {openservicemesh.io/sidecar-injection: enabled, \
                       openservicemesh.io/inbound-port-exclusion-list: '9090'}}\n\
                       spec: {containers: []}\n";

    #[test]
    fn the_mesh_and_the_pod_are_joined() {
        let mesh = "kind: MeshConfig\nspec: {sidecar: {localProxyMode: PodIP}, \
                    traffic: {inboundPortExclusionList: [22, 9090]}}\n";
        let pod = format!("{POD}status: {{podIPs: [{{ip: 'fd00::2'}}, {{ip: 10.0.0.2}}]}}\n");
        assert_eq!(
            told(&pod, Some(mesh)),
            "osm a {\n  proxy {\n    local-mode pod-ip 10.0.0.2\n  }\n  inbound {\n    \
             exclude port 22, 9090\n  }\n}\n"
        );
        assert_eq!(
            told(POD, Some(mesh)),
            "`localProxyMode: PodIP`: the rules name the pod's address in this mode, and it is \
             not known"
        );
        assert!(told(POD, Some("- [")).starts_with("not YAML: "));
        assert_eq!(
            told(POD, None),
            "osm a {\n  inbound {\n    exclude port 9090\n  }\n}\nthe MeshConfig decides, too, \
             and it is not known: its defaults are taken\n"
        );
    }
}
