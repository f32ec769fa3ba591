//! What a kind of policy brings along.

use super::clauses::form::Draft;
use super::printer::Printer;
use super::setting::Setting;
use crate::net::Families;

/// A kind of policy: the type of what its clauses mean.
pub(super) trait PolicyKind: Sized {
    /// The policy while its clauses are read.
    type Draft: Draft<Policy = Self>;

    /// What other tools, and people, call it in place of its keyword.
    const ALSO_CALLED: &'static [&'static str];

    /// The families that it governs.
    fn families(&self) -> Setting<Families>;

    /// Writes its clauses.
    fn print(&self, out: &mut Printer);
}
