//! Options to what they mean: values as Linkerd and iptables take them.

use ipnet::IpNet;

use super::finding::{Reason, Remark, Report};
use super::option::{Opt, Options};
use crate::import::prefix::{network, prefix};
use crate::import::{GeneralReason, GeneralRemark, Given, go};
use crate::net::{Families, PortRange, PortSet};
use crate::policy::linkerd::{Inbound, Linkerd, Outbound, Proxy};
use crate::policy::{ClauseKey, Selection, Setting};

/// The policy that the options come to. Where one is wrong, what it has does not matter.
pub(super) fn linkerd(options: &Options, report: &mut Report) -> Linkerd {
    unrelated(options, report);
    origins(options, report);
    let ipv6 = options.switch(Opt::Ipv6).unwrap_or(true);
    let capture = captured(options, report);
    let mut exclude = excluded(options, Opt::InboundExcludes, report);
    if let Selection::Only(captured) = &capture {
        drop_uncaptured(&mut exclude, captured, report);
    }
    let ports = |list: Vec<(Given, PortRange)>| {
        Setting::default_to(list.into_iter().map(|(_, ports)| ports).collect())
    };
    Linkerd {
        families: Setting::default_to(if ipv6 { Families::Both } else { Families::Ipv4 }),
        proxy: Proxy {
            user: Setting::default_to(id(options, Opt::User, report)),
            group: Setting::default_to(id(options, Opt::Group, report)),
            inbound_port: Setting::default_to(port(options, Opt::InboundPort, report)),
            outbound_port: Setting::default_to(port(options, Opt::OutboundPort, report)),
        },
        inbound: Inbound {
            capture_ports: Setting::default_to(capture),
            exclude_ports: ports(exclude),
            exclude_from: Setting::default_to(subnets(options, ipv6, report)),
        },
        outbound: Outbound {
            exclude_ports: ports(excluded(options, Opt::OutboundExcludes, report)),
        },
    }
}

/// The clauses that options become.
const CLAUSES: &[(Opt, ClauseKey)] = &[
    (Opt::Ipv6, ("", "family")),
    (Opt::User, ("proxy", "user")),
    (Opt::Group, ("proxy", "group")),
    (Opt::InboundPort, ("proxy", "inbound-port")),
    (Opt::OutboundPort, ("proxy", "outbound-port")),
    (Opt::InboundPorts, ("inbound", "capture port")),
    (Opt::InboundExcludes, ("inbound", "exclude port")),
    (Opt::Subnets, ("inbound", "exclude from")),
    (Opt::OutboundExcludes, ("outbound", "exclude port")),
];

/// Says where clauses come from.
fn origins(options: &Options, report: &mut Report) {
    report.comments.otherwise = Some("Linkerd's default".to_owned());
    for (option, clause) in CLAUSES {
        let listed = options.list(*option).iter().map(|items| &items.given);
        for given in options.get(*option).into_iter().chain(listed) {
            report.origin(*clause, given);
        }
    }
}

/// Takes out what is excluded and not captured. Linkerd has rules for it, which change nothing.
fn drop_uncaptured(
    exclude: &mut Vec<(Given, PortRange)>,
    captured: &[PortRange],
    report: &mut Report,
) {
    let captured: PortSet = captured.iter().copied().collect();
    let is_captured = |ports: PortRange| {
        let alone: PortSet = [ports].into_iter().collect();
        captured.minus(&alone) != captured
    };
    let dropped: Vec<_> = exclude.extract_if(.., |(_, ports)| !is_captured(*ports)).collect();
    for same in dropped.chunk_by(|(first, _), (second, _)| first == second) {
        let ports: Vec<_> = same.iter().map(|(_, ports)| ports.to_string()).collect();
        report.note(&same[0].0, Remark::NotRedirected { ports: ports.join(", ") });
    }
}

/// The port, or 0.
fn port(options: &Options, option: Opt, report: &mut Report) -> u16 {
    let (Some(given), Some(number)) = (options.get(option), options.number(option)) else {
        if !options.is_spoiled(option) {
            report.fail(Reason::NoProxyPort { option: option.spec().name });
        }
        return 0;
    };
    match u16::try_from(number) {
        Ok(0) => report.refuse(given, Reason::PortZero),
        Ok(port) => return port,
        Err(_) => report.refuse(given, GeneralReason::NotPort { item: given.value.clone() }),
    }
    0
}

/// The user or group, if it is one to Linkerd.
fn id(options: &Options, option: Opt, report: &mut Report) -> Option<u32> {
    let (given, number) = (options.get(option)?, options.number(option)?);
    if number <= 0 {
        report.note(given, Remark::Nobody { id: number });
        return None;
    }
    // The highest number means "nobody" to the kernel, and iptables refuses it.
    let id = u32::try_from(number).ok().filter(|id| *id != u32::MAX);
    if id.is_none() {
        report.refuse(given, Reason::NotId { item: given.value.clone() });
    }
    id
}

/// The inbound ports that are redirected, each once.
fn captured(options: &Options, report: &mut Report) -> Selection<PortRange> {
    let mut ports = Vec::new();
    for list in options.list(Opt::InboundPorts) {
        for item in &list.items {
            let Some(number) = go::decimal(item) else {
                report.refuse(&list.given, Reason::NotNumber { item: item.clone() });
                continue;
            };
            match u16::try_from(number).map(PortRange::one) {
                Ok(port) if ports.contains(&port) => {}
                Ok(port) => ports.push(port),
                Err(_) => {
                    let item = item.clone();
                    report.refuse(&list.given, Reason::NotRedirectedPort { item });
                }
            }
        }
    }
    let is_given = options.list(Opt::InboundPorts).iter().any(|list| !list.items.is_empty());
    if is_given { Selection::Only(ports) } else { Selection::All }
}

/// The ports of a list of ignored ones, each once. Linkerd logs what is no port, and leaves it out.
fn excluded(options: &Options, option: Opt, report: &mut Report) -> Vec<(Given, PortRange)> {
    let mut found: Vec<(Given, PortRange)> = Vec::new();
    let mut last = None;
    for list in options.list(option) {
        for item in &list.items {
            last = Some(&list.given);
            match ports(item) {
                Some(ports) if found.iter().any(|(_, known)| *known == ports) => {}
                Some(ports) => found.push((list.given.clone(), ports)),
                None => report.note(&list.given, Remark::PortIgnored { item: item.clone() }),
            }
        }
    }
    if let (Some(given), true) = (last, found.is_empty()) {
        report.refuse(given, Reason::NoPortLeft);
    }
    found
}

/// A port or a range, as Linkerd reads it (`pkg/util/portrange.go`).
fn ports(item: &str) -> Option<PortRange> {
    let (first, last) = item.split_once('-').unwrap_or((item, item));
    let port = |text: &str| go::decimal(text).and_then(|port| u16::try_from(port).ok());
    if last.contains('-') { None } else { PortRange::new(port(first)?, port(last)?) }
}

/// The subnets that are ignored, each once.
fn subnets(options: &Options, ipv6: bool, report: &mut Report) -> Vec<IpNet> {
    let mut nets = Vec::new();
    for list in options.list(Opt::Subnets) {
        for item in &list.items {
            let item = item.trim();
            let owned = item.to_owned();
            match prefix(item) {
                None => report.refuse(&list.given, GeneralReason::NotPrefix { item: owned }),
                Some(IpNet::V6(_)) => {
                    report.refuse(&list.given, Reason::Ipv6Subnet { item: owned });
                }
                Some(IpNet::V4(_)) if ipv6 => {
                    report.refuse(&list.given, Reason::Ipv4Subnet { item: owned });
                }
                Some(net) => {
                    let network = network(&list.given, item, net, report);
                    if !nets.contains(&network) {
                        nets.push(network);
                    }
                }
            }
        }
    }
    nets
}

/// Checks and notes the options that do not decide about traffic.
fn unrelated(options: &Options, report: &mut Report) {
    const LEVELS: &[&str] =
        &["panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"];
    let mode = options.text(Opt::Mode);
    for spec in super::OPTIONS.iter().filter(|spec| spec.option >= Opt::Simulate) {
        let Some(given) = options.get(spec.option) else { continue };
        let is_off = options.switch(spec.option) == Some(false);
        match spec.option {
            Opt::Simulate if !is_off => report.note(given, Remark::Simulated),
            Opt::Mode if !matches!(mode, "" | "legacy" | "nft" | "plain") => {
                report.refuse(given, Reason::NotMode);
            }
            Opt::Binary
                if mode.is_empty()
                    && !matches!(
                        given.value.as_str(),
                        "" | "iptables-legacy" | "iptables-nft" | "iptables"
                    ) =>
            {
                report.refuse(given, Reason::NotBinary);
            }
            Opt::LogLevel if !LEVELS.contains(&given.value.to_ascii_lowercase().as_str()) => {
                report.refuse(given, Reason::NotLogLevel);
            }
            Opt::CloseWait if options.number(Opt::CloseWait) != Some(0) => {
                report.note(given, Remark::KernelSetting);
            }
            Opt::CloseWait => {}
            _ if is_off || given.value.is_empty() => {}
            _ => report.note(given, GeneralRemark::NotTraffic),
        }
    }
}
