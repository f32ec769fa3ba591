//! What fields are compared with: single values, intervals, and sets of both.

use std::net::IpAddr;

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};
use serde_json::Value;

use super::{ReadProblem, unknown};
use crate::net::{Family, Interface, Nets, PortRange, PortSet, aggregate};

/// A number, which nft also takes as a text in decimal or hexadecimal.
pub(super) fn number(json: &Value) -> Result<u32, ReadProblem> {
    let number = match json {
        Value::String(text) => match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        },
        _ => json.as_u64().and_then(|number| number.try_into().ok()),
    };
    number.ok_or_else(|| unknown("number", json))
}

/// A port that connections are sent to.
pub(super) fn port(json: &Value) -> Result<u16, ReadProblem> {
    match u16::try_from(number(json)?) {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(unknown("port", json)),
    }
}

/// The elements of a set as its declaration or a rule lists them, without what is attached to
/// them.
pub(super) fn elements(json: &Value) -> Vec<&Value> {
    match json {
        Value::Array(elements) => elements.iter().map(plain).collect(),
        one => vec![plain(one)],
    }
}

fn plain(element: &Value) -> &Value {
    element.get("elem").and_then(|element| element.get("val")).unwrap_or(element)
}

/// First and last of a number or `{"range": [first, last]}`.
fn interval(json: &Value) -> Result<(u32, u32), ReadProblem> {
    let (first, last) = match json.get("range").and_then(Value::as_array).map(Vec::as_slice) {
        Some([first, last]) => (number(first)?, number(last)?),
        _ => (number(json)?, number(json)?),
    };
    if first <= last { Ok((first, last)) } else { Err(unknown("range", json)) }
}

/// Numbers as sorted ranges.
pub(super) fn ids(elements: &[&Value]) -> Result<Vec<(u32, u32)>, ReadProblem> {
    let mut ids: Vec<_> =
        elements.iter().map(|element| interval(element)).collect::<Result<_, _>>()?;
    ids.sort_unstable();
    Ok(ids)
}

pub(super) fn ports(elements: &[&Value]) -> Result<PortSet, ReadProblem> {
    let range = |element: &&Value| {
        let (first, last) = interval(element)?;
        let port = |number| u16::try_from(number).map_err(|_| unknown("port", element));
        PortRange::new(port(first)?, port(last)?).ok_or_else(|| unknown("port", element))
    };
    elements.iter().map(range).collect()
}

pub(super) fn interfaces(elements: &[&Value]) -> Result<Vec<Interface>, ReadProblem> {
    let name = |element: &&Value| {
        let name = element.as_str().and_then(|name| Interface::new(name).ok());
        name.ok_or_else(|| unknown("interface", element))
    };
    elements.iter().map(name).collect()
}

/// Addresses, prefixes and ranges of `family`; at least one.
pub(super) fn nets(elements: &[&Value], family: Family) -> Result<Nets, ReadProblem> {
    let mut nets = Vec::with_capacity(elements.len());
    for element in elements {
        let address = |json: Option<&Value>| {
            let address = json.and_then(Value::as_str).and_then(|text| text.parse::<IpAddr>().ok());
            address
                .filter(|address| address.is_ipv4() == (family == Family::Ipv4))
                .ok_or_else(|| unknown("address", element))
        };
        if let Some(prefix) = element.get("prefix") {
            let length = prefix.get("len").and_then(Value::as_u64);
            let length = length.and_then(|length| u8::try_from(length).ok());
            let net = IpNet::new(address(prefix.get("addr"))?, length.unwrap_or(u8::MAX));
            nets.push(net.map_err(|_| unknown("prefix", element))?);
        } else if let Some(range) = element.get("range") {
            let subnets = match (address(range.get(0))?, address(range.get(1))?) {
                (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
                    IpSubnets::from(Ipv4Subnets::new(first, last, 0))
                }
                (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
                    IpSubnets::from(Ipv6Subnets::new(first, last, 0))
                }
                _ => return Err(unknown("range", element)),
            };
            nets.extend(subnets);
        } else {
            nets.push(address(Some(element))?.into());
        }
    }
    aggregate(&nets, family).ok_or_else(|| unknown("set", &Value::Null))
}
