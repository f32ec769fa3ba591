//! What each form that nft lists means.

use serde_json::{Value, json};

use super::{compared, ct, equal, field, in_words, meta, named, read_rules, set_mark};
use crate::ir::{
    Action, CtState, Direction, MarkChange, MaskPair, Match, Owner, OwnerIs, Protocol, Rule,
};
use crate::net::{Families, Family, Interface, Mark, Name, OnMiss, PortRange, PortSet, aggregate};
use crate::reader::nft::Options;

/// The rules of a chain with one rule.
fn one(statements: &Value) -> Vec<Rule> {
    let sets = [
        named(
            "nets",
            "ipv4_addr",
            &json!([
                "10.9.0.1",
                { "prefix": { "addr": "10.8.0.0", "len": 16 } },
                { "range": ["10.0.0.0", "10.0.0.2"] },
                { "elem": { "val": "10.9.0.2", "comment": "x" } },
            ]),
        ),
        named("pods", "ipv6_addr", &Value::Null),
        json!({ "set": { "family": "inet", "table": "t", "name": "web", "handle": 7, "flags":
            ["constant"], "type": { "typeof": field("udp", "sport") }, "elem": [80, 443] } }),
    ];
    let ruleset = read_rules(&sets, std::slice::from_ref(statements), &Options::default())
        .unwrap_or_else(|errors| panic!("{statements}: {errors:?}"));
    let chain = ruleset.tables[0].chains.iter().find(|chain| chain.name.as_str() == "c");
    chain.unwrap().rules.clone()
}

/// The families and matches of a rule with these statements, which becomes one rule.
fn matches(statements: &[Value]) -> (Families, Vec<Match>) {
    let statements = [statements, &[json!({ "accept": null })]].concat();
    let rules = one(&Value::Array(statements.clone()));
    let [rule] = rules.as_slice() else { panic!("{statements:?}: {rules:?}") };
    assert_eq!(rule.then, Action::Accept);
    (rule.families, rule.when.clone())
}

fn ports(ranges: &[(u16, u16)]) -> PortSet {
    ranges.iter().map(|&(first, last)| PortRange::new(first, last).unwrap()).collect()
}

fn to_ports(ranges: &[(u16, u16)], not: bool) -> Match {
    Match::Port { of: Direction::Destination, ports: ports(ranges), not }
}

fn is(protocol: Protocol) -> Match {
    Match::Protocol { protocol, not: false }
}

fn is_not(protocol: Protocol) -> Match {
    Match::Protocol { protocol, not: true }
}

fn address(of: Direction, nets: &[&str], not: bool) -> Match {
    let nets: Vec<_> = nets.iter().map(|net| net.parse().unwrap()).collect();
    let family = if nets.iter().any(|net: &ipnet::IpNet| net.addr().is_ipv4()) {
        Family::Ipv4
    } else {
        Family::Ipv6
    };
    Match::Address { of, nets: aggregate(&nets, family).unwrap(), not }
}

fn names(of: Direction, names: &[&str], not: bool) -> Match {
    let names = names.iter().map(|name| Interface::new(name).unwrap()).collect();
    Match::Interface { of, names, not }
}

fn states(states: &[CtState], not: bool) -> Match {
    Match::CtState { states: states.iter().copied().collect(), not }
}

fn mark(value: u32, mask: u32, not: bool) -> Match {
    Match::Mark { mark: Mark::new(value, mask).unwrap(), not }
}

fn connmark(value: u32, mask: u32, not: bool) -> Match {
    Match::Connmark { mark: Mark::new(value, mask).unwrap(), not }
}

#[test]
fn protocols_and_ports() {
    use Protocol::{Tcp, Udp};
    let both = json!({ "set": ["tcp", "udp"] });
    let is_both = equal(meta("l4proto"), both.clone());
    let th = || field("th", "dport");
    for (statements, when) in [
        (vec![equal(meta("l4proto"), json!("tcp"))], vec![is(Tcp)]),
        (vec![equal(meta("l4proto"), json!(17))], vec![is(Udp)]),
        (vec![compared("!=", meta("l4proto"), json!("tcp"))], vec![is_not(Tcp)]),
        (vec![compared("!=", meta("l4proto"), both)], vec![is_not(Tcp), is_not(Udp)]),
        (vec![is_both.clone()], vec![to_ports(&[(0, 65535)], false)]),
        (vec![is_both.clone(), equal(th(), json!(53))], vec![to_ports(&[(53, 53)], false)]),
        (
            vec![equal(meta("l4proto"), json!("udp")), compared("!=", th(), json!(53))],
            vec![is(Udp), to_ports(&[(53, 53)], true)],
        ),
        (
            vec![equal(field("tcp", "dport"), json!({ "set": [80, { "range": [8000, 8001] }] }))],
            vec![is(Tcp), to_ports(&[(80, 80), (8000, 8001)], false)],
        ),
        (
            vec![
                equal(meta("l4proto"), json!("tcp")),
                equal(field("tcp", "dport"), json!({ "range": [1, 9] })),
            ],
            vec![is(Tcp), to_ports(&[(1, 9)], false)],
        ),
        (
            vec![equal(field("udp", "sport"), json!("@web"))],
            vec![
                is(Udp),
                Match::Port {
                    of: Direction::Source,
                    ports: ports(&[(80, 80), (443, 443)]),
                    not: false,
                },
            ],
        ),
        (
            vec![compared(">", field("tcp", "dport"), json!(1023))],
            vec![is(Tcp), to_ports(&[(1024, 65535)], false)],
        ),
        (
            vec![compared("<=", field("tcp", "dport"), json!("1023"))],
            vec![is(Tcp), to_ports(&[(0, 1023)], false)],
        ),
        (vec![compared("<", field("tcp", "dport"), json!(0))], vec![is(Tcp), to_ports(&[], false)]),
    ] {
        assert_eq!(matches(&statements), (Families::Both, when), "{statements:?}");
    }
}

#[test]
fn families_and_addresses() {
    use Direction::{Destination, Source};
    use Families::{Both, Ipv4, Ipv6};
    let prefix = json!({ "prefix": { "addr": "10.1.2.3", "len": 8 } });
    let nets = ["10.9.0.1/32", "10.8.0.0/16", "10.0.0.0/31", "10.0.0.2/32", "10.9.0.2/32"];
    let pods = Match::InSet { of: Destination, set: Name::new("pods").unwrap(), not: true };
    for (statement, families, when) in [
        (equal(meta("nfproto"), json!("ipv4")), Ipv4, vec![]),
        (compared("!=", meta("nfproto"), json!("ipv4")), Ipv6, vec![]),
        (equal(meta("nfproto"), json!({ "set": ["ipv4", "ipv6"] })), Both, vec![]),
        (equal(field("ip", "protocol"), json!("tcp")), Ipv4, vec![is(Protocol::Tcp)]),
        (
            equal(field("ip", "daddr"), json!("10.0.0.1")),
            Ipv4,
            vec![address(Destination, &["10.0.0.1/32"], false)],
        ),
        (
            compared("!=", field("ip", "saddr"), prefix),
            Ipv4,
            vec![address(Source, &["10.0.0.0/8"], true)],
        ),
        (
            equal(field("ip", "daddr"), json!("@nets")),
            Ipv4,
            vec![address(Destination, &nets, false)],
        ),
        (
            equal(
                field("ip6", "daddr"),
                json!({ "set": ["::1", { "range": ["fd00::2", "fd00::5"] }] }),
            ),
            Ipv6,
            vec![address(Destination, &["::1/128", "fd00::2/127", "fd00::4/127"], false)],
        ),
        (compared("!=", field("ip6", "daddr"), json!("@pods")), Ipv6, vec![pods]),
    ] {
        assert_eq!(matches(std::slice::from_ref(&statement)), (families, when), "{statement}");
    }
    let never = [equal(meta("nfproto"), json!("ipv4")), equal(field("ip6", "saddr"), json!("::1"))];
    assert_eq!(one(&Value::Array([&never[..], &[json!({ "drop": null })]].concat())), []);
}

#[test]
fn interfaces_owners_and_routes() {
    use Direction::{Destination, Source};
    let owner = |owner, is| vec![Match::Owner { owner, is }];
    let range = json!({ "range": [0, 4_294_967_294_u32] });
    let fib = |flags: Value| json!({ "fib": { "result": "type", "flags": flags } });
    let some = json!({ "set": [{ "range": [5, 9] }, 1, 10] });
    let local = |of, not| vec![Match::Local { of, not }];
    for (statement, when) in [
        (equal(meta("iifname"), json!("lo")), vec![names(Source, &["lo"], false)]),
        (compared("!=", meta("oifname"), json!("eth*")), vec![names(Destination, &["eth*"], true)]),
        (
            equal(meta("oifname"), json!({ "set": ["lo", "eth*", "lo"] })),
            vec![names(Destination, &["eth*", "lo"], false)],
        ),
        (equal(meta("skuid"), json!(1337)), owner(Owner::User, OwnerIs::In(vec![(1337, 1337)]))),
        (equal(meta("skgid"), range), owner(Owner::Group, OwnerIs::In(vec![(0, u32::MAX - 1)]))),
        (
            compared(">=", meta("skuid"), json!(0)),
            owner(Owner::User, OwnerIs::In(vec![(0, u32::MAX)])),
        ),
        (
            compared("!=", meta("skuid"), some),
            owner(Owner::User, OwnerIs::NotIn { ids: vec![(1, 1), (5, 10)], ownerless: false }),
        ),
        (equal(fib(json!(["saddr"])), json!("local")), local(Source, false)),
        (compared("!=", fib(json!("daddr")), json!("local")), local(Destination, true)),
    ] {
        assert_eq!(
            matches(std::slice::from_ref(&statement)),
            (Families::Both, when),
            "{statement}"
        );
    }
    let socket = |key: &str, right: u8| equal(json!({ "socket": { "key": key } }), json!(right));
    let transparent = [socket("transparent", 1), socket("wildcard", 0)];
    assert_eq!(matches(&transparent), (Families::Both, vec![Match::TransparentSocket]));
}

#[test]
fn marks_and_states() {
    use CtState::{Established, Invalid, Related};
    let and = |left: Value, mask: u32| json!({ "&": [left, mask] });
    let (packet, connection) = (|| meta("mark"), || ct("mark"));
    let known = json!(["established", "related"]);
    let set = json!({ "set": ["established", "related"] });
    let prefix = json!({ "prefix": { "addr": 4096, "len": 20 } });
    let all = json!({ "prefix": { "addr": 0, "len": 0 } });
    for (statement, when) in [
        (equal(packet(), json!(1337)), vec![mark(1337, u32::MAX, false)]),
        (compared("in", packet(), json!("0x539")), vec![mark(1337, u32::MAX, false)]),
        (compared("!=", and(packet(), 0xfff), json!(5)), vec![mark(5, 0xfff, true)]),
        (equal(and(connection(), 0xfff), json!(0x111)), vec![connmark(0x111, 0xfff, false)]),
        (equal(packet(), prefix), vec![mark(0x1000, 0xffff_f000, false)]),
        (equal(connection(), all), vec![connmark(0, 0, false)]),
        // `(mark & 0xff) | 1 == 3` says of bit 0 nothing, and of the rest 2.
        (equal(json!({ "|": [and(packet(), 0xff), 1] }), json!(3)), vec![mark(2, 0xfe, false)]),
        (equal(json!({ "^": [packet(), 5] }), json!(4)), vec![mark(1, u32::MAX, false)]),
        // No mark is like that; and for `!=`, every mark, of a packet that has one.
        (equal(and(packet(), 0xf), json!(0x10)), vec![mark(0, 0, true)]),
        (compared("!=", and(connection(), 0xf), json!(0x10)), vec![connmark(0, 0, false)]),
        (
            compared("!=", packet(), json!({ "set": [2, 1] })),
            vec![mark(1, u32::MAX, true), mark(2, u32::MAX, true)],
        ),
        (compared("in", ct("state"), known.clone()), vec![states(&[Established, Related], false)]),
        (compared("!", ct("state"), known.clone()), vec![states(&[Established, Related], true)]),
        (equal(ct("state"), set.clone()), vec![states(&[Established, Related], false)]),
        (compared("!=", ct("state"), set), vec![states(&[Established, Related], true)]),
        (compared("in", ct("state"), json!("invalid")), vec![states(&[Invalid], false)]),
        (equal(ct("state"), json!("invalid")), vec![states(&[Invalid], false)]),
        (compared("!=", ct("state"), json!("invalid")), vec![states(&[Invalid], true)]),
        // Nothing has both bits.
        (compared("!=", ct("state"), json!({ "|": ["new", "related"] })), vec![]),
    ] {
        assert_eq!(
            matches(std::slice::from_ref(&statement)),
            (Families::Both, when),
            "{statement}"
        );
    }
    let never = equal(ct("state"), known);
    assert_eq!(one(&json!([never, { "drop": null }])), []);
    let before = one(&json!([{ "log": null }, never, { "return": null }]));
    assert_eq!(before.into_iter().map(|rule| rule.then).collect::<Vec<_>>(), [Action::Log]);
}

#[test]
fn actions() {
    let tcp = equal(meta("l4proto"), json!("tcp"));
    let change = |clear, flip| MarkChange { clear, flip };
    let and = |left: Value, mask: u32| json!({ "&": [left, mask] });
    let (packet, connection) = (|| meta("mark"), || ct("mark"));
    let name = |text: &str| Name::new(text).unwrap();
    let all = u32::MAX;
    let tproxy = |mark| Action::Tproxy { port: 15006, mark, on_miss: OnMiss::Continue };
    for (statements, then) in [
        (json!([{ "accept": null }]), Action::Accept),
        (json!([{ "accept": {} }]), Action::Accept),
        (json!([{ "counter": { "packets": 1, "bytes": 2 } }, { "drop": null }]), Action::Drop),
        (json!([{ "counter": "x" }, { "return": null }]), Action::Return),
        (json!([{ "jump": { "target": "a" } }]), Action::Jump(name("a"))),
        (json!([{ "goto": { "target": "b" } }]), Action::Goto(name("b"))),
        (json!([{ "log": null }]), Action::Log),
        (json!([{ "log": { "prefix": "x", "group": 2 } }, { "continue": null }]), Action::Log),
        (json!([tcp, { "redirect": { "port": 15001 } }]), Action::Redirect { port: 15001 }),
        (
            json!([{ "snat": { "family": "ip6", "addr": "::5" } }]),
            Action::Snat { to: "::5".parse().unwrap() },
        ),
        (
            json!([tcp, { "dnat": { "family": "ip6", "addr": "::5", "port": 53 } }]),
            Action::Dnat { to: "::5".parse().unwrap(), port: Some(53) },
        ),
        (
            json!([{ "dnat": { "family": "ip", "addr": "10.0.0.5" } }]),
            Action::Dnat { to: "10.0.0.5".parse().unwrap(), port: None },
        ),
        (json!([set_mark(ct("zone"), json!(2))]), Action::SetZone(2)),
        (json!([tcp, { "tproxy": { "port": 15006 } }, { "accept": null }]), tproxy(change(0, 0))),
        (
            json!([tcp, { "tproxy": { "family": "ip", "port": 15006 } },
                set_mark(packet(), and(packet(), 0xf0)), { "counter": null },
                set_mark(packet(), json!({ "^": [packet(), 0x11] })), { "accept": null }]),
            tproxy(change(!0xf0, 0x11)),
        ),
        (json!([set_mark(packet(), json!(1337))]), Action::SetMark(change(all, 1337))),
        (json!([set_mark(packet(), and(packet(), 0xff))]), Action::SetMark(change(!0xff, 0))),
        (
            json!([set_mark(packet(), json!(1337)), { "accept": null }]),
            Action::MarkAndAccept(change(all, 1337)),
        ),
        (
            json!([set_mark(packet(), json!({ "|": [and(packet(), 0xffff_f539), 0x539] }))]),
            Action::SetMark(change(0xfff, 0x539)),
        ),
        (
            json!([set_mark(
                connection(),
                json!({ "|": [{ "^": [and(connection(), 0xffff_0001),
                0x10000] }, 1] })
            )]),
            Action::SetConnmark(change(0xffff, 0x1_0001)),
        ),
        (json!([set_mark(connection(), packet())]), Action::SaveMark(MaskPair::FULL)),
        (
            json!([set_mark(packet(), and(connection(), 0xff))]),
            Action::RestoreMark(MaskPair { packet: all, connection: 0xff }),
        ),
        (
            json!([set_mark(
                connection(),
                json!({ "|": [and(connection(), !0xff), and(packet(), 0xf)] })
            )]),
            Action::SaveMark(MaskPair { packet: 0xf, connection: 0xff }),
        ),
    ] {
        let rules = one(&statements);
        assert_eq!(rules.len(), 1, "{statements}: {rules:?}");
        assert_eq!(rules[0].then, then, "{statements}");
    }
    assert_eq!(one(&json!([{ "continue": null }])), []);
}

#[test]
fn a_rule_that_does_several_things_leads_to_chains_that_do() {
    let set = |value: u32| set_mark(meta("mark"), json!(value));
    let marked = || equal(meta("mark"), json!({ "set": [1, 2] }));
    let udp = || equal(meta("l4proto"), json!("udp"));
    let restore = || set_mark(meta("mark"), ct("mark"));
    let ruleset = read_rules(
        &[],
        &[
            json!([equal(meta("mark"), json!(1)), set(2), { "return": null }]),
            json!([set(3), udp(), { "log": null }, { "accept": null }]),
            json!([marked(), set(4)]),
            json!([marked(), { "drop": null }]),
            json!([restore(), { "goto": { "target": "a" } }]),
            json!([udp(), set(5), { "redirect": { "port": 15053 } }]),
            json!([set_mark(meta("mark"), json!({ "&": [ct("mark"), 0] }))]),
            json!([set_mark(meta("mark"), json!({ "^": [ct("mark"), 1] }))]),
        ],
        &Options::default(),
    );
    insta::assert_snapshot!(in_words(&ruleset.unwrap()), @"
    table t for IPv4 and IPv6
      chain a
      chain b
      chain c, filter at output, priority 0
        mark 0x1: go to c-then
        always: jump c-then-3
        always: jump c-either
        mark 0x1: drop
        mark 0x2: drop
        connection mark 0x0/0x0: go to c-then-5
        udp: jump c-then-6
        always: restore mark & 0xffffffff from connection mark & 0x0
        connection mark 0x0/0x0: jump c-then-7
      chain c-then
        always: set mark 0x2
      chain c-then-2
        always: log
        always: accept
      chain c-then-3
        always: set mark 0x3
        udp: jump c-then-2
      chain c-then-4
        always: set mark 0x4
      chain c-either
        mark 0x1: go to c-then-4
        mark 0x2: go to c-then-4
      chain c-then-5
        always: restore mark & 0xffffffff from connection mark & 0xffffffff
        always: go to a
      chain c-then-6
        always: set mark 0x5
        udp: redirect to port 15053
      chain c-then-7
        always: restore mark & 0xffffffff from connection mark & 0xffffffff
        always: set mark (old & 0xffffffff) ^ 0x1
    ");
}

#[test]
fn a_map_of_verdicts_is_a_rule_for_each_key() {
    let jump = |target: &str| json!({ "jump": { "target": target } });
    let ruleset = read_rules(
        &[json!({ "map": { "family": "inet", "table": "t", "name": "ports", "handle": 8,
            "type": "inet_service", "map": "verdict", "flags": "interval",
            "elem": [[{ "range": [22, 23] }, { "drop": null }], [25, { "continue": null }],
                ["*", jump("a")]] } })],
        &[
            json!([{ "vmap": { "key": field("tcp", "dport"), "data": "@ports" } }]),
            json!([equal(meta("mark"), json!(1)), { "vmap": { "key": meta("skuid"), "data":
                { "set": [[1337, { "return": null }], ["*", jump("b")]] } } }]),
            json!([{ "vmap": { "key": meta("l4proto"), "data":
                { "set": [["tcp", jump("a")], ["udp", jump("b")]] } } }]),
            json!([{ "vmap": { "key": ct("state"), "data":
                { "set": [["established", { "accept": null }], ["invalid", { "drop": null }]] } } }]),
            json!([{ "vmap": { "key": meta("mark"), "data":
                { "set": [[1, { "accept": null }], [2, jump("a")]] } } }]),
            json!([{ "vmap": { "key": field("ip", "saddr"), "data":
                { "set": [["10.0.0.1", { "accept": null }], ["*", { "drop": null }]] } } }]),
        ],
        &Options::default(),
    );
    insta::assert_snapshot!(in_words(&ruleset.unwrap()), @"
    table t for IPv4 and IPv6
      chain a
      chain b
      chain c, filter at output, priority 0
        tcp, to port 22-23: drop
        tcp, not to port { 22-23, 25 }: jump a
        mark 0x1, user 1337: return
        mark 0x1, not user 1337 (but some): jump b
        tcp: jump a
        udp: jump b
        established: accept
        invalid: drop
        mark 0x1: accept
        mark 0x2: jump a
        from 10.0.0.1/32: accept
        not from 10.0.0.1/32: drop
    ");
}
