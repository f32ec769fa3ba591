//! What clauses say, so that a rule leads back to the line that asked for it.

use std::collections::BTreeMap;
use std::fmt;

use crate::span::Span;

/// What the clauses of policies say, by where they stand.
///
/// Outputs name a clause by its words and not by its line: a comment above it, or another name of
/// the file, changes no rule, and so it changes no byte of what is written either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clauses(BTreeMap<Span, ClauseText>);

/// What a clause says: `reviews: outbound exclude port 3306`.
///
/// It has letters and digits of ASCII, spaces, and ``$ % * + , - . / : _`` only, so that it is safe
/// in every output and on a terminal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClauseText {
    /// The policy that it stands in, which may be one that others extend.
    pub policy: String,
    /// Its words, behind those of its block; of a long list, the first values and how many more.
    pub words: String,
}

impl Clauses {
    /// What the clause at `span` says; `None` if it is of another compilation.
    #[must_use]
    pub fn at(&self, span: Span) -> Option<&ClauseText> {
        self.0.get(&span)
    }
}

impl FromIterator<(Span, ClauseText)> for Clauses {
    fn from_iter<I: IntoIterator<Item = (Span, ClauseText)>>(clauses: I) -> Self {
        Self(clauses.into_iter().collect())
    }
}

impl fmt::Display for ClauseText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.policy, self.words)
    }
}
