//! What decides about traffic in OSM: annotations of a pod, and fields of the `MeshConfig`.

use serde_json::Value;

use super::finding::Report;
use crate::import::json::{list_of, object, text, wrong_type};
use crate::import::words::misspelt;
use crate::import::{GeneralRemark, Given};

/// A list, of which the mesh has one and the pod another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    InboundPorts,
    OutboundPorts,
    Excluded,
    Captured,
}

/// An annotation, the field that says the same of every pod, and which list it is.
const LISTS: [(List, &str, &str); 4] = [
    (
        List::InboundPorts,
        "openservicemesh.io/inbound-port-exclusion-list",
        "inboundPortExclusionList",
    ),
    (
        List::OutboundPorts,
        "openservicemesh.io/outbound-port-exclusion-list",
        "outboundPortExclusionList",
    ),
    (
        List::Excluded,
        "openservicemesh.io/outbound-ip-range-exclusion-list",
        "outboundIPRangeExclusionList",
    ),
    (
        List::Captured,
        "openservicemesh.io/outbound-ip-range-inclusion-list",
        "outboundIPRangeInclusionList",
    ),
];

/// The list of the mesh that no pod has one beside.
const INTERFACES: &str = "networkInterfaceExclusionList";

/// Asks for the proxy, or says no to it.
pub(super) const INJECTION: &str = "openservicemesh.io/sidecar-injection";

/// Some items of a list, and where they are from.
#[derive(Clone, Debug)]
pub(super) struct Items {
    pub(super) given: Given,
    pub(super) items: Vec<String>,
}

/// Everything that decides about traffic.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// Lists of the mesh.
    mesh: Vec<(List, Items)>,
    /// Lists of the pod.
    pod: Vec<(List, Items)>,
    /// Interfaces on which nothing is captured.
    pub(super) interfaces: Option<Items>,
    /// How the proxy reaches its workload.
    pub(super) local_mode: Option<Given>,
    /// The pod's address.
    pub(super) pod_address: Option<Given>,
}

impl Options {
    /// The pod's own.
    pub(super) fn of_pod(&self, list: List) -> impl Iterator<Item = &Items> {
        self.pod.iter().filter(move |(known, _)| *known == list).map(|(_, items)| items)
    }

    /// Those of the mesh.
    pub(super) fn of_mesh(&self, list: List) -> impl Iterator<Item = &Items> {
        self.mesh.iter().filter(move |(known, _)| *known == list).map(|(_, items)| items)
    }

    /// Reads an annotation, if it decides about traffic; whether it does.
    pub(super) fn annotation(&mut self, key: &str, value: &str) -> bool {
        let known = LISTS.iter().find(|(_, annotation, _)| *annotation == key);
        if let Some((list, _, _)) = known {
            let items = value.split(',').map(|item| item.trim().to_owned()).collect();
            self.pod.push((*list, Items { given: Given::field(key, value), items }));
        }
        known.is_some() || key == INJECTION
    }

    /// Reads a `MeshConfig`. Most of it is about other things than traffic's way to the proxy.
    pub(super) fn mesh_config(&mut self, config: &Value, report: &mut Report) {
        let spec = object("spec", &config["spec"], report);
        let part = |key: &str, report: &mut Report| {
            spec.and_then(|spec| object(key, spec.get(key)?, report))
        };
        let fields = || LISTS.iter().map(|(_, _, field)| *field).chain([INTERFACES]);
        for (key, value) in part("traffic", report).into_iter().flatten() {
            let known = LISTS.iter().find(|(_, _, field)| field == key);
            if let Some((list, _, _)) = known {
                let is_ports = matches!(list, List::InboundPorts | List::OutboundPorts);
                let items = items(key, value, is_ports, report);
                self.mesh.extend(items.map(|items| (*list, items)));
            } else if key == INTERFACES {
                self.interfaces = items(key, value, false, report);
            } else if let Some(near) = misspelt(key, fields()) {
                let nearest = Some(near.to_owned());
                report.note(&Given::field(key, ""), GeneralRemark::NotAnOption { nearest });
            }
        }
        if let Some(mode) = part("sidecar", report).and_then(|part| part.get("localProxyMode")) {
            let mode = text("localProxyMode", mode, report);
            self.local_mode = mode.map(|mode| Given::field("localProxyMode", mode));
        }
    }
}

/// The items of an array of numbers or of texts.
fn items(key: &str, value: &Value, numbers: bool, report: &mut Report) -> Option<Items> {
    let items = list_of(key, value, report, |item, report| match item {
        Value::Number(number) if numbers => Some(number.to_string()),
        Value::String(text) if !numbers => Some(text.clone()),
        other => {
            let expected = if numbers { "a number" } else { "text" };
            let given = Given::field(key, other.to_string());
            report.refuse(&given, wrong_type(other, expected));
            None
        }
    })?;
    Some(Items { given: Given::field(key, items.join(",")), items })
}
