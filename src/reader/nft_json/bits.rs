//! Expressions that compute marks, bit by bit.

use serde_json::Value;

use super::ReadProblem;
use super::object::{Object, bad, only};
use super::value::number;
use crate::ir::{Action, MarkChange, MaskPair};

/// A computed mark. Its bits are those of the packet mark and of the connection mark, each under a
/// mask, and of a constant, combined with exclusive or: what rules compute comes to that, as long
/// as no bit is the `&` or `|` of two bits that are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    packet: u32,
    connection: u32,
    constant: u32,
    /// Whether the connection mark is read at all: for a packet without a connection, nft leaves
    /// the rule there.
    pub(super) needs_connection: bool,
}

/// Which mark changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Packet,
    Connection,
}

impl Bits {
    const PACKET: Self =
        Self { packet: u32::MAX, connection: 0, constant: 0, needs_connection: false };
    const CONNECTION: Self =
        Self { packet: 0, connection: u32::MAX, constant: 0, needs_connection: true };

    const fn constant(constant: u32) -> Self {
        Self { packet: 0, connection: 0, constant, needs_connection: false }
    }

    /// Reads a number, a mark, or a combination of them.
    pub(super) fn read(value: &Value) -> Result<Self, ReadProblem> {
        if !value.is_object() {
            return Ok(Self::constant(number("mark", value)?));
        }
        let (word, body) = only(value, "expression")?;
        let combine: fn(Self, Self) -> Option<Self> = match word {
            "meta" => return Self::mark(Object::read("meta", body, &["key"])?, Self::PACKET),
            "ct" => return Self::mark(Object::read("ct", body, &["key"])?, Self::CONNECTION),
            "&" => Self::and,
            "|" => Self::or,
            "^" => |left, right| Some(left.xor(right)),
            _ => {
                return Err(ReadProblem::Unknown { what: "expression", word: word.to_owned() });
            }
        };
        let operands = body.as_array().filter(|operands| operands.len() >= 2);
        let operands = operands.ok_or_else(|| bad("operands", body, "not two values or more"))?;
        let mut result = Self::read(&operands[0])?;
        for operand in &operands[1..] {
            let why = "a bit depends on two others";
            result = combine(result, Self::read(operand)?)
                .ok_or_else(|| ReadProblem::Inexact { word: word.to_owned(), why })?;
        }
        Ok(result)
    }

    fn mark(fields: Object<'_>, mark: Self) -> Result<Self, ReadProblem> {
        match fields.text("key")? {
            "mark" => Ok(mark),
            word => Err(ReadProblem::Unknown { what: "mark", word: word.to_owned() }),
        }
    }

    fn xor(self, other: Self) -> Self {
        Self {
            packet: self.packet ^ other.packet,
            connection: self.connection ^ other.connection,
            constant: self.constant ^ other.constant,
            needs_connection: self.needs_connection || other.needs_connection,
        }
    }

    fn not(self) -> Self {
        Self { constant: !self.constant, ..self }
    }

    fn or(self, other: Self) -> Option<Self> {
        Some(self.not().and(other.not())?.not())
    }

    /// `None` if neither side of some bit is known.
    fn and(self, other: Self) -> Option<Self> {
        let known = |bits: Self| !(bits.packet | bits.connection);
        if known(self) | known(other) != u32::MAX {
            return None;
        }
        let ones = |bits: Self| known(bits) & bits.constant;
        // Where one side is known to be 1, the bit is the other side's.
        let take = |mine: u32, others: u32| (mine & ones(other)) | (others & ones(self));
        Some(Self {
            packet: take(self.packet, other.packet),
            connection: take(self.connection, other.connection),
            constant: take(self.constant, other.constant),
            needs_connection: self.needs_connection || other.needs_connection,
        })
    }

    /// The mark that is compared, the bits of it that count, and those that are inverted first.
    pub(super) fn compared(self) -> Result<(Which, u32, u32), ReadProblem> {
        let (which, mask) = match self {
            Self { needs_connection: true, packet: 0, .. } => (Which::Connection, self.connection),
            Self { needs_connection: false, .. } => (Which::Packet, self.packet),
            _ => {
                let why = "both marks at once";
                return Err(ReadProblem::Inexact { word: "mark".to_owned(), why });
            }
        };
        Ok((which, mask, self.constant))
    }

    /// The actions that set `which` mark to this, one after another. Unless
    /// [`Self::needs_connection`] says more, they are for every packet.
    pub(super) fn set(self, which: Which) -> Vec<Action> {
        let flip = MarkChange { clear: 0, flip: self.constant };
        let (plain, copies, change): (_, _, fn(MarkChange) -> Action) = match which {
            Which::Packet => {
                let masks = MaskPair { packet: !self.packet, connection: self.connection };
                let copy = (self.connection != 0).then_some(Action::RestoreMark(masks));
                (self.packet, copy, Action::SetMark)
            }
            Which::Connection => {
                let masks = MaskPair { packet: self.packet, connection: !self.connection };
                let copy = (self.packet != 0).then_some(Action::SaveMark(masks));
                (self.connection, copy, Action::SetConnmark)
            }
        };
        match copies {
            None => vec![change(MarkChange { clear: !plain, flip: self.constant })],
            Some(copy) if self.constant == 0 => vec![copy],
            Some(copy) => vec![copy, change(flip)],
        }
    }
}
