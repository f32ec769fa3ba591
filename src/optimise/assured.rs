//! What every way to a chain asks is not asked there again.
//!
//! It is what no action changes: a protocol, an interface, an owner. A protocol stays where a port or a
//! socket is asked for, or the action wants to know.

use std::collections::BTreeMap;

use crate::ir::{Action, Match, Rule, Table};
use crate::net::Name;
use crate::semantics::lasts;

/// Drops it from the rules.
pub(super) fn drop(table: &mut Table) {
    let assured = assured(table);
    for chain in &mut table.chains {
        // The kernel enters a base chain with any packet.
        let Some(known) = assured.get(&chain.name).filter(|_| chain.base.is_none()) else {
            continue;
        };
        for rule in &mut chain.rules {
            let is_needed = needs_protocol(rule);
            rule.when.retain(|when| {
                !known.contains(when) || is_needed && matches!(when, Match::Protocol { .. })
            });
        }
    }
}

/// What each chain may rely on. A chain that no rule leads to is not there.
pub(super) fn assured(table: &Table) -> BTreeMap<Name, Vec<Match>> {
    let mut assured: BTreeMap<Name, Vec<Match>> = BTreeMap::new();
    // What holds in a chain that leads here holds here: as often as chains are nested.
    for _ in 0..table.chains.len() {
        let mut next: BTreeMap<Name, Vec<Match>> = BTreeMap::new();
        for chain in &table.chains {
            let before = assured.get(&chain.name).filter(|_| chain.base.is_none());
            for rule in &chain.rules {
                let (Action::Jump(to) | Action::Goto(to)) = &rule.then else { continue };
                let mut held: Vec<Match> = rule
                    .when
                    .iter()
                    .chain(before.into_iter().flatten())
                    .filter(|when| lasts(when))
                    .cloned()
                    .collect();
                held.dedup();
                match next.get_mut(to) {
                    Some(known) => known.retain(|when| held.contains(when)),
                    None => {
                        next.insert(to.clone(), held);
                    }
                }
            }
        }
        if next == assured {
            break;
        }
        assured = next;
    }
    assured
}

/// Whether the rule has to say which protocol it is about.
fn needs_protocol(rule: &Rule) -> bool {
    let wants = |when: &Match| matches!(when, Match::Port { .. } | Match::SocketExists { .. });
    rule.when.iter().any(wants)
        || matches!(
            rule.then,
            Action::Redirect { .. } | Action::Tproxy { .. } | Action::Dnat { port: Some(_), .. }
        )
}
