//! Match statements.

use serde_json::Value;

use super::commands::{SetText, Sets};
use super::value::{elements, ids, interfaces, nets, number, ports};
use super::{ReadProblem, part, text, unknown};
use crate::ir::{CtState, Direction, Match, Owner, OwnerIs, Protocol};
use crate::net::{Families, Family, Mark, Name, PortRange, PortSet};

/// What the matches of a rule come to.
pub(super) struct Matches {
    /// The families that they leave; `None` if none.
    pub(super) families: Option<Families>,
    pub(super) when: Vec<Match>,
}

/// The operators that are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    Unequal,
    In,
    AtLeast,
    AtMost,
}

impl Matches {
    /// Every packet of a table that sees `families`.
    pub(super) const fn all(families: Families) -> Self {
        Self { families: Some(families), when: Vec::new() }
    }

    /// Leaves only `families`.
    pub(super) fn narrow(&mut self, families: Families) {
        self.families = self.families.and_then(|old| old.and(families));
    }

    /// Whether every packet that is left is TCP or UDP.
    pub(super) fn has_ports(&self) -> bool {
        self.when
            .iter()
            .any(|when| matches!(when, Match::Protocol { not: false, .. } | Match::Port { .. }))
    }

    /// Adds the match of `json`.
    pub(super) fn add(&mut self, json: &Value, sets: &Sets<'_>) -> Result<(), ReadProblem> {
        let op = match text(json, "op")? {
            "==" => Op::Equal,
            "!=" => Op::Unequal,
            "in" => Op::In,
            ">=" => Op::AtLeast,
            "<=" => Op::AtMost,
            _ => return Err(unknown("match", json)),
        };
        let (left, right) = (part(json, "left")?, part(json, "right")?);
        let bad = || unknown("match", json);
        let not = match op {
            Op::Equal => Some(false),
            Op::Unequal => Some(true),
            Op::In | Op::AtLeast | Op::AtMost => None,
        };
        if let Some(key) = left.get("meta").map(|meta| text(meta, "key")).transpose()? {
            if let Some((owner, set)) = owner(key) {
                let is = owner_is(op, right, sets, set).ok_or_else(bad)??;
                self.when.push(Match::Owner { owner, is });
                return Ok(());
            }
            return self.meta(key, not.ok_or_else(bad)?, right, sets).ok_or_else(bad)?;
        }
        if left.get("ct").is_some_and(|ct| ct.get("key").is_some_and(|key| key == "state")) {
            self.when.push(state(op, right).ok_or_else(bad)?);
            return Ok(());
        }
        let not = not.ok_or_else(bad)?;
        if let Some(payload) = left.get("payload") {
            let (protocol, field) = (text(payload, "protocol")?, text(payload, "field")?);
            return self.payload((protocol, field), not, right, sets).ok_or_else(bad)?;
        }
        if let Some(fib) = left.get("fib") {
            let of = match fib.get("flags").map(elements).as_deref() {
                Some([Value::String(flag)]) if flag == "saddr" => Direction::Source,
                Some([Value::String(flag)]) if flag == "daddr" => Direction::Destination,
                _ => return Err(bad()),
            };
            if text(fib, "result")? != "type" || right != "local" {
                return Err(bad());
            }
            self.when.push(Match::Local { of, not });
            return Ok(());
        }
        self.mark(left, not, right).ok_or_else(bad)?
    }

    /// `None` if the match is not known.
    fn meta(
        &mut self,
        key: &str,
        not: bool,
        right: &Value,
        sets: &Sets<'_>,
    ) -> Option<Result<(), ReadProblem>> {
        match key {
            "nfproto" => {
                let ipv4 = match right.as_str()? {
                    "ipv4" => true,
                    "ipv6" => false,
                    _ => return None,
                };
                self.narrow(if ipv4 == not { Families::Ipv6 } else { Families::Ipv4 });
            }
            "l4proto" => {
                let named = |json: &&Value| protocol(json);
                let protocols: Vec<_> = match right.get("set") {
                    Some(set) => elements(set).iter().map(named).collect::<Option<_>>()?,
                    None => vec![protocol(right)?],
                };
                let both = protocols.contains(&Protocol::Tcp) && protocols.contains(&Protocol::Udp);
                if both && !not {
                    let ports = PortSet::from_iter([PortRange::ALL]);
                    self.when.push(Match::Port { of: Direction::Destination, ports, not });
                } else {
                    let each = protocols.into_iter();
                    self.when.extend(each.map(|protocol| Match::Protocol { protocol, not }));
                }
            }
            "iifname" | "oifname" => {
                let of = if key == "iifname" { Direction::Source } else { Direction::Destination };
                let names = match values(right, sets, "ifname")? {
                    Ok(values) => interfaces(&values),
                    Err(problem) => Err(problem),
                };
                match names {
                    Ok(names) => self.when.push(Match::Interface { of, names, not }),
                    Err(problem) => return Some(Err(problem)),
                }
            }
            "mark" => {
                return self.mark(&serde_json::json!({ "meta": { "key": "mark" } }), not, right);
            }
            _ => return None,
        }
        Some(Ok(()))
    }

    fn payload(
        &mut self,
        (protocol, field): (&str, &str),
        not: bool,
        right: &Value,
        sets: &Sets<'_>,
    ) -> Option<Result<(), ReadProblem>> {
        let of = match field {
            "saddr" | "sport" => Direction::Source,
            "daddr" | "dport" => Direction::Destination,
            _ => return None,
        };
        let family = match (protocol, field.ends_with("addr")) {
            ("ip", true) => Some((Family::Ipv4, "ipv4_addr")),
            ("ip6", true) => Some((Family::Ipv6, "ipv6_addr")),
            ("tcp" | "udp" | "th", false) => None,
            _ => return None,
        };
        let Some((family, set)) = family else {
            let protocol = match protocol {
                "tcp" => Some(Protocol::Tcp),
                "udp" => Some(Protocol::Udp),
                // The same bytes of any other protocol would be compared, too.
                _ if !self.has_ports() => return None,
                _ => None,
            };
            if let Some(protocol) = protocol {
                let protocol = Match::Protocol { protocol, not: false };
                if !self.when.contains(&protocol) {
                    self.when.push(protocol);
                }
            }
            let ports = match values(right, sets, "inet_service")? {
                Ok(values) => ports(&values),
                Err(problem) => Err(problem),
            };
            return Some(ports.map(|ports| self.when.push(Match::Port { of, ports, not })));
        };
        if let Some(set) = right.as_str().and_then(|name| name.strip_prefix('@'))
            && sets.get(set).is_some_and(SetText::is_filled_by_others)
        {
            return Some(match (Name::new(set), sets.get(set)) {
                (Ok(name), Some(known)) if known.family() == Some(family) => {
                    self.when.push(Match::InSet { of, set: name, not });
                    Ok(())
                }
                _ => Err(ReadProblem::NoSuch { what: "set", name: set.to_owned() }),
            });
        }
        let nets = match values(right, sets, set)? {
            Ok(values) => nets(&values, family),
            Err(problem) => Err(problem),
        };
        Some(nets.map(|nets| self.when.push(Match::Address { of, nets, not })))
    }

    /// A match on a mark, under a mask or not.
    fn mark(&mut self, left: &Value, not: bool, right: &Value) -> Option<Result<(), ReadProblem>> {
        let (field, bits) = match left.get("&").map(elements).as_deref() {
            Some([field, bits]) => (*field, number(bits)),
            Some(_) => return None,
            None => (left, Ok(u32::MAX)),
        };
        let of = |of: &str| field.get(of)?.get("key")?.as_str();
        let is_packet = match (of("meta"), of("ct")) {
            (Some("mark"), None) => true,
            (None, Some("mark")) => false,
            _ => return None,
        };
        let wanted = right.get("set").map_or_else(|| vec![right], elements);
        if wanted.len() > 1 && !not {
            // Several marks of which one must be there are not one match.
            return None;
        }
        for value in wanted {
            let mark = match (number(value), &bits) {
                (Ok(value), Ok(bits)) => Mark::new(value, *bits).ok()?,
                (Err(problem), _) => return Some(Err(problem)),
                (_, Err(problem)) => return Some(Err(problem.clone())),
            };
            self.when.push(if is_packet {
                Match::Mark { mark, not }
            } else {
                Match::Connmark { mark, not }
            });
        }
        Some(Ok(()))
    }
}

fn protocol(json: &Value) -> Option<Protocol> {
    match json {
        Value::String(name) if name == "tcp" => Some(Protocol::Tcp),
        Value::String(name) if name == "udp" => Some(Protocol::Udp),
        _ => match number(json) {
            Ok(6) => Some(Protocol::Tcp),
            Ok(17) => Some(Protocol::Udp),
            _ => None,
        },
    }
}

fn owner(key: &str) -> Option<(Owner, &'static str)> {
    match key {
        "skuid" => Some((Owner::User, "uid")),
        "skgid" => Some((Owner::Group, "gid")),
        _ => None,
    }
}

/// nft compares owners for packets that have one only.
fn owner_is(
    op: Op,
    right: &Value,
    sets: &Sets<'_>,
    set: &str,
) -> Option<Result<OwnerIs, ReadProblem>> {
    let bound = |range: fn(u32) -> (u32, u32)| {
        Some(number(right).map(|bound| OwnerIs::In(vec![range(bound)])))
    };
    match op {
        Op::AtLeast => return bound(|first| (first, u32::MAX)),
        Op::AtMost => return bound(|last| (0, last)),
        Op::In => return None,
        Op::Equal | Op::Unequal => {}
    }
    let ids = match values(right, sets, set)? {
        Ok(values) => ids(&values),
        Err(problem) => Err(problem),
    };
    Some(ids.map(|ids| match op {
        Op::Unequal => OwnerIs::NotIn { ids, ownerless: false },
        _ => OwnerIs::In(ids),
    }))
}

/// The values that `right` lists, itself or by the name of a set of `kind`. `None` if it is
/// neither.
fn values<'a>(
    right: &'a Value,
    sets: &Sets<'a>,
    kind: &str,
) -> Option<Result<Vec<&'a Value>, ReadProblem>> {
    if let Some(name) = right.as_str().and_then(|name| name.strip_prefix('@')) {
        let no_such = || ReadProblem::NoSuch { what: "set", name: name.to_owned() };
        return Some(match sets.get(name) {
            Some(set) if set.kind == kind && !set.is_filled_by_others() => Ok(set.elements.clone()),
            _ => Err(no_such()),
        });
    }
    match right {
        Value::Array(_) | Value::Null | Value::Bool(_) => None,
        _ => Some(Ok(right.get("set").map_or_else(|| vec![right], elements))),
    }
}

/// A match on the state; `None` if it is not known. A list with `==` would mean the sum of its
/// bits, which no packet has.
fn state(op: Op, right: &Value) -> Option<Match> {
    let (names, not) = match (op, right) {
        (Op::In, _) => (elements(right), false),
        (Op::Equal | Op::Unequal, Value::String(_)) => (vec![right], op == Op::Unequal),
        (Op::Equal | Op::Unequal, _) => (elements(right.get("set")?), op == Op::Unequal),
        (Op::AtLeast | Op::AtMost, _) => return None,
    };
    let state = |json: &Value| {
        let name = json.as_str()?;
        CtState::ALL.into_iter().find(|state| state.name() == name)
    };
    let states = names.into_iter().map(state).collect::<Option<_>>()?;
    Some(Match::CtState { states, not })
}
