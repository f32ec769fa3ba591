//! Rulesets that others wrote, back to the IR, exactly or as an error.

pub mod iptables;
pub mod nft;

use std::collections::{BTreeMap, BTreeSet};

use crate::net::Name;

/// Whether one of `patterns` is `name`, where a `*` at the end stands for any rest.
fn is_among(patterns: &BTreeSet<String>, name: &str) -> bool {
    patterns.iter().any(|pattern| {
        pattern.strip_suffix('*').map_or(pattern == name, |stem| name.starts_with(stem))
    })
}

/// A chain from which jumps never end. Chains whose jumps all end are taken away until none is
/// left, or only such.
fn circle(mut edges: BTreeMap<Name, BTreeSet<Name>>) -> Option<Name> {
    loop {
        let ends: Vec<Name> =
            edges.iter().filter(|(_, to)| to.is_empty()).map(|(name, _)| name.clone()).collect();
        if ends.is_empty() {
            return edges.into_keys().next();
        }
        for name in ends {
            edges.remove(&name);
            for targets in edges.values_mut() {
                targets.remove(&name);
            }
        }
    }
}
