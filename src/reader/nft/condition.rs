//! Matches of nft.

use ipnet::IpNet;

use super::ReadProblem;
use super::bits::{Bits, Which};
use super::field::Field;
use super::sets::{Sets, anonymous};
use super::value::{interface_name, mark, nets, number, numbers, port, ports, states, word};
use crate::ir::{CtStates, Direction, Match, OwnerIs, Protocol};
use crate::net::{Families, Family, Interface, Mark, Name, PortRange, PortSet, aggregate};
use crate::nft::{self, Comparison as Op, Expr, Value, bad};
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

/// The numbers up to `most` that are ordered so beside `right`; `None` if there are none.
fn range(op: Op, right: u32, most: u32) -> Option<(u32, u32)> {
    let (first, last) = match op {
        Op::Less => (0, right.checked_sub(1)?),
        Op::LessOrEqual => (0, right),
        Op::Greater => (right.checked_add(1)?, most),
        Op::GreaterOrEqual => (right, most),
        Op::Equal | Op::Unequal | Op::In | Op::NoneOf => return None,
    };
    (first <= last).then_some((first, last))
}

const fn orders(op: Op) -> bool {
    matches!(op, Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual)
}

/// What a field is compared with.
pub(super) enum Right<'v> {
    One(&'v Value<'v>),
    Set(Vec<&'v [Value<'v>]>),
    /// A set that others fill.
    Filled(Name),
}

impl<'v> Right<'v> {
    fn read(
        right: &'v nft::Right<'v>,
        field: Field,
        sets: &Sets<'v, '_>,
    ) -> Result<Self, ReadProblem> {
        match right {
            nft::Right::One(value) => Ok(Self::One(value)),
            nft::Right::Named(name) => Self::named(name, field, sets),
            nft::Right::Set(elements) => Ok(Self::Set(vec![anonymous(elements, right)?])),
        }
    }

    fn named(name: &str, field: Field, sets: &Sets<'v, '_>) -> Result<Self, ReadProblem> {
        let set = sets.need(name)?;
        if !field.is_of(&set.set.of)? {
            return Err(bad("type", &set.set.of, "not that of the field"));
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
        sets.elements(set).map(Self::Set)
    }

    fn values(&self) -> Result<impl Iterator<Item = &'v Value<'v>>, ReadProblem> {
        let (one, set): (Option<&'v Value<'v>>, &[&'v [Value<'v>]]) = match self {
            Self::One(value) => (Some(value), &[]),
            Self::Set(elements) => (None, elements),
            Self::Filled(name) => {
                return Err(ReadProblem::Inexact {
                    word: name.to_string(),
                    why: "only addresses can be in a set that others fill",
                });
            }
        };
        Ok(one.into_iter().chain(set.iter().copied().flatten()))
    }

    fn each<T>(
        &self,
        read: impl Fn(&Value<'v>) -> Result<T, ReadProblem>,
    ) -> Result<Vec<T>, ReadProblem> {
        self.values()?.map(read).collect()
    }
}

/// Reads a match; its field, too, unless it has several.
pub(super) fn read<'v>(
    (left, op, right): (&Expr<'_>, Op, &'v nft::Right<'v>),
    sets: &Sets<'v, '_>,
) -> Result<(Option<Field>, Condition), ReadProblem> {
    if let Expr::Concat(parts) = left {
        return Ok((None, super::concat::compare(parts, op, right, sets)?));
    }
    let field = Field::read(left)?;
    let right = Right::read(right, field, sets)?;
    Ok((Some(field), compare(field, op, &right)?))
}

/// What it takes for `field` to compare with `right` so.
pub(super) fn compare(field: Field, op: Op, right: &Right<'_>) -> Result<Condition, ReadProblem> {
    let not = match (op, field) {
        (Op::Equal | Op::In, _) => false,
        (Op::Unequal, _) | (Op::NoneOf, Field::State) => true,
        (op, Field::Port(of, protocol)) if orders(op) => {
            let Right::One(value) = right else { return Err(wrong(op)) };
            let range = range(op, port(value)?.into(), u16::MAX.into());
            let ports = range.and_then(|(first, last)| {
                PortRange::new(u16::try_from(first).ok()?, u16::try_from(last).ok()?)
            });
            return Ok(compare_ports(of, protocol, ports.into_iter().collect(), false));
        }
        (op, Field::Owner(owner)) if orders(op) => {
            let Right::One(value) = right else { return Err(wrong(op)) };
            let range = range(op, number("id", value)?, u32::MAX);
            let is = OwnerIs::In(range.into_iter().collect());
            return Ok(Condition::one(Match::Owner { owner, is }));
        }
        (op, _) => return Err(wrong(op)),
    };
    Ok(match field {
        Field::Family => {
            Condition { families: families(["ipv4", "ipv6"], right, not)?, any: vec![Vec::new()] }
        }
        Field::Ether => {
            Condition { families: families(["ip", "ip6"], right, not)?, any: vec![Vec::new()] }
        }
        Field::Protocol(false) => protocols(right, not)?,
        Field::Protocol(true) => protocols(right, not)?.of(Family::Ipv4),
        Field::Port(of, protocol) => {
            let ports = right.values()?.map(ports).collect::<Result<_, _>>()?;
            compare_ports(of, protocol, ports, not)
        }
        Field::Address(of, family) => {
            addresses((of, family, family.address_bits()), right, not)?.of(family)
        }
        Field::Beginning(of, family, length) => {
            addresses((of, family, length), right, not)?.of(family)
        }
        Field::Interface(_, "iface_index") if right.values()?.any(is_index) => {
            return Err(crate::nft::unknown("interface", "by its number"));
        }
        Field::Interface(of, _) => {
            let mut names = right.each(|value| {
                Interface::new(&interface_name(value)?).map_err(|why| bad("interface", value, &why))
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
            right.each(|value| match word("type of address", value)? {
                "local" => Ok(()),
                _ => Err(bad("type of address", value, "only local can be read")),
            })?;
            Condition::one(Match::Local { of, not })
        }
        Field::Transparent => socket(right, not, 1)?,
        Field::Wildcard => socket(right, not, 0)?,
    })
}

/// Whether an interface is named by its number alone: there is none with it now.
const fn is_index(value: &Value<'_>) -> bool {
    matches!(value, Value::Number(_) | Value::Hex(_))
}

fn wrong(op: Op) -> ReadProblem {
    ReadProblem::Inexact { word: op.word().to_owned(), why: "it is not known for what it compares" }
}

fn families(
    [v4, v6]: [&str; 2],
    right: &Right<'_>,
    not: bool,
) -> Result<Option<Families>, ReadProblem> {
    let named = right.each(|value| {
        let word = word("family", value)?;
        let known = [v4, v6].into_iter().zip(Family::ALL).find(|(name, _)| *name == word);
        let why = || bad("family", value, &format!("only {v4} and {v6} can be read"));
        known.map(|(_, family)| family).ok_or_else(why)
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
    let mut named = right.each(|value| {
        match value {
            Value::Number(number) | Value::Hex(number) => {
                u8::try_from(*number).ok().map(Protocol::of)
            }
            Value::Word(word) => Protocol::named(word),
            _ => None,
        }
        .ok_or_else(|| bad("protocol", value, "not a protocol"))
    })?;
    named.sort_unstable();
    named.dedup();
    let is = |protocol| Match::Protocol { protocol, not };
    if not {
        return Ok(Condition::all(named.into_iter().map(is).collect()));
    }
    let both = [Protocol::Tcp, Protocol::Udp];
    let mut any: Vec<Vec<Match>> = Vec::new();
    if both.iter().all(|protocol| named.contains(protocol)) {
        named.retain(|protocol| !both.contains(protocol));
        any.push(vec![transport()]);
    }
    any.extend(named.into_iter().map(|protocol| vec![is(protocol)]));
    Ok(Condition::any(any))
}

fn compare_ports(
    of: Direction,
    protocol: Option<Protocol>,
    ports: PortSet,
    not: bool,
) -> Condition {
    let ports = Match::Port { of, ports, not };
    Condition::all(match protocol {
        Some(protocol) => vec![Match::Protocol { protocol, not: false }, ports],
        None => vec![ports],
    })
}

/// What it takes for the first address of the prefix of `length` in which an address lies to be one of these. Of the
/// longest prefix, it is the address itself.
fn addresses(
    (of, family, length): (Direction, Family, u8),
    right: &Right<'_>,
    not: bool,
) -> Result<Condition, ReadProblem> {
    if let Right::Filled(set) = right
        && length == family.address_bits()
    {
        return Ok(Condition::one(Match::InSet { of, set: set.clone(), not }));
    }
    let mut all = Vec::new();
    right.values()?.try_for_each(|value| nets(value, family, &mut all))?;
    // A longer prefix holds the first address of one at most.
    let begun = |net: IpNet| match IpNet::new(net.network(), length).ok()? {
        _ if net.prefix_len() <= length => Some(net),
        whole if whole.network() == net.network() => Some(whole),
        _ => None,
    };
    let all: Vec<IpNet> = all.into_iter().filter_map(begun).collect();
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
