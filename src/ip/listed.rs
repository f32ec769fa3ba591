//! What `ip -j -N` lists of a namespace, read (iproute2 5.0 to 6.1).

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::{Rule, Stack, Way};
use crate::ir::HostStep;
use crate::lower::Lowered;
use crate::net::Family;

/// What `ip -j -N` prints for one family.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listings {
    /// `rule`.
    pub(crate) rules: String,
    /// `route show table all`.
    pub(crate) routes: String,
    /// `address show dev lo`.
    pub(crate) addresses: String,
}

/// What is there of what a policy needs beside its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What is not.
    pub(crate) missing: Vec<String>,
    /// Routing rules of an older version, which loading the policy would take away.
    pub(crate) stale: Vec<String>,
    /// The families that are off in the namespace.
    pub(crate) off: Vec<Family>,
}

/// The number of a type of route that is this machine (`rtnetlink(7)`, `RTN_LOCAL`).
const LOCAL: &str = "2";

impl Stack {
    /// What is listed of `family`.
    ///
    /// # Errors
    ///
    /// What is not as `ip` prints it.
    pub(crate) fn listed(family: Family, listings: &Listings) -> Result<Self, String> {
        let mut stack = Self::new(family);
        for rule in list(&listings.rules, "rule")? {
            let mark = bits(&rule, "fwmark").unwrap_or(0);
            let is_plain =
                rule["src"] == "all" && rule.get("iif").is_none() && rule.get("not").is_none();
            let (Some(priority), Some(table)) = (number(&rule, "priority"), number(&rule, "table"))
            else {
                continue;
            };
            // One with more conditions is somebody else's.
            if is_plain {
                let under = bits(&rule, "fwmask").unwrap_or(if mark == 0 { 0 } else { u32::MAX });
                let protocol = number(&rule, "protocol").unwrap_or(0);
                let protocol = u8::try_from(protocol).unwrap_or(0);
                stack.rules.push(Rule { priority, mark, mask: under, table, protocol });
            }
        }
        for route in list(&listings.routes, "route")? {
            let to = match text(&route, "dst").as_deref() {
                None => continue,
                Some("default") => Some(family.everywhere()),
                Some(to) => to.parse().ok().or_else(|| to.parse::<IpAddr>().ok().map(IpNet::from)),
            };
            let (Some(to), Some(table)) = (to, number(&route, "table")) else { continue };
            if Family::of(to.addr()) != family {
                continue;
            }
            let is_local = route["type"] == LOCAL && route["dev"] == "lo";
            let protocol = number(&route, "protocol").and_then(|it| u8::try_from(it).ok());
            stack.routes.insert((table, to), Way { is_local, protocol: protocol.unwrap_or(0) });
        }
        for link in list(&listings.addresses, "address")? {
            for address in link["addr_info"].as_array().into_iter().flatten() {
                let local = text(address, "local").and_then(|it| it.parse().ok());
                let length = number(address, "prefixlen").and_then(|it| u8::try_from(it).ok());
                let net = local.zip(length).and_then(|(it, length)| IpNet::new(it, length).ok());
                stack.addresses.extend(net.filter(|net| Family::of(net.addr()) == family));
            }
        }
        Ok(stack)
    }

    /// Whether the family is there at all: loopback has its address.
    pub(crate) fn is_on(&self, family: Family) -> bool {
        self.addresses.iter().any(|net| net.addr() == family.loopback())
    }
}

/// What of a policy's needs stands in a namespace of which `listings` are IPv4's and IPv6's.
///
/// # Errors
///
/// What is not as `ip` prints it.
pub(crate) fn standing(lowered: &Lowered, listings: &[Listings; 2]) -> Result<Standing, String> {
    let mut standing = Standing::default();
    for (family, listings) in Family::ALL.into_iter().zip(listings) {
        let mut stack = Stack::listed(family, listings)?;
        let steps = || lowered.host.iter().filter(move |step| step.family == family);
        if !stack.is_on(family) && steps().next().is_some() {
            standing.off.push(family);
            continue;
        }
        let missing = steps().filter(|step| !stack.holds(step)).map(HostStep::to_string);
        standing.missing.extend(missing);
        if let Some(protocol) = lowered.protocol {
            let before = stack.rules.clone();
            let keep = steps().find_map(super::Selector::of);
            stack.sweep(protocol, keep.as_ref());
            let gone = before.into_iter().filter(|rule| !stack.rules.contains(rule));
            standing.stale.extend(gone.map(|rule| format!("{family} rule {rule}")));
        }
    }
    Ok(standing)
}

fn list(json: &str, what: &str) -> Result<Vec<Value>, String> {
    if json.trim().is_empty() {
        return Ok(Vec::new());
    }
    let value: Value = serde_json::from_str(json)
        .map_err(|why| format!("`ip -j {what}` prints no JSON: {why}"))?;
    match value {
        Value::Array(list) => Ok(list),
        _ => Err(format!("`ip -j {what}` prints no list")),
    }
}

fn text(of: &Value, key: &str) -> Option<String> {
    of.get(key)?.as_str().map(str::to_owned)
}

/// A number, which `ip` prints as a number or as a text.
fn number(of: &Value, key: &str) -> Option<u32> {
    let value = of.get(key)?;
    value.as_u64().and_then(|it| u32::try_from(it).ok()).or_else(|| value.as_str()?.parse().ok())
}

/// The bits of a mark: `0x539`.
fn bits(of: &Value, key: &str) -> Option<u32> {
    let text = text(of, key)?;
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
