//! What rules are called: headings in the script, comments in the kernel.

use crate::ir::{Clauses, Origin, Rung};

/// Most bytes of a comment on a rule: nft 1.0.1 to 1.1.7 refuse more.
const MAX_COMMENT: usize = 128;

/// Says where rules come from.
pub(super) struct Labels<'a> {
    clauses: &'a Clauses,
}

impl<'a> Labels<'a> {
    pub(super) const fn new(clauses: &'a Clauses) -> Self {
        Self { clauses }
    }

    /// `O8 excluded destination: untouched (reviews: outbound exclude to 10.0.0.0/8)`. `None` for a
    /// rule that only leads to others.
    pub(super) fn heading(&self, origin: Origin) -> Option<String> {
        self.label(origin, Rung::title, usize::MAX)
    }

    /// The same in few words, for the kernel to keep with the rule: `O8 excluded destination
    /// (reviews: outbound exclude to 10.0.0.0/8)`.
    pub(super) fn comment(&self, origin: Origin) -> Option<String> {
        self.label(origin, Rung::subject, MAX_COMMENT)
    }

    /// As much as `most` bytes hold: without the policy before without the clause.
    fn label(
        &self,
        origin: Origin,
        words: fn(Rung) -> &'static str,
        most: usize,
    ) -> Option<String> {
        let (number, words) = (origin.rung.number(), words(origin.rung));
        if number.is_empty() {
            return None;
        }
        let rung = format!("{number} {words}");
        let Some(clause) = origin.clause.and_then(|clause| self.clauses.at(clause)) else {
            return Some(rung);
        };
        let forms = [format!("{rung} ({clause})"), format!("{rung} ({})", clause.words)];
        Some(forms.into_iter().find(|form| form.len() <= most).unwrap_or(rung))
    }
}
