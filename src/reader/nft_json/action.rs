//! Statements that do something.

use serde_json::Value;

use super::value::{elements, number, port};
use super::{ReadProblem, only_keys, part, text, unknown};
use crate::ir::{Action, MarkChange, MaskPair};
use crate::net::{Families, Name, OnMiss};

/// What the statements of a rule do, one after the other.
#[derive(Default)]
pub(super) struct Actions {
    pub(super) done: Vec<Action>,
    /// A transparent proxy whose mark and verdict are still to come.
    tproxy: Option<(u16, MarkChange)>,
    /// Whether an expression read the connection mark: without a connection the rule ends there.
    needs_connection: bool,
    pub(super) logs: bool,
}

impl Actions {
    /// Adds a statement; the families that it is for, if it says so.
    pub(super) fn add(&mut self, key: &str, json: &Value) -> Result<Option<Families>, ReadProblem> {
        if self.needs_connection && !matches!(key, "counter" | "log") {
            return Err(unknown("statement behind one that needs a connection", json));
        }
        if let Some((port, mark)) = self.tproxy {
            return self.behind_tproxy(key, json, port, mark).map(|()| None);
        }
        let action = match key {
            "counter" => return Ok(None),
            "log" => {
                self.logs = true;
                return Ok(None);
            }
            "accept" => Action::Accept,
            "drop" => Action::Drop,
            "return" => Action::Return,
            "jump" => Action::Jump(target(json)?),
            "goto" => Action::Goto(target(json)?),
            "redirect" if only_keys(json, &["port"]) => {
                Action::Redirect { port: port(part(json, "port")?)? }
            }
            "snat" if only_keys(json, &["family", "addr"]) => {
                let to = text(json, "addr")?.parse().map_err(|_| unknown("snat", json))?;
                self.done.push(Action::Snat { to });
                let families = if to.is_ipv4() { Families::Ipv4 } else { Families::Ipv6 };
                return match named_families(json)? {
                    Some(named) if named != families => Err(unknown("snat", json)),
                    _ => Ok(Some(families)),
                };
            }
            "tproxy" if only_keys(json, &["family", "port"]) && self.done.is_empty() => {
                let keep = MarkChange { clear: 0, flip: 0 };
                self.tproxy = Some((port(part(json, "port")?)?, keep));
                return named_families(json);
            }
            "mangle" => self.mangle(json)?,
            _ => return Err(unknown("statement", &serde_json::json!({ key: json }))),
        };
        self.done.push(action);
        Ok(None)
    }

    /// The statements behind `tproxy`, which run only if a proxy took the packet.
    fn behind_tproxy(
        &mut self,
        key: &str,
        json: &Value,
        port: u16,
        mark: MarkChange,
    ) -> Result<(), ReadProblem> {
        match key {
            "counter" | "log" => {}
            "mangle" => match self.mangle(json)? {
                Action::SetMark(change) => {
                    let clear = mark.clear | change.clear;
                    let flip = change.apply(mark.flip);
                    self.tproxy = Some((port, MarkChange { clear, flip }));
                }
                _ => return Err(unknown("statement behind tproxy", json)),
            },
            "accept" => {
                self.done.push(Action::Tproxy { port, mark, on_miss: OnMiss::Continue });
                self.tproxy = None;
            }
            _ => return Err(unknown("statement behind tproxy", json)),
        }
        Ok(())
    }

    /// Whether every statement has come to an action.
    pub(super) const fn is_complete(&self) -> bool {
        self.tproxy.is_none()
    }

    fn mangle(&mut self, json: &Value) -> Result<Action, ReadProblem> {
        let bad = || unknown("mangle", json);
        let (key, value) = (part(json, "key")?, part(json, "value")?);
        let of = |of: &str| key.get(of).and_then(|key| key.get("key")).and_then(Value::as_str);
        match (of("meta"), of("ct")) {
            (Some("mark"), None) => {
                let mark = Expression::of(value)?;
                self.needs_connection |= mark.reads_connection;
                match (mark.connection, mark.constant) {
                    (0, flip) if !mark.reads_connection => {
                        Ok(Action::SetMark(MarkChange { clear: !mark.packet, flip }))
                    }
                    (connection, 0) => {
                        Ok(Action::RestoreMark(MaskPair { packet: !mark.packet, connection }))
                    }
                    _ => Err(bad()),
                }
            }
            (None, Some("mark")) => {
                let mark = Expression::of(value)?;
                self.needs_connection |= mark.reads_connection;
                match (mark.packet, mark.constant) {
                    (0, flip) => {
                        Ok(Action::SetConnmark(MarkChange { clear: !mark.connection, flip }))
                    }
                    (packet, 0) => {
                        Ok(Action::SaveMark(MaskPair { packet, connection: !mark.connection }))
                    }
                    _ => Err(bad()),
                }
            }
            (None, Some("zone")) => {
                let zone = u16::try_from(number(value)?);
                zone.map(Action::SetZone).map_err(|_| bad())
            }
            _ => Err(bad()),
        }
    }
}

fn target(json: &Value) -> Result<Name, ReadProblem> {
    Name::new(text(json, "target")?).map_err(|_| unknown("target", json))
}

fn named_families(json: &Value) -> Result<Option<Families>, ReadProblem> {
    match json.get("family").map(Value::as_str) {
        None => Ok(None),
        Some(Some("ip")) => Ok(Some(Families::Ipv4)),
        Some(Some("ip6")) => Ok(Some(Families::Ipv6)),
        Some(_) => Err(unknown("family", json)),
    }
}

/// A number computed from the marks, bit by bit:
/// `(mark & packet) ^ (ct mark & connection) ^ constant`.
#[derive(Clone, Copy)]
struct Expression {
    packet: u32,
    connection: u32,
    constant: u32,
    reads_connection: bool,
}

impl Expression {
    fn of(json: &Value) -> Result<Self, ReadProblem> {
        let constant =
            |constant| Self { packet: 0, connection: 0, constant, reads_connection: false };
        let of = |of: &str| json.get(of).and_then(|key| key.get("key")).and_then(Value::as_str);
        match (of("meta"), of("ct")) {
            (Some("mark"), None) => return Ok(Self { packet: u32::MAX, ..constant(0) }),
            (None, Some("mark")) => {
                return Ok(Self { connection: u32::MAX, reads_connection: true, ..constant(0) });
            }
            (None, None) => {}
            _ => return Err(unknown("mark", json)),
        }
        for (operator, combine) in OPERATORS {
            if let Some(operands) = json.get(operator) {
                let mut operands = elements(operands).into_iter().map(Self::of);
                let first = operands.next().ok_or_else(|| unknown("mark", json))??;
                return operands.try_fold(first, |all, next| {
                    combine(all, next?).ok_or_else(|| unknown("mark", json))
                });
            }
        }
        number(json).map(constant)
    }

    /// Bits that depend on a mark.
    const fn variable(self) -> u32 {
        self.packet | self.connection
    }

    const fn reading(self, other: Self) -> Self {
        Self { reads_connection: self.reads_connection || other.reads_connection, ..self }
    }

    const fn xor(self, other: Self) -> Self {
        let both = Self {
            packet: self.packet ^ other.packet,
            connection: self.connection ^ other.connection,
            constant: self.constant ^ other.constant,
            ..self
        };
        both.reading(other)
    }

    /// `None` if a bit of both depends on a mark.
    fn and(self, other: Self) -> Option<Self> {
        if self.variable() & other.variable() != 0 {
            return None;
        }
        // Where one side is constant, the other side goes through if that is 1.
        let side = |variable: Self, mask: Self| {
            let mask = mask.constant & !mask.variable();
            (variable.packet & mask, variable.connection & mask, variable.constant & mask)
        };
        let (a, b) = (side(self, other), side(other, self));
        let in_a = self.variable();
        let both = Self {
            packet: a.0 | b.0,
            connection: a.1 | b.1,
            constant: (a.2 & in_a) | (b.2 & !in_a),
            ..self
        };
        Some(both.reading(other))
    }

    fn or(self, other: Self) -> Option<Self> {
        Some(self.xor(other).xor(self.and(other)?))
    }
}

type Combine = fn(Expression, Expression) -> Option<Expression>;

const OPERATORS: [(&str, Combine); 3] =
    [("&", Expression::and), ("|", Expression::or), ("^", |a, b| Some(a.xor(b)))];
