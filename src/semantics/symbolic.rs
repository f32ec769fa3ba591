//! All packets through a ruleset at once.
//!
//! What rules have done to packets is kept as functions of the packets as they came: each bit of
//! the marks, and for each translation, proxy and zone the packets that have it. A chain runs for a
//! set of packets and answers with those that come back from it.

mod acting;
mod alike;
mod matching;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use self::alike::marking_chains;
pub(crate) use self::alike::{changes_marks, is_once_enough, lasts};
pub(super) use self::matching::arriving;
use super::diagram::Function;
use super::space::{BECOMES, Bits, NOTHING, Space, number};
use super::{Limit, Translation};
use crate::ir::{
    Action, Chain, ChainKind, Direction, Entry, Hook, Rule, Ruleset, Schedule, Step, Table,
};
use crate::net::Name;

/// What becomes of all packets. Every packet is either dropped, or has at most one of each kind of
/// thing; of targets it can have met several.
#[derive(Clone)]
pub(super) struct Fates {
    /// The packets that go on.
    pub(super) accepted: Function,
    /// Those that a target takes.
    pub(super) taken: Function,
    /// Those that met each target that the model does not follow.
    pub(super) targets: BTreeMap<Arc<str>, Function>,
    pub(super) translations: BTreeMap<Translation, Function>,
    /// Those that are translated in one way or another.
    pub(super) translated: Function,
    pub(super) proxies: BTreeMap<u16, Function>,
    pub(super) zones: BTreeMap<u16, Function>,
    pub(super) mark: Bits,
    pub(super) connmark: Bits,
    /// The mark under which packets were routed last, at output.
    pub(super) routed: Bits,
    /// The packets that are exempt from connection tracking.
    pub(super) exempt: Function,
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
    walked(Walk::new(space, ruleset), schedule).map(|(fates, _)| fates)
}

/// The packets of `space` that each rule of `ruleset` meets and matches on the way through
/// `schedule`; a rule that none does is not there.
///
/// # Errors
///
/// If it takes too long, or too much memory.
pub(super) fn hits(
    space: &mut Space,
    ruleset: &Ruleset,
    schedule: &Schedule<'_>,
) -> Result<HashMap<*const Rule, Function>, Limit> {
    let walk = Walk { hits: Some(HashMap::new()), ..Walk::new(space, ruleset) };
    walked(walk, schedule).map(|(_, hits)| hits.unwrap_or_default())
}

/// What each rule has met, if that is asked.
type Hits = Option<HashMap<*const Rule, Function>>;

fn walked<'a>(mut walk: Walk<'a>, schedule: &Schedule<'a>) -> Result<(Fates, Hits), Limit> {
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
    let hits = walk.hits.take();
    Ok((walk.finish(live), hits))
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
    hits: Hits,
}

/// Packets that run no further rules.
#[derive(Clone, Copy)]
struct Taken {
    accepted: Function,
    dropped: Function,
    /// Those that a target takes.
    elsewhere: Function,
}

const NONE: Taken =
    Taken { accepted: Function::FALSE, dropped: Function::FALSE, elsewhere: Function::FALSE };

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
                taken: Function::FALSE,
                targets: BTreeMap::new(),
                translations: BTreeMap::new(),
                translated: Function::FALSE,
                proxies: BTreeMap::new(),
                zones: BTreeMap::new(),
                mark,
                connmark,
                routed: mark,
                exempt: Function::FALSE,
                left_early: Function::FALSE,
            },
            untracked,
            landed: Vec::new(),
            taken: NONE,
            version: 0,
            known: HashMap::new(),
            visits: 0,
            hits: None,
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
        let asks = self.space.diagrams.minus(asks, self.fates.exempt);
        for entry in entries {
            let open = self.space.diagrams.minus(asks, self.fates.translated);
            let asked = self.space.diagrams.and(live, open);
            let passed = self.space.diagrams.minus(live, open);
            let back = self.base_chain(*entry, asked)?;
            live = self.space.diagrams.or(passed, back);
            self.version += 1;
        }
        let becomes = self.space.is(self.space.decided, BECOMES);
        let becomes = self.space.diagrams.and(becomes, live);
        let becomes = self.space.diagrams.minus(becomes, self.fates.exempt);
        self.land(Landing { address: None, port: Port::Decided }, becomes);
        let mut all_moved = vec![becomes];
        for (translation, packets) in self.fates.translations.clone() {
            let packets = self.space.diagrams.and(packets, asks);
            let (address, port) = match (translation, self.space.hook) {
                (Translation::Redirect { port }, Hook::Output) => {
                    (Some(self.space.family.loopback()), Port::This(port))
                }
                (Translation::Redirect { port }, _) => (None, Port::This(port)),
                (Translation::Snat { to }, _) => (Some(to), Port::Same),
                (Translation::Dnat { to, port }, _) => {
                    (Some(to), port.map_or(Port::Same, Port::This))
                }
                (Translation::Opaque { .. }, _) => (None, Port::Decided),
            };
            let moved = match address {
                Some(address) if self.space.hook == Hook::Output => {
                    let same = self.space.is(self.space.destination, number(address));
                    self.space.diagrams.minus(packets, same)
                }
                _ => packets,
            };
            self.land(Landing { address, port }, packets);
            all_moved.push(moved);
        }
        // Those whose address changes are routed anew: all at once, because each time costs as much as
        // there is.
        if self.space.hook == Hook::Output {
            let moved = self.space.diagrams.any(all_moved);
            self.route(moved);
        }
        Ok(live)
    }

    /// Gives an end of `packets` another value.
    fn land(&mut self, landing: Landing, packets: Function) {
        if packets != Function::FALSE {
            self.landed.push((landing, packets));
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

    fn take(&mut self, Taken { accepted, dropped, elsewhere }: Taken) {
        self.taken.elsewhere = self.space.diagrams.or(self.taken.elsewhere, elsewhere);
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
            // What each rule meets is asked of each alone.
            let alike = if self.hits.is_some() { 1 } else { self.alike(table, rules) };
            let (alike, rest) = rules.split_at(alike);
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
            if let Some(hits) = &mut self.hits {
                let known = hits.entry(std::ptr::from_ref(first)).or_insert(Function::FALSE);
                *known = self.space.diagrams.or(*known, hit);
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

    fn finish(self, live: Function) -> Fates {
        let Self { space, mut fates, taken, .. } = self;
        fates.accepted = live;
        // Of a packet that is dropped, only what it left on its connection can be observed.
        let all = space.all();
        let dropped = space.diagrams.and(all, taken.dropped);
        let began = space.new_connections();
        let began = space.diagrams.and(dropped, began);
        fates.taken = space.diagrams.and(all, taken.elsewhere);
        let kept = space.diagrams.or(live, fates.taken);
        fates.exempt = space.diagrams.and(fates.exempt, kept);
        let [mark, connmark] = space.marks();
        let numbered = fates.proxies.values_mut().chain(fates.zones.values_mut());
        let named = fates.translations.values_mut().chain(fates.targets.values_mut());
        for packets in numbered.chain(named) {
            *packets = space.diagrams.and(*packets, kept);
        }
        fates.translated = space.diagrams.and(fates.translated, kept);
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
}
