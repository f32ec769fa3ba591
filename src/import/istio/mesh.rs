//! The mesh's own configuration: Helm values, `IstioOperator`, `MeshConfig`, `ProxyConfig`, and the
//! `ConfigMap`s that come of them.

use std::collections::BTreeMap;

use super::annotation::{
    INBOUND_PORTS, INBOUND_PORTS_EXCLUDED, OUTBOUND_PORTS, OUTBOUND_PORTS_EXCLUDED,
    OUTBOUND_RANGES, OUTBOUND_RANGES_EXCLUDED, STATUS_PORT,
};
use super::finding::{Remark, Report};
use crate::import::environment::Environment;
use crate::import::go::boolean;
use crate::import::manifest::{self, Manifest, Node, Object, Pod};
use crate::import::words::misspelt;
use crate::import::{GeneralRemark, Given};
use crate::span::Sources;

/// Top-level keys of Helm values of Istio's charts, and of a `MeshConfig`.
pub(super) const VALUES: &[&str] = &[
    "global",
    "meshConfig",
    "pilot",
    "cni",
    "istio_cni",
    "sidecarInjectorWebhook",
    "defaultConfig",
    "proxyListenPort",
    "proxyInboundListenPort",
    "ambient",
    "excludeNamespaces",
];

/// Kinds of objects that have a part of it.
pub(super) const KINDS: &[&str] =
    &["ConfigMap", "IstioOperator", "ProxyConfig", "Istio", "IstioCNI"];

/// Where `ProxyConfig`s of the whole mesh are, if the `MeshConfig` does not say so.
const ROOT: &str = "istio-system";

/// Values of the proxy that stand in for annotations.
const PROXY: &[(&str, &str)] = &[
    ("includeIPRanges", OUTBOUND_RANGES),
    ("excludeIPRanges", OUTBOUND_RANGES_EXCLUDED),
    ("includeInboundPorts", INBOUND_PORTS),
    ("excludeInboundPorts", INBOUND_PORTS_EXCLUDED),
    ("includeOutboundPorts", OUTBOUND_PORTS),
    ("excludeOutboundPorts", OUTBOUND_PORTS_EXCLUDED),
    ("statusPort", STATUS_PORT),
];

/// Values of the injector's webhook that choose pods by their labels.
const SELECTORS: &[&str] = &["neverInjectSelector", "alwaysInjectSelector", "templates"];

/// What the mesh's own configuration says, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Mesh {
    /// By the annotation that it stands in for.
    defaults: BTreeMap<&'static str, Given>,
    /// Whether the CNI plugin makes the rules; `None` if that is not known.
    pub(super) cni: Option<bool>,
    /// Whether pods of namespaces that say nothing are injected.
    pub(super) injects_by_default: bool,
    /// The templates of pods that name none.
    pub(super) templates: Vec<String>,
    /// The mode of pods that name none.
    pub(super) mode: Option<Given>,
    /// Variables of every proxy.
    pub(super) metadata: Environment,
    /// Where the proxy takes outbound connections.
    pub(super) outbound_port: Option<Given>,
    /// Where the proxy takes inbound connections.
    pub(super) inbound_port: Option<Given>,
    /// The tag of the images.
    pub(super) tag: Option<String>,
    /// What the CNI agent is told about ambient mode.
    pub(super) ambient: AmbientDefaults,
    /// `ProxyConfig`s: namespace, labels, variables.
    configs: Vec<(String, BTreeMap<String, String>, Environment)>,
    root: Option<String>,
}

/// What the CNI agent is told about ambient mode.
#[derive(Clone, Debug, Default)]
pub(super) struct AmbientDefaults {
    pub(super) ipv6: Option<bool>,
    pub(super) dns: Option<bool>,
    pub(super) probe_v4: Option<Given>,
    pub(super) probe_v6: Option<Given>,
}

impl Mesh {
    /// What a text says, in which values and a `MeshConfig` may stand alone.
    pub(super) fn of_text(text: Option<&str>, report: &mut Report) -> Self {
        let mut mesh = Self::default();
        if let Some(text) = text {
            let manifest = Manifest::read(&Sources::of("mesh configuration", text), report);
            // Their places are in another text than those of the manifests.
            report.begin(None, None);
            for object in manifest.objects() {
                mesh.object(&object, report);
            }
        }
        mesh
    }

    /// The same with what is among the manifests.
    pub(super) fn with(&self, objects: &[Object<'_>], report: &mut Report) -> Self {
        let mut mesh = self.clone();
        for object in objects {
            report.begin(object.name(), Some(object.place()));
            mesh.object(object, report);
        }
        mesh
    }

    /// What the pod says, or else the mesh, under the name of an annotation. The injector has written
    /// what the mesh says into a pod that it has injected.
    pub(super) fn setting(&self, pod: &Pod<'_>, key: &'static str) -> Option<Given> {
        if let Some(value) = pod.annotations.get(key) {
            return Some(Given::field(key, *value));
        }
        let default = self.defaults.get(key)?;
        let is_open = !pod.annotations.contains_key(super::annotation::STATUS);
        // The template leaves an empty range out, which the plugin takes for its own default.
        let is_said = !default.value.is_empty() || self.cni == Some(false);
        (is_open && is_said).then(|| default.clone())
    }

    /// The variables of a pod's proxy: those of the mesh, of the pod's `own` configuration, and of
    /// `ProxyConfig`s (`pilot/pkg/model/proxy_config.go`). Later ones win.
    pub(super) fn variables(&self, pod: &Pod<'_>, own: Environment) -> Environment {
        let root = self.root.as_deref().unwrap_or(ROOT);
        let namespace = pod.namespace.unwrap_or("default");
        let mut all = self.metadata.clone();
        let of = |of: &str, has_selector: bool| {
            let of = of.to_owned();
            self.configs.iter().filter(move |(namespace, labels, _)| {
                *namespace == of && labels.is_empty() != has_selector
            })
        };
        for (_, _, variables) in of(root, false) {
            all.extend(variables.clone());
        }
        if namespace != root {
            for (_, _, variables) in of(namespace, false) {
                all.extend(variables.clone());
            }
        }
        all.extend(own);
        let selects = |labels: &BTreeMap<String, String>| {
            labels
                .iter()
                .all(|(key, value)| pod.labels.get(key.as_str()).is_some_and(|own| *own == value))
        };
        for (_, labels, variables) in of(namespace, true) {
            if selects(labels) {
                all.extend(variables.clone());
            }
        }
        all
    }

    fn object(&mut self, object: &Object<'_>, report: &mut Report) {
        let (node, spec) = (object.node, &object.node["spec"]);
        match object.kind() {
            "ConfigMap" => self.config_map(object, report),
            "IstioOperator" => {
                self.mesh_config(&spec["meshConfig"], report);
                self.values(&spec["values"], report);
                if let Some(on) = switch(&spec["components"]["cni"]["enabled"]) {
                    self.cni = Some(on);
                }
                self.tag = text(&spec["tag"]).or(self.tag.take());
            }
            // Of the operator that Sail and OpenShift have.
            "Istio" | "IstioCNI" => {
                self.values(&spec["values"], report);
                let version = text(&spec["version"]);
                self.tag =
                    version.map(|it| it.trim_start_matches('v').to_owned()).or(self.tag.take());
                if object.kind() == "IstioCNI" {
                    self.cni = Some(true);
                }
            }
            "ProxyConfig" => {
                let texts = |node: &Node| -> BTreeMap<String, String> {
                    let entries = node.entries().iter();
                    entries.filter_map(|it| Some((it.key.clone(), text(&it.value)?))).collect()
                };
                let namespace = object.namespace().unwrap_or("default").to_owned();
                let labels = texts(&spec["selector"]["matchLabels"]);
                self.configs.push((namespace, labels, texts(&spec["environmentVariables"])));
            }
            "" if node.entry("defaultConfig").is_some() => self.mesh_config(node, report),
            "" => {
                self.mesh_config(&node["meshConfig"], report);
                self.values(node, report);
            }
            _ => {}
        }
    }

    /// `istio` has the `MeshConfig`, `istio-sidecar-injector` the values, and `istio-cni-config` what
    /// the CNI agent is told.
    fn config_map(&mut self, object: &Object<'_>, report: &mut Report) {
        let data = &object.node["data"];
        let name = object.name().unwrap_or_default();
        let mut inner = |key: &str, read: &mut dyn FnMut(&mut Self, &Node, &mut Report)| {
            let Some(entry) = data.entry(key) else { return };
            let text = entry.value.as_str().unwrap_or_default();
            let (here, places) = (report.here, std::mem::take(&mut report.places));
            let manifest = Manifest::read(&Sources::of(name, text), report);
            (report.here, report.places) = (here, places);
            for inner in manifest.objects() {
                read(self, inner.node, report);
            }
        };
        if name == "istio" || name.starts_with("istio-") {
            inner("mesh", &mut Self::mesh_config);
            inner("values", &mut Self::values);
        }
        if name == "istio-cni-config" {
            self.cni = Some(true);
            let value = |key: &str| text(&data[key]);
            let on = |key: &str| value(key).and_then(|text| boolean(&text));
            self.ambient.dns = on("AMBIENT_DNS_CAPTURE").or(self.ambient.dns);
            self.ambient.ipv6 = on("AMBIENT_IPV6").or(self.ambient.ipv6);
            let field = |key: &str| value(key).map(|value| Given::field(key, value));
            self.ambient.probe_v4 = field("HOST_PROBE_SNAT_IP").or(self.ambient.probe_v4.take());
            self.ambient.probe_v6 = field("HOST_PROBE_SNAT_IPV6").or(self.ambient.probe_v6.take());
        }
    }

    fn mesh_config(&mut self, config: &Node, report: &mut Report) {
        let default = &config["defaultConfig"];
        if let Some(mode) = text(&default["interceptionMode"]) {
            self.mode = Some(Given::field("meshConfig.defaultConfig.interceptionMode", mode));
        }
        for entry in default["proxyMetadata"].entries() {
            match entry.value.as_str() {
                Some(value) => {
                    self.metadata.insert(entry.key.clone(), value.to_owned());
                }
                None => manifest::refuse_text(&entry.key, &entry.value, report),
            }
        }
        let port = |key: &str| {
            text(&config[key]).map(|port| Given::field(format!("meshConfig.{key}"), port))
        };
        self.outbound_port = port("proxyListenPort").or(self.outbound_port.take());
        self.inbound_port = port("proxyInboundListenPort").or(self.inbound_port.take());
        self.root = text(&config["rootNamespace"]).or(self.root.take());
    }

    fn values(&mut self, values: &Node, report: &mut Report) {
        let (global, webhook) = (&values["global"], &values["sidecarInjectorWebhook"]);
        self.mesh_config(&values["meshConfig"], report);
        for entry in global["proxy"].entries() {
            let key = entry.key.as_str();
            let name = format!("global.proxy.{key}");
            let known = PROXY.iter().find(|(known, _)| *known == key);
            let value = text(&entry.value).unwrap_or_default();
            if let Some((_, annotation)) = known {
                self.defaults.insert(annotation, Given::field(name, value));
            } else if key == "autoInject" && value != "enabled" {
                report.note(&Given::field(name, value), Remark::NotOfAPod);
            } else if let Some(near) = misspelt(key, PROXY.iter().map(|(known, _)| *known)) {
                let nearest = Some(format!("global.proxy.{near}"));
                report.note(&Given::field(name, value), GeneralRemark::NotAnOption { nearest });
            }
        }
        for key in SELECTORS {
            let node = &webhook[*key];
            if !node.items().is_empty() || !node.entries().is_empty() {
                let name = format!("sidecarInjectorWebhook.{key}");
                report.note(&Given::field(name, ""), Remark::NotOfAPod);
            }
        }
        if switch(&global["nativeNftables"]) == Some(true) {
            let given = Given::field("global.nativeNftables", "true");
            report.note(&given, Remark::NativeNftables);
        }
        if let Some(on) = switch(&webhook["enableNamespacesByDefault"]) {
            self.injects_by_default = on;
        }
        let templates = webhook["defaultTemplates"].items().iter();
        self.templates.extend(templates.filter_map(text));
        // `istio_cni` was its name up to 1.23.
        for node in [&values["istio_cni"], &values["pilot"]["cni"]] {
            if let Some(on) = switch(&node["enabled"]) {
                self.cni = Some(on);
            }
        }
        // Of the chart of the CNI agent, alone or below `cni`.
        for node in [values, &values["cni"]] {
            let ambient = &node["ambient"];
            self.ambient.dns = switch(&ambient["dnsCapture"]).or(self.ambient.dns);
            self.ambient.ipv6 = switch(&ambient["ipv6"]).or(self.ambient.ipv6);
        }
        self.tag = text(&global["tag"]).or(self.tag.take());
    }
}

/// A text, or a number or a boolean as one.
fn text(node: &Node) -> Option<String> {
    match node.value() {
        serde_json::Value::String(text) => Some(text),
        value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
            Some(value.to_string())
        }
        _ => None,
    }
}

fn switch(node: &Node) -> Option<bool> {
    text(node).and_then(|text| boolean(&text))
}
