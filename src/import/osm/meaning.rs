//! Options to what they mean: values as OSM and iptables take them.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

use super::finding::{Reason, Remark, Report};
use super::option::{Items, List, Options};
use crate::import::prefix::{network, prefix};
use crate::import::{GeneralReason, go};
use crate::net::{Interface, PortRange};
use crate::policy::osm::{Inbound, LocalMode, MOST_EXCLUDED_PORTS, Osm, Outbound, Proxy};
use crate::policy::{Selection, Setting};

/// The policy that the options come to. Where one is wrong, what it has does not matter.
pub(super) fn osm(options: &Options, report: &mut Report) -> Osm {
    origins(options, report);
    let default = Osm::default();
    let captured = nets(options, List::Captured, report);
    let mut inbound = ports(options, List::InboundPorts, report);
    drop_own(&mut inbound, options, report);
    Osm {
        proxy: Proxy {
            local_mode: Setting::default_to(local_mode(options, report)),
            ..default.proxy
        },
        inbound: Inbound { exclude_ports: Setting::default_to(inbound) },
        outbound: Outbound {
            capture_to: Setting::default_to(if captured.is_empty() {
                Selection::All
            } else {
                Selection::Only(captured)
            }),
            exclude_to: Setting::default_to(nets(options, List::Excluded, report)),
            exclude_ports: Setting::default_to(ports(options, List::OutboundPorts, report)),
        },
        exclude_interfaces: Setting::default_to(interfaces(options, report)),
    }
}

/// Says where clauses come from.
fn origins(options: &Options, report: &mut Report) {
    report.comments.otherwise = Some("OSM's default".to_owned());
    for (list, clause) in [
        (List::InboundPorts, ("inbound", "exclude port")),
        (List::OutboundPorts, ("outbound", "exclude port")),
        (List::Excluded, ("outbound", "exclude to")),
        (List::Captured, ("outbound", "capture to")),
    ] {
        for items in options.of_mesh(list).chain(options.of_pod(list)) {
            report.origin(clause, &items.given);
        }
    }
    if let Some(items) = &options.interfaces {
        report.origin(("interface", "exclude"), &items.given);
    }
    for given in [&options.local_mode, &options.pod_address].into_iter().flatten() {
        report.origin(("proxy", "local-mode pod-ip"), given);
    }
}

/// The ports of the mesh, then those of the pod, each once.
fn ports(options: &Options, list: List, report: &mut Report) -> Vec<PortRange> {
    let mut ports = Vec::new();
    let mut end = None;
    let of_mesh = options.of_mesh(list).map(|items| (items, false));
    for (Items { given, items }, is_pods) in
        of_mesh.chain(options.of_pod(list).map(|items| (items, true)))
    {
        end = Some(given);
        for item in items {
            let number = go::decimal(item);
            match number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port != 0) {
                Some(port) if ports.contains(&PortRange::one(port)) => {}
                Some(port) => ports.push(PortRange::one(port)),
                // OSM looks whether a number of an annotation is above 0, and at no other.
                None if is_pods && number.is_none_or(|number| number <= 0) => {
                    report.refuse(given, GeneralReason::NotPort { item: item.clone() });
                }
                None => report.refuse(given, Reason::NotPortOfIptables { item: item.clone() }),
            }
        }
    }
    if let (Some(given), true) = (end, ports.len() > MOST_EXCLUDED_PORTS) {
        report.refuse(given, Reason::TooManyPorts { count: ports.len() });
    }
    ports
}

/// Takes out the proxy's own ports, which are not captured anyway.
fn drop_own(ports: &mut Vec<PortRange>, options: &Options, report: &mut Report) {
    let is_own = |port: &PortRange| Osm::OWN_PORTS.contains(&port.first());
    for own in ports.extract_if(.., |port| is_own(port)) {
        let own = own.to_string();
        let lists = options.of_mesh(List::InboundPorts).chain(options.of_pod(List::InboundPorts));
        for Items { given, items } in lists {
            if items.contains(&own) {
                report.note(given, Remark::OwnPort { port: own.clone() });
            }
        }
    }
}

/// The prefixes of the pod, then those of the mesh, each once.
fn nets(options: &Options, list: List, report: &mut Report) -> Vec<Ipv4Net> {
    let mut nets = Vec::new();
    for Items { given, items } in options.of_pod(list).chain(options.of_mesh(list)) {
        for item in items {
            let owned = item.clone();
            match prefix(item) {
                None => report.refuse(given, GeneralReason::NotPrefix { item: owned }),
                Some(IpNet::V6(_)) => report.refuse(given, Reason::Ipv6Prefix { item: owned }),
                Some(net @ IpNet::V4(v4)) => {
                    network(given, item, net, report);
                    if !nets.contains(&v4.trunc()) {
                        nets.push(v4.trunc());
                    }
                }
            }
        }
    }
    nets
}

/// The interfaces, each once, as iptables writes them: `eth+` is every name that begins so.
fn interfaces(options: &Options, report: &mut Report) -> Vec<Interface> {
    let mut interfaces = Vec::new();
    let Some(Items { given, items }) = &options.interfaces else { return interfaces };
    for item in items {
        let read = match item.strip_suffix('+') {
            None if item.contains('*') => {
                Err(crate::net::BadInterface::Forbidden { character: '*' })
            }
            None => Interface::new(item),
            Some(stem) => Interface::new(&format!("{stem}*")),
        };
        match read {
            Ok(interface) if interfaces.contains(&interface) => {}
            Ok(interface) => interfaces.push(interface),
            Err(why) => {
                report.refuse(given, GeneralReason::NotInterface { item: item.clone(), why });
            }
        }
    }
    interfaces
}

fn local_mode(options: &Options, report: &mut Report) -> LocalMode {
    let address = &options.pod_address;
    // An address that is written for the mode only is a mistake of somebody.
    let mut unused = || {
        if let Some(address) = address.as_ref().filter(|given| given.option == POD_ADDRESS) {
            report.note(address, Remark::AddressUnused);
        }
        LocalMode::Localhost
    };
    let Some(mode) = &options.local_mode else { return unused() };
    match mode.value.as_str() {
        "PodIP" => {}
        "" | "Localhost" => return unused(),
        _ => {
            report.refuse(mode, Reason::NotMode);
            return LocalMode::Localhost;
        }
    }
    let Some(given) = address else {
        report.refuse(mode, Reason::NoPodAddress);
        return LocalMode::Localhost;
    };
    match given.value.parse::<Ipv4Addr>() {
        Ok(address) if !address.is_unspecified() => LocalMode::PodIp(address),
        _ => {
            report.refuse(given, Reason::NotAddress { item: given.value.clone() });
            LocalMode::Localhost
        }
    }
}

/// What a configuration calls the pod's address.
pub(super) const POD_ADDRESS: &str = "POD_IP";
