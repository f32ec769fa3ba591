//! What several clauses say together: what contradicts, covers or cancels what.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::addresses::is_loopback;
use super::form::Ending;
use super::lists::{List, covering, widest};
use crate::diag::{Problem, Report};
use crate::net::{Families, Family, Interface, PerFamily, PortRange, PortSet};
use crate::policy::setting::Setting;
use crate::span::Span;

/// A port of the proxy, by the clause that sets it.
pub(crate) struct Port {
    name: &'static str,
    port: Setting<u16>,
}

impl Port {
    pub(crate) const fn new(name: &'static str, port: Setting<u16>) -> Self {
        Self { name, port }
    }

    /// The two that a proxy beside its workload has.
    pub(crate) const fn of_proxy(inbound: Setting<u16>, outbound: Setting<u16>) -> [Self; 2] {
        [Self::new("inbound-port", inbound), Self::new("outbound-port", outbound)]
    }
}

impl Ending<'_> {
    /// Reports two clauses that cannot both hold, at the one that the policy itself has.
    pub(crate) fn contradiction(
        &mut self,
        first: (&'static str, Option<Span>),
        second: (&'static str, Option<Span>),
        instead: &'static str,
    ) {
        let (first, second) = if self.has(second.1) { (second, first) } else { (first, second) };
        let problem = Problem::Contradiction { first: first.0, second: second.0, instead };
        let at = first.1.unwrap_or(self.at);
        let label = if second.1.is_some() { "only one of the two can hold" } else { "" };
        self.report.push(problem.at(at, label).and(second.1, "the other"));
    }

    /// Reports `dns none` beside a block.
    pub(crate) fn dns_contradiction(&mut self) {
        let none = self.seen.get(&("", "dns")).copied();
        let block = self.seen.get(&("dns", "")).copied();
        if let (Some(at), true) = (none, none == block) {
            let problem = Problem::SurplusBlock { clause: "dns none".to_owned() };
            self.report.push(problem.at(at, "nothing is captured, so there is nothing to say"));
        } else if none.is_some() && block.is_some() {
            let instead = "keep `dns none` for no DNS capture, or the block";
            self.contradiction(("dns none", none), ("dns { … }", block), instead);
        }
    }

    /// Whether the policy itself has a clause in `block`, or opens it.
    pub(crate) fn has_in_block(&self, block: &str) -> bool {
        self.seen.keys().any(|(of, _)| *of == block)
    }

    /// Reports the clause at `at`, if the policy itself has it.
    pub(crate) fn no_effect(
        &mut self,
        clause: &'static str,
        at: Option<Span>,
        reason: &'static str,
    ) {
        if let Some(at) = at.filter(|_| self.has(at)) {
            self.report.push(Problem::NoEffect { clause, reason }.at(at, ""));
        }
    }
}

/// Reports excluded inbound ports that are not captured anyway. Inherited ones go silently.
pub(crate) fn excluded_outside(
    capture: &List<PortRange>,
    exclude: &mut List<PortRange>,
    ending: &mut Ending<'_>,
) {
    if capture.all {
        return;
    }
    let captured: PortSet = capture.values().into_iter().collect();
    let ranges = captured.ranges();
    exclude.retain(|item| {
        let at = ranges.partition_point(|range| range.last() < item.value.first());
        let inside = ranges.get(at).is_some_and(|range| range.first() <= item.value.last());
        if let Some(at) = item.at.filter(|_| item.own && !inside) {
            let problem = Problem::ExcludedOutside {
                port: item.value.to_string(),
                captures_some: !ranges.is_empty(),
                block: "inbound",
            };
            let diagnostic = problem.at(at, "not captured");
            let label = if ranges.is_empty() { "no port is" } else { "only these ports are" };
            ending.report.push(diagnostic.and(capture.clause, label));
        }
        inside
    });
}

/// Reports groups of the proxy in a list about whose connections are captured.
pub(crate) fn proxy_groups(proxy: &List<u32>, list: &List<u32>, label: &str, report: &mut Report) {
    let proxys = widest(&proxy.items);
    for item in list.items.iter() {
        let Some(group) = covering(&proxys, &item.value) else { continue };
        if let Some(at) = item.at.filter(|_| item.own || group.own) {
            let problem = Problem::ProxyGroup { group: item.value };
            report.push(problem.at(at, label).and(group.at, "the proxy's"));
        }
    }
}

/// Reports interfaces that are both rerouted and excluded.
pub(crate) fn rerouted_and_excluded(
    reroute: &List<Interface>,
    exclude: &List<Interface>,
    report: &mut Report,
) {
    let excludes = widest(&exclude.items);
    for item in reroute.items.iter() {
        let Some(by) = covering(&excludes, &item.value) else { continue };
        if let Some(at) = item.at.filter(|_| item.own || by.own) {
            let problem = Problem::ReroutedAndExcluded { name: item.value.to_string() };
            report.push(problem.at(at, "rerouted here").and(by.at, "excluded here"));
        }
    }
}

/// Reports loopback destinations that `exclude loopback` leaves out.
pub(crate) fn loopback_excluded(capture: &List<IpNet>, ending: &mut Ending<'_>) {
    let loopback = capture.items.iter().find(|item| is_loopback(&item.value));
    let reason = "`exclude loopback` leaves the workload's own connections alone; keep one";
    ending.no_effect("capture to", loopback.and_then(|item| item.at), reason);
}

/// Reports ports of the proxy that are the same.
pub(crate) fn same_ports(ports: &[Port], ending: &mut Ending<'_>) {
    for (at, second) in ports.iter().enumerate() {
        for first in &ports[..at] {
            let (one, other) = (first.port.clause, second.port.clause);
            let Some(place) =
                other.filter(|_| ending.has(other)).or(one.filter(|_| ending.has(one)))
            else {
                continue;
            };
            if *first.port == *second.port {
                let (first, second, port) = (first.name, second.name, *first.port);
                let evidence = if other == Some(place) { one } else { other };
                let problem = Problem::SamePort { first, second, port };
                ending.report.push(problem.at(place, "").and(evidence, "the same"));
            }
        }
    }
}

/// Reports marks of TPROXY mode that cannot be told apart.
pub(crate) fn same_mark(mark: u32, ending: &mut Ending<'_>) {
    let clause = |words| ending.seen.get(&("mode", words)).copied();
    let clauses = [clause("outbound-mark"), clause("mark")];
    let mut spans = clauses.into_iter().flatten();
    if let Some(at) = spans.next() {
        let label = "packets to the proxy and packets from it have one mark";
        let diagnostic = Problem::SameMark { mark }.at(at, label);
        ending.report.push(diagnostic.and(spans.next(), "the same"));
    }
}

/// Reports excluded destinations of which nothing would be captured anyway. Captured ports are
/// captured whatever the destination is, so that beside them every exclude matters.
pub(crate) fn excluded_beside(
    capture: &List<IpNet>,
    ports: &List<PortRange>,
    exclude: &List<IpNet>,
    report: &mut Report,
) {
    if capture.is_none() || capture.all || !ports.is_none() {
        return;
    }
    let captured = widest(&capture.items);
    for item in exclude.items.iter().filter(|item| item.own) {
        // Those inside of it stand right behind where it would stand.
        let at = captured.partition_point(|net| net.value < item.value);
        let inside = captured.get(at).is_some_and(|net| item.value.contains(&net.value));
        if let Some(at) = item.at
            && !inside
            && covering(&captured, &item.value).is_none()
        {
            let reason = "remove it: nothing of it is captured anyway";
            let diagnostic = Problem::NoEffect { clause: "exclude to", reason }.at(at, "");
            report.push(diagnostic.and(capture.clause, "only these are captured"));
        }
    }
}

/// Reports an excluded inbound port that is the tunnel port, which redirect mode never captures.
pub(crate) fn tunnel_excluded(
    tunnel: Setting<u16>,
    exclude: &List<PortRange>,
    report: &mut Report,
) {
    for item in exclude.items.iter().filter(|item| item.own) {
        if let Some(at) = item.at
            && item.value == PortRange::one(*tunnel)
        {
            let reason = "remove it: connections to the tunnel port are never captured";
            let diagnostic = Problem::NoEffect { clause: "exclude port", reason }.at(at, "");
            report.push(diagnostic.and(tunnel.clause, "the tunnel port"));
        }
    }
}

/// Reports captured destinations that are the workload itself, which is untouched before. That the
/// list has one implies `capture loopback`, which is an effect of its own beside other captures.
pub(crate) fn captured_itself(
    capture: &List<IpNet>,
    loopback: &Setting<PerFamily<Ipv4Net, Ipv6Net>>,
    implies_nothing: bool,
    ending: &mut Ending<'_>,
) {
    let itself = [IpNet::V4(loopback.ipv4), IpNet::V6(loopback.ipv6)];
    let is_itself = |net: &IpNet| itself.iter().any(|itself| itself.contains(net));
    if !implies_nothing && !capture.items.iter().all(|item| is_itself(&item.value)) {
        return;
    }
    for item in capture.items.iter().filter(|item| is_itself(&item.value)) {
        if let Some(at) = item.at.filter(|_| item.own || ending.has(loopback.clause)) {
            let reason = "what goes to the workload's own `loopback` is untouched, captured or not";
            let diagnostic = Problem::NoEffect { clause: "capture to", reason }.at(at, "");
            ending.report.push(diagnostic.and(loopback.clause, "the workload itself"));
        }
    }
}

/// Whether these are all destinations that are governed.
pub(crate) fn is_everywhere(nets: &[IpNet], families: Families) -> bool {
    let widest = IpNet::aggregate(&nets.to_vec());
    let has = |family: Family| {
        let everything =
            |net: &IpNet| net.prefix_len() == 0 && net.addr().is_ipv4() == (family == Family::Ipv4);
        !families.has(family) || widest.iter().any(everything)
    };
    has(Family::Ipv4) && has(Family::Ipv6)
}

/// Whether these are all ports that a policy can say.
pub(crate) fn is_every_port(ports: &[PortRange]) -> bool {
    let ports: PortSet = ports.iter().copied().collect();
    matches!(ports.ranges()[..], [only] if only.first() <= 1 && only.last() == u16::MAX)
}
