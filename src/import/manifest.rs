//! Pods of a YAML or JSON text, also those inside of other objects.

use std::collections::BTreeMap;

use serde_json::Value;

use super::environment::Environment;
use super::general::{GeneralReason, GeneralRemark};
use super::json::wrong_type;
use super::naming::Names;
use super::report::Report;
use super::{Context, Given, Imported, NoRules, Refused};
use crate::policy::{Kind, Policy};

/// The policies that `read` makes of the pods of a manifest in YAML or JSON: of several documents,
/// of lists, and of anything with a pod template. `mesh` is what a policy is called whose pod has
/// no name. A pod of which `read` has no policy is noted.
pub(crate) fn policies<R, M>(
    text: &str,
    mesh: &'static str,
    context: &Context,
    mut read: impl FnMut(&Pod<'_>, &mut Report<R, M>) -> Result<Kind, NoRules>,
) -> Result<Imported<R>, Refused<R, M>>
where
    R: From<GeneralRemark>,
    M: From<GeneralReason>,
{
    let mut report = Report::default();
    let documents = documents(text).unwrap_or_else(|reason| {
        report.fail(reason);
        Vec::new()
    });
    let pods: Vec<_> = documents.iter().flat_map(|document| pods(document, &mut report)).collect();
    let mut names = Names::of(mesh);
    let mut policies = Vec::new();
    for pod in &pods {
        report.about = pod.name.map(str::to_owned);
        match read(pod, &mut report) {
            Ok(kind) => {
                let name = names.take(context.name.as_ref(), pod.name, &mut report);
                policies.push(Policy { name, kind, expectations: Vec::new() });
            }
            Err(why) => report.remark(GeneralRemark::NoRules(why)),
        }
    }
    if documents.len() <= 1 && pods.len() <= 1 {
        report.forget_about();
    }
    if pods.is_empty() && report.mistakes.is_empty() {
        report.fail(GeneralReason::Nothing);
    }
    report.finish(policies)
}

/// A pod, or what a Deployment or the like makes pods of.
#[derive(Debug)]
pub(crate) struct Pod<'a> {
    /// What the manifest calls the object.
    pub(crate) name: Option<&'a str>,
    /// Its annotations.
    pub(crate) annotations: BTreeMap<&'a str, &'a str>,
    /// Its labels.
    pub(crate) labels: BTreeMap<&'a str, &'a str>,
    /// Its containers; those that run first come first.
    pub(crate) containers: Vec<&'a Value>,
    spec: &'a Value,
    status: &'a Value,
}

impl<'a> Pod<'a> {
    /// The container of that name.
    pub(crate) fn container(&self, name: &str) -> Option<&'a Value> {
        self.containers.iter().copied().find(|container| container["name"] == name)
    }

    /// The containers that run as long as the pod does.
    pub(crate) fn main_containers(&self) -> impl Iterator<Item = &'a Value> {
        array(&self.spec["containers"]).iter()
    }

    /// The number that its security context has for a container under `key`, as `runAsUser`: what a
    /// container says of itself wins over what is said of its pod.
    pub(crate) fn runs_as(&self, container: &Value, key: &str) -> Option<u32> {
        let contexts = [container, self.spec].map(|it| &it["securityContext"][key]);
        let said = contexts.into_iter().find(|said| !said.is_null())?;
        u32::try_from(said.as_u64()?).ok()
    }

    /// Whether it shares the node's network.
    pub(crate) fn is_on_host_network(&self) -> bool {
        self.spec["hostNetwork"] == true
    }

    /// Its addresses, if it runs and the manifest was fetched from the cluster.
    pub(crate) fn addresses(&self) -> Vec<std::net::IpAddr> {
        let listed = array(&self.status["podIPs"]).iter().map(|address| &address["ip"]);
        let single = std::iter::once(&self.status["podIP"]);
        let parsed = |address: &Value| address.as_str()?.parse().ok();
        let mut addresses: Vec<_> = listed.filter_map(parsed).collect();
        if addresses.is_empty() {
            addresses.extend(single.filter_map(parsed));
        }
        addresses
    }

    /// The servers of its resolv.conf, if it does not get the node's or the cluster's.
    pub(crate) fn resolvers(&self) -> Option<Vec<String>> {
        (self.spec["dnsPolicy"] == "None").then(|| {
            let servers = array(&self.spec["dnsConfig"]["nameservers"]).iter();
            servers.filter_map(Value::as_str).map(str::to_owned).collect()
        })
    }
}

/// The documents of a text in YAML, of which JSON is a part.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>, GeneralReason> {
    // Room for every pod of a large cluster, but little for what aliases repeat.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 100_000,
            max_nodes: 20_000_000,
            max_events: 40_000_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
        },
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let place = error.location();
        let said = error.without_snippet().to_string();
        GeneralReason::Unreadable {
            form: "YAML",
            why: said.split(" at line ").next().unwrap_or_default().to_owned(),
            line: place.map_or(1, |place| place.line()),
            column: place.map_or(1, |place| place.column()),
        }
    })
}

/// The pods of an object, or of the objects of a list. An object without one is noted.
fn pods<'a, R, M>(object: &'a Value, report: &mut Report<R, M>) -> Vec<Pod<'a>>
where
    R: From<GeneralRemark>,
    M: From<GeneralReason>,
{
    let kind = object["kind"].as_str().unwrap_or_default();
    if kind.ends_with("List") && object["items"].is_array() {
        return array(&object["items"]).iter().flat_map(|item| pods(item, report)).collect();
    }
    let spec = &object["spec"];
    let template = match kind {
        "Pod" => object,
        "PodTemplate" => &object["template"],
        "CronJob" => &spec["jobTemplate"]["spec"]["template"],
        _ => &spec["template"],
    };
    let name = name(&object["metadata"]);
    report.about = name.map(str::to_owned);
    if !template["spec"]["containers"].is_array() {
        let kind = if object.is_object() { kind } else { "document" };
        report.remark(GeneralRemark::NoPod { kind: kind.to_owned() });
        return Vec::new();
    }
    vec![Pod {
        name,
        annotations: texts(&template["metadata"]["annotations"], report),
        labels: texts(&template["metadata"]["labels"], report),
        containers: ["initContainers", "containers"]
            .into_iter()
            .flat_map(|key| array(&template["spec"][key]))
            .collect(),
        spec: &template["spec"],
        status: &template["status"],
    }]
}

fn name(metadata: &Value) -> Option<&str> {
    let prefix = metadata["generateName"].as_str().map(|name| name.trim_end_matches('-'));
    metadata["name"].as_str().or(prefix)
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Names and texts. Anything but text is a mistake, as it is for Kubernetes.
fn texts<'a, R, M: From<GeneralReason>>(
    value: &'a Value,
    report: &mut Report<R, M>,
) -> BTreeMap<&'a str, &'a str> {
    let mut texts = BTreeMap::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => {
                texts.insert(name.as_str(), text.as_str());
            }
            other => report.refuse(
                &Given::field(name, other.to_string()),
                wrong_type(other, "text in quotes"),
            ),
        }
    }
    texts
}

/// The arguments of a container, with the command before them.
pub(crate) fn arguments<R, M: From<GeneralReason>>(
    container: &Value,
    report: &mut Report<R, M>,
) -> Vec<String> {
    let words = ["command", "args"].into_iter().flat_map(|key| array(&container[key]));
    let mut arguments = Vec::new();
    for word in words {
        match word {
            Value::String(word) => arguments.push(word.clone()),
            other => report.refuse(
                &Given::field("args", other.to_string()),
                wrong_type(other, "text in quotes"),
            ),
        }
    }
    arguments
}

/// The variables of a container whose values are in the manifest. For those whose are not, see
/// [`note_absent`].
pub(crate) fn environment(container: &Value) -> Environment {
    let variables =
        array(&container["env"]).iter().filter(|variable| variable["valueFrom"].is_null());
    variables
        .filter_map(|variable| {
            let value = variable["value"].as_str().unwrap_or_default();
            Some((variable["name"].as_str()?.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Notes the variables that set an option, but whose values are elsewhere in the cluster.
pub(crate) fn note_absent<R: From<GeneralRemark>, M>(
    container: &Value,
    sets_option: impl Fn(&str) -> bool,
    report: &mut Report<R, M>,
) {
    for variable in array(&container["env"]) {
        let name = variable["name"].as_str().unwrap_or_default();
        if !variable["valueFrom"].is_null() && sets_option(name) {
            report.note(&Given::field(name, ""), GeneralRemark::ValueElsewhere);
        }
    }
    if !array(&container["envFrom"]).is_empty() {
        report.remark(GeneralRemark::EnvironmentElsewhere);
    }
}

#[cfg(test)]
mod tests {
    use super::{documents, pods};
    use crate::import::report::Report;
    use crate::import::{GeneralReason, GeneralRemark};

    /// Names of the pods in `text`, then what is said about it.
    fn told(text: &str) -> String {
        let mut report = Report::<GeneralRemark, GeneralReason>::default();
        let mut told = Vec::new();
        let documents = documents(text).unwrap_or_else(|reason| {
            report.fail(reason);
            Vec::new()
        });
        for document in documents {
            for pod in pods(&document, &mut report) {
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
                r#"{"kind": "List", "items": [{"kind": "Pod", "spec": {"containers": []}}, 7]}"#,
                "pod -\nno pod in this document",
            ),
            (
                "kind: Service\nmetadata: {name: a}\n---\n---\nkind: Rollout\n\
                 spec: {template: {spec: {containers: []}}}\n",
                "pod -\na: no pod in this Service",
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
