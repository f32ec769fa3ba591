//! Whether a pod gets a sidecar, is in ambient mode, or neither: by what Istio looks at, and in its
//! order.
//!
//! ```text
//!  the webhook   labels of the namespace, then the label and the annotation of the pod
//!  the injector  the node's network, then label before annotation, then the policy of the mesh
//!  the CNI agent no sidecar, not the node's network, then the label of the pod, then of the namespace
//! ```
//!
//! The sources are `manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml`,
//! `pkg/kube/inject/inject.go` (`injectRequired`), `cni/pkg/util/enablement_selector.go` and
//! `manifests/charts/istio-cni/values.yaml` of istio 86c9f01f.

use super::annotation::{self, ANNOTATIONS, BYPASS_INBOUND, DNS_CAPTURE, INJECT, STATUS};
use super::finding::{Remark, Report};
use super::vocabulary::{INJECTION, REVISION};
use crate::import::go::boolean;
use crate::import::manifest::{Object, Pod};
use crate::import::{GeneralRemark, Given, NoRules};

/// Asks for ambient mode, or says no to it.
pub(super) const DATAPLANE_MODE: &str = "istio.io/dataplane-mode";
/// Written by Istio where a pod is in ambient mode.
pub(super) const REDIRECTION: &str = "ambient.istio.io/redirection";
/// What the injector makes of a pod.
pub(super) const TEMPLATES: &str = "inject.istio.io/templates";

/// How a pod takes part in the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enrolment {
    /// With a proxy of its own, which is there already or will be injected.
    Sidecar {
        /// Whether that is only taken to be so, because the pod says something of a sidecar's traffic.
        is_assumed: bool,
    },
    /// Through the node's proxy.
    Ambient,
}

/// How the pod takes part, if it does. What it says without an effect is noted.
pub(super) fn of(
    pod: &Pod<'_>,
    injects_by_default: bool,
    report: &mut Report,
) -> Result<Enrolment, NoRules> {
    note_idle(pod, report);
    let is_there = pod.annotations.contains_key(STATUS) || pod.container("istio-proxy").is_some();
    let injected = if is_there { Some(true) } else { injects(pod, injects_by_default, report) };
    let ambient = is_ambient(pod);
    match (injected, ambient) {
        (Some(true), _) => {
            if ambient == Some(true) && pod.labels.contains_key(DATAPLANE_MODE) {
                let by = "the sidecar".to_owned();
                let given = Given::field(DATAPLANE_MODE, pod.labels[DATAPLANE_MODE]);
                report.note(&given, GeneralRemark::Overridden { by });
            }
            Ok(Enrolment::Sidecar { is_assumed: false })
        }
        (_, Some(true)) => Ok(Enrolment::Ambient),
        (Some(false), _) => Err(NoRules::InjectionOff),
        (None, _) if asks_for_a_sidecar(pod) && pod.its_namespace.is_none() => {
            Ok(Enrolment::Sidecar { is_assumed: true })
        }
        (None, _) => Err(NoRules::Unasked { mesh: "Istio" }),
    }
}

/// Whether the injector gives it a proxy; `None` if nobody asks for one, as far as is known.
fn injects(pod: &Pod<'_>, by_default: bool, report: &mut Report) -> Option<bool> {
    let label = pod.labels.get(INJECT).copied();
    let said = label.or(pod.annotations.get(INJECT).copied());
    let said = match said {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    };
    if said == Some(false) {
        return said;
    }
    let Some(namespace) = &pod.its_namespace else { return said };
    let labels = namespace.own("labels");
    match labels.get(INJECTION).copied() {
        Some("enabled") => Some(true),
        Some(value) => {
            if said == Some(true) {
                let by = format!("{INJECTION}: {value}");
                report.note(&Given::field(INJECT, "true"), GeneralRemark::Overridden { by });
            }
            Some(false)
        }
        None if labels.contains_key(REVISION) || by_default => Some(true),
        None if label == Some("true") || pod.labels.contains_key(REVISION) => Some(true),
        None => {
            if said == Some(true) {
                // Only the webhook of such a namespace reads the annotation.
                report.note(&Given::field(INJECT, "true"), Remark::OnlyTheLabelAsks);
            }
            None
        }
    }
}

/// Whether it is in ambient mode; `None` if that is not known.
fn is_ambient(pod: &Pod<'_>) -> Option<bool> {
    let asks = |object: &Object<'_>| {
        object.own("labels").get(DATAPLANE_MODE).is_some_and(|mode| *mode == "ambient")
    };
    match pod.labels.get(DATAPLANE_MODE).copied() {
        Some("ambient") => Some(true),
        Some("none") => Some(false),
        _ => match &pod.its_namespace {
            Some(namespace) => Some(asks(namespace)),
            None if pod.annotations.get(REDIRECTION) == Some(&"enabled") => Some(true),
            None => {
                let own = [BYPASS_INBOUND, DNS_CAPTURE];
                own.iter().any(|name| pod.annotations.contains_key(name)).then_some(true)
            }
        },
    }
}

/// Whether the pod says something that only a sidecar has an ear for.
fn asks_for_a_sidecar(pod: &Pod<'_>) -> bool {
    ANNOTATIONS.iter().chain([&TEMPLATES]).any(|name| pod.annotations.contains_key(name))
}

/// Notes what is meant to turn capture on or off, and does not.
fn note_idle(pod: &Pod<'_>, report: &mut Report) {
    let (label, annotation) = (pod.labels.get(INJECT), pod.annotations.get(INJECT));
    if let (Some(label), Some(annotation)) = (label, annotation)
        && label != annotation
    {
        report
            .note(&Given::field(INJECT, *annotation), Remark::LabelWins { label: (*label).into() });
    }
    let said = label.or(annotation).copied();
    if let Some(value) = said.filter(|value| !matches!(*value, "true" | "false" | "")) {
        report.note(&Given::field(INJECT, value), Remark::NotInject);
    }
    if let Some(mode) = pod.labels.get(DATAPLANE_MODE)
        && !matches!(*mode, "ambient" | "none")
    {
        report.note(&Given::field(DATAPLANE_MODE, *mode), Remark::NotDataplaneMode);
    }
    if let Some(value) = pod.annotations.get(REDIRECTION).filter(|value| **value != "enabled") {
        report.note(&Given::field(REDIRECTION, *value), Remark::RedirectionIsStatus);
    }
}

/// Why the injector's templates capture nothing, if they do not.
pub(super) fn template(pod: &Pod<'_>, default: &[String]) -> Result<(), NoRules> {
    let own = pod
        .annotations
        .get(TEMPLATES)
        .map(|list| list.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>());
    let names = own.as_deref().unwrap_or(default);
    if names.is_empty() || names.iter().any(|name| name == "sidecar") {
        return Ok(());
    }
    let why = |name: &str| {
        Some(match name {
            "gateway" | "kube-gateway" => {
                "the template `gateway` makes a gateway, which captures nothing"
            }
            "waypoint" | "agentgateway" => "its template makes a waypoint, which captures nothing",
            "grpc-agent" | "grpc-simple" => {
                "gRPC takes the place of the proxy in its template, which captures nothing"
            }
            _ => return None,
        })
    };
    let known: Option<Vec<_>> = names.iter().map(|name| why(name)).collect();
    let why = known.and_then(|known| known.into_iter().next()).unwrap_or(
        "its template is none of Istio's, and what that captures is not known here; import the \
         pod as it runs",
    );
    Err(NoRules::Otherwise { why })
}

/// What the pod says about injection, as the CNI plugin reads it. Its label wins over its annotation.
pub(super) fn plugin_says(pod: &Pod<'_>) -> Option<bool> {
    boolean(pod.labels.get(annotation::INJECT).or(pod.annotations.get(annotation::INJECT))?)
}
