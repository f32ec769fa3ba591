//! Matches of nft.

use serde_json::Value;

use super::ReadProblem;
use super::bits::{Bits, Which};
use super::field::Field;
use super::object::{Object, bad, form, text};
use super::state::absent;
use super::table::Sets;
use super::value::{mark, nets, number, numbers, port, ports, states, unwrapped};
use crate::ir::{CtStates, Direction, Match, OwnerIs, Protocol};
use crate::net::{Families, Family, Interface, Mark, Name, PortRange, PortSet, aggregate};
use crate::reader::iptables::joined;

/// What a match comes to.
pub(super) struct Condition {
    /// The families whose packets have what is compared; `None` if none of those compared with.
    pub(super) families: Option<Families>,
    /// All matches of one of these hold, and no packet has two of which that is so.
    pub(super) any: Vec<Vec<Match>>,
}

impl Condition {
    const fn any(any: Vec<Vec<Match>>) -> Self {
        Self { families: Some(Families::Both), any }
    }

    fn all(matches: Vec<Match>) -> Self {
        Self::any(vec![matches])
    }

    fn one(condition: Match) -> Self {
        Self::all(vec![condition])
    }

    fn constant(holds: bool) -> Self {
        if holds { Self::all(Vec::new()) } else { Self::any(Vec::new()) }
    }

    fn of(self, family: Family) -> Self {
        Self { families: Some(family.into()), ..self }
    }
}

/// TCP or UDP.
pub(super) fn transport() -> Match {
    let ports = PortSet::from_iter([PortRange::ALL]);
    Match::Port { of: Direction::Destination, ports, not: false }
}

/// The packet has a connection.
pub(super) fn connected() -> Match {
    Match::Connmark { mark: any_mark(), not: false }
}

/// What every mark is equal to.
fn any_mark() -> Mark {
    Mark::new(0, 0).expect("no bit lies outside the mask")
}

/// How both sides compare.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    Unequal,
    /// Some bit of the right side is set; for what is no bit mask, the same as equal.
    In,
    /// No bit of the right side is set.
    NoneOf,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Op {
    fn read(word: &str) -> Result<Self, ReadProblem> {
        Ok(match word {
            "==" => Self::Equal,
            "!=" => Self::Unequal,
            "in" => Self::In,
            "!" => Self::NoneOf,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return Err(ReadProblem::Unknown { what: "operator", word: word.to_owned() }),
        })
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::In => "in",
            Self::NoneOf => "!",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// The numbers up to `most` that are ordered so beside `right`; `None` if there are none.
    fn range(self, right: u32, most: u32) -> Option<(u32, u32)> {
        let (first, last) = match self {
            Self::Less => (0, right.checked_sub(1)?),
            Self::LessOrEqual => (0, right),
            Self::Greater => (right.checked_add(1)?, most),
            Self::GreaterOrEqual => (right, most),
            Self::Equal | Self::Unequal | Self::In | Self::NoneOf => return None,
        };
        (first <= last).then_some((first, last))
    }

    const fn orders(self) -> bool {
        matches!(self, Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual)
    }
}

/// What a field is compared with.
pub(super) enum Right<'a> {
    One(&'a Value),
    Set(Vec<&'a Value>),
    /// A set that others fill.
    Filled(Name),
}

impl<'a> Right<'a> {
    fn read(value: &'a Value, field: Field, sets: &Sets<'a, '_>) -> Result<Self, ReadProblem> {
        if let Some(name) = value.as_str().and_then(|text| text.strip_prefix('@')) {
            return Self::named(name, field, sets);
        }
        let Some(elements) = form(value, "set")? else { return Ok(Self::One(value)) };
        let elements = elements.as_array().filter(|elements| !elements.is_empty());
        let elements = elements.ok_or_else(|| bad("set", value, "not a list of elements"))?;
        Ok(Self::Set(elements.iter().collect()))
    }

    fn named(name: &str, field: Field, sets: &Sets<'a, '_>) -> Result<Self, ReadProblem> {
        let set = sets.get(name).filter(|set| set.map.is_none());
        let set = set.ok_or_else(|| absent("set", name))?;
        if !field.is_of(set.of)? {
            return Err(bad("type", set.of, "not that of the field"));
        }
        if let Some(family) = sets.filled(set) {
            let known = sets.declared.iter().find(|known| known.name.as_str() == name);
            return match known {
                Some(known) if known.family == family => Ok(Self::Filled(known.name.clone())),
                _ => Err(ReadProblem::Inexact {
                    word: name.to_owned(),
                    why: "others fill it, and not with single addresses",
                }),
            };
        }
        if set.flags.iter().any(|flag| matches!(*flag, "timeout" | "dynamic")) {
            let why = "its elements come and go by themselves";
            return Err(ReadProblem::Inexact { word: name.to_owned(), why });
        }
        Ok(Self::Set(set.elements.clone()))
    }

    fn values(&self) -> Result<Vec<&'a Value>, ReadProblem> {
        match self {
            Self::One(value) => Ok(vec![value]),
            Self::Set(elements) => elements.iter().map(|element| unwrapped(element)).collect(),
            Self::Filled(name) => Err(ReadProblem::Inexact {
                word: name.to_string(),
                why: "only addresses can be in a set that others fill",
            }),
        }
    }

    fn each<T>(
        &self,
        read: impl Fn(&Value) -> Result<T, ReadProblem>,
    ) -> Result<Vec<T>, ReadProblem> {
        self.values()?.into_iter().map(read).collect()
    }
}

/// Reads the body of a match; the field, too.
pub(super) fn read<'a>(
    body: &'a Value,
    sets: &Sets<'a, '_>,
) -> Result<(Field, Condition), ReadProblem> {
    let fields = Object::read("match", body, &["op", "left", "right"])?;
    let field = Field::read(fields.need("left")?)?;
    let op = Op::read(fields.text("op")?)?;
    let right = Right::read(fields.need("right")?, field, sets)?;
    Ok((field, compare(field, op, &right)?))
}

/// What it takes for `field` to compare with `right` so.
pub(super) fn compare(field: Field, op: Op, right: &Right<'_>) -> Result<Condition, ReadProblem> {
    let not = match (op, field) {
        (Op::Equal | Op::In, _) => false,
        (Op::Unequal, _) | (Op::NoneOf, Field::State) => true,
        (op, Field::Port(of, protocol)) if op.orders() => {
            let Right::One(value) = right else { return Err(wrong(op)) };
            let range = op.range(port(value)?.into(), u16::MAX.into());
            let ports = range.and_then(|(first, last)| {
                PortRange::new(u16::try_from(first).ok()?, u16::try_from(last).ok()?)
            });
            return Ok(compare_ports(of, protocol, ports.into_iter().collect(), false));
        }
        (op, Field::Owner(owner)) if op.orders() => {
            let Right::One(value) = right else { return Err(wrong(op)) };
            let range = op.range(number("id", value)?, u32::MAX);
            let is = OwnerIs::In(range.into_iter().collect());
            return Ok(Condition::one(Match::Owner { owner, is }));
        }
        (op, _) => return Err(wrong(op)),
    };
    Ok(match field {
        Field::Family => Condition { families: families(right, not)?, any: vec![Vec::new()] },
        Field::Protocol(false) => protocols(right, not)?,
        Field::Protocol(true) => protocols(right, not)?.of(Family::Ipv4),
        Field::Port(of, protocol) => {
            compare_ports(of, protocol, right.each(ports)?.into_iter().collect(), not)
        }
        Field::Address(of, family) => addresses(of, family, right, not)?.of(family),
        Field::Interface(of) => {
            let mut names = right.each(|value| {
                Interface::new(text("interface", value)?)
                    .map_err(|why| bad("interface", value, &why))
            })?;
            names.sort_unstable();
            names.dedup();
            Condition::one(Match::Interface { of, names, not })
        }
        Field::Owner(owner) => {
            let ids = joined(right.each(|value| numbers("id", value))?);
            let is = if not { OwnerIs::NotIn { ids, ownerless: false } } else { OwnerIs::In(ids) };
            Condition::one(Match::Owner { owner, is })
        }
        Field::Mark(bits) => marks(bits, &right.each(mark)?, not)?,
        Field::State => states_are(op, right)?,
        Field::Route(of) => {
            right.each(|value| match text("type of address", value)? {
                "local" => Ok(()),
                _ => Err(bad("type of address", value, "only local can be read")),
            })?;
            Condition::one(Match::Local { of, not })
        }
        Field::Transparent => socket(right, not, 1)?,
        Field::Wildcard => socket(right, not, 0)?,
    })
}

fn wrong(op: Op) -> ReadProblem {
    ReadProblem::Inexact { word: op.word().to_owned(), why: "it is not known for what it compares" }
}

fn families(right: &Right<'_>, not: bool) -> Result<Option<Families>, ReadProblem> {
    let named = right.each(|value| match text("family", value)? {
        "ipv4" => Ok(Family::Ipv4),
        "ipv6" => Ok(Family::Ipv6),
        _ => Err(bad("family", value, "only ipv4 and ipv6 can be read")),
    })?;
    let [v4, v6] = Family::ALL.map(|family| named.contains(&family) != not);
    Ok(match (v4, v6) {
        (true, true) => Some(Families::Both),
        (true, false) => Some(Families::Ipv4),
        (false, true) => Some(Families::Ipv6),
        (false, false) => None,
    })
}

fn protocols(right: &Right<'_>, not: bool) -> Result<Condition, ReadProblem> {
    let named = right.each(|value| match (value.as_str(), value.as_u64()) {
        (Some("tcp"), _) | (_, Some(6)) => Ok(Protocol::Tcp),
        (Some("udp"), _) | (_, Some(17)) => Ok(Protocol::Udp),
        _ => Err(bad("protocol", value, "only tcp and udp can be read")),
    })?;
    let mut matches: Vec<_> = [Protocol::Tcp, Protocol::Udp]
        .into_iter()
        .filter(|protocol| named.contains(protocol))
        .map(|protocol| Match::Protocol { protocol, not })
        .collect();
    if !not && matches.len() == 2 {
        matches = vec![transport()];
    }
    Ok(if matches.is_empty() { Condition::constant(not) } else { Condition::all(matches) })
}

fn compare_ports(
    of: Direction,
    protocol: Option<Protocol>,
    ports: PortSet,
    not: bool,
) -> Condition {
    let protocol = protocol.map(|protocol| Match::Protocol { protocol, not: false });
    Condition::all(protocol.into_iter().chain([Match::Port { of, ports, not }]).collect())
}

fn addresses(
    of: Direction,
    family: Family,
    right: &Right<'_>,
    not: bool,
) -> Result<Condition, ReadProblem> {
    if let Right::Filled(set) = right {
        return Ok(Condition::one(Match::InSet { of, set: set.clone(), not }));
    }
    let all = right.each(|value| nets(value, family))?.concat();
    Ok(aggregate(&all, family).map_or_else(
        || Condition::constant(not),
        |nets| Condition::one(Match::Address { of, nets, not }),
    ))
}

fn marks(bits: Bits, values: &[(u32, u32)], not: bool) -> Result<Condition, ReadProblem> {
    let (which, counting, flipped) = bits.compared()?;
    let one = |(value, mask): &(u32, u32)| {
        // A value that no mark has under the mask: none is equal to it, every one differs.
        let wanted = Mark::new((value ^ flipped) & mask, counting & mask);
        let (mark, not) = wanted.map_or_else(|_| (any_mark(), !not), |mark| (mark, not));
        match which {
            Which::Packet => Match::Mark { mark, not },
            Which::Connection => Match::Connmark { mark, not },
        }
    };
    let mut matches: Vec<_> = values.iter().map(one).collect();
    matches.sort_unstable();
    matches.dedup();
    Ok(if not {
        Condition::all(matches)
    } else {
        Condition::any(matches.into_iter().map(|one| vec![one]).collect())
    })
}

/// Connection states are bits. A packet has exactly one.
fn states_are(op: Op, right: &Right<'_>) -> Result<Condition, ReadProblem> {
    let bits = right.each(states)?;
    let is_set = matches!(right, Right::Set(_));
    if is_set && op == Op::NoneOf {
        return Err(wrong(op));
    }
    let not = matches!(op, Op::Unequal | Op::NoneOf);
    // A value of several bits is equal to no state.
    let by_bit = matches!(op, Op::In | Op::NoneOf) && !is_set;
    let states = bits.into_iter().filter(|bits| by_bit || bits.len() == 1).flatten();
    let states: CtStates = states.collect();
    Ok(if states.iter().next().is_none() {
        Condition::constant(not)
    } else {
        Condition::one(Match::CtState { states, not })
    })
}

/// One half of the match on a transparent socket; the rule puts both together.
fn socket(right: &Right<'_>, not: bool, wanted: u32) -> Result<Condition, ReadProblem> {
    match right {
        Right::One(value) if !not && number("socket", value)? == wanted => {
            Ok(Condition::constant(true))
        }
        Right::One(value) => Err(bad("socket", value, "only a transparent one that is bound")),
        _ => Err(wrong(Op::Equal)),
    }
}
