//! A change of the packet mark, and an accept behind it for the same packets, are one rule.

use super::facts::covers;
use crate::ir::{Action, MarkChange, Match, Rule, Table};

/// Makes one rule of such neighbours.
pub(super) fn neighbours(table: &mut Table) {
    for chain in &mut table.chains {
        let mut kept: Vec<Rule> = Vec::with_capacity(chain.rules.len());
        for rule in chain.rules.drain(..) {
            if let Some(before) = kept.last_mut()
                && let Some(change) = change_before(&rule, before)
            {
                before.then = Action::MarkAndAccept(change);
                before.exists_for(rule.origins());
            } else {
                kept.push(rule);
            }
        }
        chain.rules = kept;
    }
}

/// How `before` changes the mark, if `rule` accepts exactly the packets that it changed.
fn change_before(rule: &Rule, before: &Rule) -> Option<MarkChange> {
    let Action::SetMark(change) = before.then else { return None };
    let asks_mark = rule.when.iter().any(|when| matches!(when, Match::Mark { .. }));
    let is_same = covers(rule, before, &[]) && covers(before, rule, &[]);
    (rule.then == Action::Accept && !asks_mark && is_same).then_some(change)
}
