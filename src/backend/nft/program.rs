//! What both printers write: the statements of nft, in the shape that libnftables' JSON has.
//!
//! The types serialise as that JSON ([`json`](super::json) adds the commands around them), and
//! [`text`](super::text) spells them as script. One value, two spellings: so both load alike.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use crate::ir::Base;
use crate::net::{Families, Interface, Name};

/// A transaction.
pub(super) struct Program<'a> {
    /// The name of the policy.
    pub(super) policy: &'a Name,
    /// Tables that go away first, whether they exist or not.
    pub(super) replaced: Vec<(TableFamily, &'a Name)>,
    /// The tables that are there afterwards.
    pub(super) tables: Vec<Table<'a>>,
}

/// A table.
pub(super) struct Table<'a> {
    pub(super) family: TableFamily,
    pub(super) name: &'a Name,
    /// Whether it stays, emptied of rules only, because others fill its sets. None is ours then.
    pub(super) kept: bool,
    pub(super) sets: Vec<Set<'a>>,
    pub(super) chains: Vec<Chain<'a>>,
}

/// The families that a table sees, as nft calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TableFamily {
    Inet,
    Ip,
    Ip6,
}

/// A named set.
pub(super) struct Set<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) of: SetOf,
    /// Whether it holds ranges or prefixes.
    pub(super) interval: bool,
    /// None: others fill it.
    pub(super) elements: Vec<Element<'a>>,
}

/// What a set holds, as nft calls the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum SetOf {
    #[serde(rename = "ipv4_addr")]
    Ipv4,
    #[serde(rename = "ipv6_addr")]
    Ipv6,
    #[serde(rename = "inet_service")]
    Ports,
    #[serde(rename = "uid")]
    Users,
    #[serde(rename = "gid")]
    Groups,
    #[serde(rename = "ifname")]
    Interfaces,
}

/// A chain.
pub(super) struct Chain<'a> {
    pub(super) name: &'a Name,
    pub(super) base: Option<Base>,
    pub(super) rules: Vec<Rule<'a>>,
}

/// A rule.
pub(super) struct Rule<'a> {
    /// Whether the rule before is there for another reason.
    pub(super) begins_group: bool,
    /// What it is for; `None` if the rule before says so already, or there is nothing to say.
    pub(super) heading: Option<String>,
    /// What the kernel keeps with the rule. At most 128 bytes; no `"`, no `\`.
    pub(super) comment: Option<String>,
    pub(super) statements: Vec<Statement<'a>>,
}

/// One statement of a rule. `()` is JSON's `null`.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Statement<'a> {
    Match {
        op: Op,
        left: Expr,
        right: Right<'a>,
    },
    Counter(()),
    Accept(()),
    Drop(()),
    Return(()),
    Jump {
        target: &'a str,
    },
    Goto {
        target: &'a str,
    },
    Redirect {
        port: u16,
    },
    Snat {
        #[serde(skip_serializing_if = "Option::is_none")]
        family: Option<TableFamily>,
        addr: IpAddr,
    },
    Tproxy {
        #[serde(skip_serializing_if = "Option::is_none")]
        family: Option<TableFamily>,
        port: u16,
    },
    Mangle {
        key: Expr,
        value: Expr,
    },
    Log(()),
}

/// How both sides of a match compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Op {
    #[serde(rename = "==")]
    Equal,
    #[serde(rename = "!=")]
    Unequal,
    /// Some bit of the right side is set in the left one. Text leaves it out; in JSON, `==` would
    /// mean that exactly these bits are set.
    #[serde(rename = "in")]
    In,
}

/// What a rule reads, or computes.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expr {
    Meta {
        key: &'static str,
    },
    Ct {
        key: &'static str,
    },
    Payload {
        protocol: &'static str,
        field: &'static str,
    },
    Fib {
        result: &'static str,
        flags: [&'static str; 1],
    },
    #[serde(rename = "&")]
    And(Box<(Expr, Expr)>),
    #[serde(rename = "|")]
    Or(Box<(Expr, Expr)>),
    #[serde(rename = "^")]
    Xor(Box<(Expr, Expr)>),
    #[serde(untagged)]
    Mark(u32),
    #[serde(untagged)]
    Number(u32),
}

/// What a field is compared with.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Right<'a> {
    /// A set without a name. Two elements at least.
    Set(Vec<Element<'a>>),
    /// Bits of a bit mask.
    #[serde(untagged)]
    Bits(Vec<&'static str>),
    #[serde(untagged)]
    One(Element<'a>),
    /// A set of the table, as `@name`.
    #[serde(untagged)]
    Named(String),
}

/// One value, or an interval of them.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Element<'a> {
    Prefix {
        addr: IpAddr,
        len: u8,
    },
    /// First and last.
    Range(u32, u32),
    #[serde(untagged)]
    Address(IpAddr),
    #[serde(untagged)]
    Number(u32),
    #[serde(untagged)]
    Mark(u32),
    #[serde(untagged)]
    Interface(&'a Interface),
    #[serde(untagged)]
    Word(&'static str),
}

impl TableFamily {
    /// All, the widest first.
    pub(super) const ALL: [Self; 3] = [Self::Inet, Self::Ip, Self::Ip6];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
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

impl SetOf {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4_addr",
            Self::Ipv6 => "ipv6_addr",
            Self::Ports => "inet_service",
            Self::Users => "uid",
            Self::Groups => "gid",
            Self::Interfaces => "ifname",
        }
    }

    /// The end of the name of a set of it.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Ports => "ports",
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Interfaces => "interfaces",
        }
    }
}

impl Element<'_> {
    /// Whether a set needs `flags interval` for it.
    pub(super) const fn is_interval(&self) -> bool {
        match self {
            Self::Prefix { .. } | Self::Range(..) => true,
            Self::Address(_)
            | Self::Number(_)
            | Self::Mark(_)
            | Self::Interface(_)
            | Self::Word(_) => false,
        }
    }
}

impl From<IpNet> for Element<'_> {
    fn from(net: IpNet) -> Self {
        if net.prefix_len() == net.max_prefix_len() {
            Self::Address(net.addr())
        } else {
            Self::Prefix { addr: net.addr(), len: net.prefix_len() }
        }
    }
}

impl From<(u32, u32)> for Element<'_> {
    fn from((first, last): (u32, u32)) -> Self {
        if first == last { Self::Number(first) } else { Self::Range(first, last) }
    }
}
