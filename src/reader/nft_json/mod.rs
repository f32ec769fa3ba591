//! What `nft -j list ruleset` prints, and what `nft -j -f` takes: libnftables JSON.
//!
//! ```text
//! commands ──state──▶ tables as they are in the end ──table──▶ IR
//!                                            └──rule, condition, bits, value──┘
//! ```
//!
//! Commands are run on an empty ruleset, so a text that takes tables away and makes them anew is
//! read for what it leaves. The elements of named sets stand in the rules that name the sets; an
//! empty set of addresses is one that others fill. A rule that does several things is read as a
//! jump to a chain that does them, one after another. Handles, counts and comments are passed
//! over.
//!
//! What a word means was checked against nft 1.0.6, 1.1.3 and 1.1.7 on Linux 6.18. A word that is
//! not known here is an error, never a guess; so is one that the kernel would take but that the
//! IR cannot say. A text that nft would refuse for another reason (a redirect in a filter chain,
//! say) may be read.

mod bits;
mod condition;
mod field;
mod object;
mod rule;
mod state;
mod table;
mod value;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use self::object::brief;
use crate::ir::{Base, ChainKind, Direction, Hook, Match, Protocol, Ruleset, Table};
use crate::net::Name;
use crate::reader::is_among;

/// What to leave out, and what the text does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The tables to read, as [`Options::leave_out`] names them; all others are someone else's.
    /// `None`: every table.
    pub tables: Option<BTreeSet<String>>,
    /// Tables that are someone else's, which are passed over unread: by name (`firewalld`), or by
    /// family and name (`ip filter`, `bridge *`). A `*` at the end stands for any rest.
    pub leave_out: BTreeSet<String>,
    /// Sets that others fill although they have elements, by name. The elements are passed over.
    pub filled: BTreeSet<String>,
}

/// An object that cannot be read exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct ReadError {
    /// Which object.
    pub at: Place,
    /// What is wrong with it.
    pub problem: ReadProblem,
}

/// Where in a text something is. Tables are named with their family: `inet istio-proxy-nat`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The whole text.
    Text,
    /// A command, counted from 1.
    Command(usize),
    /// A table.
    Table(String),
    /// A chain.
    Chain {
        /// Its table.
        table: String,
        /// Its name.
        chain: String,
    },
    /// A rule.
    Rule {
        /// Its table.
        table: String,
        /// Its chain.
        chain: String,
        /// Its place in the chain in the end, counted from 1.
        index: usize,
    },
}

/// `table inet istio-proxy-nat, chain output, rule 3`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("the text"),
            Self::Command(number) => write!(f, "command {number}"),
            Self::Table(table) => write!(f, "table {table}"),
            Self::Chain { table, chain } => write!(f, "table {table}, chain {chain}"),
            Self::Rule { table, chain, index } => {
                write!(f, "table {table}, chain {chain}, rule {index}")
            }
        }
    }
}

/// Why an object cannot be read exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadProblem {
    /// The text is not JSON.
    #[error("not JSON: {why}")]
    NotJson {
        /// What the parser says.
        why: String,
    },
    /// A word that has no meaning here.
    #[error("unknown {what} `{word}`")]
    Unknown {
        /// What was expected: `statement`, `operator`.
        what: &'static str,
        /// The word.
        word: String,
    },
    /// A key that has no meaning here.
    #[error("unknown key `{key}` of `{of}`")]
    UnknownKey {
        /// What has the key.
        of: &'static str,
        /// The key.
        key: String,
    },
    /// A key that must be there.
    #[error("`{of}` needs the key `{key}`")]
    MissingKey {
        /// What needs it.
        of: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A value that cannot be read, or that the IR cannot say.
    #[error("{of} `{value}`: {why}")]
    BadValue {
        /// What it is the value of.
        of: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something without what it belongs to.
    #[error("`{word}` needs {needs}")]
    Needs {
        /// The word.
        word: String,
        /// What is missing.
        needs: &'static str,
    },
    /// Something that is there already, and other than it is now.
    #[error("{what} `{name}` is there already")]
    Exists {
        /// What it is: `chain`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Something that is named and not there.
    #[error("no {what} `{name}`")]
    Absent {
        /// What it is: `chain`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Something that nft can say and the IR cannot.
    #[error("`{word}` cannot be read exactly: {why}")]
    Inexact {
        /// The word.
        word: String,
        /// Why not.
        why: &'static str,
    },
    /// Chains that jump to each other in a circle.
    #[error("chain `{chain}` leads back to itself")]
    Circle {
        /// A chain of the circle.
        chain: String,
    },
}

/// The ruleset that there is behind the commands of `text`.
///
/// Families of the IR's tables are nft's: `inet` is both. A chain's policy `drop` is a rule at its
/// end.
///
/// # Errors
///
/// Everything that cannot be read: commands in the order of the text, then what rules say.
pub fn read(text: &str, options: &Options) -> Result<Ruleset, Vec<ReadError>> {
    let at_text = |problem| vec![ReadError { at: Place::Text, problem }];
    let json: Value = serde_json::from_str(text)
        .map_err(|error| at_text(ReadProblem::NotJson { why: error.to_string() }))?;
    let commands = object::only(&json, "document")
        .and_then(|(key, list)| match (key, list) {
            ("nftables", Value::Array(commands)) => Ok(commands),
            ("nftables", list) => Err(object::bad("nftables", list, "not a list of commands")),
            _ => Err(ReadProblem::Unknown { what: "document", word: brief(&json) }),
        })
        .map_err(at_text)?;
    let mut errors = Vec::new();
    let tables = state::run(commands, options, &mut errors);
    let mut ruleset = table::ruleset(&tables, options, &mut errors);
    ruleset.tables.iter_mut().for_each(mend_socket_matches);
    if errors.is_empty() { Ok(ruleset) } else { Err(errors) }
}

/// In postrouting nat, for TCP, a local source is read as an existing socket: that is how the nft
/// backend writes one, and there both take the same packets (Linux 6.18).
fn mend_socket_matches(table: &mut Table) {
    let is_it = |base: Base| base.kind == ChainKind::Nat && base.hook == Hook::Postrouting;
    let inside: BTreeSet<Name> = table.reached_only_from(is_it).into_iter().cloned().collect();
    let tcp = Match::Protocol { protocol: Protocol::Tcp, not: false };
    let chains = table.chains.iter_mut().filter(|chain| inside.contains(&chain.name));
    let rules = chains.flat_map(|chain| &mut chain.rules).filter(|rule| rule.when.contains(&tcp));
    for when in rules.flat_map(|rule| &mut rule.when) {
        if let Match::Local { of: Direction::Source, not } = *when {
            *when = Match::SocketExists { not };
        }
    }
}

impl Options {
    /// Whether the table is someone else's.
    fn leaves_out(&self, family: &str, table: &str) -> bool {
        let full_name = format!("{family} {table}");
        let is_in = |names| is_among(names, table) || is_among(names, &full_name);
        is_in(&self.leave_out) || self.tables.as_ref().is_some_and(|tables| !is_in(tables))
    }
}

#[cfg(test)]
mod tests;
