//! The ladder of Open Service Mesh, with exactly the meaning of the rules of its init container (osm
//! 7bec5b6 of 2023-07-10, `pkg/injector/iptables.go`).
//!
//! Chains have OSM's names, and rules stand in its order.

pub mod rungs;

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;

use crate::ir::{Action, BuiltInTable, Hook, Origin, Owner, Rung};
use crate::lower::items;
use crate::lower::lowered::{Lower, Lowered, Owners, Ports};
use crate::lower::plan::{Plan, jump};
use crate::lower::when::{When, any, tcp};
use crate::net::{Families, Family, Interface, Nets, PortRange};
use crate::policy::Selection;
use crate::policy::osm::{LocalMode, Osm};

/// Beginning of the names of the tables.
const TABLES: &str = "osm";
/// Beginning of the names of chains.
const CHAINS: &str = "OSM_PROXY_";
const INBOUND: &str = "OSM_PROXY_INBOUND";
const IN_REDIRECT: &str = "OSM_PROXY_IN_REDIRECT";
const OUTBOUND: &str = "OSM_PROXY_OUTBOUND";
const OUT_REDIRECT: &str = "OSM_PROXY_OUT_REDIRECT";

/// What is governed.
const FAMILIES: Families = Families::Ipv4;

impl Lower for Osm {
    fn lower(&self) -> Lowered {
        let mut plan = Plan::new(TABLES, CHAINS, FAMILIES);
        inbound(self, &mut plan);
        outbound(self, &mut plan);
        let proxy = &self.proxy;
        for (chain, port) in
            [(IN_REDIRECT, proxy.inbound_port), (OUT_REDIRECT, proxy.outbound_port)]
        {
            let origin = Origin::new(Rung::TO_PROXY, port.clause);
            let redirect = Action::Redirect { port: *port };
            plan.chain(BuiltInTable::Nat, chain).push(tcp(FAMILIES).then(redirect, origin));
        }
        let ports = Ports::of_proxy(*proxy.outbound_port, *proxy.inbound_port, None);
        let owners = Owners::new(Some(*proxy.user), None);
        plan.lowered(&[BuiltInTable::Nat], ports, owners)
    }
}

fn inbound(osm: &Osm, plan: &mut Plan) {
    let enter = tcp(FAMILIES).then(jump(INBOUND), Origin::ENTRY);
    plan.at(BuiltInTable::Nat, Hook::Prerouting).push(enter);
    let rules = plan.chain(BuiltInTable::Nat, INBOUND);
    let exclude = &osm.inbound.exclude_ports;
    for ports in items::ports(exclude) {
        let origin = Origin::new(rungs::INBOUND_EXCLUDED_PORT, exclude.clause);
        rules.push(tcp(FAMILIES).dport(ports).then(Action::Return, origin));
    }
    let interfaces = &osm.exclude_interfaces;
    for names in items::interfaces(interfaces) {
        let origin = Origin::new(rungs::INBOUND_INTERFACE, interfaces.clause);
        rules.push(any(FAMILIES).arrives_on(names).then(Action::Return, origin));
    }
    let own: Vec<_> = Osm::OWN_PORTS.into_iter().map(PortRange::one).collect();
    for ports in items::ports(&own) {
        let origin = Origin::new(rungs::OWN_PORT, None);
        rules.push(tcp(FAMILIES).dport(ports).then(Action::Return, origin));
    }
    let origin = Origin::new(rungs::INBOUND_CAPTURED, osm.proxy.inbound_port.clause);
    rules.push(tcp(FAMILIES).then(jump(IN_REDIRECT), origin));
}

fn outbound(osm: &Osm, plan: &mut Plan) {
    let Osm { proxy, outbound, exclude_interfaces, .. } = osm;
    let user = |when: When| when.owner(Owner::User, vec![(*proxy.user, *proxy.user)]);
    let over_lo = |when: When| when.leaves_on(vec![Interface::lo()]);
    let origin = |rung| Origin::new(rung, proxy.user.clause);
    if let LocalMode::PodIp(address) = *proxy.local_mode {
        let to_pod = Action::Dnat { to: IpAddr::V4(address), port: None };
        let local = user(over_lo(tcp(FAMILIES)).to(localhost()));
        let origin = Origin::new(rungs::POD_ADDRESS, proxy.local_mode.clause);
        plan.at(BuiltInTable::Nat, Hook::Output).push(local.then(to_pod, origin));
    }
    let enter = tcp(FAMILIES).then(jump(OUTBOUND), Origin::ENTRY);
    plan.at(BuiltInTable::Nat, Hook::Output).push(enter);
    let rules = plan.chain(BuiltInTable::Nat, OUTBOUND);
    let self_call = user(over_lo(any(FAMILIES)).not_to(localhost()));
    rules.push(self_call.then(jump(IN_REDIRECT), origin(rungs::SELF_CALL)));
    let others = over_lo(any(FAMILIES)).not_owner(Owner::User, vec![(*proxy.user, *proxy.user)]);
    rules.push(others.then(Action::Return, origin(rungs::LOCAL)));
    rules.push(user(any(FAMILIES)).then(Action::Return, origin(rungs::FROM_PROXY)));
    let origin = Origin::new(rungs::LOCALHOST, None);
    rules.push(any(FAMILIES).to(localhost()).then(Action::Return, origin));
    for names in items::interfaces(exclude_interfaces) {
        let origin = Origin::new(rungs::OUTBOUND_INTERFACE, exclude_interfaces.clause);
        rules.push(any(FAMILIES).leaves_on(names).then(Action::Return, origin));
    }
    let nets = |nets: &[Ipv4Net]| {
        let nets: Vec<_> = nets.iter().copied().map(Into::into).collect();
        items::nets(&nets, Family::Ipv4).collect::<Vec<_>>()
    };
    for nets in nets(&outbound.exclude_to) {
        let origin = Origin::new(rungs::EXCLUDED_DESTINATION, outbound.exclude_to.clause);
        rules.push(any(FAMILIES).to(nets).then(Action::Return, origin));
    }
    for ports in items::ports(&outbound.exclude_ports) {
        let origin = Origin::new(rungs::OUTBOUND_EXCLUDED_PORT, outbound.exclude_ports.clause);
        rules.push(tcp(FAMILIES).dport(ports).then(Action::Return, origin));
    }
    let origin = Origin::new(rungs::CAPTURED_DESTINATION, outbound.capture_to.clause);
    let captured = match &*outbound.capture_to {
        Selection::All => vec![any(FAMILIES)],
        Selection::Only(list) => {
            nets(list).into_iter().map(|nets| any(FAMILIES).to(nets)).collect()
        }
    };
    rules.extend(captured.into_iter().map(|when| when.then(jump(OUT_REDIRECT), origin)));
}

/// The one address that counts as the workload itself.
fn localhost() -> Nets {
    Nets::Ipv4(vec![Ipv4Addr::LOCALHOST.into()])
}
