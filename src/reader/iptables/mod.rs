//! What `iptables-save` prints and `iptables-restore` takes.
//!
//! The texts of both families become one ruleset: tables and chains of the same name are one, with
//! the IPv4 rules before the IPv6 ones, which never meet the same packet. Built-in chains are called
//! as nft calls their hooks, `prerouting` for `PREROUTING`; others keep their names. A built-in chain without rules is left out: it does nothing.
//!
//! What a word means was checked against iptables 1.8.9. A match or target that is not known here, or that
//! the IR cannot say, is read as [opaque](crate::ir::Match::Opaque): a question without an answer, an
//! outcome of its own. What cannot be read at all is an error, never a guess.

mod chains;
mod dump;
mod frame;
mod opaque;
mod prefix;
mod rule;
mod tables;
mod target;
mod value;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use super::{Found, ReadErrors, size};
use crate::net::Family;

pub use dump::{Dump, Line};

pub(super) use dump::dumps;
pub(super) use frame::{changes_rules, scan};
pub(super) use rule::joined;

/// What the texts leave to the machine that loads them, and what to leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Numbers of the users that `--uid-owner` names.
    pub users: BTreeMap<String, u32>,
    /// Numbers of the groups that `--gid-owner` names.
    pub groups: BTreeMap<String, u32>,
    /// Chains that are someone else's, by name (`KUBE-SERVICES`), and are not read. A `*` at the end
    /// stands for any rest.
    pub leave_out: BTreeSet<String>,
    /// Whether the text is to be loaded, again too, beside rules of others. Then it is an error if a
    /// rule has what the IR cannot say; if one is inserted, so that it would stand before theirs; if it sets the policy of a built-in chain;
    /// if it makes a chain in a way that fails where the chain is there; and if a rule leads to a chain
    /// that only a later line makes.
    pub to_load: bool,
    /// Chains that are someone else's, by name (`DOCKER_OUTPUT`), and are there though no line makes
    /// them: jumps to them are read, and lead to a chain that the table does not have.
    pub others: BTreeSet<String>,
}

/// A line that cannot be read exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{family} line {line}: {problem}")]
#[non_exhaustive]
pub struct ReadError {
    /// Whose text.
    pub family: Family,
    /// The line, from 1.
    pub line: usize,
    /// The chain that the line is about, as the text has it, if it is about one.
    pub chain: Option<String>,
    /// What is wrong with it.
    pub problem: ReadProblem,
}

/// Why a line cannot be read exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadProblem {
    /// A word that has no meaning here.
    #[error("unknown {what} `{word}`")]
    Unknown {
        /// What was expected: `match`, `target`.
        what: &'static str,
        /// The word.
        word: String,
    },
    /// The line ends too early.
    #[error("`{after}` needs a value")]
    MissingValue {
        /// The last word.
        after: String,
    },
    /// A value that cannot be read, or that the IR cannot say.
    #[error("`{option} {value}`: {why}")]
    BadValue {
        /// The option.
        option: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// `!` before a word that cannot be negated.
    #[error("`{word}` cannot be negated")]
    Negated {
        /// The word.
        word: String,
    },
    /// An option that may be given once.
    #[error("`{word}` is given twice")]
    Twice {
        /// The option.
        word: String,
    },
    /// An option without what it belongs to.
    #[error("`{word}` needs {needs}")]
    Needs {
        /// The option or target.
        word: String,
        /// What is missing.
        needs: &'static str,
    },
    /// A quotation mark without its partner.
    #[error("a quotation mark is not closed")]
    OpenQuote,
    /// A line outside of a table.
    #[error("not in a table")]
    NoTable,
    /// The text ends within a table, or another table begins there.
    #[error("the table ends without COMMIT")]
    NoCommit,
    /// A chain that does not exist in the table.
    #[error("no chain `{chain}` in this table")]
    NoChain {
        /// The chain.
        chain: String,
    },
    /// A chain with a name that it cannot have.
    #[error("chain `{chain}`: {why}")]
    ChainName {
        /// The chain.
        chain: String,
        /// What is wrong with it.
        why: String,
    },
    /// Chains that jump to each other in a circle.
    #[error("chain `{chain}` leads back to itself")]
    Circle {
        /// A chain of the circle.
        chain: String,
    },
    /// A policy that the IR cannot say.
    #[error("policy `{policy}` of a built-in chain, which has ACCEPT or DROP")]
    Policy {
        /// The policy.
        policy: String,
    },
    /// More than is read of one text: see [`size`].
    #[error(
        "more than {most} words, of which a line counts {} more: give less at once",
        size::RULE
    )]
    TooLarge {
        /// The most.
        most: usize,
    },
    /// More rules with targets that nobody knows than are read of one text: see [`size`].
    #[error("more than {most} rules with unknown targets: give less at once")]
    TooManyUnknown {
        /// The most.
        most: usize,
    },
    /// A set of addresses that the other family's text uses as well.
    #[error("set `{set}` holds addresses of one family, but both use it")]
    SetFamily {
        /// The set.
        set: String,
    },
}

/// The rules of an IPv4 text, an IPv6 text, or both, of which every line is one of `iptables-save`.
///
/// # Errors
///
/// Every line that cannot be read, IPv4 first, in the order of the text.
pub fn read(
    v4: Option<&str>,
    v6: Option<&str>,
    options: &Options,
) -> Result<Found, ReadErrors<ReadError>> {
    let [v4, v6] = [v4, v6].map(|text| text.map(Dump::whole));
    read_dumps(v4.as_ref(), v6.as_ref(), options)
}

/// The rules of one family or both, as [`forms::recognise`](super::forms::recognise) cuts them out of a text.
///
/// # Errors
///
/// As of [`read`]. Lines are those of the text that they were cut out of.
pub fn read_dumps(
    v4: Option<&Dump<'_>>,
    v6: Option<&Dump<'_>>,
    options: &Options,
) -> Result<Found, ReadErrors<ReadError>> {
    let mut errors = Vec::new();
    for (family, dump) in [(Family::Ipv4, v4), (Family::Ipv6, v6)] {
        let past = dump.and_then(|dump| past_limit(&dump.lines));
        let problem = ReadProblem::TooLarge { most: size::MOST_IPTABLES };
        errors.extend(past.map(|line| ReadError { family, line, chain: None, problem }));
    }
    if !errors.is_empty() {
        return Err(ReadErrors(errors));
    }
    let texts = [(Family::Ipv4, v4), (Family::Ipv6, v6)].map(|(family, dump)| {
        dump.map(|dump| chains::parse(&dump.lines, family, options, &mut errors))
            .unwrap_or_default()
    });
    let found = tables::join(texts, options, &mut errors);
    ReadErrors::unless(found, errors)
}

/// The line with the first word past [`size::MOST_IPTABLES`].
fn past_limit(lines: &[Line<'_>]) -> Option<usize> {
    let mut terms = 0;
    let past = lines.iter().find(|line| {
        terms += size::of_line(line.text);
        terms > size::MOST_IPTABLES
    });
    past.map(|line| line.number)
}

#[cfg(test)]
mod tests;
