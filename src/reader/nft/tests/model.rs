//! nft's rules, run statement by statement as the kernel does, against what they are read as.

use std::collections::BTreeSet;
use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::{chain, compared, ct, document, equal, field, meta, set_mark};
use crate::ir::{CtState, Hook, Protocol, Rule, Ruleset};
use crate::reader::nft::{Options, ReadProblem, json as read};
use crate::semantics::{Decided, Packet, Sender, Verdict, run};

/// Few marks and masks, so that they often meet.
fn number() -> impl Strategy<Value = u32> {
    select(&[0, 1, 2, 3, 0xfffe, u32::MAX][..])
}

fn marks() -> impl Strategy<Value = Value> {
    prop_oneof![Just(meta("mark")), Just(ct("mark"))]
}

fn computed() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![3 => marks(), 1 => number().prop_map(Value::from)];
    leaf.prop_recursive(3, 6, 2, |inner| {
        let operator = select(&["&", "|", "^"][..]);
        (operator, inner, number()).prop_map(|(op, left, right)| json!({ op: [left, right] }))
    })
}

fn condition() -> impl Strategy<Value = Value> {
    let op = || select(&["==", "!="][..]);
    let values = vec(number(), 1..3);
    let states = vec(select(&CtState::ALL[..]).prop_map(CtState::name), 1..3);
    let state_op = select(&["==", "!=", "in", "!"][..]);
    let marked = (marks(), proptest::option::of(number())).prop_map(|(mark, mask)| match mask {
        None => mark,
        Some(mask) => json!({ "&": [mark, mask] }),
    });
    prop_oneof![
        2 => (op(), marked, values, any::<bool>()).prop_map(|(op, left, values, set)| {
            let right = if set { json!({ "set": values }) } else { json!(values[0]) };
            compared(op, left, right)
        }),
        1 => (state_op, states).prop_map(|(op, states)| compared(op, ct("state"), json!(states))),
        1 => op().prop_map(|op| compared(op, meta("l4proto"), json!("tcp"))),
        1 => select(&["ipv4", "ipv6"][..]).prop_map(|name| equal(meta("nfproto"), json!(name))),
        1 => op().prop_map(|op| compared(op, field("tcp", "dport"), json!(80))),
        1 => masked("ip", &["0.0.0.0", "255.0.0.0", "255.255.254.0", "255.255.255.255"], vec![
            json!("10.0.0.0"),
            json!("10.0.1.7"),
            json!({ "prefix": { "addr": "10.0.0.0", "len": 15 } }),
            json!({ "range": ["10.0.0.1", "10.1.0.0"] }),
        ]),
        1 => masked("ip6", &["::", "ff00::", "ffff:ffff:ffff:ffff::"], vec![
            json!("fd00::"),
            json!("fd00::1"),
            json!({ "prefix": { "addr": "fd00::", "len": 63 } }),
            json!({ "range": ["fd00::1", "fd00:0:0:1::"] }),
        ]),
    ]
}

/// An address under one of the masks is one of some values, or none of them.
fn masked(
    protocol: &'static str,
    masks: &'static [&str],
    values: Vec<Value>,
) -> impl Strategy<Value = Value> {
    let of = select(&["saddr", "daddr"][..]);
    let op = select(&["==", "!="][..]);
    let most = values.len();
    (op, of, select(masks), subsequence(values, 1..=most)).prop_map(
        move |(op, of, mask, values)| {
            let left = json!({ "&": [field(protocol, of), mask] });
            compared(op, left, json!({ "set": values }))
        },
    )
}

fn statement() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => condition(),
        3 => (marks(), computed()).prop_map(|(mark, value)| set_mark(mark, value)),
        1 => Just(json!({ "log": null })),
    ]
}

/// A verdict, which leads only to `targets`.
fn verdict(targets: &'static [&str]) -> impl Strategy<Value = Value> {
    let words = select(&["accept", "drop", "return", "continue"][..]);
    let word = words.prop_map(|word| json!({ word: null }));
    if targets.is_empty() {
        return word.boxed();
    }
    let leads = (select(&["jump", "goto"][..]), select(targets))
        .prop_map(|(word, target)| json!({ word: { "target": target } }));
    prop_oneof![word, leads].boxed()
}

fn rules(targets: &'static [&str]) -> impl Strategy<Value = Vec<Value>> {
    let vmap = (vec(verdict(targets), 3), 1..4_usize).prop_map(|(verdicts, most)| {
        let keys = [json!(1), json!(3), json!("*")];
        let pairs: Vec<_> = keys.into_iter().zip(verdicts).take(most).collect();
        json!({ "vmap": { "key": meta("mark"), "data": { "set": pairs } } })
    });
    let plain = (vec(statement(), 0..4), proptest::option::of(verdict(targets)))
        .prop_map(|(statements, end)| statements.into_iter().chain(end).collect());
    let mapped = (vec(condition(), 0..2), vmap)
        .prop_map(|(statements, end)| statements.into_iter().chain([end]).collect());
    let rule = prop_oneof![5 => plain, 1 => mapped];
    vec(rule, 0..4)
}

fn packets() -> impl Strategy<Value = Packet> {
    let protocol = select(&[None, Some(Protocol::Tcp), Some(Protocol::Udp)][..]);
    let port = select(&[80, 81][..]);
    let state = select(&CtState::ALL[..]);
    let addresses = ["10.0.0.1", "10.0.1.7", "10.1.0.0", "fd00::1", "fd00:0:0:1::5"];
    let address = select(addresses.to_vec());
    (protocol, port, state, address, number(), number()).prop_map(
        |(protocol, port, state, address, mark, connmark)| Packet {
            hook: Hook::Output,
            protocol,
            source: address.parse().unwrap(),
            destination: address.parse().unwrap(),
            source_port: 0,
            destination_port: if protocol.is_some() { port } else { 0 },
            input: None,
            output: Some("eth0".to_owned()),
            sender: Sender::Nobody,
            mark,
            connmark,
            state,
            translation: Decided::Unchanged,
            interface_address: address.parse().unwrap(),
            translated_port: 0,
            no_listener: BTreeSet::new(),
            sets: BTreeSet::new(),
            local: BTreeSet::new(),
            transparent_socket: false,
            holds: BTreeSet::new(),
        },
    )
}

/// How a rule or a chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Accept,
    Drop,
    Return,
    /// The next rule runs.
    Next,
}

/// A packet on its way through the rules.
struct Kernel<'a> {
    a: &'a [Value],
    b: &'a [Value],
    packet: &'a Packet,
    mark: u32,
    connmark: u32,
}

impl Kernel<'_> {
    fn chain(&mut self, rules: &[Value]) -> End {
        for rule in rules {
            match self.rule(rule.as_array().unwrap()) {
                Some(End::Next) | None => {}
                Some(end) => return end,
            }
        }
        End::Return
    }

    /// `None` if the packet leaves the rule on the way.
    fn rule(&mut self, statements: &[Value]) -> Option<End> {
        for statement in statements {
            let (word, body) = statement.as_object().unwrap().iter().next().unwrap();
            match word.as_str() {
                "log" => {}
                "match" => self.holds(body)?.then_some(())?,
                "mangle" => {
                    let value = self.value(&body["value"])?;
                    if body["key"] == meta("mark") {
                        self.mark = value;
                    } else if self.packet.state.has_connection() {
                        self.connmark = value;
                    }
                }
                "vmap" => {
                    let key = self.value(&body["key"])?;
                    let pairs = body["data"]["set"].as_array().unwrap();
                    let pair = pairs.iter().find(|pair| pair[0] == key || pair[0] == "*")?;
                    let (word, body) = pair[1].as_object().unwrap().iter().next().unwrap();
                    return Some(self.verdict(word, body));
                }
                word => return Some(self.verdict(word, body)),
            }
        }
        Some(End::Next)
    }

    fn verdict(&mut self, word: &str, body: &Value) -> End {
        let target = if body["target"] == "a" { self.a } else { self.b };
        match word {
            "accept" => End::Accept,
            "drop" => End::Drop,
            "return" => End::Return,
            "continue" => End::Next,
            "goto" => self.chain(target),
            _ => match self.chain(target) {
                End::Return => End::Next,
                end => end,
            },
        }
    }

    fn value(&self, value: &Value) -> Option<u32> {
        if let Some(number) = value.as_u64() {
            return u32::try_from(number).ok();
        }
        let (word, body) = value.as_object().unwrap().iter().next().unwrap();
        match word.as_str() {
            "meta" => return Some(self.mark),
            "ct" => return self.packet.state.has_connection().then_some(self.connmark),
            _ => {}
        }
        let (left, right) = (self.value(&body[0])?, self.value(&body[1])?);
        Some(match word.as_str() {
            "&" => left & right,
            "|" => left | right,
            _ => left ^ right,
        })
    }

    fn holds(&self, body: &Value) -> Option<bool> {
        let (op, left, right) = (body["op"].as_str().unwrap(), &body["left"], &body["right"]);
        let same = if *left == ct("state") {
            return Some(self.state(op, right));
        } else if *left == meta("l4proto") {
            self.packet.protocol == Some(Protocol::Tcp)
        } else if *left == meta("nfproto") {
            self.packet.source.is_ipv4() == (right == "ipv4")
        } else if let Some(both) = left.get("&").filter(|both| both[0].get("payload").is_some()) {
            let (field, mask) = (&both[0]["payload"], number_of(&both[1]));
            let is_source = field["field"] == "saddr";
            let address = if is_source { self.packet.source } else { self.packet.destination };
            (address.is_ipv4() == (field["protocol"] == "ip")).then_some(())?;
            let kept = number_of(&json!(address.to_string())) & mask;
            right["set"].as_array().unwrap().iter().any(|value| {
                let (first, last) = ends(value);
                (first..=last).contains(&kept)
            })
        } else if left.get("payload").is_some() {
            (self.packet.protocol == Some(Protocol::Tcp)).then_some(())?;
            self.packet.destination_port == 80
        } else {
            let value = self.value(left)?;
            right["set"]
                .as_array()
                .map_or(*right == value, |set| set.iter().any(|one| *one == value))
        };
        Some(same == (op == "=="))
    }

    /// The bits of connection states, as the kernel has them.
    fn state(&self, op: &str, right: &Value) -> bool {
        let bit = |name: &str| 1 << CtState::ALL.iter().position(|one| one.name() == name).unwrap();
        let mask: u32 = right
            .as_array()
            .unwrap()
            .iter()
            .map(|name| bit(name.as_str().unwrap()))
            .fold(0, |a, b| a | b);
        let state: u32 = bit(self.packet.state.name());
        match op {
            "==" => state == mask,
            "!=" => state != mask,
            "in" => state & mask != 0,
            _ => state & mask == 0,
        }
    }
}

/// An address, as the kernel compares it.
fn number_of(address: &Value) -> u128 {
    match address.as_str().unwrap().parse().unwrap() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The first and the last address of an element.
fn ends(value: &Value) -> (u128, u128) {
    if let Some(range) = value.get("range") {
        return (number_of(&range[0]), number_of(&range[1]));
    }
    let Some(prefix) = value.get("prefix") else { return (number_of(value), number_of(value)) };
    let first = number_of(&prefix["addr"]);
    let bits = if prefix["addr"].as_str().unwrap().contains(':') { 128 } else { 32 };
    let length = prefix["len"].as_u64().unwrap();
    (first, first | ((1 << (bits - length)) - 1))
}

fn is_opaque(ruleset: &Ruleset) -> bool {
    let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
    chains.flat_map(|chain| &chain.rules).any(Rule::is_opaque)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn a_packet_meets_what_nft_says(
        c in rules(&["a", "b"]),
        a in rules(&["b"]),
        b in rules(&[]),
        drops in any::<bool>(),
        packets in vec(packets(), 8),
    ) {
        let mut commands = chain("inet", 0, if drops { "drop" } else { "accept" }, &c);
        for (name, rules) in [("a", &a), ("b", &b)] {
            commands.extend(rules.iter().map(|statements| json!({ "rule": { "family": "inet",
                "table": "t", "chain": name, "expr": statements } })));
        }
        let ruleset = match read(&document(&commands), &Options::default()) {
            // What cannot be said exactly is a target of its own.
            Ok(found) if is_opaque(&found.ruleset) => return Ok(()),
            Ok(found) => found.ruleset,
            Err(errors) => {
                let is_known = |problem: &ReadProblem| matches!(problem, ReadProblem::Inexact { .. });
                prop_assert!(errors.iter().all(|error| is_known(&error.problem)), "{:?}", errors);
                return Ok(());
            }
        };
        for packet in packets {
            let (mark, connmark) = (packet.mark, packet.connmark);
            let mut kernel = Kernel { a: &a, b: &b, packet: &packet, mark, connmark };
            let end = kernel.chain(&c);
            let dropped = end == End::Drop || end == End::Return && drops;
            let outcome = run(&ruleset, &packet).outcome;
            prop_assert_eq!(outcome.verdict == Verdict::Drop, dropped, "{:?}", packet);
            if !dropped {
                prop_assert_eq!((outcome.mark, outcome.connmark), (kernel.mark, kernel.connmark));
            }
        }
    }
}
