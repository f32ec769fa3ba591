//! What rulesets name, and which numbers they tell apart.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::interfaces::Interfaces;
use super::lanes::{Lanes, Marks};
use super::space::{address_ranges, loopback, number};
use super::{End, Holds, InSet};
use crate::ir::{
    Action, Condition, Direction, Effect, Hook, Match, Owner, OwnerIs, Protocol, Ruleset, Table,
    Target,
};
use crate::net::{Family, Interface, Name};

/// What rulesets name.
pub(super) struct Vocabulary {
    pub(super) interfaces: Interfaces,
    pub(super) listeners: BTreeSet<u16>,
    pub(super) sets: BTreeSet<InSet>,
    /// TCP and UDP first, and "none of those" last.
    pub(super) protocols: Vec<Option<Protocol>>,
    pub(super) holds: BTreeSet<Holds>,
    /// Names of sets that several tables of one ruleset have.
    pub(super) namesakes: BTreeSet<Name>,
}

impl Vocabulary {
    pub(super) fn of(rulesets: &[&Ruleset], when: &[Match]) -> Self {
        let mut listeners = BTreeSet::new();
        let mut sets = BTreeSet::new();
        let mut interfaces = BTreeSet::new();
        let (mut others, mut holds) = (BTreeSet::new(), BTreeSet::new());
        let mut asked = |condition: &Condition| {
            holds.extend([false, true].map(|translated| Holds::asked(condition, translated)));
        };
        let namesakes = namesakes(rulesets);
        for ruleset in rulesets {
            for table in &ruleset.tables {
                let rules = || table.chains.iter().flat_map(|chain| &chain.rules);
                for rule in rules() {
                    match &rule.then {
                        Action::Tproxy { port, .. } => {
                            listeners.insert(*port);
                        }
                        Action::Opaque(Target { effect: Effect::Unknown(condition), .. }) => {
                            asked(condition);
                        }
                        _ => {}
                    }
                }
                for when in rules().flat_map(|rule| &rule.when).chain(when) {
                    match when {
                        Match::InSet { of, set, .. } => {
                            for end in [(*of).into(), End::Translated] {
                                sets.insert(in_set(ruleset, table, end, set, &namesakes));
                            }
                        }
                        Match::Interface { names, .. } => interfaces.extend(names),
                        Match::Protocol { protocol, .. } if !protocol.has_ports() => {
                            others.insert(*protocol);
                        }
                        Match::Opaque { condition, .. } => asked(condition),
                        _ => {}
                    }
                }
            }
        }
        // What goes over loopback is not as all other packets are.
        let lo = Interface::lo();
        interfaces.insert(&lo);
        let interfaces = Interfaces::told_apart_by(&interfaces);
        let protocols = [Protocol::Tcp, Protocol::Udp].into_iter().chain(others);
        let protocols = protocols.map(Some).chain([None]).collect();
        Self { interfaces, listeners, sets, protocols, holds, namesakes }
    }
}

/// The names of sets that rules in several tables of one of `rulesets` name.
fn namesakes(rulesets: &[&Ruleset]) -> BTreeSet<Name> {
    let mut several = BTreeSet::new();
    for ruleset in rulesets {
        let mut seen = BTreeSet::new();
        for table in &ruleset.tables {
            let matches = table.chains.iter().flat_map(|chain| &chain.rules);
            let matches = matches.flat_map(|rule| &rule.when);
            let named = matches.filter_map(|when| match when {
                Match::InSet { set, .. } => Some(set),
                _ => None,
            });
            let named: BTreeSet<_> = named.collect();
            several.extend(named.into_iter().filter(|set| !seen.insert(*set)).cloned());
        }
    }
    several
}

/// An address is in the set of a table. Which table, is said only where it could be another.
pub(super) fn in_set(
    ruleset: &Ruleset,
    table: &Table,
    end: End,
    set: &Name,
    namesakes: &BTreeSet<Name>,
) -> InSet {
    let table = namesakes.contains(set).then(|| InSet::table_name(ruleset, table));
    InSet { end, table, set: set.clone() }
}

/// The numbers of a field in classes, in their order. Of one class, rules treat all alike.
pub(super) struct Classes {
    /// The lowest number of each; the first is 0.
    starts: Vec<u128>,
}

impl Classes {
    fn beginning_at(mut starts: Vec<u128>) -> Self {
        starts.push(0);
        starts.sort_unstable();
        starts.dedup();
        Self { starts }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.starts.len()
    }

    /// The lowest number of the class at a place; behind the last, that of the last.
    pub(super) fn start(&self, place: u128) -> u128 {
        let last = self.starts.len() - 1;
        self.starts[usize::try_from(place).map_or(last, |place| place.min(last))]
    }

    /// The lowest number of the class in which `number` is, and the highest, of all up to `highest`.
    pub(super) fn around(&self, number: u128, highest: u128) -> (u128, u128) {
        let behind = self.starts.partition_point(|start| *start <= number);
        let last = self.starts.get(behind).map_or(highest, |next| next - 1);
        (self.starts[behind - 1], last)
    }

    /// The classes of the numbers from `first` to `last`, by place; none if those are not whole
    /// classes. `highest` is the highest number of the field.
    pub(super) fn within(
        &self,
        (first, last): (u128, u128),
        highest: u128,
    ) -> Option<(usize, usize)> {
        let from = self.starts.binary_search(&first).ok()?;
        if last == highest {
            return Some((from, self.starts.len() - 1));
        }
        let behind = self.starts.binary_search(&(last + 1)).ok()?;
        Some((from, behind - 1))
    }
}

/// The classes of all numbers that rules look at; none for those that are told exactly.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) source_port: Option<Classes>,
    pub(super) destination_port: Option<Classes>,
    pub(super) translated_port: Option<Classes>,
    pub(super) user: Option<Classes>,
    pub(super) group: Option<Classes>,
    pub(super) source: Option<Classes>,
    pub(super) destination: Option<Classes>,
    pub(super) translated: Option<Classes>,
    pub(super) lanes: Option<Lanes>,
}

impl Numbers {
    /// Those that `rulesets` and `when` tell apart in packets of `family` at `hook`. `with_packets`:
    /// what packets can really be is told apart, too, and every mark.
    pub(super) fn told_apart_by(
        rulesets: &[&Ruleset],
        when: &[Match],
        (hook, family): (Hook, Family),
        with_packets: bool,
    ) -> Self {
        let (mut starts, mut marks) = (Starts::default(), Marks::default());
        for when in when {
            starts.note(when, family);
            marks.note_match(when);
        }
        if with_packets {
            starts.note_loopback(family);
        }
        for table in rulesets.iter().flat_map(|ruleset| &ruleset.tables) {
            if !table.families.has(family) {
                continue;
            }
            let reached = table.reached_from(|base| base.hook == hook);
            let chains = table.chains.iter().filter(|chain| reached.contains(&chain.name));
            let rules = chains.flat_map(|chain| &chain.rules);
            for rule in rules.filter(|rule| rule.families.has(family)) {
                rule.when.iter().for_each(|when| starts.note(when, family));
                marks.note(rule);
                if let Action::Snat { to } | Action::Dnat { to, .. } = rule.then {
                    starts.note_address(to);
                }
            }
        }
        starts.note_address(family.loopback());
        // The kernel has no owner with the highest number.
        let [user, group] = [starts.user, starts.group].map(|mut ids| {
            ids.push(u32::MAX.into());
            Some(Classes::beginning_at(ids))
        });
        let (translated, translated_port) = match hook.translates() {
            Some((Direction::Source, _)) => (starts.source.clone(), starts.source_port.clone()),
            Some((Direction::Destination, _)) => {
                (starts.destination.clone(), starts.destination_port.clone())
            }
            None => (Vec::new(), Vec::new()),
        };
        Self {
            source_port: Some(Classes::beginning_at(starts.source_port)),
            destination_port: Some(Classes::beginning_at(starts.destination_port)),
            translated_port: Some(Classes::beginning_at(translated_port)),
            user,
            group,
            source: Some(Classes::beginning_at(starts.source)),
            destination: Some(Classes::beginning_at(starts.destination)),
            translated: Some(Classes::beginning_at(translated)),
            lanes: (!with_packets).then(|| marks.lanes()),
        }
    }
}

/// Where numbers begin that rules treat otherwise than those below.
#[derive(Default)]
struct Starts {
    source_port: Vec<u128>,
    destination_port: Vec<u128>,
    user: Vec<u128>,
    group: Vec<u128>,
    source: Vec<u128>,
    destination: Vec<u128>,
}

impl Starts {
    fn note(&mut self, when: &Match, family: Family) {
        match when {
            Match::Port { of, ports, .. } => {
                let starts = match of {
                    Direction::Source => &mut self.source_port,
                    Direction::Destination => &mut self.destination_port,
                };
                for range in ports.ranges() {
                    starts.push(range.first().into());
                    starts.extend(range.last().checked_add(1).map(u128::from));
                }
            }
            Match::Owner { owner, is } => {
                let (OwnerIs::In(ids) | OwnerIs::NotIn { ids, .. }) = is;
                let starts = match owner {
                    Owner::User => &mut self.user,
                    Owner::Group => &mut self.group,
                };
                for (first, last) in ids {
                    starts.push((*first).into());
                    starts.extend(last.checked_add(1).map(u128::from));
                }
            }
            Match::Address { of, nets, .. } if nets.family() == family => {
                let starts = self.addresses(*of);
                for (first, last) in address_ranges(nets) {
                    starts.extend([Some(first), last.checked_add(1)].into_iter().flatten());
                }
            }
            Match::Address { .. }
            | Match::Protocol { .. }
            | Match::InSet { .. }
            | Match::Interface { .. }
            | Match::SocketExists { .. }
            | Match::Mark { .. }
            | Match::Connmark { .. }
            | Match::CtState { .. }
            | Match::Local { .. }
            | Match::TransparentSocket
            | Match::Opaque { .. } => {}
        }
    }

    /// Notes the addresses that are every machine's own.
    fn note_loopback(&mut self, family: Family) {
        let (first, last) = loopback(family);
        for of in [Direction::Source, Direction::Destination] {
            self.addresses(of).extend([first, last + 1]);
        }
    }

    /// Notes an address that translation gives to packets.
    fn note_address(&mut self, address: IpAddr) {
        let address = number(address);
        for of in [Direction::Source, Direction::Destination] {
            let starts = self.addresses(of);
            starts.extend([Some(address), address.checked_add(1)].into_iter().flatten());
        }
    }

    fn addresses(&mut self, of: Direction) -> &mut Vec<u128> {
        match of {
            Direction::Source => &mut self.source,
            Direction::Destination => &mut self.destination,
        }
    }
}
