//! The ladder of an ambient pod.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{names, rungs};
use crate::ir::{
    Action, BuiltInTable, Hook, HostPart, HostStep, MarkChange, MaskPair, Origin, Protocol, Rule,
};
use crate::lower::items;
use crate::lower::lowered::{Claim, Claimed, Lower, Lowered, Owners, Ports};
use crate::lower::plan::{Plan, RAW_TO_NAT};
use crate::lower::when::{When, any, tcp, udp};
use crate::net::{Family, Interface, Mark, Nets, PerFamily};
use crate::policy::{AmbientPod, Setting};

/// Where DNS servers listen.
const DNS: u16 = 53;
/// Conntrack zone of the proxy's own DNS traffic.
const ZONE_PROXY: u16 = 1;

impl Lower for AmbientPod {
    fn lower(&self) -> Lowered {
        let Self { proxy, route, .. } = self;
        let mark = |words, mark: Setting<Mark>| Claim {
            what: Claimed::Mark { words, mark: *mark },
            clause: mark.clause,
        };
        let table = Claimed::RoutingTable(*route.table);
        let ports = Ports::of_proxy(*proxy.outbound_port, *proxy.inbound_port, *self.dns);
        Lowered {
            host: self.families.iter().flat_map(|family| host_steps(self, family)).collect(),
            protocol: Some(names::AMBIENT_PROTOCOL),
            claims: vec![
                mark("mark", proxy.mark),
                mark("connmark", proxy.connmark),
                Claim { what: table, clause: route.table.clause },
            ],
            ..plan(self).lowered(RAW_TO_NAT, ports, Owners::default())
        }
    }
}

/// The route that delivers the proxy's replies locally.
fn host_steps(pod: &AmbientPod, family: Family) -> [HostStep; 2] {
    let (mark, table, priority) =
        (*pod.proxy.connmark, *pod.route.table, Some(*pod.route.priority));
    [HostPart::LocalRoute { table }, HostPart::MarkRule { mark, table, priority }]
        .map(|adds| HostStep { family, adds })
}

fn plan(pod: &AmbientPod) -> Plan {
    let families = *pod.families;
    let mut plan = Plan::new(names::AMBIENT, names::CHAINS, families);
    marks(pod, &mut plan);
    plan.enter(BuiltInTable::Nat, Hook::Prerouting, names::PREROUTING);
    plan.enter(BuiltInTable::Nat, Hook::Output, names::OUTPUT);
    // Upstream makes the chain even where nothing is captured inbound.
    let prerouting = plan.chain(BuiltInTable::Nat, names::PREROUTING);
    prerouting.extend(rerouted(pod));
    if *pod.capture_inbound {
        prerouting.extend(probe(pod, When::from));
        prerouting.extend(inbound(pod));
    }
    let output = plan.chain(BuiltInTable::Nat, names::OUTPUT);
    output.extend(probe(pod, When::to));
    if let Some(port) = *pod.dns {
        output.extend(dns(pod, port));
    }
    output.extend(outbound(pod));
    if pod.dns.is_some() {
        zones(pod, &mut plan);
    }
    plan
}

/// Remembers which connections the proxy opened, and gives replies to it their mark.
fn marks(pod: &AmbientPod, plan: &mut Plan) {
    let families = *pod.families;
    plan.enter(BuiltInTable::Mangle, Hook::Prerouting, names::PREROUTING);
    plan.enter(BuiltInTable::Mangle, Hook::Output, names::OUTPUT);
    let remember = Action::SetConnmark(MarkChange::set_masked(*pod.proxy.connmark));
    let origin = Origin::new(rungs::AMBIENT_CONNMARK, pod.proxy.mark.clause);
    plan.chain(BuiltInTable::Mangle, names::PREROUTING)
        .push(any(families).marked(*pod.proxy.mark).then(remember, origin));
    let restore = Action::RestoreMark(MaskPair::FULL);
    let origin = Origin::new(rungs::AMBIENT_RESTORE, pod.proxy.connmark.clause);
    plan.chain(BuiltInTable::Mangle, names::OUTPUT)
        .push(any(families).connmarked(*pod.proxy.connmark).then(restore, origin));
}

fn rerouted(pod: &AmbientPod) -> Vec<Rule> {
    let mut rules = Vec::new();
    for names in items::interfaces(&pod.reroute) {
        let arrives = any(*pod.families).arrives_on(names).protocol(Protocol::Tcp);
        let redirect = Action::Redirect { port: *pod.proxy.outbound_port };
        let origin = |rung| Origin::new(rung, pod.reroute.clause);
        rules.push(arrives.clone().then(redirect, origin(rungs::AMBIENT_REROUTED)));
        rules.push(arrives.then(Action::Return, origin(rungs::AMBIENT_REROUTED_REST)));
    }
    rules
}

/// TCP from or to kubelet's probe.
fn probe(pod: &AmbientPod, end: fn(When, Nets) -> When) -> Vec<Rule> {
    let origin = Origin::new(rungs::AMBIENT_PROBE, pod.probe_from.clause);
    let rule = |family| {
        end(tcp(*pod.families), host(*pod.probe_from, family)).then(Action::Accept, origin)
    };
    pod.families.iter().map(rule).collect()
}

fn inbound(pod: &AmbientPod) -> Vec<Rule> {
    let rule = |family| {
        not_to_itself(tcp(*pod.families), family)
            .not_dport(*pod.proxy.tunnel_port)
            .not_marked(*pod.proxy.mark)
            .then(
                Action::Redirect { port: *pod.proxy.inbound_port },
                Origin::new(rungs::AMBIENT_INBOUND, pod.capture_inbound.clause),
            )
    };
    pod.families.iter().map(rule).collect()
}

fn dns(pod: &AmbientPod, port: u16) -> Vec<Rule> {
    let origin = Origin::new(rungs::AMBIENT_DNS, pod.dns.clause);
    let redirect = Action::Redirect { port };
    let over_udp = udp(*pod.families)
        .dport(DNS)
        .not_leaves_on(vec![Interface::lo()])
        .not_marked(*pod.proxy.mark);
    let mut rules = vec![over_udp.then(redirect.clone(), origin)];
    rules.extend(pod.families.iter().map(|family| {
        not_to_itself(tcp(*pod.families), family)
            .dport(DNS)
            .not_marked(*pod.proxy.mark)
            .then(redirect.clone(), origin)
    }));
    rules
}

fn outbound(pod: &AmbientPod) -> Vec<Rule> {
    let families = *pod.families;
    let origin = |rung, clause| Origin::new(rung, clause);
    let reply = origin(rungs::AMBIENT_REPLY, pod.proxy.connmark.clause);
    let mut rules = vec![tcp(families).marked(*pod.proxy.connmark).then(Action::Accept, reply)];
    rules.extend(families.iter().map(|family| {
        not_to_itself(any(families), family)
            .leaves_on(vec![Interface::lo()])
            .then(Action::Accept, origin(rungs::AMBIENT_LOCAL, None))
    }));
    rules.extend(families.iter().map(|family| {
        not_to_itself(tcp(families), family).not_marked(*pod.proxy.mark).then(
            Action::Redirect { port: *pod.proxy.outbound_port },
            origin(rungs::AMBIENT_OUTBOUND, pod.proxy.outbound_port.clause),
        )
    }));
    rules
}

/// Keeps the proxy's own UDP DNS apart from the applications'.
fn zones(pod: &AmbientPod, plan: &mut Plan) {
    let families = *pod.families;
    let origin = Origin::new(rungs::AMBIENT_ZONE, pod.dns.clause);
    plan.enter(BuiltInTable::Raw, Hook::Prerouting, names::PREROUTING);
    plan.enter(BuiltInTable::Raw, Hook::Output, names::OUTPUT);
    let query = udp(families).dport(DNS).marked(*pod.proxy.mark);
    plan.chain(BuiltInTable::Raw, names::OUTPUT)
        .push(query.then(Action::SetZone(ZONE_PROXY), origin));
    let answer = udp(families).sport(DNS).not_marked(*pod.proxy.mark);
    plan.chain(BuiltInTable::Raw, names::PREROUTING)
        .push(answer.then(Action::SetZone(ZONE_PROXY), origin));
}

fn not_to_itself(when: When, family: Family) -> When {
    when.not_to(host(PerFamily { ipv4: Ipv4Addr::LOCALHOST, ipv6: Ipv6Addr::LOCALHOST }, family))
}

fn host(addresses: PerFamily<Ipv4Addr, Ipv6Addr>, family: Family) -> Nets {
    match family {
        Family::Ipv4 => Nets::Ipv4(vec![addresses.ipv4.into()]),
        Family::Ipv6 => Nets::Ipv6(vec![addresses.ipv6.into()]),
    }
}
