//! What a kind of policy brings along.

use super::clauses::form::Draft;
use super::printer::Printer;
use crate::net::Families;
use crate::span::Span;

/// A kind of policy: the type of what its clauses mean.
pub(super) trait PolicyKind: Sized {
    /// The policy while its clauses are read.
    type Draft: Draft<Policy = Self>;

    /// What other tools, and people, call it in place of its keyword.
    const ALSO_CALLED: &'static [&'static str];

    /// The families that it governs.
    fn families(&self) -> Families;

    /// The clause that says which families it governs; `None` if a default does.
    fn family_clause(&self) -> Option<Span>;

    /// Writes its clauses.
    fn print(&self, out: &mut Printer);
}
