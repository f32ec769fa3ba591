//! What all rules of a chain ask is asked by each jump to it, too, so that most packets never get there.
//!
//! It is what no action changes. The rules still ask where they have to say it.

use crate::ir::{Action, Chain, Match, Table};
use crate::net::Name;

/// Puts it into the jumps.
pub(super) fn conditions(table: &mut Table) {
    let asked: Vec<(Name, Match)> = table.chains.iter().filter_map(asked_by_all).collect();
    for rule in table.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
        // Behind a goto, nothing else of its chain runs: it has to lead there.
        let Action::Jump(to) = &rule.then else { continue };
        let more = asked.iter().filter(|(name, when)| name == to && !rule.when.contains(when));
        let more: Vec<Match> = more.map(|(_, when)| when.clone()).collect();
        rule.when.extend(more);
    }
    super::assured::drop(table);
}

/// What all of several rules ask of the protocol.
fn asked_by_all(chain: &Chain) -> Option<(Name, Match)> {
    let [first, rest @ ..] = &chain.rules[..] else { return None };
    let is_common = |when: &&Match| rest.iter().all(|rule| rule.when.contains(when));
    let protocol = |when: &&Match| matches!(when, Match::Protocol { not: false, .. });
    let common = first.when.iter().filter(protocol).find(is_common)?;
    (chain.base.is_none() && !rest.is_empty()).then(|| (chain.name.clone(), common.clone()))
}
