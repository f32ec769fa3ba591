//! What commands leave.

use serde_json::{Value, json};

use super::{chain, document, in_words, meta, named, set_mark};
use crate::reader::nft::{Options, json as read};

fn table(family: &str, name: &str) -> Value {
    json!({ "table": { "family": family, "name": name } })
}

fn rule(verb: &str, verdict: &str) -> Value {
    json!({ verb: { "rule": { "family": "inet", "table": "t", "chain": "c", "comment": "x",
        "expr": [{ verdict: null }] } } })
}

fn left(commands: &[Value]) -> String {
    let ruleset = read(&document(commands), &Options::default());
    in_words(&ruleset.unwrap_or_else(|errors| panic!("{errors:?}")).ruleset)
}

#[test]
fn forms_that_only_a_newer_nft_takes_are_refused_for_an_older_one() {
    let set = json!({ "set": { "family": "inet", "table": "t", "name": "s", "type": "ipv4_addr",
        "flags": "interval" } });
    let bits = json!({ "&": [meta("mark"), 15, 7] });
    let mut commands = chain("inet", 0, "accept", &[json!([set_mark(meta("mark"), bits)])]);
    commands.insert(1, json!({ "add": set }));
    let read = |target: &str| {
        let target = Some(target.parse().unwrap());
        let read = read(&document(&commands), &Options { target, ..Options::default() });
        let errors = read.err().into_iter().flatten();
        errors.map(|error| error.to_string()).collect::<Vec<_>>()
    };
    let flags = "command 2: `flags` would be refused: only nft 1.1.4 and newer take this form";
    let operands =
        "command 6: `operands` would be refused: only nft 1.1.0 and newer take this form";
    assert_eq!(read("1.0.6"), [flags, operands]);
    assert_eq!(read("1.1.3"), [flags]);
    assert_eq!(read("1.1.4"), [""; 0]);
}

#[test]
fn only_what_is_there_in_the_end_is_read() {
    let add = |object: Value| json!({ "add": object });
    let delete = |object: Value| json!({ "delete": object });
    let of = |kind: &str| json!({ kind: { "family": "inet", "table": "t", "name": "c" } });
    let unknown = json!({ "rule": { "family": "ip6", "table": "t", "chain": "c",
        "expr": [{ "not known": null }] } });
    let mut commands = vec![
        json!({ "metainfo": { "version": "1.1.7", "json_schema_version": 1 } }),
        add(table("ip6", "t")),
        add(json!({ "chain": { "family": "ip6", "table": "t", "name": "c" } })),
        add(unknown),
        delete(table("ip6", "t")),
        add(table("ip", "t")),
        add(table("ip", "t")),
        json!({ "destroy": table("ip6", "t") }),
    ];
    commands.extend(chain("inet", -5, "accept", &[json!([{ "log": null }])]));
    commands.extend([
        json!({ "flush": of("chain") }),
        rule("add", "drop"),
        rule("insert", "accept"),
        json!({ "create": { "chain": { "family": "inet", "table": "t", "name": "d" } } }),
        delete(json!({ "chain": { "family": "inet", "table": "t", "name": "a" } })),
        json!({ "counter": { "family": "inet", "table": "t", "name": "x", "packets": 5 } }),
    ]);
    insta::assert_snapshot!(left(&commands), @"
    table t for IPv4

    table t for IPv4 and IPv6
      chain b
      chain c, filter at output, priority -5
        always: accept
        always: drop
      chain d
    ");
    commands.push(json!({ "flush": { "table": { "family": "inet", "name": "t" } } }));
    insta::assert_snapshot!(left(&commands), @"
    table t for IPv4

    table t for IPv4 and IPv6
      chain b
      chain c, filter at output, priority -5
      chain d
    ");
    commands.push(json!({ "flush": { "ruleset": null } }));
    assert_eq!(left(&commands), "");
}

#[test]
fn the_kernel_enters_no_chain_of_a_dormant_table() {
    let mut commands = chain("inet", 0, "drop", &[json!([{ "accept": null }])]);
    commands[0] = json!({ "table": { "family": "inet", "name": "t", "flags": "dormant" } });
    insta::assert_snapshot!(left(&commands), @"
    table t for IPv4 and IPv6
      chain a
      chain b
      chain c
        always: accept
    ");
}

#[test]
fn sets_are_those_of_the_end() {
    let elements = |verb: &str, elements: Value| {
        json!({ verb: { "element": { "family": "inet", "table": "t", "name": "s",
            "elem": elements } } })
    };
    let compared = json!([{ "match": { "op": "==", "left": { "payload": { "protocol": "ip",
        "field": "daddr" } }, "right": "@s" } }, { "drop": null }]);
    let mut commands = chain("inet", 0, "accept", &[compared]);
    commands.insert(1, named("s", "ipv4_addr", &json!(["10.0.0.1", "10.0.0.2"])));
    commands.insert(2, elements("delete", json!(["10.0.0.1"])));
    commands.push(elements("add", json!("10.0.0.3")));
    insta::assert_snapshot!(left(&commands), @"
    table t for IPv4 and IPv6
      chain a
      chain b
      chain c, filter at output, priority 0
        to 10.0.0.2/31: drop
    ");
    let filled = Options { filled: ["s".to_owned()].into(), ..Options::default() };
    let asked = read(&document(&commands), &filled).unwrap().ruleset;
    commands.push(json!({ "flush": { "set": { "family": "inet", "table": "t", "name": "s" } } }));
    insta::assert_snapshot!(left(&commands), @"
    table t for IPv4 and IPv6
      set s of IPv4 addresses, filled by others
      chain a
      chain b
      chain c, filter at output, priority 0
        IPv4, to set s: drop
    ");
    assert_eq!(in_words(&asked), left(&commands));
}

#[test]
fn a_policy_is_a_rule_at_the_end_that_returning_packets_meet() {
    let returns = json!([{ "return": null }]);
    insta::assert_snapshot!(left(&chain("inet", 0, "drop", &[json!([{ "accept": null }])])), @"
    table t for IPv4 and IPv6
      chain a
      chain b
      chain c, filter at output, priority 0
        always: accept
        always: drop
    ");
    insta::assert_snapshot!(left(&chain("inet", 0, "drop", &[returns])), @"
    table t for IPv4 and IPv6
      chain a
      chain b
      chain c, filter at output, priority 0
        always: jump c-rules
        always: drop
      chain c-rules
        always: return
    ");
}

#[test]
fn tables_of_others_are_passed_over_unread() {
    let foreign = |family: &str, name: &str| {
        [
            table(family, name),
            json!({ "chain": { "family": family, "table": name, "name": "x/y" } }),
            json!({ "rule": { "family": family, "table": name, "chain": "x/y",
                "expr": [{ "xt": null }] } }),
            json!({ "delete": { "rule": { "family": family, "table": name, "handle": 1 } } }),
        ]
    };
    let commands = [
        foreign("bridge", "any"),
        foreign("ip", "filter"),
        foreign("inet", "docker-x"),
        foreign("arp", "docker-y"),
    ];
    let commands = [commands.concat(), vec![table("ip6", "filter")]].concat();
    let leave_out = ["bridge *", "ip filter", "docker-*"].map(str::to_owned).into();
    let options = Options { leave_out, ..Options::default() };
    let found = read(&document(&commands), &options).unwrap();
    assert_eq!(
        in_words(&found.ruleset),
        "table filter for IPv4\n\ntable docker-x for IPv4 and IPv6\n\ntable filter for IPv6\n"
    );
    let tables = Some(["ip6 *".to_owned()].into());
    let options = Options { tables, ..Options::default() };
    let found = read(&document(&commands), &options).unwrap();
    assert_eq!(in_words(&found.ruleset), "table filter for IPv6\n");
}
