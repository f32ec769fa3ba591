//! What cannot be read: the object and the word are named, and nothing is a guess.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{chain, compared, ct, document, equal, field, meta, named, read_rules, set_mark};
use crate::reader::nft::{Options, json as read};

const AT_RULE: &str = "table inet t, chain c, rule 1: ";

/// How what is to be loaded is read: what is not said exactly is an error.
fn strict() -> Options {
    Options { target: "1.1.7".parse().ok(), ..Options::default() }
}

/// What is wrong with a rule.
fn wrong(statements: &Value) -> String {
    let sets = [
        named("nets", "ipv4_addr", &json!(["10.9.0.1"])),
        json!({ "set": { "family": "inet", "table": "t", "name": "live", "type": "ipv4_addr",
            "flags": ["timeout"], "elem": ["10.0.0.1"] } }),
        json!({ "set": { "family": "inet", "table": "t", "name": "prefixes", "type": "ipv4_addr",
            "flags": ["interval"] } }),
    ];
    let errors = read_rules(&sets, std::slice::from_ref(statements), &strict());
    let errors = errors.expect_err("it is wrong");
    assert_eq!(errors.len(), 1, "{errors:?}");
    let message = errors[0].to_string();
    // What a rule names has to be there before it.
    let message = message.strip_prefix(AT_RULE).or_else(|| message.strip_prefix("command 8: "));
    message.unwrap_or_else(|| panic!("{errors:?}")).to_owned()
}

#[test]
fn words_of_a_rule_that_are_not_known_are_named() {
    let left = |left: Value| equal(left, json!(1));
    for (statement, message) in [
        (json!({ "masquerade": null }), "unknown statement `masquerade`"),
        (json!({ "reject": { "type": "tcp reset" } }), "unknown statement `reject`"),
        (json!({ "limit": { "rate": 5, "per": "second" } }), "unknown statement `limit`"),
        (json!({ "notrack": null }), "unknown statement `notrack`"),
        (json!({ "xt": { "type": "match", "name": "comment" } }), "unknown statement `xt`"),
        (json!("accept"), "unknown statement `text`"),
        (
            json!({ "accept": null, "drop": null }),
            r#"unknown statement `{"accept":null,"drop":null}`"#,
        ),
        (json!({ "accept": { "x": 1 } }), "unknown key `x` of `verdict`"),
        (compared("~", meta("mark"), json!(1)), "unknown operator `~`"),
        (json!({ "match": { "left": meta("mark"), "right": 1 } }), "`match` needs the key `op`"),
        (
            json!({ "match": { "op": "==", "left": meta("mark"), "rigth": 1 } }),
            "unknown key `rigth` of `match`",
        ),
        (equal(meta("iif"), json!("lo")), "unknown meta key `meta iif`"),
        (left(ct("direction")), "unknown ct key `direction`"),
        (left(field("ip", "ttl")), "unknown field `ip ttl`"),
        (left(field("sctp", "dport")), "unknown field `sctp dport`"),
        (left(field("ip6", "nexthdr")), "unknown field `ip6 nexthdr`"),
        (left(json!({ "concat": [] })), "concat `[]`: not a list of values"),
        (left(json!({ "payload": { "base": "th" } })), "`payload` needs the key `offset`"),
        (left(json!({ "ct": { "key": "mark", "dir": "reply" } })), "unknown ct key `reply mark`"),
        (
            left(json!({ "fib": { "result": "type", "flags": ["daddr", "iif"] } })),
            "unknown fib `daddr . iif type`",
        ),
        (left(json!({ "&": [field("ip", "saddr"), 1] })), "unknown mark `ip saddr`"),
        (left(json!({ "<<": [meta("mark"), 1] })), "unknown operator `<<`"),
        (left(json!({ "&": [ct("state"), 1] })), "unknown mark `state`"),
        (set_mark(meta("priority"), json!(1)), "unknown key to set `meta priority`"),
        (set_mark(field("ip", "ttl"), json!(1)), "unknown key to set `ip ttl`"),
        (
            json!({ "mangle": { "key": { "ct": { "key": "zone", "dir": "reply" } }, "value": 1 } }),
            "unknown key to set `ct reply zone`",
        ),
        (json!({ "log": { "lever": "x" } }), "unknown key `lever` of `log`"),
        (json!({ "jump": { "target": "d" } }), "no chain `d`"),
        (json!({ "jump": "a" }), "jump `a`: not an object"),
    ] {
        assert_eq!(wrong(&json!([statement])), message, "{statement}");
    }
    assert_eq!(wrong(&json!({})), "expr `{}`: not a list of statements");
}

#[test]
fn values_that_cannot_be_read_are_named() {
    let daddr = || field("ip", "daddr");
    let dport = || field("tcp", "dport");
    let mark = |right: Value| equal(meta("mark"), right);
    let local =
        |right: Value| equal(json!({ "fib": { "result": "type", "flags": ["saddr"] } }), right);
    for (statement, message) in [
        (
            equal(meta("l4proto"), json!("icmp")),
            "`protocol` cannot be read exactly: only tcp and udp are written",
        ),
        (equal(meta("nfproto"), json!("arp")), "family `arp`: only ipv4 and ipv6 can be read"),
        (equal(dport(), json!("https")), "port `https`: not a number of at most 32 bits"),
        (equal(dport(), json!(65536)), "port `65536`: the highest port is 65535"),
        (equal(dport(), json!(-80)), "port `-80`: not a number of at most 32 bits"),
        (equal(dport(), json!(80.0)), "port `80.0`: not a number of at most 32 bits"),
        (equal(dport(), json!("010")), "port `010`: not a number of at most 32 bits"),
        (equal(dport(), json!([80, 443])), "port `80,443`: not a number of at most 32 bits"),
        (
            equal(dport(), json!({ "range": [9, 8] })),
            "port `9-8`: the first port is above the last",
        ),
        (equal(dport(), json!({ "set": [] })), r#"set `{"set":[]}`: not a list of elements"#),
        (
            compared("<", dport(), json!({ "set": [1] })),
            "`<` cannot be read exactly: it is not known for what it compares",
        ),
        (
            compared("<", meta("mark"), json!(1)),
            "`<` cannot be read exactly: it is not known for what it compares",
        ),
        (equal(daddr(), json!("10.0.0.0/8")), "address `10.0.0.0/8`: not an address"),
        (equal(daddr(), json!("localhost")), "address `localhost`: not an address"),
        (equal(daddr(), json!("::1")), "address `::1`: an address of the other family"),
        (
            equal(daddr(), json!({ "prefix": { "addr": "10.0.0.0", "len": 33 } })),
            "address `10.0.0.0/33`: the prefix is longer than an address",
        ),
        (
            equal(daddr(), json!("@live")),
            "`live` cannot be read exactly: its elements come and go by themselves",
        ),
        (
            equal(daddr(), json!("@prefixes")),
            "`prefixes` cannot be read exactly: others fill it, and not with single addresses",
        ),
        (equal(daddr(), json!("@none")), "no set `none`"),
        (equal(dport(), json!("@nets")), "type `ipv4_addr`: not that of the field"),
        (
            equal(daddr(), json!({ "set": [{ "elem": { "val": "10.0.0.1", "timeout": 5 } }] })),
            "unknown part of an element `timeout`",
        ),
        (equal(meta("iifname"), json!("eth+")), "interface `eth+`: `+` cannot be in a name"),
        (equal(meta("iifname"), json!("*")), "interface `*`: `*` alone is every interface"),
        (equal(meta("iifname"), json!("eth\\*")), "interface `eth\\*`: `\\\\` cannot be in a name"),
        (equal(meta("skuid"), json!("root")), "id `root`: not a number of at most 32 bits"),
        (mark(json!({ "range": [1, 5] })), "mark `1-5`: not a number of at most 32 bits"),
        (equal(ct("state"), json!("snat")), "state `snat`: not a state"),
        (equal(ct("state"), json!({ "&": ["new"] })), "unknown value `&`"),
        (local(json!("broadcast")), "type of address `broadcast`: only local can be read"),
        (set_mark(meta("mark"), json!({ "|": [1] })), "operands `[1]`: not two values or more"),
        (
            set_mark(meta("mark"), json!({ "&": [meta("mark"), ct("mark")] })),
            "`&` cannot be read exactly: a bit depends on two others",
        ),
        (
            equal(json!({ "^": [meta("mark"), ct("mark")] }), json!(1)),
            "`mark` cannot be read exactly: both marks at once",
        ),
        (set_mark(ct("zone"), json!(65536)), "zone `65536`: the highest zone is 65535"),
        (json!({ "snat": { "addr": "x" } }), "address `x`: not an address"),
        (
            json!({ "snat": { "addr": "::5", "family": "ip" } }),
            "family `ip`: not that of the address",
        ),
        (
            json!({ "snat": { "addr": "::5", "port": 5 } }),
            "`snat` cannot be read exactly: it gives a port",
        ),
        (
            json!({ "dnat": { "addr": "::5", "port": 5 } }),
            "`dnat` needs a match on tcp or udp before it",
        ),
        (json!({ "dnat": { "addr": "::5", "flags": "random" } }), "unknown flag `random`"),
    ] {
        assert_eq!(wrong(&json!([statement])), message, "{statement}");
    }
}

#[test]
fn what_the_ir_cannot_say_is_an_error() {
    let tcp = || equal(meta("l4proto"), json!("tcp"));
    let tproxy = || json!({ "tproxy": { "port": 15006 } });
    let set = || set_mark(meta("mark"), json!(1));
    let socket = |key: &str, right: u8| equal(json!({ "socket": { "key": key } }), json!(right));
    let vmap = |key: Value, elements: Value| json!({ "vmap": { "key": key, "data": { "set": elements } } });
    let only =
        "`tproxy` cannot be read exactly: only `meta mark set` and `accept` may stand behind it";
    for (statements, message) in [
        (
            json!([equal(field("th", "dport"), json!(53))]),
            "`th` needs a match on tcp or udp before it",
        ),
        (
            json!([compared("!=", meta("l4proto"), json!("tcp")), { "redirect": { "port": 1 } }]),
            "`redirect` needs a match on tcp or udp before it",
        ),
        (json!([tcp(), { "redirect": { "port": 0 } }]), "port `0`: the lowest port is 1"),
        (json!([tcp(), { "redirect": null }]), "`redirect` needs a port"),
        (json!([tcp(), { "redirect": { "port": 1, "flags": "random" } }]), "unknown flag `random`"),
        (json!([tproxy(), { "accept": null }]), "`tproxy` needs a match on tcp or udp before it"),
        (json!([tcp(), tproxy()]), only),
        (json!([tcp(), tproxy(), set()]), only),
        (json!([tcp(), tproxy(), { "return": null }]), only),
        (json!([tcp(), tproxy(), set_mark(meta("mark"), ct("mark")), { "accept": null }]), only),
        (json!([tcp(), tproxy(), set_mark(ct("mark"), json!(1)), { "accept": null }]), only),
        (
            json!([{ "accept": null }, { "log": null }]),
            "`log` cannot be read exactly: it stands behind the end of the rule",
        ),
        (json!([socket("transparent", 1)]), "`socket transparent` needs `socket wildcard 0`"),
        (
            json!([socket("wildcard", 0), { "accept": null }]),
            "`socket wildcard` needs `socket transparent 1`",
        ),
        (json!([socket("transparent", 0)]), "socket `0`: only a transparent one that is bound"),
        (
            json!([set_mark(meta("mark"), json!(1)), equal(meta("mark"), json!(2)), set(),
                tcp(), { "return": null }]),
            "`return` cannot be read exactly: a match stands between two actions of the rule",
        ),
        (
            json!([vmap(
                field("tcp", "dport"),
                json!([[{ "range": [1, 5] }, { "drop": null }],
                [5, { "accept": null }]])
            )]),
            "`vmap` cannot be read exactly: two of its keys could be those of one packet",
        ),
        (json!([vmap(meta("skuid"), json!([[1, { "queue": null }]]))]), "unknown value `queue`"),
        (
            json!([vmap(meta("nfproto"), json!([["ipv4", { "drop": null }]]))]),
            "`vmap` cannot be read exactly: its key is a family or a socket",
        ),
        (
            json!([{ "vmap": { "key": meta("skuid"), "data": "@nets" } }]),
            "no map of verdicts `@nets`",
        ),
    ] {
        assert_eq!(wrong(&statements), message, "{statements}");
    }
}

#[test]
fn commands_that_cannot_be_run_are_named() {
    let table = json!({ "table": { "family": "inet", "name": "t" } });
    let object = |verb: &str, kind: &str, keys: Value| {
        let mut body = json!({ "family": "inet", "table": "t" });
        body.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        json!({ verb: { kind: body } })
    };
    let base = |prio: Value| {
        object(
            "add",
            "chain",
            json!({ "name": "x", "type": "nat", "hook": "output", "prio": prio }),
        )
    };
    for (command, message) in [
        (json!(5), "unknown command `5`"),
        (json!({ "rename": { "chain": {} } }), "unknown command or object `rename`"),
        (json!({ "add": { "tables": {} } }), "unknown object `tables`"),
        (json!({ "insert": table }), "unknown object to insert `table`"),
        (json!({ "create": table }), "table `t` is there already"),
        (json!({ "table": { "family": "ip" } }), "`table` needs the key `name`"),
        (json!({ "table": { "family": "ip", "name": "u", "x": 1 } }), "unknown key `x` of `table`"),
        (
            json!({ "table": { "family": "ip", "name": "u", "flags": ["asleep"] } }),
            "unknown flag `asleep`",
        ),
        (json!({ "delete": { "table": { "family": "ip", "name": "t" } } }), "no table `ip t`"),
        (base(json!("dstnat")), "prio `dstnat`: not an integer of 32 bits"),
        (base(json!("-100")), "prio `-100`: not an integer of 32 bits"),
        (base(json!(-100.0)), "prio `-100.0`: not an integer of 32 bits"),
        (base(Value::Null), "`chain` needs the key `prio`"),
        (
            object(
                "add",
                "chain",
                json!({ "name": "x", "type": "nat", "hook": "output", "prio": 0, "dev": "x" }),
            ),
            "unknown key `dev` of `chain`",
        ),
        (object("add", "chain", json!({ "name": "x", "policy": "drop" })), "unknown policy `drop`"),
        (object("add", "rule", json!({ "chain": "x", "expr": [] })), "no chain `x`"),
        (
            object("add", "rule", json!({ "chain": "x", "expr": [], "handle": 5 })),
            "`handle` cannot be read exactly: it stands for a place among rules that the text does not show",
        ),
        (
            object("delete", "rule", json!({ "chain": "x", "handle": 5 })),
            "`rule` cannot be read exactly: rules are taken away by handles that the text does not show",
        ),
        (object("add", "element", json!({ "name": "s", "elem": [1] })), "no set `s`"),
        (
            json!({ "metainfo": { "json_schema_version": 2 } }),
            "json_schema_version `2`: only 1 is known",
        ),
    ] {
        let commands = [table.clone(), command.clone()];
        let errors = read(&document(&commands), &Options::default()).expect_err(message);
        assert_eq!(errors[0].to_string(), format!("command 2: {message}"), "{command}");
        assert_eq!(errors.len(), 1, "{errors:?}");
    }
}

#[test]
fn tables_that_cannot_be_are_named() {
    let jump = |chain: &str, to: &str| {
        json!({ "rule": { "family": "inet", "table": "t", "chain": chain,
            "expr": [{ "jump": { "target": to } }] } })
    };
    let circle = [chain("inet", 0, "accept", &[]), vec![jump("a", "b"), jump("b", "a")]].concat();
    let early = json!([equal(ct("mark"), json!(1))]);
    let early = [
        chain("inet", -300, "accept", &[]),
        vec![
            jump("c", "b"),
            json!({ "rule": { "family": "inet", "table": "t", "chain": "b",
            "expr": early } }),
        ],
    ];
    let slash = json!({ "chain": { "family": "inet", "table": "t", "name": "x/y" } });
    for (commands, message) in [
        (circle, "table inet t: chain `a` leads back to itself"),
        (early.concat(), "table inet t, chain b, rule 1: `ct mark` needs a priority above -200"),
        (
            [chain("inet", 0, "accept", &[]), vec![slash]].concat(),
            "table inet t: chain `x/y`: `/` cannot be in a name",
        ),
    ] {
        let errors = read(&document(&commands), &strict()).expect_err(message);
        assert_eq!(errors[0].to_string(), message);
        assert_eq!(errors.len(), 1, "{errors:?}");
    }
}

#[test]
fn a_text_that_is_no_ruleset_is_an_error() {
    for (text, message) in [
        ("", "the text: not JSON: EOF while parsing a value at line 1 column 0"),
        ("[]", "the text: unknown document `[]`"),
        ("{\"nftables\": {}}", "the text: nftables `{}`: not a list of commands"),
        ("{\"tables\": []}", "the text: unknown document `{\"tables\":[]}`"),
    ] {
        let errors = read(text, &Options::default()).expect_err(text);
        assert_eq!(errors[0].to_string(), message);
    }
}

/// Any JSON made of words that mean something.
fn nonsense() -> impl Strategy<Value = Value> {
    const WORDS: [&str; 42] = [
        "add", "delete", "flush", "table", "chain", "rule", "set", "map", "element", "family",
        "name", "inet", "ip", "t", "c", "expr", "match", "op", "==", "in", "left", "right", "meta",
        "ct", "key", "mark", "state", "payload", "protocol", "field", "range", "prefix", "addr",
        "len", "elem", "val", "vmap", "data", "@s", "jump", "target", "*",
    ];
    let word = || proptest::sample::select(&WORDS[..]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
        "\\PC{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((word(), inner), 0..4)
                .prop_map(|entries| entries.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(commands in proptest::collection::vec(nonsense(), 0..6)) {
        let _ = read(&document(&commands), &Options::default());
    }

    #[test]
    fn no_statement_makes_it_panic(statements in proptest::collection::vec(nonsense(), 0..6)) {
        let _ = read_rules(&[], &[Value::from(statements)], &Options::default());
    }

    #[test]
    fn no_comparison_makes_it_panic(left in nonsense(), right in nonsense()) {
        for field in [left, meta("mark"), ct("state"), field("ip", "daddr"), field("tcp", "dport")] {
            let _ = read_rules(&[], &[json!([equal(field, right.clone())])], &Options::default());
        }
    }
}
