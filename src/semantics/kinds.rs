//! A set of packets in kinds.

use std::collections::{BTreeSet, HashSet};

use super::diagram::Function;
use super::field::Field;
use super::space::{BECOMES, KERNEL, NOBODY, NOTHING, PROCESS, Space, UNCHANGED, number};
use super::traffic::Traffic;
use super::values::{self, Values};
use super::{Decided, Packet, Sender};
use crate::ir::CtState;

/// The place of the interfaces that no rule names.
const UNNAMED: u128 = 1;

/// Most kinds that a set of packets is told in.
const MOST_KINDS: usize = 4;

/// Kinds of packets.
pub(super) struct Kinds {
    pub(super) traffic: Vec<Traffic>,
    /// The packets of all of them.
    pub(super) covered: Function,
    /// Whether those that were to be told are all among them.
    pub(super) are_all: bool,
}

/// Those of `packets` that are `among` others in as few kinds as easily found, that of `first` before others.
/// A kind may have any packets that are not among those.
pub(super) fn kinds(
    space: &mut Space,
    packets: Function,
    among: Function,
    first: &Packet,
    is_ordinary: bool,
) -> Kinds {
    let mut traffic = Vec::new();
    let usual = usual(space);
    let among = space.diagrams.and(among, usual);
    let packets = space.diagrams.or(packets, among.not());
    let mut rest = space.diagrams.and(packets, among);
    let mut all = Function::FALSE;
    let mut packet = first.clone();
    let asked = space.diagrams.variables(packets);
    while traffic.len() < MOST_KINDS {
        let (words, covered) = kind(space, [packets, among], &packet, &asked, is_ordinary);
        traffic.push(words);
        all = space.diagrams.or(all, covered);
        rest = space.diagrams.minus(rest, covered);
        if rest == Function::FALSE {
            return Kinds { traffic, covered: all, are_all: true };
        }
        packet = super::witness::packet(space, rest);
    }
    Kinds { traffic, covered: all, are_all: false }
}

/// Packets with user and group 0 where no process sent them. Others are the same packets again.
pub(super) fn usual(space: &mut Space) -> Function {
    let process = space.is(space.sender, PROCESS);
    [space.user, space.group].into_iter().fold(Function::TRUE, |usual, field| {
        let zero = space.is(field, 0);
        let either = space.diagrams.or(process, zero);
        space.diagrams.and(usual, either)
    })
}

/// The widest kind around `packet` that is found by widening one field after another, with its
/// packets. All of them are among `packets`, which `asked` tells apart; only those `among` others count.
fn kind(
    space: &mut Space,
    [packets, among]: [Function; 2],
    packet: &Packet,
    asked: &HashSet<u32>,
    is_ordinary: bool,
) -> (Traffic, Function) {
    let mut parts = parts(space, packet);
    // A host's rules ask very many questions, and few of them about these packets.
    parts.retain(|part| part.about != About::Fact || asked.contains(&part.field.first));
    let others = |space: &mut Space, parts: &[Part], but: usize| {
        let all = space.all();
        parts.iter().enumerate().filter(|(at, _)| *at != but).fold(all, |all, (_, part)| {
            let holds = part.values.holds(space, part.field);
            space.diagrams.and(all, holds)
        })
    };
    for at in 0..parts.len() {
        let around = others(space, &parts, at);
        // What `around` has and `packets` has not must stay outside.
        let bad = space.diagrams.minus(around, packets);
        let counts = space.diagrams.and(around, among);
        parts[at].widen(space, [around, counts, bad]);
    }
    let covered = others(space, &parts, parts.len());
    let words = parts.iter().rev().filter_map(|part| part.word(space, is_ordinary)).collect();
    let (hook, families) = (space.hook, space.family.into());
    (Traffic { hook, families, words, is_ordinary }, covered)
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
    /// A number of which some bits may be told.
    Mark,
    /// A number under a prefix.
    Address,
}

/// A part of a packet and the values that it may have.
pub(super) struct Part {
    about: About,
    pub(super) what: What,
    pub(super) field: Field,
    pub(super) values: Values,
}

/// Which part of a packet.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum What {
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
        parts.push(Part { about, what, field, values: Values::one(value) });
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
    part(About::Mark, What::Connmark, space.connmark, packet.connmark.into());
    part(About::Mark, What::Mark, space.mark, packet.mark.into());
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
    /// Adds as many values as have some of the packets `around` and none of the `bad` ones. Whether those are
    /// among them that none has that `counts` makes no difference.
    fn widen(&mut self, space: &mut Space, [around, counts, bad]: [Function; 3]) {
        let highest = self.field.highest();
        if self.about == About::Choice {
            let values = |space: &mut Space, has: Function, lacks: Function| {
                let mut values: Vec<u128> = (0..=highest).collect();
                values.retain(|value| {
                    let is = space.is(self.field, *value);
                    space.diagrams.meet(has, is) && !space.diagrams.meet(lacks, is)
                });
                values
            };
            let mut fitting = values(space, counts, bad);
            // Not to say a state says one.
            let all = if self.what == What::State { space.all() } else { counts };
            if fitting == values(space, all, Function::FALSE) {
                self.values = Values::all(self.field);
                return;
            }
            // All interfaces but some are told by those.
            let is_interface = matches!(self.what, What::Input | What::Output);
            if is_interface && fitting.contains(&UNNAMED) {
                fitting = values(space, around, bad);
            }
            self.values = Values::Ranges(fitting.into_iter().map(|value| (value, value)).collect());
            return;
        }
        if bad == Function::FALSE {
            self.values = Values::all(self.field);
            return;
        }
        let Values::Ranges(now) = &self.values else { return };
        let value = now[0].0;
        let good = lacking(space, self.field, bad);
        let idle = lacking(space, self.field, counts);
        let used = space.diagrams.minus(good, idle);
        let is_address = self.about == About::Address;
        let whole = [good, used].into_iter().filter_map(|some| match self.about {
            About::Mark => values::bits(space, self.field, some)
                .or_else(|| values::ranges(space, self.field, some).map(Values::Ranges)),
            _ => values::ranges(space, self.field, some).map(Values::Ranges),
        });
        let whole = whole.min_by_key(|values| values.length(self.field, is_address));
        self.values = whole.unwrap_or_else(|| match self.about {
            About::Address => values::prefix(space, self.field, good, value),
            _ => values::range(space, self.field, good, value),
        });
    }
}

/// The values of `field` that none of `packets` has.
fn lacking(space: &mut Space, field: Field, packets: Function) -> Function {
    let own: BTreeSet<u32> = (0..field.bits()).map(|bit| field.variable(bit)).collect();
    let mut others: BTreeSet<u32> = space.diagrams.variables(packets).into_iter().collect();
    others.retain(|variable| !own.contains(variable));
    space.diagrams.whatever(packets.not(), &others)
}
