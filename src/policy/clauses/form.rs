//! What a clause of the language is, and what a kind of policy makes of its clauses.

use std::collections::BTreeMap;

use super::given::Given;
use super::lists::Visitor;
use crate::diag::Report;
use crate::span::Span;

/// A policy while its clauses are read.
pub(crate) trait Draft: Default + Clone + 'static {
    /// What it becomes.
    type Policy;

    /// The clauses of it and of its blocks.
    const FORMS: &'static [Form<Self>];

    /// Shows every list to `visitor`. It takes the draft apart by all of its fields, so that a new
    /// list cannot be left out.
    fn lists(&mut self, visitor: &mut impl Visitor);

    /// Checks what several clauses say together, and makes the policy's meaning of it.
    fn finish(self, ending: &mut Ending<'_>) -> Self::Policy;
}

/// What a draft is finished with.
pub(crate) struct Ending<'a> {
    /// The name of the policy.
    pub(crate) name: &'a str,
    /// Where it is.
    pub(crate) at: Span,
    /// All of the policy.
    pub(crate) span: Span,
    /// The clauses that the policy itself has.
    pub(crate) seen: &'a Seen,
    pub(crate) report: &'a mut Report,
}

impl Ending<'_> {
    /// Whether the policy itself has `clause`, and not one that it extends.
    pub(crate) fn has(&self, clause: Option<Span>) -> bool {
        clause.is_some_and(|clause| {
            clause.file == self.span.file
                && self.span.start <= clause.start
                && clause.end <= self.span.end
        })
    }
}

/// How many values a clause takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// A list.
    Many,
    /// One of IPv4 and one of IPv6.
    OnePerFamily,
    /// One.
    One,
}

/// A clause of the language.
pub(crate) struct Form<D> {
    /// `outbound`; empty for a clause of the policy itself.
    pub(crate) block: &'static str,
    /// `exclude port`; empty for what opening the block says.
    pub(crate) words: &'static str,
    /// `15020`; empty for a clause without values.
    pub(crate) example: &'static str,
    /// Whether `also` may stand before it.
    pub(crate) is_list: bool,
    /// Reads it.
    pub(crate) apply: fn(&mut D, &mut Given<'_, '_>),
}

impl<D> Form<D> {
    /// How many values it takes.
    pub(crate) fn room(&self) -> Room {
        if self.is_list || self.words == "family" {
            Room::Many
        } else if self.example.contains(',') {
            Room::OnePerFamily
        } else {
            Room::One
        }
    }

    /// A clause with one value, or one of each family.
    pub(crate) const fn one(
        block: &'static str,
        words: &'static str,
        example: &'static str,
        apply: fn(&mut D, &mut Given<'_, '_>),
    ) -> Self {
        Self { block, words, example, is_list: false, apply }
    }

    /// A clause with a list, to which `also` adds.
    pub(crate) const fn list(
        block: &'static str,
        words: &'static str,
        example: &'static str,
        apply: fn(&mut D, &mut Given<'_, '_>),
    ) -> Self {
        Self { block, words, example, is_list: true, apply }
    }

    /// A clause without a value.
    pub(crate) const fn bare(
        block: &'static str,
        words: &'static str,
        apply: fn(&mut D, &mut Given<'_, '_>),
    ) -> Self {
        Self { block, words, example: "", is_list: false, apply }
    }
}

/// Clauses of a policy by block and words, with all of each.
pub(crate) type Seen = BTreeMap<(&'static str, &'static str), Span>;
