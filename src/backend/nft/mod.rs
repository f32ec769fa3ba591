//! A script for `nft -f`, and the same ruleset as libnftables JSON for `nft -j -f`.
//!
//! ```text
//! Ruleset ──legalise──▶ Ruleset ──build──▶ Program ──┬──▶ text
//!                                                    └──▶ JSON
//! ```
//!
//! [`legalise`] brings the rules to what nft can say, within the IR; what is left is spelling, so
//! script and JSON cannot differ. Both replace exactly the policy's tables, in one transaction,
//! and loading twice is loading once. Tried with nft 1.0.1 (forms), 1.0.6, 1.1.3 and 1.1.7 on
//! Linux 6.18.

mod build;
mod json;
mod label;
mod legal;
#[cfg(test)]
mod legal_tests;
mod members;
mod names;
mod owner;
mod program;
mod sets;
mod target;
#[cfg(test)]
mod tests;
mod text;
mod unsupported;

use crate::ir::Ruleset;
use crate::net::Name;
use crate::span::Sources;

pub use legal::legalise;
pub use members::{MemberChange, Members, NoSet};
pub(crate) use names::Names;
pub use target::{BadTarget, Target};
pub use unsupported::unsupported;

/// How a ruleset is written. None of it changes what packets meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The oldest nft that must load it. Default: 1.0.1.
    pub target: Target,
    /// Whether every rule counts its packets. Default: yes.
    pub counters: bool,
    /// Whether the kernel keeps with every rule what it is for and which line asked for it, for
    /// `nft list` to show. Default: yes.
    pub comments: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { target: Target::default(), counters: true, comments: true }
    }
}

/// What surrounds a ruleset.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The policy that it is of, for the head of the script.
    pub policy: &'a Name,
    /// Every table that policies of this kind have, now or with other clauses. Those that are not
    /// in the ruleset go away, and so do those that are there in another family.
    pub owned: &'a [Name],
    /// What the clauses of rules lie in.
    pub sources: &'a Sources,
}

/// The script that makes `ruleset` the policy's, in one transaction.
///
/// A table with sets that others fill stays, with their contents, as long as its family does; what
/// the policy no longer has of it is left empty.
///
/// Call [`unsupported`] first: what it reports would be refused by nft, or mean other packets.
#[must_use]
pub fn script(ruleset: &Ruleset, context: &Context<'_>, options: &Options) -> String {
    text::print(&build::build(&legalise(ruleset), context, options))
}

/// The same as [`script`], as libnftables JSON, one command a line.
#[must_use]
pub fn json(ruleset: &Ruleset, context: &Context<'_>, options: &Options) -> String {
    json::print(&build::build(&legalise(ruleset), context, options))
}
