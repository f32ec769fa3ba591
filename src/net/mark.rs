//! Marks under masks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A 32-bit packet or connection mark under a mask: the bits of `value` where `mask` has ones.
///
/// No bit of the value lies outside the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mark {
    value: u32,
    mask: u32,
}

/// Why something is not a [`Mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadMark {
    /// A value with bits outside its mask, which no packet has.
    #[error("bits of the value lie outside the mask")]
    OutsideMask,
    /// No number of 32 bits, or two of them.
    #[error("a mark is a number of 32 bits, perhaps with a mask: `0x539/0xfff`")]
    NoNumber,
}

impl Mark {
    /// The whole mark.
    #[must_use]
    pub const fn exactly(value: u32) -> Self {
        Self { value, mask: u32::MAX }
    }

    /// `value` under `mask`.
    ///
    /// # Errors
    ///
    /// If bits of `value` lie outside `mask`.
    pub const fn new(value: u32, mask: u32) -> Result<Self, BadMark> {
        if value & !mask == 0 { Ok(Self { value, mask }) } else { Err(BadMark::OutsideMask) }
    }

    /// The bits.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.value
    }

    /// The bits that count.
    #[must_use]
    pub const fn mask(self) -> u32 {
        self.mask
    }

    /// Whether `mark` has these bits.
    #[must_use]
    pub const fn matches(self, mark: u32) -> bool {
        mark & self.mask == self.value
    }

    /// Whether some mark has these bits and those of `other`.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        (self.value ^ other.value) & self.mask & other.mask == 0
    }
}

/// `0x539`, `1337`, or `0x539/0xfff`.
impl FromStr for Mark {
    type Err = BadMark;

    fn from_str(text: &str) -> Result<Self, BadMark> {
        let bits = |text: &str| {
            let (digits, base) = text.strip_prefix("0x").map_or((text, 10), |hex| (hex, 16));
            // A sign is no part of a number here.
            let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            u32::from_str_radix(digits, base).ok().filter(|_| is_number).ok_or(BadMark::NoNumber)
        };
        let (value, mask) = match text.split_once('/') {
            Some((value, mask)) => (value, bits(mask)?),
            None => (text, u32::MAX),
        };
        Self::new(bits(value)?, mask)
    }
}

impl TryFrom<String> for Mark {
    type Error = BadMark;

    fn try_from(text: String) -> Result<Self, BadMark> {
        text.parse()
    }
}

impl From<Mark> for String {
    fn from(mark: Mark) -> Self {
        mark.to_string()
    }
}

/// `0x539`, or `0x539/0xfff` under a mask, as the language and iptables write it.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.value)?;
        if self.mask != u32::MAX {
            write!(f, "/{:#x}", self.mask)?;
        }
        Ok(())
    }
}
