//! Rules that run as one, and chains that change nothing.

use std::collections::{HashMap, HashSet};

use super::Walk;
use crate::ir::{Action, Chain, Rule, Ruleset, Table};
use crate::net::Name;

impl Walk<'_> {
    /// How many of the first of `rules` do the same, so that they can run as one: at least one.
    pub(super) fn alike(&self, table: &Table, rules: &[Rule]) -> usize {
        let Some(first) = rules.first() else { return 0 };
        let runs_as_one = match &first.then {
            Action::Accept
            | Action::Drop
            | Action::Return
            | Action::Goto(_)
            | Action::Redirect { .. }
            | Action::Snat { .. }
            | Action::Dnat { .. }
            | Action::SetZone(_)
            | Action::Log => true,
            // Who comes back from such a chain comes back unchanged, so a second visit ends as the
            // first did.
            Action::Jump(to) => {
                let target = self.chains.get(&(std::ptr::from_ref(table), to));
                target.is_none_or(|chain| !self.marking.contains(&std::ptr::from_ref(*chain)))
            }
            Action::Tproxy { .. }
            | Action::SetMark(_)
            | Action::SetConnmark(_)
            | Action::SaveMark(_)
            | Action::RestoreMark(_) => false,
        };
        if !runs_as_one {
            return 1;
        }
        rules
            .iter()
            .take_while(|rule| rule.families == first.families && rule.then == first.then)
            .count()
    }
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
            let changes = |rule: &Rule| {
                matches!(
                    rule.then,
                    Action::SetMark(_)
                        | Action::SetConnmark(_)
                        | Action::SaveMark(_)
                        | Action::RestoreMark(_)
                )
            };
            if chain.rules.iter().any(changes) {
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
