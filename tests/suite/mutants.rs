//! Every single change to what weir writes is found by the comparison, or changes nothing.

use std::collections::BTreeSet;

use netweir::ir::Ruleset;
use netweir::lower::{Layout, lower};
use netweir::reader::nft;
use netweir::semantics::{Outcome, Packet, compare, compare_beside, run};
use netweir::{Options, View};
use serde_json::{Value, json};

use crate::common::shipped::{compile_file, root};

/// Rulesets with one change each: a rule dropped, two rules swapped, a port, a mask, a negation, a
/// hook, a family changed.
fn mutants(text: &str) -> Vec<(String, Value)> {
    let whole: Value = serde_json::from_str(text).unwrap();
    let commands = whole["nftables"].as_array().unwrap();
    let with = |at: usize, command: Value| {
        let mut commands = commands.clone();
        commands[at] = command;
        json!({ "nftables": commands })
    };
    let mut mutants = Vec::new();
    for (at, command) in commands.iter().enumerate() {
        let added = &command["add"];
        if added["rule"].is_object() {
            let mut without = commands.clone();
            without.remove(at);
            mutants.push((format!("drop {command}"), json!({ "nftables": without })));
            if let Some(next) = commands.get(at + 1)
                && next["add"]["rule"]["chain"] == added["rule"]["chain"]
            {
                let mut swapped = commands.clone();
                swapped.swap(at, at + 1);
                mutants
                    .push((format!("swap {command} and {next}"), json!({ "nftables": swapped })));
            }
        } else if !added["chain"]["hook"].is_string() {
            continue;
        }
        for changed in changes(added) {
            mutants.push((format!("{changed}"), with(at, json!({ "add": changed }))));
        }
    }
    mutants
}

/// `value` with one part changed, in every way.
fn changes(value: &Value) -> Vec<Value> {
    match value {
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            // Small enough for a port, a prefix length and a zone.
            (Some(number), _) => vec![json!(number ^ 1)],
            // A priority: another one, and one that is far away.
            (None, Some(number)) => vec![json!(number + 1), json!(-number), json!(0)],
            (None, None) => Vec::new(),
        },
        Value::String(word) => {
            let other = match word.as_str() {
                "==" => "!=",
                "!=" => "==",
                "saddr" => "daddr",
                "daddr" => "saddr",
                "sport" => "dport",
                "dport" => "sport",
                "skuid" => "skgid",
                "skgid" => "skuid",
                "tcp" => "udp",
                "udp" => "tcp",
                "iifname" => "oifname",
                "oifname" => "iifname",
                "prerouting" => "output",
                "output" => "prerouting",
                "filter" => "route",
                "route" => "filter",
                "new" => "established",
                "lo" => "eth1",
                _ => return Vec::new(),
            };
            vec![json!(other)]
        }
        Value::Array(values) => values
            .iter()
            .enumerate()
            .flat_map(|(at, value)| {
                changes(value).into_iter().map(move |value| (at, value)).collect::<Vec<_>>()
            })
            .map(|(at, value)| {
                let mut values = values.clone();
                values[at] = value;
                Value::Array(values)
            })
            .collect(),
        Value::Object(fields) => {
            let mut all = Vec::new();
            for (key, value) in fields {
                // Names are no numbers, and a comment says nothing.
                if matches!(key.as_str(), "table" | "name" | "comment" | "target") {
                    continue;
                }
                for value in changes(value) {
                    let mut fields = fields.clone();
                    fields.insert(key.clone(), value);
                    all.push(Value::Object(fields));
                }
            }
            if let Some(family @ ("inet" | "ip")) = fields.get("family").and_then(Value::as_str)
                && fields.contains_key("expr")
            {
                all.extend(of_one_family(fields, family));
            }
            all
        }
        Value::Null | Value::Bool(_) => Vec::new(),
    }
}

/// A rule for IPv4 only.
fn of_one_family(rule: &serde_json::Map<String, Value>, family: &str) -> Option<Value> {
    if family != "inet" {
        return None;
    }
    let guard =
        json!({"match": {"op": "==", "left": {"meta": {"key": "nfproto"}}, "right": "ipv4"}});
    let mut rule = rule.clone();
    rule.get_mut("expr")?.as_array_mut()?.insert(0, guard);
    Some(Value::Object(rule))
}

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
        let meaning = lower(policy, Layout::Upstream).ruleset;
        let expected: Vec<Outcome> =
            samples.iter().map(|packet| run(&meaning, packet).outcome).collect();
        let text = compilation.emit(policy, View::Json).unwrap();
        for (change, mutant) in mutants(&text) {
            let Ok(read) = nft::json(&mutant.to_string(), &nft::Options::default()) else {
                refused.insert(change);
                continue;
            };
            let differences = compare(&meaning, &read).unwrap();
            for difference in &differences {
                let outcome = |ruleset: &Ruleset| run(ruleset, &difference.packet).outcome;
                assert_eq!(outcome(&meaning), difference.left, "{change}");
                assert_eq!(outcome(&read), difference.right, "{change}");
                assert_ne!(difference.left, difference.right, "{change}: {}", difference.packet);
            }
            // What does the same alone may do something else beside others.
            let beside = compare_beside(&meaning, &read, false).unwrap();
            if !(differences.is_empty() && beside.is_empty()) {
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
