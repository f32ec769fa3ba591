//! The ladder of a sidecar.

use super::dns;
use super::istio::rungs;
use super::layout::{Layout, id_ranges};
use super::plan::{self, Plan, jump};
use super::tproxy;
use super::when::{When, any, tcp, udp};
use crate::ir::{Action, BuiltInTable, CtState, Hook, Origin, Owner, Rule, Rung};
use crate::net::{Families, Family, Interface, Nets, PortRange, PortSet};
use crate::policy::{Groups, Mode, Selection, Setting, Sidecar};
use crate::span::Span;

pub(super) fn plan(sidecar: &Sidecar, layout: Layout) -> Plan {
    let mut plan = Plan::new(plan::SIDECAR, *sidecar.families);
    let lowering = Lowering { sidecar, layout, families: *sidecar.families };
    lowering.excluded_interfaces(&mut plan);
    lowering.drop_invalid(&mut plan);
    lowering.rerouted_interfaces(&mut plan);
    lowering.inbound(&mut plan);
    lowering.outbound(&mut plan);
    lowering.to_proxy(&mut plan);
    if let Mode::Tproxy(numbers) = *sidecar.mode {
        tproxy::marks(&lowering, numbers, &mut plan);
    }
    plan
}

/// What every part of the ladder needs.
pub(super) struct Lowering<'a> {
    pub(super) sidecar: &'a Sidecar,
    pub(super) layout: Layout,
    pub(super) families: Families,
}

/// A user or a group of the proxy.
#[derive(Clone, Copy)]
pub(super) struct ProxyOwner {
    pub(super) owner: Owner,
    pub(super) id: u32,
    pub(super) clause: Option<Span>,
}

impl ProxyOwner {
    pub(super) fn ids(self) -> Vec<(u32, u32)> {
        vec![(self.id, self.id)]
    }
}

impl Lowering<'_> {
    /// Every user of the proxy, then every group.
    pub(super) fn proxy_owners(&self) -> impl Iterator<Item = ProxyOwner> {
        let proxy = &self.sidecar.proxy;
        let numbers = |owner, ids: &Setting<Vec<u32>>| {
            let clause = ids.clause;
            ids.value.clone().into_iter().map(move |id| ProxyOwner { owner, id, clause })
        };
        numbers(Owner::User, &proxy.users).chain(numbers(Owner::Group, &proxy.groups))
    }

    /// The destination that counts as this workload itself.
    pub(super) fn loopback(&self, family: Family) -> Nets {
        match family {
            Family::Ipv4 => Nets::Ipv4(vec![self.sidecar.outbound.loopback.ipv4.trunc()]),
            Family::Ipv6 => Nets::Ipv6(vec![self.sidecar.outbound.loopback.ipv6.trunc()]),
        }
    }

    /// The source of the connections that the proxy passes through.
    pub(super) fn passthrough(&self, family: Family) -> Nets {
        match family {
            Family::Ipv4 => Nets::Ipv4(vec![self.sidecar.proxy.passthrough.ipv4.into()]),
            Family::Ipv6 => Nets::Ipv6(vec![self.sidecar.proxy.passthrough.ipv6.into()]),
        }
    }

    /// Captured inbound ports less the excluded ones, one set a rule; `None` for all ports.
    pub(super) fn inbound_ports(&self) -> Option<Vec<PortSet>> {
        let inbound = &self.sidecar.inbound;
        let Selection::Only(captured) = &*inbound.capture_ports else { return None };
        if inbound.exclude_ports.is_empty() {
            return Some(self.layout.ports(captured));
        }
        let excluded: PortSet = inbound.exclude_ports.iter().copied().collect();
        let captured: PortSet = captured.iter().copied().collect();
        Some(self.layout.ports(captured.minus(&excluded).ranges()))
    }

    /// Whether any inbound connection is captured.
    pub(super) fn captures_inbound(&self) -> bool {
        self.inbound_ports().is_none_or(|ports| !ports.is_empty())
    }

    fn excluded_interfaces(&self, plan: &mut Plan) {
        let excluded = &self.sidecar.interfaces.exclude;
        let inbound = Origin::new(rungs::INBOUND_INTERFACE, excluded.clause);
        let outbound = Origin::new(rungs::OUTBOUND_INTERFACE, excluded.clause);
        // In redirect mode the mangle table only drops invalid packets, on every interface.
        let tables: &[BuiltInTable] = match *self.sidecar.mode {
            Mode::Redirect => &[BuiltInTable::Nat],
            Mode::Tproxy(_) => &[BuiltInTable::Nat, BuiltInTable::Mangle],
        };
        for table in tables {
            for names in self.layout.interfaces(excluded) {
                let arrives = any(self.families).arrives_on(names.clone());
                plan.at(*table, Hook::Prerouting).push(arrives.then(Action::Return, inbound));
                let leaves = any(self.families).leaves_on(names);
                plan.at(*table, Hook::Output).push(leaves.then(Action::Return, outbound));
            }
        }
    }

    fn drop_invalid(&self, plan: &mut Plan) {
        let drop_invalid = &self.sidecar.drop_invalid;
        if !**drop_invalid {
            return;
        }
        let origin = Origin::new(rungs::DROP_INVALID, drop_invalid.clause);
        let invalid = any(self.families).state([CtState::Invalid]);
        plan.at(BuiltInTable::Mangle, Hook::Prerouting)
            .push(invalid.then(jump(plan::DROP), origin));
        plan.chain(BuiltInTable::Mangle, plan::DROP)
            .push(any(self.families).then(Action::Drop, origin));
    }

    /// Rules that upstream inserts before all others, each in front of the last.
    fn rerouted_interfaces(&self, plan: &mut Plan) {
        let reroute = &self.sidecar.interfaces.reroute;
        let mut interfaces = self.layout.interfaces(reroute);
        interfaces.reverse();
        let mut first: Vec<Rule> = Vec::new();
        for mut destinations in self.captured_destinations() {
            destinations.reverse();
            for destination in destinations {
                for names in &interfaces {
                    let arrives = any(self.families).arrives_on(names.clone());
                    let origin = Origin::new(rungs::REROUTED, reroute.clause);
                    let captured = destination.narrow(arrives);
                    first.push(captured.then(jump(plan::REDIRECT), origin));
                }
            }
        }
        let origin = Origin::new(rungs::REROUTED_REST, reroute.clause);
        first.extend(
            interfaces
                .into_iter()
                .map(|names| any(self.families).arrives_on(names).then(Action::Return, origin)),
        );
        plan.at(BuiltInTable::Nat, Hook::Prerouting).splice(0..0, first);
    }

    fn inbound(&self, plan: &mut Plan) {
        let sidecar = self.sidecar;
        let tunnel = Origin::new(rungs::TUNNEL, sidecar.proxy.tunnel_port.clause);
        plan.chain(BuiltInTable::Nat, plan::INBOUND).push(
            tcp(self.families).dport(*sidecar.proxy.tunnel_port).then(Action::Return, tunnel),
        );
        if let Mode::Tproxy(numbers) = *sidecar.mode {
            tproxy::before_inbound(self, numbers, plan);
        }
        if !self.captures_inbound() {
            return;
        }
        let table = match *sidecar.mode {
            Mode::Redirect => BuiltInTable::Nat,
            Mode::Tproxy(_) => BuiltInTable::Mangle,
        };
        let enter = tcp(self.families).then(jump(plan::INBOUND), Origin::ENTRY);
        plan.at(table, Hook::Prerouting).push(enter);
        if let Mode::Tproxy(numbers) = *sidecar.mode {
            tproxy::targets(self, numbers, plan);
        }

        let captured =
            Origin::new(rungs::INBOUND_CAPTURED_PORT, sidecar.inbound.capture_ports.clause);
        let excluded =
            Origin::new(rungs::INBOUND_EXCLUDED_PORT, sidecar.inbound.exclude_ports.clause);
        let packets: Vec<When> = if let Some(ports) = self.inbound_ports() {
            ports.into_iter().map(|ports| tcp(self.families).dport(ports)).collect()
        } else {
            for ports in self.layout.ports(&sidecar.inbound.exclude_ports) {
                let dport = tcp(self.families).dport(ports);
                plan.chain(table, plan::INBOUND).push(dport.then(Action::Return, excluded));
            }
            vec![tcp(self.families)]
        };
        for when in packets {
            match *sidecar.mode {
                Mode::Redirect => plan
                    .chain(table, plan::INBOUND)
                    .push(when.then(jump(plan::IN_REDIRECT), captured)),
                Mode::Tproxy(_) => tproxy::capture(when, captured, plan),
            }
        }
    }

    fn outbound(&self, plan: &mut Plan) {
        plan.enter(BuiltInTable::Nat, Hook::Output, plan::OUTPUT);
        self.excluded_ports(plan);
        self.passthrough_source(plan);
        for owner in self.proxy_owners() {
            self.proxy(owner, plan);
        }
        self.groups(plan);
        if let Some(dns) = &*self.sidecar.dns {
            dns::capture(self, dns, plan);
        }
        self.destinations(plan);
    }

    fn excluded_ports(&self, plan: &mut Plan) {
        let excluded = &self.sidecar.outbound.exclude_ports;
        let origin = Origin::new(rungs::OUTBOUND_EXCLUDED_PORT, excluded.clause);
        let output = plan.chain(BuiltInTable::Nat, plan::OUTPUT);
        for ports in self.layout.ports(excluded) {
            output.push(tcp(self.families).dport(ports.clone()).then(Action::Return, origin));
            output.push(udp(self.families).dport(ports).then(Action::Return, origin));
        }
    }

    fn passthrough_source(&self, plan: &mut Plan) {
        let origin = Origin::new(rungs::PASSTHROUGH, self.sidecar.proxy.passthrough.clause);
        for family in self.families.iter() {
            let over_lo = any(self.families).leaves_on(vec![Interface::lo()]);
            let passthrough = over_lo.from(self.passthrough(family));
            plan.chain(BuiltInTable::Nat, plan::OUTPUT)
                .push(passthrough.then(Action::Return, origin));
        }
    }

    fn proxy(&self, proxy: ProxyOwner, plan: &mut Plan) {
        let sidecar = self.sidecar;
        let captures_dns = sidecar.dns.is_some();
        let origin = |rung| Origin::new(rung, proxy.clause);
        let over_lo = |when: When| when.leaves_on(vec![Interface::lo()]);
        let tunnel = PortRange::one(*sidecar.proxy.tunnel_port);

        // With DNS captured, the agent's own queries to a local server must not go round again.
        let kept: PortSet = match proxy.owner {
            Owner::User if captures_dns => [dns::PORT, tunnel].into_iter().collect(),
            Owner::User | Owner::Group => [tunnel].into_iter().collect(),
        };
        for family in self.families.iter() {
            let self_call = over_lo(tcp(self.families))
                .not_to(self.loopback(family))
                .not_dport(kept.clone())
                .owner(proxy.owner, proxy.ids());
            plan.chain(BuiltInTable::Nat, plan::OUTPUT)
                .push(self_call.then(jump(plan::IN_REDIRECT), origin(rungs::SELF_CALL)));
        }
        if !*sidecar.outbound.capture_loopback {
            let local = if captures_dns {
                over_lo(tcp(self.families)).not_dport([dns::PORT].into_iter().collect::<PortSet>())
            } else {
                over_lo(any(self.families))
            };
            let local = local.not_owner(proxy.owner, proxy.ids());
            plan.chain(BuiltInTable::Nat, plan::OUTPUT)
                .push(local.then(Action::Return, origin(rungs::LOCAL)));
        }
        let own = any(self.families).owner(proxy.owner, proxy.ids());
        plan.chain(BuiltInTable::Nat, plan::OUTPUT)
            .push(own.then(Action::Return, origin(rungs::FROM_PROXY)));
    }

    fn groups(&self, plan: &mut Plan) {
        let groups = &self.sidecar.outbound.groups;
        let origin = Origin::new(rungs::GROUP, groups.clause);
        let output = plan.chain(BuiltInTable::Nat, plan::OUTPUT);
        match &**groups {
            Groups::Except(ids) => {
                for ids in self.layout.ids(ids) {
                    let group = any(self.families).owner(Owner::Group, ids);
                    output.push(group.then(Action::Return, origin));
                }
            }
            // One rule in either layout: its conditions hold together, not one by one.
            Groups::Only(ids) => {
                let others = any(self.families).not_owner(Owner::Group, id_ranges(ids));
                output.push(others.then(Action::Return, origin));
            }
        }
    }

    fn destinations(&self, plan: &mut Plan) {
        let outbound = &self.sidecar.outbound;
        let output = plan.chain(BuiltInTable::Nat, plan::OUTPUT);
        for family in self.families.iter() {
            let to_itself = any(self.families).to(self.loopback(family));
            let origin = Origin::new(rungs::LOOPBACK, outbound.loopback.clause);
            output.push(to_itself.then(Action::Return, origin));
        }
        for family in self.families.iter() {
            for nets in self.layout.nets(&outbound.exclude_to, family) {
                let origin = Origin::new(rungs::EXCLUDED_DESTINATION, outbound.exclude_to.clause);
                output.push(any(self.families).to(nets).then(Action::Return, origin));
            }
        }
        for ports in self.layout.ports(&outbound.capture_ports) {
            let origin = Origin::new(rungs::OUTBOUND_CAPTURED_PORT, outbound.capture_ports.clause);
            let dport = tcp(self.families).dport(ports);
            output.push(dport.then(jump(plan::REDIRECT), origin));
        }
        let origin = Origin::new(rungs::CAPTURED_DESTINATION, outbound.capture_to.clause);
        for destination in self.captured_destinations().into_iter().flatten() {
            let captured = destination.narrow(any(self.families));
            output.push(captured.then(jump(plan::REDIRECT), origin));
        }
    }

    /// What `capture to` names, one a rule, grouped by family.
    fn captured_destinations(&self) -> Vec<Vec<Destination>> {
        match &*self.sidecar.outbound.capture_to {
            Selection::All => vec![vec![Destination::Any]],
            Selection::Only(nets) => self
                .families
                .iter()
                .map(|family| {
                    self.layout.nets(nets, family).into_iter().map(Destination::Within).collect()
                })
                .collect(),
        }
    }

    fn to_proxy(&self, plan: &mut Plan) {
        let proxy = &self.sidecar.proxy;
        for (chain, port) in
            [(plan::REDIRECT, &proxy.outbound_port), (plan::IN_REDIRECT, &proxy.inbound_port)]
        {
            let origin = Origin::new(Rung::TO_PROXY, port.clause);
            plan.chain(BuiltInTable::Nat, chain)
                .push(tcp(self.families).then(Action::Redirect { port: **port }, origin));
        }
    }
}

/// A destination that is captured.
enum Destination {
    Any,
    Within(Nets),
}

impl Destination {
    fn narrow(&self, when: When) -> When {
        match self {
            Self::Any => when,
            Self::Within(nets) => when.to(nets.clone()),
        }
    }
}
