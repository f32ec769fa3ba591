//! Whether a policy says what rules say.

use crate::explain::{Context, differences};
use crate::ir::{Action, Hook, Ruleset};
use crate::lower::lower;
use crate::net::{Families, Family};
use crate::policy::Policy;
use crate::semantics::{Limit, Question};
use crate::verify::{self, Answer, Verdict};

/// Compares what the rules of a mesh and those of a policy do to every packet of the families that were
/// given. Chains of others that both lead to may do anything.
pub(super) fn compared(
    rules: &Ruleset,
    policy: &Policy,
    given: Families,
) -> Result<Verdict, Limit> {
    let lowered = lower(policy).ruleset;
    let [rules, ours] = [rules, &lowered].map(|ruleset| of(ruleset, given));
    // What a chain of others does to a packet ends it by a translation that nobody else has, or gives it
    // back.
    let ways: &[Action] = if rules.others().is_empty() && ours.others().is_empty() {
        &[Action::Return]
    } else {
        &[Action::Redirect { port: 0 }, Action::Return]
    };
    let ours_told = Context { policy: Some(policy), ..Context::default() };
    let mut worst: Option<Verdict> = None;
    for then in ways {
        let [rules, ours] = [&rules, &ours].map(|ruleset| ruleset.with_others_doing(then));
        let verdict = verify::compared((&rules, &Context::default()), (&ours, &ours_told))?;
        if worst.as_ref().is_none_or(|worst| worst.answer < verdict.answer) {
            worst = Some(verdict);
        }
    }
    let mut verdict = worst.expect("there is one way at least");
    // Rules of other chains than a policy's could stand between: only alone it is asked.
    if verdict.answer != Answer::Different {
        verdict.apart = verify::Apart::NotAsked;
    }
    Ok(verdict)
}

/// What rules of others do otherwise to a packet that a policy does something to, whatever is not
/// understood of them: the first such packet, and how it fares by the policy alone and by all rules.
pub(super) fn in_the_way(
    policy: &Policy,
    all: &Ruleset,
    given: Families,
) -> Option<(String, String, String)> {
    if !all.others().is_empty() {
        return None;
    }
    let ours = of(&lower(policy).ruleset, given);
    let hooks: Vec<Hook> = places(&ours).collect();
    let mut there = of(all, given);
    for chain in there.tables.iter_mut().flat_map(|table| &mut table.chains) {
        chain.base = chain.base.filter(|base| hooks.contains(&base.hook));
    }
    let told = Context { policy: Some(policy), ..Context::default() };
    let question = Question { touched: true, certain: true, ..Question::default() };
    let found = differences((&ours, &told), (&there, &Context::default()), question).ok()?;
    let way = found.ways.into_iter().next()?;
    Some((way.packet, way.left.words(), way.right.words()))
}

/// Where a ruleset does something.
fn places(ruleset: &Ruleset) -> impl Iterator<Item = Hook> {
    let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
    chains.filter_map(|chain| chain.base).map(|base| base.hook)
}

/// The rules for some families.
fn of(ruleset: &Ruleset, given: Families) -> Ruleset {
    match given {
        Families::Both => ruleset.clone(),
        Families::Ipv4 => ruleset.only(Family::Ipv4),
        Families::Ipv6 => ruleset.only(Family::Ipv6),
    }
}
