//! A jump to a chain of one rule becomes that rule, which asks what both ask.
//!
//! A chain that a nat base chain only enters keeps its name: people look for it.

use super::facts::place;
use crate::ir::{Action, Chain, ChainKind, Rule, Rung, Table};
use crate::net::Name;

/// Inlines until no jump leads to such a chain.
pub(super) fn chains(table: &mut Table) {
    // Each round ends a jump, or all that is left lead to chains of several rules.
    loop {
        let small: Vec<(Name, Rule)> = table.chains.iter().filter_map(single).collect();
        let mut is_changed = false;
        for chain in &mut table.chains {
            let is_nat = chain.base.is_some_and(|base| base.kind == ChainKind::Nat);
            for rule in &mut chain.rules {
                let Action::Jump(to) = &rule.then else { continue };
                let is_named = is_nat && rule.origin.rung == Rung::ENTRY;
                let single = small.iter().find(|(name, _)| name == to);
                if let Some((_, single)) = single.filter(|_| !is_named)
                    && let Some(inlined) = inlined(rule, single)
                {
                    *rule = inlined;
                    is_changed = true;
                }
            }
        }
        if !is_changed {
            return;
        }
    }
}

/// The one rule of a chain that only jumps enter. One that leads back has a place of its own.
fn single(chain: &Chain) -> Option<(Name, Rule)> {
    let [rule] = &chain.rules[..] else { return None };
    let leads_on = matches!(&rule.then, Action::Return | Action::Jump(_) | Action::Goto(_));
    (chain.base.is_none() && !leads_on).then(|| (chain.name.clone(), rule.clone()))
}

/// `jump` to a chain of `single`, as one rule; `None` if no packet is of a family of both.
fn inlined(jump: &Rule, single: &Rule) -> Option<Rule> {
    let mut rule = Rule {
        families: jump.families.and(single.families)?,
        then: single.then.clone(),
        ..jump.clone()
    };
    for when in &single.when {
        if !rule.when.contains(when) {
            rule.when.push(when.clone());
        }
    }
    rule.when.sort_by_key(place);
    rule.exists_for(single.origins());
    Some(rule)
}
