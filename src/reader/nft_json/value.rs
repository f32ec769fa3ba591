//! Right-hand sides of matches: values, sets, ranges, prefixes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use serde_json::Value;

use super::ReadProblem;
use super::object::{Object, bad, form, only, text};
use crate::ir::CtState;
use crate::net::{Family, PortRange};

/// The value of an element, which may be wrapped together with a comment or a count.
pub(super) fn unwrapped(element: &Value) -> Result<&Value, ReadProblem> {
    let Some(body) = form(element, "elem")? else { return Ok(element) };
    Object::read("elem", body, &["val", "comment", "counter"])?.need("val")
}

/// A number of 32 bits; a text of digits is one too, as it is to nft.
pub(super) fn number(of: &'static str, value: &Value) -> Result<u32, ReadProblem> {
    let number = match value {
        Value::Number(number) => number.as_u64(),
        // A 0 in front means octal to some versions of nft, and nobody means that.
        Value::String(text) if text.len() > 1 && text.starts_with('0') => text
            .strip_prefix("0x")
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok()),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    number
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| bad(of, value, "not a number of at most 32 bits"))
}

/// A mark and the bits of it that count: nft 1.0.6 lists `& 0xfffff000 == 0x1000` as a prefix of 20
/// bits.
pub(super) fn mark(value: &Value) -> Result<(u32, u32), ReadProblem> {
    let Some(prefix) = form(value, "prefix")? else {
        return Ok((number("mark", value)?, u32::MAX));
    };
    let fields = Object::read("prefix", prefix, &["addr", "len"])?;
    let len = number("len", fields.need("len")?)?;
    let rest =
        u32::BITS.checked_sub(len).ok_or_else(|| bad("mark", value, "longer than a mark"))?;
    let mask = u32::MAX.checked_shl(rest).unwrap_or(0);
    Ok((number("mark", fields.need("addr")?)?, mask))
}

/// A number, or both ends of a range of them.
pub(super) fn numbers(of: &'static str, value: &Value) -> Result<(u32, u32), ReadProblem> {
    let Some((first, last)) = ends(of, value)? else {
        let number = number(of, value)?;
        return Ok((number, number));
    };
    let (first, last) = (number(of, first)?, number(of, last)?);
    if first > last {
        return Err(bad(of, value, "the first is above the last"));
    }
    Ok((first, last))
}

/// A port from 0 on.
pub(super) fn port(value: &Value) -> Result<u16, ReadProblem> {
    let number = number("port", value)?;
    u16::try_from(number).map_err(|_| bad("port", value, "the highest port is 65535"))
}

/// A port from 1 on, to which packets are sent.
pub(super) fn target_port(value: &Value) -> Result<u16, ReadProblem> {
    match port(value)? {
        0 => Err(bad("port", value, "the lowest port is 1")),
        port => Ok(port),
    }
}

pub(super) fn ports(value: &Value) -> Result<PortRange, ReadProblem> {
    let Some((first, last)) = ends("port", value)? else { return Ok(PortRange::one(port(value)?)) };
    PortRange::new(port(first)?, port(last)?)
        .ok_or_else(|| bad("port", value, "the first port is above the last"))
}

/// An address, and nothing that would have to be resolved.
pub(super) fn address(value: &Value) -> Result<IpAddr, ReadProblem> {
    text("address", value)?.parse().map_err(|_| bad("address", value, "not an address"))
}

/// The prefixes of an address, a prefix or a range, all of `family`.
pub(super) fn nets(value: &Value, family: Family) -> Result<Vec<IpNet>, ReadProblem> {
    let of_family = |value| match address(value)? {
        address if address.is_ipv4() == (family == Family::Ipv4) => Ok(address),
        _ => Err(bad("address", value, "an address of the other family")),
    };
    if let Some((first, last)) = ends("address", value)? {
        return match (of_family(first)?, of_family(last)?) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => Ok(range4(first, last)),
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => Ok(range6(first, last)),
            _ => Err(bad("address", value, "the first is above the last")),
        };
    }
    let (address, len) = match form(value, "prefix")? {
        None => (of_family(value)?, family.address_bits()),
        Some(prefix) => {
            let fields = Object::read("prefix", prefix, &["addr", "len"])?;
            let len = fields.need("len")?;
            let bits = u8::try_from(number("len", len)?);
            let too_long = |_| bad("len", len, "longer than an address");
            (of_family(fields.need("addr")?)?, bits.map_err(too_long)?)
        }
    };
    let net = IpNet::new(address, len);
    Ok(vec![net.map_err(|_| bad("address", value, "the prefix is longer than an address"))?])
}

fn range4(first: Ipv4Addr, last: Ipv4Addr) -> Vec<IpNet> {
    Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect()
}

fn range6(first: Ipv6Addr, last: Ipv6Addr) -> Vec<IpNet> {
    Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect()
}

/// Both ends of a range, if `value` is one.
fn ends<'a>(
    of: &'static str,
    value: &'a Value,
) -> Result<Option<(&'a Value, &'a Value)>, ReadProblem> {
    let Some(range) = form(value, "range")? else { return Ok(None) };
    match range.as_array().map(Vec::as_slice) {
        Some([first, last]) => Ok(Some((first, last))),
        _ => Err(bad(of, range, "not a first and a last")),
    }
}

/// The states of a bit mask: one, a list, or states joined by `|`.
pub(super) fn states(value: &Value) -> Result<Vec<CtState>, ReadProblem> {
    let list = match value {
        Value::Array(states) => Some(states),
        Value::Object(_) => match only(value, "value")? {
            ("|", Value::Array(states)) => Some(states),
            _ => return Err(bad("state", value, "not a list of states")),
        },
        _ => None,
    };
    let Some(list) = list else {
        let name = text("state", value)?;
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
