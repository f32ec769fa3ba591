//! Rulesets that others wrote, back to the IR, exactly or as an error.

pub mod iptables;
pub mod nft;

use std::collections::{BTreeMap, BTreeSet};

/// Whether one of `patterns` is `name`, where a `*` at the end stands for any rest.
fn is_among(patterns: &BTreeSet<String>, name: &str) -> bool {
    patterns.iter().any(|pattern| {
        pattern.strip_suffix('*').map_or(pattern == name, |stem| name.starts_with(stem))
    })
}

/// A chain from which jumps never end. Chains whose jumps all end are taken away until none is
/// left, or only such.
fn circle<N: Ord + Clone>(edges: BTreeMap<N, BTreeSet<N>>) -> Option<N> {
    let mut from: BTreeMap<N, Vec<N>> = BTreeMap::new();
    // How many targets of each chain are left.
    let mut left: BTreeMap<N, usize> = BTreeMap::new();
    for (name, targets) in edges {
        left.insert(name.clone(), targets.len());
        for target in targets {
            from.entry(target).or_default().push(name.clone());
        }
    }
    let mut ends: Vec<N> =
        left.iter().filter(|(_, targets)| **targets == 0).map(|(name, _)| name.clone()).collect();
    while let Some(end) = ends.pop() {
        left.remove(&end);
        for name in from.remove(&end).into_iter().flatten() {
            if let Some(targets) = left.get_mut(&name) {
                *targets -= 1;
                if *targets == 0 {
                    ends.push(name);
                }
            }
        }
    }
    left.into_keys().next()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::circle;
    use crate::net::Name;

    fn edges(pairs: &[(&str, &[&str])]) -> BTreeMap<Name, BTreeSet<Name>> {
        let name = |text: &&str| Name::new(text).unwrap();
        pairs.iter().map(|(from, to)| (name(from), to.iter().map(name).collect())).collect()
    }

    #[test]
    fn a_circle_is_told_from_ways_that_end() {
        let ends: &[(&str, &[&str])] = &[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])];
        assert_eq!(circle(edges(ends)), None);
        assert_eq!(circle(edges(&[("a", &["b"]), ("b", &["b"])])), Name::new("a").ok());
        let beside: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a", "c"]), ("c", &["b"])];
        assert_eq!(circle(edges(beside)), Name::new("b").ok());
    }

    #[test]
    fn chains_in_a_long_row_are_no_circle() {
        let name = |index: u32| Name::new(&format!("c{index}")).unwrap();
        let mut row: BTreeMap<_, _> =
            (0..200_000).map(|index| (name(index), BTreeSet::from([name(index + 1)]))).collect();
        row.insert(name(200_000), BTreeSet::new());
        assert_eq!(circle(row), None);
    }
}
