//! An object of a manifest, and the pod in it.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::node::{NOTHING, Node};
use super::pod::Pod;
use super::{Mesh, Namespaces, refuse_text, span};
use crate::import::general::{GeneralReason, GeneralRemark, Sort};
use crate::import::report::{Places, Report};
use crate::span::{FileId, Span};

/// An object: what has a `kind` and a `metadata`, or a fragment of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<'a> {
    pub(super) file: FileId,
    /// All of it.
    pub(crate) node: &'a Node,
}

/// Where an object keeps its pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Template<'a> {
    /// What has `metadata` and `spec` of the pod.
    node: &'a Node,
    /// The way to it, with a `.` behind; empty where the object is the pod.
    pub(super) path: &'static str,
}

impl<'a> Object<'a> {
    /// Adds the object, or those of it if it is a list.
    pub(super) fn add(file: FileId, node: &'a Node, objects: &mut Vec<Self>) {
        let is_list = node["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        if is_list && node["items"].is_list() {
            for item in node["items"].items() {
                Self::add(file, item, objects);
            }
        } else {
            objects.push(Self { file, node });
        }
    }

    /// Its kind; nothing for a fragment.
    pub(crate) fn kind(&self) -> &'a str {
        self.node["kind"].as_str().unwrap_or_default()
    }

    /// What it is called.
    pub(crate) fn name(&self) -> Option<&'a str> {
        let metadata = &self.node["metadata"];
        let prefix = metadata["generateName"].as_str().map(|name| name.trim_end_matches('-'));
        metadata["name"].as_str().or(prefix)
    }

    /// The namespace that it says it is in.
    pub(crate) fn namespace(&self) -> Option<&'a str> {
        self.node["metadata"]["namespace"].as_str()
    }

    /// The texts under `key` of its own metadata: `labels`, `annotations`.
    pub(crate) fn own(&self, key: &str) -> BTreeMap<&'a str, &'a str> {
        let entries = self.node["metadata"][key].entries().iter();
        entries.filter_map(|entry| Some((entry.key.as_str(), entry.value.as_str()?))).collect()
    }

    /// The place that is shown for it: its name.
    pub(crate) fn place(&self) -> Span {
        let metadata = &self.node["metadata"];
        let named = ["name", "generateName"].map(|key| metadata.entry(key));
        let entry = named.into_iter().flatten().next().or_else(|| self.node.entries().first());
        span(self.file, entry.map_or(self.node.at, |entry| entry.key_at))
    }

    /// Where it keeps a pod; `None` if it has none.
    pub(super) fn template(&self) -> Option<Template<'a>> {
        let (node, spec) = (self.node, &self.node["spec"]);
        let at = |node, path| Template { node, path };
        let template = match self.kind() {
            "Pod" | "VirtualMachineInstance" => at(node, ""),
            "PodTemplate" => at(&node["template"], "template."),
            "CronJob" => {
                at(&spec["jobTemplate"]["spec"]["template"], "spec.jobTemplate.spec.template.")
            }
            "VirtualMachinePool" => at(
                &spec["virtualMachineTemplate"]["spec"]["template"],
                "spec.virtualMachineTemplate.spec.template.",
            ),
            "" if has_containers(spec) => at(node, ""),
            _ => at(&spec["template"], "spec.template."),
        };
        let spec = &template.node["spec"];
        let is_pod = has_containers(spec) || spec["domain"].is_object();
        is_pod.then_some(template)
    }

    /// The pod that it is or makes. An object without one is noted, unless it is of a kind that says
    /// something about others.
    pub(super) fn pod<R, M>(
        &self,
        mesh: &Mesh,
        namespaces: &Namespaces<'a>,
        report: &mut Report<R, M>,
    ) -> Option<Pod<'a>>
    where
        R: From<GeneralRemark>,
        M: From<GeneralReason>,
    {
        let Some(Template { node, .. }) = self.template() else {
            if self.kind().is_empty() && has_containers(self.node) {
                report.remark(GeneralRemark::Fragment);
                return Some(self.pod_of(&NOTHING, self.node, &NOTHING, mesh, namespaces, report));
            }
            if !is_about_others(self, mesh) {
                let kind = if self.node.is_object() { self.kind() } else { "document" };
                let kind = kind.to_owned();
                report.remark(if kind.is_empty() {
                    GeneralRemark::NoKind
                } else {
                    GeneralRemark::NoPod { kind }
                });
            }
            return None;
        };
        Some(self.pod_of(
            &node["metadata"],
            &node["spec"],
            &node["status"],
            mesh,
            namespaces,
            report,
        ))
    }

    fn pod_of<R, M: From<GeneralReason>>(
        &self,
        metadata: &'a Node,
        spec: &'a Node,
        status: &'a Node,
        mesh: &Mesh,
        namespaces: &Namespaces<'a>,
        report: &mut Report<R, M>,
    ) -> Pod<'a> {
        let words = &mesh.vocabulary;
        let mut places = Places::default();
        let mut texts = |key: &str, report: &mut Report<R, M>| {
            texts(&metadata[key], self.file, &mut places, report)
        };
        let (mut annotations, mut labels) = (texts("annotations", report), texts("labels", report));
        let containers: Vec<_> = ["initContainers", "containers"]
            .into_iter()
            .flat_map(|key| spec[key].items())
            .collect();
        for container in &containers {
            add_places(container, self.file, &mut places);
        }
        let namespace = self.namespace();
        let its_namespace = namespace.and_then(|name| namespaces.get(name)).copied();
        if let (Some(of), Some(sort)) = (its_namespace, words.inherited) {
            let own = match sort {
                Sort::Annotation => &mut annotations,
                Sort::Label => &mut labels,
            };
            for (name, value) in of.own(sort.key()) {
                if words.namespace.contains(&name) {
                    own.entry(name).or_insert(value);
                }
            }
        }
        Pod {
            name: self.name(),
            namespace,
            its_namespace,
            annotations,
            labels,
            containers,
            file: self.file,
            kind: self.kind(),
            metadata,
            spec,
            status,
            places: Rc::new(places),
        }
    }
}

/// Whether an object without a pod says something about pods, or is no manifest.
fn is_about_others(object: &Object<'_>, mesh: &Mesh) -> bool {
    let has = |key: &&str| object.node.entry(key).is_some();
    let kind = object.kind();
    kind == "Namespace"
        || mesh.kinds.contains(&kind)
        || (kind.is_empty() && mesh.keys.iter().any(has))
}

fn has_containers(spec: &Node) -> bool {
    spec["containers"].is_list() || spec["initContainers"].is_list()
}

/// Names and texts. Anything but text is a mistake, as it is for Kubernetes.
fn texts<'a, R, M: From<GeneralReason>>(
    node: &'a Node,
    file: FileId,
    places: &mut Places,
    report: &mut Report<R, M>,
) -> BTreeMap<&'a str, &'a str> {
    let mut texts = BTreeMap::new();
    for entry in node.entries() {
        let place = span(file, entry.key_at);
        places.insert(entry.key.clone(), place);
        if let Some(text) = entry.value.as_str() {
            texts.insert(entry.key.as_str(), text);
        } else {
            report.at(place, |report| refuse_text(&entry.key, &entry.value, report));
        }
    }
    texts
}

/// The places of the arguments and of the variables of a container.
fn add_places(container: &Node, file: FileId, places: &mut Places) {
    for word in ["command", "args"].into_iter().flat_map(|key| container[key].items()) {
        if let Some(flag) = word.as_str().filter(|word| word.starts_with('-')) {
            let name = flag.split('=').next().unwrap_or_default();
            places.entry(name.to_owned()).or_insert_with(|| span(file, word.at));
        }
    }
    for variable in container["env"].items() {
        if let Some(name) = variable["name"].as_str() {
            let place = span(file, variable["name"].at);
            places.entry(name.to_owned()).or_insert(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Manifest, Mesh, Namespaces, Vocabulary};
    use crate::import::report::Report;
    use crate::import::{GeneralReason, GeneralRemark};
    use crate::span::Sources;

    const MESH: Mesh = Mesh {
        name: "mesh",
        title: "Mesh",
        vocabulary: Vocabulary {
            domains: &[],
            annotations: &[],
            labels: &[],
            namespace: &[],
            namespace_sort: None,
            inherited: None,
            unrelated: &[],
        },
        kinds: &[],
        keys: &[],
    };

    /// Names of the pods in `text`, then what is said about it.
    fn told(text: &str) -> String {
        let mut report = Report::<GeneralRemark, GeneralReason>::default();
        let mut told = Vec::new();
        let manifest = Manifest::read(&Sources::of("m", text), &mut report);
        for object in manifest.objects() {
            report.begin(object.name(), None);
            if let Some(pod) = object.pod(&MESH, &Namespaces::new(), &mut report) {
                told.push(format!("pod {}", pod.name.unwrap_or("-")));
            }
        }
        told.extend(report.notes.iter().map(ToString::to_string));
        told.extend(report.mistakes.iter().map(ToString::to_string));
        told.join("\n")
    }

    #[test]
    fn pods_are_found_where_kinds_keep_them() {
        for (text, expected) in [
            ("kind: Pod\nmetadata: {name: a}\nspec: {containers: []}\n", "pod a"),
            ("kind: Pod\nmetadata: {generateName: a-}\nspec: {containers: []}\n", "pod a"),
            (
                "kind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: []}}}",
                "pod a",
            ),
            ("kind: PodTemplate\ntemplate: {spec: {containers: []}}", "pod -"),
            (
                "kind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: {containers: []}}}}}",
                "pod -",
            ),
            (
                "kind: VirtualMachineInstance\nmetadata: {name: a}\nspec: {domain: {}}\n---\n\
                 kind: VirtualMachine\nspec: {template: {spec: {domain: {}}}}\n---\n\
                 kind: VirtualMachinePool\n\
                 spec: {virtualMachineTemplate: {spec: {template: {spec: {domain: {}}}}}}",
                "pod a\npod -\npod -",
            ),
            (
                r#"{"kind": "List", "items": [{"kind": "Pod", "spec": {"containers": []}}, 7]}"#,
                "pod -\nno pod in this document",
            ),
            (
                "kind: Service\nmetadata: {name: a}\n---\n---\nkind: Rollout\n\
                 spec: {template: {spec: {containers: []}}}\n",
                "pod -\na: no pod in this Service",
            ),
            (
                "initContainers: [{name: istio-init}]",
                "pod -\nwithout `kind`, `metadata` and `spec` this is read as the `spec` of a pod",
            ),
            ("spec: {containers: []}", "pod -"),
            (
                "metadata: {annotations: {}}",
                "no pod here: there is neither a `kind` nor a `spec` with `containers`",
            ),
            ("kind: HelmRelease\nspec: {template: text}", "no pod in this HelmRelease"),
            ("", ""),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn what_yaml_does_not_allow_is_a_mistake() {
        for (text, expected) in [
            (
                "metadata:\n  name: x\n bad: y\n",
                "not YAML: while parsing a block mapping, did not find expected key (line 3, \
                 column 2)",
            ),
            (
                "kind: Pod\nmetadata: {annotations: {a: 15020, b: true}}\nspec: {containers: []}",
                "pod -\n`a: 15020`: a number where text in quotes is expected\n\
                 `b: true`: a boolean where text in quotes is expected",
            ),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for depth in 1..20 {
            let alias = vec![format!("*a{}", depth - 1); 10].join(", ");
            bomb.extend([format!("a{depth}: &a{depth} [{alias}]\n")]);
        }
        assert!(told(&bomb).starts_with("not YAML: "), "{}", told(&bomb));
        assert!(told(&"[".repeat(100_000)).starts_with("not YAML: "));
    }
}
