//! What upstream asks the machine: whether there is IPv6, and which DNS servers.

use std::net::IpAddr;

use super::Context;
use super::finding::{Reason, Remark, Report};
use super::option::{Opt, Options};
use crate::import::Given;
use crate::import::environment::Environment;

/// Decides about IPv6 as upstream does (`FillConfigFromEnvironment`): the first address of the
/// workload that is neither loopback nor link-local says it; with dual stack, any of them does.
///
/// Linux lists IPv4 addresses first, so without dual stack one IPv4 address turns IPv6 off.
pub(super) fn families(
    options: &mut Options,
    addresses: &[IpAddr],
    context: &Context,
    report: &mut Report,
) {
    let any_ipv4 = addresses.iter().any(IpAddr::is_ipv4);
    let any_ipv6 = addresses.iter().any(IpAddr::is_ipv6);
    let source = if let Some(ipv6) = context.ipv6 {
        format!("--ipv6 {}", if ipv6 { "on" } else { "off" })
    } else {
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        format!("the workload's addresses: {}", addresses.join(", "))
    };
    report.origin_in_words(("", "family"), source);
    let ipv6 = match context.ipv6 {
        Some(ipv6) => ipv6,
        None if addresses.is_empty() && context.is_examined => true,
        None if addresses.is_empty() => {
            report.fail(Reason::FamiliesUnknown);
            // There is no policy, and nothing more to say of its values of IPv6.
            return options.preset(Opt::Ipv6, "true");
        }
        None if options.is_on(Opt::DualStack) => any_ipv6,
        None => {
            if any_ipv4 && any_ipv6 {
                report.remark(Remark::SingleStack);
            }
            !any_ipv4
        }
    };
    options.set(Opt::Ipv6, Given::field("IPv6", ipv6.to_string()), report);
}

/// Fills in the proxy's user, if nobody says it: the one called `ENVOY_USER` on the machine, or else
/// 1337 (`FillConfigFromEnvironment`).
pub(super) fn user(
    options: &mut Options,
    environment: &Environment,
    context: &Context,
    is_imported: bool,
    report: &mut Report,
) {
    if !options.text(Opt::ProxyUid).is_empty() {
        return;
    }
    let name = environment.get("ENVOY_USER").filter(|name| !name.is_empty());
    let name = name.map_or("istio-proxy", String::as_str);
    if context.users.is_empty() && context.is_examined {
        return options.preset(Opt::ProxyUid, "1337");
    }
    if context.users.is_empty() && is_imported {
        return report.fail(Reason::UserUnknown { name: name.to_owned() });
    }
    let id = context.users.get(name).copied();
    if id.is_none() && is_imported {
        report.remark(Remark::NoSuchUser { name: name.to_owned() });
    }
    let id = id.unwrap_or(1337);
    options.set(Opt::ProxyUid, Given::field(format!("user {name}"), id.to_string()), report);
}

/// Fills in the DNS servers, if they are captured one by one: those of the caller's resolv.conf,
/// or `own`, which the pod has instead of its node's.
pub(super) fn servers(
    options: &mut Options,
    own: Option<Vec<String>>,
    context: &Context,
    report: &mut Report,
) {
    if !options.is_on(Opt::Dns) || options.is_on(Opt::AllDns) {
        return;
    }
    let listed = context.resolv_conf.as_deref().map(name_servers).or(own);
    let Some(listed) = listed else {
        if !context.is_examined {
            report.refuse(options.get(Opt::Dns), Reason::ResolversUnknown);
        }
        // There is no policy, and nothing more to say of its servers.
        return options.preset(Opt::AllDns, "true");
    };
    let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
    for server in listed {
        match server.parse() {
            Ok(IpAddr::V4(_)) => ipv4.push(server),
            Ok(IpAddr::V6(_)) => ipv6.push(server),
            // Go reads an address with a zone, and `ip6tables` then refuses it.
            Err(_) if server.contains('%') => ipv6.push(server),
            Err(_) => report.remark(Remark::ResolverIgnored { item: server }),
        }
    }
    for (option, servers) in [(Opt::ResolversV4, ipv4), (Opt::ResolversV6, ipv6)] {
        options.set(option, Given::field("nameserver", servers.join(",")), report);
    }
}

/// The servers of a resolv.conf, as the Go library that upstream uses reads it.
fn name_servers(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            words.next().filter(|word| *word == "nameserver")?;
            words.next().map(str::to_owned)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Context;
    use super::super::finding::Report;
    use super::super::option::{Opt, Options};
    use super::{families, servers, user};
    use crate::import::Given;

    #[test]
    fn addresses_decide_about_ipv6() {
        for (addresses, dual_stack, asked, expected) in [
            (&["10.0.0.1"][..], false, None, "false "),
            (&["fd00::1"], false, None, "true "),
            (
                &["fd00::1", "10.0.0.1"],
                false,
                None,
                "false the workload has IPv6 addresses, which upstream leaves alone without \
                 `DUAL_STACK`",
            ),
            (&["10.0.0.1", "fd00::1"], true, None, "true "),
            (&["10.0.0.1"], true, None, "false "),
            (&["10.0.0.1"], true, Some(true), "true "),
            (&[], false, Some(false), "false "),
        ] {
            let (mut options, mut report) = (Options::new(), Report::default());
            let given = Given::field("DUAL_STACK", dual_stack.to_string());
            options.set(Opt::DualStack, given, &mut report);
            let context = Context { ipv6: asked, ..Context::default() };
            let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            families(&mut options, &addresses, &context, &mut report);
            let notes: Vec<_> = report.notes.iter().map(ToString::to_string).collect();
            assert_eq!(format!("{} {}", options.is_on(Opt::Ipv6), notes.concat()), expected);
        }
    }

    #[test]
    fn servers_come_from_resolv_conf() {
        let text = "# cluster\nsearch default.svc\nnameserver 10.96.0.10 # first\n nameserver\n\
                    nameserver fd00::a\nnameserver dns.local\n";
        let (mut options, mut report) = (Options::new(), Report::default());
        let context = Context { resolv_conf: Some(text.to_owned()), ..Context::default() };
        servers(&mut options, None, &context, &mut report);
        assert_eq!(options.text(Opt::ResolversV4), "", "DNS is off");

        options.set(Opt::Dns, Given::field("REDIRECT_DNS", "true"), &mut report);
        servers(&mut options, Some(vec!["1.1.1.1".to_owned()]), &context, &mut report);
        assert_eq!(options.text(Opt::ResolversV4), "10.96.0.10");
        assert_eq!(options.text(Opt::ResolversV6), "fd00::a");
        assert_eq!(report.notes[0].to_string(), "`dns.local` is not an address, and is ignored");

        servers(&mut options, None, &Context::default(), &mut report);
        assert_eq!(
            report.mistakes[0].to_string(),
            "`REDIRECT_DNS: true`: the DNS servers in the pod's resolv.conf are captured, and \
             they are not known: copy it from the pod (`kubectl exec POD -- cat /etc/resolv.conf`) and \
             give it with `--resolv-conf FILE`"
        );
    }

    #[test]
    fn the_proxys_user_is_looked_up_where_nothing_says_it() {
        let users: crate::policy::GroupIds =
            [("istio-proxy".to_owned(), 900), ("envoy".to_owned(), 901)].into();
        // Whether users are known, whether the line stands for itself, and how much is said.
        for (text, known, is_imported, uid, said) in [
            ("", true, true, "900", 0),
            ("ENVOY_USER=envoy", true, true, "901", 0),
            ("ENVOY_USER=nobody", true, true, "1337", 1),
            ("ENVOY_USER=nobody", true, false, "1337", 0),
            ("", false, true, "", 1),
            ("", false, false, "1337", 0),
        ] {
            let (mut options, mut report) = (Options::new(), Report::default());
            let environment = crate::import::environment::parse(text, &mut report);
            let users = if known { users.clone() } else { crate::policy::GroupIds::new() };
            let context = Context { users, ..Context::default() };
            user(&mut options, &environment, &context, is_imported, &mut report);
            assert_eq!(options.text(Opt::ProxyUid), uid, "{text}");
            assert_eq!(report.notes.len() + report.mistakes.len(), said, "{text}");
        }
    }
}
