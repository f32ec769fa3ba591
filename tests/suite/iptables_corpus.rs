//! Upstream's own rules, configuration by configuration, if `WEIR_CORPUS` names a file of them:
//! one JSON object a line, with the texts under `iptables` and `ip6tables`.

use std::collections::BTreeMap;

use netweir::backend::{iptables, nft};
use netweir::ir::Ruleset;
use netweir::net::{Family, Name};
use netweir::reader;
use netweir::semantics::compare;
use netweir::span::Sources;

/// Every entry's name and rules; none, with a note, if no file is named.
#[expect(clippy::unwrap_used, reason = "a file that is not of this form fails the test")]
fn corpus() -> Vec<(String, Ruleset)> {
    let Ok(path) = std::env::var("WEIR_CORPUS") else {
        println!("skipped: WEIR_CORPUS is not set");
        return Vec::new();
    };
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| entry[key].as_str().filter(|text| !text.trim().is_empty());
            let name = entry["name"].as_str().unwrap();
            let rules = reader::iptables::read(text("iptables"), text("ip6tables"), &options());
            (name.to_owned(), rules.unwrap_or_else(|errors| panic!("{name}: {errors:?}")))
        })
        .collect()
}

fn options() -> reader::iptables::Options {
    let groups = BTreeMap::from([("java".to_owned(), 3001), ("ftp".to_owned(), 3002)]);
    reader::iptables::Options { groups, ..reader::iptables::Options::default() }
}

#[test]
fn every_text_is_written_back_as_the_same_value() {
    for (name, rules) in corpus() {
        let [v4, v6] = Family::ALL.map(|family| {
            iptables::emit(&rules, family).unwrap_or_else(|problems| panic!("{name}: {problems:?}"))
        });
        let read = reader::iptables::read(Some(&v4), Some(&v6), &options())
            .unwrap_or_else(|errors| panic!("{name}: {errors:?}\n{v4}{v6}"));
        assert_eq!(rules, read, "{name}\n{v4}{v6}");
    }
}

#[test]
fn every_text_is_equal_to_itself_in_nft() {
    let policy = Name::new("corpus").unwrap();
    let sources = Sources::default();
    let context = nft::Context { policy: &policy, owned: &[], sources: &sources };
    for (name, rules) in corpus() {
        let legal = nft::legal(&rules, nft::Target::OLDEST).unwrap();
        let text = nft::json(&legal, &context, &nft::Options::default());
        let read = reader::nft::json(&text, &reader::nft::Options::default())
            .unwrap_or_else(|errors| panic!("{name}: {errors:?}\n{text}"));
        let differences = compare(&rules, &read).unwrap();
        let first = differences.first().map(|difference| difference.packet.to_string());
        assert_eq!(first, None, "{name}\n{text}");
    }
}
