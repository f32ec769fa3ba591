//! Rulesets that are written as JSON and read back: as they are written, and as the kernel lists
//! them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::netns::{self, Netns};
use common::policies::policies;
use common::rulesets;
use netweir::backend::nft::{self, Context};
use netweir::ir::{Action, Direction, Match, Ruleset};
use netweir::lower::{Layout, lower};
use netweir::net::Families;
use netweir::reader::nft_json::{Options, read};
use netweir::semantics::compare;

fn json(ruleset: &Ruleset, options: &nft::Options) -> String {
    let (sources, _) = rulesets::source();
    let policy = rulesets::name("reviews");
    let owned = rulesets::sidecar_tables();
    nft::json(ruleset, &Context { policy: &policy, owned: &owned, sources: &sources }, options)
}

/// Rulesets made by hand, and those of policies.
fn samples() -> Vec<Ruleset> {
    let mut samples = vec![
        Ruleset::default(),
        rulesets::sidecar(),
        rulesets::everything(Families::Both),
        rulesets::everything(Families::Ipv4),
        rulesets::everything(Families::Ipv6),
        rulesets::ambient_host(Families::Both),
        rulesets::sidecar_without(200),
    ];
    for layout in [Layout::Compact, Layout::Upstream] {
        samples.extend(policies().iter().map(|policy| lower(policy, layout)));
    }
    samples
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
            let place = rule.when.iter().take_while(|when| matches!(when, Match::Address { .. }));
            let place = place.count();
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

#[test]
fn what_is_written_is_read_as_it_was() {
    let plain = nft::Options { counters: false, comments: false, ..nft::Options::default() };
    for ruleset in samples() {
        for options in [nft::Options::default(), plain] {
            let text = json(&ruleset, &options);
            let back = read(&text, &Options::default()).unwrap();
            let written = written(&ruleset);
            for (back, written) in back.tables.iter().zip(&written.tables) {
                for (back, written) in back.chains.iter().zip(&written.chains) {
                    for (back, written) in back.rules.iter().zip(&written.rules) {
                        assert_eq!(back, written);
                    }
                }
            }
            assert_eq!(back, written);
            assert_equal(&back, &written, &text);
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
        let text = json(&ruleset, &nft::Options::default());
        netns.load(&text);
        let list = netns.output("nft", &["-j", "list", "ruleset"]);
        let back = read(&list, &Options::default()).unwrap();
        assert_equal(&back, &written(&ruleset), &list);
        // A copy keeps every kind of rule, and loads.
        let again = json(&back, &nft::Options::default());
        netns.flush();
        netns.load(&again);
        netns.flush();
    }
}
