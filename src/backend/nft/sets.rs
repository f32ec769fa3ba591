//! Which values stand in a rule, and which in a named set.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::ir::{AddressSet, Rung};
use crate::net::{Interface, Name, Nets, PortSet};
use crate::nft::{Elements, Names, Right, Set, SetType, Value, address_type};

/// Most elements that a rule lists itself; more become a named set.
const MOST_INLINE: usize = 8;
/// Most elements for which the kernel makes room when they come. It does so for a while after a set is loaded, and what
/// it lists then can lack elements and have others twice: seen of 100,000 on a busy machine (Linux 6.18).
const MOST_GROWING: usize = 64;

/// The named sets of a table.
pub(super) struct Sets<'a> {
    names: Names<'a>,
    most_inline: usize,
    found: Vec<Set<'a>>,
    by_value: BTreeMap<(&'static str, Values<'a>), usize>,
}

/// The values of a set, as the IR holds them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Values<'a> {
    Nets(&'a Nets),
    /// As prefixes of this length, each by its first address.
    OfLength(&'a Nets, u8),
    Ports(&'a PortSet),
    Owners(&'a [(u32, u32)]),
    Interfaces(&'a [Interface]),
}

impl<'a> Sets<'a> {
    /// `foreign` are those that others fill.
    pub(super) fn new(foreign: &'a [AddressSet]) -> Self {
        let set = |set: &'a AddressSet| {
            named(Cow::Borrowed(set.name.as_str()), address_type(set.family), Vec::new())
        };
        Self {
            names: Names::of(foreign.iter().map(|set| set.name.as_str())),
            // A table with sets of others stays as it is, and a set of ours would keep its old
            // elements.
            most_inline: if foreign.is_empty() { MOST_INLINE } else { usize::MAX },
            found: foreign.iter().map(set).collect(),
            by_value: BTreeMap::new(),
        }
    }

    /// What a rule compares with: one value, a short list, or a named set, shared by all rules
    /// that compare with the same values. The first of them, in `chain` for `rung`, names it.
    pub(super) fn right(
        &mut self,
        of: &'static str,
        values: Values<'a>,
        chain: &Name,
        rung: Rung,
    ) -> Right<'a> {
        if values.len() > self.most_inline {
            return Right::Named(Cow::Owned(self.named(of, values, chain, rung)));
        }
        let mut elements = values.elements();
        match elements.pop() {
            Some(only) if elements.is_empty() => Right::One(only),
            last => {
                elements.extend(last);
                Right::Set(Elements::of(elements))
            }
        }
    }

    /// The sets, in the order in which rules need them; those that others fill first.
    pub(super) fn finish(self) -> Vec<Set<'a>> {
        self.found
    }

    fn named(&mut self, of: &'static str, values: Values<'a>, chain: &Name, rung: Rung) -> String {
        let at = *self.by_value.entry((of, values)).or_insert_with(|| {
            let elements = values.elements();
            let stem = stem(chain, rung);
            // `excluded-ports` rather than `excluded-port-ports`.
            let noun = noun(of, values);
            let singular = noun.strip_suffix('s').and_then(|noun| stem.strip_suffix(noun));
            let stem = singular.and_then(|stem| stem.strip_suffix('-')).unwrap_or(&stem);
            let name = self.names.fresh(stem, &noun);
            self.found.push(named(Cow::Owned(name.into()), of, elements));
            self.found.len() - 1
        });
        self.found[at].name.to_string()
    }
}

/// The end of the name of a set of this type. Of prefixes, the length says what their first addresses stand for.
fn noun(of: &str, values: Values<'_>) -> Cow<'static, str> {
    let noun = match of {
        "ipv4_addr" => "ipv4",
        "ipv6_addr" => "ipv6",
        "inet_service" => "ports",
        "uid" => "users",
        "gid" => "groups",
        _ => "interfaces",
    };
    match values {
        Values::OfLength(nets, length) if length < nets.family().address_bits() => {
            Cow::Owned(format!("{noun}-{length}"))
        }
        _ => Cow::Borrowed(noun),
    }
}

fn named<'a>(name: Cow<'a, str>, of: &'static str, elements: Vec<Value<'a>>) -> Set<'a> {
    let is_interval = elements.iter().any(Value::is_interval);
    Set {
        of: SetType::Named(Cow::Borrowed(of)),
        flags: if is_interval { vec![Cow::Borrowed("interval")] } else { Vec::new() },
        size: if is_interval { None } else { size(elements.len()) },
        elements: Elements::of(elements),
        ..Set::named(name)
    }
}

/// Room for twice as many and more: an update has elements of the old set and of the new one for a moment, and few
/// changes of a list come to another size, for which the set would have to be made anew.
fn size(count: usize) -> Option<u32> {
    let room = 2 * count.next_power_of_two();
    u32::try_from(room).ok().filter(|_| count > MOST_GROWING)
}

/// `o8-excluded-destination`: number and first words of the rung, or else the chain's name.
///
/// No keyword of nft: those have no digit before their first `-`.
fn stem(chain: &Name, rung: Rung) -> String {
    if rung.number().is_empty() {
        return chain.as_str().to_owned();
    }
    let words = rung.subject().split(|c: char| !c.is_ascii_alphanumeric());
    std::iter::once(rung.number())
        .chain(words.filter(|word| !word.is_empty()))
        .collect::<Vec<_>>()
        .join("-")
        .to_ascii_lowercase()
}

impl<'a> Values<'a> {
    fn len(self) -> usize {
        match self {
            Self::Nets(nets) | Self::OfLength(nets, _) => nets.len(),
            Self::Ports(ports) => ports.ranges().len(),
            Self::Owners(ids) => ids.len(),
            Self::Interfaces(names) => names.len(),
        }
    }

    fn elements(self) -> Vec<Value<'a>> {
        match self {
            Self::Nets(nets) => nets.iter().map(net).collect(),
            Self::OfLength(nets, length) => nets.of_length(length).map(Value::Address).collect(),
            Self::Ports(ports) => ports
                .ranges()
                .iter()
                .map(|range| numbers((range.first().into(), range.last().into())))
                .collect(),
            Self::Owners(ids) => ids.iter().copied().map(numbers).collect(),
            Self::Interfaces(names) => names.iter().map(interface).collect(),
        }
    }
}

fn net<'a>(net: ipnet::IpNet) -> Value<'a> {
    if net.prefix_len() == net.max_prefix_len() {
        Value::Address(net.addr())
    } else {
        Value::Prefix(net.addr(), net.prefix_len())
    }
}

fn numbers<'a>((first, last): (u32, u32)) -> Value<'a> {
    if first == last {
        return Value::Number(first);
    }
    Value::Range(Box::new((Value::Number(first), Value::Number(last))))
}

/// Between quotation marks, because nft takes some names for words of its own.
fn interface(name: &Interface) -> Value<'_> {
    Value::Text(if name.is_wildcard() {
        Cow::Owned(name.to_string())
    } else {
        Cow::Borrowed(name.stem())
    })
}
