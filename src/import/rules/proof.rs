//! Whether a policy says what rules say.

use crate::explain::Context;
use crate::ir::{Action, Ruleset};
use crate::lower::{Layout, lower};
use crate::net::{Families, Family};
use crate::policy::{Detail, GroupIds, Policy, check, print};
use crate::semantics::Limit;
use crate::syntax::{NoIncludes, load};
use crate::verify::{self, Answer, Verdict};

/// Compares what the rules of a mesh and those of a policy do to every packet of the families that were
/// given. Chains of others that both lead to may do anything.
pub(super) fn compared(
    rules: &Ruleset,
    policy: &Policy,
    given: Families,
) -> Result<Verdict, Limit> {
    let lowered = lower(policy, Layout::Compact).ruleset;
    let [rules, ours] = [rules, &lowered].map(|ruleset| match given {
        Families::Both => ruleset.clone(),
        Families::Ipv4 => ruleset.only(Family::Ipv4),
        Families::Ipv6 => ruleset.only(Family::Ipv6),
    });
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
        let verdict =
            verify::compared((&rules, &Context::default()), (&ours, &ours_told))?;
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

/// Whether the language takes the policy as it is printed; or the first thing that it does not.
pub(super) fn is_sayable(policy: &Policy) -> Result<(), String> {
    let text = print(policy, Detail::Differences);
    let checked = check(&load("rules.weir", &text, &NoIncludes), &GroupIds::new());
    match &checked.policies[..] {
        [read] if read.node == *policy => Ok(()),
        _ => {
            let errors = checked.diagnostics.iter().filter(|found| found.problem.code().starts_with('E'));
            let why = errors.map(|found| found.problem.to_string()).next();
            Err(why.unwrap_or_else(|| "it does not read back as the same policy".to_owned()))
        }
    }
}
