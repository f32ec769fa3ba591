//! What a script of nft says, however it is spelled.

use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use super::{Comparison, Elements, Expr, ReadError, ReadProblem, Right, SetType, Target, Value};
use crate::ir::Base;
use crate::net::Families;

/// Commands, of which nft runs all or none.
#[derive(Debug, Default)]
pub(crate) struct Script<'a> {
    pub(crate) commands: Vec<Command<'a>>,
    /// Spellings that not every nft takes.
    pub(crate) newer: Vec<Newer>,
    /// Rules with statements that nft lists so, and does not take.
    pub(crate) listed: Vec<At>,
    /// What no IP packet meets at a hook that can be read, and was not read: `table bridge filter`.
    pub(crate) elsewhere: BTreeSet<String>,
}

/// What of a table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Everything.
    All,
    /// Which chains it has, and where the kernel enters them.
    Hooks,
    Nothing,
}

/// Says of a table, by family and name, what is read of it.
pub(crate) type Selects<'s> = dyn Fn(&str, &str) -> Reads + 's;

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
    /// A rule of a chain, and the rule beside which it is put.
    Rule { table: TableName<'a>, chain: Cow<'a, str>, beside: Option<Beside>, rule: Rule<'a> },
    /// A rule of a chain that is loaded.
    Handle { table: TableName<'a>, chain: Cow<'a, str>, handle: u64 },
    /// Something that does nothing unless a rule names it.
    Passive,
}

/// A rule among those of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// By its place, counted from 0.
    Index(usize),
    /// By the number that the kernel knows it by.
    Handle(u64),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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
#[derive(Clone, Debug)]
pub(crate) struct Set<'a> {
    pub(crate) name: Cow<'a, str>,
    /// What its elements, or keys, are.
    pub(crate) of: SetType<'a>,
    /// What its keys lead to (`verdict`); `None` for a set.
    pub(crate) map: Option<Cow<'a, str>>,
    /// Flags, and `timeout` if it has one.
    pub(crate) flags: Vec<Cow<'a, str>>,
    pub(crate) auto_merge: bool,
    /// Most elements, if it says so: the kernel makes room for them, and never enlarges the set.
    pub(crate) size: Option<u32>,
    pub(crate) elements: Elements<'a>,
}

/// A chain.
#[derive(Clone, Debug)]
pub(crate) struct Chain<'a> {
    pub(crate) at: At,
    pub(crate) name: Cow<'a, str>,
    pub(crate) base: Option<Base>,
    /// Whether the kernel enters it where nothing is read: at ingress, or at egress.
    pub(crate) is_elsewhere: bool,
    /// Whether a packet that comes to the end is dropped, if the chain says.
    pub(crate) drops: Option<bool>,
    pub(crate) rules: Vec<Rule<'a>>,
}

/// A rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule<'a> {
    /// Whether the rule before is there for another reason.
    pub(crate) begins_group: bool,
    /// What it is for, for people; nothing that nft keeps.
    pub(crate) heading: Option<String>,
    /// What the kernel keeps with the rule. At most 128 bytes; no `"`, no `\`.
    pub(crate) comment: Option<Cow<'a, str>>,
    /// By which the kernel knows it, if it was listed so.
    pub(crate) handle: Option<u64>,
    /// Its statements, or why they cannot be read: that matters only if the rule is still there in
    /// the end.
    pub(crate) statements: Result<Vec<(At, Statement<'a>)>, Box<ReadError>>,
}

/// One statement of a rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Statement<'a> {
    Match {
        left: Expr<'a>,
        op: Comparison,
        right: Right<'a>,
    },
    Counter,
    Verdict(Verdict<'a>),
    Translate(Translate<'a>),
    Tproxy {
        family: Option<TableFamily>,
        address: Option<Value<'a>>,
        port: Option<Value<'a>>,
    },
    Mangle {
        key: Expr<'a>,
        value: Expr<'a>,
    },
    Log,
    Vmap {
        key: Expr<'a>,
        to: Right<'a>,
    },
    /// A change of what a set holds; `limits`: whether the rule ends here for packets above a limit.
    Update {
        set: Cow<'a, str>,
        deletes: bool,
        limits: bool,
        text: String,
    },
    /// Another that nft knows, by its first word, and as nft writes it.
    Other {
        word: &'static str,
        text: String,
    },
    /// What is not known, up to the end of the rule in a script: as it is written, and why.
    Unknown {
        text: Cow<'a, str>,
        problem: ReadProblem,
    },
}

/// Gives a connection another address or port.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Translate<'a> {
    pub(crate) kind: Translation,
    pub(crate) family: Option<TableFamily>,
    /// The address, a range of them, or what says it: of a map, perhaps with the port.
    pub(crate) to: Option<Expr<'a>>,
    pub(crate) port: Option<Expr<'a>>,
    pub(crate) flags: Vec<Cow<'a, str>>,
}

/// What is translated, to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Translation {
    Snat,
    Dnat,
    /// The source, to the address of the outgoing interface.
    Masquerade,
    /// The destination, to this machine.
    Redirect,
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

impl Statement<'_> {
    /// The word of it that says what it does.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Match { .. } => "match",
            Self::Counter => "counter",
            Self::Verdict(verdict) => verdict.word(),
            Self::Translate(to) => to.kind.word(),
            Self::Tproxy { .. } => "tproxy",
            Self::Mangle { .. } => "set",
            Self::Log => "log",
            Self::Vmap { .. } => "vmap",
            Self::Update { .. } => "update",
            Self::Other { word, .. } => word,
            Self::Unknown { .. } => "statement",
        }
    }
}

impl Translation {
    pub(crate) const ALL: [Self; 4] = [Self::Snat, Self::Dnat, Self::Masquerade, Self::Redirect];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Snat => "snat",
            Self::Dnat => "dnat",
            Self::Masquerade => "masquerade",
            Self::Redirect => "redirect",
        }
    }
}

impl<'a> Translate<'a> {
    /// To an address, if one is given, and to a port, if one is given.
    pub(crate) fn to(
        kind: Translation,
        family: Option<TableFamily>,
        to: Option<Value<'a>>,
        port: Option<Value<'a>>,
    ) -> Self {
        let (to, port) = (to.map(Expr::Value), port.map(Expr::Value));
        Self { kind, family, to, port, flags: Vec::new() }
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

impl<'a> Chain<'a> {
    /// A chain of which only the name is known.
    pub(crate) const fn named(at: At, name: Cow<'a, str>) -> Self {
        Self { at, name, base: None, is_elsewhere: false, drops: None, rules: Vec::new() }
    }
}

impl<'a> Set<'a> {
    /// A set of which only the name is known.
    pub(crate) fn named(name: Cow<'a, str>) -> Self {
        Self {
            name,
            of: SetType::Named(Cow::Borrowed("")),
            map: None,
            flags: Vec::new(),
            auto_merge: false,
            size: None,
            elements: Elements::default(),
        }
    }
}

impl Object<'_> {
    /// What of it says where the kernel enters chains of its table, if anything does.
    pub(crate) fn hooks(self) -> Option<Self> {
        match self {
            Self::Block(mut table) => {
                table.sets.clear();
                table.chains.iter_mut().for_each(|chain| chain.rules.clear());
                Some(Self::Block(table))
            }
            Self::Table(_) | Self::Chain { .. } => Some(self),
            _ => None,
        }
    }
}

impl<'a> Script<'a> {
    /// Commands that every nft takes.
    pub(crate) const fn of(commands: Vec<Command<'a>>) -> Self {
        Self { commands, newer: Vec::new(), listed: Vec::new(), elsewhere: BTreeSet::new() }
    }
}

impl<'a> Rule<'a> {
    /// A rule that was read.
    pub(crate) fn read(
        statements: Result<Vec<(At, Statement<'a>)>, ReadError>,
        comment: Option<Cow<'a, str>>,
        handle: Option<u64>,
    ) -> Self {
        let statements = statements.map_err(Box::new);
        Self { begins_group: false, heading: None, comment, handle, statements }
    }
}
