//! Comments on a policy and on its clauses, for a policy that nobody wrote.

use std::collections::BTreeMap;

/// The block of a clause, empty for one of the policy itself, and the words that it begins with.
pub type ClauseKey = (&'static str, &'static str);

/// What is said of a policy, line by line, without `#`. Clauses that are not printed say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comments {
    /// Of the policy.
    pub policy: Vec<String>,
    /// Of its clauses.
    pub clauses: BTreeMap<ClauseKey, Vec<String>>,
    /// Of a clause of which nothing is said.
    pub otherwise: Option<String>,
}

impl Comments {
    /// Adds a line on a clause, if it is not there.
    pub(crate) fn add(&mut self, clause: ClauseKey, line: impl Into<String>) {
        let (lines, line) = (self.clauses.entry(clause).or_default(), line.into());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }

    /// The lines on a clause.
    pub(crate) fn of<'a>(
        &'a self,
        (block, words): (&str, &str),
    ) -> impl Iterator<Item = &'a String> {
        let said = self.clauses.iter().find(|(key, _)| **key == (block, words));
        let said = said.map(|(_, lines)| lines);
        let otherwise = self.otherwise.iter().filter(move |_| said.is_none());
        said.into_iter().flatten().chain(otherwise)
    }

    /// Whether there is a line on a clause.
    pub(crate) fn has(&self, clause: ClauseKey) -> bool {
        self.clauses.contains_key(&clause)
    }
}
