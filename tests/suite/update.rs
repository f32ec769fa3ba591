//! Updates: what turns a version that is loaded into another, on the kernel and on the model.

use std::collections::BTreeMap;

use netweir::policy::Policy;
use netweir::syntax::NoIncludes;
use netweir::update::{Old, update};
use netweir::{Compilation, Layout, Options, View, compile};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use crate::common::netns::{self, Netns};
use crate::common::pairs::pairs;

/// What somebody else has loaded.
const OTHERS: &str = "table ip istio-other { chain c { tcp dport 1 counter drop\n }\n }\n";
/// What others put into the sets of a node.
const FILLED: &str =
    "add element inet istio-ambient-nat istio-inpod-probes-v4 { 192.0.2.7, 192.0.2.8 }\n";
/// What the first line of a text says that replaces.
const REPLACES: &str = "# Replaces the version that is loaded";

fn compiled(text: &str, layout: Layout) -> Compilation {
    let options = Options { layout, ..Options::default() };
    compile("p.weir", text, &NoIncludes, &options)
        .unwrap_or_else(|failure| panic!("{text}: {:?}", failure.diagnostics))
}

/// What is listed: each table, chain and set by its name, a chain with its rules in their order, without
/// handles and counts. Neither chains nor sets have an order among each other.
fn listed(netns: &Netns) -> BTreeMap<String, Vec<Value>> {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for object in netns.ruleset()["nftables"].as_array().unwrap() {
        let (kind, body) = object.as_object().unwrap().iter().next().unwrap();
        let of = |key: &str| body[key].as_str().unwrap_or_default();
        let key = match kind.as_str() {
            "table" => format!("table {} {}", of("family"), of("name")),
            "rule" => format!("chain {} {} {}", of("family"), of("table"), of("chain")),
            kind => format!("{kind} {} {} {}", of("family"), of("table"), of("name")),
        };
        all.entry(key).or_default().push(object.clone());
    }
    all
}

/// The rules of each chain as nft lists them, without handles and counts, each with what it has counted.
fn counted(netns: &Netns) -> BTreeMap<String, Vec<(String, u64)>> {
    let list = netns.output("nft", &["list", "ruleset"]);
    let (mut table, mut chain, mut all) = (String::new(), String::new(), BTreeMap::new());
    for line in list.lines() {
        let trimmed = line.trim();
        if line.starts_with("table ") {
            trimmed.clone_into(&mut table);
        } else if trimmed.starts_with("chain ") {
            chain = format!("{table} {trimmed}");
            all.insert(chain.clone(), Vec::new());
        } else if let Some((before, rest)) = trimmed.split_once("counter packets ") {
            let mut words = rest.splitn(4, ' ');
            let packets = words.next().unwrap().parse().unwrap();
            let rest = words.nth(2).unwrap_or_default();
            all.get_mut(&chain).unwrap().push((format!("{before}{rest}"), packets));
        }
    }
    all
}

/// Most rules of `one` that `other` has in the same order.
fn common(one: &[(String, u64)], other: &[(String, u64)]) -> usize {
    let mut row = vec![0; other.len() + 1];
    for (rule, _) in one {
        let mut before = 0;
        for (at, (known, _)) in other.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if rule == known { before + 1 } else { above.max(row[at]) };
            before = above;
        }
    }
    row[other.len()]
}

/// A way to say what is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Text,
    Json,
    Policy,
}

/// How often what came of a pair.
#[derive(Debug, Default)]
struct Tally {
    updated: usize,
    replaced: usize,
    refused: usize,
    /// Rules that kept their counters.
    kept: usize,
    /// Updates beside sets that others had filled.
    filled: usize,
}

/// Loads the older of two versions, updates it to the newer, and compares with the newer alone.
fn check([netns, alone]: [&Netns; 2], pair: &[Policy; 2], layout: Layout, tally: &mut Tally) {
    let compilation = compiled("sidecar x {}", layout);
    let [old, new] = pair.each_ref().map(|policy| compilation.emit(policy, View::Nft).unwrap());
    let is_node = pair[0].kind.keyword() == "ambient-host";
    // Where there is such a set.
    let fill = |netns: &Netns| is_node && netns.try_load(FILLED).ok;
    alone.flush();
    alone.load(OTHERS);
    alone.load(&new);
    fill(alone);
    let (wanted, rules) = (listed(alone), counted(alone));
    for from in [From::Text, From::Json, From::Policy] {
        netns.flush();
        netns.load(OTHERS);
        netns.load(&old.replace(" counter ", " counter packets 7 bytes 7 "));
        let is_filled = fill(netns);
        let before = counted(netns);
        let text;
        let loaded = [&pair[0]];
        let from_old = match from {
            From::Text => {
                text = netns.output("nft", &["-a", "list", "ruleset"]);
                Old::Listing(&text)
            }
            From::Json => {
                text = netns.output("nft", &["-j", "list", "ruleset"]);
                Old::Listing(&text)
            }
            From::Policy => Old::Policies(&compilation, &loaded),
        };
        let made = match update(from_old, &compilation, &[&pair[1]]) {
            Ok(made) => made,
            Err(found) => {
                assert_eq!(found[0].problem.code(), "E405", "{found:?}");
                assert!(is_node, "{found:?}");
                tally.refused += 1;
                continue;
            }
        };
        assert!(made.len() <= new.len() + 200, "longer than what replaces: {made}");
        netns.load(&made);
        assert_eq!(listed(netns), wanted, "{from:?}\n{old}\n{made}");
        if made.starts_with(REPLACES) {
            tally.replaced += 1;
            continue;
        }
        tally.updated += 1;
        tally.filled += usize::from(is_filled);
        for (chain, after) in counted(netns) {
            let Some(before) = before.get(&chain).filter(|it| it.iter().all(|(_, it)| *it == 7))
            else {
                continue;
            };
            let kept = after.iter().filter(|(_, packets)| *packets == 7).count();
            let most = common(before, &rules[&chain]);
            let is_whole = most == before.len() && most == after.len();
            // What names a set that is made anew goes, too.
            let is_plain = before.iter().all(|(rule, _)| !rule.contains('@'));
            if is_plain && (from != From::Policy || is_whole) {
                assert_eq!(kept, most, "{from:?} {chain}\n{old}\n{made}");
            }
            tally.kept += kept;
        }
        if from == From::Policy {
            netns.load(&made);
            assert_eq!(listed(netns), wanted, "twice\n{old}\n{made}");
        }
    }
}

#[test]
fn random_pairs_come_to_what_the_newer_one_alone_is() {
    if !netns::available() {
        return;
    }
    let namespaces = [Netns::new(), Netns::new()];
    let mut tally = Tally::default();
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let layouts = prop_oneof![2 => Just(Layout::Compact), 1 => Just(Layout::Upstream)];
    let strategy = (pairs(), layouts);
    for _ in 0..110 {
        let (pair, layout) = strategy.new_tree(&mut runner).unwrap().current();
        check(namespaces.each_ref(), &pair, layout, &mut tally);
    }
    println!("{tally:?}");
    assert!(tally.updated >= 110 && tally.replaced >= 10 && tally.kept >= 500, "{tally:?}");
}
