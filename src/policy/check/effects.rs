//! What several clauses say together: what contradicts, covers or cancels what.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::addresses::is_loopback;
use super::forms::Ending;
use super::lists::{List, covering, widest};
use crate::diag::{Problem, Report};
use crate::net::{Families, Family, Interface, PerFamily, PortRange, PortSet};
use crate::policy::{Groups, Mode, Selection, Setting, Sidecar};
use crate::span::Span;

/// A port of the proxy, by the clause that sets it.
pub(super) struct Port {
    name: &'static str,
    port: Setting<u16>,
}

impl Port {
    pub(super) const fn new(name: &'static str, port: Setting<u16>) -> Self {
        Self { name, port }
    }
}

impl Ending<'_> {
    /// Reports two clauses that cannot both hold, at the one that the policy itself has.
    pub(super) fn contradiction(
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
    pub(super) fn dns_contradiction(&mut self) {
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
    pub(super) fn has_in_block(&self, block: &str) -> bool {
        self.seen.keys().any(|(of, _)| *of == block)
    }

    /// Reports the clause at `at`, if the policy itself has it.
    fn no_effect(&mut self, clause: &'static str, at: Option<Span>, reason: &'static str) {
        if let Some(at) = at.filter(|_| self.has(at)) {
            self.report.push(Problem::NoEffect { clause, reason }.at(at, ""));
        }
    }
}

/// Reports excluded inbound ports that are not captured anyway. Inherited ones go silently.
pub(super) fn excluded_outside(
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
pub(super) fn proxy_groups(proxy: &List<u32>, list: &List<u32>, label: &str, report: &mut Report) {
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
pub(super) fn rerouted_and_excluded(
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

/// Reports an exclude of port 53 where `dns` captures it.
pub(super) fn dns_excluded(dns: Option<Span>, exclude: &List<PortRange>, ending: &mut Ending<'_>) {
    let excluded = exclude.items.iter().find(|item| item.value.contains(53));
    if let Some(item) = excluded.filter(|item| item.own || ending.has(dns))
        && let Some(at) = item.at
    {
        ending.report.push(Problem::DnsExcluded.at(at, "excluded here").and(dns, "captured here"));
    }
}

/// Reports loopback destinations that `exclude loopback` leaves out.
pub(super) fn loopback_excluded(capture: &List<IpNet>, ending: &mut Ending<'_>) {
    let loopback = capture.items.iter().find(|item| is_loopback(&item.value));
    let reason = "`exclude loopback` leaves the workload's own connections alone; keep one";
    ending.no_effect("capture to", loopback.and_then(|item| item.at), reason);
}

/// Reports ports of the proxy that are the same.
pub(super) fn same_ports(ports: &[Port], ending: &mut Ending<'_>) {
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
pub(super) fn same_mark(mark: u32, ending: &mut Ending<'_>) {
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
pub(super) fn excluded_beside(
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
pub(super) fn tunnel_excluded(
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
pub(super) fn captured_itself(
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
fn is_everywhere(nets: &[IpNet], families: Families) -> bool {
    let widest = IpNet::aggregate(&nets.to_vec());
    let has = |family: Family| {
        let everything =
            |net: &IpNet| net.prefix_len() == 0 && net.addr().is_ipv4() == (family == Family::Ipv4);
        !families.has(family) || widest.iter().any(everything)
    };
    has(Family::Ipv4) && has(Family::Ipv6)
}

/// Whether these are all ports.
fn is_every_port(ports: &[PortRange]) -> bool {
    let ports: PortSet = ports.iter().copied().collect();
    matches!(ports.ranges()[..], [only] if (only.first(), only.last()) == (1, u16::MAX))
}

/// Reports interfaces that are rerouted where TPROXY takes their connections first.
fn rerouted_late(sidecar: &Sidecar, ending: &mut Ending<'_>) {
    let Sidecar { mode, inbound, interfaces, .. } = sidecar;
    let reroute = interfaces.reroute.clause.filter(|_| !interfaces.reroute.is_empty());
    if !matches!(mode.value, Mode::Tproxy(_)) || inbound.capture_ports.is_none() {
        return;
    }
    let own = |clause: &Option<Span>| ending.has(*clause);
    let (at, evidence, label) = match (reroute, mode.clause) {
        (Some(reroute), mode) if own(&Some(reroute)) => (reroute, mode, "TPROXY comes first"),
        (Some(reroute), Some(mode)) if own(&Some(mode)) => (mode, Some(reroute), "rerouted here"),
        _ => return,
    };
    ending.report.push(Problem::ReroutedLate.at(at, "").and(evidence, label));
}

/// Reports clauses without effect, or that none has any.
pub(super) fn sidecar(sidecar: &Sidecar, ending: &mut Ending<'_>) {
    rerouted_late(sidecar, ending);
    let Sidecar { mode, inbound, outbound, dns, .. } = sidecar;
    let no_inbound = inbound.capture_ports.is_none() || is_every_port(&inbound.exclude_ports);
    let no_outbound =
        outbound.capture_to.is_none() && outbound.capture_ports.is_empty() && dns.is_none();
    let all_excluded = is_every_port(&outbound.exclude_ports)
        || dns.is_none() && is_everywhere(&outbound.exclude_to, *sidecar.families);
    if no_inbound && (no_outbound || all_excluded) {
        let name = ending.name.to_owned();
        ending.report.push(Problem::CapturesNothing { name }.at(ending.at, ""));
        return;
    }
    if no_inbound && matches!(mode.value, Mode::Tproxy(_)) {
        let at = mode.clause.filter(|_| ending.has(mode.clause)).or(inbound.capture_ports.clause);
        let reason = "it is about inbound connections, of which none is captured";
        ending.no_effect("mode tproxy", at, reason);
    }
    if no_outbound {
        const REASON: &str = "nothing outbound is captured";
        if !outbound.exclude_to.is_empty() {
            ending.no_effect("exclude to", outbound.exclude_to.clause, REASON);
        }
        if !outbound.exclude_ports.is_empty() {
            ending.no_effect("exclude port", outbound.exclude_ports.clause, REASON);
        }
        match outbound.groups.value {
            Groups::Only(_) => ending.no_effect("capture group", outbound.groups.clause, REASON),
            Groups::Except(ref groups) if !groups.is_empty() => {
                ending.no_effect("exclude group", outbound.groups.clause, REASON);
            }
            Groups::Except(_) => {}
        }
    }
    if outbound.capture_to.value == Selection::All && !outbound.capture_ports.is_empty() {
        let reason = "`capture to *` captures every destination on every port";
        ending.no_effect("capture port", outbound.capture_ports.clause, reason);
    }
}
