//! What a script of nft says, however it is spelled.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use super::{ReadError, Target};
use crate::ir::Base;
use crate::net::Families;

/// Commands, of which nft runs all or none.
#[derive(Debug, Default)]
pub(crate) struct Script<'a> {
    pub(crate) commands: Vec<Command<'a>>,
    /// Spellings that not every nft takes.
    pub(crate) newer: Vec<Newer>,
}

/// A spelling that nft takes from some version on only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newer {
    pub(crate) at: At,
    /// The word that is spelled so.
    pub(crate) word: &'static str,
    pub(crate) since: Target,
}

/// Where in a text something stands, counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum At {
    /// It was not read.
    #[default]
    Nowhere,
    /// In a script.
    Line { line: u32, column: u32 },
    /// In JSON: a command.
    Command(usize),
}

/// A command, and where it stands.
#[derive(Debug)]
pub(crate) struct Command<'a> {
    pub(crate) at: At,
    pub(crate) verb: Verb,
    pub(crate) object: Object<'a>,
}

/// What becomes of the object of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// It is there afterwards, with what it says.
    Add,
    /// The same, and it was not there before.
    Create,
    /// A rule: it stands before others.
    Insert,
    /// It was there, and is not afterwards.
    Delete,
    /// It is not there afterwards.
    Destroy,
    /// What is in it goes.
    Flush,
}

/// What a command is about.
#[derive(Debug)]
pub(crate) enum Object<'a> {
    /// A line for people, which may be empty. Means nothing.
    Remark(Cow<'a, str>),
    /// All tables, or all of a family.
    Ruleset(Option<Cow<'a, str>>),
    /// A table as `table inet t { … }` has it, with all that is in it.
    Block(Table<'a>),
    /// A table alone; its sets and chains are empty.
    Table(Table<'a>),
    /// A chain, without rules.
    Chain { table: TableName<'a>, chain: Chain<'a> },
    /// A set or a map.
    Set { table: TableName<'a>, set: Set<'a> },
    /// Elements of a set or a map.
    Elements { table: TableName<'a>, set: Cow<'a, str>, elements: Elements<'a> },
    /// A rule of a chain, and the rule beside which it is put, counted from 0.
    Rule { table: TableName<'a>, chain: Cow<'a, str>, index: Option<usize>, rule: Rule<'a> },
    /// Something that does nothing unless a rule names it.
    Passive,
}

/// Family and name of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName<'a> {
    pub(crate) family: TableFamily,
    pub(crate) name: Cow<'a, str>,
}

/// `inet istio-proxy-nat`, as nft writes it.
impl fmt::Display for TableName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family.name(), self.name)
    }
}

/// The families that a table sees, as nft calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TableFamily {
    Inet,
    Ip,
    Ip6,
}

/// A table.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    pub(crate) name: TableName<'a>,
    pub(crate) flags: Vec<Cow<'a, str>>,
    pub(crate) sets: Vec<Set<'a>>,
    pub(crate) chains: Vec<Chain<'a>>,
}

/// A named set, or a map.
#[derive(Debug)]
pub(crate) struct Set<'a> {
    pub(crate) name: Cow<'a, str>,
    /// What its elements, or keys, are.
    pub(crate) of: SetType<'a>,
    /// What its keys lead to (`verdict`); `None` for a set.
    pub(crate) map: Option<Cow<'a, str>>,
    /// Flags, and `timeout` if it has one.
    pub(crate) flags: Vec<Cow<'a, str>>,
    pub(crate) auto_merge: bool,
    pub(crate) elements: Elements<'a>,
}

/// What a set holds.
#[derive(Debug, PartialEq)]
pub(crate) enum SetType<'a> {
    /// `ipv4_addr`; of several values together, with ` . ` between.
    Named(Cow<'a, str>),
    /// What such an expression is.
    Of(Expr<'a>),
}

/// The elements of a set or of a map.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Elements<'a> {
    pub(crate) values: Vec<Value<'a>>,
    /// Keys of a map of verdicts, and where each leads.
    pub(crate) entries: Vec<(Value<'a>, Verdict<'a>)>,
    /// Whether some go away by themselves.
    pub(crate) fleeting: bool,
    /// Why not all of them are here, if so: that matters only if a rule looks one up.
    pub(crate) unread: Option<Box<ReadError>>,
}

/// A chain.
#[derive(Debug)]
pub(crate) struct Chain<'a> {
    pub(crate) at: At,
    pub(crate) name: Cow<'a, str>,
    pub(crate) base: Option<Base>,
    /// Whether a packet that comes to the end is dropped, if the chain says.
    pub(crate) drops: Option<bool>,
    pub(crate) rules: Vec<Rule<'a>>,
}

/// A rule.
#[derive(Debug)]
pub(crate) struct Rule<'a> {
    /// Whether the rule before is there for another reason.
    pub(crate) begins_group: bool,
    /// What it is for, for people; nothing that nft keeps.
    pub(crate) heading: Option<String>,
    /// What the kernel keeps with the rule. At most 128 bytes; no `"`, no `\`.
    pub(crate) comment: Option<Cow<'a, str>>,
    /// Its statements, or why they cannot be read: that matters only if the rule is still there in
    /// the end.
    pub(crate) statements: Result<Vec<(At, Statement<'a>)>, Box<ReadError>>,
}

/// One statement of a rule.
#[derive(Debug, PartialEq)]
pub(crate) enum Statement<'a> {
    Match { left: Expr<'a>, op: Comparison, right: Right<'a> },
    Counter,
    Verdict(Verdict<'a>),
    Redirect { port: Option<Value<'a>> },
    Snat { family: Option<TableFamily>, to: Value<'a> },
    Dnat { family: Option<TableFamily>, to: Value<'a>, port: Option<Value<'a>> },
    Tproxy { family: Option<TableFamily>, address: Option<Value<'a>>, port: Option<Value<'a>> },
    Mangle { key: Expr<'a>, value: Expr<'a> },
    Log,
    Vmap { key: Expr<'a>, to: Right<'a> },
}

/// Where a packet goes on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict<'a> {
    Accept,
    Drop,
    Continue,
    Return,
    Jump(Cow<'a, str>),
    Goto(Cow<'a, str>),
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
    Payload { protocol: Cow<'a, str>, field: Cow<'a, str> },
    Fib { result: Cow<'a, str>, flags: Vec<Cow<'a, str>> },
    Socket(Cow<'a, str>),
    Binary(Operator, Box<(Expr<'a>, Expr<'a>)>),
    Value(Value<'a>),
}

/// How bits are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    And,
    Or,
    Xor,
}

/// What a field is compared with, or looked up in.
#[derive(Debug, PartialEq)]
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

impl TableFamily {
    /// All, the widest first.
    pub(crate) const ALL: [Self; 3] = [Self::Inet, Self::Ip, Self::Ip6];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
        }
    }

    /// The family that nft calls `name`, if rules of it can be read.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    pub(crate) const fn families(self) -> Families {
        match self {
            Self::Inet => Families::Both,
            Self::Ip => Families::Ipv4,
            Self::Ip6 => Families::Ipv6,
        }
    }
}

impl From<Families> for TableFamily {
    fn from(families: Families) -> Self {
        match families {
            Families::Ipv4 => Self::Ip,
            Families::Ipv6 => Self::Ip6,
            Families::Both => Self::Inet,
        }
    }
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
    pub(crate) const ALL: [Self; 3] = [Self::And, Self::Or, Self::Xor];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::And => "&",
            Self::Or => "|",
            Self::Xor => "^",
        }
    }
}

impl Expr<'_> {
    /// `left`, combined with `right`.
    pub(crate) fn binary(operator: Operator, left: Self, right: Self) -> Self {
        Self::Binary(operator, Box::new((left, right)))
    }

    pub(crate) const fn mark(mark: u32) -> Self {
        Self::Value(Value::Hex(mark))
    }
}

impl Statement<'_> {
    /// The word of it that says what it does.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Match { .. } => "match",
            Self::Counter => "counter",
            Self::Verdict(verdict) => verdict.word(),
            Self::Redirect { .. } => "redirect",
            Self::Snat { .. } => "snat",
            Self::Dnat { .. } => "dnat",
            Self::Tproxy { .. } => "tproxy",
            Self::Mangle { .. } => "set",
            Self::Log => "log",
            Self::Vmap { .. } => "vmap",
        }
    }
}

impl Verdict<'_> {
    /// Its first word.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
            Self::Continue => "continue",
            Self::Return => "return",
            Self::Jump(_) => "jump",
            Self::Goto(_) => "goto",
        }
    }
}

impl Value<'_> {
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
        self.values.is_empty() && self.entries.is_empty() && self.unread.is_none()
    }
}

impl<'a> Script<'a> {
    /// Commands that every nft takes.
    pub(crate) const fn of(commands: Vec<Command<'a>>) -> Self {
        Self { commands, newer: Vec::new() }
    }
}

impl<'a> Rule<'a> {
    /// A rule that was read.
    pub(crate) fn read(
        statements: Result<Vec<(At, Statement<'a>)>, ReadError>,
        comment: Option<Cow<'a, str>>,
    ) -> Self {
        let statements = statements.map_err(Box::new);
        Self { begins_group: false, heading: None, comment, statements }
    }
}
