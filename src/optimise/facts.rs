//! What can be seen of rules without computing anything.

use std::collections::BTreeSet;

use crate::ir::{Action, Chain, Direction, Match, Rule, Table};
use crate::net::{Name, Nets, PortRange, PortSet};
use crate::semantics::{changes_marks, is_once_enough};

/// The chains of a table from which packets may come back as others than they went.
pub(super) struct Changing(BTreeSet<Name>);

impl Changing {
    pub(super) fn of(table: &Table) -> Self {
        let mut changing = Self(BTreeSet::new());
        loop {
            let changes = |chain: &&Chain| {
                !changing.0.contains(&chain.name)
                    && chain.rules.iter().any(|rule| changing.changes(rule))
            };
            let found: Vec<_> = table.chains.iter().filter(changes).collect();
            if found.is_empty() {
                return changing;
            }
            let found: Vec<_> = found.into_iter().map(|chain| chain.name.clone()).collect();
            changing.0.extend(found);
        }
    }

    /// Whether later matches may see another packet behind the rule.
    pub(super) fn changes(&self, rule: &Rule) -> bool {
        match &rule.then {
            Action::Jump(to) | Action::Goto(to) => self.0.contains(to),
            Action::Notrack | Action::Opaque(_) => true,
            _ => changes_marks(rule),
        }
    }

    /// Whether rules that do `then` may be one, and stand in any order.
    pub(super) fn is_once_enough(&self, then: &Action) -> bool {
        !matches!(then, Action::Opaque(_) | Action::Notrack)
            && is_once_enough(then, |to| self.0.contains(to))
    }
}

/// Whether no later rule of the chain sees a packet that the rule matches.
pub(super) fn leaves(rule: &Rule) -> bool {
    !matches!(rule.then, Action::Opaque(_)) && rule.then.ends_chain()
}

/// Whether every packet that `known` holds for is one that `asked` holds for.
pub(super) fn implies(known: &Match, asked: &Match) -> bool {
    match (known, asked) {
        // An open question may be answered otherwise the next time.
        (Match::Opaque { .. }, _) | (_, Match::Opaque { .. }) => false,
        (Match::Port { of, ports, not: false }, Match::Port { of: other, ports: others, not }) => {
            let inside = |range: &PortRange| is_in(*range, others);
            let outside = |range: &PortRange| !meets(*range, others);
            of == other
                && if *not {
                    ports.ranges().iter().all(outside)
                } else {
                    ports.ranges().iter().all(inside)
                }
        }
        (
            Match::Interface { of, names, not: false },
            Match::Interface { of: other, names: others, not: false },
        ) => {
            let is_there =
                |name: &_| others.iter().any(|other| other == name || other.covers(name));
            of == other && names.iter().all(is_there)
        }
        (Match::Mark { mark, not: false }, Match::Mark { mark: other, not: true }) => {
            !mark.overlaps(*other)
        }
        (known, asked) => known == asked,
    }
}

fn is_in(range: PortRange, ports: &PortSet) -> bool {
    ports.ranges().iter().any(|one| one.first() <= range.first() && range.last() <= one.last())
}

fn meets(range: PortRange, ports: &PortSet) -> bool {
    ports.ranges().iter().any(|one| one.overlaps(range))
}

/// Whether every packet of `rule`, and whatever else holds for it, matches `other` too.
pub(super) fn covers(other: &Rule, rule: &Rule, assured: &[Match]) -> bool {
    rule.families.iter().all(|family| other.families.has(family))
        && other
            .when
            .iter()
            .all(|asked| rule.when.iter().chain(assured).any(|known| implies(known, asked)))
}

/// The networks that the match lists, if they are more than people read.
pub(super) fn long_list(when: &Match) -> Option<(Direction, &Nets)> {
    match when {
        Match::Address { of, nets, not: false } if nets.is_long() => Some((*of, nets)),
        _ => None,
    }
}

/// Where a match stands in its rule, so that rules that ask the same are equal.
pub(super) const fn place(when: &Match) -> u8 {
    match when {
        Match::Interface { .. } => 0,
        Match::Protocol { .. } => 1,
        Match::Address { .. } => 2,
        Match::Port { .. } => 3,
        Match::CtState { .. } => 4,
        Match::Mark { .. } => 5,
        Match::Connmark { .. } => 6,
        Match::Owner { .. } => 7,
        _ => 8,
    }
}
