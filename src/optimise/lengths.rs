//! A rule with a long list of prefixes becomes one rule for each of few lengths.
//!
//! What has one length is looked up by hash, which costs a packet the same however long the list is. The lists have
//! no address in common, so that a packet matches one of the rules at most.

use super::facts::long_list;
use crate::ir::{Match, Rule, Table};

/// Parts the rules of each chain.
pub(super) fn part(table: &mut Table) {
    for chain in &mut table.chains {
        chain.rules = chain.rules.drain(..).flat_map(parted).collect();
    }
}

/// The rules that `rule` becomes.
fn parted(rule: Rule) -> Vec<Rule> {
    let mut conditions = rule.when.iter().enumerate();
    let long = conditions.find_map(|(place, when)| Some((place, long_list(when)?)));
    let Some((place, (of, nets))) = long else { return vec![rule] };
    let lists = nets.by_length();
    if lists.len() < 2 {
        return vec![rule];
    }
    let with = |nets| {
        let mut when = rule.when.clone();
        when[place] = Match::Address { of, nets, not: false };
        Rule { when, also: rule.also.clone(), then: rule.then.clone(), ..rule }
    };
    lists.into_iter().map(with).collect()
}
