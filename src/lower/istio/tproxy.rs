//! TPROXY mode of a sidecar: what arrives, and the marks of connections.

use super::context::Context;
use super::{names, rungs};
use crate::ir::{Action, BuiltInTable, CtState, Hook, MarkChange, MaskPair, Origin, Rung};
use crate::lower::plan::{Plan, jump};
use crate::lower::when::{When, any, tcp};
use crate::net::{Interface, Mark};
use crate::policy::Tproxy;

/// What is decided before ports are: packets that are on their way already.
pub(super) fn before_inbound(context: &Context<'_>, numbers: Tproxy, plan: &mut Plan) {
    let families = context.families;
    let sidecar = context.sidecar;
    let origin = |rung| Origin::new(rung, sidecar.mode.clause);
    let inbound = plan.chain(BuiltInTable::Mangle, names::INBOUND);

    let marked = tcp(families).marked(Mark::exactly(numbers.mark));
    inbound.push(marked.then(Action::Return, origin(rungs::TPROXY_MARKED)));
    for family in families.iter() {
        let over_lo = tcp(families).arrives_on(vec![Interface::lo()]);
        let passthrough = over_lo.from(context.passthrough(family));
        let origin = Origin::new(rungs::TPROXY_PASSTHROUGH, sidecar.proxy.passthrough.clause);
        inbound.push(passthrough.then(Action::Return, origin));
    }
    let local = tcp(families)
        .arrives_on(vec![Interface::lo()])
        .not_marked(Mark::exactly(numbers.outbound_mark));
    inbound.push(local.then(Action::Return, origin(rungs::TPROXY_LOCAL)));
}

/// What is done with a packet that is captured.
pub(super) fn targets(context: &Context<'_>, numbers: Tproxy, plan: &mut Plan) {
    let families = context.families;
    let sidecar = context.sidecar;
    let divert = Origin::new(rungs::TPROXY_DIVERT, sidecar.mode.clause);
    let mark = Action::SetMark(MarkChange::set(numbers.mark));
    plan.chain(BuiltInTable::Mangle, names::DIVERT).push(any(families).then(mark, divert));
    plan.chain(BuiltInTable::Mangle, names::DIVERT)
        .push(any(families).then(Action::Accept, divert));

    let to_proxy = Origin::new(Rung::TO_PROXY, sidecar.proxy.inbound_port.clause);
    for family in families.iter() {
        let tproxy = Action::Tproxy {
            port: *sidecar.proxy.inbound_port,
            mark: MarkChange::set(numbers.mark),
            on_miss: numbers.on_miss,
        };
        let elsewhere = tcp(families).not_to(context.loopback(family));
        plan.chain(BuiltInTable::Mangle, names::TPROXY).push(elsewhere.then(tproxy, to_proxy));
    }
}

/// Sends packets that are captured to the proxy.
pub(super) fn capture(when: When, captured: Origin, plan: &mut Plan) {
    let known = when.clone().state([CtState::Related, CtState::Established]);
    let divert = Origin { rung: rungs::TPROXY_DIVERT, ..captured };
    let inbound = plan.chain(BuiltInTable::Mangle, names::INBOUND);
    inbound.push(known.then(jump(names::DIVERT), divert));
    inbound.push(when.then(jump(names::TPROXY), captured));
}

/// Keeps the marks of connections between the proxy and its workload.
pub(super) fn marks(context: &Context<'_>, numbers: Tproxy, plan: &mut Plan) {
    let families = context.families;
    let origin = |rung| Origin::new(rung, context.sidecar.mode.clause);
    let over_lo = || tcp(families).leaves_on(vec![Interface::lo()]);
    let mark = Mark::exactly(numbers.mark);

    let save = Action::SaveMark(MaskPair::FULL);
    plan.at(BuiltInTable::Mangle, Hook::Prerouting)
        .push(tcp(families).marked(mark).then(save, origin(rungs::TPROXY_SAVE)));

    let output = plan.at(BuiltInTable::Mangle, Hook::Output);
    output.push(over_lo().marked(mark).then(Action::Return, origin(rungs::TPROXY_KEEP)));
    for proxy in context.proxy_owners() {
        for family in families.iter() {
            let to_workload =
                over_lo().not_to(context.loopback(family)).owner(proxy.owner, proxy.ids());
            let set = Action::SetMark(MarkChange::set(numbers.outbound_mark));
            output.push(to_workload.then(set, Origin::new(rungs::TPROXY_OUTBOUND, proxy.clause)));
        }
    }
    let restore = Action::RestoreMark(MaskPair::FULL);
    output.push(tcp(families).connmarked(mark).then(restore, origin(rungs::TPROXY_RESTORE)));
}
