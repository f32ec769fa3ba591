//! Rules that run as one, and chains that change nothing.

use std::collections::{HashMap, HashSet};

use super::Walk;
use crate::ir::{Action, Chain, Match, Rule, Ruleset, Table};
use crate::net::Name;

impl Walk<'_> {
    /// How many of the first of `rules` do the same, so that they can run as one: at least one.
    pub(super) fn alike(&self, table: &Table, rules: &[Rule]) -> usize {
        let Some(first) = rules.first() else { return 0 };
        let runs_as_one = is_once_enough(&first.then, |to| {
            let target = self.chains.get(&(std::ptr::from_ref(table), to));
            target.is_some_and(|chain| self.marking.contains(&std::ptr::from_ref(*chain)))
        });
        if !runs_as_one {
            return 1;
        }
        rules
            .iter()
            .take_while(|rule| rule.families == first.families && rule.then == first.then)
            .count()
    }
}

/// Whether doing `then` to a packet for one rule after another ends as doing it once, and in whichever
/// order the rules stand. `is_marking` says of a chain whether packets may come back from it with
/// other marks.
pub(crate) fn is_once_enough(then: &Action, is_marking: impl FnOnce(&Name) -> bool) -> bool {
    match then {
        Action::Accept
        | Action::Drop
        | Action::Return
        | Action::Goto(_)
        | Action::MarkAndAccept(_)
        | Action::Redirect { .. }
        | Action::Snat { .. }
        | Action::Dnat { .. }
        | Action::SetZone(_)
        | Action::Notrack
        | Action::Log
        | Action::Opaque(_) => true,
        // Who comes back from such a chain comes back unchanged, so a second visit ends as the
        // first did.
        Action::Jump(to) => !is_marking(to),
        Action::Tproxy { .. }
        | Action::SetMark(_)
        | Action::SetConnmark(_)
        | Action::SaveMark(_)
        | Action::RestoreMark(_) => false,
    }
}

/// Whether the rule changes a mark for the packet that it leaves in the chain.
pub(crate) const fn changes_marks(rule: &Rule) -> bool {
    matches!(
        rule.then,
        Action::SetMark(_) | Action::SetConnmark(_) | Action::SaveMark(_) | Action::RestoreMark(_)
    )
}

/// Whether the match holds for a packet for the rest of a base chain, or does not: no action changes what
/// it is about, but one that ends the chain.
pub(crate) const fn lasts(when: &Match) -> bool {
    matches!(when, Match::Protocol { .. } | Match::Interface { .. } | Match::Owner { .. })
}

/// The chains that change marks, or lead to one that does.
pub(super) fn marking_chains<'a>(
    ruleset: &'a Ruleset,
    chains: &HashMap<(*const Table, &'a Name), &'a Chain>,
) -> HashSet<*const Chain> {
    let mut callers: HashMap<*const Chain, Vec<*const Chain>> = HashMap::new();
    let mut open = Vec::new();
    for table in &ruleset.tables {
        for chain in &table.chains {
            if chain.rules.iter().any(changes_marks) {
                open.push(std::ptr::from_ref(chain));
            }
            for target in chain.targets() {
                if let Some(target) = chains.get(&(std::ptr::from_ref(table), target)) {
                    callers.entry(std::ptr::from_ref(*target)).or_default().push(chain);
                }
            }
        }
    }
    let mut marking = HashSet::new();
    while let Some(chain) = open.pop() {
        if marking.insert(chain) {
            open.extend(callers.get(&chain).into_iter().flatten());
        }
    }
    marking
}
