//! Rulesets that others wrote, back to the IR, exactly or as an error.

pub mod iptables;
pub mod nft_json;

use std::collections::BTreeSet;

/// Whether one of `patterns` is `name`, where a `*` at the end stands for any rest.
fn is_among(patterns: &BTreeSet<String>, name: &str) -> bool {
    patterns.iter().any(|pattern| {
        pattern.strip_suffix('*').map_or(pattern == name, |stem| name.starts_with(stem))
    })
}
