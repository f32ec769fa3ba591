//! Fields to what they mean: values as Consul and iptables take them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::fields::{Fields, Items};
use super::finding::{Reason, Report};
use super::value;
use crate::import::Given;
use crate::import::prefix::network;
use crate::net::{Families, Family, PortRange};
use crate::policy::consul::{Consul, Dns, Inbound, Outbound, Proxy};
use crate::policy::{GroupIds, Setting};

/// The policy that the fields come to. Where one is wrong, what it has does not matter.
pub(super) fn consul(fields: &Fields, users: &GroupIds, report: &mut Report) -> Consul {
    origins(fields, report);
    let default = Consul::default();
    let families = if fields.dual_stack { Families::Both } else { Families::Ipv4 };
    let ports = |lists: &[Items], report: &mut Report| {
        let read = |given: &Given, item: &str, report: &mut Report| {
            value::ports(item, |remark| report.note(given, remark))
        };
        Setting::default_to(list::<PortRange>(lists, report, read))
    };
    let excluded_users = |_: &Given, item: &str, _: &mut Report| value::users(item, users);
    Consul {
        families: Setting::default_to(families),
        proxy: Proxy {
            user: Setting::default_to(user(fields, users, report)),
            inbound_port: Setting::default_to(inbound_port(fields, report)),
            outbound_port: port(fields.outbound_port.as_ref(), report)
                .map_or(default.proxy.outbound_port, Setting::default_to),
        },
        dns: Setting::default_to(dns(fields, families, report)),
        inbound: Inbound { exclude_ports: ports(&fields.exclude_inbound_ports, report) },
        outbound: Outbound {
            exclude_ports: ports(&fields.exclude_outbound_ports, report),
            exclude_to: Setting::default_to(networks(fields, report)),
            exclude_users: Setting::default_to(list(&fields.exclude_users, report, excluded_users)),
        },
    }
}

/// Says where clauses come from.
fn origins(fields: &Fields, report: &mut Report) {
    report.comments.otherwise = Some("Consul's default".to_owned());
    let dual_stack = format!("dual stack is {}", if fields.dual_stack { "on" } else { "off" });
    report.origin_in_words(("", "family"), dual_stack);
    for (clause, given) in [
        (("proxy", "user"), &fields.user),
        (("proxy", "inbound-port"), &fields.inbound_port),
        (("proxy", "outbound-port"), &fields.outbound_port),
        (("dns", "to"), &fields.dns_address),
        (("dns", "port"), &fields.dns_port),
    ] {
        if let Some(given) = given {
            report.origin(clause, given);
        }
    }
    for (clause, lists) in [
        (("inbound", "exclude port"), &fields.exclude_inbound_ports),
        (("outbound", "exclude port"), &fields.exclude_outbound_ports),
        (("outbound", "exclude to"), &fields.exclude_networks),
        (("outbound", "exclude user"), &fields.exclude_users),
    ] {
        for items in lists {
            report.origin(clause, &items.given);
        }
    }
}

/// The values of `lists`, each once.
fn list<T: PartialEq>(
    lists: &[Items],
    report: &mut Report,
    read: impl Fn(&Given, &str, &mut Report) -> Result<T, Reason>,
) -> Vec<T> {
    let mut values = Vec::new();
    for Items { given, items } in lists {
        for item in items {
            match read(given, item, report) {
                Ok(value) if values.contains(&value) => {}
                Ok(value) => values.push(value),
                Err(reason) => report.refuse(given, reason),
            }
        }
    }
    values
}

/// The proxy's user, or 0.
fn user(fields: &Fields, users: &GroupIds, report: &mut Report) -> u32 {
    let Some(given) = &fields.user else {
        report.fail(Reason::Missing { field: "ProxyUserID" });
        return 0;
    };
    match value::users(&given.value, users).map(<(u32, u32)>::from) {
        Ok((first, last)) if first == last => return first,
        Ok(_) => report.refuse(given, Reason::ManyUsers),
        Err(reason) => report.refuse(given, reason),
    }
    0
}

/// The inbound port, or 0.
fn inbound_port(fields: &Fields, report: &mut Report) -> u16 {
    if fields.inbound_port.is_none() {
        report.fail(Reason::Missing { field: "ProxyInboundPort" });
    }
    port(fields.inbound_port.as_ref(), report).unwrap_or_default()
}

/// A port to which connections are sent.
fn port(given: Option<&Given>, report: &mut Report) -> Option<u16> {
    let given = given?;
    let port = given.value.parse().ok().filter(|port| *port != 0);
    if port.is_none() {
        report.refuse(given, Reason::NotOnePort { item: given.value.clone() });
    }
    port
}

/// Where DNS goes, if it goes elsewhere.
fn dns(fields: &Fields, families: Families, report: &mut Report) -> Option<Dns> {
    let port = port(fields.dns_port.as_ref(), report);
    let family = match families {
        Families::Ipv4 => Family::Ipv4,
        Families::Ipv6 | Families::Both => Family::Ipv6,
    };
    let Some(given) = &fields.dns_address else {
        return port.map(|port| Dns { to: family.loopback(), port: Some(port) });
    };
    let is_machine = |address: &IpAddr| match address {
        IpAddr::V4(address) => !address.is_unspecified(),
        IpAddr::V6(address) => !address.is_unspecified() && address.to_ipv4_mapped().is_none(),
    };
    let Some(to) = given.value.parse().ok().filter(is_machine) else {
        report.refuse(given, Reason::NotAddress);
        return None;
    };
    match (family, Family::of(to)) {
        (Family::Ipv4, Family::Ipv6) => report.refuse(given, Reason::DnsIpv6),
        (Family::Ipv6, Family::Ipv4) => report.refuse(given, Reason::DnsIpv4),
        _ => {}
    }
    Some(Dns { to, port })
}

/// The destinations that are excluded, each once.
fn networks(fields: &Fields, report: &mut Report) -> Vec<IpNet> {
    let given = fields.exclude_networks.iter().find(|list| !list.items.is_empty());
    if let Some(Items { given, .. }) = given.filter(|_| fields.dual_stack) {
        report.refuse(given, Reason::DualStackNetworks);
        return Vec::new();
    }
    list(&fields.exclude_networks, report, |given, item, report| {
        Ok(network(given, item, value::network(item)?, report))
    })
}
