//! What libnftables JSON means, and what is refused.

mod commands;
mod facts;
mod forms;
mod found;
mod model;
mod scripts;
mod wrong;

use serde_json::{Value, json};

use super::{Options, ReadError, ReadErrors, json as read};
use crate::backend::dump::dump;
use crate::ir::{Clauses, Ruleset};

/// A text with these commands.
fn document(commands: &[Value]) -> String {
    json!({ "nftables": commands }).to_string()
}

/// Table `t` with the chains `a` and `b`, which are empty, and the chain `c` with these rules,
/// which the kernel enters at output.
fn chain(family: &str, priority: i32, policy: &str, rules: &[Value]) -> Vec<Value> {
    let mut commands = vec![
        json!({ "table": { "family": family, "name": "t", "handle": 1 } }),
        json!({ "chain": { "family": family, "table": "t", "name": "a", "handle": 2 } }),
        json!({ "chain": { "family": family, "table": "t", "name": "b", "handle": 3 } }),
        json!({ "chain": { "family": family, "table": "t", "name": "c", "handle": 4,
            "type": "filter", "hook": "output", "prio": priority, "policy": policy } }),
    ];
    commands.extend(rules.iter().map(|statements| {
        json!({ "rule": { "family": family, "table": "t", "chain": "c", "handle": 9,
            "expr": statements } })
    }));
    commands
}

/// The ruleset of [`chain`] in an `inet` table, with these sets.
fn read_rules(
    sets: &[Value],
    rules: &[Value],
    options: &Options,
) -> Result<Ruleset, ReadErrors<ReadError>> {
    let mut commands = chain("inet", 0, "accept", rules);
    for (at, set) in sets.iter().enumerate() {
        commands.insert(1 + at, set.clone());
    }
    read(&document(&commands), options).map(|found| found.ruleset)
}

/// The ruleset as people would say it.
fn in_words(ruleset: &Ruleset) -> String {
    dump(ruleset, &Clauses::default()).replace("  # read from a ruleset", "")
}

fn equal(left: Value, right: Value) -> Value {
    compared("==", left, right)
}

#[expect(clippy::needless_pass_by_value, reason = "values are written where they are passed")]
fn compared(op: &str, left: Value, right: Value) -> Value {
    json!({ "match": { "op": op, "left": left, "right": right } })
}

fn meta(key: &str) -> Value {
    json!({ "meta": { "key": key } })
}

fn ct(key: &str) -> Value {
    json!({ "ct": { "key": key } })
}

fn field(protocol: &str, field: &str) -> Value {
    json!({ "payload": { "protocol": protocol, "field": field } })
}

#[expect(clippy::needless_pass_by_value, reason = "values are written where they are passed")]
fn set_mark(key: Value, value: Value) -> Value {
    json!({ "mangle": { "key": key, "value": value } })
}

/// A named set of table `t`.
fn named(name: &str, of: &str, elements: &Value) -> Value {
    json!({ "set": { "family": "inet", "table": "t", "name": name, "type": of, "handle": 5,
        "elem": elements } })
}
