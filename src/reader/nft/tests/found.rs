//! What of a text is not read as rules, and what is said of it.

use serde_json::json;

use super::{document, in_words};
use crate::reader::Found;
use crate::reader::nft::{EmptySets, Options, json as read_json, script};

fn found(text: &str, options: &Options) -> Found {
    script(text, options).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn words(found: &Found) -> String {
    let words = in_words(&found.ruleset);
    let lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" | ")
}

const HOST: &str = "table ip docker {
chain pre {
type nat hook prerouting priority -100; policy accept;
frobnicate
tcp dport https vmap @none
}
chain out {
type nat hook output priority -100; policy drop;
}
chain x/y {
foo
}
bar
}
table ip6 mine {
chain c {
type filter hook ingress device \"eth0\" priority 0; policy drop;
accept
}
}
table bridge l2 {
chain c {
ether type arp accept
}
}
table netdev n {
chain c {
type filter hook ingress device \"eth0\" priority 0;
}
}
table inet asleep {
flags dormant
chain c {
type filter hook input priority 0; policy drop;
}
}
";

#[test]
fn what_is_left_out_stands_as_one_rule_where_packets_come_to_it() {
    let leave_out = ["dock*", "ip typo", "bridge l2"].map(str::to_owned).into();
    let options = Options { leave_out, ..Options::default() };
    let found = found(HOST, &options);
    assert_eq!(found.left_out, ["table ip docker"]);
    assert_eq!(found.unused.iter().collect::<Vec<_>>(), ["ip typo"]);
    assert_eq!(
        found.passed_over,
        [
            "table bridge l2",
            "table netdev n",
            "chain c of table ip6 mine",
            "table inet asleep, which is dormant"
        ]
    );
    assert_eq!(
        words(&found),
        "table docker for IPv4 | chain pre, nat at prerouting, priority -100 | \
         IPv4: `table ip docker, left out` | chain out, nat at output, priority -100 | \
         IPv4: `table ip docker, left out` | table mine for IPv6 | chain c | IPv6: accept | \
         table asleep for IPv4 and IPv6 | chain c"
    );
}

#[test]
fn json_leaves_out_the_same() {
    let chain = |family: &str, table: &str, hook: &str| {
        json!({ "chain": { "family": family, "table": table, "name": "c", "handle": 2,
            "type": "filter", "hook": hook, "prio": 0, "policy": "accept", "dev": "eth0" } })
    };
    let base = json!({ "chain": { "family": "ip", "table": "docker", "name": "out",
        "type": "nat", "hook": "output", "prio": -100, "policy": "accept" } });
    let text = document(&[
        json!({ "table": { "family": "ip", "name": "docker", "handle": 1 } }),
        base,
        json!({ "rule": { "family": "ip", "table": "docker", "chain": "none", "expr": [] } }),
        json!({ "table": { "family": "inet", "name": "t", "handle": 1 } }),
        chain("inet", "t", "ingress"),
        json!({ "table": { "family": "netdev", "name": "n", "handle": 1 } }),
        chain("netdev", "n", "ingress"),
    ]);
    let leave_out = ["docker", "typo"].map(str::to_owned).into();
    let options = Options { leave_out, ..Options::default() };
    let found = read_json(&text, &options).unwrap();
    assert_eq!(found.left_out, ["table ip docker"]);
    assert_eq!(found.unused.iter().collect::<Vec<_>>(), ["typo"]);
    assert_eq!(found.passed_over, ["table netdev n", "chain c of table inet t"]);
    assert_eq!(
        words(&found),
        "table docker for IPv4 | chain out, nat at output, priority -100 | \
         IPv4: `table ip docker, left out` | table t for IPv4 and IPv6 | chain c"
    );
}

#[test]
fn json_that_creates_is_read_as_json_that_adds() {
    let commands = |verb: &str| {
        document(&[
            json!({ verb: { "table": { "family": "inet", "name": "t" } } }),
            json!({ verb: { "chain": { "family": "inet", "table": "t", "name": "c",
                "type": "filter", "hook": "output", "prio": 0, "policy": "accept" } } }),
            json!({ verb: { "set": { "family": "inet", "table": "t", "name": "s",
                "type": "ipv4_addr", "elem": ["10.0.0.1"] } } }),
            json!({ verb: { "rule": { "family": "inet", "table": "t", "chain": "c",
                "expr": [{ "drop": null }] } } }),
        ])
    };
    let options = Options::default();
    let created = read_json(&commands("create"), &options).unwrap();
    assert_eq!(created, read_json(&commands("add"), &options).unwrap());
    assert!(words(&created).ends_with("always: drop"), "{}", words(&created));
}

#[test]
fn a_set_that_holds_nothing_is_empty_unless_others_may_fill_it() {
    let text = |of: &str, field: &str| {
        format!(
            "table ip t {{\nset s {{\ntype {of}\n}}\nchain c {{\ntype filter hook output priority 0\n{field} @s return\n}}\n}}\n"
        )
    };
    let head = "table t for IPv4 | ";
    let chain = "chain c, filter at output, priority 0";
    let single = text("ipv4_addr", "ip daddr");
    let nets = text("ipv4_addr; flags interval", "ip daddr");
    let ports = text("inet_service", "tcp dport");
    let empty = Options { empty_sets: EmptySets::Empty, ..Options::default() };
    let filled = Options { filled: ["s".to_owned()].into(), ..empty.clone() };
    let plain = Options::default();
    let is_filled =
        format!("{head}set s of IPv4 addresses, filled by others | {chain} | to set s: return");
    let is_open = format!("{head}{chain} | `ip daddr @s`: return");
    let is_empty = format!("{head}{chain}");
    for (text, options, expected) in [
        (&single, &plain, is_filled.as_str()),
        (&single, &empty, &is_empty),
        (&single, &filled, &is_filled),
        (&nets, &plain, &is_empty),
        (&nets, &empty, &is_empty),
        (&nets, &filled, &is_open),
        (&ports, &plain, &format!("{is_empty} | tcp, to port {{  }}: return")),
    ] {
        assert_eq!(words(&found(text, options)).replace("IPv4, ", ""), expected, "{text}");
    }
}

#[test]
fn a_set_of_a_table_is_a_question_of_its_own() {
    let table = |name: &str, rules: &str| {
        format!(
            "table ip {name} {{\nset s {{\ntype ipv4_addr\nflags timeout\n}}\nset d {{\ntype ipv4_addr\nflags dynamic\n}}\nchain c {{\n{rules}}}\n}}\n"
        )
    };
    let text = table("a", "ip daddr 1.2.3.4 drop\nadd @d { ip saddr }\nip saddr @d drop\n")
        + &table("b", "ip saddr @s drop\nlimit rate 5/second drop\nip ttl 5 drop\n");
    let found = found(
        &text.replace(
            "type ipv4_addr\nflags timeout\n",
            "type ipv4_addr\nflags timeout\nelements = { 10.0.0.1 }\n",
        ),
        &Options::default(),
    );
    let asked: Vec<Option<String>> = found
        .ruleset
        .tables
        .iter()
        .flat_map(|table| &table.chains)
        .flat_map(|chain| &chain.rules)
        .flat_map(|rule| &rule.when)
        .filter_map(|when| match when {
            crate::ir::Match::Opaque { condition, .. } => {
                Some(condition.asked_by.as_ref().map(ToString::to_string))
            }
            _ => None,
        })
        .collect();
    let rule = |text: &str| Some(text.to_owned());
    assert_eq!(
        asked,
        [
            rule("table ip a, chain c, rule 3"),
            rule("table ip b"),
            rule("table ip b, chain c, rule 2"),
            None
        ]
    );
}

#[test]
fn what_rules_change_is_asked_by_each_rule() {
    let asked = |change: &str| {
        let text = format!(
            "table ip t {{\nchain c {{\n{change}\nip ttl 5 drop\nmeta priority 5 drop\n}}\n}}\n"
        );
        let found = found(&text, &Options::default());
        let rules = &found.ruleset.tables[0].chains[0].rules;
        let of_packet = |rule: &crate::ir::Rule| match rule.when.as_slice() {
            [crate::ir::Match::Opaque { condition, .. }] => condition.asked_by.is_none(),
            _ => panic!("{rule:?}"),
        };
        [&rules[1], &rules[2]].map(of_packet)
    };
    assert_eq!(asked("accept"), [true, true]);
    assert_eq!(asked("ip dscp set cs1"), [false, true]);
    assert_eq!(asked("meta priority set 1:2"), [true, false]);
    assert_eq!(asked("frobnicate"), [false, true]);
}

#[test]
fn statements_that_have_no_json_of_their_own_are_read_as_those_of_scripts() {
    let rule = |statement: serde_json::Value| {
        let text = document(&[
            json!({ "table": { "family": "ip", "name": "t" } }),
            json!({ "chain": { "family": "ip", "table": "t", "name": "c" } }),
            json!({ "rule": { "family": "ip", "table": "t", "chain": "c",
                "expr": [statement, { "accept": null }] } }),
        ]);
        words(&read_json(&text, &Options::default()).unwrap())
    };
    assert_eq!(
        rule(json!("tcp dport 80")),
        "table t for IPv4 | chain c | IPv4, tcp, to port 80: accept"
    );
    assert_eq!(
        rule(json!({ "frobnicate": 5 })),
        "table t for IPv4 | chain c | IPv4: `{frobnicate:5} accept`"
    );
}

mod mutated {
    use proptest::prelude::*;

    use super::HOST;
    use crate::reader::nft::{Options, json, script};

    /// Rules in which most statements are.
    const LISTING: &str = include_str!("../../../../tests/hosts/others.nft");

    proptest! {
        #[test]
        fn no_listing_makes_it_panic(
            text in proptest::sample::select(&[HOST, LISTING][..]),
            cuts in proptest::collection::vec((any::<prop::sample::Index>(), "[ -~\n]{0,3}", 0..4_usize), 1..6),
        ) {
            let mut bytes = text.as_bytes().to_vec();
            for (at, with, len) in cuts {
                let at = at.index(bytes.len());
                let end = (at + len).min(bytes.len());
                bytes.splice(at..end, with.bytes());
            }
            let text = String::from_utf8_lossy(&bytes);
            let _ = script(&text, &Options::default());
            let _ = json(&text, &Options::default());
        }
    }
}

#[test]
fn what_a_set_holds_is_part_of_a_question_about_it() {
    let read = |element: &str, rule: &str| {
        let text = format!(
            "table ip t {{\nset s {{\ntype ipv4_addr . icmp_type\nelements = {{ {element} . echo-request }}\n}}\nmap m {{\ntype ipv4_addr : interval ipv4_addr\nelements = {{ {element} : 10.1.0.1-10.1.0.9 }}\n}}\nchain c {{\n{rule}\n}}\n}}\n"
        );
        found(&text, &Options::default()).ruleset
    };
    for rule in
        ["ip saddr . icmp type @s drop", "dnat to ip daddr map @m", "meta mark set ip saddr map @m"]
    {
        assert_eq!(read("10.0.0.1", rule), read("10.0.0.1", rule), "{rule}");
        assert_ne!(read("10.0.0.1", rule), read("10.0.0.2", rule), "{rule}");
    }
}
