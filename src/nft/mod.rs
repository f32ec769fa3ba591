//! The nft language: values between its two spellings, script and libnftables JSON, and the IR.
//!
//! ```text
//! script ──text::read──▶ ┌────────┐ ──text::print──▶ script
//!                        │ Script │
//! JSON ────json::read──▶ └────────┘ ──json::print──▶ JSON
//!                             │
//!                           apply   to the state of a namespace, as one transaction
//!                             ▼
//!                           State ──reader::nft──▶ IR ──backend::nft──▶ Script
//! ```
//!
//! A [`Script`] is what both spellings say, so that what nft means is said once: what commands do in
//! [`state`], what tables and rules do to packets in [`reader::nft`](crate::reader::nft).

mod ast;
pub(crate) mod json;
pub(crate) mod keywords;
mod names;
mod problem;
mod state;
#[cfg(test)]
mod state_tests;
mod target;
mod terms;
pub(crate) mod text;
mod transaction;

pub(crate) use ast::{
    At, Beside, Chain, Command, Newer, Object, Reads, Rule, Script, Selects, Set, Statement, Table,
    TableFamily, TableName, Translate, Translation, Verb, Verdict,
};
pub(crate) use names::Names;
pub use problem::{Place, ReadError, ReadProblem};
pub(crate) use problem::{absent, bad, needs, refused, unknown};
pub(crate) use state::{ChainState, SetState, State, TableState};
pub use target::{BadTarget, Target};
pub(crate) use terms::{Comparison, Elements, Expr, Operator, Right, SetType, Value};

use crate::ir::{ChainKind, Hook};
use crate::net::Family;

/// Chains that a packet can be in at once, the base chain among them: Linux 6.18 refuses more.
pub(crate) const MOST_NESTED: usize = 16;

/// nft's name of a kind of chain.
pub(crate) const fn kind_name(kind: ChainKind) -> &'static str {
    match kind {
        ChainKind::Filter => "filter",
        ChainKind::Nat => "nat",
        ChainKind::Route => "route",
    }
}

/// nft's name of the type of addresses of a family.
pub(crate) const fn address_type(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4_addr",
        Family::Ipv6 => "ipv6_addr",
    }
}

/// The kind of chain that nft calls `name`.
pub(crate) fn kind(name: &str) -> Option<ChainKind> {
    [ChainKind::Filter, ChainKind::Nat, ChainKind::Route]
        .into_iter()
        .find(|kind| kind_name(*kind) == name)
}

/// nft's name of a hook.
pub(crate) const fn hook_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Prerouting => "prerouting",
        Hook::Input => "input",
        Hook::Forward => "forward",
        Hook::Output => "output",
        Hook::Postrouting => "postrouting",
    }
}

/// The hook that nft calls `name`.
pub(crate) fn hook(name: &str) -> Option<Hook> {
    Hook::ALL.into_iter().find(|hook| hook_name(*hook) == name)
}
