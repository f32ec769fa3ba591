//! What is said of a part of packets.

use super::kinds::{Part, What};
use super::space::{BECOMES, KERNEL, NOBODY, NOTHING, PROCESS, Space, UNCHANGED};
use super::traffic::{MOST_VALUES, Topic, Word};
use super::values::{Values, others, prefixes};
use crate::ir::{CtState, Protocol};
use crate::net::Family;

impl Part {
    /// What is to be said of it, if it does not go without saying. Of ordinary packets, it goes without
    /// saying that they begin a connection.
    pub(super) fn word(&self, space: &Space, is_ordinary: bool) -> Option<Word> {
        let anything = self.values == Values::all(self.field);
        match &self.what {
            What::State if is_ordinary => return None,
            What::State if anything => return Some(plain(Topic::State, "any state")),
            _ if anything => return None,
            _ => {}
        }
        let number = |topic| Some(self.numbers(topic));
        match &self.what {
            What::Fact { yes, no } => Some(plain(Topic::Fact, if self.has(1) { yes } else { no })),
            What::Connmark => number(Topic::Connmark),
            What::Mark => number(Topic::Mark),
            What::SourcePort => number(Topic::SourcePort),
            What::DestinationPort => number(Topic::DestinationPort),
            What::Group => number(Topic::Group),
            What::User => number(Topic::User),
            What::TranslatedPort => number(Topic::TranslatedPort),
            What::Source => Some(self.addresses(Topic::Source, space.family)),
            What::Destination => Some(self.addresses(Topic::Destination, space.family)),
            What::Translated => Some(self.addresses(Topic::Translated, space.family)),
            What::Decided => {
                let word = match [NOTHING, UNCHANGED, BECOMES].map(|value| self.has(value)) {
                    [false, true, false] => "not translated",
                    [false, false, true] => "translated before",
                    _ => return None,
                };
                Some(plain(Topic::Decided, word))
            }
            What::Sender => {
                let word = match [PROCESS, KERNEL, NOBODY].map(|value| self.has(value)) {
                    [true, false, false] => "of a process",
                    [false, true, false] => "kernel-socket",
                    [true, true, false] => "of a socket",
                    [false, true, true] => "of no process",
                    [false, false, true] if space.hook.has_socket() => "no-socket",
                    _ => return None,
                };
                Some(plain(Topic::Sender, word))
            }
            What::State => self.states(),
            What::Input => self.interfaces(Topic::Input, space),
            What::Output => self.interfaces(Topic::Output, space),
            What::Protocol => self.protocols(space),
        }
    }

    /// Whether the one value is among them.
    fn has(&self, value: u128) -> bool {
        self.ranges().contains(&(value, value))
    }

    fn ranges(&self) -> &[(u128, u128)] {
        match &self.values {
            Values::Ranges(ranges) => ranges,
            Values::Bits { .. } => &[],
        }
    }

    fn states(&self) -> Option<Word> {
        let states = (0..).zip(CtState::ALL).filter(|(place, _)| self.has(*place));
        let states: Vec<&str> = states.map(|(_, state)| state.name()).collect();
        match states[..] {
            [] | ["new"] | ["new", "related"] => None,
            _ if states.len() == CtState::ALL.len() => Some(plain(Topic::State, "any state")),
            _ => Some(plain(Topic::State, &format!("state {}", states.join(" or ")))),
        }
    }

    /// `80`, `1-79`, `not 1337`, `0x539/0xfff`.
    fn numbers(&self, topic: Topic) -> Word {
        let is_mark = matches!(topic, Topic::Mark | Topic::Connmark);
        let show = |n: u128| if is_mark { format!("{n:#x}") } else { n.to_string() };
        let ranges = match &self.values {
            Values::Bits { not, value, mask } => {
                let whole = *mask == self.field.highest();
                let mask = if whole { String::new() } else { format!("/{mask:#x}") };
                return Word::new(topic, *not, vec![format!("{value:#x}{mask}")]);
            }
            Values::Ranges(ranges) => ranges,
        };
        let mut others = others(ranges, self.field.highest());
        // The highest user and group stand for none.
        if matches!(topic, Topic::User | Topic::Group) {
            let none = u128::from(u32::MAX);
            others.retain(|range| *range != (none, none));
        }
        let range = |(first, last): &(u128, u128)| {
            if first == last { show(*first) } else { format!("{}-{}", show(*first), show(*last)) }
        };
        let not = !others.is_empty() && others.len() < ranges.len();
        let told = if not { &others } else { ranges };
        Word::new(topic, not, told.iter().map(range).collect())
    }

    /// `10.0.0.0/8`, `not 127.0.0.1`; `127.0.0.2-127.0.255.255` where prefixes would be many.
    fn addresses(&self, topic: Topic, family: Family) -> Word {
        let bits = u32::from(family.address_bits());
        let address = |number| super::witness::address(family, number).to_string();
        let prefix = |(first, length): &(u128, u32)| {
            if *length == bits { address(*first) } else { format!("{}/{length}", address(*first)) }
        };
        let range = |(first, last): &(u128, u128)| {
            if first == last {
                address(*first)
            } else {
                format!("{}-{}", address(*first), address(*last))
            }
        };
        let told = |ranges: &[(u128, u128)]| -> Vec<String> {
            let prefixes = prefixes(ranges, bits);
            if prefixes.len() > MOST_VALUES && ranges.len() <= MOST_VALUES {
                ranges.iter().map(range).collect()
            } else {
                prefixes.iter().map(prefix).collect()
            }
        };
        let has = told(self.ranges());
        let lacks = told(&others(self.ranges(), self.field.highest()));
        let not = lacks.len() < has.len();
        Word::new(topic, not, if not { lacks } else { has })
    }

    /// `tcp`, `tcp or udp`, `not udp`; `other` for those that no rule names.
    fn protocols(&self, space: &Space) -> Option<Word> {
        let places = (0..).zip(&space.protocols);
        let (has, lacks): (Vec<_>, Vec<_>) = places.partition(|(place, _)| self.has(*place));
        let names = |some: &[(u128, &Option<Protocol>)]| {
            let names = some.iter().filter_map(|(_, protocol)| protocol.map(Protocol::name));
            names.map(|name| name.to_string()).collect::<Vec<_>>()
        };
        match (&has[..], &lacks[..]) {
            ([], _) | (_, []) => None,
            ([(_, None)], _) => Some(plain(Topic::Protocol, "other")),
            (has, lacks) if has.iter().any(|(_, protocol)| protocol.is_none()) => {
                Some(Word::new(Topic::Protocol, true, names(lacks)))
            }
            (has, _) => Some(Word::new(Topic::Protocol, false, names(has))),
        }
    }

    /// `lo`, `not lo`. The second name of a space means every interface that no rule names.
    fn interfaces(&self, topic: Topic, space: &Space) -> Option<Word> {
        let names = |which: bool| -> Vec<String> {
            (0..)
                .zip(space.interfaces.names())
                .skip(1)
                .filter(|(place, _)| self.has(*place) == which)
                .map(|(_, name)| name.clone())
                .collect()
        };
        let (has, lacks) = (names(true), names(false));
        match (has.first(), lacks.is_empty()) {
            (None, _) | (_, true) => None,
            (Some(first), false) if *first == space.interfaces.names()[1] => {
                Some(Word::new(topic, true, lacks))
            }
            _ => Some(Word::new(topic, false, has)),
        }
    }
}

/// A word that is one value.
fn plain(topic: Topic, text: &str) -> Word {
    Word::new(topic, false, vec![text.to_owned()])
}
