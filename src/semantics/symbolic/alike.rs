//! Rules that run as one, and chains that change nothing.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use ipnet::IpNet;

use super::Walk;
use crate::ir::{Action, Chain, Match, Rule, Ruleset, Table};
use crate::net::Name;
use crate::semantics::space::number;

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

/// Rules that differ in one list of addresses only, as rulesets without sets have them: their
/// lists are one.
pub(super) struct Pool {
    /// How many of the first rules.
    pub(super) rules: usize,
    /// The place of the list among the matches, and the addresses of all of them.
    pub(super) ranges: Option<(usize, Vec<(u128, u128)>)>,
}

impl Pool {
    pub(super) fn of(rules: &[Rule]) -> Self {
        let place =
            rules[0].when.iter().position(|when| matches!(when, Match::Address { not: false, .. }));
        let alone = Self { rules: 1, ranges: None };
        let Some(place) = place else { return alone };
        let count = rules.iter().take_while(|rule| differs_at(&rules[0], rule, place)).count();
        if count == 1 {
            return alone;
        }
        let mut ranges: Vec<_> = rules[..count]
            .iter()
            .filter_map(|rule| match &rule.when[place] {
                Match::Address { nets, .. } => Some(nets.iter()),
                _ => None,
            })
            .flatten()
            .map(|net: IpNet| (number(net.network()), number(net.broadcast())))
            .collect();
        ranges.sort_unstable_by_key(|(first, last)| (*first, Reverse(*last)));
        // Prefixes either contain each other or are apart.
        ranges.dedup_by(|later, earlier| later.1 <= earlier.1);
        Self { rules: count, ranges: Some((place, ranges)) }
    }
}

/// Whether `a` and `b` match alike but for the addresses at `place`.
fn differs_at(a: &Rule, b: &Rule, place: usize) -> bool {
    a.when.len() == b.when.len()
        && a.when.iter().zip(&b.when).enumerate().all(|(at, (a, b))| match (a, b) {
            (
                Match::Address { of: of_a, nets: a, not: false },
                Match::Address { of: of_b, nets: b, not: false },
            ) if at == place => of_a == of_b && a.family() == b.family(),
            _ => a == b,
        })
}
