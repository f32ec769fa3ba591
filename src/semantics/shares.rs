//! All packets of a question, shared out by what becomes of them: by protocol, port and one address, as few
//! shares as say it.
//!
//! The shares of one question are apart, and together they are all of its packets.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ipnet::IpNet;

use super::diagram::Function;
use super::find::asked;
use super::kinds::{Kinds, kinds};
use super::space::{PROCESS, Space};
use super::symbolic::{Fates, fates};
use super::traffic::{Topic, Word};
use super::witness::{address, packet};
use super::{Limit, Outcome, Traffic, Verdict};
use crate::ir::{Direction, Hook, Match, Protocol, Ruleset};
use crate::net::{Family, PortRange, PortSet, aggregate};

/// Packets of which one thing becomes, or of which it depends on more than protocol, port and address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Share {
    /// Their protocols.
    pub protocols: Listed<Option<Protocol>>,
    /// The ports that they go to. Of protocols without ports, every one.
    pub ports: PortSet,
    /// Whether a list of the ports that are left out is shorter.
    pub tells_other_ports: bool,
    /// Their addresses; `None`: every one that the question is about.
    pub addresses: Option<Listed<IpNet>>,
    /// What becomes of them, and of which: one outcome, without words, or several. Marks and zones are not
    /// looked at.
    pub becomes: Vec<(Outcome, Vec<String>)>,
}

/// Some values of a kind: these, or all others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed<T> {
    /// The values, sorted.
    pub items: Vec<T>,
    /// Whether all others are meant.
    pub not: bool,
}

/// How all packets of a question are shared out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shares {
    /// Each share; in `rest`, those that are left.
    pub shares: Vec<Share>,
    /// What becomes of all others.
    pub rest: Vec<(Outcome, Vec<String>)>,
    /// What that supposes about the order of chains that tie: empty if every order leads to the same.
    pub supposes: Vec<String>,
    /// What rules ask that packets do not tell, and on which it may depend what becomes of them: the usual
    /// answers count.
    pub asks: BTreeSet<Arc<str>>,
}

/// Most shares of a question.
const MOST_SHARES: usize = 20_000;

/// Most ways in which it may depend on something else what becomes of packets.
const MOST_PROFILES: usize = 256;

/// Shares out the packets of `family` at `hook` that all of `when` hold for as they arrive, by protocol,
/// destination port, and the address that `of` says; none if there are no such packets.
///
/// The packets are those that [`find`](super::find) looks at, with the usual answers to what rules ask and
/// packets do not tell.
///
/// # Errors
///
/// If the ruleset is too entangled to tell.
pub fn shares(
    ruleset: &Ruleset,
    (hook, family): (Hook, Family),
    when: &[Match],
    of: Direction,
) -> Result<Option<Shares>, Limit> {
    let mut space = Space::new(hook, family, &[ruleset], when);
    let mut all = asked(&mut space, ruleset, when);
    let possible = space.possible();
    all = space.diagrams.and(all, possible);
    if hook == Hook::Postrouting {
        // What a process sends came in nowhere.
        let (sent, came) = (space.is(space.sender, PROCESS), space.is(space.input, 0).not());
        let both = space.diagrams.and(sent, came);
        all = space.diagrams.minus(all, both);
    }
    for (holds, variable) in space.holds.clone() {
        let answer = space.diagrams.variable(variable).negated_if(!holds.condition.is_usual);
        all = space.diagrams.and(all, answer);
    }
    if all == Function::FALSE {
        return Ok(None);
    }
    let schedules = ruleset.schedules(hook, family)?;
    let mut first: Option<Vec<(Outcome, Function)>> = None;
    let (mut supposes, mut asks) = (Vec::new(), BTreeSet::new());
    for schedule in &schedules {
        let fates = fates(&mut space, ruleset, schedule)?;
        asks.extend(questions(&space, &fates));
        let outcomes = outcomes(&mut space, &fates, all);
        match &first {
            None => first = Some(outcomes),
            Some(known) if *known == outcomes => {}
            Some(_) => supposes.clone_from(&schedules[0].supposes),
        }
    }
    let mut sharing = Sharing::new(&mut space, of, all, first.unwrap_or_default());
    let parts = sharing.parts()?;
    if space.diagrams.is_full() {
        return Err(Limit::Memory);
    }
    let mut shares: Vec<(usize, Share)> = Vec::new();
    let mut sharing = Sharing::new(&mut space, of, all, Vec::new());
    let domain = sharing.addresses(all);
    for (place, (packets, becomes)) in parts.iter().enumerate() {
        for mut share in sharing.rows(*packets, domain)? {
            share.becomes.clone_from(becomes);
            shares.push((place, share));
            if shares.len() > MOST_SHARES {
                return Err(Limit::Shares);
            }
        }
    }
    if space.diagrams.is_full() {
        return Err(Limit::Memory);
    }
    let mut counts = vec![0_usize; parts.len()];
    for (place, _) in &shares {
        counts[*place] += 1;
    }
    let is_plain = |place: usize| {
        parts[place].1.iter().all(|(outcome, _)| outcome.is_plain()) && parts[place].1.len() == 1
    };
    let rest = (0..parts.len())
        .max_by_key(|place| (counts[*place], is_plain(*place), parts.len() - place));
    let rest = rest.unwrap_or_default();
    shares.retain(|(place, _)| *place != rest);
    let rest = parts.into_iter().nth(rest).map(|(_, becomes)| becomes).unwrap_or_default();
    Ok(Some(Shares {
        shares: shares.into_iter().map(|(_, share)| share).collect(),
        rest,
        supposes,
        asks,
    }))
}

impl Outcome {
    /// Whether the packet goes on as it came, marks and zones aside.
    fn is_plain(&self) -> bool {
        self.verdict == Verdict::Accept && self.translation.is_none() && self.tproxy.is_none()
    }
}

/// What rules ask that packets do not tell, of all on which `fates` depend.
fn questions(space: &Space, fates: &Fates) -> BTreeSet<Arc<str>> {
    let open: HashMap<u32, &Arc<str>> =
        space.holds.iter().map(|(holds, variable)| (*variable, &holds.condition.text)).collect();
    if open.is_empty() {
        return BTreeSet::new();
    }
    let functions = [fates.accepted, fates.taken].into_iter();
    let functions = functions.chain(fates.translations.values().copied());
    let functions = functions.chain(fates.proxies.values().copied());
    let variables: HashSet<u32> = functions.flat_map(|it| space.diagrams.variables(it)).collect();
    let asked = open.into_iter().filter(|(variable, _)| variables.contains(variable));
    asked.map(|(_, text)| Arc::clone(text)).collect()
}

/// What becomes of `packets`, each with those of which it does, marks, zones and tracking aside. What is handed to
/// a transparent proxy counts as that, whatever else becomes of it.
fn outcomes(space: &mut Space, fates: &Fates, packets: Function) -> Vec<(Outcome, Function)> {
    let plain = Outcome {
        verdict: Verdict::Accept,
        translation: None,
        tproxy: None,
        mark: 0,
        routed: 0,
        connmark: 0,
        zone: None,
        untracked: false,
        targets: BTreeSet::new(),
    };
    let mut all = Vec::new();
    let mut accepted = space.diagrams.and(packets, fates.accepted);
    for (port, at) in &fates.proxies {
        let handed = space.diagrams.and(accepted, *at);
        accepted = space.diagrams.minus(accepted, *at);
        all.push((Outcome { tproxy: Some(*port), ..plain.clone() }, handed));
    }
    for (to, at) in &fates.translations {
        let translated = space.diagrams.and(accepted, *at);
        all.push((Outcome { translation: Some(to.clone()), ..plain.clone() }, translated));
    }
    let untranslated = space.diagrams.minus(accepted, fates.translated);
    all.push((plain.clone(), untranslated));
    let taken = space.diagrams.and(packets, fates.taken);
    let mut by_targets = vec![(Outcome { verdict: Verdict::Taken, ..plain.clone() }, taken)];
    for (text, at) in &fates.targets {
        let mut parts = Vec::new();
        for (outcome, packets) in by_targets {
            let mut met = outcome.clone();
            met.targets.insert(Arc::clone(text));
            parts.push((met, space.diagrams.and(packets, *at)));
            parts.push((outcome, space.diagrams.minus(packets, *at)));
        }
        parts.retain(|(_, packets)| *packets != Function::FALSE);
        by_targets = parts;
    }
    all.extend(by_targets);
    let gone = space.diagrams.or(fates.accepted, fates.taken);
    let dropped = space.diagrams.minus(packets, gone);
    all.push((Outcome { verdict: Verdict::Drop, ..plain }, dropped));
    all.retain(|(_, packets)| *packets != Function::FALSE);
    all
}

/// Ports, as inclusive ranges that are sorted and apart.
type Ranges = Vec<(u16, u16)>;

/// What becomes of a part, and of which of its packets.
type Becomes = Vec<(Outcome, Vec<String>)>;

struct Sharing<'s> {
    space: &'s mut Space,
    of: Direction,
    all: Function,
    outcomes: Vec<(Outcome, Function)>,
    /// The variables of protocol, port and address.
    told: BTreeSet<u32>,
    /// All other variables.
    others: BTreeSet<u32>,
}

impl<'s> Sharing<'s> {
    fn new(
        space: &'s mut Space,
        of: Direction,
        all: Function,
        outcomes: Vec<(Outcome, Function)>,
    ) -> Self {
        let told = [space.protocol, space.destination_port, space.address(of)];
        let variables =
            |field: super::field::Field| (0..field.bits()).map(move |bit| field.variable(bit));
        let told: BTreeSet<u32> = told.into_iter().flat_map(variables).collect();
        let every = space.fields().into_iter().flat_map(variables);
        let others = every.filter(|variable| !told.contains(variable)).collect();
        Self { space, of, all, outcomes, told, others }
    }

    /// The packets for which, whatever `variables` are, there is one of `packets`.
    fn some(&mut self, packets: Function, variables: &BTreeSet<u32>) -> Function {
        self.space.diagrams.whatever(packets.not(), variables).not()
    }

    /// Protocols, ports and addresses that are apart, and what becomes of their packets.
    fn parts(&mut self) -> Result<Vec<(Function, Becomes)>, Limit> {
        let others = self.others.clone();
        let outcomes = self.outcomes.clone();
        let shadows: Vec<Function> =
            outcomes.iter().map(|(_, packets)| self.some(*packets, &others)).collect();
        // What only one outcome becomes of.
        let mut once = Function::FALSE;
        let mut twice = Function::FALSE;
        for shadow in &shadows {
            let both = self.space.diagrams.and(once, *shadow);
            twice = self.space.diagrams.or(twice, both);
            once = self.space.diagrams.or(once, *shadow);
        }
        let mut parts: Vec<(Function, Becomes)> = Vec::new();
        for ((outcome, _), shadow) in outcomes.iter().zip(&shadows) {
            let only = self.space.diagrams.minus(*shadow, twice);
            if only != Function::FALSE {
                parts.push((only, vec![(outcome.clone(), Vec::new())]));
            }
        }
        let mut rest = twice;
        let mut count = 0;
        while rest != Function::FALSE {
            count += 1;
            if count > MOST_PROFILES {
                return Err(Limit::Shares);
            }
            let (alike, becomes) = self.profile(rest);
            if alike == Function::FALSE {
                return Err(Limit::Memory);
            }
            rest = self.space.diagrams.minus(rest, alike);
            match parts.iter_mut().find(|(_, known)| *known == becomes) {
                Some((known, _)) => *known = self.space.diagrams.or(*known, alike),
                None => parts.push((alike, becomes)),
            }
        }
        Ok(parts)
    }

    /// Those of `rest` of which the same becomes, of the same packets, as of one of them.
    fn profile(&mut self, rest: Function) -> (Function, Becomes) {
        let (told, others) = (self.told.clone(), self.others.clone());
        let some = self.space.diagrams.and(self.all, rest);
        let witness = packet(self.space, some);
        let mut point = Function::TRUE;
        let protocols = &self.space.protocols;
        let protocol = protocols.iter().position(|known| *known == witness.protocol);
        let address = match self.of {
            Direction::Source => witness.source,
            Direction::Destination => witness.destination,
        };
        let fields = [
            (self.space.protocol, protocol.unwrap_or_default() as u128),
            (self.space.destination_port, u128::from(witness.destination_port)),
            (self.space.address(self.of), super::space::number(address)),
        ];
        for (field, value) in fields {
            let is = self.space.is(field, value);
            point = self.space.diagrams.and(point, is);
        }
        let here = self.space.diagrams.and(self.all, point);
        let here = self.some(here, &told);
        let mut alike = rest;
        let mut becomes = Vec::new();
        for (outcome, packets) in self.outcomes.clone() {
            let at_point = self.space.diagrams.and(packets, point);
            let at_point = self.some(at_point, &told);
            let differ = self.space.diagrams.differ(packets, at_point);
            // Of those of the question only.
            let differ = self.space.diagrams.and(differ, self.all);
            let differ = self.some(differ, &others);
            alike = self.space.diagrams.minus(alike, differ);
            if at_point == Function::FALSE {
                continue;
            }
            let wanted = self.space.diagrams.and(packets, point);
            let first = packet(self.space, wanted);
            let free = self.space.diagrams.or(at_point, here.not());
            let among = self.space.diagrams.or(wanted, free.not());
            let Kinds { traffic, are_all, .. } = kinds(self.space, wanted, among, &first, false);
            let mut words: Vec<String> = traffic.iter().map(told_apart).collect();
            if !are_all {
                words.push("others".to_owned());
            }
            becomes.push((outcome, words));
        }
        (alike, becomes)
    }

    /// The addresses of `packets`, whatever their protocol and port.
    fn addresses(&mut self, packets: Function) -> Function {
        let address = self.space.address(self.of);
        let own: BTreeSet<u32> = (0..address.bits()).map(|bit| address.variable(bit)).collect();
        let others = self.others.iter().chain(&self.told).copied();
        let others: BTreeSet<u32> = others.filter(|variable| !own.contains(variable)).collect();
        self.some(packets, &others)
    }

    /// `packets`, which are told by protocol, port and address alone, in rows. `domain` has all addresses.
    fn rows(&mut self, packets: Function, domain: Function) -> Result<Vec<Share>, Limit> {
        let protocols = self.space.protocols.clone();
        let mut rows: BTreeMap<(Ranges, Function), Vec<usize>> = BTreeMap::new();
        let field = self.space.protocol;
        let own: BTreeSet<u32> = (0..field.bits()).map(|bit| field.variable(bit)).collect();
        for (place, protocol) in protocols.iter().enumerate() {
            let is = self.space.is(field, place as u128);
            let some = self.space.diagrams.and(packets, is);
            let some = self.some(some, &own);
            let has_ports = protocol.is_some_and(Protocol::has_ports);
            let mut ports: BTreeMap<Function, Ranges> = BTreeMap::new();
            if has_ports {
                self.by_port(some, (0, 0), &mut ports);
            } else {
                let addresses = self.addresses(some);
                ports.insert(addresses, vec![(0, u16::MAX)]);
            }
            for (addresses, ports) in ports {
                if addresses != Function::FALSE {
                    rows.entry((ports, addresses)).or_default().push(place);
                }
            }
        }
        let mut told = Vec::new();
        for ((ports, addresses), places) in rows {
            told.push(Share {
                protocols: protocols_among(&protocols, &places),
                tells_other_ports: others_are_fewer(&ports),
                ports: ports
                    .iter()
                    .filter_map(|(first, last)| PortRange::new(*first, *last))
                    .collect(),
                addresses: self.among(addresses, domain)?,
                becomes: Vec::new(),
            });
        }
        Ok(told)
    }

    /// The ports of `packets`, in ranges, by the addresses that they have.
    fn by_port(
        &mut self,
        packets: Function,
        (bit, before): (u32, u32),
        ports: &mut BTreeMap<Function, Ranges>,
    ) {
        let field = self.space.destination_port;
        let depends = self
            .space
            .diagrams
            .root(packets)
            .is_some_and(|root| (bit..field.bits()).any(|bit| field.variable(bit) == root));
        if depends {
            let (low, high) = self.space.diagrams.halves(packets, field.variable(bit));
            self.by_port(low, (bit + 1, before << 1), ports);
            self.by_port(high, (bit + 1, before << 1 | 1), ports);
            return;
        }
        let width = field.bits() - bit;
        let first = before << width;
        let last = first + ((1_u32 << width) - 1);
        let narrow = |port: u32| u16::try_from(port).unwrap_or(u16::MAX);
        let ranges = ports.entry(packets).or_default();
        match ranges.last_mut() {
            Some((_, end)) if u32::from(*end) + 1 == first => *end = narrow(last),
            _ => ranges.push((narrow(first), narrow(last))),
        }
    }

    /// `addresses` in prefixes, or those of `domain` that are not among them, whichever are fewer.
    fn among(
        &mut self,
        addresses: Function,
        domain: Function,
    ) -> Result<Option<Listed<IpNet>>, Limit> {
        let lacking = self.space.diagrams.minus(domain, addresses);
        if lacking == Function::FALSE {
            return Ok(None);
        }
        let has = self.prefixes(addresses);
        let lacks = self.prefixes(lacking);
        Ok(Some(match (has, lacks) {
            (Some(has), Some(lacks)) if lacks.len() < has.len() => {
                Listed { items: lacks, not: true }
            }
            (Some(has), _) => Listed { items: has, not: false },
            (None, Some(lacks)) => Listed { items: lacks, not: true },
            (None, None) => return Err(Limit::Shares),
        }))
    }

    /// The prefixes of a set of addresses; `None` if they are too many.
    fn prefixes(&mut self, addresses: Function) -> Option<Vec<IpNet>> {
        let mut found = Vec::new();
        self.below(addresses, (0, 0), &mut found)?;
        let nets = aggregate(&found, self.space.family)?;
        Some(nets.iter().collect())
    }

    fn below(
        &self,
        addresses: Function,
        (bit, before): (u32, u128),
        found: &mut Vec<IpNet>,
    ) -> Option<()> {
        if addresses == Function::FALSE {
            return Some(());
        }
        let field = self.space.address(self.of);
        if addresses == Function::TRUE {
            let width = field.bits() - bit;
            let first = if width >= 128 { 0 } else { before << width };
            let length = u8::try_from(bit).ok()?;
            found.push(IpNet::new(address(self.space.family, first), length).ok()?);
            return (found.len() <= MOST_PREFIXES).then_some(());
        }
        let (low, high) = self.space.diagrams.halves(addresses, field.variable(bit));
        self.below(low, (bit + 1, before << 1), found)?;
        self.below(high, (bit + 1, before << 1 | 1), found)
    }
}

/// What tells a kind apart from others of a question, which says itself what the state is, and that nothing
/// goes over loopback.
fn told_apart(kind: &Traffic) -> String {
    let is_of_interface = |word: &Word| matches!(word.topic, Topic::Input | Topic::Output);
    let without_lo = |word: &Word| {
        let mut word = word.clone();
        if is_of_interface(&word) && !word.not && word.values.len() > 1 {
            word.values.retain(|name| name != "lo");
        }
        word.to_string()
    };
    let words =
        kind.words.iter().filter(|word| word.topic != Topic::State || word.values != ["any state"]);
    words.map(without_lo).collect::<Vec<_>>().join(" ")
}

/// Most prefixes in which a set of addresses is told.
const MOST_PREFIXES: usize = 200_000;

/// The protocols at `places`, or all others, if "none that a rule names" is among them.
fn protocols_among(protocols: &[Option<Protocol>], places: &[usize]) -> Listed<Option<Protocol>> {
    let has_unnamed = places.iter().any(|place| protocols[*place].is_none());
    let every = protocols.iter().enumerate();
    let items = every.filter(|(place, _)| places.contains(place) != has_unnamed);
    Listed { items: items.map(|(_, protocol)| *protocol).collect(), not: has_unnamed }
}

/// Whether the ranges that are left out are fewer, or as many and narrower.
fn others_are_fewer(ports: &[(u16, u16)]) -> bool {
    let begins = ports.first().is_some_and(|(first, _)| *first == 0);
    let ends = ports.last().is_some_and(|(_, last)| *last == u16::MAX);
    let others = ports.len() + 1 - usize::from(begins) - usize::from(ends);
    let count: u32 = ports.iter().map(|(first, last)| u32::from(last - first) + 1).sum();
    others < ports.len() || others == ports.len() && count > 1 << 15
}
