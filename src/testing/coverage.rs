//! Which rungs and clauses no expectation is about.

use crate::Compilation;
use crate::ir::{Rule, Ruleset, Rung};
use crate::lower::{Question, every_question, questions};
use crate::optimise::listed;
use crate::policy::Policy;
use crate::semantics::{Limit, touched};
use crate::span::Span;

/// Which rungs and clauses of a policy its expectations touch.
///
/// An expectation touches a rule if one of the packets that it is about meets the rule and matches
/// it, and with the rule its rung and its clause.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {
    /// The rungs of which the policy has rules, in the order in which these run.
    pub rungs: Vec<Covered<Rung>>,
    /// The clauses that have rules of their own, by place; some may be those of a policy that this one
    /// extends.
    pub clauses: Vec<Covered<Span>>,
}

/// How often expectations touch a part of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Covered<T> {
    /// The part.
    pub part: T,
    /// How many expectations touch it.
    pub times: usize,
    /// Whether any expectation could: they are about the first packets of connections, without marks.
    pub can_be: bool,
}

impl Compilation {
    /// Which rungs and clauses of `policy` its expectations touch.
    ///
    /// # Errors
    ///
    /// If the rules are too entangled to tell.
    pub fn coverage(&self, policy: &Policy) -> Result<Coverage, Limit> {
        let lowered = listed(policy);
        let mut coverage = Coverage::of(&lowered.ruleset);
        for rule in met(&lowered.ruleset, &every_question())? {
            coverage.each(&[rule], |covered| *covered.can_be = true);
        }
        for expected in &policy.expectations {
            let rules = met(&lowered.ruleset, &questions(&lowered, expected))?;
            coverage.each(&rules, |covered| *covered.times += 1);
        }
        Ok(coverage)
    }
}

/// The rules that packets of one of `asked` meet and match.
fn met<'r>(ruleset: &'r Ruleset, asked: &[Question]) -> Result<Vec<&'r Rule>, Limit> {
    let mut rules = Vec::new();
    for question in asked {
        rules.extend(touched(ruleset, question.hook, &question.when)?);
    }
    Ok(rules)
}

/// What is known of a part, whatever it is.
struct Known<'c> {
    times: &'c mut usize,
    can_be: &'c mut bool,
}

impl<T> Covered<T> {
    const fn known(&mut self) -> Known<'_> {
        Known { times: &mut self.times, can_be: &mut self.can_be }
    }
}

impl Coverage {
    /// That of no expectation.
    fn of(ruleset: &Ruleset) -> Self {
        let mut coverage = Self { rungs: Vec::new(), clauses: Vec::new() };
        for rule in ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|it| &it.rules) {
            let (rung, clause) = (rule.origin.rung, rule.origin.clause);
            if !rung.number().is_empty() && coverage.rungs.iter().all(|known| known.part != rung) {
                coverage.rungs.push(Covered { part: rung, times: 0, can_be: false });
            }
            let is_new = |clause: &Span| coverage.clauses.iter().all(|known| known.part != *clause);
            if let Some(clause) = clause.filter(is_new) {
                coverage.clauses.push(Covered { part: clause, times: 0, can_be: false });
            }
        }
        coverage.clauses.sort_by_key(|clause| clause.part);
        coverage
    }

    /// Does `then` once to each part of which there is a rule in `rules`.
    fn each(&mut self, rules: &[&Rule], then: impl Fn(Known<'_>)) {
        for rung in &mut self.rungs {
            if rules.iter().any(|rule| rule.origin.rung == rung.part) {
                then(rung.known());
            }
        }
        for clause in &mut self.clauses {
            if rules.iter().any(|rule| rule.origin.clause == Some(clause.part)) {
                then(clause.known());
            }
        }
    }
}
