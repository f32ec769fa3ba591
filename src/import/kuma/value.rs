//! Values as Kuma takes them: ports, addresses, users, networks.

use std::net::IpAddr;

use ipnet::IpNet;

use super::finding::{Reason, Remark, Report};
use crate::import::prefix::network;
use crate::import::{GeneralReason, Given};
use crate::net::{Interface, PortRange};
use crate::policy::kuma::{UserExclusion, VirtualNetwork};
use crate::policy::{GroupIds, Transport};

/// Adds `value` unless it is there.
pub(super) fn add<T: PartialEq>(values: &mut Vec<T>, value: T) {
    if !values.contains(&value) {
        values.push(value);
    }
}

/// One port of 1 to 65535, as Go's `strconv.ParseUint` reads it.
fn port_of(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0)
}

/// The one port.
pub(super) fn port(given: &Given, report: &mut Report) -> Option<u16> {
    let port = port_of(&given.value);
    if port.is_none() {
        report.refuse(given, GeneralReason::NotPort { item: given.value.clone() });
    }
    port
}

/// The ports of a list, each once.
pub(super) fn ports(given: &[Given], report: &mut Report) -> Vec<PortRange> {
    let mut ports = Vec::new();
    for given in given {
        for item in given.value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            match port_of(item) {
                Some(port) => add(&mut ports, PortRange::one(port)),
                None => report.refuse(given, GeneralReason::NotPort { item: item.to_owned() }),
            }
        }
    }
    ports
}

/// Addresses and prefixes, each once, without the bits behind the prefix, which are noted.
pub(super) fn nets(given: &[Given], report: &mut Report) -> Vec<IpNet> {
    let mut nets = Vec::new();
    for given in given {
        if given.value.is_empty() {
            report.refuse(given, Reason::EmptyItem);
        }
        for item in given.value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let net = match (item.parse::<IpAddr>(), prefix(item)) {
                (Ok(address), _) => unmapped(item, address).map(IpNet::from),
                (_, Some(net)) => unmapped(item, net.addr()).map(|_| net),
                _ => Err(Reason::NotAddress { item: item.to_owned() }),
            };
            match net {
                Ok(net) => add(&mut nets, network(given, &net.to_string(), net, report)),
                Err(reason) => report.refuse(given, reason),
            }
        }
    }
    nets
}

/// A prefix as Go's `net.ParseCIDR` reads it.
fn prefix(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    IpNet::new(address.parse().ok()?, length.parse().ok().filter(|_| is_number)?).ok()
}

/// Kuma takes an IPv4 address in an IPv6 one for IPv4, which iptables does not.
fn unmapped(item: &str, address: IpAddr) -> Result<IpAddr, Reason> {
    if address.to_canonical() == address {
        Ok(address)
    } else {
        Err(Reason::Mapped { item: item.to_owned() })
    }
}

/// Virtual networks. Of several for an interface, the last of each family stays.
pub(super) fn networks(given: &[Given], report: &mut Report) -> Vec<VirtualNetwork> {
    let mut networks: Vec<(&Given, VirtualNetwork)> = Vec::new();
    for given in given {
        match virtual_network(given, report) {
            Err(reason) => report.refuse(given, reason),
            Ok(network) => {
                let is_same = |(_, other): &(&Given, VirtualNetwork)| {
                    other.interface == network.interface && other.family() == network.family()
                };
                match networks.iter().position(is_same) {
                    Some(at) => {
                        let (replaced, _) = std::mem::replace(&mut networks[at], (given, network));
                        let written = replaced.value.clone();
                        report.note(replaced, Remark::NetworkReplaced { written });
                    }
                    None => networks.push((given, network)),
                }
            }
        }
    }
    networks.into_iter().map(|(_, network)| network).collect()
}

fn virtual_network(given: &Given, report: &mut Report) -> Result<VirtualNetwork, Reason> {
    let not_network = || Reason::NotNetwork { item: given.value.clone() };
    let (name, net) = given.value.split_once(':').ok_or_else(not_network)?;
    let net = prefix(net).ok_or_else(not_network)?;
    unmapped(&given.value, net.addr())?;
    let interface = match name.strip_suffix('+') {
        // To iptables, `*` is a character like any other.
        None if name.contains('*') => Err(crate::net::BadInterface::Forbidden { character: '*' }),
        None => Interface::new(name),
        Some(stem) => Interface::new(&format!("{stem}*")),
    };
    let interface =
        interface.map_err(|why| GeneralReason::NotInterface { item: name.to_owned(), why })?;
    Ok(VirtualNetwork { interface, net: network(given, &net.to_string(), net, report) })
}

/// The user, by number or by a name that `known` has.
pub(super) fn user(given: &Given, known: &GroupIds, report: &mut Report) -> Option<u32> {
    let text = given.value.as_str();
    if let Some(number) = known.get(text) {
        return Some(*number);
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_number && *number != u32::MAX);
    if number.is_none() {
        let name = text.to_owned();
        report
            .refuse(given, if is_number { Reason::NotUser } else { Reason::UnknownUser { name } });
    }
    number
}

/// Ports and users that are left alone, each once.
pub(super) fn exclusions(given: &[Given], report: &mut Report) -> Vec<UserExclusion> {
    let mut exclusions = Vec::new();
    for given in given {
        match exclusion(given, report) {
            Ok(several) => several.into_iter().for_each(|one| add(&mut exclusions, one)),
            Err(reason) => report.refuse(given, reason),
        }
    }
    exclusions
}

/// `[protocol[,protocol]:][ports:]users` (`parseExcludePortsForUIDs`).
fn exclusion(given: &Given, report: &mut Report) -> Result<Vec<UserExclusion>, Reason> {
    let item = || given.value.clone();
    let wrong = |why| Reason::NotExclusion { item: item(), why };
    let fields: Vec<&str> = given.value.split(':').collect();
    let (protocols, ports, users) = match fields[..] {
        [users] => ("*", "*", users),
        [ports, users] => ("*", ports, users),
        [protocols, ports, users] => (protocols, ports, users),
        _ => return Err(wrong("it has more than three parts")),
    };
    let (mut tcp, mut udp) = (false, false);
    if matches!(protocols, "" | "*") {
        (tcp, udp) = (true, true);
    }
    for protocol in protocols.split(',').map(str::trim).filter(|it| !matches!(*it, "" | "*")) {
        match protocol.to_ascii_lowercase().as_str() {
            "tcp" => tcp = true,
            "udp" => udp = true,
            _ => return Err(wrong("a protocol is `tcp` or `udp`")),
        }
    }
    if protocols != "*" && protocols.split(',').any(|protocol| protocol.trim() == "*") {
        return Err(wrong("`*` is every protocol only where it stands alone"));
    }
    let ports = match ports {
        "" | "*" => vec![UserExclusion::EVERY_PORT],
        ports => excluded_ports(given, ports)?,
    };
    let users = excluded_users(given, users)?;
    if users.is_none() {
        report.note(given, Remark::EverybodyExcluded { item: item() });
    }
    let protocol = match (tcp, udp) {
        (true, true) => None,
        (true, false) => Some(Transport::Tcp),
        (false, true) => Some(Transport::Udp),
        (false, false) => {
            report.note(given, Remark::NoProtocol { item: item() });
            return Ok(Vec::new());
        }
    };
    Ok(ports.into_iter().map(|ports| UserExclusion { protocol, ports, users }).collect())
}

/// Most ports of one exclusion; a range counts as two (iptables' `multiport`).
const MOST_PORTS: usize = 15;

fn excluded_ports(given: &Given, text: &str) -> Result<Vec<PortRange>, Reason> {
    let refused = |why| Reason::DoesNotLoad { item: given.value.clone(), why };
    let mut ports = Vec::new();
    let mut count = 0;
    for range in text.split(',') {
        let ends = numbers(given, range, "a port is 0 to 65535")?;
        count += ends.len();
        ports.push(match ends[..] {
            [only] => PortRange::one(only),
            [first, last] if first < last => {
                PortRange::new(first, last).expect("the first is below the last")
            }
            [_, _] => return Err(refused("a range of ports does not rise")),
            [] => return Err(refused("a port is empty")),
            _ => return Err(refused("a range of ports has two ends")),
        });
    }
    if count > MOST_PORTS {
        return Err(refused("more than 15 ports, where a range counts as two"));
    }
    Ok(ports)
}

/// The users; `None` for everybody.
fn excluded_users(given: &Given, text: &str) -> Result<Option<(u32, u32)>, Reason> {
    let wrong = |why| Reason::NotExclusion { item: given.value.clone(), why };
    let refused = |why| Reason::DoesNotLoad { item: given.value.clone(), why };
    if text.contains(',') {
        return Err(wrong("users are one number or one range"));
    }
    if text == "*" {
        return Err(wrong("`*` is no user"));
    }
    let ends = numbers(given, text, "a user is 0 to 65535, also where the host has higher ones")?;
    match ends[..] {
        [] => Ok(None),
        [only] => Ok(Some((only.into(), only.into()))),
        [first, last] if first <= last => Ok(Some((first.into(), last.into()))),
        [_, _] => Err(refused("a range of users does not rise")),
        _ => Err(refused("a range of users has two ends")),
    }
}

/// Numbers of 16 bits with `-` between; none of an empty text.
fn numbers(given: &Given, text: &str, form: &'static str) -> Result<Vec<u16>, Reason> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let Some(number) = text.parse().ok().filter(|_| is_number) else {
            return Err(Reason::NotExclusion { item: given.value.clone(), why: form });
        };
        if text.len() > 1 && text.starts_with('0') {
            let why = "to iptables, but not to kumactl, a 0 before a number makes it octal";
            return Err(Reason::NotExclusion { item: given.value.clone(), why });
        }
        Ok(number)
    };
    text.split('-').map(number).collect()
}

/// The DNS servers, each once.
pub(super) fn servers(listed: &[String], report: &mut Report) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    for item in listed {
        match item.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(address) if !address.is_unspecified() => add(&mut servers, address),
            _ => report.fail(Reason::NotServer { item: item.clone() }),
        }
    }
    servers
}

/// The servers of a resolv.conf, as the Go library that Kuma uses reads it.
pub(super) fn name_servers(text: &str) -> Vec<String> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        words.next().map(str::to_owned)
    };
    text.lines().filter_map(server).collect()
}
