//! Chains by their names. Rules of a large node lead to hundreds of thousands.

use std::collections::HashMap;

use crate::ir::{Chain, Table};
use crate::net::Name;

/// The chains of one table.
pub(super) type Chains<'a> = HashMap<&'a Name, &'a Chain>;

/// The chains of each table that was asked for.
#[derive(Default)]
pub(super) struct ByName<'a>(HashMap<*const Table, Chains<'a>>);

impl<'a> ByName<'a> {
    /// The chains of `table`.
    pub(super) fn of(&mut self, table: &'a Table) -> &Chains<'a> {
        // As `Table::chain` does, the first of a name is taken.
        let chains = || table.chains.iter().rev().map(|chain| (&chain.name, chain)).collect();
        self.0.entry(table).or_insert_with(chains)
    }

    /// The chain of `table` that is called `name`.
    pub(super) fn find(&mut self, table: &'a Table, name: &Name) -> Option<&'a Chain> {
        self.of(table).get(name).copied()
    }
}
