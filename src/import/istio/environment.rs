//! Upstream's variables, to options.

use super::finding::{Remark, Report};
use super::option::{OPTIONS, Opt, Options};
use crate::import::environment::Environment;
use crate::import::{GeneralRemark, Given, Source, words};
use crate::policy::GroupIds;

/// Variables that upstream declares and never reads (istio 1.29), and the ones it reads.
const NEVER_READ: &[(&str, &str)] = &[
    ("INBOUND_INTERCEPTION_MODE", "ISTIO_INBOUND_INTERCEPTION_MODE"),
    ("INBOUND_TPROXY_MARK", "ISTIO_INBOUND_TPROXY_MARK"),
];

/// The variable with the name of the proxy's user.
const ENVOY_USER: &str = "ENVOY_USER";

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
        // A misspelt option is worth a word; any other variable is somebody else's.
        if let Some(near) = misspelt(name) {
            let nearest = Some(near.to_owned());
            report.note(&given(name, value), GeneralRemark::NotAnOption { nearest });
        }
    }
}

/// Looks the proxy's user up among `users`, if nothing else says who that is
/// (`FillConfigFromEnvironment`). One that is not there is 1337.
pub(super) fn look_user_up(
    environment: &Environment,
    users: &GroupIds,
    options: &mut Options,
    report: &mut Report,
) {
    /// Upstream's default.
    const PROXY: &str = "istio-proxy";

    if !options.text(Opt::ProxyUid).is_empty() {
        return;
    }
    let asked = environment.get(ENVOY_USER);
    let name = asked.map_or(PROXY, String::as_str);
    match (users.get(name), asked) {
        (Some(user), _) => options.set(Opt::ProxyUid, given(ENVOY_USER, &user.to_string()), report),
        (None, Some(user)) if users.is_empty() => {
            report.note(&given(ENVOY_USER, user), Remark::UserNotLookedUp);
        }
        (None, _) => {}
    }
}

pub(super) fn given(name: &str, value: &str) -> Given {
    Given { option: name.to_owned(), value: value.to_owned(), source: Source::Environment }
}

/// The variable that `name` is one or two letters away from.
fn misspelt(name: &str) -> Option<&'static str> {
    let known = || OPTIONS.iter().flat_map(|spec| spec.environment).copied();
    words::misspelt(name, known()).filter(|_| name.len() >= 8)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Report;
    use super::super::option::{OPTIONS, Options};
    use super::{look_user_up, read};
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
    fn the_proxys_user_is_looked_up_where_nothing_says_it() {
        let users: crate::policy::GroupIds =
            [("istio-proxy".to_owned(), 900), ("envoy".to_owned(), 901)].into();
        for (text, known, uid, notes) in [
            ("", true, "900", 0),
            ("ENVOY_USER=envoy", true, "901", 0),
            ("ENVOY_USER=nobody", true, "", 0),
            ("ENVOY_USER=envoy\nPROXY_UID=7", true, "7", 0),
            ("ENVOY_USER=envoy", false, "", 1),
            ("", false, "", 0),
        ] {
            let (mut options, mut report) = (Options::new(), Report::default());
            let environment = parse(text, &mut report);
            read(&environment, &mut options, &mut report);
            let users = if known { users.clone() } else { crate::policy::GroupIds::new() };
            look_user_up(&environment, &users, &mut options, &mut report);
            assert_eq!(options.text(super::Opt::ProxyUid), uid, "{text}");
            assert_eq!(report.notes.len(), notes, "{text}");
        }
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
