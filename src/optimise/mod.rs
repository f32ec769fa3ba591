//! The ladder to the shortest ruleset that does the same.
//!
//! Each pass is a file and says in its first lines what it leaves as it is. It takes the rules of a table
//! and gives rules that treat every packet alike, alone and beside any others: nothing is computed for
//! that, what a pass does can be seen to be right. What all of them come to is proved against the ladder
//! whenever it is written ([`Compilation::emit`](crate::Compilation::emit)).
//!
//! | pass | |
//! |---|---|
//! | `join` | neighbours that differ in one list only are one rule, with a set |
//! | `complement` | "X without Y" beside Y is X |
//! | `unreached` | rules that no packet takes are left out |
//! | `together` | a change of the mark and an accept behind it are one rule |
//! | `inline` | a jump to a chain of one rule is that rule |
//! | `assured` | what each jump to a chain asks is not asked there again |
//! | `once` | what several rules of a chain ask is asked once, on the way to a chain of their own |
//! | `hoist` | what all rules of a chain ask is asked on the way there |
//! | `past` | packets that the first rule of a chain leads back go past it |
//! | `lengths` | a long list is a list for each of few prefix lengths |
//! | `prune` | chains and tables that do nothing are left out |

mod assured;
mod complement;
mod facts;
mod hoist;
mod inline;
mod join;
mod lengths;
mod once;
mod past;
mod prune;
mod together;
mod unreached;

use crate::ir::{Ruleset, Table};
use crate::lower::{Lowered, lower};
use crate::policy::Policy;

/// How rules are laid out. Both layouts treat every packet alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// As few rules as can be, with lists as sets, so that the cost of a packet does not grow with them.
    #[default]
    Compact,
    /// One rule an item, in upstream's order, to compare with upstream's listing line by line.
    Upstream,
}

impl Layout {
    /// What `policy` comes to in this layout.
    #[must_use]
    pub fn of(self, policy: &Policy) -> Lowered {
        let lowered = lower(policy);
        match self {
            Self::Upstream => lowered,
            Self::Compact => Lowered { ruleset: optimise(lowered.ruleset), ..lowered },
        }
    }
}

/// The shortest ruleset that does what `ruleset`, a ladder, does.
#[must_use]
pub fn optimise(ruleset: Ruleset) -> Ruleset {
    let optimised = |mut table: Table| {
        prune::unreached(&mut table);
        for rule in table.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
            rule.when.sort_by_key(facts::place);
        }
        join::neighbours(&mut table, join::Of::OneOrigin);
        complement::drop(&mut table);
        unreached::drop(&mut table);
        join::neighbours(&mut table, join::Of::Any);
        together::neighbours(&mut table);
        inline::chains(&mut table);
        unreached::drop(&mut table);
        join::neighbours(&mut table, join::Of::Any);
        assured::drop(&mut table);
        once::ask(&mut table);
        hoist::conditions(&mut table);
        past::chains(&mut table);
        lengths::part(&mut table);
        prune::idle(&mut table);
        table
    };
    let tables = ruleset.tables.into_iter().map(optimised);
    Ruleset { tables: tables.filter(prune::does_something).collect() }
}

/// What `policy` comes to, with one rule for each list: every rule is still of one rung and one clause, for
/// questions about these.
#[must_use]
pub fn listed(policy: &Policy) -> Lowered {
    let mut lowered = lower(policy);
    for table in &mut lowered.ruleset.tables {
        prune::unreached(table);
        join::neighbours(table, join::Of::OneOrigin);
    }
    lowered
}

#[cfg(test)]
mod examples;
#[cfg(test)]
pub(crate) mod tests;
