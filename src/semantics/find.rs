//! A packet of which something becomes.

use std::sync::Arc;

use super::diagram::Function;
use super::eval::run_in_order;
use super::space::{NOTHING, Space};
use super::symbolic::{Fates, fates};
use super::witness::packet;
use super::{Limit, Outcome, Packet, Run, Translation, Verdict};
use crate::ir::{Hook, Match, Ruleset, Schedule};
use crate::net::Family;

/// A packet at `hook` that all of `when` hold for as it arrives, and of which `ruleset` makes what
/// `wanted` holds for, and its run; none if there is no such packet, in any order of chains that
/// tie.
///
/// Every transparent proxy listens, and a packet in state new begins its connection. `wanted` is asked about outcomes whose marks are 0: it may look
/// at everything else. With the opposite of what is expected as `wanted`, this proves the
/// expectation, or breaks it.
///
/// # Errors
///
/// If the ruleset is too entangled to tell.
pub fn find<'a>(
    ruleset: &'a Ruleset,
    hook: Hook,
    when: &[Match],
    wanted: impl Fn(&Outcome) -> bool,
) -> Result<Option<(Packet, Run<'a>)>, Limit> {
    for family in Family::ALL {
        let mut space = Space::of_classes(hook, family, &[ruleset], when);
        if found(&mut space, ruleset, when, &wanted)?.is_none() && !space.is_blurred() {
            continue;
        }
        let mut space = Space::new(hook, family, &[ruleset], when);
        if let Some((packets, schedule)) = found(&mut space, ruleset, when, &wanted)? {
            let packet = packet(&mut space, packets);
            let run = run_in_order(ruleset, &packet, &schedule);
            return Ok(Some((packet, run)));
        }
    }
    Ok(None)
}

/// The packets of `space` that [`find`] looks for, and an order of chains in which they fare so.
fn found<'a>(
    space: &mut Space,
    ruleset: &'a Ruleset,
    when: &[Match],
    wanted: &impl Fn(&Outcome) -> bool,
) -> Result<Option<(Function, Schedule<'a>)>, Limit> {
    for schedule in ruleset.schedules(space.hook, space.family)? {
        let asked = asked(space, ruleset, when);
        if asked == Function::FALSE {
            return Ok(None);
        }
        let fates = fates(space, ruleset, &schedule)?;
        let outcomes = outcomes(space, &fates, asked);
        if let Some((_, packets)) = outcomes.into_iter().find(|(outcome, _)| wanted(outcome)) {
            return Ok(Some((packets, schedule)));
        }
    }
    Ok(None)
}

/// The packets that all of `when` hold for as they arrive: those in state new begin their
/// connections, and every transparent proxy listens.
pub(super) fn asked(space: &mut Space, ruleset: &Ruleset, when: &[Match]) -> Function {
    let mut asked = super::symbolic::arriving(space, ruleset, when);
    // Where nothing is translated, nothing is asked of a connection's first packet either.
    if space.hook.translates().is_some() {
        let new = space.new_connections();
        let first = space.is(space.decided, NOTHING);
        let later = space.diagrams.minus(new, first);
        asked = space.diagrams.minus(asked, later);
    }
    for (_, listens) in space.listeners.clone() {
        let listens = space.diagrams.variable(listens);
        asked = space.diagrams.and(asked, listens);
    }
    asked
}

/// What becomes of `packets`, marks aside, each with those of which it does.
pub(super) fn outcomes(
    space: &mut Space,
    fates: &Fates,
    packets: Function,
) -> Vec<(Outcome, Function)> {
    let accepted = space.diagrams.and(packets, fates.accepted);
    let taken = space.diagrams.and(packets, fates.taken);
    let dropped = space.diagrams.minus(packets, fates.accepted);
    let dropped = space.diagrams.minus(dropped, taken);
    let mut all =
        vec![(Outcome::of(Verdict::Accept), accepted), (Outcome::of(Verdict::Taken), taken)];
    let split = |space: &mut Space,
                 all: Vec<(Outcome, Function)>,
                 at: Function,
                 becomes: &dyn Fn(&mut Outcome)| {
        let mut parts = Vec::new();
        for (outcome, packets) in all {
            let mut other = outcome.clone();
            becomes(&mut other);
            parts.push((outcome, space.diagrams.minus(packets, at)));
            parts.push((other, space.diagrams.and(packets, at)));
        }
        parts.retain(|(_, packets)| *packets != Function::FALSE);
        parts
    };
    for (text, at) in &fates.targets {
        let meets = |outcome: &mut Outcome| {
            outcome.targets.insert(Arc::clone(text));
        };
        all = split(space, all, *at, &meets);
    }
    for (to, at) in &fates.translations {
        let becomes = |outcome: &mut Outcome| outcome.translation = Some::<Translation>(to.clone());
        all = split(space, all, *at, &becomes);
    }
    for (to, at) in &fates.proxies {
        all = split(space, all, *at, &|outcome| outcome.tproxy = Some(*to));
    }
    for (to, at) in &fates.zones {
        all = split(space, all, *at, &|outcome| outcome.zone = Some(*to));
    }
    all = split(space, all, fates.exempt, &|outcome| outcome.untracked = true);
    all.push((Outcome::of(Verdict::Drop), dropped));
    all.retain(|(_, packets)| *packets != Function::FALSE);
    all
}
