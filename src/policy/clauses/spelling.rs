//! How the clauses of all kinds of policies are spelt, to say what was meant.

use crate::syntax::ALLOW;
use crate::syntax::ast::{Term, TermKind};

/// The word that an expectation begins with.
pub(crate) const EXPECT: &str = "expect";

/// The words that begin something other than a policy at the top level.
pub(crate) const NO_POLICY: [&str; 3] = ["let", "include", ALLOW];

/// Where a clause belongs.
#[derive(Clone, Copy)]
pub(crate) struct Spelling {
    /// `sidecar`.
    pub(crate) kind: &'static str,
    /// `outbound`; empty for a clause of the policy itself.
    pub(crate) block: &'static str,
    /// `exclude port`.
    pub(crate) words: &'static str,
    /// `15020`; empty for a clause without values.
    pub(crate) example: &'static str,
}

/// Every clause of every kind, by kind.
pub(crate) struct Spellings(Vec<Spelling>);

impl FromIterator<Spelling> for Spellings {
    fn from_iter<I: IntoIterator<Item = Spelling>>(spellings: I) -> Self {
        Self(spellings.into_iter().collect())
    }
}

impl Spellings {
    /// All of them.
    pub(crate) fn all(&self) -> &[Spelling] {
        &self.0
    }

    /// Whether some kind of policy has a block called `word`.
    pub(crate) fn is_block(&self, word: &str) -> bool {
        self.0.iter().any(|spelling| spelling.block == word && !word.is_empty())
    }

    /// Whether a clause of some kind of policy begins with `word`.
    pub(crate) fn is_first_word(&self, word: &str) -> bool {
        matches!(word, "also" | EXPECT | ALLOW)
            || self.0.iter().any(|s| s.words.split(' ').next() == Some(word))
    }

    /// Whether something outside of every policy begins with `word`.
    pub(crate) fn is_top_level(&self, word: &str) -> bool {
        self.top_level().contains(&word)
    }

    /// The words that begin something outside of every policy: the kinds first.
    pub(crate) fn top_level(&self) -> Vec<&'static str> {
        let mut words: Vec<_> = self.0.iter().map(|spelling| spelling.kind).collect();
        words.dedup();
        words.extend(NO_POLICY);
        words
    }
}

/// `a` or `an`, as it stands before `word`.
pub(crate) fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

pub(crate) fn is_word(term: &Term, word: &str) -> bool {
    term.kind == TermKind::Word && &*term.text == word
}

/// A word, or `$name`.
pub(crate) fn term_text(term: &Term) -> String {
    let sign = if term.kind == TermKind::Variable { "$" } else { "" };
    format!("{sign}{}", term.text)
}

/// The first few of `terms` as they were written.
pub(crate) fn text_of(terms: &[Term]) -> String {
    let text = |term: &Term| format!("{}{}", term_text(term), if term.comma { "," } else { "" });
    terms.iter().take(64).map(text).collect::<Vec<_>>().join(" ")
}
