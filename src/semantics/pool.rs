//! Rules that differ in one list only, as rulesets without sets have them: their lists are one.

use std::borrow::Borrow;

use super::space::address_ranges;
use crate::ir::{Match, OwnerIs, Rule};
use crate::net::Interface;

/// The first of some rules, and as many behind it as match alike but for one list of addresses, ports,
/// owners or interfaces.
pub(super) struct Pool {
    /// How many they are.
    pub(super) rules: usize,
    /// If they are several: the place of the list among the matches, and what all of the lists hold.
    pub(super) list: Option<(usize, List)>,
}

/// What a list holds. Equal lists are equal values.
#[derive(PartialEq, Eq)]
pub(super) enum List {
    /// Ranges of numbers, inclusive, sorted, which neither overlap nor touch.
    Ranges(Vec<(u128, u128)>),
    /// Names of interfaces, sorted, each once.
    Names(Vec<Interface>),
}

impl List {
    /// Whether every number from `first` to `last` is in there.
    pub(super) fn has(&self, first: u128, last: u128) -> bool {
        let Self::Ranges(ranges) = self else { return false };
        ranges.iter().any(|range| range.0 <= first && last <= range.1)
    }

    /// What either holds.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Ranges(mut ranges), Self::Ranges(others)) => {
                ranges.extend(others);
                Self::Ranges(ranges)
            }
            (Self::Names(mut names), Self::Names(others)) => {
                names.extend(others);
                Self::Names(names)
            }
            // Lists of one kind hold the same kind of things.
            (list, _) => list,
        }
    }

    fn tidied(self) -> Self {
        match self {
            Self::Ranges(ranges) => Self::Ranges(joined(ranges)),
            Self::Names(mut names) => {
                names.sort_unstable();
                names.dedup();
                Self::Names(names)
            }
        }
    }
}

impl Pool {
    /// The first of `rules`, of which there is one, with those behind it.
    pub(super) fn of<R: Borrow<Rule>>(rules: &[R]) -> Self {
        let alone = Self { rules: 1, list: None };
        let [first, second, ..] = rules else { return alone };
        let (first, second) = (first.borrow(), second.borrow());
        let mut differing = first.when.iter().zip(&second.when);
        let Some(place) = differing.position(|(one, other)| one != other) else { return alone };
        let like_first = |rule: &&R| differs_at(first, (*rule).borrow(), place);
        let count = rules.iter().take_while(like_first).count();
        // What differs may be no list: then the first is not like itself.
        if count < 2 {
            return alone;
        }
        let lists = rules[..count].iter().filter_map(|rule| untidy(&rule.borrow().when[place]));
        let list = lists.reduce(List::and).map(List::tidied);
        Self { rules: count, list: list.map(|list| (place, list)) }
    }
}

/// A rule that stands for others which match alike but for one list: the place of that, and what all of
/// the lists hold.
pub(super) type Pooled<'r> = (&'r Rule, Option<(usize, List)>);

/// Pools that a rule is held against: as many lists may take turns.
const NEAR: usize = 4;

/// `rules`, which do the same and of which the order does not matter, in pools.
pub(super) fn pooled<'r>(rules: &[&'r Rule]) -> Vec<Pooled<'r>> {
    let mut pools: Vec<Pooled<'r>> = Vec::new();
    for rule in rules {
        let mut near = pools.iter_mut().rev().take(NEAR);
        if near.any(|pool| joins(pool, rule)) {
            continue;
        }
        pools.push((*rule, None));
    }
    for (_, list) in &mut pools {
        *list = list.take().map(|(place, list)| (place, list.tidied()));
    }
    pools
}

/// Whether `rule` belongs to the pool, in which it is then.
fn joins((first, list): &mut Pooled<'_>, rule: &Rule) -> bool {
    let place = match list {
        Some((place, _)) => Some(*place),
        None => first.when.iter().zip(&rule.when).position(|(one, other)| one != other),
    };
    let Some(place) = place.filter(|place| differs_at(first, rule, *place)) else { return false };
    let (Some(own), Some(more)) = (untidy(&first.when[place]), untidy(&rule.when[place])) else {
        return false;
    };
    let known = list.take().map_or(own, |(_, known)| known);
    *list = Some((place, known.and(more)));
    true
}

/// What the list of a match holds; `None` if it has none.
pub(super) fn listed(when: &Match) -> Option<List> {
    untidy(when).map(List::tidied)
}

fn untidy(when: &Match) -> Option<List> {
    let ranges: Vec<_> = match when {
        Match::Address { nets, not: false, .. } => address_ranges(nets).collect(),
        Match::Port { ports, not: false, .. } => {
            let ranges = ports.ranges().iter();
            ranges.map(|range| (range.first().into(), range.last().into())).collect()
        }
        Match::Owner { is: OwnerIs::In(ids), .. } => {
            ids.iter().map(|(first, last)| ((*first).into(), (*last).into())).collect()
        }
        Match::Interface { names, not: false, .. } => return Some(List::Names(names.clone())),
        _ => return None,
    };
    Some(List::Ranges(ranges))
}

/// Whether two matches are of one kind, but for what their lists hold.
pub(super) fn are_of_one_kind(one: &Match, other: &Match) -> bool {
    match (one, other) {
        (
            Match::Address { of: one, nets, not: false },
            Match::Address { of: other, nets: others, not: false },
        ) => one == other && nets.family() == others.family(),
        (Match::Port { of: one, not: false, .. }, Match::Port { of: other, not: false, .. }) => {
            one == other
        }
        (
            Match::Owner { owner: one, is: OwnerIs::In(_) },
            Match::Owner { owner: other, is: OwnerIs::In(_) },
        ) => one == other,
        (
            Match::Interface { of: one, not: false, .. },
            Match::Interface { of: other, not: false, .. },
        ) => one == other,
        _ => false,
    }
}

/// Whether `a` and `b` match alike but for the list at `place`.
fn differs_at(a: &Rule, b: &Rule, place: usize) -> bool {
    a.when.len() == b.when.len()
        && a.when
            .iter()
            .zip(&b.when)
            .enumerate()
            .all(|(at, (a, b))| if at == place { are_of_one_kind(a, b) } else { a == b })
}

/// Ranges sorted, those that overlap or touch as one.
fn joined(mut ranges: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    ranges.sort_unstable();
    ranges.dedup_by(|(first, last), (_, end)| {
        let is_next = end.checked_add(1).is_none_or(|next| *first <= next);
        if is_next {
            *end = (*end).max(*last);
        }
        is_next
    });
    ranges
}
