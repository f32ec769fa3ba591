//! A pod to a policy: with an init container, or by its annotations.

use super::finding::{Remark, Report};
use super::option::{Items, Opt, Options};
use super::{Context, Imported, Refused, command, meaning};
use crate::import::manifest::{self, Mesh, Pod, Vocabulary};
use crate::import::{GeneralRemark, Given, NoRules, Sort};
use crate::policy::Kind;
use crate::span::Sources;

const INJECT: &str = "linkerd.io/inject";
const CONTROL_PLANE: &str = "linkerd.io/control-plane-component";
const INBOUND_EXCLUDES: &str = "config.linkerd.io/skip-inbound-ports";
const OUTBOUND_EXCLUDES: &str = "config.linkerd.io/skip-outbound-ports";
const SUBNETS: &str = "config.linkerd.io/skip-subnets";
const USER: &str = "config.linkerd.io/proxy-uid";
const GROUP: &str = "config.linkerd.io/proxy-gid";
const INBOUND_PORT: &str = "config.linkerd.io/inbound-port";
const OUTBOUND_PORT: &str = "config.linkerd.io/outbound-port";
const CONTROL_PORT: &str = "config.linkerd.io/control-port";
const ADMIN_PORT: &str = "config.linkerd.io/admin-port";

/// Annotations that decide about traffic, of a pod or of its namespace.
const ANNOTATIONS: &[&str] = &[
    INJECT,
    INBOUND_EXCLUDES,
    OUTBOUND_EXCLUDES,
    SUBNETS,
    USER,
    GROUP,
    INBOUND_PORT,
    OUTBOUND_PORT,
    CONTROL_PORT,
    ADMIN_PORT,
];

/// Linkerd's names in manifests (b24cd40, `pkg/k8s/labels.go`).
const MESH: Mesh = Mesh {
    name: super::NAME,
    title: "Linkerd",
    vocabulary: Vocabulary {
        domains: &["linkerd.io"],
        annotations: ANNOTATIONS,
        labels: &[CONTROL_PLANE],
        namespace: ANNOTATIONS,
        namespace_sort: Some(Sort::Annotation),
        inherited: Some(Sort::Annotation),
        unrelated: &[
            "linkerd.io/created-by",
            "linkerd.io/proxy-version",
            "linkerd.io/trust-root-sha256",
            "linkerd.io/control-plane-ns",
            "linkerd.io/proxy-",
            "linkerd.io/workload-ns",
            "linkerd.io/extension",
            "linkerd.io/cni-resource",
            "linkerd.io/is-control-plane",
            "linkerd.io/helm-release-version",
            "linkerd.io/service-mirror-",
            "config.linkerd.io/proxy-",
            "config.linkerd.io/image-pull-policy",
            "config.linkerd.io/init-image",
            "config.linkerd.io/init-image-version",
            "config.linkerd.io/debug-",
            "config.linkerd.io/enable-",
            "config.linkerd.io/disable-",
            "config.linkerd.io/opaque-ports",
            "config.linkerd.io/default-inbound-policy",
            "config.linkerd.io/close-wait-timeout",
            "config.linkerd.io/access-log",
            "config.linkerd.io/shutdown-grace-period",
            "config.linkerd.io/pod-inbound-ports",
            "config.linkerd.io/pprof-",
            "config.linkerd.io/trace-collector",
            "config.linkerd.io/trace-collector-service-account",
            "config.linkerd.io/gateway-",
            "config.alpha.linkerd.io/",
            "config.beta.linkerd.io/",
            "balancer.linkerd.io/",
            "policy.linkerd.io/",
            "viz.linkerd.io/",
            "jaeger.linkerd.io/",
            "multicluster.linkerd.io/",
            "mirror.linkerd.io/",
            "retry.linkerd.io/",
            "timeout.linkerd.io/",
        ],
    },
    kinds: &[],
    keys: &[],
};

/// The pods of a manifest in YAML or JSON: of several documents, of lists, and of anything with a
/// pod template, such as a Deployment.
///
/// A pod with a `linkerd-init` container is what that container's arguments say. One with a
/// `linkerd-proxy` and without it is what the CNI plugin makes of its annotations, and one that
/// only asks for injection what the injector would, both with the defaults of Linkerd's charts.
///
/// # Errors
///
/// If the text is not YAML or has no pod, and everything that Linkerd refuses, or that a policy
/// cannot say.
pub fn pods(text: &str, context: &Context) -> Result<Imported, Refused> {
    manifests(&Sources::of("manifest", text), context)
}

/// As [`pods`], of several files together. Findings say where in `sources` they are.
///
/// # Errors
///
/// As for [`pods`].
pub fn manifests(sources: &Sources, context: &Context) -> Result<Imported, Refused> {
    manifest::policies_of_each(sources, &MESH, context, read)
}

/// The policy of a pod, if Linkerd makes rules for it.
fn read(pod: &Pod<'_>, context: &Context, report: &mut Report) -> Result<Kind, NoRules> {
    let options = if let Some(container) = pod.container("linkerd-init") {
        let arguments = manifest::arguments(container, report);
        command(&arguments, report)
    } else if pod.is_on_host_network() {
        return Err(NoRules::HostNetwork);
    } else if pod.container("linkerd-proxy").is_some() {
        report.remark(Remark::AsCniPlugin);
        plugin(pod, context, report)
    } else {
        let says = |name: &&str| *name != INJECT && pod.annotations.contains_key(name);
        match pod.annotations.get(INJECT) {
            Some(&"disabled") => return Err(NoRules::InjectionOff),
            Some(&("enabled" | "ingress")) => {}
            _ if ANNOTATIONS.iter().any(says) => {}
            _ => return Err(NoRules::Unasked { mesh: "Linkerd" }),
        }
        report.remark(Remark::AsInjected);
        injected(pod, context, report)
    };
    Ok(Kind::from(meaning::linkerd(&options, report)))
}

/// What the CNI plugin makes of the pod's annotations (`cni-plugin/main.go`), where its chart's
/// defaults are what it was installed with (linkerd2 b24cd40, `charts/linkerd2-cni`).
fn plugin(pod: &Pod<'_>, context: &Context, report: &mut Report) -> Options {
    let mut options = common(pod, context, report);
    let own = ["4191", "4190"].map(str::to_owned).to_vec();
    let given = Given::field("inbound-ports-to-ignore", own.join(","));
    options.add(Opt::InboundExcludes, Items { given, items: own });
    for (annotation, option) in [
        (INBOUND_EXCLUDES, Opt::InboundExcludes),
        (OUTBOUND_EXCLUDES, Opt::OutboundExcludes),
        (SUBNETS, Opt::Subnets),
    ] {
        add(pod, annotation, option, &mut options);
    }
    for annotation in [INBOUND_PORT, OUTBOUND_PORT, CONTROL_PORT, ADMIN_PORT] {
        if let Some(value) = pod.annotations.get(annotation) {
            let by = "the plugin's own configuration".to_owned();
            report.note(&Given::field(annotation, *value), GeneralRemark::Overridden { by });
        }
    }
    if pod.labels.get(CONTROL_PLANE).is_some_and(|component| !component.is_empty()) {
        report.remark(Remark::ControlPlane);
        let items = ["443", "6443"].map(str::to_owned).to_vec();
        let given = Given::field(CONTROL_PLANE, "");
        options.add(Opt::OutboundExcludes, Items { given, items });
    }
    options
}

/// What the injector makes of the pod's annotations: arguments of `linkerd-init`
/// (linkerd2 b24cd40, `charts/partials/templates/_proxy-init.tpl`).
fn injected(pod: &Pod<'_>, context: &Context, report: &mut Report) -> Options {
    let mut options = common(pod, context, report);
    for (annotation, option) in
        [(INBOUND_PORT, Opt::InboundPort), (OUTBOUND_PORT, Opt::OutboundPort)]
    {
        if let Some(value) = pod.annotations.get(annotation) {
            options.preset(option, Given::field(annotation, *value), report);
        }
    }
    let port = |annotation: &str, default: &str| {
        pod.annotations.get(annotation).map_or_else(|| default.to_owned(), |&port| port.to_owned())
    };
    let own = vec![port(CONTROL_PORT, "4190"), port(ADMIN_PORT, "4191")];
    let given = Given::field("inbound-ports-to-ignore", own.join(","));
    options.add(Opt::InboundExcludes, Items { given, items: own });
    for (annotation, option) in
        [(INBOUND_EXCLUDES, Opt::InboundExcludes), (OUTBOUND_EXCLUDES, Opt::OutboundExcludes)]
    {
        if !add(pod, annotation, option, &mut options) {
            let items = ["4567", "4568"].map(str::to_owned).to_vec();
            let given = Given::field(option.spec().name, items.join(","));
            options.add(option, Items { given, items });
        }
    }
    add(pod, SUBNETS, Opt::Subnets, &mut options);
    options
}

/// What the defaults of both charts, and annotations that mean the same to both, come to.
fn common(pod: &Pod<'_>, context: &Context, report: &mut Report) -> Options {
    let mut options = Options::default();
    if context.ipv6.is_none() {
        report.remark(Remark::FamiliesUnknown);
    }
    let ipv6 = context.ipv6.unwrap_or(false).to_string();
    for (option, value) in [
        (Opt::InboundPort, "4143"),
        (Opt::OutboundPort, "4140"),
        (Opt::User, "2102"),
        (Opt::Ipv6, ipv6.as_str()),
    ] {
        options.preset(option, Given::field(option.spec().name, value), report);
    }
    for (annotation, option) in [(USER, Opt::User), (GROUP, Opt::Group)] {
        if let Some(value) = pod.annotations.get(annotation).filter(|value| !value.is_empty()) {
            options.preset(option, Given::field(annotation, *value), report);
        }
    }
    options
}

/// Adds what an annotation lists; whether there is one.
fn add(pod: &Pod<'_>, annotation: &str, option: Opt, options: &mut Options) -> bool {
    let Some(value) = pod.annotations.get(annotation).filter(|value| !value.is_empty()) else {
        return false;
    };
    let items = value.split(',').map(str::to_owned).collect();
    options.add(option, Items { given: Given::field(annotation, *value), items });
    true
}
