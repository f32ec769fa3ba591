//! The ladder of a sidecar.

use std::net::IpAddr;

use super::context::{Context, ProxyOwner};
use super::{dns, names, rungs, tproxy};
use crate::ir::{
    Action, BuiltInTable, CtState, Hook, HostPart, HostStep, Origin, Owner, Rule, Rung,
};
use crate::lower::items::{self, id_ranges};
use crate::lower::lowered::{Claim, Claimed, Lower, Lowered, Owners, Ports};
use crate::lower::plan::{Plan, RAW_TO_NAT, jump};
use crate::lower::when::{When, any, tcp, udp};
use crate::net::{Family, Interface, Mark, Nets, PortRange, PortSet};
use crate::policy::{Groups, Mode, Selection, Sidecar, Tproxy};

impl Lower for Sidecar {
    fn lower(&self) -> Lowered {
        let proxy = &self.proxy;
        let dns = self.dns.as_ref().map(|dns| dns.port);
        let ports = Ports::of_proxy(*proxy.outbound_port, *proxy.inbound_port, dns);
        let owners = Owners { users: proxy.users.to_vec(), groups: proxy.groups.to_vec() };
        Lowered {
            host: self.families.iter().flat_map(|family| host(self, family)).collect(),
            protocol: Some(names::SIDECAR_PROTOCOL),
            claims: claims(self),
            ..plan(self).lowered(RAW_TO_NAT, ports, owners)
        }
    }
}

/// The numbers of TPROXY mode, if something is routed by them: upstream makes no route where no
/// inbound connection is captured.
fn routed(sidecar: &Sidecar) -> Option<Tproxy> {
    match *sidecar.mode {
        Mode::Tproxy(tproxy) if !sidecar.inbound.capture_ports.is_none() => Some(tproxy),
        Mode::Tproxy(_) | Mode::Redirect => None,
    }
}

fn host(sidecar: &Sidecar, family: Family) -> Vec<HostStep> {
    let mut parts = Vec::new();
    let passthrough = sidecar.proxy.passthrough.ipv6;
    // All of 127.0.0.0/8 is local, but of IPv6 only `::1`, which is not ours to remove.
    if family == Family::Ipv6 && !passthrough.is_loopback() {
        parts.push(HostPart::Address(IpAddr::V6(passthrough)));
    }
    if let Some(Tproxy { mark, table, .. }) = routed(sidecar) {
        let mark = Mark::exactly(mark);
        parts.push(HostPart::LocalRoute { table });
        parts.push(HostPart::MarkRule { mark, table, priority: None });
    }
    parts.into_iter().map(|adds| HostStep { family, adds }).collect()
}

fn claims(sidecar: &Sidecar) -> Vec<Claim> {
    let Mode::Tproxy(tproxy) = *sidecar.mode else { return Vec::new() };
    let mark = |words, mark| Claimed::Mark { words, mark: Mark::exactly(mark) };
    let marks = [mark("mark", tproxy.mark), mark("outbound-mark", tproxy.outbound_mark)];
    let route = routed(sidecar).map(|tproxy| Claimed::RoutingTable(tproxy.table));
    // What set the mode may have set another number of it.
    marks.into_iter().chain(route).map(|what| Claim { what, clause: None }).collect()
}

fn plan(sidecar: &Sidecar) -> Plan {
    let mut plan = Plan::new(names::SIDECAR, names::CHAINS, *sidecar.families);
    let context = Context { sidecar, families: *sidecar.families };
    context.excluded_interfaces(&mut plan);
    context.drop_invalid(&mut plan);
    context.rerouted_interfaces(&mut plan);
    context.inbound(&mut plan);
    context.outbound(&mut plan);
    context.to_proxy(&mut plan);
    if let Mode::Tproxy(numbers) = *sidecar.mode {
        tproxy::marks(&context, numbers, &mut plan);
    }
    plan
}

impl Context<'_> {
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
            for names in items::interfaces(excluded) {
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
            .push(invalid.then(jump(names::DROP), origin));
        plan.chain(BuiltInTable::Mangle, names::DROP)
            .push(any(self.families).then(Action::Drop, origin));
    }

    /// Rules that upstream inserts before all others, each in front of the last.
    fn rerouted_interfaces(&self, plan: &mut Plan) {
        let reroute = &self.sidecar.interfaces.reroute;
        let interfaces: Vec<_> = items::interfaces(reroute).rev().collect();
        let mut first: Vec<Rule> = Vec::new();
        for mut destinations in self.captured_destinations() {
            destinations.reverse();
            for destination in destinations {
                for names in &interfaces {
                    let arrives = any(self.families).arrives_on(names.clone());
                    let origin = Origin::new(rungs::REROUTED, reroute.clause);
                    let captured = destination.narrow(arrives);
                    first.push(captured.then(jump(names::REDIRECT), origin));
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
        plan.chain(BuiltInTable::Nat, names::INBOUND).push(
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
        let enter = tcp(self.families).then(jump(names::INBOUND), Origin::ENTRY);
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
            for ports in items::ports(&sidecar.inbound.exclude_ports) {
                let dport = tcp(self.families).dport(ports);
                plan.chain(table, names::INBOUND).push(dport.then(Action::Return, excluded));
            }
            vec![tcp(self.families)]
        };
        for when in packets {
            match *sidecar.mode {
                Mode::Redirect => plan
                    .chain(table, names::INBOUND)
                    .push(when.then(jump(names::IN_REDIRECT), captured)),
                Mode::Tproxy(_) => tproxy::capture(when, captured, plan),
            }
        }
    }

    fn outbound(&self, plan: &mut Plan) {
        plan.enter(BuiltInTable::Nat, Hook::Output, names::OUTPUT);
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
        let output = plan.chain(BuiltInTable::Nat, names::OUTPUT);
        for ports in items::ports(excluded) {
            output.push(tcp(self.families).dport(ports.clone()).then(Action::Return, origin));
            output.push(udp(self.families).dport(ports).then(Action::Return, origin));
        }
    }

    fn passthrough_source(&self, plan: &mut Plan) {
        let origin = Origin::new(rungs::PASSTHROUGH, self.sidecar.proxy.passthrough.clause);
        for family in self.families.iter() {
            let over_lo = any(self.families).leaves_on(vec![Interface::lo()]);
            let passthrough = over_lo.from(self.passthrough(family));
            plan.chain(BuiltInTable::Nat, names::OUTPUT)
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
            plan.chain(BuiltInTable::Nat, names::OUTPUT)
                .push(self_call.then(jump(names::IN_REDIRECT), origin(rungs::SELF_CALL)));
        }
        if !*sidecar.outbound.capture_loopback {
            let local = if captures_dns {
                over_lo(tcp(self.families)).not_dport([dns::PORT].into_iter().collect::<PortSet>())
            } else {
                over_lo(any(self.families))
            };
            let local = local.not_owner(proxy.owner, proxy.ids());
            plan.chain(BuiltInTable::Nat, names::OUTPUT)
                .push(local.then(Action::Return, origin(rungs::LOCAL)));
        }
        let own = any(self.families).owner(proxy.owner, proxy.ids());
        plan.chain(BuiltInTable::Nat, names::OUTPUT)
            .push(own.then(Action::Return, origin(rungs::FROM_PROXY)));
    }

    fn groups(&self, plan: &mut Plan) {
        let groups = &self.sidecar.outbound.groups;
        let origin = Origin::new(rungs::GROUP, groups.clause);
        let output = plan.chain(BuiltInTable::Nat, names::OUTPUT);
        match &**groups {
            Groups::Except(ids) => {
                for ids in items::ids(ids) {
                    let group = any(self.families).owner(Owner::Group, ids);
                    output.push(group.then(Action::Return, origin));
                }
            }
            // One rule: its conditions hold together, not one by one.
            Groups::Only(ids) => {
                let others = any(self.families).not_owner(Owner::Group, id_ranges(ids));
                output.push(others.then(Action::Return, origin));
            }
        }
    }

    fn destinations(&self, plan: &mut Plan) {
        let outbound = &self.sidecar.outbound;
        let output = plan.chain(BuiltInTable::Nat, names::OUTPUT);
        for family in self.families.iter() {
            let to_itself = any(self.families).to(self.loopback(family));
            let origin = Origin::new(rungs::LOOPBACK, outbound.loopback.clause);
            output.push(to_itself.then(Action::Return, origin));
        }
        for family in self.families.iter() {
            for nets in items::nets(&outbound.exclude_to, family) {
                let origin = Origin::new(rungs::EXCLUDED_DESTINATION, outbound.exclude_to.clause);
                output.push(any(self.families).to(nets).then(Action::Return, origin));
            }
        }
        for ports in items::ports(&outbound.capture_ports) {
            let origin = Origin::new(rungs::OUTBOUND_CAPTURED_PORT, outbound.capture_ports.clause);
            let dport = tcp(self.families).dport(ports);
            output.push(dport.then(jump(names::REDIRECT), origin));
        }
        let origin = Origin::new(rungs::CAPTURED_DESTINATION, outbound.capture_to.clause);
        for destination in self.captured_destinations().into_iter().flatten() {
            let captured = destination.narrow(any(self.families));
            output.push(captured.then(jump(names::REDIRECT), origin));
        }
    }

    /// What `capture to` names, one a rule, grouped by family.
    fn captured_destinations(&self) -> Vec<Vec<Destination>> {
        match &*self.sidecar.outbound.capture_to {
            Selection::All => vec![vec![Destination::Any]],
            Selection::Only(nets) => self
                .families
                .iter()
                .map(|family| items::nets(nets, family).map(Destination::Within).collect())
                .collect(),
        }
    }

    fn to_proxy(&self, plan: &mut Plan) {
        let proxy = &self.sidecar.proxy;
        for (chain, port) in
            [(names::REDIRECT, &proxy.outbound_port), (names::IN_REDIRECT, &proxy.inbound_port)]
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
