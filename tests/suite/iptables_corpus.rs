//! Istio's own rules, configuration by configuration, as the corpus has them.

use netweir::backend::{iptables, nft};
use netweir::ir::{Clauses, Ruleset};
use netweir::net::{Family, Name};
use netweir::reader;
use netweir::semantics::compare;

use crate::common::corpus::{self, Texts};

/// Every entry's name and rules.
fn corpus() -> Vec<(String, Ruleset)> {
    let entries = corpus::of("istio").into_iter();
    entries.filter_map(|entry| Some((entry.name, entry.upstream.ok()?.read().unwrap()))).collect()
}

#[test]
fn every_text_is_written_back_as_the_same_value() {
    for (name, rules) in corpus() {
        let text = |family| iptables::emit(&rules, family).unwrap();
        let texts = Texts { ipv4: Some(text(Family::Ipv4)), ipv6: Some(text(Family::Ipv6)) };
        let read = texts.read().unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        assert_eq!(rules, read, "{name}");
    }
}

#[test]
fn every_text_is_equal_to_itself_in_nft() {
    let policy = Name::new("corpus").unwrap();
    let clauses = Clauses::default();
    let context = nft::Context { policy: &policy, owned: &[], clauses: &clauses };
    for (name, rules) in corpus() {
        let legal = nft::legal(&rules, nft::Target::OLDEST).unwrap();
        let text = nft::json(&legal, &context, &nft::Options::default());
        let read = reader::nft::json(&text, &reader::nft::Options::default())
            .unwrap_or_else(|errors| panic!("{name}: {errors:?}\n{text}"));
        let differences = compare(&rules, &read.ruleset).unwrap();
        let first = differences.first().map(|difference| difference.packet.to_string());
        assert_eq!(first, None, "{name}\n{text}");
    }
}
