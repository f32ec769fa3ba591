//! A corpus of upstream's configurations, if `WEIR_CORPUS` names one.
//!
//! It has one JSON object a line: the `config` of a `kind`, and the texts for IPv4 and IPv6 under
//! `iptables` and `ip6tables`. An empty text means that the family is left alone.

use netweir::import::istio::{self, Context};
use netweir::ir::Ruleset;
use netweir::policy::{GroupIds, Policy};
use netweir::reader;

/// A configuration: the policy that it becomes, and upstream's rules.
pub(crate) struct Entry {
    /// The policy.
    pub(crate) policy: Policy,
    /// The rules.
    pub(crate) rules: Ruleset,
}

/// Every entry; none, with a printed note, if no corpus is named.
pub(crate) fn corpus() -> Vec<Entry> {
    entries(|text| text)
}

/// So many entries, or a few more, from all over the corpus.
pub(crate) fn sample(count: usize) -> Vec<Entry> {
    entries(|text| {
        let step = (text.lines().count() / count).max(1);
        text.split_inclusive('\n').step_by(step).collect()
    })
}

fn entries(choose: impl Fn(String) -> String) -> Vec<Entry> {
    let Some(path) = std::env::var_os("WEIR_CORPUS") else {
        println!("skipped: WEIR_CORPUS is not set");
        return Vec::new();
    };
    let text = choose(std::fs::read_to_string(path).unwrap());
    let context = Context { groups: groups(), ..Context::default() };
    let imported = istio::configurations(&text, &context).unwrap();
    let options = reader::iptables::Options { groups: groups(), ..Default::default() };
    let rules = text.lines().map(|line| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| entry[key].as_str().filter(|text| !text.trim().is_empty());
        reader::iptables::read(text("iptables"), text("ip6tables"), &options)
            .unwrap_or_else(|errors| panic!("{}: {errors:?}", entry["name"]))
    });
    let rules: Vec<_> = rules.collect();
    assert_eq!(imported.policies.len(), rules.len());
    imported
        .policies
        .into_iter()
        .zip(rules)
        .map(|(policy, rules)| Entry { policy, rules })
        .collect()
}

/// The groups that upstream's own cases name.
pub(crate) fn groups() -> GroupIds {
    GroupIds::from([("java".to_owned(), 3001), ("ftp".to_owned(), 3002)])
}
