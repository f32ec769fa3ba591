//! Options to the policy that does what Kuma's rules do.

use ipnet::IpNet;

use super::finding::{Reason, Remark, Report};
use super::option::{Opt, Options};
use super::value;
#[cfg(feature = "import-pod")]
use crate::import::GeneralRemark;
use crate::import::Given;
use crate::net::{Families, Family, PortRange};
use crate::policy::kuma::{Dns, VirtualNetwork};
use crate::policy::{ClauseKey, GroupIds, Kuma, Selection, Setting};

/// What Kuma asks the host.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// Whether it has an IPv6 address that is not loopback.
    pub(super) ipv6: Option<bool>,
    /// The servers of its resolv.conf.
    pub(super) servers: Option<Vec<String>>,
    /// Whether its IPv4 nat table has a chain `DOCKER_OUTPUT`.
    pub(super) docker_output: Option<bool>,
}

/// The policy of `options` on `host`.
pub(super) fn kuma(options: &Options, host: &Host, users: &GroupIds, report: &mut Report) -> Kuma {
    let mut kuma = Kuma::default();
    kuma.families.value = families(options, host, report);
    if let Some(given) = options.get(Opt::User).filter(|given| !given.value.is_empty())
        && let Some(user) = value::user(given, users, report)
    {
        kuma.proxy.user.value = user;
    }
    for (option, port) in [
        (Opt::InboundPort, &mut kuma.proxy.inbound_port),
        (Opt::OutboundPort, &mut kuma.proxy.outbound_port),
        (Opt::DnsPort, &mut kuma.proxy.dns_port),
    ] {
        if let Some(given) = options.get(option)
            && let Some(read) = value::port(given, report)
        {
            port.value = read;
        }
    }
    kuma.drop_invalid.value = options.is_on(Opt::DropInvalid, false);
    let networks = value::networks(options.all(Opt::Networks), report);
    kuma.networks.value = governed(networks, VirtualNetwork::family, *kuma.families, report);
    inbound(options, &mut kuma, report);
    kuma.dns.value = dns(options, host, *kuma.families, report);
    outbound(options, &mut kuma, report);
    if kuma.dns.is_none() && !kuma.networks.is_empty() {
        report.remark(Remark::NetworkDns);
    }
    origins(options, host, report);
    kuma
}

/// The clauses that options become.
const CLAUSES: &[(Opt, &[ClauseKey])] = &[
    (Opt::User, &[("proxy", "user")]),
    (Opt::InboundPort, &[("proxy", "inbound-port")]),
    (Opt::OutboundPort, &[("proxy", "outbound-port")]),
    (Opt::DnsPort, &[("proxy", "dns-port")]),
    (Opt::Inbound, &[("inbound", "capture port")]),
    (Opt::InboundIncludes, &[("inbound", "capture port")]),
    (Opt::InboundUsers, &[("inbound", "capture port")]),
    (Opt::InboundExcludes, &[("inbound", "exclude port")]),
    (Opt::InboundIps, &[("inbound", "exclude from")]),
    (Opt::Outbound, &[("outbound", "capture port")]),
    (Opt::OutboundIncludes, &[("outbound", "capture port")]),
    (Opt::OutboundExcludes, &[("outbound", "exclude port")]),
    (Opt::OutboundUsers, &[("outbound", "exclude user")]),
    (Opt::OutboundIps, &[("outbound", "exclude to")]),
    (Opt::OutboundInsert, &[("dns", "tcp")]),
    (Opt::Dns, &[("dns", "capture"), ("", "dns")]),
    (Opt::AllDns, &[("dns", "capture"), ("", "dns")]),
    (Opt::SkipZones, &[("dns", "zones")]),
    (Opt::Networks, &[("", "vnet")]),
    (Opt::DropInvalid, &[("", "drop")]),
    (Opt::Family, &[("", "family")]),
];

/// Says where clauses come from.
fn origins(options: &Options, host: &Host, report: &mut Report) {
    report.comments.otherwise = Some("Kuma's default".to_owned());
    for (option, clauses) in CLAUSES {
        for clause in *clauses {
            for given in options.all(*option) {
                report.origin(*clause, given);
            }
        }
    }
    let host_has = |it| if it { "has" } else { "has no" };
    if let Some(ipv6) = host.ipv6 {
        let words = format!("the host {} IPv6 address", host_has(ipv6));
        report.origin_in_words(("", "family"), words);
    }
    if let Some(docker) = host.docker_output {
        let words = format!("the host {} chain DOCKER_OUTPUT", host_has(docker));
        report.origin_in_words(("dns", "docker-output"), words);
    }
}

fn families(options: &Options, host: &Host, report: &mut Report) -> Families {
    let mode = options.get(Opt::Family);
    match mode.map(|given| given.value.as_str()) {
        Some("ipv4") => return Families::Ipv4,
        Some(other) if other.eq_ignore_ascii_case("ipv4") => {
            report.note(&mode.expect("it is there").clone(), Remark::FamilyInAnotherCase);
        }
        Some(other) if !other.is_empty() && !other.eq_ignore_ascii_case("dualstack") => {
            report.refuse(&mode.expect("it is there").clone(), Reason::NotFamily);
        }
        _ => {}
    }
    match host.ipv6 {
        Some(true) => Families::Both,
        Some(false) => Families::Ipv4,
        None => {
            report.remark(Remark::FamiliesUnknown);
            Families::Both
        }
    }
}

/// Those of a family that is governed; the others are noted.
fn governed<T: ToString>(
    values: Vec<T>,
    family: impl Fn(&T) -> Family,
    families: Families,
    report: &mut Report,
) -> Vec<T> {
    let (own, others): (Vec<T>, Vec<T>) =
        values.into_iter().partition(|value| families.has(family(value)));
    if !others.is_empty() {
        let items: Vec<_> = others.iter().map(|value| format!("`{}`", value.to_string())).collect();
        report.remark(Remark::FamilyOff { items: items.join(", ") });
    }
    own
}

fn nets(given: &[Given], families: Families, report: &mut Report) -> Vec<IpNet> {
    let nets = value::nets(given, report);
    governed(nets, |net| Family::of(net.addr()), families, report)
}

/// The options of a direction that says which ports are captured.
struct Captured {
    /// What turns it off.
    enabled: Opt,
    includes: Opt,
    excludes: Opt,
}

impl Captured {
    const INBOUND: Self = Self {
        enabled: Opt::Inbound,
        includes: Opt::InboundIncludes,
        excludes: Opt::InboundExcludes,
    };
    const OUTBOUND: Self = Self {
        enabled: Opt::Outbound,
        includes: Opt::OutboundIncludes,
        excludes: Opt::OutboundExcludes,
    };

    /// Captured and excluded ports.
    fn ports(
        self,
        options: &Options,
        report: &mut Report,
    ) -> (Selection<PortRange>, Vec<PortRange>) {
        let includes = value::ports(options.all(self.includes), report);
        let excludes = value::ports(options.all(self.excludes), report);
        if !options.is_on(self.enabled, true) {
            for (option, ports) in [(self.includes, &includes), (self.excludes, &excludes)] {
                if !ports.is_empty() {
                    note_off(options, option, self.enabled, report);
                }
            }
            return (Selection::none(), Vec::new());
        }
        if includes.is_empty() {
            return (Selection::All, excludes);
        }
        if let Some(given) = options.get(self.excludes).filter(|_| !excludes.is_empty()) {
            report.note(given, Remark::ExcludedPortsIgnored);
        }
        (Selection::Only(includes), Vec::new())
    }
}

/// Notes an option that has no effect because `enabled` is off.
fn note_off(options: &Options, option: Opt, enabled: Opt, report: &mut Report) {
    if let Some(given) = options.get(option) {
        report.note(given, Remark::Off { by: enabled.spec().key });
    }
}

fn inbound(options: &Options, kuma: &mut Kuma, report: &mut Report) {
    let (capture, exclude) = Captured::INBOUND.ports(options, report);
    let from = nets(options.all(Opt::InboundIps), *kuma.families, report);
    let users = value::exclusions(options.all(Opt::InboundUsers), report);
    let inbound = &mut kuma.inbound;
    if !options.is_on(Opt::Inbound, true) {
        for option in [Opt::InboundIps, Opt::InboundUsers] {
            note_off(options, option, Opt::Inbound, report);
        }
        inbound.capture_ports.value = Selection::none();
    } else if users.is_empty() {
        inbound.capture_ports.value = capture;
        inbound.exclude_ports.value = exclude;
        inbound.exclude_from.value = from;
    } else {
        if let Some(given) = options.get(Opt::InboundUsers) {
            report.note(given, Remark::InboundOff);
        }
        inbound.capture_ports.value = Selection::none();
    }
    if let Some(given) = options.get(Opt::InboundInsert).filter(|given| given.value == "true") {
        report.note(given, Remark::PlaceOnly);
    }
}

fn outbound(options: &Options, kuma: &mut Kuma, report: &mut Report) {
    let (capture, exclude) = Captured::OUTBOUND.ports(options, report);
    let outbound = &mut kuma.outbound;
    outbound.capture_ports.value = capture;
    outbound.exclude_ports.value = exclude;
    outbound.exclude_to.value = nets(options.all(Opt::OutboundIps), *kuma.families, report);
    outbound.exclude_users.value = value::exclusions(options.all(Opt::OutboundUsers), report);
    let Some(insert) = options.get(Opt::OutboundInsert).filter(|given| given.value == "true")
    else {
        return;
    };
    match &mut kuma.dns.value {
        Some(dns) if !kuma.outbound.capture_ports.is_none() => {
            dns.captures_tcp = Setting::default_to(true);
            report.note(insert, Remark::TcpDnsCaptured);
        }
        _ => report.note(insert, Remark::PlaceOnly),
    }
}

fn dns(options: &Options, host: &Host, families: Families, report: &mut Report) -> Option<Dns> {
    let all = options.is_on(Opt::AllDns, false);
    let skip = options.get(Opt::SkipZones).filter(|given| given.value == "true");
    if !all && !options.is_on(Opt::Dns, false) {
        if let Some(given) = skip {
            report.note(given, Remark::DnsOff);
        }
        return None;
    }
    let servers = if all {
        Selection::All
    } else {
        Selection::Only(servers(options, host, families, report))
    };
    if servers.is_none() {
        return None;
    }
    let docker = match host.docker_output {
        Some(true) => Some(Families::Ipv4),
        Some(false) => None,
        None => {
            report.remark(Remark::DockerUnknown);
            None
        }
    };
    Some(Dns {
        servers,
        splits_zones: Setting::default_to(skip.is_none()),
        docker_output: Setting::default_to(docker),
        ..Dns::default()
    })
}

/// The captured servers of the families that are governed.
fn servers(
    options: &Options,
    host: &Host,
    families: Families,
    report: &mut Report,
) -> Vec<std::net::IpAddr> {
    let Some(listed) = &host.servers else {
        match options.get(Opt::Dns) {
            Some(given) => report.refuse(given, Reason::ServersUnknown),
            None => report.fail(Reason::ServersUnknown),
        }
        return Vec::new();
    };
    if let Some(given) = options.get(Opt::ResolvConf)
        && given.value != "/etc/resolv.conf"
    {
        report.note(given, Remark::OtherResolvConf);
    }
    let listed = value::servers(listed, report);
    let servers: Vec<_> = listed.into_iter().filter(|it| families.has(Family::of(*it))).collect();
    for family in families.iter() {
        if !servers.iter().any(|server| Family::of(*server) == family) {
            report.remark(Remark::NoServer { family });
        }
    }
    servers
}

/// Notes options that another one decides about.
#[cfg(feature = "import-pod")]
pub(super) fn note_overridden(given: &Given, by: &str, report: &mut Report) {
    report.note(given, GeneralRemark::Overridden { by: by.to_owned() });
}
