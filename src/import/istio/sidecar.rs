//! Options to a sidecar policy.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::finding::{Reason, Remark, Report};
use super::option::{Opt, Options};
use super::{origin, value};
use crate::import::{Given, prefix::network};
use crate::net::{Families, Family, PerFamily, PortRange};
use crate::policy::{
    Dns, GroupIds, Groups, Inbound, Interfaces, Mode, Outbound, Proxy, Selection, Setting, Sidecar,
    Tproxy,
};

/// The policy that says what upstream's iptables rules do under `options`
/// (`tools/istio-iptables/pkg/capture/run.go`).
pub(super) fn sidecar(options: &Options, groups: &GroupIds, report: &mut Report) -> Sidecar {
    options.note_unrelated(report);
    let families = if options.is_on(Opt::Ipv6) { Families::Both } else { Families::Ipv4 };
    let dns = dns(options, families, report);
    let interfaces = Interfaces {
        exclude: set(value::interfaces(options.get(Opt::InterfaceExcludes), report)),
        reroute: set(value::interfaces(options.get(Opt::Reroute), report)),
    };
    let mut sidecar = Sidecar {
        families: set(families),
        mode: set(mode(options, report)),
        proxy: proxy(options, report),
        inbound: inbound(options, report),
        outbound: outbound(options, families, groups, report),
        dns: set(dns),
        interfaces,
        drop_invalid: set(options.is_on(Opt::DropInvalid)),
    };
    if captures_no_group(options) {
        without_groups(&mut sidecar, options, report);
    }
    origin::tell(options, report);
    sidecar
}

/// A value that no clause of ours set.
fn set<T>(value: T) -> Setting<T> {
    Setting::default_to(value)
}

fn mode(options: &Options, report: &mut Report) -> Mode {
    let given = options.get(Opt::Mode);
    if given.value == "TPROXY" {
        let default = Tproxy::default();
        let mark = value::mark(options.get(Opt::TproxyMark), report);
        let table = value::table(options.get(Opt::TproxyTable), report);
        return Mode::Tproxy(Tproxy {
            mark: mark.unwrap_or(default.mark),
            table: table.unwrap_or(default.table),
            ..default
        });
    }
    if !matches!(given.value.as_str(), "" | "REDIRECT") {
        report.note(given, Remark::AsRedirect);
    }
    for option in [Opt::TproxyMark, Opt::TproxyTable] {
        if options.is_changed(option) {
            report.note(options.get(option), Remark::TproxyUnused);
        }
    }
    Mode::Redirect
}

fn proxy(options: &Options, report: &mut Report) -> Proxy {
    let mut who = |option| {
        let given = options.get(option);
        let ids = value::ids(given, report);
        if ids.is_empty() && value::items(given).next().is_none() {
            report.refuse(given, Reason::NoProxy);
        }
        ids
    };
    let users = match options.text(Opt::ProxyUid) {
        "" => Proxy::default().users.value,
        _ => who(Opt::ProxyUid),
    };
    let groups = match options.text(Opt::ProxyGid) {
        "" => users.clone(),
        _ => who(Opt::ProxyGid),
    };
    Proxy {
        users: set(users),
        groups: set(groups),
        outbound_port: set(value::port(options.get(Opt::ProxyPort), report)),
        inbound_port: set(value::port(options.get(Opt::InboundPort), report)),
        tunnel_port: set(value::port(options.get(Opt::TunnelPort), report)),
        ..Proxy::default()
    }
}

fn inbound(options: &Options, report: &mut Report) -> Inbound {
    let excludes = options.get(Opt::InboundExcludes);
    let exclude_ports = value::ports(excludes, report);
    if options.text(Opt::InboundPorts) == "*" {
        return Inbound { capture_ports: set(Selection::All), exclude_ports: set(exclude_ports) };
    }
    if !exclude_ports.is_empty() {
        report.note(excludes, Remark::InboundExcludesUnused);
    }
    Inbound {
        capture_ports: set(Selection::Only(value::ports(options.get(Opt::InboundPorts), report))),
        exclude_ports: set(Vec::new()),
    }
}

fn outbound(
    options: &Options,
    families: Families,
    groups: &GroupIds,
    report: &mut Report,
) -> Outbound {
    let mut capture_loopback = false;
    let capture_to = if options.text(Opt::Destinations) == "*" {
        Selection::All
    } else {
        let given = options.get(Opt::Destinations);
        let prefixes = value::prefixes(given, report);
        // Upstream asks before it parts the families, so either one's loopback is for both.
        if let Some(prefix) = prefixes.iter().find(|prefix| value::is_loopback(prefix)) {
            capture_loopback = true;
            report.note(given, Remark::LoopbackCaptured { prefix: prefix.to_string() });
        }
        Selection::Only(destinations(given, prefixes, families, report))
    };
    let excludes = options.get(Opt::DestinationExcludes);
    let exclude_to = if excludes.value == "*" {
        report.refuse(excludes, Reason::WildcardExcluded);
        Vec::new()
    } else {
        let prefixes = value::prefixes(excludes, report);
        destinations(excludes, prefixes, families, report)
    };
    let mut loopback = Outbound::default().loopback.value;
    if let Some(ipv4) = value::loopback(options.get(Opt::Loopback), report) {
        loopback = PerFamily { ipv4, ..loopback };
    }
    Outbound {
        capture_to: set(capture_to),
        exclude_to: set(exclude_to),
        capture_ports: set(value::ports(options.get(Opt::OutboundPorts), report)),
        exclude_ports: set(value::ports(options.get(Opt::OutboundPortExcludes), report)),
        groups: set(owner_groups(options, groups, report)),
        loopback: set(loopback),
        capture_loopback: set(capture_loopback),
    }
}

/// The networks of the families that are captured.
fn destinations(
    given: &Given,
    prefixes: Vec<IpNet>,
    families: Families,
    report: &mut Report,
) -> Vec<IpNet> {
    let (kept, dropped): (Vec<_>, Vec<_>) = prefixes
        .into_iter()
        .partition(|prefix| families.has(Family::Ipv6) || matches!(prefix, IpNet::V4(_)));
    note_family_off(given, &dropped, report);
    // Two prefixes with different bits behind them may be the same network.
    let mut seen = BTreeSet::new();
    kept.into_iter()
        .map(|prefix| network(given, &prefix.to_string(), prefix, report))
        .filter(|network| seen.insert(*network))
        .collect()
}

fn note_family_off<T: ToString>(given: &Given, dropped: &[T], report: &mut Report) {
    if dropped.is_empty() {
        return;
    }
    let items: Vec<_> = dropped.iter().map(|item| format!("`{}`", item.to_string())).collect();
    report.note(given, Remark::FamilyOff { items: items.join(", ") });
}

/// Upstream's `ParseInterceptFilter`.
fn owner_groups(options: &Options, known: &GroupIds, report: &mut Report) -> Groups {
    /// `tools/common/config/validation.go`: all of them go into one rule.
    const MOST: usize = 64;

    let (includes, excludes) = (options.get(Opt::Groups), options.get(Opt::GroupExcludes));
    if includes.value == "*" {
        return Groups::Except(value::groups(excludes, known, report));
    }
    if !excludes.value.is_empty() {
        report.note(excludes, Remark::GroupExcludesUnused);
    }
    let count = value::items(includes).count();
    if count > MOST {
        report.refuse(includes, Reason::TooManyGroups { count });
        return Groups::Except(Vec::new());
    }
    let groups = value::groups(includes, known, report);
    if groups.is_empty() { Groups::Except(Vec::new()) } else { Groups::Only(groups) }
}

fn captures_no_group(options: &Options) -> bool {
    value::items(options.get(Opt::Groups)).next().is_none()
}

/// Without a captured group, upstream's rule for the rest has no condition: everything returns
/// there. What comes behind it (DNS, destinations, ports) never runs, but conntrack zones of DNS
/// and rerouted interfaces are elsewhere and still do.
fn without_groups(sidecar: &mut Sidecar, options: &Options, report: &mut Report) {
    let given = options.get(Opt::Groups);
    let outbound = &mut sidecar.outbound;
    let dns_returns = outbound.exclude_ports.iter().any(|ports| ports.contains(53));
    if sidecar.dns.is_some() && !dns_returns {
        return report.refuse(given, Reason::NoGroupBut { what: "DNS" });
    }
    if !sidecar.interfaces.reroute.is_empty() && !outbound.capture_to.is_none() {
        return report.refuse(given, Reason::NoGroupBut { what: "a rerouted interface" });
    }
    outbound.capture_to = set(Selection::none());
    outbound.capture_ports = set(Vec::<PortRange>::new());
    outbound.exclude_to = set(Vec::new());
    report.note(given, Remark::NoGroup);
}

fn dns(options: &Options, families: Families, report: &mut Report) -> Option<Dns> {
    let switch = options.get(Opt::Dns);
    let resolvers = [options.get(Opt::ResolversV4), options.get(Opt::ResolversV6)];
    let note_resolvers = |remark: Remark, report: &mut Report| {
        for given in resolvers.iter().filter(|given| !given.value.is_empty()) {
            report.note(given, remark.clone());
        }
    };
    if !options.is_on(Opt::Dns) {
        note_resolvers(Remark::DnsOff, report);
        if options.is_on(Opt::AllDns) {
            report.note(options.get(Opt::AllDns), Remark::DnsOff);
        }
        return None;
    }
    if options.is_on(Opt::AllDns) {
        note_resolvers(Remark::ResolversUnused, report);
        return Some(Dns { servers: Selection::All, port: Dns::DEFAULT_PORT });
    }
    let ipv4 = value::ipv4(resolvers[0], report).into_iter().map(IpAddr::V4);
    let ipv6 = value::ipv6(resolvers[1], report);
    if ipv4.len() == 0 && ipv6.is_empty() {
        report.note(switch, Remark::NoResolver);
        return None;
    }
    let ipv6 = if families.has(Family::Ipv6) {
        ipv6
    } else {
        note_family_off(resolvers[1], &ipv6, report);
        Vec::new()
    };
    let servers = ipv4.chain(ipv6.into_iter().map(IpAddr::V6)).collect();
    Some(Dns { servers: Selection::Only(servers), port: Dns::DEFAULT_PORT })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::finding::Report;
    use super::super::option::{OPTIONS, Options};
    use super::sidecar;
    use crate::import::Given;
    use crate::policy::Sidecar;

    /// The policy for a configuration written `KEY=value; KEY=value`, and what is said about it.
    fn read(text: &str) -> (Sidecar, String) {
        let (mut options, mut report) = (Options::new(), Report::default());
        for (key, value) in text.split("; ").filter_map(|setting| setting.split_once('=')) {
            let spec = OPTIONS.iter().find(|spec| spec.key == key).unwrap();
            options.set(spec.option, Given::field(key, value), &mut report);
        }
        let groups = [("java".to_owned(), 202)].into();
        let policy = sidecar(&options, &groups, &mut report);
        let mut said = String::new();
        for note in &report.notes {
            writeln!(said, "note: {note}").unwrap();
        }
        for mistake in &report.mistakes {
            writeln!(said, "error: {mistake}").unwrap();
        }
        (policy, said)
    }

    /// One part of the policy in JSON.
    fn part(policy: &Sidecar, pointer: &str) -> String {
        let json = serde_json::to_value(policy).unwrap();
        json.pointer(pointer).unwrap().to_string()
    }

    #[test]
    fn each_option_has_its_place() {
        for (text, pointer, expected) in [
            ("", "/families", r#""ipv4""#),
            ("ENABLE_INBOUND_IPV6=true", "/families", r#""both""#),
            ("", "/inbound/capture-ports", "[]"),
            ("INBOUND_PORTS_INCLUDE=,", "/inbound/capture-ports", "[]"),
            ("INBOUND_PORTS_INCLUDE=*", "/inbound/capture-ports", r#""*""#),
            (
                "INBOUND_PORTS_INCLUDE=*; INBOUND_PORTS_EXCLUDE=22,22",
                "/inbound/exclude-ports",
                "[22]",
            ),
            ("", "/outbound/capture-to", "[]"),
            ("OUTBOUND_IPRANGES_INCLUDE=*", "/outbound/capture-to", r#""*""#),
            ("OUTBOUND_IPRANGES_EXCLUDE=10.0.0.0/8", "/outbound/exclude-to", r#"["10.0.0.0/8"]"#),
            ("OUTBOUND_PORTS_INCLUDE=25", "/outbound/capture-ports", "[25]"),
            ("OUTBOUND_PORTS_EXCLUDE=25", "/outbound/exclude-ports", "[25]"),
            ("PROXY_UID=1,2", "/proxy/groups", "[1,2]"),
            ("PROXY_UID=1; PROXY_GID=2", "/proxy/groups", "[2]"),
            ("PROXY_GID=2", "/proxy/users", "[1337]"),
            ("PROXY_PORT=1", "/proxy/outbound-port", "1"),
            ("INBOUND_CAPTURE_PORT=2", "/proxy/inbound-port", "2"),
            ("INBOUND_TUNNEL_PORT=3", "/proxy/tunnel-port", "3"),
            ("INBOUND_INTERCEPTION_MODE=REDIRECT", "/mode", r#""redirect""#),
            (
                "INBOUND_INTERCEPTION_MODE=TPROXY; INBOUND_TPROXY_MARK=5; \
                 INBOUND_TPROXY_ROUTE_TABLE=6",
                "/mode",
                r#"{"tproxy":{"mark":5,"on-miss":"drop","outbound-mark":1338,"table":6}}"#,
            ),
            ("OUTBOUND_OWNER_GROUPS_INCLUDE=java,1", "/outbound/groups", r#"{"only":[202,1]}"#),
            ("OUTBOUND_OWNER_GROUPS_EXCLUDE=java", "/outbound/groups", r#"{"except":[202]}"#),
            ("KUBE_VIRT_INTERFACES=virt0", "/interfaces/reroute", r#"["virt0"]"#),
            ("EXCLUDE_INTERFACES=eth+", "/interfaces/exclude", r#"["eth*"]"#),
            ("DROP_INVALID=true", "/drop-invalid", "true"),
            ("REDIRECT_DNS=true; CAPTURE_ALL_DNS=true", "/dns/servers", r#""*""#),
            (
                "REDIRECT_DNS=true; DNS_SERVERS_V4=1.1.1.1; DNS_SERVERS_V6=::1; \
                 ENABLE_INBOUND_IPV6=true",
                "/dns/servers",
                r#"["1.1.1.1","::1"]"#,
            ),
        ] {
            let (policy, said) = read(text);
            assert_eq!(part(&policy, pointer), expected, "{text}");
            assert_eq!(said, "", "{text}");
        }
    }

    #[test]
    fn what_has_no_effect_is_left_out_and_noted() {
        for (text, pointer, expected, note) in [
            (
                "INBOUND_PORTS_INCLUDE=80; INBOUND_PORTS_EXCLUDE=22",
                "/inbound/exclude-ports",
                "[]",
                "`INBOUND_PORTS_EXCLUDE: 22`: no effect: ports are excluded only where every \
                 inbound port is captured",
            ),
            (
                "OUTBOUND_OWNER_GROUPS_INCLUDE=1; OUTBOUND_OWNER_GROUPS_EXCLUDE=2",
                "/outbound/groups",
                r#"{"only":[1]}"#,
                "`OUTBOUND_OWNER_GROUPS_EXCLUDE: 2`: no effect: groups are excluded only where \
                 every group is captured",
            ),
            (
                "OUTBOUND_IPRANGES_INCLUDE=10.1.0.0/16,fd00::/8",
                "/outbound/capture-to",
                r#"["10.1.0.0/16"]"#,
                "`OUTBOUND_IPRANGES_INCLUDE: 10.1.0.0/16,fd00::/8`: `fd00::/8`: no effect, \
                 because IPv6 is not captured",
            ),
            (
                "OUTBOUND_IPRANGES_EXCLUDE=10.0.0.0/8,10.1.2.3/8",
                "/outbound/exclude-to",
                r#"["10.0.0.0/8"]"#,
                "`OUTBOUND_IPRANGES_EXCLUDE: 10.0.0.0/8,10.1.2.3/8`: `10.1.2.3/8` means \
                 `10.0.0.0/8`",
            ),
            (
                "INBOUND_INTERCEPTION_MODE=tproxy",
                "/mode",
                r#""redirect""#,
                "`INBOUND_INTERCEPTION_MODE: tproxy`: read as `REDIRECT`, like every value but \
                 `TPROXY`",
            ),
            (
                "INBOUND_TPROXY_MARK=7",
                "/mode",
                r#""redirect""#,
                "`INBOUND_TPROXY_MARK: 7`: no effect: the mode is not TPROXY",
            ),
            (
                "REDIRECT_DNS=true",
                "/dns",
                "null",
                "`REDIRECT_DNS: true`: no effect: no DNS server is known, and not every one is \
                 captured",
            ),
            (
                "CAPTURE_ALL_DNS=true",
                "/dns",
                "null",
                "`CAPTURE_ALL_DNS: true`: no effect: DNS is not captured",
            ),
            (
                "REDIRECT_DNS=true; DNS_SERVERS_V6=::1,fd00::a",
                "/dns/servers",
                "[]",
                "`DNS_SERVERS_V6: ::1,fd00::a`: `::1`, `fd00::a`: no effect, because IPv6 is not \
                 captured",
            ),
            (
                "RECONCILE=true",
                "/dns",
                "null",
                "`RECONCILE: true`: says how rules are applied or logged, not which: not carried \
                 over",
            ),
        ] {
            let (policy, said) = read(text);
            assert_eq!(said, format!("note: {note}\n"), "{text}");
            assert_eq!(part(&policy, pointer), expected, "{text}");
        }
    }

    #[test]
    fn a_loopback_destination_of_either_family_captures_loopback() {
        for (text, expected) in [
            ("127.1.2.3/32", true),
            ("::1/128", true),
            ("127.0.0.1/0", true),
            ("126.0.0.0/7", false),
            ("*", false),
        ] {
            let (policy, _) = read(&format!("OUTBOUND_IPRANGES_INCLUDE={text}"));
            assert_eq!(*policy.outbound.capture_loopback, expected, "{text}");
        }
    }

    #[test]
    fn without_a_group_nothing_behind_that_rung_runs() {
        let (policy, said) = read(
            "OUTBOUND_OWNER_GROUPS_INCLUDE=; OUTBOUND_IPRANGES_INCLUDE=127.0.0.1/32; \
                  OUTBOUND_PORTS_INCLUDE=25; OUTBOUND_IPRANGES_EXCLUDE=1.1.1.1/32",
        );
        assert!(policy.outbound.capture_to.is_none());
        assert!(policy.outbound.capture_ports.is_empty());
        assert!(policy.outbound.exclude_to.is_empty());
        assert!(*policy.outbound.capture_loopback, "the rung before it still depends on that");
        assert!(said.contains("no group is captured, so nothing outbound is"), "{said}");

        for (text, what) in [
            ("REDIRECT_DNS=true; CAPTURE_ALL_DNS=true", Some("DNS")),
            ("REDIRECT_DNS=true; CAPTURE_ALL_DNS=true; OUTBOUND_PORTS_EXCLUDE=50:60", None),
            (
                "KUBE_VIRT_INTERFACES=virt0; OUTBOUND_IPRANGES_INCLUDE=*",
                Some("a rerouted interface"),
            ),
            ("KUBE_VIRT_INTERFACES=virt0", None),
        ] {
            let (_, said) = read(&format!("OUTBOUND_OWNER_GROUPS_INCLUDE=,; {text}"));
            let refusal = what.map(|what| format!("no group is captured, but {what} is"));
            assert_eq!(said.contains("error: "), refusal.is_some(), "{said}");
            assert!(said.contains(&refusal.unwrap_or_default()), "{said}");
        }
    }

    #[test]
    fn what_upstream_refuses_is_a_mistake() {
        let groups: Vec<_> = (1..=65).map(|group: u32| group.to_string()).collect();
        for (text, expected) in [
            (
                "OUTBOUND_IPRANGES_EXCLUDE=*",
                "`OUTBOUND_IPRANGES_EXCLUDE: *`: `*` would exclude every destination, which \
                 upstream refuses",
            ),
            (
                &format!("OUTBOUND_OWNER_GROUPS_INCLUDE={}", groups.join(",")),
                "`OUTBOUND_OWNER_GROUPS_INCLUDE: \
                 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23…`: 65 captured \
                 groups, and upstream takes 64 at most",
            ),
            (
                "PROXY_UID=,",
                "`PROXY_UID: ,`: names nobody, and without the proxy's ids its own connections \
                 come back to it",
            ),
            (
                "FORCE_IPTABLES_BINARY=xt",
                "`FORCE_IPTABLES_BINARY: xt`: the binaries are `legacy` and `nft`",
            ),
            (
                "REDIRECT_DNS=true; DNS_SERVERS_V4=::1",
                "`DNS_SERVERS_V4: ::1`: `::1` is not an IPv4 address",
            ),
        ] {
            let (_, said) = read(text);
            assert!(said.contains(&format!("error: {expected}\n")), "{said}");
        }
    }
}
