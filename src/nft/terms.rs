//! What rules read, compute and compare with, however it is spelled.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{ReadError, Verdict};

/// What a set holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SetType<'a> {
    /// `ipv4_addr`; of several values together, with ` . ` between.
    Named(Cow<'a, str>),
    /// What such an expression is.
    Of(Expr<'a>),
}

/// The elements of a set or of a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Elements<'a> {
    pub(crate) values: Vec<Value<'a>>,
    /// Keys of a map of verdicts, and where each leads.
    pub(crate) entries: Vec<(Value<'a>, Verdict<'a>)>,
    /// Keys of another map, and the value of each.
    pub(crate) pairs: Vec<(Value<'a>, Value<'a>)>,
    /// Whether some go away by themselves.
    pub(crate) fleeting: bool,
    /// Whether some have a limit, above which they are not looked up.
    pub(crate) limits: bool,
    /// Why not all of them are here, if so: that matters only if a rule looks one up.
    pub(crate) unread: Option<Box<ReadError>>,
}

/// How both sides of a match compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    /// Some bit of the right side is set in the left one; of what is no bit mask, the same as equal.
    /// A script leaves it out; in JSON, it is `in`.
    In,
    /// No bit of the right side is set.
    NoneOf,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a rule reads, or computes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr<'a> {
    Meta(Cow<'a, str>),
    Ct(Cow<'a, str>),
    Payload {
        protocol: Cow<'a, str>,
        field: Cow<'a, str>,
    },
    Fib {
        result: Cow<'a, str>,
        flags: Vec<Cow<'a, str>>,
    },
    Socket(Cow<'a, str>),
    /// Several values together.
    Concat(Vec<Expr<'a>>),
    /// What a map leads to from a key.
    Map(Box<(Expr<'a>, Right<'a>)>),
    /// Something else that nft knows, as it writes it: `numgen random mod 3`, `@th,0,16`.
    Other(Cow<'a, str>),
    Binary(Operator, Box<(Expr<'a>, Expr<'a>)>),
    Value(Value<'a>),
}

/// How bits are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

/// What a field is compared with, or looked up in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Right<'a> {
    One(Value<'a>),
    /// A set or a map without a name.
    Set(Elements<'a>),
    /// One of the table, by name.
    Named(Cow<'a, str>),
}

/// One value, or an interval of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Number(u32),
    /// A number that is written with hexadecimal digits.
    Hex(u32),
    Address(IpAddr),
    /// Addresses that begin alike.
    Prefix(IpAddr, u8),
    /// Marks that begin alike.
    NumberPrefix(u32, u8),
    /// First and last.
    Range(Box<(Value<'a>, Value<'a>)>),
    /// Anything else, as it is written.
    Word(Cow<'a, str>),
    /// The same between quotation marks.
    Text(Cow<'a, str>),
    /// Several values, with commas between.
    List(Vec<Value<'a>>),
    /// Bits, with `|` between.
    Bits(Vec<Value<'a>>),
    /// Values of several fields together.
    Concat(Vec<Value<'a>>),
    /// Every value that no other element has.
    Rest,
}

impl Comparison {
    pub(crate) const ALL: [Self; 8] = [
        Self::Equal,
        Self::Unequal,
        Self::In,
        Self::NoneOf,
        Self::LessOrEqual,
        Self::GreaterOrEqual,
        Self::Less,
        Self::Greater,
    ];

    /// As JSON has it, and a script where it has to.
    pub(crate) const fn word(self) -> &'static str {
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
}

impl Operator {
    pub(crate) const ALL: [Self; 5] =
        [Self::And, Self::Or, Self::Xor, Self::ShiftLeft, Self::ShiftRight];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::And => "&",
            Self::Or => "|",
            Self::Xor => "^",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
        }
    }
}

impl Expr<'_> {
    /// `left`, combined with `right`. Words with `|` between are one value of several bits.
    pub(crate) fn binary(operator: Operator, left: Self, right: Self) -> Self {
        match (operator, left, right) {
            (Operator::Or, Self::Value(left), Self::Value(right))
                if left.is_word() && right.is_word() =>
            {
                let mut bits = left.into_bits();
                bits.extend(right.into_bits());
                Self::Value(Value::Bits(bits))
            }
            (operator, left, right) => Self::Binary(operator, Box::new((left, right))),
        }
    }

    /// Whether it is compared bit by bit unless a script says `==`.
    pub(crate) fn is_mask(&self) -> bool {
        match self {
            Self::Ct(key) => matches!(&**key, "state" | "status" | "label" | "event"),
            Self::Payload { protocol, field } => protocol == "tcp" && field == "flags",
            _ => false,
        }
    }

    pub(crate) const fn mark(mark: u32) -> Self {
        Self::Value(Value::Hex(mark))
    }
}

impl Right<'_> {
    /// Whether it is no set.
    pub(crate) const fn is_one(&self) -> bool {
        matches!(self, Self::One(_))
    }
}

impl Value<'_> {
    fn is_word(&self) -> bool {
        matches!(self, Self::Word(_) | Self::Bits(_))
    }

    /// The bits of a mask that has names.
    fn into_bits(self) -> Vec<Self> {
        match self {
            Self::Bits(bits) | Self::List(bits) => bits,
            one => vec![one],
        }
    }

    /// A mask, of one bit or of several.
    pub(crate) fn into_mask(self) -> Self {
        match self {
            Self::List(bits) => Self::Bits(bits),
            mask => mask,
        }
    }

    /// What tells it from the other elements of a set, in whatever text it stands.
    pub(crate) fn key(&self) -> String {
        match self {
            // Between quotation marks in one spelling, and without in another.
            Self::Text(text) => text.to_string(),
            value => value.to_string(),
        }
    }

    /// First and last of what the value means, as numbers.
    pub(crate) fn ends(&self) -> Option<(u128, u128)> {
        let number = |address: &IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        match self {
            Self::Number(one) | Self::Hex(one) => Some((u128::from(*one), u128::from(*one))),
            Self::Address(address) => Some((number(address), number(address))),
            Self::Prefix(address, len) => {
                let net = IpNet::new(*address, *len).ok()?;
                Some((number(&net.network()), number(&net.broadcast())))
            }
            Self::Range(both) => Some((both.0.ends()?.0, both.1.ends()?.1)),
            _ => None,
        }
    }

    /// Whether a set needs `flags interval` for it.
    pub(crate) fn is_interval(&self) -> bool {
        match self {
            Self::Prefix(..) | Self::NumberPrefix(..) | Self::Range(_) => true,
            Self::Word(word) | Self::Text(word) => word.ends_with('*'),
            Self::Concat(values) => values.iter().any(Self::is_interval),
            _ => false,
        }
    }
}

impl<'a> Elements<'a> {
    pub(crate) fn of(values: Vec<Value<'a>>) -> Self {
        Self { values, ..Self::default() }
    }

    /// Elements that cannot be read.
    pub(crate) fn unread(error: ReadError) -> Self {
        Self { unread: Some(Box::new(error)), ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
            && self.entries.is_empty()
            && self.pairs.is_empty()
            && self.unread.is_none()
    }
}
