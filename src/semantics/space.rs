//! All packets at one hook, of one family, as values of Boolean variables.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::diagram::{Diagrams, Function};
use super::field::Field;
use super::interfaces::Interfaces;
use super::lanes::Lanes;
use super::vocabulary::{Classes, Numbers, Vocabulary, in_set};
use super::{End, Holds, InSet};
use crate::ir::{
    CtState, CtStates, Direction, Hook, MarkChange, Match, Owner, OwnerIs, Protocol, Ruleset, Table,
};
use crate::net::{Family, Interface, Mark, Name, Nets};

/// A mark of packets that have come some way: each bit, from the lowest, as a function of what
/// they were when they came.
pub(super) type Bits = [Function; 32];

/// The variables, and what each value means. What decides early and needs few bits comes first;
/// addresses, of which there may be very many, and what chance decides last.
pub(super) struct Space {
    pub(super) hook: Hook,
    pub(super) family: Family,
    pub(super) diagrams: Diagrams,
    /// A place in `protocols`.
    pub(super) protocol: Field,
    /// The protocols that rules tell apart: TCP and UDP first, "none of those" last.
    pub(super) protocols: Vec<Option<Protocol>>,
    /// A place in [`CtState::ALL`].
    pub(super) state: Field,
    /// One of [`PROCESS`], [`KERNEL`], [`NOBODY`].
    pub(super) sender: Field,
    /// A place in `interfaces`.
    pub(super) input: Field,
    /// A place in `interfaces`.
    pub(super) output: Field,
    pub(super) destination_port: Field,
    pub(super) source_port: Field,
    pub(super) user: Field,
    pub(super) group: Field,
    pub(super) mark: Field,
    pub(super) connmark: Field,
    pub(super) source: Field,
    pub(super) destination: Field,
    /// One of [`NOTHING`], [`UNCHANGED`], [`BECOMES`].
    pub(super) decided: Field,
    /// Where a decided translation leads; where none is decided, the first address of the incoming
    /// interface.
    pub(super) translated: Field,
    pub(super) translated_port: Field,
    /// What the rulesets tell apart.
    pub(super) interfaces: Interfaces,
    /// The classes of the fields that are told in classes.
    classes: Vec<Classes>,
    /// The lanes of marks, if marks are told in lanes.
    lanes: Option<Lanes>,
    /// Whether something was asked that cuts a class in two, and was answered as if it did not.
    is_blurred: bool,
    /// The ports of transparent proxies, each with "one listens".
    pub(super) listeners: Vec<(u16, u32)>,
    /// The named sets, each with "the address is in it".
    pub(super) sets: Vec<(InSet, u32)>,
    /// Names of sets that several tables of one ruleset have.
    namesakes: BTreeSet<Name>,
    /// What stands for a packet, once it was asked for.
    pub(super) all: Option<Function>,
    /// "The address is this machine's".
    pub(super) local: [(End, u32); 3],
    pub(super) transparent_socket: u32,
    /// The questions that the model leaves open, each with "the answer is yes".
    pub(super) holds: BTreeMap<Holds, u32>,
}

/// The packet was sent by a process.
pub(super) const PROCESS: u128 = 0;
/// The packet was sent by the kernel.
pub(super) const KERNEL: u128 = 1;
/// The packet was sent by no socket.
pub(super) const NOBODY: u128 = 2;

/// Nat chains are asked.
pub(super) const NOTHING: u128 = 0;
/// The connection is not translated, and nat chains are not asked.
pub(super) const UNCHANGED: u128 = 1;
/// The connection is translated already.
pub(super) const BECOMES: u128 = 2;

impl Space {
    /// The packets of `family` at `hook`, as far as `rulesets` and `when` tell them apart.
    pub(super) fn new(hook: Hook, family: Family, rulesets: &[&Ruleset], when: &[Match]) -> Self {
        Self::with((hook, family), Vocabulary::of(rulesets, when), Numbers::default())
    }

    /// The same, in which each number is only known as one of those that `rulesets` and `when` do not
    /// tell apart. Very much smaller, and from it no packet can be told.
    pub(super) fn of_classes(
        hook: Hook,
        family: Family,
        rulesets: &[&Ruleset],
        when: &[Match],
    ) -> Self {
        let numbers = Numbers::told_apart_by(rulesets, when, (hook, family), false);
        Self::with((hook, family), Vocabulary::of(rulesets, when), numbers)
    }

    /// The same, from which one packet can be told, and, by way of [`Exact`](super::exact::Exact), all.
    pub(super) fn of_classes_with_packets(
        hook: Hook,
        family: Family,
        rulesets: &[&Ruleset],
    ) -> Self {
        let numbers = Numbers::told_apart_by(rulesets, &[], (hook, family), true);
        Self::with((hook, family), Vocabulary::of(rulesets, &[]), numbers)
    }

    fn with((hook, family): (Hook, Family), words: Vocabulary, numbers: Numbers) -> Self {
        let mut next = 0;
        let mut field = |bits| {
            next += bits;
            Field::of_variables(next - bits, bits)
        };
        let protocol = field(field_bits(words.protocols.len()));
        let state = field(3);
        let sender = field(2);
        let decided = field(2);
        let names = field_bits(words.interfaces.count());
        let (input, output) = (field(names), field(names));
        let listeners = words.listeners.into_iter().map(|port| (port, field(1).first)).collect();
        let sets = words.sets.into_iter().map(|set| (set, field(1).first)).collect();
        let local = ENDS.map(|end| (end, field(1).first));
        let transparent_socket = field(1).first;
        // Of chance there may be a question a rule, each behind a few addresses: before the addresses,
        // every answer would have to be remembered up to where they are known.
        let (of_chance, of_packets): (Vec<_>, Vec<_>) =
            words.holds.into_iter().partition(|holds| holds.condition.asked_by.is_some());
        let mut holds: BTreeMap<_, _> =
            of_packets.into_iter().map(|holds| (holds, field(1).first)).collect();
        let mut classes = Vec::new();
        let mut number = |bits, in_classes: Option<Classes>| match in_classes {
            None => field(bits),
            Some(of) => {
                let highest = u128::MAX >> (128 - bits);
                let place = Some(classes.len());
                let field = Field { highest, classes: place, ..field(field_bits(of.count())) };
                classes.push(of);
                field
            }
        };
        let address_bits = u32::from(family.address_bits());
        let Numbers {
            source_port,
            destination_port,
            translated_port,
            user,
            group,
            source,
            destination,
            translated,
            lanes,
        } = numbers;
        let destination_port = number(16, destination_port);
        let source_port = number(16, source_port);
        let translated_port = number(16, translated_port);
        let (user, group) = (number(32, user), number(32, group));
        let marks = number(64, None);
        let mark = Field { bits: 32, stride: 2, highest: u128::from(u32::MAX), ..marks };
        let connmark = Field { first: mark.first + 1, ..mark };
        let source = number(address_bits, source);
        let destination = number(address_bits, destination);
        let translated = number(address_bits, translated);
        holds.extend(of_chance.into_iter().map(|holds| (holds, field(1).first)));
        Self {
            hook,
            family,
            diagrams: Diagrams::new(),
            protocol,
            protocols: words.protocols,
            state,
            sender,
            input,
            output,
            destination_port,
            source_port,
            user,
            group,
            mark,
            connmark,
            source,
            destination,
            decided,
            translated,
            translated_port,
            interfaces: words.interfaces,
            classes,
            lanes,
            is_blurred: false,
            listeners,
            sets,
            namesakes: words.namesakes,
            all: None,
            local,
            transparent_socket,
            holds,
        }
    }

    /// That an address is in the set of a table.
    pub(super) fn set_of(&self, ruleset: &Ruleset, table: &Table, end: End, set: &Name) -> InSet {
        in_set(ruleset, table, end, set, &self.namesakes)
    }

    /// Whether something was asked that numbers in classes cannot answer, so that no answer is to be
    /// believed.
    pub(super) const fn is_blurred(&self) -> bool {
        self.is_blurred
    }

    /// The packets whose `field` is in one of `ranges`, which are inclusive, sorted, and apart.
    pub(super) fn within(&mut self, field: Field, ranges: &[(u128, u128)]) -> Function {
        let Some(classes) = field.classes else {
            return self.split(field, 0, (0, field.highest), ranges);
        };
        let classes = &self.classes[classes];
        let all = u128::MAX >> (128 - field.bits);
        let last = classes.count() - 1;
        let within = |range: &(u128, u128)| {
            let (from, until) = classes.within(*range, field.highest)?;
            // The last class has all the values of the variables that are left.
            Some((from as u128, if until == last { all } else { until as u128 }))
        };
        let Some(ranges) = ranges.iter().map(within).collect::<Option<Vec<_>>>() else {
            self.is_blurred = true;
            return Function::FALSE;
        };
        self.split(field, 0, (0, all), &ranges)
    }

    /// [`Space::within`] for the packets whose bits before `bit` lead to the numbers of `span`.
    fn split(
        &mut self,
        field: Field,
        bit: u32,
        (low, high): (u128, u128),
        ranges: &[(u128, u128)],
    ) -> Function {
        match ranges.first() {
            None => return Function::FALSE,
            Some((first, last)) if *first <= low && high <= *last => return Function::TRUE,
            Some(_) => {}
        }
        let middle = low + (high - low) / 2;
        let until = ranges.partition_point(|(first, _)| *first <= middle);
        let from = ranges.partition_point(|(_, last)| *last <= middle);
        let zero = self.split(field, bit + 1, (low, middle), &ranges[..until]);
        let one = self.split(field, bit + 1, (middle + 1, high), &ranges[from..]);
        self.diagrams.choose(field.variable(bit), zero, one)
    }

    /// The packets whose `field` is `value`.
    pub(super) fn is(&mut self, field: Field, value: u128) -> Function {
        // An address of the other family is no number of this one.
        if value > field.highest() {
            return Function::FALSE;
        }
        self.within(field, &[(value, value)])
    }

    /// The packets whose `field` is `value`; in classes, all that are in one with them.
    pub(super) fn around(&mut self, field: Field, value: u128) -> Function {
        match self.classes(field) {
            Some(classes) if value <= field.highest() => {
                let class = classes.around(value, field.highest());
                self.within(field, &[class])
            }
            _ => self.is(field, value),
        }
    }

    /// Whether numbers are told in classes.
    pub(super) fn has_classes(&self) -> bool {
        !self.classes.is_empty()
    }

    /// The classes of a field that is told in classes.
    pub(super) fn classes(&self, field: Field) -> Option<&Classes> {
        field.classes.map(|place| &self.classes[place])
    }

    /// Every field, in the order of its variables but for marks, which share theirs.
    pub(super) fn fields(&self) -> Vec<Field> {
        let listeners = self.listeners.iter().map(|(_, variable)| *variable);
        let sets = self.sets.iter().map(|(_, variable)| *variable);
        let local = self.local.iter().map(|(_, variable)| *variable);
        let facts = listeners.chain(sets).chain(local).chain([self.transparent_socket]);
        let facts = facts.chain(self.holds.values().copied()).map(Field::of_variable);
        [
            self.protocol,
            self.state,
            self.sender,
            self.decided,
            self.input,
            self.output,
            self.destination_port,
            self.source_port,
            self.translated_port,
            self.user,
            self.group,
            self.mark,
            self.connmark,
            self.source,
            self.destination,
            self.translated,
        ]
        .into_iter()
        .chain(facts)
        .collect()
    }

    /// The packets that begin a connection.
    pub(super) fn new_connections(&mut self) -> Function {
        self.states([CtState::New].into_iter().collect())
    }

    /// The packets that have a connection, once it is looked up.
    pub(super) fn connected(&mut self) -> Function {
        let states = CtState::ALL.into_iter().filter(|state| state.has_connection());
        self.states(states.collect())
    }

    /// The packets in one of `states`, once their connection is looked up.
    pub(super) fn states(&mut self, states: CtStates) -> Function {
        let places = (0..).zip(CtState::ALL).filter(|(_, state)| states.has(*state));
        let ranges: Vec<_> = places.map(|(place, _)| (place, place)).collect();
        self.within(self.state, &ranges)
    }

    /// The marks with which packets come.
    pub(super) fn marks(&mut self) -> [Bits; 2] {
        let told = self.lanes.as_ref().map_or(u32::MAX, Lanes::numbered);
        [self.mark, self.connmark].map(|field| {
            std::array::from_fn(|shift| {
                let bit = 31 - u32::try_from(shift).unwrap_or_default();
                if told >> shift & 1 == 0 {
                    return Function::FALSE;
                }
                self.diagrams.variable(field.variable(bit))
            })
        })
    }

    /// `change` as it is told here.
    pub(super) fn mark_change(&mut self, MarkChange { clear, flip }: MarkChange) -> MarkChange {
        let set = self.mark_value(flip & clear, clear);
        MarkChange { clear, flip: set | flip & !clear }
    }

    /// The bits of `value` under `mask` as they are told here.
    fn mark_value(&mut self, value: u32, mask: u32) -> u32 {
        let Some(lanes) = &self.lanes else { return value };
        let number = lanes.number(value, mask);
        self.is_blurred |= number.is_err();
        number.unwrap_or(0)
    }

    /// The field of an address.
    pub(super) const fn address(&self, of: Direction) -> Field {
        match of {
            Direction::Source => self.source,
            Direction::Destination => self.destination,
        }
    }

    /// The packets that have ports.
    pub(super) fn has_ports(&mut self) -> Function {
        self.within(self.protocol, &[(0, 1)])
    }

    /// The packets of `protocol`.
    pub(super) fn protocol(&mut self, protocol: Protocol) -> Function {
        let place = self.protocols.iter().position(|known| *known == Some(protocol));
        self.is(self.protocol, place.unwrap_or_default() as u128)
    }

    /// The packets that came in or go out, by `of`, on one of `names`.
    pub(super) fn interface(&mut self, of: Direction, names: &[Interface]) -> Function {
        let field = match of {
            Direction::Source => self.input,
            Direction::Destination => self.output,
        };
        let ranges = self.interfaces.meant(names);
        self.within(field, &ranges)
    }

    /// The packets of which an address is in a set. A set that no rule names holds nothing.
    pub(super) fn in_set(&mut self, set: &InSet) -> Function {
        let variable = self.sets.iter().find(|(known, _)| known == set);
        let variable = variable.map(|(_, variable)| *variable);
        variable.map_or(Function::FALSE, |variable| self.diagrams.variable(variable))
    }

    /// The packets of which an address is this machine's.
    pub(super) fn is_local(&mut self, end: End) -> Function {
        let variable = self.local.iter().find(|(known, _)| *known == end);
        let variable = variable.map(|(_, variable)| *variable);
        variable.map_or(Function::FALSE, |variable| self.diagrams.variable(variable))
    }

    /// The packets that answer a question with yes.
    pub(super) fn holds(&mut self, holds: &Holds) -> Function {
        let variable = self.holds.get(holds).copied();
        variable.map_or(Function::FALSE, |variable| self.diagrams.variable(variable))
    }

    /// The packets whose socket's owner `is` so, where they have a socket.
    pub(super) fn owner(&mut self, owner: Owner, is: &OwnerIs) -> Function {
        let (OwnerIs::In(ids) | OwnerIs::NotIn { ids, .. }) = is;
        let ranges: Vec<_> =
            ids.iter().map(|(first, last)| (u128::from(*first), u128::from(*last))).collect();
        match is {
            OwnerIs::In(_) => self.owned(owner, &ranges),
            OwnerIs::NotIn { ownerless: true, .. } => self.owned(owner, &ranges).not(),
            OwnerIs::NotIn { ownerless: false, .. } => {
                let listed = self.owned(owner, &ranges);
                let process = self.is(self.sender, PROCESS);
                self.diagrams.minus(process, listed)
            }
        }
    }

    /// The packets of a process whose user or group is in `ranges`.
    pub(super) fn owned(&mut self, owner: Owner, ranges: &[(u128, u128)]) -> Function {
        let field = match owner {
            Owner::User => self.user,
            Owner::Group => self.group,
        };
        let among = self.within(field, ranges);
        let process = self.is(self.sender, PROCESS);
        self.diagrams.and(process, among)
    }

    /// The packets on which `bits` has the bits of `wanted`.
    pub(super) fn has_bits(&mut self, bits: &Bits, wanted: Mark) -> Function {
        let value = self.mark_value(wanted.value(), wanted.mask());
        // From the lowest bit on, so that every step adds a root and leaves the rest as it is.
        bits.iter().enumerate().fold(Function::TRUE, |all, (shift, bit)| {
            if wanted.mask() >> shift & 1 == 0 {
                return all;
            }
            let right = bit.negated_if(value >> shift & 1 == 0);
            self.diagrams.and(right, all)
        })
    }

    /// The packets on which the two are not the same.
    pub(super) fn differing(&mut self, one: &Bits, other: &Bits) -> Function {
        one.iter().zip(other).fold(Function::FALSE, |any, (one, other)| {
            let differs = self.diagrams.differ(*one, *other);
            self.diagrams.or(differs, any)
        })
    }
}

/// The addresses of `nets` as numbers: inclusive ranges, sorted.
pub(super) fn address_ranges(nets: &Nets) -> impl Iterator<Item = (u128, u128)> {
    nets.iter().map(|net| (number(net.network()), number(net.broadcast())))
}

/// The addresses of `family` that are every machine's own, as numbers: the first and the last.
pub(super) const fn loopback(family: Family) -> (u128, u128) {
    match family {
        Family::Ipv4 => (0x7f00_0000, 0x7fff_ffff),
        Family::Ipv6 => (1, 1),
    }
}

/// An address as a number.
pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Bits that hold the numbers below `count`; at least one.
const fn field_bits(count: usize) -> u32 {
    let bits = usize::BITS - count.saturating_sub(1).leading_zeros();
    if bits == 0 { 1 } else { bits }
}

/// The ends of a packet, in the order of their variables.
const ENDS: [End; 3] = [End::Source, End::Destination, End::Translated];
