//! DNS capture of a sidecar, and its conntrack zones.

use ipnet::IpNet;

use super::context::Context;
use super::{names, rungs};
use crate::ir::{Action, BuiltInTable, Hook, Origin, Rule};
use crate::lower::items;
use crate::lower::plan::{Plan, jump};
use crate::lower::when::{When, any, tcp, udp};
use crate::net::{Families, Family, Nets, PortRange, PortSet};
use crate::policy::{Dns, Selection};

/// Where DNS servers listen.
pub(super) const PORT: PortRange = PortRange::one(53);

/// Conntrack zone of the proxy's own DNS traffic.
const ZONE_PROXY: u16 = 1;
/// Conntrack zone of the applications' DNS traffic.
const ZONE_APPLICATION: u16 = 2;

/// UDP or TCP of some families, to add conditions to.
type Transport = fn(Families) -> When;

/// The servers of one family that one rule is about.
enum Servers {
    Any(Families),
    These(Nets),
}

impl Servers {
    fn families(&self) -> Families {
        match self {
            Self::Any(families) => *families,
            Self::These(nets) => nets.family().into(),
        }
    }

    fn query(&self, transport: Transport) -> When {
        let when = transport(self.families()).dport(port());
        match self {
            Self::Any(_) => when,
            Self::These(nets) => when.to(nets.clone()),
        }
    }

    fn answer(&self) -> When {
        let when = udp(self.families()).sport(port());
        match self {
            Self::Any(_) => when,
            Self::These(nets) => when.from(nets.clone()),
        }
    }
}

/// Sends DNS to the agent, and keeps its UDP connections apart from the applications'.
pub(super) fn capture(context: &Context<'_>, dns: &Dns, plan: &mut Plan) {
    let clause = context.sidecar.dns.clause;
    let families = context.families;
    let servers = servers(context, dns);

    if let Some(families) = entered(&servers) {
        let enter = any(families).then(jump(names::OUTPUT_DNS), Origin::ENTRY);
        plan.chain(BuiltInTable::Nat, names::OUTPUT).push(enter);
    }
    for transport in [tcp, udp] as [Transport; 2] {
        for servers in &servers {
            let redirect = Action::Redirect { port: dns.port };
            let rule = servers.query(transport).then(redirect, Origin::new(rungs::DNS, clause));
            plan.chain(BuiltInTable::Nat, names::OUTPUT_DNS).push(rule);
        }
    }

    plan.enter(BuiltInTable::Raw, Hook::Output, names::OUTPUT_DNS);
    for proxy in context.proxy_owners() {
        let output = plan.chain(BuiltInTable::Raw, names::OUTPUT_DNS);
        let query = udp(families).dport(port()).owner(proxy.owner, proxy.ids());
        output.push(zone(query, ZONE_PROXY, Origin::new(rungs::ZONE_PROXY_QUERY, proxy.clause)));
        let answer = udp(families).sport(dns.port).owner(proxy.owner, proxy.ids());
        output.push(zone(
            answer,
            ZONE_APPLICATION,
            Origin::new(rungs::ZONE_PROXY_ANSWER, proxy.clause),
        ));
    }
    if let Some(families) = entered(&servers) {
        let enter = any(families).then(jump(names::INBOUND), Origin::ENTRY);
        plan.at(BuiltInTable::Raw, Hook::Prerouting).push(enter);
    }
    for servers in &servers {
        let query = servers.query(udp);
        plan.chain(BuiltInTable::Raw, names::OUTPUT_DNS).push(zone(
            query,
            ZONE_APPLICATION,
            Origin::new(rungs::ZONE_QUERY, clause),
        ));
        plan.chain(BuiltInTable::Raw, names::INBOUND).push(zone(
            servers.answer(),
            ZONE_PROXY,
            Origin::new(rungs::ZONE_ANSWER, clause),
        ));
    }
}

/// The captured servers, one a rule.
fn servers(context: &Context<'_>, dns: &Dns) -> Vec<Servers> {
    match &dns.servers {
        Selection::All => vec![Servers::Any(context.families)],
        Selection::Only(addresses) => {
            let hosts: Vec<IpNet> = addresses.iter().copied().map(IpNet::from).collect();
            let of = |family| items::nets(&hosts, family).map(Servers::These);
            context.families.iter().flat_map(of).collect()
        }
    }
}

/// The families that have a captured server, as few as say it.
fn entered(servers: &[Servers]) -> Option<Families> {
    let has = |family: Family| servers.iter().any(|servers| servers.families().has(family));
    match (has(Family::Ipv4), has(Family::Ipv6)) {
        (true, true) => Some(Families::Both),
        (true, false) => Some(Families::Ipv4),
        (false, true) => Some(Families::Ipv6),
        (false, false) => None,
    }
}

fn zone(when: When, zone: u16, origin: Origin) -> Rule {
    when.then(Action::SetZone(zone), origin)
}

fn port() -> PortSet {
    [PORT].into_iter().collect()
}
