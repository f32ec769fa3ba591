//! Problems: what is wrong, where, and what to write instead.
//!
//! A diagnostic is plain data. Only the command's renderer knows a terminal.

mod problem;

pub use problem::{Problem, Severity};

use crate::span::Span;

/// One problem and its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, independent of where.
    pub problem: Problem,
    /// Where, with what each place contributes. The first is the one to change.
    pub labels: Vec<Label>,
}

/// What one place has to do with a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The smallest text that matters.
    pub at: Span,
    /// What this place contributes; never repeats the problem. May be empty.
    pub text: String,
}

impl Problem {
    /// The problem, at the place to change.
    #[must_use]
    pub fn at(self, at: Span, text: impl Into<String>) -> Diagnostic {
        Diagnostic { problem: self, labels: vec![Label { at, text: text.into() }] }
    }
}

impl Diagnostic {
    /// Adds a place that has to do with it.
    #[must_use]
    pub fn also(mut self, at: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { at, text: text.into() });
        self
    }
}
