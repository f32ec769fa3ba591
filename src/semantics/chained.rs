//! Base chains that hand packets on as a comparison of each by itself takes them: with any marks, and
//! nothing else changed that the next one could see.
//!
//! Of such chains, what is the same chain by chain is the same in a row, and the row need not be
//! computed.

use std::collections::HashSet;

use super::by_name::ByName;
use crate::ir::{Action, Base, Chain, Entry, Schedule, Step};

/// Whether two rulesets, of which these are the orders at a hook, do the same there if they do chain by
/// chain. Of the base chains that are entered elsewhere than at `computed` it is known that they are built
/// the same, and so do the same to whatever packets.
pub(super) fn are_same_in_a_row(sides: [&[Schedule<'_>]; 2], computed: &[Base]) -> bool {
    sides.into_iter().all(|orders| {
        let [order] = orders else { return false };
        let entries = entries(order);
        let is_computed = |entry: &Entry<'_>| computed.contains(&entry.base);
        let Some(last) = entries.iter().rposition(|entry| is_computed(entry)) else { return true };
        // Whether a packet can be exempt depends on its zone, which a chain before may have set.
        let exempts = |entry: &Entry<'_>| any_action(entry, |then| *then == Action::Notrack);
        let shows = |then: &Action| {
            !matches!(
                then,
                Action::Accept
                    | Action::Drop
                    | Action::Return
                    | Action::Jump(_)
                    | Action::Goto(_)
                    | Action::Log
                    | Action::SetMark(_)
                    | Action::MarkAndAccept(_)
                    | Action::SetConnmark(_)
                    | Action::SaveMark(_)
                    | Action::RestoreMark(_)
                    | Action::SetZone(_)
            )
        };
        !entries.iter().any(|entry| is_computed(entry) && exempts(entry))
            && !entries[..last].iter().any(|entry| any_action(entry, shows))
    })
}

fn entries<'s>(order: &'s Schedule<'_>) -> Vec<&'s Entry<'s>> {
    let of_step = |step: &'s Step<'_>| match step {
        Step::Track => &[],
        Step::Chain(entry) => std::slice::from_ref(entry),
        Step::Translate(entries) => &entries[..],
    };
    order.steps.iter().flat_map(of_step).collect()
}

/// Whether there is such an action on the ways from the base chain.
fn any_action(entry: &Entry<'_>, is_one: impl Fn(&Action) -> bool) -> bool {
    let mut seen: HashSet<*const Chain> = HashSet::new();
    let mut open = vec![entry.chain];
    let mut by_name = ByName::default();
    let chains = by_name.of(entry.table);
    while let Some(chain) = open.pop() {
        if !seen.insert(chain) {
            continue;
        }
        if chain.rules.iter().any(|rule| is_one(&rule.then)) {
            return true;
        }
        open.extend(chain.targets().filter_map(|target| chains.get(target).copied()));
    }
    false
}
