//! Rulesets that are written as JSON and read back: as they are written, and as the kernel lists
//! them.

use crate::common::netns::{self, Netns};
use crate::common::policies::policies;
use crate::common::rulesets;
use netweir::backend::nft::{self, Context};
use netweir::ir::{Action, Direction, Match, Ruleset};
use netweir::lower::{Layout, lower};
use netweir::net::Families;
use netweir::reader::nft_json::{Options, read};
use netweir::semantics::compare;
use proptest::prelude::*;

fn json(ruleset: &Ruleset, options: &nft::Options) -> String {
    let (sources, _) = rulesets::source();
    let policy = rulesets::name("reviews");
    let owned = rulesets::sidecar_tables();
    nft::json(ruleset, &Context { policy: &policy, owned: &owned, sources: &sources }, options)
}

/// Rulesets made by hand.
fn samples() -> Vec<Ruleset> {
    vec![
        Ruleset::default(),
        rulesets::sidecar(),
        rulesets::everything(Families::Both),
        rulesets::everything(Families::Ipv4),
        rulesets::everything(Families::Ipv6),
        rulesets::ambient_host(Families::Both),
        rulesets::sidecar_without(200),
    ]
}

/// What is written for `ruleset`: a legal one, in which nft's word for a socket says what it does,
/// and what is for TCP and UDP says so.
fn written(ruleset: &Ruleset) -> Ruleset {
    let mut legal = nft::legalise(ruleset);
    let chains = legal.tables.iter_mut().flat_map(|table| &mut table.chains);
    for rule in chains.flat_map(|chain| &mut chain.rules) {
        for when in &mut rule.when {
            if let Match::SocketExists { not } = *when {
                *when = Match::Local { of: Direction::Source, not };
            }
        }
        let says = |when: &Match| matches!(when, Match::Protocol { .. } | Match::Port { .. });
        if matches!(rule.then, Action::Redirect { .. } | Action::Tproxy { .. })
            && !rule.when.iter().any(says)
        {
            let before =
                |when: &Match| matches!(when, Match::Interface { .. } | Match::Address { .. });
            let place = rule.when.iter().take_while(|when| before(when)).count();
            rule.when.insert(place, rulesets::dports(&[(0, 65535)], false));
        }
    }
    legal
}

fn assert_equal(left: &Ruleset, right: &Ruleset, text: &str) {
    if let [first, ..] = compare(left, right).as_slice() {
        panic!("{}: {} or {}\n{text:.20000}", first.packet, first.left, first.right);
    }
}

/// Asserts that what is written for `ruleset` is read as it was.
fn assert_read_back(ruleset: &Ruleset, options: &nft::Options) {
    let text = json(ruleset, options);
    let back =
        read(&text, &Options::default()).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    let written = written(ruleset);
    let rules = |ruleset: &Ruleset| {
        let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
        chains.flat_map(|chain| chain.rules.clone()).collect::<Vec<_>>()
    };
    // Rule by rule first, for the sake of the message.
    for (back, written) in rules(&back).iter().zip(&rules(&written)) {
        assert_eq!(back, written, "{text:.20000}");
    }
    assert_eq!(back, written, "{text:.20000}");
}

/// Asserts that what the kernel lists of `ruleset` treats every packet as the ruleset does.
fn assert_listed(netns: &Netns, ruleset: &Ruleset) {
    netns.load(&json(ruleset, &nft::Options::default()));
    let list = netns.output("nft", &["-j", "list", "ruleset"]);
    let back =
        read(&list, &Options::default()).unwrap_or_else(|errors| panic!("{errors:?}\n{list}"));
    assert_equal(&back, &written(ruleset), &list);
    netns.flush();
    // What was read can be written, and loads.
    netns.load(&json(&back, &nft::Options::default()));
    netns.flush();
}

#[test]
fn what_is_written_is_read_as_it_was() {
    let plain = nft::Options { counters: false, comments: false, ..nft::Options::default() };
    for ruleset in samples() {
        for options in [nft::Options::default(), plain] {
            assert_read_back(&ruleset, &options);
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_for_any_policy_is_read_as_it_was(policy in policies()) {
        for layout in [Layout::Compact, Layout::Upstream] {
            assert_read_back(&lower(&policy, layout), &nft::Options::default());
        }
    }
}

#[test]
fn what_the_kernel_lists_is_what_was_written() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    for ruleset in samples() {
        assert_listed(&netns, &ruleset);
    }
    let config =
        ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(policy in policies())| {
        for layout in [Layout::Compact, Layout::Upstream] {
            assert_listed(&netns, &lower(&policy, layout));
        }
    });
}

/// Upstream's own nft commands, if `WEIR_CORPUS` names a file of them: one JSON object a line,
/// with the commands under `nft`. Some do not load: upstream jumps to chains that it does not
/// make.
#[test]
fn every_text_of_upstream_that_loads_is_read() {
    let Ok(path) = std::env::var("WEIR_CORPUS") else {
        println!("skipped: WEIR_CORPUS is not set");
        return;
    };
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let (mut entries, mut loaded) = (0, 0);
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(text) = entry["nft"].as_str() else { continue };
        entries += 1;
        // Groups that this machine may not have, and sets that upstream's agent makes.
        let text = text.replace("skgid java", "skgid 3001").replace("skgid ftp", "skgid 3002");
        let text = text.replace("!= java", "!= 3001").replace("!= ftp", "!= 3002");
        let sets = text.contains("@istio-inpod-probes").then_some(
            "add table inet istio-ambient-nat
add set inet istio-ambient-nat istio-inpod-probes-v4 { type ipv4_addr; }
add set inet istio-ambient-nat istio-inpod-probes-v6 { type ipv6_addr; }
",
        );
        if !netns.try_load(&format!("{}{text}", sets.unwrap_or_default())).ok {
            println!("{} does not load", entry["name"]);
            continue;
        }
        loaded += 1;
        let list = netns.output("nft", &["-j", "list", "ruleset"]);
        netns.flush();
        let back = read(&list, &Options::default());
        let back = back.unwrap_or_else(|errors| panic!("{}: {errors:?}", entry["name"]));
        assert!(!back.tables.is_empty(), "{}", entry["name"]);
    }
    println!("{loaded} of {entries} load, and are read");
}
