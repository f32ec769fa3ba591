//! All packets at one hook, of one family, as values of Boolean variables.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::diagram::{Diagrams, Function};
use super::{has_input, has_output, has_sender};
use crate::ir::{
    Action, CtState, Direction, Hook, Match, Owner, OwnerIs, Protocol, Ruleset, Table,
};
use crate::net::{Family, Interface, Mark, Name, Nets};

/// A number of a packet, as variables from its highest bit to its lowest.
#[derive(Clone, Copy)]
pub(super) struct Field {
    first: u32,
    bits: u32,
    /// From one bit's variable to the next: 2 for the two marks, whose bits alternate because
    /// rules copy one to the other.
    stride: u32,
}

impl Field {
    /// The variable of a bit; 0 is the highest.
    pub(super) const fn variable(self, bit: u32) -> u32 {
        self.first + bit * self.stride
    }

    pub(super) const fn bits(self) -> u32 {
        self.bits
    }

    /// The highest number that it holds.
    pub(super) const fn highest(self) -> u128 {
        u128::MAX >> (128 - self.bits)
    }

    /// A number of one bit.
    pub(super) const fn of_variable(variable: u32) -> Self {
        Self { first: variable, bits: 1, stride: 1 }
    }
}

/// A mark as a function of the marks with which a packet came, bit by bit:
/// `(mark & packet) ^ (connmark & connection) ^ constant`. Whatever rules do to marks, they stay of
/// this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bits {
    pub(super) packet: u32,
    pub(super) connection: u32,
    pub(super) constant: u32,
}

impl Bits {
    pub(super) const PACKET: Self = Self { packet: u32::MAX, connection: 0, constant: 0 };
    pub(super) const CONNECTION: Self = Self { packet: 0, connection: u32::MAX, constant: 0 };

    pub(super) const fn and(self, mask: u32) -> Self {
        Self {
            packet: self.packet & mask,
            connection: self.connection & mask,
            constant: self.constant & mask,
        }
    }

    pub(super) const fn xor(self, other: Self) -> Self {
        Self {
            packet: self.packet ^ other.packet,
            connection: self.connection ^ other.connection,
            constant: self.constant ^ other.constant,
        }
    }

    pub(super) const fn constant(constant: u32) -> Self {
        Self { packet: 0, connection: 0, constant }
    }
}

/// The variables, and what each value means. What decides early and needs few bits comes first;
/// addresses, of which there may be very many, last.
pub(super) struct Space {
    pub(super) hook: Hook,
    pub(super) family: Family,
    pub(super) diagrams: Diagrams,
    /// See [`PROTOCOLS`].
    pub(super) protocol: Field,
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
    /// Names that stand for all that the rulesets tell apart. The first is the empty one.
    pub(super) interfaces: Vec<String>,
    /// The ports of transparent proxies, each with "one listens".
    pub(super) listeners: Vec<(u16, u32)>,
    /// The named sets, each with "the address is in it".
    pub(super) sets: Vec<((Direction, Name), u32)>,
    /// "The address is this machine's".
    pub(super) local: [(Direction, u32); 2],
    pub(super) transparent_socket: u32,
}

/// The protocols in the order of their numbers.
pub(super) const PROTOCOLS: [Option<Protocol>; 3] =
    [Some(Protocol::Tcp), Some(Protocol::Udp), None];

/// The packet was sent by a process.
pub(super) const PROCESS: u128 = 0;
/// The packet was sent by the kernel.
pub(super) const KERNEL: u128 = 1;
/// The packet was sent by no socket.
pub(super) const NOBODY: u128 = 2;

impl Space {
    /// The packets of `family` at `hook`, as far as `rulesets` and `when` tell them apart.
    pub(super) fn new(hook: Hook, family: Family, rulesets: &[&Ruleset], when: &[Match]) -> Self {
        let words = Vocabulary::of(rulesets, when);
        let mut next = 0;
        let mut field = |bits| {
            next += bits;
            Field { first: next - bits, bits, stride: 1 }
        };
        let protocol = field(2);
        let state = field(3);
        let sender = field(2);
        let names = field_bits(words.interfaces.len());
        let (input, output) = (field(names), field(names));
        let listeners = words.listeners.into_iter().map(|port| (port, field(1).first)).collect();
        let sets = words.sets.into_iter().map(|set| (set, field(1).first)).collect();
        let local = [Direction::Source, Direction::Destination].map(|of| (of, field(1).first));
        let transparent_socket = field(1).first;
        let (destination_port, source_port) = (field(16), field(16));
        let (user, group) = (field(32), field(32));
        let marks = field(64);
        let mark = Field { bits: 32, stride: 2, ..marks };
        let connmark = Field { first: mark.first + 1, ..mark };
        let address_bits = u32::from(family.address_bits());
        let (source, destination) = (field(address_bits), field(address_bits));
        Self {
            hook,
            family,
            diagrams: Diagrams::new(),
            protocol,
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
            interfaces: words.interfaces,
            listeners,
            sets,
            local,
            transparent_socket,
        }
    }

    /// The values of the variables that stand for a packet.
    pub(super) fn all(&mut self) -> Function {
        let interfaces = self.interfaces.len() as u128 - 1;
        let interface = |exists| if exists { (1, interfaces) } else { (0, 0) };
        let senders = if has_sender(self.hook) { (PROCESS, NOBODY) } else { (NOBODY, NOBODY) };
        // The kernel has no owner with the highest number: it stands for "none".
        let owners = (0, u128::from(u32::MAX) - 1);
        [
            (self.protocol, (0, PROTOCOLS.len() as u128 - 1)),
            (self.state, (0, CtState::ALL.len() as u128 - 1)),
            (self.sender, senders),
            (self.input, interface(has_input(self.hook))),
            (self.output, interface(has_output(self.hook))),
            (self.user, owners),
            (self.group, owners),
        ]
        .into_iter()
        .fold(Function::TRUE, |all, (field, range)| {
            let within = self.within(field, &[range]);
            self.diagrams.and(all, within)
        })
    }

    /// The packets whose `field` is in one of `ranges`, which are inclusive, sorted, and apart.
    pub(super) fn within(&mut self, field: Field, ranges: &[(u128, u128)]) -> Function {
        self.split(field, 0, (0, field.highest()), ranges)
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
        self.within(field, &[(value, value)])
    }

    /// The packets that begin a connection.
    pub(super) fn new_connections(&mut self) -> Function {
        self.states(|state| state == CtState::New)
    }

    /// The packets that have a connection.
    pub(super) fn connected(&mut self) -> Function {
        self.states(CtState::has_connection)
    }

    fn states(&mut self, which: impl Fn(CtState) -> bool) -> Function {
        let places = (0..).zip(CtState::ALL).filter(|(_, state)| which(*state));
        let ranges: Vec<_> = places.map(|(place, _)| (place, place)).collect();
        self.within(self.state, &ranges)
    }

    /// The packets that all of `when` hold for as they arrive. A set is one of any of the tables of
    /// `ruleset`.
    pub(super) fn arriving(&mut self, ruleset: &Ruleset, when: &[Match]) -> Function {
        when.iter().fold(Function::TRUE, |all, when| {
            let holds = ruleset
                .tables
                .iter()
                .map(|table| self.matches(table, when, Bits::PACKET, Bits::CONNECTION));
            let holds = holds.collect();
            let holds = self.diagrams.any(holds);
            self.diagrams.and(all, holds)
        })
    }

    /// The field of an address.
    pub(super) const fn address(&self, of: Direction) -> Field {
        match of {
            Direction::Source => self.source,
            Direction::Destination => self.destination,
        }
    }

    /// The packets that `when` holds for, at a place where their marks have become `mark` and
    /// `connmark`.
    pub(super) fn matches(
        &mut self,
        table: &Table,
        when: &Match,
        mark: Bits,
        connmark: Bits,
    ) -> Function {
        match when {
            Match::Protocol { protocol, not } => {
                let place = PROTOCOLS.iter().position(|known| *known == Some(*protocol));
                self.is(self.protocol, place.unwrap_or_default() as u128).negated_if(*not)
            }
            Match::Port { of, ports, not } => {
                let field = match of {
                    Direction::Source => self.source_port,
                    Direction::Destination => self.destination_port,
                };
                let ranges: Vec<_> = ports
                    .ranges()
                    .iter()
                    .map(|range| (u128::from(range.first()), u128::from(range.last())))
                    .collect();
                let among = self.within(field, &ranges).negated_if(*not);
                let has_ports = self.within(self.protocol, &[(0, 1)]);
                self.diagrams.and(has_ports, among)
            }
            Match::Address { of, nets, not } => {
                if nets.family() != self.family {
                    return Function::FALSE;
                }
                let ranges: Vec<_> = address_ranges(nets).collect();
                self.within(self.address(*of), &ranges).negated_if(*not)
            }
            Match::InSet { of, set, not } => {
                let declared = table.sets.iter().find(|known| known.name == *set);
                if declared.is_none_or(|known| known.family != self.family) {
                    return Function::FALSE;
                }
                let variable = self.sets.iter().find(|((at, name), _)| at == of && name == set);
                variable.map(|(_, variable)| *variable).map_or(Function::FALSE, |variable| {
                    self.diagrams.variable(variable).negated_if(*not)
                })
            }
            Match::Interface { of, names, not } => {
                let field = match of {
                    Direction::Source => self.input,
                    Direction::Destination => self.output,
                };
                let ranges: Vec<_> = (0..)
                    .zip(&self.interfaces)
                    .filter(|(_, class)| names.iter().any(|name| name.matches(class)))
                    .map(|(place, _)| (place, place))
                    .collect();
                self.within(field, &ranges).negated_if(*not)
            }
            Match::Owner { owner, is } => self.owner(*owner, is),
            Match::SocketExists { not } => self.is(self.sender, NOBODY).negated_if(!*not),
            Match::Mark { mark: wanted, not } => self.has_bits(mark, *wanted).negated_if(*not),
            Match::Connmark { mark: wanted, not } => {
                let has = self.has_bits(connmark, *wanted).negated_if(*not);
                let connected = self.connected();
                self.diagrams.and(connected, has)
            }
            Match::CtState { states, not } => {
                self.states(|state| states.has(state)).negated_if(*not)
            }
            Match::Local { of, not } => {
                let variable = match of {
                    Direction::Source => self.local[0].1,
                    Direction::Destination => self.local[1].1,
                };
                self.diagrams.variable(variable).negated_if(*not)
            }
            Match::TransparentSocket => self.diagrams.variable(self.transparent_socket),
        }
    }

    fn owner(&mut self, owner: Owner, is: &OwnerIs) -> Function {
        let field = match owner {
            Owner::User => self.user,
            Owner::Group => self.group,
        };
        let (ids, not, ownerless) = match is {
            OwnerIs::In(ids) => (ids, false, false),
            OwnerIs::NotIn { ids, ownerless } => (ids, true, *ownerless),
        };
        let ranges: Vec<_> =
            ids.iter().map(|(first, last)| (u128::from(*first), u128::from(*last))).collect();
        let among = self.within(field, &ranges).negated_if(not);
        let process = self.is(self.sender, PROCESS);
        if ownerless {
            self.diagrams.or(process.not(), among)
        } else {
            self.diagrams.and(process, among)
        }
    }

    /// The packets on which `bits` has the bits of `wanted`.
    fn has_bits(&mut self, bits: Bits, wanted: Mark) -> Function {
        let wrong = bits.xor(Bits::constant(wanted.value())).and(wanted.mask());
        self.any_bit(wrong).not()
    }

    /// The packets on which `bits` is not zero.
    pub(super) fn any_bit(&mut self, bits: Bits) -> Function {
        // From the lowest bit on, so that every step adds a root and leaves the rest as it is.
        (0..32).fold(Function::FALSE, |any, shift| {
            let bit = 31 - shift;
            let has = |mask: u32| mask >> shift & 1 == 1;
            let mut one = Function::FALSE.negated_if(has(bits.constant));
            if has(bits.connection) {
                let variable = self.diagrams.variable(self.connmark.variable(bit));
                one = self.diagrams.differ(variable, one);
            }
            if has(bits.packet) {
                let variable = self.diagrams.variable(self.mark.variable(bit));
                one = self.diagrams.differ(variable, one);
            }
            self.diagrams.or(one, any)
        })
    }
}

/// The addresses of `nets` as numbers: inclusive ranges, sorted.
pub(super) fn address_ranges(nets: &Nets) -> impl Iterator<Item = (u128, u128)> {
    nets.iter().map(|net| (number(net.network()), number(net.broadcast())))
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

/// What rulesets name.
struct Vocabulary {
    interfaces: Vec<String>,
    listeners: BTreeSet<u16>,
    sets: BTreeSet<(Direction, Name)>,
}

impl Vocabulary {
    fn of(rulesets: &[&Ruleset], when: &[Match]) -> Self {
        let mut listeners = BTreeSet::new();
        let mut sets = BTreeSet::new();
        let mut interfaces = BTreeSet::new();
        let tables = rulesets.iter().flat_map(|ruleset| &ruleset.tables);
        let rules =
            || tables.clone().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
        for rule in rules() {
            if let Action::Tproxy { port, .. } = rule.then {
                listeners.insert(port);
            }
        }
        for when in rules().flat_map(|rule| &rule.when).chain(when) {
            match when {
                Match::InSet { of, set, .. } => {
                    sets.insert((*of, set.clone()));
                }
                Match::Interface { names, .. } => interfaces.extend(names),
                _ => {}
            }
        }
        Self { interfaces: classes(&interfaces), listeners, sets }
    }
}

/// One name for every set of interfaces that `mentioned` tells apart, the empty name first, then
/// one that none of them means.
fn classes(mentioned: &BTreeSet<&Interface>) -> Vec<String> {
    let signature = |name: &str| -> Vec<bool> {
        mentioned.iter().map(|interface| interface.matches(name)).collect()
    };
    let nothing = vec![false; mentioned.len()];
    let other = ["eth0", "ens0"].map(str::to_owned).into_iter().chain(endings(""));
    let mut classes = vec![String::new()];
    classes.extend(other.into_iter().find(|name| signature(name) == nothing));
    for interface in mentioned {
        if !interface.is_wildcard() {
            classes.push(interface.stem().to_owned());
            continue;
        }
        // Only the wildcards that mean all of this one's names mean this name.
        let only: Vec<_> = mentioned.iter().map(|other| other.covers(interface)).collect();
        classes.extend(endings(interface.stem()).find(|name| signature(name) == only));
    }
    classes
}

/// Names that begin with `stem`, as far as the kernel's 15 bytes hold them.
fn endings(stem: &str) -> impl Iterator<Item = String> {
    let letters = || ('0'..='9').chain('a'..='z').chain('A'..='Z');
    let one = letters().map(String::from);
    let two = letters().flat_map(move |a| letters().map(move |b| format!("{a}{b}")));
    one.chain(two)
        .map(move |ending| format!("{stem}{ending}"))
        .filter(|name| name.len() <= Interface::MAX_LEN)
}
