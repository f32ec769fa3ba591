//! Rules of a mesh, back to the policy that says the same.
//!
//! ```text
//! ir::Ruleset ──recognise──▶ a mesh's rules ──leaf──▶ one by one ──linkerd, kuma …──▶ Policy ──lower──▶ compare
//! ```
//!
//! Each value of a policy is read from a rule: what a rule does, and everything that is asked on the way to
//! it, is held against the rungs of the mesh's ladder (`src/lower`). Whatever was read, the proof decides:
//! a policy is called equal if its rules treat every packet as those do that were given.

mod ambient;
mod appmesh;
mod consul;
mod finding;
mod kuma;
mod leaf;
mod linkerd;
mod osm;
mod proof;
mod recognise;
mod sidecar;
mod values;

pub use finding::{Reason, Remark};

use std::collections::BTreeSet;

use self::recognise::Own;
use super::naming::Names;
use super::report;
use super::{Finding, Refused};
use crate::ir::{Locator, Ruleset};
use crate::net::{Families, Name};
use crate::policy::{Kind, Mode, Policy, Unchecked};
use crate::semantics::Comparison;
use crate::verify::{Answer, Verdict};

/// What was read of all that was given.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recovered {
    /// The policies. No two have the same name.
    pub policies: Vec<FromRules>,
    /// What they do not say, and why.
    pub notes: Vec<Finding<Remark>>,
}

/// A policy that was read from rules.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FromRules {
    /// What messages call the mesh.
    pub mesh: &'static str,
    /// The policy.
    pub policy: Policy,
    /// The rules that it was read from: the mesh's alone.
    pub rules: Ruleset,
    /// Whether its rules treat every packet of the families that were given as those do, which are the
    /// left ones; and, if not, how they differ.
    pub verdict: Verdict,
}

/// Reads rules of meshes back, of the families that the rules say something about. `name` is what a policy
/// is to be called.
///
/// # Errors
///
/// If there are no rules of a mesh, or no policy says something like them.
pub fn recover(
    ruleset: &Ruleset,
    given: Families,
    name: Option<&Name>,
) -> Result<Recovered, Refused<Remark, Reason>> {
    let mut report = Report::default();
    let (all, left_aside) = match recognise::own(ruleset) {
        Ok(found) => found,
        Err(reason) => {
            report.fail(reason);
            (Vec::new(), 0)
        }
    };
    if all.is_empty() && report.mistakes.is_empty() {
        report.fail(Reason::NoMesh);
    }
    let mut names = Names::of("policy");
    let mut policies = Vec::new();
    for own in all {
        report.about = Some(format!("{} ({})", own.ladder.mesh, own.ladder.name));
        let name = names.take(name, Some(own.ladder.name), &mut report);
        policies.extend(one(own, given, &name, &mut report));
    }
    report.about = None;
    if left_aside > 0 && !policies.is_empty() {
        report.remark(Remark::LeftAside { count: left_aside });
        let equal = policies.iter().filter(|found| found.verdict.answer == Answer::Equal);
        for FromRules { policy, .. } in equal {
            if let Some((packet, alone, all)) = proof::in_the_way(policy, ruleset, given) {
                let policy = policy.name.clone();
                report.remark(Remark::InTheWay { policy, packet, alone, all });
            }
        }
    }
    let report::Report { notes, mistakes, .. } = report;
    if mistakes.is_empty() {
        Ok(Recovered { policies, notes })
    } else {
        Err(Refused { mistakes, notes, rest: Vec::new() })
    }
}

/// What the rules of a ladder say.
#[derive(Debug)]
struct Read {
    /// Policies that may say the same; none if nothing was read.
    kinds: Vec<Kind>,
    /// Of each rule, whether it is a rung of the ladder.
    understood: Vec<bool>,
}

/// Findings as they are made.
type Report = report::Report<Remark, Reason>;

/// What the rules of one ladder say.
fn one(own: Own, given: Families, name: &Name, report: &mut Report) -> Option<FromRules> {
    let Own { ladder, ruleset, read, strange } = own;
    let mut best: Option<FromRules> = None;
    let mut reasons = Vec::new();
    for kind in read.kinds {
        let policy = match Unchecked::of(name.clone(), kind).check() {
            Ok(policy) => policy,
            Err(failure) => {
                let mut errors = failure.diagnostics.iter().filter(|found| found.is_error());
                let why = errors.next().map(|found| found.problem.to_string());
                reasons.push(Reason::NotSayable { why: why.unwrap_or_default() });
                continue;
            }
        };
        let verdict = match proof::compared(&ruleset, &policy, given) {
            Ok(verdict) => verdict,
            Err(limit) => {
                reasons.push(Reason::NotCompared { limit });
                continue;
            }
        };
        let is_equal = verdict.answer == Answer::Equal;
        let is_better =
            best.as_ref().is_none_or(|best| distance(&verdict) < distance(&best.verdict));
        if is_better {
            let rules = ruleset.clone();
            best = Some(FromRules { mesh: ladder.mesh, policy, rules, verdict });
        }
        if is_equal {
            break;
        }
    }
    let Some(found) = best else {
        // One of several would have done, and the first is the likeliest.
        report.fail(reasons.into_iter().next().unwrap_or(Reason::NothingRead));
        return None;
    };
    let strange: BTreeSet<_> = strange.into_iter().collect();
    for (table, chain, locator) in strange {
        let at = match locator {
            Some(Locator::Line { text: 0, line }) => format!(" in line {line}"),
            Some(Locator::Line { text, line }) => {
                format!(" in line {line} of file {}", text + 1)
            }
            Some(Locator::Handle(handle)) => format!(" with handle {handle}"),
            None => String::new(),
        };
        report.remark(Remark::Strange { table, chain, at });
    }
    not_said(&found.policy, given, report);
    Some(found)
}

/// How far a policy is from the rules.
fn distance(verdict: &Verdict) -> (Answer, usize, bool) {
    let Comparison { ways, and_more } = &verdict.ways;
    (verdict.answer, ways.len(), *and_more)
}

/// What no rule tells.
fn not_said(policy: &Policy, given: Families, report: &mut Report) {
    let governed = policy.families();
    for family in Families::Both.iter().filter(|family| !governed.has(*family)) {
        report.remark(if given.has(family) {
            Remark::NoRules { family }
        } else {
            Remark::NotGiven { family }
        });
    }
    match &policy.kind {
        Kind::Sidecar(sidecar) if let Mode::Tproxy(numbers) = *sidecar.mode => {
            report.remark(Remark::Table { table: numbers.table });
        }
        Kind::AmbientPod(pod) => report.remark(Remark::Table { table: *pod.route.table }),
        _ => {}
    }
}
