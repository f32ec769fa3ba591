//! What several clauses say together: what contradicts, covers or cancels what.

use ipnet::IpNet;

use super::addresses::is_loopback;
use super::forms::Ending;
use super::lists::{List, covering, widest};
use crate::diag::{Diagnostic, Problem};
use crate::net::{Interface, PortRange, PortSet};
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
        self.report.push(problem.at(at, "").and(second.1, "contradicted by this"));
    }

    /// Reports `dns none` beside a block.
    pub(super) fn dns_contradiction(&mut self) {
        let none = self.seen.get(&("", "dns")).copied();
        let block = self.seen.get(&("dns", "")).copied();
        if none.is_some() && block.is_some() {
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
    exclude.items.retain(|item| {
        let at = ranges.partition_point(|range| range.last() < item.value.first());
        let inside = ranges.get(at).is_some_and(|range| range.first() <= item.value.last());
        if let Some(at) = item.at.filter(|_| item.own && !inside) {
            let problem =
                Problem::ExcludedOutside { port: item.value.to_string(), block: "inbound" };
            let diagnostic = problem.at(at, "not captured");
            let label = if ranges.is_empty() { "no port is" } else { "only these ports are" };
            ending.report.push(diagnostic.and(capture.clause, label));
        }
        inside
    });
}

/// Reports groups of the proxy in a list about whose connections are captured.
pub(super) fn proxy_groups(
    proxy: &List<u32>,
    list: &List<u32>,
    label: &str,
    report: &mut Vec<Diagnostic>,
) {
    let proxys = widest(&proxy.items);
    for item in &list.items {
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
    report: &mut Vec<Diagnostic>,
) {
    let excludes = widest(&exclude.items);
    for item in &reroute.items {
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

/// Reports clauses without effect, or that none has any.
pub(super) fn sidecar(sidecar: &Sidecar, ending: &mut Ending<'_>) {
    let Sidecar { mode, inbound, outbound, dns, .. } = sidecar;
    let no_inbound = inbound.capture_ports.is_none();
    let no_outbound =
        outbound.capture_to.is_none() && outbound.capture_ports.is_empty() && dns.is_none();
    if no_inbound && no_outbound {
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
