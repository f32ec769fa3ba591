//! Rules that are built the same in two rulesets, and therefore mean the same: nothing needs to be
//! computed for them.
//!
//! What is left out of sight changes nothing: rules of the other family, the order of matches, the
//! names of chains, whether neighbours that do the same are one rule with a list or several, whether what
//! holds on the way to a chain is asked there again, whether rules stand in a chain of their own, rules
//! that no packet gets to, and how packets leave a chain that nothing is behind. What does not look the
//! same for all packets may do so for those of one interface, and for all others.
//! Only what can be seen without computing is; everything else is for the comparison.

mod flat;

use std::collections::HashMap;

use self::flat::{Entered, flat, may_change, may_match};
use super::by_name::ByName;
use super::pool::{List, Pooled, are_of_one_kind, listed as listed_in, pooled};
use super::symbolic::{DEEPEST, changes_marks, is_once_enough, lasts};
use crate::ir::{
    Action, Chain, Direction, Entry, Hook, Match, OwnerIs, Protocol, Rule, Schedule, Step, Table,
};
use crate::net::{Family, Name};

/// Chains of two rulesets, side by side, for packets of one family.
pub(super) struct Structure<'a> {
    family: Family,
    chains: ByName<'a>,
    /// Whether others may have rules behind those of a base chain.
    is_shared: bool,
    /// Whether pairs of chains are the same for packets that certain matches hold for. Of a pair that is
    /// being looked at: no, so that chains which lead back to themselves are never taken for the same.
    known: HashMap<Pair, Vec<(Vec<Match>, bool)>>,
    /// Whether packets may come back from a chain with other marks.
    marking: HashMap<*const Chain, bool>,
}

/// A chain and its table.
type Place<'a> = (&'a Table, &'a Chain);

/// Two chains, and whether nothing is behind them.
type Pair = ([*const Chain; 2], bool);

impl<'a> Structure<'a> {
    /// `is_shared`: others may have rules in the base chains.
    pub(super) fn of(family: Family, is_shared: bool) -> Self {
        let (known, marking) = (HashMap::new(), HashMap::new());
        Self { family, chains: ByName::default(), is_shared, known, marking }
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
                let pair = [(left.table, left.chain), (right.table, right.chain)];
                left.base == right.base
                    && (self.chains(pair, ANY, 0) || self.are_same_in_parts(pair))
            })
    }

    /// Whether two base chains do the same to packets of an interface, and to those of all others.
    fn are_same_in_parts(&mut self, pair: [Place<'a>; 2]) -> bool {
        let Some(Match::Interface { of, names, .. }) = pair.into_iter().find_map(parted_by) else {
            return false;
        };
        let is_last = !self.is_shared;
        [false, true].into_iter().all(|not| {
            let held = [Match::Interface { of: *of, names: names.clone(), not }];
            self.chains(pair, Entered { held: &held, is_last }, 0)
        })
    }

    /// Whether two chains do the same to packets that enter them so.
    fn chains(&mut self, pair: [Place<'a>; 2], entered: Entered<'_>, depth: usize) -> bool {
        let Entered { held, is_last } = entered;
        // Most are the same for whatever packets, and need not be looked at on every way there.
        let is_any = held.is_empty() && !is_last;
        if !is_any && self.chains(pair, ANY, depth) {
            return true;
        }
        let key = (pair.map(|(_, chain)| std::ptr::from_ref(chain)), is_last);
        let known = self.known.entry(key).or_default();
        if let Some((_, is_same)) = known.iter().find(|(known, _)| known == held) {
            return *is_same;
        }
        if depth > DEEPEST || known.len() > MOST_WAYS {
            return false;
        }
        let place = known.len();
        known.push((held.to_vec(), false));
        let is_same = is_any && self.are_alike(pair, depth) || self.rules(pair, entered, depth);
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
                        && self.actions(pair, [&one.then, &other.then], ANY, depth) => {}
                _ => return false,
            }
        }
    }

    fn rules(&mut self, pair: [Place<'a>; 2], entered: Entered<'_>, depth: usize) -> bool {
        let sides = pair.map(|place| flat(place, self.chains.of(place.0), self.family, entered));
        let sides =
            sides.each_ref().map(|rules| rules.iter().map(|rule| &**rule).collect::<Vec<&Rule>>());
        let [left, right] =
            [0, 1].map(|side| self.groups(pair[side].0, &sides[side], entered.is_last));
        left.len() == right.len()
            && left.iter().zip(&right).enumerate().all(|(at, (one, other))| {
                let held = entered.held.iter().filter(|when| lasts(when)).chain(one.held());
                let held: Vec<Match> = held.cloned().collect();
                let is_last = entered.is_last && at + 1 == left.len();
                are_cases_same(&one.cases, &other.cases, pair)
                    && self.actions(
                        pair,
                        [&one.then, &other.then],
                        Entered { held: &held, is_last },
                        depth,
                    )
            })
    }

    /// `rules`, which are of `table`, in groups, without those that no packet gets to; behind the last one,
    /// to accept is to stay.
    fn groups<'r>(
        &mut self,
        table: &'a Table,
        mut rules: &[&'r Rule],
        is_last: bool,
    ) -> Vec<Group<'r>> {
        let mut groups: Vec<Group<'r>> = Vec::new();
        while let Some((first, rest)) = rules.split_first() {
            if is_taken(first, &groups) {
                rules = rest;
                continue;
            }
            let group = self.group(table, &mut rules);
            match groups.last_mut() {
                Some(last) if last.is_any_order && last.then == group.then => last.join(group),
                _ => groups.push(group),
            }
        }
        while is_last && groups.last().is_some_and(|group| group.then == Action::Accept) {
            groups.pop();
        }
        groups
    }

    /// Takes the first group off `rules`, which are of `table`, and of which there is one.
    fn group<'r>(&mut self, table: &'a Table, rules: &mut &[&'r Rule]) -> Group<'r> {
        let first = rules[0];
        let is_marking = |to: &Name| {
            let target = self.chains.find(table, to);
            target.is_some_and(|target| self.is_marking((table, target), 0))
        };
        let is_any_order = is_once_enough(&first.then, is_marking);
        let count = if is_any_order {
            rules.iter().take_while(|rule| rule.then == first.then).count()
        } else {
            1
        };
        let (group, rest) = rules.split_at(count);
        *rules = rest;
        Group::of(group.to_vec(), is_any_order)
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
            !before.any(|rule| rule.then.leads_out())
        })
    }

    /// Whether two actions do the same to packets that enter chains so.
    fn actions(
        &mut self,
        pair: [Place<'a>; 2],
        then: [&Action; 2],
        entered: Entered<'_>,
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
                self.chains([(pair[0].0, left), (pair[1].0, right)], entered, depth + 1)
            }
            // Chains of others are known by their names.
            [None, None] => targets[0] == targets[1],
            _ => false,
        }
    }
}

/// Ways to a pair of chains that are looked at, each for its packets.
const MOST_WAYS: usize = 8;

/// Most cases of a group that others are held against.
const MOST_CASES: usize = 16;

/// For whatever packets, whatever is behind.
const ANY: Entered<'_> = Entered { held: &[], is_last: false };

/// What a jump or goto of the table asks of the interface that packets of the base chain have.
fn parted_by((table, chain): Place<'_>) -> Option<&Match> {
    let has = match chain.base?.hook {
        Hook::Prerouting | Hook::Input => Direction::Source,
        Hook::Forward | Hook::Output | Hook::Postrouting => Direction::Destination,
    };
    let rules = table.chains.iter().flat_map(|chain| &chain.rules);
    let mut leading = rules.filter(|rule| matches!(rule.then, Action::Jump(_) | Action::Goto(_)));
    let parts =
        |when: &&Match| matches!(when, Match::Interface { of, not: false, .. } if *of == has);
    leading.find_map(|rule| rule.when.iter().find(parts))
}

/// Whether the packets of the rule have left the chain with one of `groups` before it.
fn is_taken(rule: &Rule, groups: &[Group<'_>]) -> bool {
    let near = groups.iter().rev().take_while(|group| !may_change(group.rules[0]));
    near.filter(|group| group.then.ends_chain() && group.cases.len() <= MOST_CASES).any(|group| {
        let holds = |(when, list): &Condition<'_>| {
            list.is_none() && !matches!(when, Match::Opaque { .. }) && rule.when.contains(when)
        };
        group.cases.iter().any(|case| case.iter().all(holds))
    })
}

/// Neighbours of which it is the same whether a packet matches one or several, and in which order.
struct Group<'r> {
    then: Action,
    /// The rules, of which there is one.
    rules: Vec<&'r Rule>,
    /// Whether others that do the same may be among them.
    is_any_order: bool,
    /// What the rules match, each once.
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

    /// What `rules`, of which there is one and which do the same, come to.
    fn of(rules: Vec<&'r Rule>, is_any_order: bool) -> Self {
        let then = rules[0].then.clone();
        let case = |(first, list): Pooled<'r>| {
            let mut case: Case<'r> = first.when.iter().map(|when| (when, None)).collect();
            if let Some((place, list)) = list {
                case[place].1 = Some(list);
            }
            case
        };
        let mut cases: Vec<Case<'r>> = pooled(&rules).into_iter().map(case).collect();
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
        Group { then, rules, is_any_order, cases: without_covered(of_any_protocol(cases)) }
    }

    /// Adds those of `other`, which do the same.
    fn join(&mut self, other: Self) {
        let mut rules = std::mem::take(&mut self.rules);
        rules.extend(other.rules);
        *self = Self::of(rules, self.is_any_order);
    }
}

/// `cases`, of which two for a port, one of TCP and one of UDP, are one: no other protocol has ports.
fn of_any_protocol<'r>(mut cases: Vec<Case<'r>>) -> Vec<Case<'r>> {
    let place = |case: &Case<'r>, wanted| {
        let says =
            |(when, _): &Condition<'r>| *when == &Match::Protocol { protocol: wanted, not: false };
        case.iter().position(says)
    };
    let has_port =
        |case: &Case<'r>| case.iter().any(|(when, _)| matches!(when, Match::Port { .. }));
    if cases.len() > MOST_CASES {
        return cases;
    }
    let mut at = 0;
    while at < cases.len() {
        let tcp = place(&cases[at], Protocol::Tcp).filter(|_| has_port(&cases[at]));
        let other = tcp.and_then(|tcp| {
            cases.iter().position(|case| {
                place(case, Protocol::Udp).is_some_and(|udp| {
                    let [mut one, mut other] =
                        [(&cases[at], tcp), (case, udp)].map(|(case, place)| {
                            let rest = case.iter().enumerate().filter(move |(at, _)| *at != place);
                            rest.map(|(_, condition)| condition)
                        });
                    one.by_ref().eq(other.by_ref())
                })
            })
        });
        match (tcp, other) {
            (Some(tcp), Some(other)) => {
                cases[at].remove(tcp);
                cases.remove(other);
                at -= usize::from(other < at);
            }
            _ => at += 1,
        }
    }
    cases
}

/// `cases` without those of which every packet is one of another case, too.
fn without_covered<'r>(mut cases: Vec<Case<'r>>) -> Vec<Case<'r>> {
    if cases.len() > MOST_CASES {
        return cases;
    }
    let mut at = 0;
    while at < cases.len() {
        let is_covered = cases.iter().enumerate().any(|(other, case)| {
            let asks = |(when, list): &Condition<'r>| {
                list.is_none()
                    && !matches!(when, Match::Opaque { .. })
                    && cases[at].iter().any(|(known, listed)| listed.is_none() && known == when)
            };
            other != at && case.iter().all(asks)
        });
        if is_covered {
            cases.remove(at);
        } else {
            at += 1;
        }
    }
    cases
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
