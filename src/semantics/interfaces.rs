//! Names that stand for all interfaces that rulesets tell apart.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::net::Interface;

/// Classes of interfaces, each with a name that stands for it. No interface that the kernel can
/// have is in none of them, and rulesets treat all of a class alike.
pub(super) struct Interfaces {
    /// The first is the empty name, of no interface; the second, one that no ruleset means. The
    /// others are sorted.
    names: Vec<String>,
    exact: HashMap<String, usize>,
}

/// How many of the first names are not sorted.
const SPECIAL: usize = 2;

impl Interfaces {
    /// The classes that `mentioned` tells apart.
    pub(super) fn told_apart_by(mentioned: &BTreeSet<&Interface>) -> Self {
        let of_kind = |wildcard| {
            let kind = mentioned.iter().filter(move |name| name.is_wildcard() == wildcard);
            kind.map(|name| name.stem()).collect::<HashSet<_>>()
        };
        let (wildcards, exact) = (of_kind(true), of_kind(false));
        // The name is meant by no mentioned one, but for wildcards of at most `most` bytes.
        let is_alone = |name: &str, most: usize| {
            let longer = (most + 1)..=name.len();
            !exact.contains(name) && longer.into_iter().all(|len| !wildcards.contains(&name[..len]))
        };
        let usual = ["eth0", "ens0"].map(str::to_owned).into_iter().chain(endings(""));
        let other = usual.into_iter().find(|name| is_alone(name, 0));
        let mut names: Vec<String> = mentioned
            .iter()
            .filter_map(|interface| {
                let stem = interface.stem();
                if !interface.is_wildcard() {
                    return Some(stem.to_owned());
                }
                endings(stem).find(|name| is_alone(name, stem.len()))
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut all = vec![String::new()];
        // There is one: no ruleset names interfaces with the last of the endings.
        all.push(other.unwrap_or_else(|| LAST.to_owned()));
        all.extend(names);
        let exact = all.iter().cloned().zip(0..).collect();
        Self { names: all, exact }
    }

    /// How many there are, with the empty name.
    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    /// All names.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The places of the classes that are among `names`: inclusive ranges, sorted, apart.
    pub(super) fn meant(&self, names: &[Interface]) -> Vec<(u128, u128)> {
        let mut ranges = Vec::new();
        for name in names {
            if let (false, Some(place)) = (name.is_wildcard(), self.exact.get(name.stem())) {
                ranges.push((*place as u128, *place as u128));
            }
            if name.is_wildcard() {
                let sorted = &self.names[SPECIAL..];
                let stem = name.stem();
                let first = sorted.partition_point(|class| class.as_str() < stem);
                let count = sorted[first..].partition_point(|class| class.starts_with(stem));
                if count > 0 {
                    let first = (SPECIAL + first) as u128;
                    ranges.push((first, first + count as u128 - 1));
                }
            }
        }
        ranges.sort_unstable();
        let mut apart: Vec<(u128, u128)> = Vec::new();
        for (first, last) in ranges {
            match apart.last_mut() {
                Some((_, end)) if first <= *end + 1 => *end = last.max(*end),
                _ => apart.push((first, last)),
            }
        }
        apart
    }
}

/// A name that no [`Interface`] is and no wildcard means, though the kernel takes it
/// (`dev_valid_name`, Linux 6.18).
const LAST: &str = "~";

/// Names that begin with `stem`, as far as the kernel's 15 bytes hold them. The last of the short
/// ones is meant by no [`Interface`] that does not mean all of them.
fn endings(stem: &str) -> impl Iterator<Item = String> {
    let letters = || ('0'..='9').chain('a'..='z').chain('A'..='Z');
    let one = letters().map(String::from);
    let two = letters().flat_map(move |a| letters().map(move |b| format!("{a}{b}")));
    let rare = ["_", "_0", LAST].map(str::to_owned);
    one.chain(two)
        .chain(rare)
        .map(move |ending| format!("{stem}{ending}"))
        .filter(|name| name.len() <= Interface::MAX_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(mentioned: &[&str]) -> Vec<String> {
        let mentioned: Vec<_> =
            mentioned.iter().map(|name| Interface::new(name).unwrap()).collect();
        let all = Interfaces::told_apart_by(&mentioned.iter().collect());
        for name in &mentioned {
            let meant: Vec<_> = all.meant(std::slice::from_ref(name));
            for (place, class) in (0..).zip(all.names()) {
                let within = meant.iter().any(|(first, last)| (*first..=*last).contains(&place));
                assert_eq!(within, name.matches(class), "{name} {class}");
            }
        }
        all.names().to_vec()
    }

    #[test]
    fn every_class_has_a_name() {
        assert_eq!(classes(&["lo"]), ["", "eth0", "lo"]);
        assert_eq!(classes(&["eth*", "eth0", "e*"]), ["", "0", "e0", "eth0", "eth1"]);
        // A wildcard of fourteen bytes means a name of fourteen, too.
        let long = "abcdefghijklmn";
        assert_eq!(classes(&[&format!("{long}*")]), ["", "eth0", &format!("{long}0")]);
    }

    #[test]
    fn an_interface_that_begins_as_no_wildcard_is_one_too() {
        let letters = ('0'..='9').chain('a'..='z').chain('A'..='Z');
        let mut wildcards: Vec<_> = letters.map(|letter| format!("{letter}*")).collect();
        let all: Vec<&str> = wildcards.iter().map(String::as_str).collect();
        assert_eq!(classes(&all)[1], "_");
        wildcards.extend(["_*", ".*"].map(str::to_owned));
        let all: Vec<&str> = wildcards.iter().map(String::as_str).collect();
        assert_eq!(classes(&all)[1], "~");
    }
}
