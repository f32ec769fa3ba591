//! Rules of whole hosts in the kernel, alone and with every kind of policy: they load, and what is listed means
//! what was loaded.

use std::collections::BTreeSet;

use netweir::explain::Context;
use netweir::ir::Ruleset;
use netweir::optimise::Layout;
use netweir::reader::{iptables, nft};
use netweir::verify::{Answer, compared};
use netweir::{Options, View};

use crate::common::hosts::{self, Host};
use crate::common::netns::{self, Netns};
use crate::common::shipped::{compile_file, root};

/// One policy of each kind, and of each way of capturing.
const POLICIES: &[&str] = &[
    "istio/default.weir",
    "istio/tproxy.weir",
    "istio/dns.weir",
    "ambient/pod.weir",
    "ambient/host.weir",
    "linkerd/linkerd.weir",
    "kuma/kuma-dns.weir",
    "consul/consul-dns.weir",
    "osm/osm.weir",
    "appmesh/appmesh-dual-stack.weir",
];

const VARIANTS: [&str; 2] = ["legacy", "nft"];

const IPTABLES: Context<'static> = Context { policy: None, sources: None, is_iptables: true };

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
    let options = Options { verify: false, ..Options::default() };
    let policies: Vec<_> = POLICIES
        .iter()
        .map(|path| (*path, compile_file(&root().join("rulesets").join(path), &options)))
        .collect();
    for host in hosts::iptables() {
        let text = read(&host.iptables);
        for variant in VARIANTS {
            let netns = Netns::new();
            restore(&netns, variant, &host);
            for (path, compilation) in &policies {
                let policy = &compilation.policies[0];
                let lowered = Layout::default().of(policy);
                netns.load(&compilation.emit(policy, View::Nft).unwrap());
                let sets = lowered.ruleset.tables.iter().flat_map(|table| &table.sets);
                let reading = nft::Options {
                    filled: sets.map(|set| set.name.to_string()).collect(),
                    of_iptables: nft::OfIptables::PassOver,
                    ..nft::Options::default()
                };
                let list = |flags: &[&str]| {
                    netns.output("nft", &[flags, &["list", "ruleset"][..]].concat())
                };
                let what = format!("{path} beside {} {variant}", host.name);
                for ours in [nft::script(&list(&[]), &reading), nft::json(&list(&["-j"]), &reading)]
                {
                    let ours = ours.unwrap_or_else(|errors| panic!("{what}: {errors:?}"));
                    assert_eq!(
                        same(&what, &lowered.ruleset, &ours.ruleset),
                        Answer::Equal,
                        "{what}"
                    );
                }
                for table in &lowered.owned {
                    let delete = format!("table inet {table}\ndelete table inet {table}\n");
                    assert!(netns.run("nft", &["-f", "-"], &delete).ok, "{what}");
                    for family in ["ip", "ip6"] {
                        let delete =
                            format!("table {family} {table}\ndelete table {family} {table}\n");
                        assert!(netns.run("nft", &["-f", "-"], &delete).ok, "{what}");
                    }
                }
            }
            // What came and went left the host's rules as they were.
            same(&host.name, &text, &read(&saved(&netns, variant, &[])));
        }
    }
}
