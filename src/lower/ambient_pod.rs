//! The ladder of an ambient pod.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::istio::rungs;
use super::layout::Layout;
use super::plan::{self, Plan};
use super::when::{When, any, tcp, udp};
use crate::ir::{Action, BuiltInTable, Hook, MarkChange, MaskPair, Origin, Protocol, Rule};
use crate::net::{Family, Interface, Nets, PerFamily};
use crate::policy::AmbientPod;

/// Where DNS servers listen.
const DNS: u16 = 53;
/// Conntrack zone of the proxy's own DNS traffic.
const ZONE_PROXY: u16 = 1;

pub(super) fn plan(pod: &AmbientPod, layout: Layout) -> Plan {
    let families = *pod.families;
    let mut plan = Plan::new(plan::AMBIENT, families);
    marks(pod, &mut plan);
    plan.enter(BuiltInTable::Nat, Hook::Prerouting, plan::PREROUTING);
    plan.enter(BuiltInTable::Nat, Hook::Output, plan::OUTPUT);
    // Upstream makes the chain even where nothing is captured inbound.
    let prerouting = plan.chain(BuiltInTable::Nat, plan::PREROUTING);
    prerouting.extend(rerouted(pod, layout));
    if *pod.capture_inbound {
        prerouting.extend(probe(pod, When::from));
        prerouting.extend(inbound(pod));
    }
    let output = plan.chain(BuiltInTable::Nat, plan::OUTPUT);
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
    plan.enter(BuiltInTable::Mangle, Hook::Prerouting, plan::PREROUTING);
    plan.enter(BuiltInTable::Mangle, Hook::Output, plan::OUTPUT);
    let remember = Action::SetConnmark(MarkChange::set_masked(*pod.proxy.connmark));
    let origin = Origin::new(rungs::AMBIENT_CONNMARK, pod.proxy.mark.clause);
    plan.chain(BuiltInTable::Mangle, plan::PREROUTING)
        .push(any(families).marked(*pod.proxy.mark).then(remember, origin));
    let restore = Action::RestoreMark(MaskPair::FULL);
    let origin = Origin::new(rungs::AMBIENT_RESTORE, pod.proxy.connmark.clause);
    plan.chain(BuiltInTable::Mangle, plan::OUTPUT)
        .push(any(families).connmarked(*pod.proxy.connmark).then(restore, origin));
}

fn rerouted(pod: &AmbientPod, layout: Layout) -> Vec<Rule> {
    let mut rules = Vec::new();
    for names in layout.interfaces(&pod.reroute) {
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
    plan.enter(BuiltInTable::Raw, Hook::Prerouting, plan::PREROUTING);
    plan.enter(BuiltInTable::Raw, Hook::Output, plan::OUTPUT);
    let query = udp(families).dport(DNS).marked(*pod.proxy.mark);
    plan.chain(BuiltInTable::Raw, plan::OUTPUT)
        .push(query.then(Action::SetZone(ZONE_PROXY), origin));
    let answer = udp(families).sport(DNS).not_marked(*pod.proxy.mark);
    plan.chain(BuiltInTable::Raw, plan::PREROUTING)
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
