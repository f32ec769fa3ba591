//! Rules that no packet takes are left out: one before them in their chain takes all that they match.

use super::facts::{Changing, covers, leaves};
use crate::ir::{Rule, Table};

/// Rules before a rule that it is held against.
const NEAR: usize = 64;

/// Leaves such rules out.
pub(super) fn drop(table: &mut Table) {
    let changing = Changing::of(table);
    for chain in &mut table.chains {
        let mut kept: Vec<Rule> = Vec::with_capacity(chain.rules.len());
        // Behind a rule that changes packets, those before are about other packets.
        let mut since = 0;
        for rule in chain.rules.drain(..) {
            let near = since.max(kept.len().saturating_sub(NEAR));
            if kept[near..].iter().any(|before| leaves(before) && covers(before, &rule, &[])) {
                continue;
            }
            let changes = changing.changes(&rule);
            kept.push(rule);
            if changes {
                since = kept.len();
            }
        }
        chain.rules = kept;
    }
}
