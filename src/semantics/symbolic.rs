//! All packets through a ruleset at once.
//!
//! What rules have done to packets is kept as functions of the packets as they came: each bit of
//! the marks, and for each translation, proxy and zone the packets that have it. A chain runs for a
//! set of packets and answers with those that come back from it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::diagram::Function;
use super::eval::loopback;
use super::space::{BECOMES, Bits, NOBODY, NOTHING, Space, address_ranges, number};
use super::{End, Limit, Translation};
use crate::ir::{
    Action, Chain, ChainKind, CtState, Direction, Entry, Hook, Match, Rule, Ruleset, Schedule,
    Step, Table,
};
use crate::net::{Name, OnMiss, PortSet};

/// What becomes of all packets. Every packet is either dropped, or has at most one of each kind of
/// thing.
#[derive(Clone)]
pub(super) struct Fates {
    /// The packets that go on.
    pub(super) accepted: Function,
    pub(super) translations: BTreeMap<Translation, Function>,
    pub(super) proxies: BTreeMap<u16, Function>,
    pub(super) zones: BTreeMap<u16, Function>,
    pub(super) mark: Bits,
    pub(super) connmark: Bits,
    /// The mark under which packets were routed last, at output.
    pub(super) routed: Bits,
    /// The packets that leave a base chain otherwise than at its end, if that is asked.
    pub(super) left_early: Function,
}

/// Most rules that one run looks at, jumps counted as often as they lead to other packets.
const MOST_VISITS: usize = 2_000_000;

/// Deepest nesting of jumps. nft knows 16 (`NFT_JUMP_STACK_SIZE`, Linux 6.18), iptables no limit.
pub(super) const DEEPEST: usize = 512;

/// Takes all packets of `space` through the steps of `schedule`, which is one of `ruleset`'s.
///
/// # Errors
///
/// If it takes too long, or too much memory.
pub(super) fn fates(
    space: &mut Space,
    ruleset: &Ruleset,
    schedule: &Schedule<'_>,
) -> Result<Fates, Limit> {
    let mut walk = Walk::new(space, ruleset);
    let mut live = walk.space.all();
    for step in &schedule.steps {
        match step {
            Step::Track => walk.untracked = Function::FALSE,
            Step::Chain(entry) => live = walk.base_chain(*entry, live)?,
            Step::Translate(entries) => live = walk.translate(entries, live)?,
        }
        walk.version += 1;
    }
    if walk.space.diagrams.is_full() {
        return Err(Limit::Memory);
    }
    Ok(walk.finish(live))
}

/// The packets that all of `when` hold for as they arrive. A set is one of any of the tables of
/// `ruleset`.
pub(super) fn arriving(space: &mut Space, ruleset: &Ruleset, when: &[Match]) -> Function {
    let mut walk = Walk::new(space, ruleset);
    walk.untracked = Function::FALSE;
    let all = walk.space.all();
    when.iter().fold(all, |all, when| {
        let tables = ruleset.tables.iter();
        let holds = tables.map(|table| walk.matches(table, when)).collect();
        let holds = walk.space.diagrams.any(holds);
        walk.space.diagrams.and(all, holds)
    })
}

/// What translation makes of an end of a packet.
#[derive(Clone, Copy)]
struct Landing {
    /// `None`: what the packet says.
    address: Option<IpAddr>,
    port: Port,
}

#[derive(Clone, Copy)]
enum Port {
    /// As it was.
    Same,
    /// What the packet says.
    Decided,
    This(u16),
}

struct Walk<'a> {
    space: &'a mut Space,
    ruleset: &'a Ruleset,
    chains: HashMap<(*const Table, &'a Name), &'a Chain>,
    /// The chains from which packets may come back with other marks.
    marking: HashSet<*const Chain>,
    fates: Fates,
    /// The packets whose connection is not looked up yet.
    untracked: Function,
    /// The packets of which an end has become another.
    landed: Vec<(Landing, Function)>,
    /// Those that the base chain that runs has accepted, and those that are dropped.
    taken: Taken,
    /// Counts changes of what matches see.
    version: usize,
    /// What chains did with packets.
    known: HashMap<(*const Chain, Function, usize), (Function, Taken)>,
    visits: usize,
}

/// Packets that run no further rules.
#[derive(Clone, Copy)]
struct Taken {
    accepted: Function,
    dropped: Function,
}

const NONE: Taken = Taken { accepted: Function::FALSE, dropped: Function::FALSE };

impl<'a> Walk<'a> {
    fn new(space: &'a mut Space, ruleset: &'a Ruleset) -> Self {
        let chains = ruleset.tables.iter().flat_map(|table| {
            table.chains.iter().map(move |chain| ((std::ptr::from_ref(table), &chain.name), chain))
        });
        let chains: HashMap<_, _> = chains.collect();
        let [mark, connmark] = space.marks();
        let untracked = match space.hook {
            Hook::Prerouting => {
                let lo = space.interface(Direction::Source, &[crate::net::Interface::lo()]);
                lo.not()
            }
            Hook::Output => Function::TRUE,
            Hook::Input | Hook::Forward | Hook::Postrouting => Function::FALSE,
        };
        Self {
            space,
            ruleset,
            marking: marking_chains(ruleset, &chains),
            chains,
            fates: Fates {
                accepted: Function::FALSE,
                translations: BTreeMap::new(),
                proxies: BTreeMap::new(),
                zones: BTreeMap::new(),
                mark,
                connmark,
                routed: mark,
                left_early: Function::FALSE,
            },
            untracked,
            landed: Vec::new(),
            taken: NONE,
            version: 0,
            known: HashMap::new(),
            visits: 0,
        }
    }

    /// Runs a base chain; the packets that go on.
    fn base_chain(&mut self, entry: Entry<'a>, live: Function) -> Result<Function, Limit> {
        let before = self.fates.mark;
        let back = self.chain(entry.table, entry.chain, live, 0)?;
        let accepted = std::mem::replace(&mut self.taken.accepted, Function::FALSE);
        if entry.base.kind == ChainKind::Route && entry.base.hook == Hook::Output {
            let marked = self.space.differing(&before, &self.fates.mark);
            self.route(marked);
        }
        self.fates.left_early = self.space.diagrams.or(self.fates.left_early, accepted);
        Ok(self.space.diagrams.or(back, accepted))
    }

    /// Routes packets anew, under the mark that they have.
    fn route(&mut self, packets: Function) {
        let mark = self.fates.mark;
        for (routed, mark) in self.fates.routed.iter_mut().zip(mark) {
            *routed = self.space.diagrams.either(packets, mark, *routed);
        }
    }

    /// Translates connections; the packets that go on.
    fn translate(&mut self, entries: &[Entry<'a>], mut live: Function) -> Result<Function, Limit> {
        let asks = self.space.is(self.space.decided, NOTHING);
        for entry in entries {
            let translated: Vec<_> = self.fates.translations.values().copied().collect();
            let translated = self.space.diagrams.any(translated);
            let open = self.space.diagrams.minus(asks, translated);
            let asked = self.space.diagrams.and(live, open);
            let passed = self.space.diagrams.minus(live, open);
            let back = self.base_chain(*entry, asked)?;
            live = self.space.diagrams.or(passed, back);
            self.version += 1;
        }
        let becomes = self.space.is(self.space.decided, BECOMES);
        let decided = Landing { address: None, port: Port::Decided };
        self.land(decided, becomes, becomes);
        for (translation, packets) in self.fates.translations.clone() {
            let packets = self.space.diagrams.and(packets, asks);
            let (address, port) = match (translation, self.space.hook) {
                (Translation::Redirect { port }, Hook::Output) => {
                    (Some(loopback(self.space.family)), Port::This(port))
                }
                (Translation::Redirect { port }, _) => (None, Port::This(port)),
                (Translation::Snat { to }, _) => (Some(to), Port::Same),
            };
            let moved = match address {
                Some(address) if self.space.hook == Hook::Output => {
                    let same = self.space.is(self.space.destination, number(address));
                    self.space.diagrams.minus(packets, same)
                }
                _ => packets,
            };
            self.land(Landing { address, port }, packets, moved);
        }
        Ok(live)
    }

    /// Gives an end of `packets` another value. Those whose address changes are routed anew.
    fn land(&mut self, landing: Landing, packets: Function, moved: Function) {
        if packets == Function::FALSE {
            return;
        }
        self.landed.push((landing, packets));
        if self.space.hook == Hook::Output {
            self.route(moved);
        }
    }

    /// Runs a chain; the packets that come back from it.
    fn chain(
        &mut self,
        table: &'a Table,
        chain: &'a Chain,
        live: Function,
        depth: usize,
    ) -> Result<Function, Limit> {
        if live == Function::FALSE {
            return Ok(live);
        }
        if depth > DEEPEST {
            return Err(Limit::Depth { chain: chain.name.to_string() });
        }
        // The same packets in the same condition fare the same, so no chain runs twice for them.
        let key = (std::ptr::from_ref(chain), live, self.version);
        if let Some((returned, taken)) = self.known.get(&key).copied() {
            self.take(taken);
            return Ok(returned);
        }
        let outer = std::mem::replace(&mut self.taken, NONE);
        let returned = self.rules(table, chain, live, depth)?;
        let taken = std::mem::replace(&mut self.taken, outer);
        if key.2 == self.version {
            self.known.insert(key, (returned, taken));
        }
        self.take(taken);
        Ok(returned)
    }

    /// How many of the first of `rules` do the same, so that they can run as one: at least one.
    fn alike(&self, table: &Table, rules: &[Rule]) -> usize {
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
            Action::Jump(to) => {
                let target = self.chains.get(&(std::ptr::from_ref(table), to));
                target.is_none_or(|chain| !self.marking.contains(&std::ptr::from_ref(*chain)))
            }
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

    fn take(&mut self, Taken { accepted, dropped }: Taken) {
        self.taken.accepted = self.space.diagrams.or(self.taken.accepted, accepted);
        self.taken.dropped = self.space.diagrams.or(self.taken.dropped, dropped);
    }

    fn rules(
        &mut self,
        table: &'a Table,
        chain: &'a Chain,
        mut live: Function,
        depth: usize,
    ) -> Result<Function, Limit> {
        let mut returned = Vec::new();
        let mut rules = chain.rules.as_slice();
        while live != Function::FALSE
            && let Some(first) = rules.first()
        {
            let (alike, rest) = rules.split_at(self.alike(table, rules));
            rules = rest;
            self.visits += alike.len();
            if self.visits > MOST_VISITS {
                return Err(Limit::Rules);
            }
            if self.space.diagrams.is_full() {
                return Err(Limit::Memory);
            }
            let matching = self.union(table, alike);
            let hit = self.space.diagrams.and(live, matching);
            if hit == Function::FALSE {
                continue;
            }
            let left = self.space.diagrams.minus(live, matching);
            let next = match &first.then {
                Action::Return => {
                    self.leave(hit, depth);
                    returned.push(hit);
                    Function::FALSE
                }
                Action::Jump(to) | Action::Goto(to) => {
                    let target = self.chains.get(&(std::ptr::from_ref(table), to)).copied();
                    let back = match target {
                        Some(target) if depth + 1 < table.chains.len() => {
                            self.chain(table, target, hit, depth + 1)?
                        }
                        _ => hit,
                    };
                    if matches!(first.then, Action::Jump(_)) {
                        back
                    } else {
                        self.leave(back, depth);
                        returned.push(back);
                        Function::FALSE
                    }
                }
                then => self.act(then, hit),
            };
            live = self.space.diagrams.or(left, next);
        }
        returned.push(live);
        Ok(self.space.diagrams.any(returned))
    }

    /// Notes that packets leave the chain, if it is a base chain, before its end.
    fn leave(&mut self, packets: Function, depth: usize) {
        if depth == 0 {
            self.fates.left_early = self.space.diagrams.or(self.fates.left_early, packets);
        }
    }

    /// Does `then`, which stays in the chain or ends the base chain, to `packets`; those for the
    /// next rule.
    fn act(&mut self, then: &Action, packets: Function) -> Function {
        match then {
            Action::Accept => self.accept(packets),
            Action::Drop => self.drop(packets),
            Action::Redirect { port } => {
                self.translated(Translation::Redirect { port: *port }, packets);
            }
            Action::Snat { to } => self.translated(Translation::Snat { to: *to }, packets),
            Action::Tproxy { port, mark, on_miss } => {
                let listener = self.space.listeners.iter().find(|(known, _)| known == port);
                let listener = listener.map_or(Function::TRUE, |(_, variable)| {
                    self.space.diagrams.variable(*variable)
                });
                let hit = self.space.diagrams.and(packets, listener);
                if hit != Function::FALSE {
                    self.version += 1;
                    for at in self.fates.proxies.values_mut() {
                        *at = self.space.diagrams.minus(*at, hit);
                    }
                    let at = self.fates.proxies.entry(*port).or_insert(Function::FALSE);
                    *at = self.space.diagrams.or(*at, hit);
                    self.set_mark(hit, |bits, shift| masked(bits[shift], *mark, shift));
                    self.accept(hit);
                }
                let miss = self.space.diagrams.minus(packets, listener);
                match on_miss {
                    OnMiss::Drop => self.drop(miss),
                    OnMiss::Continue => return miss,
                }
            }
            Action::SetMark(change) => {
                self.set_mark(packets, |bits, shift| masked(bits[shift], *change, shift));
                return packets;
            }
            Action::SetConnmark(change) => {
                self.set_connmark(packets, |walk, shift| {
                    masked(walk.fates.connmark[shift], *change, shift)
                });
                return packets;
            }
            Action::SaveMark(masks) => {
                self.set_connmark(packets, |walk, shift| {
                    let Fates { mark, connmark, .. } = walk.fates;
                    let diagrams = &mut walk.space.diagrams;
                    copied(diagrams, (connmark, masks.connection), (mark, masks.packet), shift)
                });
                return packets;
            }
            Action::RestoreMark(masks) => {
                let connected = self.connected();
                let with = self.space.diagrams.and(packets, connected);
                let Fates { mark, connmark, .. } = self.fates;
                let new: Bits = std::array::from_fn(|shift| {
                    let diagrams = &mut self.space.diagrams;
                    copied(diagrams, (mark, masks.packet), (connmark, masks.connection), shift)
                });
                self.set_mark(with, |_, shift| new[shift]);
                return packets;
            }
            Action::SetZone(zone) => {
                let zoned: Vec<_> = self.fates.zones.values().copied().collect();
                let zoned = self.space.diagrams.any(zoned);
                let free = self.space.diagrams.minus(self.untracked, zoned);
                let set = self.space.diagrams.and(packets, free);
                if set != Function::FALSE {
                    let at = self.fates.zones.entry(*zone).or_insert(Function::FALSE);
                    *at = self.space.diagrams.or(*at, set);
                    self.version += 1;
                }
                return packets;
            }
            Action::Return | Action::Jump(_) | Action::Goto(_) | Action::Log => return packets,
        }
        Function::FALSE
    }

    fn accept(&mut self, packets: Function) {
        self.taken.accepted = self.space.diagrams.or(self.taken.accepted, packets);
    }

    fn drop(&mut self, packets: Function) {
        self.taken.dropped = self.space.diagrams.or(self.taken.dropped, packets);
    }

    fn translated(&mut self, to: Translation, packets: Function) {
        for at in self.fates.translations.values_mut() {
            *at = self.space.diagrams.minus(*at, packets);
        }
        let at = self.fates.translations.entry(to).or_insert(Function::FALSE);
        *at = self.space.diagrams.or(*at, packets);
        self.version += 1;
        self.accept(packets);
    }

    /// Gives `packets` the mark of which `new` tells each bit.
    fn set_mark(&mut self, packets: Function, new: impl Fn(&Bits, usize) -> Function) {
        let old = self.fates.mark;
        let diagrams = &mut self.space.diagrams;
        let bits =
            std::array::from_fn(|shift| diagrams.either(packets, new(&old, shift), old[shift]));
        self.version += usize::from(bits != old);
        self.fates.mark = bits;
    }

    /// Gives those of `packets` that have a connection the mark of which `new` tells each bit.
    fn set_connmark(
        &mut self,
        packets: Function,
        mut new: impl FnMut(&mut Self, usize) -> Function,
    ) {
        let connected = self.connected();
        let with = self.space.diagrams.and(packets, connected);
        let old = self.fates.connmark;
        let bits = std::array::from_fn(|shift| {
            let new = new(self, shift);
            self.space.diagrams.either(with, new, old[shift])
        });
        self.version += usize::from(bits != old);
        self.fates.connmark = bits;
    }

    /// The packets whose connection is known.
    fn connected(&mut self) -> Function {
        let connected = self.space.connected();
        self.space.diagrams.minus(connected, self.untracked)
    }

    fn finish(self, live: Function) -> Fates {
        let Self { space, mut fates, taken, .. } = self;
        fates.accepted = live;
        // Of a packet that is dropped, only what it left on its connection can be observed.
        let all = space.all();
        let dropped = space.diagrams.and(all, taken.dropped);
        let began = space.new_connections();
        let began = space.diagrams.and(dropped, began);
        let [mark, connmark] = space.marks();
        for map in [&mut fates.proxies, &mut fates.zones] {
            for packets in map.values_mut() {
                *packets = space.diagrams.and(*packets, live);
            }
        }
        for packets in fates.translations.values_mut() {
            *packets = space.diagrams.and(*packets, live);
        }
        if space.hook != Hook::Output {
            fates.routed = fates.mark;
        }
        for (bits, first, lost) in [
            (&mut fates.mark, &mark, dropped),
            (&mut fates.routed, &mark, dropped),
            (&mut fates.connmark, &connmark, began),
        ] {
            for (bit, first) in bits.iter_mut().zip(first) {
                *bit = space.diagrams.either(lost, *first, *bit);
            }
        }
        fates.left_early = space.diagrams.and(fates.left_early, live);
        fates
    }

    /// The packets that one of `rules` matches.
    fn union(&mut self, table: &Table, mut rules: &[Rule]) -> Function {
        let mut parts = Vec::new();
        while let Some(first) = rules.first() {
            let pool = Pool::of(rules);
            rules = &rules[pool.rules..];
            parts.push(self.matching(table, first, &pool));
        }
        self.space.diagrams.any(parts)
    }

    fn matching(&mut self, table: &Table, rule: &Rule, pool: &Pool) -> Function {
        if !rule.families.has(self.space.family) {
            return Function::FALSE;
        }
        let mut all = Function::TRUE;
        for (place, when) in rule.when.iter().enumerate() {
            let part = match (&pool.ranges, when) {
                (Some((at, ranges)), Match::Address { of, nets, .. })
                    if *at == place && nets.family() == self.space.family =>
                {
                    self.address(*of, ranges)
                }
                _ => self.matches(table, when),
            };
            all = self.space.diagrams.and(all, part);
        }
        all
    }

    /// The packets that `when` holds for by now.
    fn matches(&mut self, table: &Table, when: &Match) -> Function {
        match when {
            Match::Protocol { protocol, not } => self.space.protocol(*protocol).negated_if(*not),
            Match::Port { of, ports, not } => {
                let among = self.port(*of, ports).negated_if(*not);
                let has_ports = self.space.has_ports();
                self.space.diagrams.and(has_ports, among)
            }
            Match::Address { of, nets, not } => {
                if nets.family() != self.space.family {
                    return Function::FALSE;
                }
                let ranges: Vec<_> = address_ranges(nets).collect();
                self.address(*of, &ranges).negated_if(*not)
            }
            Match::InSet { of, set, not } => {
                let declared = table.sets.iter().find(|known| known.name == *set);
                if declared.is_none_or(|known| known.family != self.space.family) {
                    return Function::FALSE;
                }
                let ruleset = self.ruleset;
                let came = self.space.set_of(ruleset, table, (*of).into(), set);
                let came = self.space.in_set(&came);
                let now = |walk: &mut Self, _| {
                    let set = walk.space.set_of(ruleset, table, End::Translated, set);
                    walk.space.in_set(&set)
                };
                self.seen(*of, came, now).negated_if(*not)
            }
            Match::Interface { of, names, not } => {
                self.space.interface(*of, names).negated_if(*not)
            }
            Match::Owner { owner, is } => {
                let ownerless = matches!(is, crate::ir::OwnerIs::NotIn { ownerless: true, .. });
                let owned = self.space.owner(*owner, is);
                let visible = self.sockets();
                let hidden = Function::FALSE.negated_if(ownerless);
                self.space.diagrams.either(visible, owned, hidden)
            }
            Match::SocketExists { not } => {
                let has = self.space.is(self.space.sender, NOBODY).not();
                let visible = self.sockets();
                self.space.diagrams.and(visible, has).negated_if(*not)
            }
            Match::Mark { mark, not } => {
                self.space.has_bits(&self.fates.mark, *mark).negated_if(*not)
            }
            Match::Connmark { mark, not } => {
                let has = self.space.has_bits(&self.fates.connmark, *mark).negated_if(*not);
                let connected = self.connected();
                self.space.diagrams.and(connected, has)
            }
            Match::CtState { states, not } => {
                let within = self.space.states(*states);
                let invalid = Function::FALSE.negated_if(states.has(CtState::Invalid));
                let seen = self.space.diagrams.either(self.untracked, invalid, within);
                seen.negated_if(*not)
            }
            Match::Local { of, not } => {
                let came = self.space.is_local((*of).into());
                let redirects: Vec<_> = self
                    .fates
                    .translations
                    .iter()
                    .filter(|(to, _)| matches!(to, Translation::Redirect { .. }))
                    .map(|(_, packets)| *packets)
                    .collect();
                let redirected = self.space.diagrams.any(redirects);
                let now = |walk: &mut Self, _| {
                    let local = walk.space.is_local(End::Translated);
                    walk.space.diagrams.or(redirected, local)
                };
                self.seen(*of, came, now).negated_if(*not)
            }
            Match::TransparentSocket => self.space.diagrams.variable(self.space.transparent_socket),
        }
    }

    /// The packets whose socket, if they have one, rules see.
    fn sockets(&mut self) -> Function {
        if self.space.hook.has_socket() {
            return Function::TRUE;
        }
        if self.space.hook != Hook::Prerouting {
            return Function::FALSE;
        }
        let taken: Vec<_> = self.fates.proxies.values().copied().collect();
        self.space.diagrams.any(taken)
    }

    fn port(&mut self, of: Direction, ports: &PortSet) -> Function {
        let field = match of {
            Direction::Source => self.space.source_port,
            Direction::Destination => self.space.destination_port,
        };
        let came = self.space.ports(field, ports);
        self.seen(of, came, |walk, landing| match landing.port {
            Port::Same => came,
            Port::Decided => walk.space.ports(walk.space.translated_port, ports),
            Port::This(port) => Function::FALSE.negated_if(ports.contains(port)),
        })
    }

    /// The packets whose address is in `ranges`.
    fn address(&mut self, of: Direction, ranges: &[(u128, u128)]) -> Function {
        let came = self.space.within(self.space.address(of), ranges);
        self.seen(of, came, |walk, landing| match landing.address {
            None => walk.space.within(walk.space.translated, ranges),
            Some(address) => {
                let address = number(address);
                let within = ranges.iter().any(|(first, last)| (*first..=*last).contains(&address));
                Function::FALSE.negated_if(within)
            }
        })
    }

    /// What holds of an end by now: `came`, where it is as it came, elsewhere what `now` says.
    fn seen(
        &mut self,
        of: Direction,
        came: Function,
        now: impl Fn(&mut Self, Landing) -> Function,
    ) -> Function {
        if self.space.hook.translates().is_none_or(|(end, _)| end != of) {
            return came;
        }
        let mut seen = came;
        for at in 0..self.landed.len() {
            let (landing, packets) = self.landed[at];
            let then = now(self, landing);
            seen = self.space.diagrams.either(packets, then, seen);
        }
        seen
    }
}

/// A bit of a mark after `change`.
const fn masked(old: Function, change: crate::ir::MarkChange, shift: usize) -> Function {
    let flip = change.flip >> shift & 1 == 1;
    if change.clear >> shift & 1 == 1 {
        Function::FALSE.negated_if(flip)
    } else {
        old.negated_if(flip)
    }
}

/// A bit of a mark after bits of another were copied to it, each under its mask.
fn copied(
    diagrams: &mut super::diagram::Diagrams,
    (to, clear): (Bits, u32),
    (from, taken): (Bits, u32),
    shift: usize,
) -> Function {
    let bit = |mask: u32| mask >> shift & 1 == 1;
    let kept = if bit(clear) { Function::FALSE } else { to[shift] };
    let flip = if bit(taken) { from[shift] } else { Function::FALSE };
    diagrams.differ(kept, flip)
}

/// The chains that change marks, or lead to one that does.
fn marking_chains<'a>(
    ruleset: &'a Ruleset,
    chains: &HashMap<(*const Table, &'a Name), &'a Chain>,
) -> HashSet<*const Chain> {
    let mut callers: HashMap<*const Chain, Vec<*const Chain>> = HashMap::new();
    let mut open = Vec::new();
    for table in &ruleset.tables {
        for chain in &table.chains {
            let changes = |rule: &Rule| {
                matches!(
                    rule.then,
                    Action::SetMark(_)
                        | Action::SetConnmark(_)
                        | Action::SaveMark(_)
                        | Action::RestoreMark(_)
                )
            };
            if chain.rules.iter().any(changes) {
                open.push(std::ptr::from_ref(chain));
            }
            for target in chain.targets() {
                if let Some(target) = chains.get(&(std::ptr::from_ref(table), target)) {
                    callers.entry(std::ptr::from_ref(*target)).or_default().push(chain);
                }
            }
        }
    }
    let mut marking = HashSet::new();
    while let Some(chain) = open.pop() {
        if marking.insert(chain) {
            open.extend(callers.get(&chain).into_iter().flatten());
        }
    }
    marking
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
