//! Names of network interfaces.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a network interface, or the beginning of one (`eth*`), safe to write into every
/// backend.
///
/// The kernel allows more than this type does: up to 15 bytes of anything but `/`, `:` and white
/// space ([`dev_valid_name`]). But a `*` at the end is a wildcard to nft, a `+` at the end is one
/// to iptables, and nft has no escape for `"`. Such a name would mean other packets in one backend
/// than in another, so only `A-Z a-z 0-9 . _ -` remain, no `-` at the beginning, and `*` at the end, which every backend
/// writes as its own wildcard.
///
/// [`dev_valid_name`]: https://elixir.bootlin.com/linux/v6.12/source/net/core/dev.c
///
/// ```
/// use netweir::net::Interface;
///
/// assert!(Interface::new("eth0.100").is_ok());
/// assert!(Interface::new("eth*").unwrap().matches("eth7"));
/// assert!(Interface::new("eth+").is_err()); // a wildcard to iptables
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interface {
    stem: String,
    wildcard: bool,
}

/// Why a text is not an [`Interface`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadInterface {
    /// There is nothing.
    #[error("a name has at least one character")]
    Empty,
    /// Longer than the kernel's `IFNAMSIZ` allows.
    #[error("{len} bytes, and the most is {most}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The most: 15, and 14 before a `*`, because nft 1.1.7 refuses 15 and `*`.
        most: usize,
    },
    /// A character that would not mean the same everywhere.
    #[error("`{}` cannot be in a name", .character.escape_debug())]
    Forbidden {
        /// The first such character.
        character: char,
    },
    /// `.` or `..`, which the kernel refuses.
    #[error("the kernel refuses the names `.` and `..`")]
    Dots,
    /// A `-` at the beginning, with which iptables takes the name for an option.
    #[error("a name that begins with `-` is an option to iptables")]
    Option,
    /// `*` alone, which nft refuses: leave the match out instead.
    #[error("`*` alone is every interface")]
    Everything,
}

impl Interface {
    /// Longest name in bytes: `IFNAMSIZ` (16) less the terminating NUL.
    pub const MAX_LEN: usize = 15;

    /// Checks `text`, a name or the beginning of one with `*` behind it.
    ///
    /// # Errors
    ///
    /// The first reason, from left to right, why `text` is not one.
    pub fn new(text: &str) -> Result<Self, BadInterface> {
        let (stem, wildcard) = text.strip_suffix('*').map_or((text, false), |stem| (stem, true));
        let most = Self::MAX_LEN - usize::from(wildcard);
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match stem.chars().find(|c| !allowed(*c)) {
            Some(character) => Err(BadInterface::Forbidden { character }),
            None if stem.starts_with('-') => Err(BadInterface::Option),
            None if stem.is_empty() && wildcard => Err(BadInterface::Everything),
            None if stem.is_empty() => Err(BadInterface::Empty),
            None if stem.len() > most => Err(BadInterface::TooLong { len: stem.len(), most }),
            None if !wildcard && (stem == "." || stem == "..") => Err(BadInterface::Dots),
            None => Ok(Self { stem: stem.to_owned(), wildcard }),
        }
    }

    /// The loopback interface of every network namespace.
    #[must_use]
    pub fn lo() -> Self {
        Self { stem: "lo".to_owned(), wildcard: false }
    }

    /// The name, or its beginning if [`Interface::is_wildcard`].
    #[must_use]
    pub fn stem(&self) -> &str {
        &self.stem
    }

    /// Whether any name that begins with the stem is meant.
    #[must_use]
    pub const fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// Whether the interface called `name` is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if self.wildcard { name.starts_with(&self.stem) } else { name == self.stem }
    }

    /// Whether every interface that `other` means is meant.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.wildcard { other.stem.starts_with(&self.stem) } else { self == other }
    }
}

/// `eth0` or `eth*`, as the language and nft write it.
impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.stem, if self.wildcard { "*" } else { "" })
    }
}

impl TryFrom<String> for Interface {
    type Error = BadInterface;

    fn try_from(text: String) -> Result<Self, BadInterface> {
        Self::new(&text)
    }
}

impl From<Interface> for String {
    fn from(interface: Interface) -> Self {
        interface.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{BadInterface, Interface};

    #[test]
    fn only_what_every_backend_reads_alike_is_a_name() {
        for good in [
            "e",
            "lo",
            "eth0",
            "eth0.100",
            "not-istio-nic",
            "abcdefghijklmno",
            "net*",
            "abcdefghijklmn*",
            "1eth",
            ".*",
        ] {
            assert!(Interface::new(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", BadInterface::Empty),
            ("*", BadInterface::Everything),
            ("..", BadInterface::Dots),
            ("abcdefghijklmnop", BadInterface::TooLong { len: 16, most: 15 }),
            ("abcdefghijklmno*", BadInterface::TooLong { len: 15, most: 14 }),
            ("-j", BadInterface::Option),
            ("-*", BadInterface::Option),
            ("e*h", BadInterface::Forbidden { character: '*' }),
            ("eth+", BadInterface::Forbidden { character: '+' }),
            ("eth0; flush ruleset", BadInterface::Forbidden { character: ';' }),
            ("a\"b", BadInterface::Forbidden { character: '"' }),
            ("étage", BadInterface::Forbidden { character: 'é' }),
        ] {
            assert_eq!(Interface::new(bad), Err(why), "{bad}");
        }
    }
}
