//! Consul's ladder, with exactly the meaning of the rules that `consul-cni` and
//! `consul connect redirect-traffic` apply (hashicorp/consul 5123e1ea, `sdk/iptables/iptables.go`;
//! for both families, the command lists of its tests).
//!
//! Chains have Consul's names, and rules stand in the order in which they are in force: Consul
//! inserts what is excluded, so that it gets before the rest.

pub mod rungs;

use ipnet::IpNet;

use crate::ir::{Action, BuiltInTable, Hook, Origin, Owner, Protocol, Rung};
use crate::lower::items;
use crate::lower::lowered::{Lower, Lowered, Owners, Ports};
use crate::lower::plan::{Plan, jump};
use crate::lower::when::{any, tcp};
use crate::net::PortSet;
use crate::policy::consul::{Consul, Dns};

/// Beginning of the names of the tables.
const TABLES: &str = "consul";
/// Beginning of the names of chains.
const CHAINS: &str = "CONSUL_";
/// What arrives.
const INBOUND: &str = "CONSUL_PROXY_INBOUND";
/// To the inbound proxy port.
const TO_INBOUND_PORT: &str = "CONSUL_PROXY_IN_REDIRECT";
/// What leaves.
const OUTBOUND: &str = "CONSUL_PROXY_OUTPUT";
/// To the outbound proxy port.
const TO_OUTBOUND_PORT: &str = "CONSUL_PROXY_REDIRECT";
/// DNS.
const TO_DNS: &str = "CONSUL_DNS_REDIRECT";

impl Lower for Consul {
    fn lower(&self) -> Lowered {
        let Self { families, proxy, dns, .. } = self;
        let mut plan = Plan::new(TABLES, CHAINS, **families);
        inbound(self, &mut plan);
        if let Some(to) = **dns {
            redirect_dns(self, to, &mut plan);
        }
        outbound(self, &mut plan);
        let ports = Ports::of_proxy(*proxy.outbound_port, *proxy.inbound_port, None);
        let owners = Owners::new(Some(*proxy.user), None);
        plan.lowered(&[BuiltInTable::Nat], ports, owners)
    }
}

fn inbound(consul: &Consul, plan: &mut Plan) {
    let (families, excluded) = (*consul.families, &consul.inbound.exclude_ports);
    let port = consul.proxy.inbound_port;
    let enter = tcp(families).then(jump(INBOUND), Origin::ENTRY);
    plan.at(BuiltInTable::Nat, Hook::Prerouting).push(enter);
    let rules = plan.chain(BuiltInTable::Nat, INBOUND);
    for ports in items::ports(excluded) {
        let origin = Origin::new(rungs::INBOUND_EXCLUDED_PORT, excluded.clause);
        rules.push(tcp(families).dport(ports).then(Action::Return, origin));
    }
    let origin = Origin::new(rungs::INBOUND_CAPTURED, port.clause);
    rules.push(tcp(families).then(jump(TO_INBOUND_PORT), origin));
    let redirect = Action::Redirect { port: *port };
    let redirect = tcp(families).then(redirect, Origin::new(Rung::TO_PROXY, port.clause));
    plan.chain(BuiltInTable::Nat, TO_INBOUND_PORT).push(redirect);
}

/// Sends DNS of one family to where `dns` says. It comes before everything else that leaves, so
/// that nobody is exempt.
fn redirect_dns(consul: &Consul, Dns { to, port }: Dns, plan: &mut Plan) {
    let family = consul.dns_family();
    let query = |protocol| {
        let query = any(family.into()).protocol(protocol).dport(PortSet::from_iter([53.into()]));
        // With a port, only what goes to that address is meant.
        if port.is_some() { query.to(IpNet::from(to)) } else { query }
    };
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let origin = Origin::new(rungs::DNS, consul.dns.clause);
        let enter = query(protocol).then(jump(TO_DNS), origin);
        plan.at(BuiltInTable::Nat, Hook::Output).push(enter);
        let origin = Origin::new(Rung::TO_PROXY, consul.dns.clause);
        let translate = query(protocol).then(Action::Dnat { to, port }, origin);
        plan.chain(BuiltInTable::Nat, TO_DNS).push(translate);
    }
}

fn outbound(consul: &Consul, plan: &mut Plan) {
    let Consul { families, proxy, outbound, .. } = consul;
    let families = **families;
    let enter = tcp(families).then(jump(OUTBOUND), Origin::ENTRY);
    plan.at(BuiltInTable::Nat, Hook::Output).push(enter);
    let rules = plan.chain(BuiltInTable::Nat, OUTBOUND);
    let users: Vec<(u32, u32)> = outbound.exclude_users.iter().copied().map(Into::into).collect();
    for users in items::ranges(&users) {
        let origin = Origin::new(rungs::EXCLUDED_USER, outbound.exclude_users.clause);
        rules.push(any(families).owner(Owner::User, users).then(Action::Return, origin));
    }
    for nets in families.iter().flat_map(|family| items::nets(&outbound.exclude_to, family)) {
        let origin = Origin::new(rungs::EXCLUDED_DESTINATION, outbound.exclude_to.clause);
        rules.push(any(families).to(nets).then(Action::Return, origin));
    }
    for ports in items::ports(&outbound.exclude_ports) {
        let origin = Origin::new(rungs::OUTBOUND_EXCLUDED_PORT, outbound.exclude_ports.clause);
        rules.push(tcp(families).dport(ports).then(Action::Return, origin));
    }
    let users = vec![(*proxy.user, *proxy.user)];
    let origin = Origin::new(rungs::PROXY_USER, proxy.user.clause);
    rules.push(any(families).owner(Owner::User, users).then(Action::Return, origin));
    for family in families.iter() {
        let origin = Origin::new(rungs::LOOPBACK, None);
        let itself = IpNet::from(family.loopback());
        rules.push(any(families).to(itself).then(Action::Return, origin));
    }
    let port = proxy.outbound_port;
    let origin = Origin::new(rungs::OUTBOUND_CAPTURED, port.clause);
    rules.push(any(families).then(jump(TO_OUTBOUND_PORT), origin));
    let redirect = Action::Redirect { port: *port };
    let redirect = tcp(families).then(redirect, Origin::new(Rung::TO_PROXY, port.clause));
    plan.chain(BuiltInTable::Nat, TO_OUTBOUND_PORT).push(redirect);
}
