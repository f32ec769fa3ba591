//! Every single change to what weir writes is found by the comparison, or changes nothing.

use std::collections::BTreeSet;

use netweir::ir::{Rule, Ruleset};
use netweir::lower::lower;
use netweir::reader::nft;
use netweir::semantics::{Outcome, Packet, are_alike, compare, compare_beside, run};
use netweir::{Options, View};

use crate::common::mutants::mutants;
use crate::common::shipped::{compile_file, root};

/// Every packet of a small domain: all combinations of values that the rules tell apart.
pub(crate) fn samples() -> Vec<Packet> {
    let mut texts = Vec::new();
    let addresses = [
        ("10.0.0.7", "10.96.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.6", "10.0.0.7"),
        ("10.0.0.7", "169.254.169.254"),
        ("fd00::7", "fd00:96::1"),
        ("::1", "::1"),
        ("::6", "fd00::7"),
    ];
    let ports = [53, 80, 443, 8080, 15001, 15006, 15008, 15020, 15021, 15053, 15090, 3306, 22];
    for (from, to) in addresses {
        let end = |address: &str, port| {
            if address.contains(':') {
                format!("[{address}]:{port}")
            } else {
                format!("{address}:{port}")
            }
        };
        for port in ports {
            for protocol in ["tcp", "udp"] {
                for state in ["new", "established", "invalid"] {
                    for interface in ["lo", "eth0", "eth1", "virt0"] {
                        let ends = format!("from {} to {}", end(from, 40000), end(to, port));
                        for (mark, connmark) in [("0", "0"), ("1337", "0"), ("1338", "1337")] {
                            let tail = format!("state {state} mark {mark} connmark {connmark}");
                            texts.push(format!("inbound {protocol} {ends} in {interface} {tail}"));
                            for user in [1000, 1336, 1337] {
                                texts.push(format!(
                                    "outbound {protocol} {ends} out {interface} user {user} {tail}"
                                ));
                            }
                        }
                    }
                }
            }
        }
    }
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn every_mutant_is_found_or_is_none() {
    let samples = samples();
    let (mut found, mut equal) = (0, 0);
    let mut refused = BTreeSet::new();
    for name in ["default", "dns", "tproxy"] {
        let path = root().join(format!("rulesets/istio/{name}.weir"));
        let options = Options {
            nft: netweir::backend::nft::Options { comments: false, ..Default::default() },
            ..Options::default()
        };
        let compilation = compile_file(&path, &options);
        let policy = &compilation.policies[0];
        let meaning = lower(policy).ruleset;
        let expected: Vec<Outcome> =
            samples.iter().map(|packet| run(&meaning, packet).outcome).collect();
        let text = compilation.emit(policy, View::Json).unwrap();
        for (change, mutant) in mutants(&text) {
            let read = nft::json(&mutant.to_string(), &nft::Options::default());
            let Some(read) = read.ok().filter(|found| !is_opaque(&found.ruleset)) else {
                refused.insert(change);
                continue;
            };
            let read = read.ruleset;
            let differences = compare(&meaning, &read).unwrap();
            for difference in &differences {
                let outcome = |ruleset: &Ruleset| run(ruleset, &difference.packet).outcome;
                assert_eq!(outcome(&meaning), difference.left, "{change}");
                assert_eq!(outcome(&read), difference.right, "{change}");
                assert_ne!(difference.left, difference.right, "{change}: {}", difference.packet);
            }
            // What does the same alone may do something else beside others.
            let beside = compare_beside(&meaning, &read, false).unwrap();
            let is_equal = differences.is_empty() && beside.is_empty();
            assert_eq!(are_alike(&meaning, &read, false), Ok(is_equal), "{change}");
            if !is_equal {
                found += 1;
                continue;
            }
            equal += 1;
            // Every packet of a small domain, which has all that the rules tell apart.
            for (packet, expected) in samples.iter().zip(&expected) {
                assert_eq!(run(&read, packet).outcome, *expected, "{change}: {packet}");
            }
        }
    }
    // Few changes mean nothing: a rule behind one that takes the same packets.
    assert!(
        found > 400 && equal * 4 < found,
        "{found} found, {equal} equal, {} refused",
        refused.len()
    );
}

/// Whether a rule is not one that a policy comes to.
pub(crate) fn is_opaque(ruleset: &Ruleset) -> bool {
    let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
    chains.flat_map(|chain| &chain.rules).any(Rule::is_opaque)
}
