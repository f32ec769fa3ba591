//! Options to what they mean: values as a shell and iptables take them.

use ipnet::IpNet;

use super::finding::{Reason, Remark, Report};
use super::option::{Opt, Options};
use crate::import::iptables::{self, NoOwner};
use crate::import::prefix::{address_or_prefix, network};
use crate::import::{Context, GeneralReason, Given};
use crate::net::{Families, PortRange};
use crate::policy::appmesh::{AppMesh, Inbound, MOST_CAPTURED_PORTS, Outbound, Proxy};
use crate::policy::{GroupIds, Setting};

/// The policy that the options come to. Where one is wrong, what it has does not matter.
pub(super) fn appmesh(options: &Options, context: &Context, report: &mut Report) -> AppMesh {
    origins(options, report);
    let families = families(options, report);
    if let Some(given) = options.get(Opt::Start).filter(|given| given.value != "1") {
        report.note(given, Remark::NotStarted);
    }
    let user = owner(options, Opt::User, &context.users, report);
    let group = owner(options, Opt::Group, &context.groups, report);
    if options.get(Opt::User).or(options.get(Opt::Group)).is_none() {
        report.fail(Reason::Nobody);
    }
    let capture = captured(options, report);
    let is_inbound_port_needed = options.get(Opt::Ports).is_some();
    let default = AppMesh::default().proxy;
    AppMesh {
        families: Setting::default_to(families),
        proxy: Proxy {
            user: Setting::default_to(user),
            group: Setting::default_to(group),
            inbound_port: proxy_port(options, Opt::InboundPort, is_inbound_port_needed, report)
                .map_or(default.inbound_port, Setting::default_to),
            outbound_port: proxy_port(options, Opt::OutboundPort, true, report)
                .map_or(default.outbound_port, Setting::default_to),
        },
        inbound: Inbound { capture_ports: Setting::default_to(capture) },
        outbound: Outbound {
            exclude_ports: Setting::default_to(excluded_ports(options, report)),
            exclude_to: Setting::default_to(excluded_addresses(options, families, report)),
        },
    }
}

/// Says where clauses come from.
fn origins(options: &Options, report: &mut Report) {
    report.comments.otherwise = Some("App Mesh's default".to_owned());
    for (option, clause) in [
        (Opt::Ipv6, ("", "family")),
        (Opt::User, ("proxy", "user")),
        (Opt::Group, ("proxy", "group")),
        (Opt::InboundPort, ("proxy", "inbound-port")),
        (Opt::OutboundPort, ("proxy", "outbound-port")),
        (Opt::Ports, ("inbound", "capture port")),
        (Opt::ExcludedPorts, ("outbound", "exclude port")),
        (Opt::ExcludedAddresses, ("outbound", "exclude to")),
    ] {
        if let Some(given) = options.get(option) {
            report.origin(clause, given);
        }
    }
}

fn families(options: &Options, report: &mut Report) -> Families {
    match options.get(Opt::Ipv6) {
        Some(given) if given.value == "1" => return Families::Both,
        Some(given) if given.value != "0" => report.note(given, Remark::NotOne),
        _ => {}
    }
    Families::Ipv4
}

/// The user or the group of the proxy.
fn owner(options: &Options, option: Opt, names: &GroupIds, report: &mut Report) -> Option<u32> {
    let given = options.get(option)?;
    let item = given.value.clone();
    match iptables::owners(&item, names) {
        Ok((first, last)) if first == last => return Some(first),
        Ok(_) => report.refuse(given, Reason::Several),
        Err(NoOwner::UnknownName) => report.refuse(given, Reason::UnknownName { item }),
        Err(NoOwner::Other) => report.refuse(given, Reason::NotId { item }),
    }
    None
}

/// A port of the proxy.
fn proxy_port(options: &Options, option: Opt, is_needed: bool, report: &mut Report) -> Option<u16> {
    let Some(given) = options.get(option) else {
        if is_needed {
            report.fail(Reason::Missing { variable: option.spec().variable });
        }
        return None;
    };
    let port = given.value.parse().ok().filter(|port| *port != 0);
    if port.is_none() {
        report.refuse(given, GeneralReason::NotPort { item: given.value.clone() });
    }
    port
}

/// The ports of the workload, each once: items of one `multiport`.
fn captured(options: &Options, report: &mut Report) -> Vec<PortRange> {
    let Some(given) = options.get(Opt::Ports) else { return Vec::new() };
    // A number may have spaces before it, and nothing else may.
    let number = |item: &str| item.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let items = given.value.split(',');
    let items: Vec<_> =
        items.map(|item| if number(item) { item.trim_start() } else { item }).collect();
    let count: usize = items.iter().map(|item| if item.contains(':') { 2 } else { 1 }).sum();
    if count > MOST_CAPTURED_PORTS {
        report.refuse(given, Reason::TooManyPorts { count });
    }
    ports(given, &items, report)
}

/// The ports that are left alone, each once: a rule each. Port 22 is so anyway.
fn excluded_ports(options: &Options, report: &mut Report) -> Vec<PortRange> {
    let Some(given) = options.get(Opt::ExcludedPorts) else { return Vec::new() };
    let mut ports = ports(given, &words(&given.value), report);
    ports.retain(|port| *port != AppMesh::SSH);
    ports
}

fn ports(given: &Given, items: &[&str], report: &mut Report) -> Vec<PortRange> {
    let mut found = Vec::new();
    for item in items {
        match port_range(item, given, report) {
            Ok(ports) if found.contains(&ports) => {}
            Ok(ports) => found.push(ports),
            Err(why) => report.refuse(given, why),
        }
    }
    found
}

/// A port or a range of them, as `multiport` reads them: the last is above the first.
fn port_range(item: &str, given: &Given, report: &mut Report) -> Result<PortRange, Reason> {
    let not = || Reason::NotPorts { item: item.to_owned() };
    let mut port = |text: &str| {
        iptables::port(text, |remark| report.note(given, remark))
            .map_err(|why| why.map_or_else(not, Reason::from))
    };
    let Some((first, last)) = item.split_once(':') else { return port(item).map(PortRange::one) };
    let (first, last) = (port(first)?, port(last)?);
    PortRange::new(first, last).filter(|_| first != last).ok_or_else(not)
}

/// The destinations that are left alone, each once. Those of IPv6 have a colon.
fn excluded_addresses(options: &Options, families: Families, report: &mut Report) -> Vec<IpNet> {
    let Some(given) = options.get(Opt::ExcludedAddresses) else { return Vec::new() };
    let mut nets = Vec::new();
    for item in words(&given.value) {
        if item.contains(':') && families == Families::Ipv4 {
            report.note(given, Remark::Ipv6Off { item: item.to_owned() });
            continue;
        }
        match address_or_prefix(item).map(|net| network(given, item, net, report)) {
            Some(net) if nets.contains(&net) => {}
            Some(net) => nets.push(net),
            None => report.refuse(given, Reason::NotAddress { item: item.to_owned() }),
        }
    }
    nets
}

/// The items of a list that a shell loops over: what is between commas and spaces.
fn words(list: &str) -> Vec<&str> {
    list.split([',', ' ', '\t', '\n']).filter(|item| !item.is_empty()).collect()
}
