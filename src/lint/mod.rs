//! What is right and probably not meant, decided by what policies do to packets.
//!
//! [`check`](crate::policy::check) warns of what the clauses say; here the rules are asked that these
//! come to.

mod captures;
mod dns;
mod effect;
mod excluded;
mod marks;
mod owners;
mod ties;

use crate::Compilation;
use crate::diag::{Diagnostic, Problem, in_order};
use crate::explain::Treatment;
use crate::lower::{Lowered, questions};
use crate::net::{Family, Interface};
use crate::optimise::listed;
use crate::policy::{Expectation, Expected, Finder, Policy, Way};
use crate::semantics::{Limit, Outcome, Packet, find, run};
use crate::span::Span;
use crate::variants::Variants;

/// A policy that is looked at.
struct Linted<'a> {
    policy: &'a Policy,
    lowered: &'a Lowered,
    /// Where its name stands.
    at: Span,
}

impl Compilation {
    /// What its policies do that is probably not meant and nowhere allowed, in source order. Warnings, but for `E404`, where
    /// rules are too entangled to tell.
    #[must_use]
    pub fn lint(&self) -> Vec<Diagnostic> {
        let mut allows = self.allows();
        let known: Vec<Diagnostic> =
            self.warnings.iter().chain(allows.allowed()).cloned().collect();
        let mut variants = Variants::of(&self.sources, self.groups());
        let mut found = Vec::new();
        for (policy, at) in self.policies.iter().zip(self.names()) {
            let lowered = listed(policy);
            let linted = Linted { policy, lowered: &lowered, at: *at };
            let Some(mut variant) = variants.policy(&policy.name) else { continue };
            found.extend(marks::lint(&linted, &mut variant));
            let rest = captures::lint(&linted).and_then(|mut found| {
                // Nothing has an effect where nothing is captured.
                if found.iter().any(|it| matches!(it.problem, Problem::CapturesNothing { .. })) {
                    return Ok(found);
                }
                let is_nothing = |it: &Diagnostic| {
                    matches!(it.problem, Problem::CapturesNothing { .. }) && it.is_in(linted.at)
                };
                if !known.iter().any(is_nothing) {
                    let is_known = |clause: Span| known.iter().any(|known| known.is_in(clause));
                    found.extend(excluded::lint(&linted, &mut variant, is_known)?);
                }
                found.extend(owners::lint(&linted, &mut variant)?);
                // Where nothing is left, no query is.
                if !found.iter().any(|it| matches!(it.problem, Problem::NothingLeft { .. })) {
                    found.extend(dns::lint(&linted, &mut variant)?);
                }
                let is_known =
                    |clause: Span| known.iter().chain(&found).any(|known| known.is_in(clause));
                let more = effect::lint(&linted, &mut variant, is_known)?;
                found.extend(more);
                Ok(found)
            });
            match rest {
                Ok(rest) => found.extend(rest.into_iter().filter(|it| !is_known(&known, it))),
                Err(limit) => {
                    let subject = "what clauses are good for";
                    let problem = Problem::TooEntangled { subject, why: limit.to_string() };
                    found.push(problem.at(*at, ""));
                }
            }
        }
        allows.filter(&mut found);
        found.extend(allows.idle(Finder::Rules));
        in_order(found)
    }

    /// The warnings of compiling and those of [`lint`](Self::lint), in source order.
    #[must_use]
    pub fn all_warnings(&self) -> Vec<Diagnostic> {
        in_order(self.warnings.iter().cloned().chain(self.lint()).collect())
    }
}

/// Whether one of `known` says the same of the same place.
fn is_known(known: &[Diagnostic], found: &Diagnostic) -> bool {
    let code = found.problem.code();
    known.iter().any(|it| it.problem.code() == code && it.at() == found.at())
}

/// Whether some packet that is as `about` says, over loopback or not, ends `so`.
fn some_ends(
    lowered: &Lowered,
    about: &Expectation,
    so: impl Fn(&Outcome) -> bool,
) -> Result<bool, Limit> {
    for interfaces in [Vec::new(), vec![Interface::lo()]] {
        let about = Expectation { interfaces, ..about.clone() };
        for question in questions(lowered, &about) {
            if find(&lowered.ruleset, question.hook, &question.when, &so)?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether a packet goes to the proxy.
fn is_captured(lowered: &Lowered, packet: &str) -> bool {
    let packet = packet.parse::<Packet>();
    packet.is_ok_and(|it| Treatment::of(&run(&lowered.ruleset, &it).outcome).is_captured())
}

/// Connections of a way to any address, wherever it can be told what becomes of them.
fn connections(way: Way) -> Expectation {
    let to = Family::ALL.map(Family::everywhere).to_vec();
    Expectation { to, ..Expectation::of(way, Expected::Untouched) }
}

impl Diagnostic {
    /// Whether one of its places lies in `clause`.
    fn is_in(&self, clause: Span) -> bool {
        self.labels.iter().any(|label| clause.covers(label.at))
    }
}
