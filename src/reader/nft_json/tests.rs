use serde_json::{Value, json};

use super::{Options, read};
use crate::ir::{
    Action, CtState, Direction, MarkChange, MaskPair, Match, Owner, OwnerIs, Protocol, Rule,
};
use crate::net::{Families, Family, Interface, Mark, Name, OnMiss, PortRange, PortSet, aggregate};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The rules that `expr` comes to in a chain of an `inet` table, with those of the helper chains.
fn rules(expr: &Value) -> Result<Vec<Vec<Rule>>, String> {
    let text = json!({ "nftables": [
        { "metainfo": { "json_schema_version": 1 } },
        { "add": { "table": { "family": "inet", "name": "istio-x" } } },
        { "set": { "family": "inet", "table": "istio-x", "name": "empty", "type": "ipv4_addr" } },
        { "set": {
            "family": "inet", "table": "istio-x", "name": "nets", "type": "ipv6_addr",
            "flags": ["interval"],
            "elem": [{ "prefix": { "addr": "fd00::", "len": 8 } }, { "elem": { "val": "::1" } }],
        } },
        { "chain": { "family": "inet", "table": "istio-x", "name": "other" } },
        { "chain": { "family": "inet", "table": "istio-x", "name": "test" } },
        { "rule": { "family": "inet", "table": "istio-x", "chain": "test", "expr": expr } },
    ] });
    let mut ruleset =
        read(&text.to_string(), &Options::default()).map_err(|errors| errors[0].to_string())?;
    let chains = ruleset.tables.remove(0).chains.into_iter().skip(1);
    Ok(chains.map(|chain| chain.rules).collect())
}

fn meta(key: &str, op: &str, right: &Value) -> Value {
    json!({ "match": { "op": op, "left": { "meta": { "key": key } }, "right": right } })
}

fn payload(protocol: &str, field: &str, op: &str, right: &Value) -> Value {
    let left = json!({ "payload": { "protocol": protocol, "field": field } });
    json!({ "match": { "op": op, "left": left, "right": right } })
}

fn ports(ranges: &[(u16, u16)]) -> PortSet {
    ranges.iter().map(|(first, last)| PortRange::new(*first, *last).unwrap()).collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of facts")]
fn matches() {
    use Direction::{Destination, Source};
    let tcp = Match::Protocol { protocol: Protocol::Tcp, not: false };
    let address = |of, nets: &[&str], family, not| {
        let nets: Vec<_> = nets.iter().map(|net| net.parse().unwrap()).collect();
        Match::Address { of, nets: aggregate(&nets, family).unwrap(), not }
    };
    let owner = |owner, is| Match::Owner { owner, is };
    let state = |op: &str, right: Value| json!({ "match": { "op": op, "left": { "ct": { "key": "state" } }, "right": right } });
    let states =
        |states: &[CtState], not| Match::CtState { states: states.iter().copied().collect(), not };
    let and = |of: &str| json!({ "&": [{ of: { "key": "mark" } }, 4095] });
    for (expr, families, when) in [
        (meta("nfproto", "==", &json!("ipv4")), Families::Ipv4, vec![]),
        (meta("nfproto", "!=", &json!("ipv4")), Families::Ipv6, vec![]),
        (meta("l4proto", "==", &json!(6)), Families::Both, vec![tcp.clone()]),
        (
            meta("l4proto", "!=", &json!({ "set": ["tcp", "udp"] })),
            Families::Both,
            vec![
                Match::Protocol { protocol: Protocol::Tcp, not: true },
                Match::Protocol { protocol: Protocol::Udp, not: true },
            ],
        ),
        (
            meta("l4proto", "==", &json!({ "set": ["tcp", "udp"] })),
            Families::Both,
            vec![Match::Port { of: Destination, ports: ports(&[(0, 65535)]), not: false }],
        ),
        (
            payload("tcp", "dport", "!=", &json!({ "set": [1, { "range": [3, 4] }] })),
            Families::Both,
            vec![tcp, Match::Port { of: Destination, ports: ports(&[(1, 1), (3, 4)]), not: true }],
        ),
        (
            payload("ip", "saddr", "!=", &json!({ "prefix": { "addr": "10.0.0.0", "len": 8 } })),
            Families::Both,
            vec![address(Source, &["10.0.0.0/8"], Family::Ipv4, true)],
        ),
        (
            payload("ip", "daddr", "==", &json!({ "range": ["1.1.1.0", "1.1.1.4"] })),
            Families::Both,
            vec![address(Destination, &["1.1.1.0/30", "1.1.1.4/32"], Family::Ipv4, false)],
        ),
        (
            payload("ip6", "daddr", "==", &json!("@nets")),
            Families::Both,
            vec![address(Destination, &["fd00::/8", "::1/128"], Family::Ipv6, false)],
        ),
        (
            payload("ip", "daddr", "!=", &json!("@empty")),
            Families::Both,
            vec![Match::InSet { of: Destination, set: name("empty"), not: true }],
        ),
        (
            meta("oifname", "!=", &json!({ "set": ["lo", "eth*"] })),
            Families::Both,
            vec![Match::Interface {
                of: Destination,
                names: vec![Interface::lo(), Interface::new("eth*").unwrap()],
                not: true,
            }],
        ),
        (
            meta("skuid", "==", &json!({ "range": [0, 4_294_967_294_u32] })),
            Families::Both,
            vec![owner(Owner::User, OwnerIs::In(vec![(0, u32::MAX - 1)]))],
        ),
        (
            meta("skgid", "!=", &json!({ "set": [7, 5] })),
            Families::Both,
            vec![owner(
                Owner::Group,
                OwnerIs::NotIn { ids: vec![(5, 5), (7, 7)], ownerless: false },
            )],
        ),
        (
            meta("skuid", ">=", &json!(0)),
            Families::Both,
            vec![owner(Owner::User, OwnerIs::In(vec![(0, u32::MAX)]))],
        ),
        (
            meta("mark", "!=", &json!("0x539")),
            Families::Both,
            vec![Match::Mark { mark: Mark::exactly(0x539), not: true }],
        ),
        (
            json!({ "match": { "op": "==", "left": and("ct"), "right": 273 } }),
            Families::Both,
            vec![Match::Connmark { mark: Mark::new(0x111, 0xfff).unwrap(), not: false }],
        ),
        (
            state("in", json!(["established", "related"])),
            Families::Both,
            vec![states(&[CtState::Established, CtState::Related], false)],
        ),
        (
            state("!=", json!({ "set": ["invalid", "new"] })),
            Families::Both,
            vec![states(&[CtState::Invalid, CtState::New], true)],
        ),
        (state("==", json!("invalid")), Families::Both, vec![states(&[CtState::Invalid], false)]),
        (
            json!({ "match": {
                "op": "==",
                "left": { "fib": { "result": "type", "flags": ["daddr"] } },
                "right": "local",
            } }),
            Families::Both,
            vec![Match::Local { of: Destination, not: false }],
        ),
    ] {
        let read = rules(&json!([expr.clone(), { "counter": null }, { "drop": null }])).unwrap();
        let rule = Rule { families, when, then: Action::Drop, origin: crate::ir::Origin::FOREIGN };
        assert_eq!(read, [[rule]], "{expr}");
    }
}

#[test]
fn statements() {
    let mark = |key: &str| json!({ key: { "key": "mark" } });
    let set = |key: Value, value: Value| json!({ "mangle": { "key": key, "value": value } });
    let all = u32::MAX;
    let change = |clear, flip| MarkChange { clear, flip };
    let and_or = |key: &str, and: u32, or: u32| json!({ "|": [{ "&": [mark(key), and] }, or] });
    for (statement, then) in [
        (json!({ "accept": null }), Action::Accept),
        (json!({ "return": null }), Action::Return),
        (json!({ "jump": { "target": "other" } }), Action::Jump(name("other"))),
        (json!({ "goto": { "target": "other" } }), Action::Goto(name("other"))),
        (json!({ "redirect": { "port": 15001 } }), Action::Redirect { port: 15001 }),
        (
            json!({ "snat": { "family": "ip", "addr": "9.9.9.9" } }),
            Action::Snat { to: "9.9.9.9".parse().unwrap() },
        ),
        (json!({ "log": { "prefix": "x" } }), Action::Log),
        (set(mark("meta"), json!(1337)), Action::SetMark(MarkChange::set(1337))),
        (
            set(mark("meta"), and_or("meta", 0xffff_f539, 0x539)),
            Action::SetMark(change(0xfff, 0x539)),
        ),
        (
            set(mark("ct"), and_or("ct", 0xffff_f000, 0x111)),
            Action::SetConnmark(change(0xfff, 0x111)),
        ),
        (
            set(mark("ct"), json!({ "^": [{ "&": [mark("ct"), 0xffff_ff00_u32] }, 0xf11] })),
            Action::SetConnmark(change(0xff, 0xf11)),
        ),
        (set(mark("ct"), mark("meta")), Action::SaveMark(MaskPair::FULL)),
        (
            set(mark("meta"), json!({ "&": [mark("ct"), 0xfff] })),
            Action::RestoreMark(MaskPair { packet: all, connection: 0xfff }),
        ),
        (
            set(
                mark("ct"),
                json!({ "|": [{ "&": [mark("ct"), 0xffff_f000_u32] }, { "&": [mark("meta"), 0xfff] }] }),
            ),
            Action::SaveMark(MaskPair { packet: 0xfff, connection: 0xfff }),
        ),
        (set(json!({ "ct": { "key": "zone" } }), json!(2)), Action::SetZone(2)),
    ] {
        let tcp = meta("l4proto", "==", &json!("tcp"));
        let read = rules(&json!([tcp, statement.clone()])).unwrap();
        let actions: Vec<_> = read.concat().into_iter().map(|rule| rule.then).collect();
        assert_eq!(actions, [then], "{statement}");
    }
}

#[test]
fn a_rule_that_does_several_things() {
    let mark = json!({ "mangle": { "key": { "meta": { "key": "mark" } }, "value": 1337 } });
    let tcp = meta("l4proto", "==", &json!("tcp"));
    let tproxy = json!({ "tproxy": { "family": "ip", "port": 15006 } });
    let read = rules(&json!([tcp, tproxy, mark, { "accept": null }])).unwrap();
    let [rule] = read.concat().try_into().unwrap();
    let mark_1337 = MarkChange::set(1337);
    assert_eq!(rule.families, Families::Ipv4);
    assert_eq!(
        rule.then,
        Action::Tproxy { port: 15006, mark: mark_1337, on_miss: OnMiss::Continue }
    );
    for (last, lead) in [
        (Action::Accept, Action::Jump(name("test-then-1"))),
        (Action::Return, Action::Goto(name("test-then-1"))),
    ] {
        let verdict = if last == Action::Accept { "accept" } else { "return" };
        let read = rules(&json!([mark, { verdict: null }])).unwrap();
        let actions: Vec<Vec<_>> = read
            .into_iter()
            .map(|rules| rules.into_iter().map(|rule| rule.then).collect())
            .collect();
        assert_eq!(actions, [vec![lead], vec![Action::SetMark(mark_1337), last]]);
    }
}

#[test]
fn what_is_not_known_is_an_error() {
    let drop = json!({ "drop": null });
    let ct = json!({ "mangle": { "key": { "meta": { "key": "mark" } }, "value": { "ct": { "key": "mark" } } } });
    for (expr, message) in [
        (json!([{ "xt": null }]), "object 6: cannot read this statement: {\"xt\":null}"),
        (json!([{ "limit": { "rate": 1 } }, drop]), "object 6: cannot read this statement"),
        (json!([meta("cgroup", "==", &json!(1)), drop]), "object 6: cannot read this match"),
        (
            json!([meta("iifname", "==", &json!("e\\*")), drop]),
            "object 6: cannot read this interface",
        ),
        (
            json!([payload("th", "dport", "==", &json!(53)), drop]),
            "object 6: cannot read this match",
        ),
        (json!([payload("ip", "daddr", "==", &json!("@nets")), drop]), "object 6: no set `nets`"),
        (json!([payload("ip", "daddr", "==", &json!("@none")), drop]), "object 6: no set `none`"),
        (json!([payload("ip", "ttl", "==", &json!(1)), drop]), "object 6: cannot read this match"),
        (
            json!([meta("mark", "==", &json!({ "set": [1, 2] })), drop]),
            "object 6: cannot read this match",
        ),
        (json!([{ "jump": { "target": "nowhere" } }]), "object 6: no chain `nowhere`"),
        (json!([{ "jump": { "target": "test" } }]), "object 0: chain `test` leads back to itself"),
        (
            json!([{ "redirect": { "port": 1 } }]),
            "object 6: cannot read this rule without a protocol",
        ),
        (json!([drop, meta("skuid", "==", &json!(1))]), "object 6: cannot read this match behind"),
        (json!([ct, drop]), "object 6: cannot read this statement behind one that needs"),
    ] {
        let error = rules(&expr).expect_err(&expr.to_string());
        assert!(error.starts_with(message), "{error}");
    }
    for (text, message) in [
        ("", "object 0: not libnftables JSON: EOF"),
        ("{}", "object 0: not libnftables JSON: no list `nftables`"),
        (
            r#"{"nftables":[{"table":{"family":"arp","name":"a"}}]}"#,
            "object 0: cannot read this family",
        ),
        (
            r#"{"nftables":[{"chain":{"family":"ip","table":"a","name":"b"}}]}"#,
            "object 0: no table `a`",
        ),
        (
            r#"{"nftables":[{"table":{"family":"ip","name":"a"}},{"chain":{"family":"ip","table":"a","name":"b","type":"nat","hook":"output","prio":"dstnat"}}]}"#,
            "object 1: cannot read this chain",
        ),
    ] {
        let errors = read(text, &Options::default()).expect_err(text);
        assert!(errors[0].to_string().starts_with(message), "{}", errors[0]);
    }
}

#[test]
fn other_tables_are_passed_over() {
    let text = r#"{"nftables":[{"table":{"family":"arp","name":"a"}},{"table":{"family":"ip","name":"istio-x"}}]}"#;
    let tables = Some(["istio-x".to_owned()].into());
    let ruleset = read(text, &Options { tables, ..Options::default() }).unwrap();
    assert_eq!(ruleset.tables.len(), 1);
    assert_eq!(ruleset.tables[0].families, Families::Ipv4);
}
