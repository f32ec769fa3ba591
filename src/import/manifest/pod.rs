//! A pod, and what its containers are given.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::node::Node;
use super::object::Object;
use super::{refuse_text, span};
use crate::import::environment::Environment;
use crate::import::general::{GeneralReason, GeneralRemark};
use crate::import::report::{Places, Report};
use crate::import::{Given, NoRules};
use crate::span::{FileId, Span};

/// A pod, or what a Deployment or the like makes pods of.
#[derive(Debug)]
pub(crate) struct Pod<'a> {
    /// What the manifest calls the object.
    pub(crate) name: Option<&'a str>,
    /// The namespace that the manifest says.
    pub(crate) namespace: Option<&'a str>,
    /// That namespace, if it is among the manifests.
    pub(crate) its_namespace: Option<Object<'a>>,
    /// Its annotations.
    pub(crate) annotations: BTreeMap<&'a str, &'a str>,
    /// Its labels.
    pub(crate) labels: BTreeMap<&'a str, &'a str>,
    /// Its containers; those that run first come first.
    pub(crate) containers: Vec<&'a Node>,
    pub(super) file: FileId,
    /// The kind of the object that it is or that makes it.
    pub(super) kind: &'a str,
    pub(super) metadata: &'a Node,
    pub(super) spec: &'a Node,
    pub(super) status: &'a Node,
    /// Where its annotations, labels, arguments and variables are.
    pub(super) places: Rc<Places>,
}

impl<'a> Pod<'a> {
    /// What keeps it running: the kind and the name of its owner, or else of itself. A `ReplicaSet` that a
    /// Deployment made has the hash of its template behind the name, and a Job that a `CronJob` made a
    /// time.
    fn owner(&self) -> (&'a str, Option<&'a str>) {
        let owners = self.metadata["ownerReferences"].items();
        let owner = owners.iter().find(|owner| owner["controller"] == true).or(owners.first());
        let known =
            owner.and_then(|owner| Some((owner["kind"].as_str()?, owner["name"].as_str()?)));
        let Some((kind, name)) = known else { return (self.kind, self.name) };
        let hash = self.labels.get("pod-template-hash").copied();
        let deployment = hash.and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
        let is_time = |tail: &str| tail.len() >= 8 && tail.bytes().all(|it| it.is_ascii_digit());
        let cron = name.rsplit_once('-').filter(|(_, tail)| is_time(tail)).map(|(head, _)| head);
        match (kind, deployment, cron) {
            ("ReplicaSet", Some(deployment), _) => ("Deployment", Some(deployment)),
            ("Job", _, Some(cron)) => ("CronJob", Some(cron)),
            _ => (kind, Some(name)),
        }
    }

    /// The name of what keeps it running.
    pub(super) fn owner_name(&self) -> Option<&'a str> {
        self.owner().1
    }

    /// What it is called where a policy says of what it is: `Deployment shop/payments`.
    pub(super) fn workload(&self) -> String {
        let (kind, name) = self.owner();
        let kind = if kind.is_empty() { "Pod" } else { kind };
        let name = name.unwrap_or("without a name");
        match self.namespace {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        }
    }

    /// What its policy is called: its namespace and its owner; `None` if it has no name.
    pub(super) fn policy_name(&self) -> Option<String> {
        let (_, name) = self.owner();
        let name = name?;
        Some(match self.namespace {
            Some(namespace) => format!("{namespace}-{name}"),
            None => name.to_owned(),
        })
    }

    /// The container of that name.
    pub(crate) fn container(&self, name: &str) -> Option<&'a Node> {
        self.containers.iter().copied().find(|container| container["name"] == name)
    }

    /// The containers that run as long as the pod does.
    pub(crate) fn main_containers(&self) -> impl Iterator<Item = &'a Node> {
        self.spec["containers"].items().iter()
    }

    /// The number that its security context has for a container under `key`, as `runAsUser`: what a
    /// container says of itself wins over what is said of its pod.
    pub(crate) fn runs_as(&self, container: &Node, key: &str) -> Option<u32> {
        let contexts = [container, self.spec].map(|it| &it["securityContext"][key]);
        let said = contexts.into_iter().find(|said| !said.is_null())?;
        u32::try_from(said.as_u64()?).ok()
    }

    /// Where that number is written; where the container is, if it is not.
    pub(crate) fn place_of(&self, container: &Node, key: &str) -> Span {
        let contexts = [container, self.spec].map(|it| it["securityContext"].entry(key));
        let entry = contexts.into_iter().flatten().next().or_else(|| container.entry("name"));
        span(self.file, entry.map_or(container.at, |entry| entry.key_at))
    }

    /// Whether it shares the node's network.
    pub(crate) fn is_on_host_network(&self) -> bool {
        self.spec["hostNetwork"] == true
    }

    /// Its addresses, if it runs and the manifest was fetched from the cluster.
    pub(crate) fn addresses(&self) -> Vec<std::net::IpAddr> {
        let listed = self.status["podIPs"].items().iter().map(|address| &address["ip"]);
        let single = std::iter::once(&self.status["podIP"]);
        let parsed = |address: &Node| address.as_str()?.parse().ok();
        let mut addresses: Vec<_> = listed.filter_map(parsed).collect();
        if addresses.is_empty() {
            addresses.extend(single.filter_map(parsed));
        }
        addresses
    }

    /// The servers of its resolv.conf, if it does not get the node's or the cluster's.
    pub(crate) fn resolvers(&self) -> Option<Vec<String>> {
        (self.spec["dnsPolicy"] == "None").then(|| {
            let servers = self.spec["dnsConfig"]["nameservers"].items().iter();
            servers.filter_map(Node::as_str).map(str::to_owned).collect()
        })
    }

    /// Why there are no rules, if it shares the node's network.
    pub(crate) fn has_own_network(&self) -> Result<(), NoRules> {
        if self.is_on_host_network() { Err(NoRules::HostNetwork) } else { Ok(()) }
    }
}

/// The arguments of a container, with the command before them.
pub(crate) fn arguments<R, M: From<GeneralReason>>(
    container: &Node,
    report: &mut Report<R, M>,
) -> Vec<String> {
    let words = ["command", "args"].into_iter().flat_map(|key| container[key].items());
    let mut arguments = Vec::new();
    for word in words {
        if let Some(word) = word.as_str() {
            arguments.push(word.to_owned());
        } else {
            refuse_text("args", word, report);
        }
    }
    arguments
}

/// The variables of a container whose values are in the manifest. For those whose are not, see
/// [`note_absent`].
pub(crate) fn environment(container: &Node) -> Environment {
    let variables =
        container["env"].items().iter().filter(|variable| variable["valueFrom"].is_null());
    variables
        .filter_map(|variable| {
            let value = variable["value"].as_str().unwrap_or_default();
            Some((variable["name"].as_str()?.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Notes the variables that set an option, but whose values are elsewhere in the cluster.
pub(crate) fn note_absent<R: From<GeneralRemark>, M>(
    container: &Node,
    sets_option: impl Fn(&str) -> bool,
    report: &mut Report<R, M>,
) {
    for variable in container["env"].items() {
        let name = variable["name"].as_str().unwrap_or_default();
        if !variable["valueFrom"].is_null() && sets_option(name) {
            report.note(&Given::field(name, ""), GeneralRemark::ValueElsewhere);
        }
    }
    if !container["envFrom"].items().is_empty() {
        report.remark(GeneralRemark::EnvironmentElsewhere);
    }
}
