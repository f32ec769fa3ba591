//! Rules that are built the same in two rulesets, and therefore mean the same: nothing needs to be
//! computed for them.
//!
//! What is left out of sight changes nothing: rules of the other family, the order of matches, the
//! names of chains, and whether neighbours that do the same are one rule with a list or several.
//! Only what can be seen without computing is; everything else is for the comparison.

use std::borrow::Cow;
use std::collections::HashMap;

use super::pool::{List, Pooled, are_of_one_kind, listed as listed_in, pooled};
use super::symbolic::{DEEPEST, changes_marks, is_once_enough};
use crate::ir::{Action, Chain, Entry, Match, OwnerIs, Rule, Schedule, Step, Table};
use crate::net::{Family, Interface, Name, OnMiss};

/// Chains of two rulesets, side by side, for packets of one family.
pub(super) struct Structure {
    family: Family,
    /// Whether pairs of chains are the same. Of a pair that is being looked at: no, so that chains
    /// which lead back to themselves are never taken for the same.
    known: HashMap<[*const Chain; 2], bool>,
    /// Whether packets may come back from a chain with other marks.
    marking: HashMap<*const Chain, bool>,
}

/// A chain and its table.
type Place<'a> = (&'a Table, &'a Chain);

impl Structure {
    pub(super) fn of(family: Family) -> Self {
        Self { family, known: HashMap::new(), marking: HashMap::new() }
    }

    /// Whether two orders run the same chains from the same places, and nothing ties.
    pub(super) fn is_same(&mut self, sides: [&[Schedule<'_>]; 2]) -> bool {
        let ([left], [right]) = (sides[0], sides[1]) else { return false };
        left.steps.len() == right.steps.len()
            && left.steps.iter().zip(&right.steps).all(|pair| match pair {
                (Step::Track, Step::Track) => true,
                (Step::Chain(left), Step::Chain(right)) => self.are_same(&[*left], &[*right]),
                (Step::Translate(left), Step::Translate(right)) => self.are_same(left, right),
                _ => false,
            })
    }

    fn are_same(&mut self, left: &[Entry<'_>], right: &[Entry<'_>]) -> bool {
        left.len() == right.len()
            && left.iter().zip(right).all(|(left, right)| {
                left.base == right.base
                    && self.chains([(left.table, left.chain), (right.table, right.chain)], 0)
            })
    }

    fn chains(&mut self, pair: [Place<'_>; 2], depth: usize) -> bool {
        let key = pair.map(|(_, chain)| std::ptr::from_ref(chain));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        if depth > DEEPEST {
            return false;
        }
        self.known.insert(key, false);
        let is_same = self.are_alike(pair, depth) || self.rules(pair, depth);
        self.known.insert(key, is_same);
        is_same
    }

    /// Whether the rules are alike one by one, which most are.
    fn are_alike(&mut self, pair: [Place<'_>; 2], depth: usize) -> bool {
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
                        && self.actions(pair, [&one.then, &other.then], depth) => {}
                _ => return false,
            }
        }
    }

    fn rules(&mut self, pair: [Place<'_>; 2], depth: usize) -> bool {
        let sides = pair.map(|place| gathered(unfolded(place, self.family)));
        let sides =
            sides.each_ref().map(|rules| rules.iter().map(|rule| &**rule).collect::<Vec<&Rule>>());
        let (mut left, mut right) = (sides[0].as_slice(), sides[1].as_slice());
        while !left.is_empty() && !right.is_empty() {
            let [one, other] =
                [self.group(pair[0].0, &mut left), self.group(pair[1].0, &mut right)];
            if !self.actions(pair, [&one.then, &other.then], depth)
                || !are_cases_same(&one.cases, &other.cases, pair)
            {
                return false;
            }
        }
        left.is_empty() && right.is_empty()
    }

    /// Takes the first group off `rules`, which are of `table`, and of which there is one.
    fn group<'r>(&mut self, table: &Table, rules: &mut &[&'r Rule]) -> Group<'r> {
        let first = rules[0];
        let is_marking = |to: &Name| {
            let target = table.chain(to);
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

    fn is_marking(&mut self, (table, chain): Place<'_>, depth: usize) -> bool {
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
                    let target = table.chain(target);
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

    fn actions(&mut self, pair: [Place<'_>; 2], then: [&Action; 2], depth: usize) -> bool {
        let targets = match then {
            [Action::Jump(left), Action::Jump(right)]
            | [Action::Goto(left), Action::Goto(right)] => [left, right],
            [left, right] => return left == right,
        };
        let found = [0, 1].map(|side| pair[side].0.chain(targets[side]));
        match found {
            [Some(left), Some(right)] => {
                self.chains([(pair[0].0, left), (pair[1].0, right)], depth + 1)
            }
            // Chains of others are known by their names.
            [None, None] => targets[0] == targets[1],
            _ => false,
        }
    }
}

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

/// The rules of a chain that can match a packet of `family`, with those of the chain in which a negated
/// owner is spelled as `X goto rest, M -> V, goto rest`: that is `M && !X -> V` and the rules of `rest`,
/// where V leads back, too. Of a base chain it stays as it is: who leaves that early can be asked.
fn unfolded((table, chain): Place<'_>, family: Family) -> Vec<Cow<'_, Rule>> {
    let mut all = Vec::with_capacity(chain.rules.len());
    let mut seen = vec![&chain.name];
    let mut open = chain;
    loop {
        let start = all.len();
        all.extend(open.rules.iter().filter(|rule| may_match(rule, family)).map(Cow::Borrowed));
        let folded = if chain.base.is_none() { folded(&all[start..]) } else { None };
        let next = folded.and_then(|folded| Some((table.chain(&folded.rest)?, folded)));
        match next {
            Some((rest, folded)) if !seen.contains(&&rest.name) => {
                all.truncate(all.len() - folded.rules);
                all.push(Cow::Owned(folded.rule));
                seen.push(&rest.name);
                open = rest;
            }
            _ => return all,
        }
    }
}

/// The last rules of a chain, as one of them before a negated owner was taken apart.
struct Folded {
    /// How many they are.
    rules: usize,
    rule: Rule,
    /// The chain that goes on.
    rest: Name,
}

fn folded(rules: &[Cow<'_, Rule>]) -> Option<Folded> {
    let goes =
        |rule: &Rule| if let Action::Goto(to) = &rule.then { Some(to.clone()) } else { None };
    let leads_back = |rule: &Rule| matches!(rule.then, Action::Return | Action::Goto(_));
    let (count, skip, rule) = match rules {
        [.., skip, rule, last]
            if leads_back(rule)
                && last.when.is_empty()
                && goes(skip).is_some()
                && goes(last) == goes(skip) =>
        {
            (3, skip, rule)
        }
        [.., skip, rule] if rule.then == Action::Return && rule.when.is_empty() => (2, skip, rule),
        _ => return None,
    };
    let (Some(rest), [Match::Owner { owner, is: OwnerIs::In(ids) }]) = (goes(skip), &skip.when[..])
    else {
        return None;
    };
    let (owner, is) = (*owner, OwnerIs::NotIn { ids: ids.clone(), ownerless: true });
    let mut rule = Rule::clone(rule);
    rule.when.push(Match::Owner { owner, is });
    Some(Folded { rules: count, rule, rest })
}

/// Most rules in a row that are [`gathered`].
const MOST_GATHERED: usize = 128;

/// `rules`, of which those that do the same stand together where none of those between matches a packet
/// that they match: to a packet, the order of rules is all the same of which it meets one at most.
fn gathered(rules: Vec<Cow<'_, Rule>>) -> Vec<Cow<'_, Rule>> {
    let mut all: Vec<Cow<'_, Rule>> = Vec::with_capacity(rules.len());
    // Where such rules begin.
    let mut start = 0;
    for rule in rules {
        if !rule.when.iter().any(tells_apart) || all.len() - start >= MOST_GATHERED {
            start = all.len();
        }
        // What a proxy leaves is dropped by the next rule, which has to stay there.
        let is_alike = |known: &Cow<'_, Rule>| {
            known.then == rule.then && !matches!(rule.then, Action::Tproxy { .. })
        };
        let alike = all[start..].iter().rposition(is_alike);
        let place = alike.map(|at| start + at + 1);
        let place = place.filter(|place| all[*place..].iter().all(|known| are_apart(known, &rule)));
        all.insert(place.unwrap_or(all.len()), rule);
    }
    all
}

/// Whether the match is on something that no action changes, so that rules may be [`are_apart`] by it.
const fn tells_apart(when: &Match) -> bool {
    matches!(when, Match::Port { not: false, .. } | Match::Interface { not: false, .. })
}

/// Whether it can be seen that no packet matches both rules, whatever happens between them.
fn are_apart(one: &Rule, other: &Rule) -> bool {
    let are_apart = |one: &Match, other: &Match| match (one, other) {
        (
            Match::Port { of, ports, not: false },
            Match::Port { of: other, ports: others, not: false },
        ) => {
            let ports = ports.ranges().iter();
            of == other
                && !ports
                    .clone()
                    .any(|one| others.ranges().iter().any(|other| one.overlaps(*other)))
        }
        (
            Match::Interface { of, names, not: false },
            Match::Interface { of: other, names: others, not: false },
        ) => {
            let meet = |one: &Interface, other: &Interface| one.covers(other) || other.covers(one);
            of == other && !names.iter().any(|one| others.iter().any(|other| meet(one, other)))
        }
        _ => false,
    };
    one.when.iter().any(|one| other.when.iter().any(|other| are_apart(one, other)))
}

/// Whether the rule can match a packet of `family`.
fn may_match(rule: &Rule, family: Family) -> bool {
    let of_other =
        |when: &Match| matches!(when, Match::Address { nets, .. } if nets.family() != family);
    rule.families.has(family) && !rule.when.iter().any(of_other)
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
