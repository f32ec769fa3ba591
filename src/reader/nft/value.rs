//! Right-hand sides of matches: values, sets, ranges, prefixes.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use super::ReadProblem;
use crate::ir::CtState;
use crate::net::{Family, PortRange};
use crate::nft::{Value, bad};

/// A number of 32 bits.
pub(super) fn number(of: &'static str, value: &Value<'_>) -> Result<u32, ReadProblem> {
    match value {
        Value::Number(number) | Value::Hex(number) => Ok(*number),
        _ => Err(bad(of, value, "not a number of at most 32 bits")),
    }
}

/// A mark and the bits of it that count: nft 1.0.6 lists `& 0xfffff000 == 0x1000` as a prefix of 20
/// bits.
pub(super) fn mark(value: &Value<'_>) -> Result<(u32, u32), ReadProblem> {
    let Value::NumberPrefix(mark, len) = value else {
        return Ok((number("mark", value)?, u32::MAX));
    };
    let rest = u32::BITS.checked_sub(u32::from(*len));
    let rest = rest.ok_or_else(|| bad("mark", value, "longer than a mark"))?;
    Ok((*mark, u32::MAX.checked_shl(rest).unwrap_or(0)))
}

/// A number, or both ends of a range of them.
pub(super) fn numbers(of: &'static str, value: &Value<'_>) -> Result<(u32, u32), ReadProblem> {
    let Value::Range(ends) = value else {
        let number = number(of, value)?;
        return Ok((number, number));
    };
    let (first, last) = (number(of, &ends.0)?, number(of, &ends.1)?);
    if first > last {
        return Err(bad(of, value, "the first is above the last"));
    }
    Ok((first, last))
}

/// A word that is not between quotation marks.
pub(super) fn word<'v>(of: &'static str, value: &'v Value<'_>) -> Result<&'v str, ReadProblem> {
    match value {
        Value::Word(word) => Ok(word),
        _ => Err(bad(of, value, "not a word")),
    }
}

/// A name of an interface, or its beginning with `*` behind it: in a script, some need no quotation
/// marks, and a name of digits is one too.
pub(super) fn interface_name<'v>(value: &'v Value<'_>) -> Result<Cow<'v, str>, ReadProblem> {
    match value {
        Value::Word(name) | Value::Text(name) => Ok(Cow::Borrowed(name)),
        Value::Number(digits) => Ok(Cow::Owned(digits.to_string())),
        Value::Rest => Ok(Cow::Borrowed("*")),
        _ => Err(bad("interface", value, "not a name")),
    }
}

/// A port from 0 on.
pub(super) fn port(value: &Value<'_>) -> Result<u16, ReadProblem> {
    let number = number("port", value)?;
    u16::try_from(number).map_err(|_| bad("port", value, "the highest port is 65535"))
}

/// A port from 1 on, to which packets are sent.
pub(super) fn target_port(value: &Value<'_>) -> Result<u16, ReadProblem> {
    match port(value)? {
        0 => Err(bad("port", value, "the lowest port is 1")),
        port => Ok(port),
    }
}

pub(super) fn ports(value: &Value<'_>) -> Result<PortRange, ReadProblem> {
    let Value::Range(ends) = value else { return Ok(PortRange::one(port(value)?)) };
    PortRange::new(port(&ends.0)?, port(&ends.1)?)
        .ok_or_else(|| bad("port", value, "the first port is above the last"))
}

/// An address, and nothing that would have to be resolved.
pub(super) fn address(value: &Value<'_>) -> Result<IpAddr, ReadProblem> {
    match value {
        Value::Address(address) => Ok(*address),
        _ => Err(bad("address", value, "not an address")),
    }
}

/// Adds the prefixes of an address, a prefix or a range, all of `family`, to `nets`.
pub(super) fn nets(
    value: &Value<'_>,
    family: Family,
    nets: &mut Vec<IpNet>,
) -> Result<(), ReadProblem> {
    let check = |address: IpAddr| {
        if address.is_ipv4() == (family == Family::Ipv4) {
            Ok(address)
        } else {
            Err(bad("address", value, "an address of the other family"))
        }
    };
    match value {
        Value::Range(ends) => match (check(address(&ends.0)?)?, check(address(&ends.1)?)?) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
                nets.extend(range4(first, last));
            }
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
                nets.extend(range6(first, last));
            }
            _ => return Err(bad("address", value, "the first is above the last")),
        },
        Value::Prefix(address, len) => {
            let net = IpNet::new(check(*address)?, *len);
            let too_long = |_| bad("address", value, "the prefix is longer than an address");
            nets.push(net.map_err(too_long)?);
        }
        _ => nets.push(IpNet::from(check(address(value)?)?)),
    }
    Ok(())
}

fn range4(first: Ipv4Addr, last: Ipv4Addr) -> impl Iterator<Item = IpNet> {
    Ipv4Subnets::new(first, last, 0).map(IpNet::V4)
}

fn range6(first: Ipv6Addr, last: Ipv6Addr) -> impl Iterator<Item = IpNet> {
    Ipv6Subnets::new(first, last, 0).map(IpNet::V6)
}

/// The states of a bit mask: one, a list, or states joined by `|`.
pub(super) fn states(value: &Value<'_>) -> Result<Vec<CtState>, ReadProblem> {
    let (Value::List(list) | Value::Bits(list)) = value else {
        let name = word("state", value)?;
        let known = CtState::ALL.into_iter().find(|state| state.name() == name);
        return Ok(vec![known.ok_or_else(|| bad("state", value, "not a state"))?]);
    };
    let mut all = Vec::new();
    for value in list {
        all.extend(states(value)?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}
