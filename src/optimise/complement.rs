//! Beside a rule that does the same for all of Y, a rule for "X without Y" is one for X.
//!
//! Both stand among neighbours that do the same, so that their order does not matter.

use super::facts::Changing;
use crate::ir::{Rule, Table};

/// Most neighbours that are looked at together.
const NEAR: usize = 64;

/// Drops what need not be asked.
pub(super) fn drop(table: &mut Table) {
    let changing = Changing::of(table);
    for chain in &mut table.chains {
        let runs = chain.rules.chunk_by_mut(|one, other| one.then == other.then);
        for run in runs.flat_map(|run| run.chunks_mut(NEAR)) {
            if changing.is_once_enough(&run[0].then) {
                for at in 0..run.len() {
                    while let Some(place) = needless(run, at) {
                        run[at].when.remove(place);
                    }
                }
            }
        }
    }
}

/// The place of a match of the rule at `at` that says what another rule alone is about.
fn needless(run: &[Rule], at: usize) -> Option<usize> {
    let rule = &run[at];
    let takes_rest = |place: usize| {
        run.iter().enumerate().any(|(other, beside)| {
            let covers = rule.families.iter().all(|family| beside.families.has(family));
            matches!(&beside.when[..], [when] if other != at && covers && rule.when[place].is_opposite_of(when))
        })
    };
    (0..rule.when.len()).find(|place| takes_rest(*place))
}
