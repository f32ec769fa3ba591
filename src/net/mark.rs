//! Marks under masks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A 32-bit packet or connection mark under a mask: the bits of `value` where `mask` has ones.
///
/// No bit of the value lies outside the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u32, u32)", into = "(u32, u32)")]
pub struct Mark {
    value: u32,
    mask: u32,
}

/// A value with bits outside its mask, which no packet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bits of the value lie outside the mask")]
pub struct BadMark;

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
        if value & !mask == 0 { Ok(Self { value, mask }) } else { Err(BadMark) }
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

impl TryFrom<(u32, u32)> for Mark {
    type Error = BadMark;

    fn try_from((value, mask): (u32, u32)) -> Result<Self, BadMark> {
        Self::new(value, mask)
    }
}

impl From<Mark> for (u32, u32) {
    fn from(mark: Mark) -> Self {
        (mark.value, mark.mask)
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
