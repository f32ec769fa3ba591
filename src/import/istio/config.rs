//! Upstream's configuration in JSON, to options.

use serde_json::Value;

use super::ambient::Ambient;
use super::finding::{Reason, Report};
use super::option::{OPTIONS, Options, Takes};
use super::{Context, Imported, Refused, sidecar};
use crate::import::json::{self, Object, list, number, refuse_unknown, switch, text};
use crate::import::{GeneralRemark, Given};
use crate::policy::Kind;

/// Options of ambient mode that do not decide about traffic.
const AMBIENT_UNRELATED: &[&str] =
    &["IPTABLES_TRACE_LOGGING", "RECONCILE", "CLEANUP_ONLY", "FORCE_APPLY"];

/// Options of ambient mode that do.
const AMBIENT_OPTIONS: &[&str] = &[
    "ENABLE_INBOUND_IPV6",
    "REDIRECT_DNS",
    "HOST_PROBE_SNAT_ADDRESS",
    "HOST_PROBE_V6_SNAT_ADDRESS",
    "POD_DNS",
    "INGRESS_MODE",
    "VIRTUAL_INTERFACES",
];

/// Upstream's configuration in JSON: one object, several, or an array of them.
///
/// An object is `{"kind": …, "name": …, "config": {…}}`, where the kind is `sidecar`,
/// `ambient-pod` or `ambient-host`; or the configuration of a sidecar itself. Its options have the
/// names and defaults of upstream's `Config`: what is absent is off, so that an empty
/// configuration captures nothing, and IPv6 is left alone unless `ENABLE_INBOUND_IPV6` is true.
/// Of an ambient pod, `POD_DNS` (`enabled` or `disabled`), `INGRESS_MODE` and
/// `VIRTUAL_INTERFACES` say what its annotations would.
///
/// # Errors
///
/// If the text is not JSON, an option is unknown or of the wrong type, and everything that upstream
/// refuses, or that a policy cannot say.
pub fn configurations(text: &str, context: &Context) -> Result<Imported, Refused> {
    json::configurations(text, super::NAME, context, |entry, report| read(entry, context, report))
}

fn read(entry: &Object, context: &Context, report: &mut Report) -> Option<Kind> {
    let (kind, config) = json::config(entry, report)?;
    match kind.map_or(Some("sidecar"), Value::as_str) {
        Some("sidecar") => {
            let options = options(config, report);
            let sidecar = sidecar::sidecar(&options, &context.groups, report);
            Some(Kind::Sidecar(Box::new(sidecar)))
        }
        Some("ambient-pod") => {
            let pod = ambient(config, report).pod(report);
            Some(Kind::AmbientPod(Box::new(pod)))
        }
        Some("ambient-host") => {
            let host = ambient(config, report).host(report);
            Some(Kind::AmbientHost(Box::new(host)))
        }
        _ => {
            let kind = kind.map(Value::to_string).unwrap_or_default();
            report.refuse(&Given::field("kind", kind), Reason::UnknownKind);
            None
        }
    }
}

fn options(config: &Object, report: &mut Report) -> Options {
    let mut options = Options::new();
    for (key, value) in config {
        let Some(spec) = OPTIONS.iter().find(|spec| spec.key == key) else {
            refuse_unknown(key, OPTIONS.iter().map(|spec| spec.key), report);
            continue;
        };
        let text = match spec.takes {
            Takes::Text => text(key, value, report),
            Takes::Switch => switch(key, value, report).map(|on| on.to_string()),
            Takes::Number => number(key, value, report),
            Takes::List => list(key, value, report),
        };
        if let Some(text) = text {
            options.set(spec.option, Given::field(key, text), report);
        }
    }
    options
}

fn ambient(config: &Object, report: &mut Report) -> Ambient {
    let mut ambient = Ambient::default();
    for (key, value) in config {
        match key.as_str() {
            "ENABLE_INBOUND_IPV6" => {
                ambient.ipv6 = switch(key, value, report).unwrap_or_default();
            }
            "REDIRECT_DNS" => ambient.dns = switch(key, value, report).unwrap_or_default(),
            "INGRESS_MODE" => ambient.ingress = switch(key, value, report).unwrap_or_default(),
            "HOST_PROBE_SNAT_ADDRESS" => ambient.probe_v4 = field(key, text(key, value, report)),
            "HOST_PROBE_V6_SNAT_ADDRESS" => ambient.probe_v6 = field(key, text(key, value, report)),
            "VIRTUAL_INTERFACES" => ambient.reroute = field(key, list(key, value, report)),
            "POD_DNS" => match text(key, value, report).as_deref() {
                Some("enabled") => ambient.pod_dns = Some(true),
                Some("disabled") => ambient.pod_dns = Some(false),
                Some(other) => report.refuse(&Given::field(key, other), Reason::NotOverride),
                None => {}
            },
            unrelated if AMBIENT_UNRELATED.contains(&unrelated) => {
                if switch(key, value, report) == Some(true) {
                    report.note(&Given::field(key, "true"), GeneralRemark::NotTraffic);
                }
            }
            _ => {
                let known = AMBIENT_OPTIONS.iter().chain(AMBIENT_UNRELATED).copied();
                refuse_unknown(key, known, report);
            }
        }
    }
    ambient
}

fn field(key: &str, value: Option<String>) -> Option<Given> {
    value.map(|value| Given::field(key, value))
}

#[cfg(test)]
mod tests {
    use super::super::Context;
    use super::configurations;

    fn told(text: &str) -> String {
        match configurations(text, &Context::default()) {
            Err(refused) => refused.to_string(),
            Ok(imported) => {
                let policies = imported
                    .policies
                    .iter()
                    .map(|policy| format!("{} {}", policy.kind.keyword(), policy.name));
                let notes = imported.notes.iter().map(ToString::to_string);
                policies.chain(notes).collect::<Vec<_>>().join("\n")
            }
        }
    }

    #[test]
    fn several_objects_and_forms_are_read() {
        for (text, expected) in [
            ("{}", "sidecar istio"),
            (r#"{"config": {}}"#, "sidecar istio"),
            (r#"[{"config": {}}, {"PROXY_UID": "1"}]"#, "sidecar istio\nsidecar istio-2"),
            (
                "{\"kind\": \"ambient-pod\", \"name\": \"a\", \"config\": {}}\n\
                 {\"kind\": \"ambient-host\", \"name\": \"a/b\", \"config\": {}, \"nft\": \"…\"}\n",
                "ambient-pod a\nambient-host a-b\na/b: called `a-b` here, because `a/b` is not a \
                 policy's name",
            ),
            (
                r#"{"kind": "ambient-pod", "config": {"RECONCILE": true, "POD_DNS": null}}"#,
                "ambient-pod istio\n`RECONCILE: true`: says how rules are applied or logged, not \
                 which: not carried over",
            ),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_configuration_is_a_mistake() {
        for (text, expected) in [
            ("", "there is nothing to import"),
            ("{", "not JSON: EOF while parsing an object (line 1, column 1)"),
            ("7", "a number where an object is expected"),
            (r#"{"config": 7}"#, "`config`: a number where an object is expected"),
            (
                r#"{"kind": "pod", "config": {}}"#,
                "`kind: \"pod\"`: the kinds are `sidecar`, `ambient-pod` and `ambient-host`",
            ),
            (r#"{"PROXY_UID": 7}"#, "`PROXY_UID: 7`: a number where text is expected"),
            (
                r#"{"REDIRECT_DNS": "true"}"#,
                "`REDIRECT_DNS: \"true\"`: text where `true` or `false` is expected",
            ),
            (r#"{"DNS_SERVERS_V4": [7]}"#, "`DNS_SERVERS_V4: 7`: a number where text is expected"),
            (
                r#"{"INBOUND_PORT_INCLUDE": "80"}"#,
                "`INBOUND_PORT_INCLUDE`: unknown option; did you mean `INBOUND_PORTS_INCLUDE`?",
            ),
            (
                r#"{"kind": "ambient-pod", "config": {"POD_DNS": "on"}}"#,
                "`POD_DNS: on`: neither `enabled` nor `disabled`",
            ),
            (
                r#"{"kind": "ambient-pod", "config": {"PROXY_UID": "1"}}"#,
                "`PROXY_UID`: unknown option",
            ),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn a_mistake_says_in_which_configuration() {
        let text = r#"{"name": "a", "config": {"PROXY_PORT": "0"}} {"PROXY_PORT": "x"}"#;
        assert_eq!(
            told(text),
            "a: `PROXY_PORT: 0`: `0` is not a port of 1 to 65535\n\
             configuration 2: `PROXY_PORT: x`: `x` is not a port of 1 to 65535"
        );
    }
}
