//! All packets through a ruleset at once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::diagram::Function;
use super::space::{Bits, Space, number};
use super::{TRACKING, Translation, Verdict, base_chains};
use crate::ir::{Action, Base, Chain, ChainKind, Match, Rule, Ruleset, Table};
use crate::net::{Name, OnMiss};

/// What rules have done to a packet so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct State {
    pub(super) translation: Option<Translation>,
    pub(super) tproxy: Option<u16>,
    pub(super) zone: Option<u16>,
    pub(super) mark: Bits,
    pub(super) connmark: Bits,
}

impl State {
    const START: Self = Self {
        translation: None,
        tproxy: None,
        zone: None,
        mark: Bits::PACKET,
        connmark: Bits::CONNECTION,
    };
}

/// What becomes of packets in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fate {
    pub(super) verdict: Verdict,
    pub(super) state: State,
}

/// The packets in each state. No packet is in two, and none is empty.
type States = BTreeMap<State, Function>;

/// Takes all packets of `space` through `ruleset`. Every packet has exactly one fate.
pub(super) fn fates(space: &mut Space, ruleset: &Ruleset) -> BTreeMap<Fate, Function> {
    let all = space.all();
    let mut walk = Walk { space, accepted: States::new(), dropped: States::new() };
    let mut live = States::from([(State::START, all)]);
    let hook = walk.space.hook;
    for (table, chain, base) in base_chains(ruleset, hook) {
        if table.families.has(walk.space.family) {
            live = walk.base_chain(table, chain, base, live);
        }
    }
    let dropped = walk.forget_dropped();
    let fate = |verdict| move |(state, packets)| (Fate { verdict, state }, packets);
    live.into_iter()
        .map(fate(Verdict::Accept))
        .chain(dropped.into_iter().map(fate(Verdict::Drop)))
        .collect()
}

struct Walk<'a> {
    space: &'a mut Space,
    /// By the base chain that runs.
    accepted: States,
    dropped: States,
}

/// Where a chain runs.
#[derive(Clone, Copy)]
struct Place<'a> {
    table: &'a Table,
    base: Base,
    /// Chains from which a packet may come back with another mark.
    marking: &'a BTreeSet<&'a Name>,
    /// Jumps that led here.
    depth: usize,
}

impl Walk<'_> {
    /// Runs a base chain for the packets of `live`; what it accepts.
    fn base_chain(&mut self, table: &Table, chain: &Chain, base: Base, live: States) -> States {
        let mut past = States::new();
        let mut enter = live;
        if base.kind == ChainKind::Nat {
            let first = self.space.new_connections();
            for (state, packets) in std::mem::take(&mut enter) {
                let first = if state.translation.is_none() { first } else { Function::FALSE };
                let visits = self.space.diagrams.and(packets, first);
                self.add(&mut enter, state, visits);
                let passes = self.space.diagrams.minus(packets, first);
                self.add(&mut past, state, passes);
            }
        }
        let marking = marking_chains(table);
        let place = Place { table, base, marking: &marking, depth: 0 };
        let returned = self.chain(place, chain, enter);
        for (state, packets) in returned.into_iter().chain(std::mem::take(&mut self.accepted)) {
            self.add(&mut past, state, packets);
        }
        past
    }

    /// Runs a chain; the packets that come back from it.
    fn chain(&mut self, place: Place<'_>, chain: &Chain, mut live: States) -> States {
        let mut returned = States::new();
        let mut rules = chain.rules.as_slice();
        while !live.is_empty()
            && let Some(first) = rules.first()
        {
            let (alike, rest) = rules.split_at(place.alike(rules));
            rules = rest;
            let mut next = States::new();
            let mut plain = None;
            for (state, packets) in live {
                let matching = match plain {
                    Some(matching) => matching,
                    None => self.union(place.table, alike, state),
                };
                if !alike.iter().any(is_about_marks) {
                    plain = Some(matching);
                }
                let taken = self.space.diagrams.and(packets, matching);
                let left = self.space.diagrams.minus(packets, matching);
                self.add(&mut next, state, left);
                if taken != Function::FALSE {
                    self.act(place, &first.then, (state, taken), &mut next, &mut returned);
                }
            }
            live = next;
        }
        for (state, packets) in live {
            self.add(&mut returned, state, packets);
        }
        returned
    }

    /// Does `then` to packets: those for the next rule go to `next`, those that leave the chain to
    /// `returned`.
    fn act(
        &mut self,
        place: Place<'_>,
        then: &Action,
        (state, packets): (State, Function),
        next: &mut States,
        returned: &mut States,
    ) {
        let masked = |old: Bits, clear: u32, new: Bits| old.and(!clear).xor(new);
        match then {
            Action::Accept => self.accept(state, packets),
            Action::Drop => self.drop(state, packets),
            Action::Return => self.add(returned, state, packets),
            Action::Jump(to) | Action::Goto(to) => {
                let back = self.enter(place, to, state, packets);
                let goto = matches!(then, Action::Goto(_));
                for (state, packets) in back {
                    self.add(if goto { &mut *returned } else { &mut *next }, state, packets);
                }
            }
            Action::Redirect { port } => {
                let translation = Some(Translation::Redirect { port: *port });
                self.accept(State { translation, ..state }, packets);
            }
            Action::Snat { to } => {
                let translation = Some(Translation::Snat { to: *to });
                self.accept(State { translation, ..state }, packets);
            }
            Action::Tproxy { port, mark, on_miss } => {
                let listener = self.space.listeners.iter().find(|(known, _)| known == port);
                let listener = listener.map_or(Function::TRUE, |(_, variable)| {
                    self.space.diagrams.variable(*variable)
                });
                let hit = self.space.diagrams.and(packets, listener);
                let mark = masked(state.mark, mark.clear, Bits::constant(mark.flip));
                self.accept(State { tproxy: Some(*port), mark, ..state }, hit);
                let miss = self.space.diagrams.minus(packets, listener);
                match on_miss {
                    OnMiss::Drop => self.drop(state, miss),
                    OnMiss::Continue => self.add(next, state, miss),
                }
            }
            Action::SetMark(change) => {
                let mark = masked(state.mark, change.clear, Bits::constant(change.flip));
                self.add(next, State { mark, ..state }, packets);
            }
            Action::SetConnmark(change) => {
                let connmark = masked(state.connmark, change.clear, Bits::constant(change.flip));
                self.connected(next, (state, packets), State { connmark, ..state });
            }
            Action::SaveMark(masks) => {
                let new = state.mark.and(masks.packet);
                let connmark = masked(state.connmark, masks.connection, new);
                self.connected(next, (state, packets), State { connmark, ..state });
            }
            Action::RestoreMark(masks) => {
                let new = state.connmark.and(masks.connection);
                let mark = masked(state.mark, masks.packet, new);
                self.connected(next, (state, packets), State { mark, ..state });
            }
            Action::SetZone(zone) => {
                let tracked = place.base.priority >= TRACKING;
                let zone = if tracked { state.zone } else { state.zone.or(Some(*zone)) };
                self.add(next, State { zone, ..state }, packets);
            }
            Action::Log => self.add(next, state, packets),
        }
    }

    /// Gives the packets that have a connection the state `then`.
    fn connected(&mut self, next: &mut States, (state, packets): (State, Function), then: State) {
        let connected = self.space.connected();
        let with = self.space.diagrams.and(packets, connected);
        self.add(next, then, with);
        let without = self.space.diagrams.minus(packets, connected);
        self.add(next, state, without);
    }

    fn enter(&mut self, place: Place<'_>, to: &Name, state: State, packets: Function) -> States {
        let live = States::from([(state, packets)]);
        let depth = place.depth + 1;
        match place.table.chain(to) {
            Some(chain) if depth < place.table.chains.len() => {
                self.chain(Place { depth, ..place }, chain, live)
            }
            _ => live,
        }
    }

    fn accept(&mut self, state: State, packets: Function) {
        let mut accepted = std::mem::take(&mut self.accepted);
        self.add(&mut accepted, state, packets);
        self.accepted = accepted;
    }

    fn drop(&mut self, state: State, packets: Function) {
        let mut dropped = std::mem::take(&mut self.dropped);
        self.add(&mut dropped, state, packets);
        self.dropped = dropped;
    }

    fn add(&mut self, states: &mut States, state: State, packets: Function) {
        if packets != Function::FALSE {
            let all = states.entry(state).or_insert(Function::FALSE);
            *all = self.space.diagrams.or(*all, packets);
        }
    }

    /// The dropped packets, with what can be observed of them.
    fn forget_dropped(&mut self) -> States {
        let mut dropped = States::new();
        let began = self.space.new_connections();
        for (state, packets) in std::mem::take(&mut self.dropped) {
            let new = self.space.diagrams.and(packets, began);
            self.add(&mut dropped, State::START, new);
            let known = self.space.diagrams.minus(packets, began);
            let seen = State { connmark: state.connmark, ..State::START };
            self.add(&mut dropped, seen, known);
        }
        dropped
    }

    /// The packets that one of `rules` matches, in `state`.
    fn union(&mut self, table: &Table, mut rules: &[Rule], state: State) -> Function {
        let mut parts = Vec::new();
        while let Some(first) = rules.first() {
            let pool = Pool::of(rules);
            rules = &rules[pool.rules..];
            parts.push(self.matching(table, first, &pool, state));
        }
        self.space.diagrams.any(parts)
    }

    fn matching(&mut self, table: &Table, rule: &Rule, pool: &Pool, state: State) -> Function {
        if !rule.families.has(self.space.family) {
            return Function::FALSE;
        }
        let mut parts: Vec<Function> = Vec::with_capacity(rule.when.len());
        for (place, when) in rule.when.iter().enumerate() {
            parts.push(match (&pool.ranges, when) {
                (Some((at, ranges)), Match::Address { of, nets, .. })
                    if *at == place && nets.family() == self.space.family =>
                {
                    self.space.within(self.space.address(*of), ranges)
                }
                _ => self.space.matches(table, when, state.mark, state.connmark),
            });
        }
        parts.into_iter().fold(Function::TRUE, |all, part| self.space.diagrams.and(all, part))
    }
}

impl Place<'_> {
    /// How many of the first of `rules` do the same, so that they can run as one: at least one.
    fn alike(&self, rules: &[Rule]) -> usize {
        let Some(first) = rules.first() else { return 0 };
        let runs_as_one = match &first.then {
            Action::Accept
            | Action::Drop
            | Action::Return
            | Action::Goto(_)
            | Action::Redirect { .. }
            | Action::Snat { .. }
            | Action::SetZone(_)
            | Action::Log => true,
            // Who comes back from such a chain comes back unchanged, so a second visit ends as the
            // first did.
            Action::Jump(to) => !self.marking.contains(to),
            Action::Tproxy { .. }
            | Action::SetMark(_)
            | Action::SetConnmark(_)
            | Action::SaveMark(_)
            | Action::RestoreMark(_) => false,
        };
        if !runs_as_one {
            return 1;
        }
        rules
            .iter()
            .take_while(|rule| rule.families == first.families && rule.then == first.then)
            .count()
    }
}

/// Chains that change marks, or lead to one that does.
fn marking_chains(table: &Table) -> BTreeSet<&Name> {
    let mut marking = BTreeSet::new();
    loop {
        let before = marking.len();
        for chain in &table.chains {
            let marks = chain.rules.iter().any(|rule| match &rule.then {
                Action::SetMark(_)
                | Action::SetConnmark(_)
                | Action::SaveMark(_)
                | Action::RestoreMark(_) => true,
                Action::Jump(to) | Action::Goto(to) => marking.contains(to),
                _ => false,
            });
            if marks {
                marking.insert(&chain.name);
            }
        }
        if marking.len() == before {
            return marking;
        }
    }
}

fn is_about_marks(rule: &Rule) -> bool {
    rule.when.iter().any(|when| matches!(when, Match::Mark { .. } | Match::Connmark { .. }))
}

/// Rules that differ in one list of addresses only, as rulesets without sets have them: their
/// lists are one.
struct Pool {
    /// How many of the first rules.
    rules: usize,
    /// The place of the list among the matches, and the addresses of all of them.
    ranges: Option<(usize, Vec<(u128, u128)>)>,
}

impl Pool {
    fn of(rules: &[Rule]) -> Self {
        let place =
            rules[0].when.iter().position(|when| matches!(when, Match::Address { not: false, .. }));
        let alone = Self { rules: 1, ranges: None };
        let Some(place) = place else { return alone };
        let count = rules.iter().take_while(|rule| differs_at(&rules[0], rule, place)).count();
        if count == 1 {
            return alone;
        }
        let mut ranges: Vec<_> = rules[..count]
            .iter()
            .filter_map(|rule| match &rule.when[place] {
                Match::Address { nets, .. } => Some(nets.iter()),
                _ => None,
            })
            .flatten()
            .map(|net: IpNet| (number(net.network()), number(net.broadcast())))
            .collect();
        ranges.sort_unstable_by_key(|(first, last)| (*first, Reverse(*last)));
        // Prefixes either contain each other or are apart.
        ranges.dedup_by(|later, earlier| later.1 <= earlier.1);
        Self { rules: count, ranges: Some((place, ranges)) }
    }
}

/// Whether `a` and `b` match alike but for the addresses at `place`.
fn differs_at(a: &Rule, b: &Rule, place: usize) -> bool {
    a.when.len() == b.when.len()
        && a.when.iter().zip(&b.when).enumerate().all(|(at, (a, b))| match (a, b) {
            (
                Match::Address { of: of_a, nets: a, not: false },
                Match::Address { of: of_b, nets: b, not: false },
            ) if at == place => of_a == of_b && a.family() == b.family(),
            _ => a == b,
        })
}
