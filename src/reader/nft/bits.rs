//! Expressions that compute marks, bit by bit.

use super::ReadProblem;
use super::value::number;
use crate::ir::{Action, MarkChange, MaskPair};
use crate::nft::{Expr, Operator, unknown};

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
    pub(super) fn read(value: &Expr<'_>) -> Result<Self, ReadProblem> {
        let (operator, both) = match value {
            Expr::Value(value) => return Ok(Self::constant(number("mark", value)?)),
            Expr::Meta(key) => return Self::mark(key, Self::PACKET),
            Expr::Ct(key) => return Self::mark(key, Self::CONNECTION),
            Expr::Binary(operator, both) => (*operator, both),
            _ => return Err(unknown("mark", value)),
        };
        let (left, right) = (Self::read(&both.0)?, Self::read(&both.1)?);
        let combined = match operator {
            Operator::And => left.and(right),
            Operator::Or => left.or(right),
            Operator::Xor => Some(left.xor(right)),
            Operator::ShiftLeft | Operator::ShiftRight => {
                return Err(unknown("operator", operator.word()));
            }
        };
        let why = "a bit depends on two others";
        combined.ok_or_else(|| ReadProblem::Inexact { word: operator.word().to_owned(), why })
    }

    fn mark(key: &str, mark: Self) -> Result<Self, ReadProblem> {
        if key == "mark" { Ok(mark) } else { Err(unknown("mark", key)) }
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
                // Of a connection mark, none of its bits is read too: there may be no connection.
                let copy = self.needs_connection.then_some(Action::RestoreMark(masks));
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
