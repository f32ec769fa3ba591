//! Policies held against what they expect: whether it is so, what no expectation is about, and which
//! changes none would notice.

mod coverage;
mod mutants;

use crate::Compilation;
use crate::diag::Diagnostic;
use crate::lower::{Lowered, lower, questions};
use crate::policy::{Expectation, Policy};
use crate::prove;
use crate::semantics::{Limit, find};
use crate::span::Span;

pub use coverage::{Coverage, Covered};
pub use mutants::{Fate, Mutant};

/// What has become of an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tested {
    /// The clause; `None` if the policy came from no text.
    pub clause: Option<Span>,
    /// Its words: `expect outbound tcp => untouched`.
    pub words: String,
    /// Whether it holds.
    pub verdict: Verdict,
}

/// Whether an expectation holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does, for every packet that it is about.
    Holds,
    /// There is no packet that it is about, so that it says nothing.
    Idle,
    /// It does not, or nobody can tell: `E403` or `E404`.
    Broken(Box<Diagnostic>),
}

impl Compilation {
    /// Whether each expectation of `policy` holds, in the order in which they stand there; those that
    /// it inherits come first.
    ///
    /// One that does not is an error of [`compile`](crate::compile), unless
    /// [`verify`](crate::Options::verify) is off.
    #[must_use]
    pub fn test(&self, policy: &Policy) -> Vec<Tested> {
        let lowered = lower(policy);
        let tested = policy.expectations.iter().map(|expected| {
            let found = prove::expectation(policy, &lowered, &lowered.ruleset, expected);
            let verdict = match found {
                Some(found) => Verdict::Broken(Box::new(found)),
                // That there is a packet is asked only where nothing else was found.
                None if is_idle(&lowered, expected) == Ok(true) => Verdict::Idle,
                None => Verdict::Holds,
            };
            let words = expected.words().join(" ");
            Tested { clause: expected.clause, words, verdict }
        });
        tested.collect()
    }
}

/// Whether there is no packet that `expected` is about.
fn is_idle(lowered: &Lowered, expected: &Expectation) -> Result<bool, Limit> {
    for question in questions(lowered, expected) {
        if find(&lowered.ruleset, question.hook, &question.when, |_| true)?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}
