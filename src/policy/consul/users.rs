//! Users, and ranges of them.

use std::cmp::{Ordering, Reverse};
use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::net::json;
use crate::policy::clauses::lists::Covers;
use crate::policy::clauses::numbers::{self, Mistake, USER};
use crate::policy::clauses::values::{GroupIds, Read};

/// Users `first..=last`, with `first <= last`, each 0 to 4294967294. Displays as `5996` or
/// `1000-2000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRange {
    first: u32,
    last: u32,
}

impl UserRange {
    /// `first..=last`, unless that is empty, or has the number that means no user to the kernel.
    #[must_use]
    pub const fn new(first: u32, last: u32) -> Option<Self> {
        if first <= last && last < u32::MAX { Some(Self { first, last }) } else { None }
    }

    /// One user, which is not 4294967295.
    pub(super) const fn one(user: u32) -> Self {
        Self { first: user, last: user }
    }
}

impl TryFrom<(u32, u32)> for UserRange {
    type Error = &'static str;

    fn try_from((first, last): (u32, u32)) -> Result<Self, Self::Error> {
        Self::new(first, last).ok_or("users are 0 to 4294967294, the first not above the last")
    }
}

impl From<UserRange> for (u32, u32) {
    fn from(range: UserRange) -> Self {
        (range.first, range.last)
    }
}

/// A number, or a range as a string: `"1000-2000"`.
impl Serialize for UserRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json::write_range(self.first, self.last, serializer)
    }
}

impl<'de> Deserialize<'de> for UserRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let what = "a user, or a range: \"1000-2000\"";
        json::read_range(deserializer, what)?.try_into().map_err(D::Error::custom)
    }
}

impl fmt::Display for UserRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.first == self.last { Ok(()) } else { write!(f, "-{}", self.last) }
    }
}

impl Read for UserRange {
    fn read(text: &str, _: &GroupIds) -> Result<Self, Mistake> {
        let (first, last) = numbers::range(text, |user| numbers::number(user, &USER))?;
        Ok(Self { first, last })
    }
}

impl Covers for UserRange {
    fn order(&self, other: &Self) -> Ordering {
        (self.first, Reverse(self.last)).cmp(&(other.first, Reverse(other.last)))
    }

    fn covers(&self, other: &Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}
