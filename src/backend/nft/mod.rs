//! A script for `nft -f`, and the same ruleset as libnftables JSON for `nft -j -f`.
//!
//! ```text
//! Ruleset ──legal──▶ Legal ──build──▶ nft::Script ──┬──▶ text
//!                                                   └──▶ JSON
//! ```
//!
//! [`legal`] brings the rules to what nft can say, within the IR; what is left is spelling, so
//! script and JSON cannot differ. Both replace exactly the policy's tables, in one transaction,
//! and loading twice is loading once. Tried with nft 1.0.1 (forms), 1.0.6, 1.1.3 and 1.1.7 on
//! Linux 6.18.

mod build;
mod label;
mod legal;
#[cfg(test)]
mod legal_tests;
mod members;
mod owner;
mod sets;
#[cfg(test)]
mod tests;
mod unsupported;

use crate::ir::{Clauses, Ruleset};
use crate::net::Name;
use crate::nft::{json, text};

pub use crate::nft::{BadTarget, Target};
pub use members::{MemberChange, Members, NoSet};
pub use unsupported::legal;

/// A ruleset in which one rule is one rule of nft, and nothing is that nft cannot say: [`legal`] makes
/// it.
///
/// - No rule is for a family that its table does not see, none can never match, and no match
///   always holds.
/// - No negated owner match takes packets without an owner, and no rule drops what no transparent
///   proxy takes: nft's rules cannot.
/// - What is for TCP and UDP says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Legal {
    ruleset: Ruleset,
}

impl Legal {
    /// The ruleset.
    #[must_use]
    pub const fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }
}

/// How a ruleset is written. None of it changes what packets meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The oldest nft that must load it. Default: 1.0.1.
    pub target: Target,
    /// Whether every rule counts its packets. Default: yes.
    pub counters: bool,
    /// Whether the kernel keeps with every rule what it is for and which clause asked for it, for
    /// `nft list` to show. Default: yes.
    pub comments: bool,
    /// How the commands of a script are laid out; JSON has one form. Default: in blocks.
    pub form: Form,
}

/// How the commands of a script are laid out. Either form is the same transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// A block a table, with its sets, chains and rules, as `nft list ruleset` prints them.
    #[default]
    Block,
    /// One `add`, `delete` or `flush` command a line, as programs write that change single objects.
    Flat,
}

impl Default for Options {
    fn default() -> Self {
        Self { target: Target::default(), counters: true, comments: true, form: Form::default() }
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
    /// What the clauses of rules say.
    pub clauses: &'a Clauses,
}

pub(crate) use build::build as commands;

/// The script that makes `legal` the policy's ruleset, in one transaction.
///
/// A table with sets that others fill stays, with their contents, as long as its family does; what
/// the policy no longer has of it is left empty.
#[must_use]
pub fn script(legal: &Legal, context: &Context<'_>, options: &Options) -> String {
    let script = build::build(legal, context, options);
    match options.form {
        Form::Block => text::print(&script),
        Form::Flat => text::print_flat(&script),
    }
}

/// The same as [`script`], as libnftables JSON, one command a line.
#[must_use]
pub fn json(legal: &Legal, context: &Context<'_>, options: &Options) -> String {
    json::print(&build::build(legal, context, options))
}
