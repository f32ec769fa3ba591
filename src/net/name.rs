//! Names of policies, tables, chains and sets.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A name of ours, safe to write unquoted into every backend: of a policy, a table, a chain, a set.
///
/// A letter, then letters, digits, `-` and `_`; 63 bytes at most (nft 0.9.8 to 1.1.7 takes sets of
/// 64, chains of 128, tables of 255). nft cannot quote a name and refuses its own keywords, which
/// is why every name that reaches it has a prefix of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadName {
    /// It does not begin with a letter.
    #[error("a name begins with a letter")]
    Start,
    /// A character that names do not have.
    #[error("`{}` cannot be in a name", .character.escape_debug())]
    Forbidden {
        /// The first such character.
        character: char,
    },
    /// Too long.
    #[error("{len} bytes, and the most is {}", Name::MAX_LEN)]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

impl Name {
    /// Longest name in bytes.
    pub const MAX_LEN: usize = 63;

    /// Checks `text`.
    ///
    /// # Errors
    ///
    /// The first reason, from left to right, why `text` is not a name.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(BadName::Start);
        }
        match text.chars().find(|c| !allowed(*c)) {
            Some(character) => Err(BadName::Forbidden { character }),
            None if text.len() > Self::MAX_LEN => Err(BadName::TooLong { len: text.len() }),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// A name that somebody else gave, as it is: `service-2QRHZV4L-default/web/tcp/http`. It has a
    /// character at least, and none that would change how a line is shown.
    ///
    /// # Errors
    ///
    /// The first reason, from left to right, why it cannot be told as it is.
    pub(crate) fn foreign(text: &str) -> Result<Self, BadName> {
        match text.chars().find(|c| c.is_control() || c.is_whitespace()) {
            Some(character) => Err(BadName::Forbidden { character }),
            None if text.is_empty() => Err(BadName::Start),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}
