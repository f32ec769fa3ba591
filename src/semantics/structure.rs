//! Rules that are built the same in two rulesets, and therefore mean the same: nothing needs to be
//! computed for them.
//!
//! What is left out of sight changes nothing: rules of the other family, the order of matches, the
//! names of chains, whether neighbours that do the same are one rule with a list or several, whether what
//! holds on the way to a chain is asked there again, and whether a chain of one rule is that rule.
//! Only what can be seen without computing is; everything else is for the comparison.

mod flat;

use std::collections::HashMap;

use self::flat::{flat, may_match};
use super::by_name::ByName;
use super::pool::{List, Pooled, are_of_one_kind, listed as listed_in, pooled};
use super::symbolic::{DEEPEST, changes_marks, is_once_enough, lasts};
use crate::ir::{Action, Chain, Entry, Match, OwnerIs, Rule, Schedule, Step, Table};
use crate::net::{Family, Name, OnMiss};

/// Chains of two rulesets, side by side, for packets of one family.
pub(super) struct Structure<'a> {
    family: Family,
    chains: ByName<'a>,
    /// Whether pairs of chains are the same for packets that certain matches hold for. Of a pair that is
    /// being looked at: no, so that chains which lead back to themselves are never taken for the same.
    known: HashMap<[*const Chain; 2], Vec<(Vec<Match>, bool)>>,
    /// Whether packets may come back from a chain with other marks.
    marking: HashMap<*const Chain, bool>,
}

/// A chain and its table.
type Place<'a> = (&'a Table, &'a Chain);

impl<'a> Structure<'a> {
    pub(super) fn of(family: Family) -> Self {
        Self { family, chains: ByName::default(), known: HashMap::new(), marking: HashMap::new() }
    }

    /// Whether two orders run the same chains from the same places, and nothing ties.
    pub(super) fn is_same(&mut self, sides: [&[Schedule<'a>]; 2]) -> bool {
        let ([left], [right]) = (sides[0], sides[1]) else { return false };
        left.steps.len() == right.steps.len()
            && left.steps.iter().zip(&right.steps).all(|pair| match pair {
                (Step::Track, Step::Track) => true,
                (Step::Chain(left), Step::Chain(right)) => self.are_same(&[*left], &[*right]),
                (Step::Translate(left), Step::Translate(right)) => self.are_same(left, right),
                _ => false,
            })
    }

    fn are_same(&mut self, left: &[Entry<'a>], right: &[Entry<'a>]) -> bool {
        left.len() == right.len()
            && left.iter().zip(right).all(|(left, right)| {
                left.base == right.base
                    && self.chains([(left.table, left.chain), (right.table, right.chain)], &[], 0)
            })
    }

    /// Whether two chains do the same to packets that all of `held` hold for when they enter them.
    fn chains(&mut self, pair: [Place<'a>; 2], held: &[Match], depth: usize) -> bool {
        let key = pair.map(|(_, chain)| std::ptr::from_ref(chain));
        // Most are the same for whatever packets, and need not be looked at on every way there.
        if !held.is_empty() && self.chains(pair, &[], depth) {
            return true;
        }
        let known = self.known.entry(key).or_default();
        if let Some((_, is_same)) = known.iter().find(|(known, _)| known == held) {
            return *is_same;
        }
        if depth > DEEPEST || known.len() > MOST_WAYS {
            return false;
        }
        let place = known.len();
        known.push((held.to_vec(), false));
        let is_same =
            held.is_empty() && self.are_alike(pair, depth) || self.rules(pair, held, depth);
        if let Some((_, known)) = self.known.get_mut(&key).and_then(|known| known.get_mut(place)) {
            *known = is_same;
        }
        is_same
    }

    /// Whether the rules are alike one by one, which most are.
    fn are_alike(&mut self, pair: [Place<'a>; 2], depth: usize) -> bool {
        let family = self.family;
        let [mut left, mut right] = pair.map(|(_, chain)| {
            let rules = chain.rules.iter();
            rules.filter(move |rule| may_match(rule, family))
        });
        loop {
            match (left.next(), right.next()) {
                (None, None) => return true,
                (Some(one), Some(other))
                    if are_all_same(&one.when, &other.when, pair)
                        && self.actions(pair, [&one.then, &other.then], &[], depth) => {}
                _ => return false,
            }
        }
    }

    fn rules(&mut self, pair: [Place<'a>; 2], held: &[Match], depth: usize) -> bool {
        let sides = pair.map(|place| flat(place, self.chains.of(place.0), self.family, held));
        let sides =
            sides.each_ref().map(|rules| rules.iter().map(|rule| &**rule).collect::<Vec<&Rule>>());
        let (mut left, mut right) = (sides[0].as_slice(), sides[1].as_slice());
        while !left.is_empty() && !right.is_empty() {
            let [one, other] =
                [self.group(pair[0].0, &mut left), self.group(pair[1].0, &mut right)];
            let held = held.iter().filter(|when| lasts(when)).chain(one.held());
            let held: Vec<Match> = held.cloned().collect();
            if !are_cases_same(&one.cases, &other.cases, pair)
                || !self.actions(pair, [&one.then, &other.then], &held, depth)
            {
                return false;
            }
        }
        left.is_empty() && right.is_empty()
    }

    /// Takes the first group off `rules`, which are of `table`, and of which there is one.
    fn group<'r>(&mut self, table: &'a Table, rules: &mut &[&'r Rule]) -> Group<'r> {
        let first = rules[0];
        let is_marking = |to: &Name| {
            let target = self.chains.find(table, to);
            target.is_some_and(|target| self.is_marking((table, target), 0))
        };
        let count = if is_once_enough(&first.then, is_marking) {
            rules.iter().take_while(|rule| rule.then == first.then).count()
        } else {
            1
        };
        let (group, rest) = rules.split_at(count);
        *rules = rest;
        Group::of(first, group, rules)
    }

    fn is_marking(&mut self, (table, chain): Place<'a>, depth: usize) -> bool {
        let key = std::ptr::from_ref(chain);
        if let Some(known) = self.marking.get(&key) {
            return *known;
        }
        // Chains that lead back to themselves count as such that change marks.
        self.marking.insert(key, true);
        let mut is_marking = || {
            depth > DEEPEST
                || chain.rules.iter().any(changes_marks)
                || chain.targets().any(|target| {
                    let target = self.chains.find(table, target);
                    target.is_some_and(|target| self.is_marking((table, target), depth + 1))
                })
        };
        let is_marking = is_marking() && !self.keeps_all(chain);
        self.marking.insert(key, is_marking);
        is_marking
    }

    /// Whether no packet comes back from the chain: one of its rules takes all that get there, and none
    /// before it leads out of the chain otherwise.
    fn keeps_all(&self, chain: &Chain) -> bool {
        let takes_all = |rule: &Rule| {
            rule.when.is_empty()
                && rule.families.has(self.family)
                && matches!(rule.then, Action::Accept | Action::Drop)
        };
        let end = chain.rules.iter().position(takes_all);
        end.is_some_and(|end| {
            let mut before = chain.rules[..end].iter();
            !before.any(|rule| matches!(rule.then, Action::Return | Action::Goto(_)))
        })
    }

    /// Whether two actions do the same to packets that all of `held` hold for.
    fn actions(
        &mut self,
        pair: [Place<'a>; 2],
        then: [&Action; 2],
        held: &[Match],
        depth: usize,
    ) -> bool {
        let targets = match then {
            [Action::Jump(left), Action::Jump(right)]
            | [Action::Goto(left), Action::Goto(right)] => [left, right],
            [left, right] => return left == right,
        };
        let found = [0, 1].map(|side| self.chains.find(pair[side].0, targets[side]));
        match found {
            [Some(left), Some(right)] => {
                self.chains([(pair[0].0, left), (pair[1].0, right)], held, depth + 1)
            }
            // Chains of others are known by their names.
            [None, None] => targets[0] == targets[1],
            _ => false,
        }
    }
}

/// Ways to a pair of chains that are looked at, each for its packets.
const MOST_WAYS: usize = 4;

/// Neighbours of which it is the same whether a packet matches one or several, and in which order.
struct Group<'r> {
    then: Action,
    cases: Vec<Case<'r>>,
}

/// What has to hold at once.
type Case<'r> = Vec<Condition<'r>>;

/// A match. With a list, it holds for what is in there.
type Condition<'r> = (&'r Match, Option<List>);

impl<'r> Group<'r> {
    /// What holds for every packet of the group as long as it is in the base chain, and for marks, when
    /// it is matched.
    fn held(&self) -> impl Iterator<Item = &'r Match> {
        let alone = if let [case] = &self.cases[..] { &case[..] } else { &[] };
        let asked = alone.iter().filter(|(_, list)| list.is_none()).map(|(when, _)| *when);
        asked.filter(|when| lasts(when) || matches!(when, Match::Mark { .. }))
    }

    /// What the rules of a `group`, of which `first` is the first one, come to; those of the rules behind
    /// them that belong to it are taken off `rest`.
    fn of(first: &'r Rule, group: &[&'r Rule], rest: &mut &[&'r Rule]) -> Self {
        let mut then = first.then.clone();
        // What nft says in two rules: hand it over, and drop what nobody has taken.
        if let Action::Tproxy { on_miss: on_miss @ OnMiss::Continue, .. } = &mut then
            && let Some((next, others)) = rest.split_first()
            && next.then == Action::Drop
            && next.when == first.when
        {
            (*on_miss, *rest) = (OnMiss::Drop, others);
        }
        let case = |(first, list): Pooled<'r>| {
            let mut case: Case<'r> = first.when.iter().map(|when| (when, None)).collect();
            if let Some((place, list)) = list {
                case[place].1 = Some(list);
            }
            case
        };
        let mut cases: Vec<Case<'r>> = pooled(group).into_iter().map(case).collect();
        // Beside a case that holds wherever X does, "Y without X" is Y.
        let holds_alone = |at: usize, when: &Match| {
            let mut others = cases.iter().enumerate().filter(|(other, _)| *other != at);
            others.any(|(_, case)| matches!(&case[..], [known] if are_all(when, known)))
        };
        let mut idle = Vec::new();
        for (at, case) in cases.iter().enumerate() {
            for (place, (when, _)) in case.iter().enumerate() {
                if holds_alone(at, when) {
                    idle.push((at, place));
                }
            }
        }
        for (at, place) in idle.into_iter().rev() {
            cases[at].remove(place);
        }
        Group { then, cases }
    }
}

/// Whether every packet of a family matches one of the two, of which the second may have a list.
fn are_all(one: &Match, (known, list): &Condition<'_>) -> bool {
    match (one, known, list) {
        (
            Match::Owner { owner, is: OwnerIs::NotIn { ids, ownerless: true } },
            Match::Owner { owner: of, is: OwnerIs::In(_) },
            Some(list),
        ) => {
            owner == of && ids.iter().all(|(first, last)| list.has((*first).into(), (*last).into()))
        }
        (_, _, None) => are_opposite(one, known),
        _ => false,
    }
}

/// Whether every packet of a family matches exactly one of the two.
fn are_opposite(one: &Match, other: &Match) -> bool {
    match (one, other) {
        (Match::Address { of, nets, not }, Match::Address { of: other, nets: others, not: is }) => {
            of == other && nets == others && not != is
        }
        _ => one.is_opposite_of(other),
    }
}

/// Whether the same packets match one of `left` as match one of `right`.
fn are_cases_same(left: &[Case<'_>], right: &[Case<'_>], pair: [Place<'_>; 2]) -> bool {
    are_permuted(left, right, |one, other| {
        are_permuted(one, other, |one, other| is_match_same([one, other], pair))
    })
}

/// Whether each of `left` has one of `right` that is the same, and none is left.
fn are_permuted<T>(left: &[T], right: &[T], is_same: impl Fn(&T, &T) -> bool) -> bool {
    let mut open: Vec<&T> = right.iter().collect();
    left.len() == right.len()
        && left.iter().all(|one| {
            let found = open.iter().position(|other| is_same(one, other));
            found.map(|found| open.remove(found)).is_some()
        })
}

/// Whether the same matches have to hold, in whatever order.
fn are_all_same(left: &[Match], right: &[Match], pair: [Place<'_>; 2]) -> bool {
    let is_same = |one: &Match, other: &Match| is_match_same([&(one, None), &(other, None)], pair);
    left.len() == right.len()
        && left.iter().all(|one| right.iter().any(|other| is_same(one, other)))
        && right.iter().all(|other| left.iter().any(|one| is_same(one, other)))
}

fn is_match_same(
    [(one, listed), (other, listed_there)]: [&Condition<'_>; 2],
    [(left, _), (right, _)]: [Place<'_>; 2],
) -> bool {
    if listed.is_none() && listed_there.is_none() {
        // A set is known by its name and its table.
        let is_same_set = !matches!(one, Match::InSet { .. })
            || left.name == right.name
                && left.families == right.families
                && left.sets == right.sets;
        return one == other && is_same_set;
    }
    are_of_one_kind(one, other)
        && match (listed, listed_there) {
            (Some(list), Some(others)) => list == others,
            (Some(list), None) => Some(list) == listed_in(other).as_ref(),
            (None, others) => listed_in(one) == *others,
        }
}
