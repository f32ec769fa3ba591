//! What the clauses of a sidecar say together: which of them have no effect.

use super::meaning::{Groups, Mode, Sidecar};
use crate::diag::Problem;
use crate::policy::clauses::effects::{is_every_port, is_everywhere};
use crate::policy::clauses::form::Ending;
use crate::policy::setting::Selection;
use crate::span::Span;

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
pub(super) fn report(sidecar: &Sidecar, ending: &mut Ending<'_>) {
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
