//! Packets that the first rule of a chain leads back for their mark go past the chain.
//!
//! Only jumps may lead there: behind a goto, to lead back is to leave the chain before, too.

use super::facts::place;
use crate::ir::{Action, Match, Rule, Table};
use crate::net::Name;

/// Has the jumps ask what such rules ask.
pub(super) fn chains(table: &mut Table) {
    let rules = || table.chains.iter().flat_map(|chain| &chain.rules);
    let is_entered = |name: &Name| rules().any(|rule| rule.then == Action::Goto(name.clone()));
    let mut led_back: Vec<(Name, Rule, Match)> = Vec::new();
    for chain in table.chains.iter().filter(|chain| chain.base.is_none()) {
        let Some((first, [_, ..])) = chain.rules.split_first() else { continue };
        let [Match::Mark { mark, not }] = first.when[..] else { continue };
        if first.then == Action::Return
            && first.families == table.families
            && !is_entered(&chain.name)
        {
            let others = Match::Mark { mark, not: !not };
            led_back.push((chain.name.clone(), first.clone(), others));
        }
    }
    for chain in &mut table.chains {
        if led_back.iter().any(|(name, ..)| *name == chain.name) {
            chain.rules.remove(0);
        }
        for rule in &mut chain.rules {
            let Action::Jump(to) = &rule.then else { continue };
            let Some((_, first, others)) = led_back.iter().find(|(name, ..)| name == to) else {
                continue;
            };
            if !rule.when.contains(others) {
                rule.when.push(others.clone());
                rule.when.sort_by_key(place);
            }
            rule.exists_for(first.origins());
        }
    }
}
