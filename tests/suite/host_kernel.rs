//! Rules of whole hosts in the kernel, alone and with every kind of policy: they load, and what is listed means
//! what was loaded.

use std::collections::BTreeSet;

use netweir::explain::Context;
use netweir::ir::Ruleset;
use netweir::reader::iptables;
use netweir::verify::{Answer, compared};

use crate::common::beside;
use crate::common::hosts::{self, Host};
use crate::common::netns::{self, Netns};

const VARIANTS: [&str; 2] = ["legacy", "nft"];

const IPTABLES: Context<'static> =
    Context { policy: None, sources: None, is_iptables: true, iptables: &[], files: &[] };

/// What texts of both families say; one that is empty says that there are no rules.
fn read(texts: &[String; 2]) -> Ruleset {
    let [v4, v6] = texts;
    let found = iptables::read(Some(v4), Some(v6), &iptables::Options::default());
    found.unwrap_or_else(|errors| panic!("{errors:?}\n{v4}\n{v6}")).ruleset
}

fn restore(netns: &Netns, variant: &str, host: &Host) {
    for (program, text) in ["iptables", "ip6tables"].iter().zip(&host.iptables) {
        let done = netns.run(&format!("{program}-{variant}-restore"), &[], text);
        assert!(done.ok, "{} {program}-{variant}: {}", host.name, done.err);
    }
}

fn saved(netns: &Netns, variant: &str, flags: &[&str]) -> [String; 2] {
    ["iptables", "ip6tables"]
        .map(|program| netns.output(&format!("{program}-{variant}-save"), flags))
}

/// Asserts that the two mean the same, as far as that is known.
fn same(what: &str, one: &Ruleset, other: &Ruleset) -> Answer {
    let verdict = compared((one, &IPTABLES), (other, &IPTABLES)).unwrap();
    assert!(verdict.answer != Answer::Different, "{what}: {:#?}", verdict.ways.ways.first());
    verdict.answer
}

fn is_available() -> bool {
    netns::available() && netns::are_installed(&["iptables-legacy-save", "iptables-nft-save"])
}

#[test]
fn what_is_saved_means_what_was_loaded() {
    if !is_available() {
        return;
    }
    let mut answers = BTreeSet::new();
    for host in hosts::iptables() {
        let text = read(&host.iptables);
        for variant in VARIANTS {
            let netns = Netns::new();
            restore(&netns, variant, &host);
            for flags in [&[][..], &["-c"]] {
                let what = format!("{} {variant} {flags:?}", host.name);
                answers.insert(same(&what, &text, &read(&saved(&netns, variant, flags))));
            }
        }
    }
    // Some of the hosts have what is known, others what is not.
    assert!(answers.contains(&Answer::Equal), "{answers:?}");
}

#[test]
fn every_kind_of_policy_loads_beside_every_host() {
    if !is_available() {
        return;
    }
    let policies = beside::policies();
    for host in hosts::iptables() {
        let text = read(&host.iptables);
        for variant in VARIANTS {
            let netns = Netns::new();
            restore(&netns, variant, &host);
            for policy in &policies {
                let what = format!("{} beside {} {variant}", policy.path, host.name);
                policy.load(&netns);
                policy.assert_loaded(&netns, &what);
                policy.unload(&netns);
            }
            // What came and went left the host's rules as they were.
            same(&host.name, &text, &read(&saved(&netns, variant, &[])));
        }
    }
}
