//! Which packets, in few words.

use std::collections::HashSet;
use std::fmt;

use ipnet::IpNet;

use super::diagram::Function;
use super::field::Field;
use super::space::{BECOMES, KERNEL, NOBODY, NOTHING, PROCESS, Space, UNCHANGED, number};
use super::text::hook_word;
use super::{Decided, Packet, Sender};
use crate::ir::{CtState, Hook, Protocol};
use crate::net::Family;

/// A kind of packets. Displays as `outbound IPv4 tcp to 10.96.0.0/12 user not 1337`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Where they are.
    pub hook: Hook,
    /// Their family.
    pub family: Family,
    /// What else they have in common: `tcp`, `to 10.96.0.0/12`, `user not 1337`. What is not said
    /// may be anything, but the state: packets begin a connection unless a word says otherwise.
    pub words: Vec<String>,
}

impl Traffic {
    /// The words for packets of either family.
    #[must_use]
    pub fn of_any_family(&self) -> String {
        let words = self.words.iter().map(String::as_str);
        std::iter::once(hook_word(self.hook)).chain(words).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", hook_word(self.hook), self.family)?;
        self.words.iter().try_for_each(|word| write!(f, " {word}"))
    }
}

/// Most kinds that a set of packets is told in.
const MOST_KINDS: usize = 4;

/// Most times that a kind leaves numbers out of a range, in either direction.
const MOST_HOLES: usize = 4;

/// Most numbers that it leaves out at one time.
const WIDEST_HOLE: u128 = 16;

/// `packets` in as few kinds as easily found, that of `first` before others; and whether these are
/// all of them.
pub(super) fn kinds(space: &mut Space, packets: Function, first: &Packet) -> (Vec<Traffic>, bool) {
    kinds_of(space, packets, packets, first)
}

/// The same until all of `wanted` are told, which are among `packets`: all others may be told along.
pub(super) fn kinds_of(
    space: &mut Space,
    packets: Function,
    wanted: Function,
    first: &Packet,
) -> (Vec<Traffic>, bool) {
    let mut kinds = Vec::new();
    let usual = usual(space);
    let packets = space.diagrams.or(packets, usual.not());
    let mut rest = space.diagrams.and(wanted, usual);
    let mut packet = first.clone();
    let asked = space.diagrams.variables(packets);
    while kinds.len() < MOST_KINDS {
        let (traffic, covered) = kind(space, packets, &packet, &asked);
        kinds.push(traffic);
        rest = space.diagrams.minus(rest, covered);
        if rest == Function::FALSE {
            return (kinds, true);
        }
        packet = super::witness::packet(space, rest);
    }
    (kinds, false)
}

/// Packets with user and group 0 where no process sent them. Others are the same packets again.
fn usual(space: &mut Space) -> Function {
    let process = space.is(space.sender, PROCESS);
    [space.user, space.group].into_iter().fold(Function::TRUE, |usual, field| {
        let zero = space.is(field, 0);
        let either = space.diagrams.or(process, zero);
        space.diagrams.and(usual, either)
    })
}

/// The widest kind around `packet` that is found by widening one field after another, with its
/// packets. All of them are among `packets`, which `asked` tells apart.
fn kind(
    space: &mut Space,
    packets: Function,
    packet: &Packet,
    asked: &HashSet<u32>,
) -> (Traffic, Function) {
    let mut parts = parts(space, packet);
    // A host's rules ask very many questions, and few of them about these packets.
    parts.retain(|part| part.about != About::Fact || asked.contains(&part.field.first));
    let others = |space: &mut Space, parts: &[Part], but: usize| {
        let all = space.all();
        parts.iter().enumerate().filter(|(at, _)| *at != but).fold(all, |all, (_, part)| {
            let holds = part.holds(space);
            space.diagrams.and(all, holds)
        })
    };
    for at in 0..parts.len() {
        let around = others(space, &parts, at);
        // What `around` has and `packets` has not must stay outside.
        let bad = space.diagrams.minus(around, packets);
        parts[at].widen(space, around, bad);
    }
    let covered = others(space, &parts, parts.len());
    let words = parts.iter().rev().filter_map(|part| part.word(space)).collect();
    (Traffic { hook: space.hook, family: space.family, words }, covered)
}

/// What a part of a packet is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    /// A variable that is true or not.
    Fact,
    /// One of a few values.
    Choice,
    /// A number in ranges.
    Number,
    /// A number under a prefix.
    Address,
}

/// A part of a packet and the values that it may have.
struct Part {
    about: About,
    what: What,
    field: Field,
    /// Inclusive, sorted, apart.
    ranges: Vec<(u128, u128)>,
}

/// Which part of a packet.
#[derive(Clone, PartialEq, Eq)]
enum What {
    Fact { yes: String, no: String },
    Decided,
    Translated,
    TranslatedPort,
    Connmark,
    Mark,
    SourcePort,
    Source,
    Group,
    User,
    Sender,
    State,
    Input,
    Output,
    DestinationPort,
    Destination,
    Protocol,
}

/// The parts of `packet`, each with the one value that it has, those first that say least.
fn parts(space: &Space, packet: &Packet) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut part = |about, what, field: Field, value: u128| {
        parts.push(Part { about, what, field, ranges: vec![(value, value)] });
    };
    let fact = |yes: &str, no: &str| What::Fact { yes: yes.to_owned(), no: no.to_owned() };
    let mut facts = |what, variable, is: bool| {
        part(About::Fact, what, Field::of_variable(variable), u128::from(is));
    };
    facts(
        fact("transparent-socket", "no transparent socket"),
        space.transparent_socket,
        packet.transparent_socket,
    );
    for (end, variable) in space.local {
        let word = super::text::end(end);
        let what = fact(&format!("{word}-local"), &format!("not {word}-local"));
        facts(what, variable, packet.local.contains(&end));
    }
    for (set, variable) in &space.sets {
        let what = fact(&set.to_string(), &format!("not {set}"));
        facts(what, *variable, packet.sets.contains(set));
    }
    for (port, variable) in &space.listeners {
        let what = fact(&format!("listener {port}"), &format!("no-listener {port}"));
        facts(what, *variable, !packet.no_listener.contains(port));
    }
    for (holds, variable) in &space.holds {
        let is = if holds.translated { " behind the translation" } else { "" };
        let text = &holds.condition.text;
        let what = fact(&format!("if `{text}` holds{is}"), &format!("unless `{text}` holds{is}"));
        facts(what, *variable, packet.holds.contains(holds));
    }
    let place = |name: &Option<String>| {
        let name = name.as_deref().unwrap_or_default();
        space.interfaces.names().iter().position(|known| known == name).unwrap_or_default() as u128
    };
    let (sender, user, group) = match packet.sender {
        Sender::Process { user, group } => (PROCESS, user, group),
        Sender::Kernel => (KERNEL, 0, 0),
        Sender::Nobody => (NOBODY, 0, 0),
    };
    let state = CtState::ALL.iter().position(|state| *state == packet.state).unwrap_or_default();
    let protocols = &space.protocols;
    let protocol = protocols.iter().position(|known| *known == packet.protocol).unwrap_or_default();
    let (decided, address, to_port) = match packet.translation {
        Decided::Nothing => (NOTHING, packet.interface_address, packet.translated_port),
        Decided::Unchanged => (UNCHANGED, packet.interface_address, packet.translated_port),
        Decided::Becomes(address, to_port) => (BECOMES, address, to_port),
    };
    part(About::Number, What::TranslatedPort, space.translated_port, to_port.into());
    part(About::Address, What::Translated, space.translated, number(address));
    part(About::Choice, What::Decided, space.decided, decided);
    part(About::Number, What::Connmark, space.connmark, packet.connmark.into());
    part(About::Number, What::Mark, space.mark, packet.mark.into());
    part(About::Number, What::SourcePort, space.source_port, packet.source_port.into());
    part(About::Address, What::Source, space.source, number(packet.source));
    part(About::Number, What::Group, space.group, group.into());
    part(About::Number, What::User, space.user, user.into());
    part(About::Choice, What::Sender, space.sender, sender);
    part(About::Choice, What::State, space.state, state as u128);
    part(About::Choice, What::Input, space.input, place(&packet.input));
    part(About::Choice, What::Output, space.output, place(&packet.output));
    part(About::Number, What::DestinationPort, space.destination_port, {
        packet.destination_port.into()
    });
    part(About::Address, What::Destination, space.destination, number(packet.destination));
    part(About::Choice, What::Protocol, space.protocol, protocol as u128);
    parts
}

impl Part {
    fn holds(&self, space: &mut Space) -> Function {
        space.within(self.field, &self.ranges)
    }

    /// Adds as many values as have some of the packets `around` and none of the `bad` ones.
    fn widen(&mut self, space: &mut Space, around: Function, bad: Function) {
        let highest = self.field.highest();
        if self.about == About::Choice {
            let all = space.all();
            let values = |space: &mut Space, has: Function, lacks: Function| {
                let mut values: Vec<u128> = (0..=highest).collect();
                values.retain(|value| {
                    let is = space.is(self.field, *value);
                    space.diagrams.meet(has, is) && !space.diagrams.meet(lacks, is)
                });
                values
            };
            let fitting = values(space, around, bad);
            self.ranges = if fitting == values(space, all, Function::FALSE) {
                vec![(0, highest)]
            } else {
                fitting.into_iter().map(|value| (value, value)).collect()
            };
            return;
        }
        let mut fits = |ranges: &[(u128, u128)]| {
            let within = space.within(self.field, ranges);
            !space.diagrams.meet(bad, within)
        };
        let (value, _) = self.ranges[0];
        if fits(&[(0, highest)]) {
            self.ranges = vec![(0, highest)];
            return;
        }
        let lowest = super::witness::lowest(space, self.field, bad);
        let mut fits = |ranges: &[(u128, u128)]| {
            let within = space.within(self.field, ranges);
            !space.diagrams.meet(bad, within)
        };
        match self.about {
            About::Fact | About::Choice => {}
            About::Address => {
                let prefix = |value: u128, bits: u32| {
                    let host = highest.checked_shr(bits).unwrap_or_default();
                    (value & !host & highest, value | host)
                };
                // Everything but the longest prefix that will do, or else the shortest that does.
                let outside = |(first, last): (u128, u128)| {
                    let below = first.checked_sub(1).map(|end| (0, end));
                    let above = (last < highest).then(|| (last + 1, highest));
                    below.into_iter().chain(above).collect::<Vec<_>>()
                };
                let lengths = 1..=self.field.bits();
                let hole = lengths.clone().rev().map(|bits| prefix(lowest, bits));
                let hole = hole.into_iter().find(|hole| fits(&outside(*hole)));
                let hole = hole.filter(|(first, last)| value < *first || *last < value);
                let around = lengths.map(|bits| prefix(value, bits)).find(|it| fits(&[*it]));
                self.ranges = match (hole, around) {
                    (Some(hole), _) => outside(hole),
                    (None, Some(around)) => vec![around],
                    (None, None) => vec![(value, value)],
                };
            }
            About::Number => {
                let mut ranges = Vec::new();
                let (mut low, mut at) = (value, value);
                for _ in 0..=MOST_HOLES {
                    let last = furthest(at, highest, |last| fits(&[(at, last)]));
                    ranges.push((at, last));
                    // Past a few numbers that do not fit, perhaps.
                    let past = (2..=WIDEST_HOLE + 1).filter_map(|gap| last.checked_add(gap));
                    match past.take_while(|n| *n <= highest).find(|n| fits(&[(*n, *n)])) {
                        Some(next) => at = next,
                        None => break,
                    }
                }
                for _ in 0..=MOST_HOLES {
                    let first = low - furthest(0, low, |down| fits(&[(low - down, low)]));
                    ranges.push((first, low));
                    let past = (2..=WIDEST_HOLE + 1).map_while(|gap| first.checked_sub(gap));
                    match past.into_iter().find(|n| fits(&[(*n, *n)])) {
                        Some(next) => low = next,
                        None => break,
                    }
                }
                self.ranges = joined(ranges);
            }
        }
    }

    /// What is to be said of it, if it does not go without saying.
    fn word(&self, space: &Space) -> Option<String> {
        let highest = self.field.highest();
        let anything = self.ranges == [(0, highest)];
        match &self.what {
            What::State if anything => return Some("any state".to_owned()),
            _ if anything => return None,
            _ => {}
        }
        let has = |value: u128| self.ranges.contains(&(value, value));
        Some(match &self.what {
            What::Fact { yes, no } => if has(1) { yes } else { no }.clone(),
            What::Connmark => format!("connmark {}", self.numbers(true)),
            What::Mark => format!("mark {}", self.numbers(true)),
            What::SourcePort => format!("from port {}", self.numbers(false)),
            What::DestinationPort => format!("port {}", self.numbers(false)),
            What::Group => format!("group {}", self.numbers(false)),
            What::User => format!("user {}", self.numbers(false)),
            What::Source => format!("from {}", self.prefix(space.family)?),
            What::Destination => format!("to {}", self.prefix(space.family)?),
            What::Translated => format!("translated to {}", self.prefix(space.family)?),
            What::TranslatedPort => format!("translated to port {}", self.numbers(false)),
            What::Decided => match [NOTHING, UNCHANGED, BECOMES].map(has) {
                [false, true, false] => "not translated",
                [false, false, true] => "translated before",
                _ => return None,
            }
            .to_owned(),
            What::Sender => match [PROCESS, KERNEL, NOBODY].map(has) {
                [true, false, false] => "of a process",
                [false, true, false] => "kernel-socket",
                [true, true, false] => "of a socket",
                [false, true, true] => "of no process",
                [false, false, true] if space.hook.has_socket() => "no-socket",
                _ => return None,
            }
            .to_owned(),
            What::State => {
                let states: Vec<&str> = (0..)
                    .zip(CtState::ALL)
                    .filter(|(place, _)| has(*place))
                    .map(|(_, state)| state.name())
                    .collect();
                match states[..] {
                    [] | ["new"] | ["new", "related"] => return None,
                    _ if states.len() == CtState::ALL.len() => "any state".to_owned(),
                    _ => format!("state {}", states.join(" or ")),
                }
            }
            What::Input => format!("in {}", self.interfaces(space)?),
            What::Output => format!("out {}", self.interfaces(space)?),
            What::Protocol => self.protocols(space)?,
        })
    }

    /// `80`, `1-79`, `not 1337`.
    fn numbers(&self, is_mark: bool) -> String {
        let show = |n: u128| if is_mark { format!("{n:#x}") } else { n.to_string() };
        let range = |(first, last): &(u128, u128)| {
            if first == last { show(*first) } else { format!("{}-{}", show(*first), show(*last)) }
        };
        let list = |ranges: &[(u128, u128)]| ranges.iter().map(range).collect::<Vec<_>>().join(",");
        let mut others = Vec::new();
        let mut next = 0;
        for (first, last) in &self.ranges {
            if next < *first {
                others.push((next, first - 1));
            }
            next = last + 1;
        }
        if next <= self.field.highest() {
            others.push((next, self.field.highest()));
        }
        // The highest user and group stand for none.
        if matches!(self.what, What::User | What::Group) {
            let none = u128::from(u32::MAX);
            others.retain(|range| *range != (none, none));
        }
        let count = |ranges: &[(u128, u128)]| ranges.iter().map(|(a, b)| b - a + 1).sum::<u128>();
        if count(&others) <= 1 << 8 && count(&others) < count(&self.ranges) {
            format!("not {}", list(&others))
        } else {
            list(&self.ranges)
        }
    }

    /// `10.0.0.0/8`, `not 127.0.0.1`.
    fn prefix(&self, family: Family) -> Option<String> {
        let highest = self.field.highest();
        let (not, (first, last)) = match self.ranges[..] {
            [(0, end), (start, last)] if last == highest => ("not ", (end + 1, start - 1)),
            [(0, end)] if !is_prefix(0, end) => ("not ", (end + 1, highest)),
            [(start, last)] if !is_prefix(start, last) => ("not ", (0, start - 1)),
            [one] => ("", one),
            _ => return None,
        };
        let bits = u32::from(family.address_bits());
        let length = u8::try_from(bits - (last - first).count_ones()).ok()?;
        let address = super::witness::address(family, first);
        let net = IpNet::new(address, length).ok()?;
        let prefix = if u32::from(length) == bits { address.to_string() } else { net.to_string() };
        Some(format!("{not}{prefix}"))
    }

    /// `tcp`, `tcp or udp`, `not udp`; `other` for those that no rule names.
    fn protocols(&self, space: &Space) -> Option<String> {
        let places = (0..).zip(&space.protocols);
        let (has, lacks): (Vec<_>, Vec<_>) =
            places.partition(|(place, _)| self.ranges.contains(&(*place, *place)));
        let names = |some: &[(u128, &Option<Protocol>)]| {
            let names = some.iter().filter_map(|(_, protocol)| protocol.map(Protocol::name));
            names.collect::<Vec<_>>().join(" or ")
        };
        match (&has[..], &lacks[..]) {
            ([], _) | (_, []) => None,
            ([(_, None)], _) => Some("other".to_owned()),
            (has, lacks) if has.iter().any(|(_, protocol)| protocol.is_none()) => {
                Some(format!("not {}", names(lacks)))
            }
            (has, _) => Some(names(has)),
        }
    }

    /// `lo`, `not lo`. The second name of a space means every interface that no rule names.
    fn interfaces(&self, space: &Space) -> Option<String> {
        let names = |which: bool| -> Vec<&str> {
            (0..)
                .zip(space.interfaces.names())
                .skip(1)
                .filter(|(place, _)| self.ranges.contains(&(*place, *place)) == which)
                .map(|(_, name)| name.as_str())
                .collect()
        };
        let (has, lacks) = (names(true), names(false));
        match (has.first(), lacks.is_empty()) {
            (None, _) | (_, true) => None,
            (Some(first), false) if *first == space.interfaces.names()[1] => {
                Some(format!("not {}", lacks.join(",")))
            }
            _ => Some(has.join(",")),
        }
    }
}

/// Whether the addresses from `first` to `last` are those of one prefix.
const fn is_prefix(first: u128, last: u128) -> bool {
    let host = first ^ last;
    host & host.wrapping_add(1) == 0 && first & host == 0
}

/// The highest number from `low` to `high` for which `fits` holds; it holds for `low` and, from
/// some number on, for none.
fn furthest(low: u128, high: u128, mut fits: impl FnMut(u128) -> bool) -> u128 {
    let (mut good, mut bad) = (low, high);
    if fits(high) {
        return high;
    }
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) { good = middle } else { bad = middle }
    }
    good
}

/// `ranges` sorted, those that overlap as one.
fn joined(mut ranges: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u128, u128)> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if first <= *end + 1 => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    joined
}
