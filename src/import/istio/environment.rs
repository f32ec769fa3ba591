//! Upstream's variables, to options.

use super::finding::{Remark, Report};
use super::option::{OPTIONS, Options};
use crate::import::environment::Environment;
use crate::import::{GeneralRemark, Given, Source, words};

/// Variables that upstream declares and never reads (istio 1.29), and the ones it reads.
const NEVER_READ: &[(&str, &str)] = &[
    ("INBOUND_INTERCEPTION_MODE", "ISTIO_INBOUND_INTERCEPTION_MODE"),
    ("INBOUND_TPROXY_MARK", "ISTIO_INBOUND_TPROXY_MARK"),
];

/// Sets the options that have a variable in `environment`.
pub(super) fn read(environment: &Environment, options: &mut Options, report: &mut Report) {
    for spec in OPTIONS {
        for &name in spec.environment {
            if let Some(value) = environment.get(name) {
                options.set(spec.option, given(name, value), report);
            }
        }
    }
    for (name, instead) in NEVER_READ {
        if let Some(value) = environment.get(*name) {
            report.note(&given(name, value), Remark::NeverRead { instead });
        }
    }
    for (name, value) in environment {
        note_stray(&given(name, value), report);
    }
}

pub(super) fn given(name: &str, value: &str) -> Given {
    Given { option: name.to_owned(), value: value.to_owned(), source: Source::Environment }
}

/// Words in names of variables that have to do with capture.
const WORDS: &[&str] = &[
    "CAPTURE",
    "CIDR",
    "DNS",
    "EXCLUDE",
    "EXCLUDED",
    "INBOUND",
    "INCLUDE",
    "INTERCEPTION",
    "IPTABLES",
    "NFTABLES",
    "OUTBOUND",
    "OWNER",
    "REDIRECT",
    "TABLES",
    "TPROXY",
];

/// Variables with such a word that decide about something else, as of istio 86c9f01f
/// (`pilot/pkg/features`, `pkg/istio-agent`, `tools/packaging/common`).
const UNRELATED: &[&str] = &[
    "ISTIO_META_DNS_AUTO_ALLOCATE",
    "DNS_FORWARD_PARALLEL",
    "DNS_PROXY_ADDR",
    "ISTIO_META_INTERCEPTION_MODE",
    "ISTIO_KUBE_APP_PROBERS",
    "ENABLE_INBOUND_PASSTHROUGH",
    "INVALID_DROP",
];

/// Notes a variable that is no option, but is misspelt or has to do with capture by its words.
pub(super) fn note_stray(given: &Given, report: &mut Report) {
    let name = given.option.as_str();
    let known = || OPTIONS.iter().flat_map(|spec| spec.environment).copied();
    let is_known = known().any(|known| known == name)
        || NEVER_READ.iter().any(|(known, _)| *known == name)
        || UNRELATED.contains(&name);
    if is_known {
        return;
    }
    let near = words::misspelt(name, known()).filter(|_| name.len() >= 8);
    let speaks = name.split('_').any(|word| WORDS.contains(&word));
    if near.is_some() || speaks {
        let nearest = near.map(str::to_owned);
        report.note(given, GeneralRemark::NotAnOption { nearest });
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Report;
    use super::super::option::{OPTIONS, Options};
    use super::read;
    use crate::import::environment::parse;

    fn told(text: &str) -> (Vec<String>, Vec<String>) {
        let (mut options, mut report) = (Options::new(), Report::default());
        let environment = parse(text, &mut report);
        read(&environment, &mut options, &mut report);
        let changed = OPTIONS.iter().filter(|spec| options.is_changed(spec.option));
        (
            changed.map(|spec| format!("{}={}", spec.key, options.text(spec.option))).collect(),
            report.notes.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn assignments_are_read_as_a_shell_reads_them() {
        let text = "# sidecar\nexport ISTIO_INBOUND_PORTS='*' # all\n\nPROXY_UID=\"1337,\
                    1338\"\nISTIO_SERVICE_CIDR=10.0.0.0/8 PROXY_GID=\nHOME=/root\n";
        assert_eq!(
            told(text).0,
            [
                "PROXY_UID=1337,1338",
                "INBOUND_PORTS_INCLUDE=*",
                "OUTBOUND_IPRANGES_INCLUDE=10.0.0.0/8"
            ]
        );
        assert_eq!(told("ISTIO_META_DNS_CAPTURE=1\nREDIRECT_DNS=f").0, ["REDIRECT_DNS=true"]);
        assert_eq!(told("ENVOY_PORT=1\n").0, [""; 0]);
    }

    #[test]
    fn what_is_ignored_is_noted() {
        for (text, notes) in [
            ("REDIRECT_DNS=yes", &["`REDIRECT_DNS=yes`: not a boolean, so it is ignored"][..]),
            (
                "REDIRECT_DNS=0\nISTIO_META_DNS_CAPTURE=true",
                &["`REDIRECT_DNS=false`: no effect, because of `ISTIO_META_DNS_CAPTURE=true`"],
            ),
            (
                "ISTIO_INBOUND_PORT=80",
                &["`ISTIO_INBOUND_PORT=80`: not an option; did you mean `ISTIO_INBOUND_PORTS`?"],
            ),
            (
                "INBOUND_TPROXY_MARK=1",
                &["`INBOUND_TPROXY_MARK=1`: declared upstream, but never read; \
                   `ISTIO_INBOUND_TPROXY_MARK` is"],
            ),
            ("PATH=/bin\nISTIO_META_CLUSTER_ID=x", &[]),
        ] {
            assert_eq!(told(text).1, notes, "{text}");
        }
    }
}
