//! Ports, ranges of them and sets of them.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::json;

/// Ports `first..=last`, with `first <= last`.
///
/// Port 0 is a port here: a packet can carry it, and a ruleset can name it. The language lets a
/// policy say it only where the mesh does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port, 0 included.
    pub const ALL: Self = Self { first: 0, last: u16::MAX };

    /// `first..=last`, unless that is empty.
    #[must_use]
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first <= last { Some(Self { first, last }) } else { None }
    }

    /// One port.
    #[must_use]
    pub const fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// The lowest port.
    #[must_use]
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    #[must_use]
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Whether `port` is in the range.
    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// Whether some port is in both.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl From<u16> for PortRange {
    fn from(port: u16) -> Self {
        Self::one(port)
    }
}

impl TryFrom<(u16, u16)> for PortRange {
    type Error = &'static str;

    fn try_from((first, last): (u16, u16)) -> Result<Self, Self::Error> {
        Self::new(first, last).ok_or("the first port is above the last")
    }
}

/// A number, or a range as a string: `"8000-8999"`.
impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json::write_range(self.first, self.last, serializer)
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let what = "a port, 0 to 65535, or a range: \"8000-8999\"";
        json::read_range(deserializer, what)?.try_into().map_err(D::Error::custom)
    }
}

/// `80` or `8000-8999`, as the language and nft write it.
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// A set of ports as sorted ranges that neither overlap nor touch, so that equal sets are equal
/// values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortSet(Vec<PortRange>);

impl PortSet {
    /// The ranges, lowest first.
    #[must_use]
    pub fn ranges(&self) -> &[PortRange] {
        &self.0
    }

    /// Whether no port is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `port` is in the set.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        let at = self.0.partition_point(|range| range.last < port);
        self.0.get(at).is_some_and(|range| range.contains(port))
    }

    /// Every port that is not in the set, 0 included.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut next = Some(0);
        for range in &self.0 {
            if let Some(first) = next
                && first < range.first
            {
                gaps.push(PortRange { first, last: range.first - 1 });
            }
            next = range.last.checked_add(1);
        }
        gaps.extend(next.map(|first| PortRange { first, last: u16::MAX }));
        Self(gaps)
    }

    /// The ports of `self` that are not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.complement()
            .0
            .into_iter()
            .chain(other.0.iter().copied())
            .collect::<Self>()
            .complement()
    }
}

impl FromIterator<PortRange> for PortSet {
    fn from_iter<I: IntoIterator<Item = PortRange>>(ranges: I) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().collect();
        ranges.sort_unstable();
        ranges.dedup_by(|range, last| {
            let is_next = u32::from(range.first) <= u32::from(last.last) + 1;
            if is_next {
                last.last = last.last.max(range.last);
            }
            is_next
        });
        Self(ranges)
    }
}

impl From<u16> for PortSet {
    fn from(port: u16) -> Self {
        Self(vec![PortRange::one(port)])
    }
}

#[cfg(test)]
mod tests {
    use super::{PortRange, PortSet};

    fn set(ranges: &[(u16, u16)]) -> PortSet {
        ranges.iter().map(|&(first, last)| PortRange::new(first, last).unwrap()).collect()
    }

    #[test]
    fn overlapping_and_touching_ranges_become_one() {
        assert_eq!(
            set(&[(10, 20), (15, 30), (31, 40), (65535, 65535), (50, 65534)]),
            set(&[(10, 40), (50, 65535)])
        );
    }

    #[test]
    fn the_complement_covers_the_ends() {
        assert_eq!(set(&[]).complement(), set(&[(0, 65535)]));
        assert_eq!(set(&[(0, 65535)]).complement(), set(&[]));
        assert_eq!(set(&[(0, 9), (20, 29)]).complement(), set(&[(10, 19), (30, 65535)]));
    }

    #[test]
    fn minus_splits_a_range() {
        assert_eq!(set(&[(1, 100)]).minus(&set(&[(50, 50)])), set(&[(1, 49), (51, 100)]));
        assert_eq!(set(&[(80, 80)]).minus(&set(&[(1, 65535)])), set(&[]));
    }
}
