//! Negated owner matches that take packets without an owner, which nft's cannot.

use std::iter::Peekable;

use super::legal::needs_transport;
use crate::ir::{Action, Chain, Match, Origin, Owner, OwnerIs, Rule};
use crate::net::Families;
use crate::nft::Names;

/// Appends to `chains` what `chain`, of a table that sees `families`, comes to: itself, and the
/// chains that it now needs.
///
/// `M && !X -> V` becomes one of these, the flattest that is equal:
///
/// | where | becomes |
/// |---|---|
/// | before `X -> V`, where V leaves the chain | `X -> V`, `M -> V` |
/// | V leaves this chain for the one that jumped here | `X goto rest`, `M -> V`, `goto rest`, where `rest` is the rest of the chain |
/// | else | `M jump helper`, where the helper is `X return`, `V` |
pub(super) fn split(
    chain: Chain,
    families: Families,
    names: &mut Names<'_>,
    chains: &mut Vec<Chain>,
) {
    let Chain { name, base, rules } = chain;
    let mut open = Chain { name: name.clone(), base, rules: Vec::with_capacity(rules.len() + 2) };
    let mut helpers = Vec::new();
    let mut rules = rules.into_iter().peekable();
    while let Some(mut rule) = rules.next() {
        let owners = take_negated(&mut rule);
        if owners.is_empty() {
            open.rules.push(rule);
        } else if let Some(positive) = next_if_swaps(&mut rules, &rule, &owners) {
            open.rules.extend([positive, rule]);
        } else if rule.then.leads_out() {
            let rest = rules.peek().map(|_| names.fresh(name.as_str(), "rest"));
            let past = |action| Rule { families, when: Vec::new(), then: action, ..rule.clone() };
            let skip = rest.clone().map_or(Action::Return, Action::Goto);
            open.rules.extend(
                owners.into_iter().map(|owner| Rule { when: vec![owner], ..past(skip.clone()) }),
            );
            let covers_all = rule.when.is_empty() && rule.families == families;
            let Some(rest) = rest else {
                open.rules.push(rule);
                continue;
            };
            let last = (!covers_all)
                .then(|| Rule { origin: Origin::ENTRY, ..past(Action::Goto(rest.clone())) });
            open.rules.push(rule);
            open.rules.extend(last);
            chains.push(open);
            chains.append(&mut helpers);
            open = Chain { name: rest, base: None, rules: Vec::new() };
        } else {
            let helper = names.fresh(name.as_str(), "unless-owner");
            helpers.push(Chain { name: helper.clone(), base: None, rules: unless(owners, &rule) });
            open.rules.push(Rule { then: Action::Jump(helper), ..rule });
        }
    }
    chains.push(open);
    chains.append(&mut helpers);
}

/// Takes the negated owner matches out of `rule`; returns what they negate, each kind once.
fn take_negated(rule: &mut Rule) -> Vec<Match> {
    let mut taken: Vec<(Owner, Vec<(u32, u32)>)> = Vec::new();
    rule.when.retain_mut(|condition| {
        let Match::Owner { owner, is: OwnerIs::NotIn { ids, ownerless: true } } = condition else {
            return true;
        };
        match taken.iter_mut().find(|(kind, _)| kind == owner) {
            Some((_, union)) => union.append(ids),
            None => taken.push((*owner, std::mem::take(ids))),
        }
        false
    });
    taken
        .into_iter()
        .map(|(owner, ids)| Match::Owner { owner, is: OwnerIs::In(merge(ids)) })
        .collect()
}

/// Sorts ranges and joins those that overlap or touch.
fn merge(mut ids: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ids.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ids.len());
    for (first, last) in ids {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// The next rule, if it does for exactly `owners` what `rule` does for the others, so that both
/// may stand the other way round without the negation.
fn next_if_swaps(
    rules: &mut Peekable<std::vec::IntoIter<Rule>>,
    rule: &Rule,
    owners: &[Match],
) -> Option<Rule> {
    rules.next_if(|next| {
        rule.then.ends_chain()
            && next.then == rule.then
            && next.families == rule.families
            && next.when == owners
    })
}

/// The rules of a chain that does what `rule` does, unless the packet's owner is one of `owners`.
fn unless(owners: Vec<Match>, rule: &Rule) -> Vec<Rule> {
    // nft wants the transport protocol in the same rule as these actions.
    let transport = |condition: &&Match| {
        needs_transport(&rule.then) && matches!(condition, Match::Protocol { .. })
    };
    let when = rule.when.iter().filter(transport).cloned().collect();
    owners
        .into_iter()
        .map(|owner| Rule { when: vec![owner], then: Action::Return, ..rule.clone() })
        .chain([Rule { when, ..rule.clone() }])
        .collect()
}
