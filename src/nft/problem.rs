//! What of a text cannot be read exactly, and where it stands.

use std::fmt;

use super::At;

/// An object that cannot be read exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct ReadError {
    /// Which object.
    pub at: Place,
    /// What is wrong with it.
    pub problem: ReadProblem,
}

/// Where in a text something is: in a script by line, in JSON by name. Tables are named with their family: `inet istio-proxy-nat`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The whole text.
    Text,
    /// A command of JSON, counted from 1.
    Command(usize),
    /// A place in a script.
    Line {
        /// The line, counted from 1.
        line: u32,
        /// The character in it, counted from 1.
        column: u32,
    },
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
            Self::Line { line, column } => write!(f, "line {line}, column {column}"),
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
    /// Something else than there must be.
    #[error("`{found}` where {wanted} must be")]
    Unexpected {
        /// What is there.
        found: String,
        /// What must be there.
        wanted: String,
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
    /// A table that iptables-nft keeps, whose listing looks exact and is not: `! --uid-owner 1000`
    /// is listed as `skuid != 1000`, which differs for packets without a socket.
    #[error(
        "iptables-nft keeps this table, and nft does not show all that it means: read what `iptables-save` prints"
    )]
    OfIptables,
    /// More than is read of one text: see [`size`](crate::reader::size).
    #[error(
        "more than {most} words and signs: give less at once, such as the tables in question alone"
    )]
    TooLarge {
        /// The most.
        most: usize,
    },
    /// Something that nft, or the kernel, would refuse.
    #[error("`{word}` would be refused: {why}")]
    Refused {
        /// The word.
        word: String,
        /// By what, and why.
        why: String,
    },
    /// Chains that jump to each other in a circle.
    #[error("chain `{chain}` leads back to itself")]
    Circle {
        /// A chain of the circle.
        chain: String,
    },
    /// Two base chains of which the text does not say which runs first: the one that the kernel
    /// has known longer runs last (Linux 6.18).
    #[error(
        "base chain `{chain}` has the hook and the priority of this one, so either may run first"
    )]
    Tie {
        /// The other one, with its table.
        chain: String,
    },
}

impl Place {
    /// Where in a script it is.
    pub(crate) const fn in_script(&self) -> At {
        match *self {
            Self::Line { line, column } => At::Line { line, column },
            _ => At::Nowhere,
        }
    }

    /// The line of a script, if `at` is one, or else `otherwise`.
    pub(crate) fn or(at: At, otherwise: impl FnOnce() -> Self) -> Self {
        match at {
            At::Line { line, column } => Self::Line { line, column },
            At::Nowhere | At::Command(_) => otherwise(),
        }
    }
}

impl From<At> for Place {
    fn from(at: At) -> Self {
        match at {
            At::Nowhere => Self::Text,
            At::Line { line, column } => Self::Line { line, column },
            At::Command(number) => Self::Command(number),
        }
    }
}

/// Most characters of a value in a message.
const MOST_SHOWN: usize = 60;

/// `text` as a message shows it: anything long cut.
pub(crate) fn brief(text: String) -> String {
    if text.chars().count() <= MOST_SHOWN {
        return text;
    }
    text.chars().take(MOST_SHOWN).chain(['…']).collect()
}

/// `value` cannot be what `of` wants.
pub(crate) fn bad(
    of: &'static str,
    value: &(impl ToString + ?Sized),
    why: &(impl ToString + ?Sized),
) -> ReadProblem {
    ReadProblem::BadValue { of, value: brief(value.to_string()), why: why.to_string() }
}

/// `word` means nothing as `what`.
pub(crate) fn unknown(what: &'static str, word: &(impl ToString + ?Sized)) -> ReadProblem {
    ReadProblem::Unknown { what, word: brief(word.to_string()) }
}

/// There is no `what` called `name`.
pub(crate) fn absent(what: &'static str, name: &(impl ToString + ?Sized)) -> ReadProblem {
    ReadProblem::Absent { what, name: name.to_string() }
}

/// `word` needs something that is not there.
pub(crate) fn needs(word: &str, needs: &'static str) -> ReadProblem {
    ReadProblem::Needs { word: word.to_owned(), needs }
}

/// Whether no IP packet meets rules of tables of a family at a hook that can be read. Tables of
/// `bridge` and `netdev` can drop and change packets before those of `inet` see them.
///
/// # Errors
///
/// If there is no such family.
pub(crate) fn is_elsewhere(family: &str) -> Result<bool, ReadProblem> {
    match family {
        "arp" | "bridge" | "netdev" => Ok(true),
        "inet" | "ip" | "ip6" => Ok(false),
        _ => Err(unknown("family", family)),
    }
}

/// nft, or the kernel, would refuse `word`.
pub(crate) fn refused(word: &(impl ToString + ?Sized), why: &str) -> ReadProblem {
    ReadProblem::Refused { word: brief(word.to_string()), why: why.to_owned() }
}
