//! Kuma's ladder, with exactly the meaning of upstream's iptables rules (Kuma 348b6528 of
//! 2026-08-21, `pkg/transparentproxy/iptables/builder`).
//!
//! Chains have upstream's names in the form of nft rulesets, and rules stand in upstream's order,
//! so that a listing can be held against one.

mod dns;
mod names;
pub mod rungs;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ir::{
    Action, BuiltInTable, CtState, Hook, HostPart, HostStep, Origin, Owner, Protocol, Rule, Rung,
};
use crate::lower::items;
use crate::lower::lowered::{Lower, Lowered, Owners, Ports};
use crate::lower::plan::{Plan, RAW_TO_NAT, jump};
use crate::lower::when::{When, any, tcp, udp};
use crate::net::{Families, Family, Interface, Nets, PerFamily, PortRange, PortSet};
use crate::policy::kuma::{Proxy, UserExclusion};
use crate::policy::{Kuma, Selection, Transport};

/// Where DNS servers listen.
const DNS: u16 = 53;

impl Lower for Kuma {
    fn lower(&self) -> Lowered {
        let Self { proxy, dns, networks, .. } = self;
        let takes_dns = dns.is_some() || !networks.is_empty();
        let passthrough = HostStep {
            family: Family::Ipv6,
            adds: HostPart::Address(IpAddr::V6(Proxy::PASSTHROUGH.ipv6)),
        };
        let dns_port = takes_dns.then_some(*proxy.dns_port);
        let ports = Ports::of_proxy(*proxy.outbound_port, *proxy.inbound_port, dns_port);
        let owners = Owners::new(Some(*proxy.user), None);
        Lowered {
            // All of 127.0.0.0/8 is local, but of IPv6 only `::1`.
            host: self.families.has(Family::Ipv6).then_some(passthrough).into_iter().collect(),
            ..plan(self).lowered(RAW_TO_NAT, ports, owners)
        }
    }
}

fn plan(kuma: &Kuma) -> Plan {
    let mut plan = Plan::new(names::PREFIX, names::CHAINS, *kuma.families);
    let ladder = Ladder { kuma, families: *kuma.families };
    let captures = dns::captures(&ladder);
    ladder.drop_invalid(&mut plan);
    ladder.networks(&mut plan);
    ladder.inbound(&mut plan);
    ladder.excluded(&mut plan);
    for capture in &captures {
        capture.queries(&ladder, &mut plan);
    }
    ladder.outbound(&mut plan);
    ladder.to_proxy(&mut plan);
    for capture in &captures {
        capture.zones(&ladder, &mut plan);
    }
    plan
}

/// What every part of the ladder needs.
struct Ladder<'a> {
    kuma: &'a Kuma,
    families: Families,
}

impl Ladder<'_> {
    /// Packets that are the proxy's own.
    fn own(&self, when: When) -> When {
        let user = *self.kuma.proxy.user;
        when.owner(Owner::User, vec![(user, user)])
    }

    /// Packets that are not the proxy's own, or have no user.
    fn not_own(&self, when: When) -> When {
        let user = *self.kuma.proxy.user;
        when.not_owner(Owner::User, vec![(user, user)])
    }

    fn drop_invalid(&self, plan: &mut Plan) {
        let drop_invalid = &self.kuma.drop_invalid;
        if **drop_invalid {
            let origin = Origin::new(rungs::DROP_INVALID, drop_invalid.clause);
            let invalid = any(self.families).state([CtState::Invalid]);
            plan.at(BuiltInTable::Mangle, Hook::Prerouting)
                .push(invalid.then(Action::Drop, origin));
        }
    }

    /// What comes out of virtual networks.
    fn networks(&self, plan: &mut Plan) {
        let Kuma { networks, proxy, .. } = self.kuma;
        let origin = |rung| Origin::new(rung, networks.clause);
        let prerouting = plan.at(BuiltInTable::Nat, Hook::Prerouting);
        for family in self.families.iter() {
            let mut networks: Vec<_> =
                networks.iter().filter(|network| network.family() == family).collect();
            networks
                .sort_by_key(|network| (network.interface.stem(), network.interface.is_wildcard()));
            for network in networks {
                let arrives = |when: When| when.arrives_on(vec![network.interface.clone()]);
                let to_dns = Action::Redirect { port: *proxy.dns_port };
                let query = arrives(udp(family.into())).dport(DNS);
                prerouting.push(query.then(to_dns, origin(rungs::NETWORK_DNS)));
                // No destination is outside of everything, and iptables-nft refuses to ask.
                if network.net.prefix_len() > 0 {
                    let to_proxy = Action::Redirect { port: *proxy.outbound_port };
                    let leaves = arrives(tcp(family.into())).not_to(network.net);
                    prerouting.push(leaves.then(to_proxy, origin(rungs::NETWORK)));
                }
            }
        }
    }

    fn inbound(&self, plan: &mut Plan) {
        let Kuma { inbound, .. } = self.kuma;
        let enter = tcp(self.families).then(jump(names::INBOUND), Origin::ENTRY);
        plan.at(BuiltInTable::Nat, Hook::Prerouting).push(enter);
        let chain = plan.chain(BuiltInTable::Nat, names::INBOUND);
        let captured = Origin::new(rungs::INBOUND_CAPTURED_PORT, inbound.capture_ports.clause);
        if inbound.capture_ports.is_none() {
            let off = Origin::new(rungs::INBOUND_OFF, inbound.capture_ports.clause);
            chain.push(tcp(self.families).then(Action::Return, off));
            return;
        }
        for family in self.families.iter() {
            for nets in items::nets(&inbound.exclude_from, family) {
                let origin = Origin::new(rungs::EXCLUDED_SOURCE, inbound.exclude_from.clause);
                chain.push(any(family.into()).from(nets).then(Action::Return, origin));
            }
        }
        match &*inbound.capture_ports {
            Selection::All => {
                let origin =
                    Origin::new(rungs::INBOUND_EXCLUDED_PORT, inbound.exclude_ports.clause);
                chain.extend(self.ports(&inbound.exclude_ports, &Action::Return, origin));
                chain.push(tcp(self.families).then(jump(names::INBOUND_REDIRECT), captured));
            }
            Selection::Only(ports) => {
                chain.extend(self.ports(ports, &jump(names::INBOUND_REDIRECT), captured));
            }
        }
    }

    /// TCP to these ports.
    fn ports(&self, ports: &[PortRange], then: &Action, origin: Origin) -> Vec<Rule> {
        let rule = |ports| tcp(self.families).dport(ports).then(then.clone(), origin);
        items::ports(ports).map(rule).collect()
    }

    /// What is left alone before anything else is asked, DNS too.
    fn excluded(&self, plan: &mut Plan) {
        let outbound = &self.kuma.outbound;
        let output = plan.at(BuiltInTable::Nat, Hook::Output);
        let origin = Origin::new(rungs::EXCLUDED_USER, outbound.exclude_users.clause);
        for UserExclusion { protocol, ports, users } in &*outbound.exclude_users {
            let protocols: &[Protocol] = match protocol {
                None => &[Protocol::Tcp, Protocol::Udp],
                Some(Transport::Tcp) => &[Protocol::Tcp],
                Some(Transport::Udp) => &[Protocol::Udp],
            };
            for protocol in protocols {
                let to_port =
                    any(self.families).protocol(*protocol).dport(PortSet::from_iter([*ports]));
                let when = match users {
                    Some(users) => to_port.owner(Owner::User, vec![*users]),
                    None => to_port,
                };
                output.push(when.then(Action::Return, origin));
            }
        }
        for family in self.families.iter() {
            for nets in items::nets(&outbound.exclude_to, family) {
                let origin = Origin::new(rungs::EXCLUDED_DESTINATION, outbound.exclude_to.clause);
                output.push(any(family.into()).to(nets).then(Action::Return, origin));
            }
        }
    }

    fn outbound(&self, plan: &mut Plan) {
        let Kuma { outbound, proxy, .. } = self.kuma;
        let enter = tcp(self.families).then(jump(names::OUTBOUND), Origin::ENTRY);
        plan.at(BuiltInTable::Nat, Hook::Output).push(enter);
        let chain = plan.chain(BuiltInTable::Nat, names::OUTBOUND);
        let captured = Origin::new(rungs::OUTBOUND_CAPTURED_PORT, outbound.capture_ports.clause);
        if outbound.capture_ports.is_none() {
            let off = Origin::new(rungs::OUTBOUND_OFF, outbound.capture_ports.clause);
            chain.push(tcp(self.families).then(Action::Return, off));
            return;
        }
        if *outbound.capture_ports == Selection::All {
            let origin = Origin::new(rungs::OUTBOUND_EXCLUDED_PORT, outbound.exclude_ports.clause);
            chain.extend(self.ports(&outbound.exclude_ports, &Action::Return, origin));
        }
        let over_lo = |when: When| when.leaves_on(vec![Interface::lo()]);
        let own = |rung| Origin::new(rung, proxy.user.clause);
        for family in self.families.iter() {
            let passthrough = over_lo(any(family.into())).from(host(Proxy::PASSTHROUGH, family));
            let origin = Origin::new(rungs::PASSTHROUGH, None);
            chain.push(passthrough.then(Action::Return, origin));
        }
        for family in self.families.iter() {
            let elsewhere = over_lo(tcp(family.into())).not_to(loopback(family));
            let to_inbound = jump(names::INBOUND_REDIRECT);
            chain.push(self.own(elsewhere).then(to_inbound, own(rungs::SELF_CALL)));
        }
        let local = self.not_own(over_lo(tcp(self.families)));
        chain.push(local.then(Action::Return, own(rungs::LOCAL)));
        let from_proxy = self.own(any(self.families));
        chain.push(from_proxy.then(Action::Return, own(rungs::FROM_PROXY)));
        for family in self.families.iter() {
            let to_itself = any(family.into()).to(loopback(family));
            chain.push(to_itself.then(Action::Return, Origin::new(rungs::LOOPBACK, None)));
        }
        let to_outbound = jump(names::OUTBOUND_REDIRECT);
        match &*outbound.capture_ports {
            Selection::All => chain.push(any(self.families).then(to_outbound, captured)),
            Selection::Only(ports) => chain.extend(self.ports(ports, &to_outbound, captured)),
        }
    }

    fn to_proxy(&self, plan: &mut Plan) {
        let proxy = &self.kuma.proxy;
        for (chain, port) in [
            (names::INBOUND_REDIRECT, &proxy.inbound_port),
            (names::OUTBOUND_REDIRECT, &proxy.outbound_port),
        ] {
            let origin = Origin::new(Rung::TO_PROXY, port.clause);
            plan.chain(BuiltInTable::Nat, chain)
                .push(tcp(self.families).then(Action::Redirect { port: **port }, origin));
        }
    }
}

fn loopback(family: Family) -> Nets {
    host(PerFamily { ipv4: Ipv4Addr::LOCALHOST, ipv6: Ipv6Addr::LOCALHOST }, family)
}

fn host(addresses: PerFamily<Ipv4Addr, Ipv6Addr>, family: Family) -> Nets {
    match family {
        Family::Ipv4 => Nets::Ipv4(vec![addresses.ipv4.into()]),
        Family::Ipv6 => Nets::Ipv6(vec![addresses.ipv6.into()]),
    }
}
