//! Single changes to what weir writes.

use serde_json::{Value, json};

/// Rulesets with one change each: a rule dropped, two rules swapped, a port, a mask, a negation, a
/// hook, a family changed.
pub(crate) fn mutants(text: &str) -> Vec<(String, Value)> {
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
