//! Chains that no packet reaches are left out, and base chains and tables that do nothing.

use std::collections::BTreeSet;

use crate::ir::{Action, Table};
use crate::net::Name;

/// Leaves out chains that no rule leads to from a base chain.
pub(super) fn unreached(table: &mut Table) {
    let reached: BTreeSet<Name> = table.reached_from(|_| true).into_iter().cloned().collect();
    table.chains.retain(|chain| reached.contains(&chain.name));
}

/// Leaves out chains that do nothing, jumps to them, and what is not reached then.
pub(super) fn idle(table: &mut Table) {
    loop {
        let empty =
            table.chains.iter().filter(|chain| chain.base.is_none() && chain.rules.is_empty());
        let empty: BTreeSet<Name> = empty.map(|chain| chain.name.clone()).collect();
        let mut is_changed = false;
        for chain in &mut table.chains {
            let count = chain.rules.len();
            chain
                .rules
                .retain(|rule| !matches!(&rule.then, Action::Jump(to) if empty.contains(to)));
            is_changed |= chain.rules.len() != count;
        }
        if !is_changed {
            break;
        }
    }
    unreached(table);
    table.chains.retain(|chain| chain.base.is_none() || !chain.rules.is_empty());
}

/// Whether the table has chains, or sets that others fill.
pub(super) fn does_something(table: &Table) -> bool {
    !table.chains.is_empty() || !table.sets.is_empty()
}
