//! Rulesets made by hand, with the semantics of iptables.

use std::net::IpAddr;

use netweir::ir::{
    Action, AddressSet, Also, Base, Chain, ChainKind, ClauseText, Clauses, CtState, Direction,
    Hook, MarkChange, MaskPair, Match, Origin, Owner, OwnerIs, Protocol, Rule, Ruleset, Rung,
    Table,
};
use netweir::lower::istio::rungs;
use netweir::net::{Families, Family, Interface, Mark, Name, Nets, OnMiss, PortRange, PortSet};
use netweir::span::{Sources, Span};

/// The name `text`.
pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The tables of a sidecar.
pub(crate) fn sidecar_tables() -> Vec<Name> {
    ["istio-proxy-nat", "istio-proxy-mangle", "istio-proxy-raw"].map(name).to_vec()
}

/// The place of one clause.
fn span() -> Span {
    Span { file: Sources::default().add("policies/reviews.weir", ""), start: 20, end: 31 }
}

/// What the clause there says.
pub(crate) fn clauses() -> Clauses {
    let text = ClauseText { policy: "reviews".to_owned(), words: "mode tproxy".to_owned() };
    Clauses::from_iter([(span(), text)])
}

/// A rule for both families.
pub(crate) fn rule(rung: Rung, when: Vec<Match>, then: Action) -> Rule {
    Rule {
        families: Families::Both,
        when,
        then,
        origin: Origin::new(rung, None),
        also: Also::NOTHING,
    }
}

pub(crate) fn jump(to: &str) -> Action {
    Action::Jump(name(to))
}

pub(crate) fn tcp() -> Match {
    Match::Protocol { protocol: Protocol::Tcp, not: false }
}

pub(crate) fn udp() -> Match {
    Match::Protocol { protocol: Protocol::Udp, not: false }
}

pub(crate) fn dports(ports: &[(u16, u16)], not: bool) -> Match {
    let range = |&(first, last): &(u16, u16)| PortRange::new(first, last).unwrap();
    Match::Port {
        of: Direction::Destination,
        ports: ports.iter().map(range).collect::<PortSet>(),
        not,
    }
}

pub(crate) fn nets(of: Direction, text: &str, not: bool) -> Match {
    let all: Vec<_> = text.split(' ').map(|net| net.parse().unwrap()).collect();
    let family = if text.contains(':') { Family::Ipv6 } else { Family::Ipv4 };
    Match::Address { of, nets: netweir::net::aggregate(&all, family).unwrap(), not }
}

pub(crate) fn to(text: &str) -> Match {
    nets(Direction::Destination, text, false)
}

pub(crate) fn not_to(text: &str) -> Match {
    nets(Direction::Destination, text, true)
}

pub(crate) fn from(text: &str) -> Match {
    nets(Direction::Source, text, false)
}

pub(crate) fn interface(of: Direction, names: &[&str], not: bool) -> Match {
    let names = names.iter().map(|name| Interface::new(name).unwrap()).collect();
    Match::Interface { of, names, not }
}

pub(crate) fn out_lo() -> Match {
    interface(Direction::Destination, &["lo"], false)
}

pub(crate) fn owner(owner: Owner, ids: &[u32]) -> Match {
    Match::Owner { owner, is: OwnerIs::In(ids.iter().map(|&id| (id, id)).collect()) }
}

/// As iptables' `! --uid-owner` has it.
pub(crate) fn not_owner(owner: Owner, ids: &[u32]) -> Match {
    let ids = ids.iter().map(|&id| (id, id)).collect();
    Match::Owner { owner, is: OwnerIs::NotIn { ids, ownerless: true } }
}

pub(crate) fn mark(value: u32, mask: u32, not: bool) -> Match {
    Match::Mark { mark: Mark::new(value, mask).unwrap(), not }
}

pub(crate) fn connmark(value: u32, mask: u32) -> Match {
    Match::Connmark { mark: Mark::new(value, mask).unwrap(), not: false }
}

pub(crate) fn states(states: &[CtState], not: bool) -> Match {
    Match::CtState { states: states.iter().copied().collect(), not }
}

pub(crate) fn chain(text: &str, rules: Vec<Rule>) -> Chain {
    Chain { name: name(text), base: None, rules }
}

pub(crate) fn base(kind: ChainKind, hook: Hook, priority: i32, rules: Vec<Rule>) -> Chain {
    let text = match hook {
        Hook::Prerouting => "prerouting",
        Hook::Input => "input",
        Hook::Forward => "forward",
        Hook::Output => "output",
        Hook::Postrouting => "postrouting",
    };
    Chain { name: name(text), base: Some(Base { kind, hook, priority }), rules }
}

pub(crate) fn table(text: &str, families: Families, chains: Vec<Chain>) -> Table {
    Table { name: name(text), families, sets: Vec::new(), chains }
}

/// What Istio applies by default.
pub(crate) fn sidecar() -> Ruleset {
    let mut output = vec![
        rule(rungs::PASSTHROUGH, vec![out_lo(), from("127.0.0.6/32")], Action::Return),
        rule(rungs::PASSTHROUGH, vec![out_lo(), from("::6/128")], Action::Return),
    ];
    for kind in [Owner::User, Owner::Group] {
        for loopback in ["127.0.0.1/32", "::1/128"] {
            let call = vec![
                out_lo(),
                not_to(loopback),
                tcp(),
                dports(&[(15008, 15008)], true),
                owner(kind, &[1337]),
            ];
            output.push(rule(rungs::SELF_CALL, call, jump("istio-in-redirect")));
        }
        output.extend([
            rule(rungs::LOCAL, vec![out_lo(), not_owner(kind, &[1337])], Action::Return),
            rule(rungs::FROM_PROXY, vec![owner(kind, &[1337])], Action::Return),
        ]);
    }
    output.extend([
        rule(rungs::LOOPBACK, vec![to("127.0.0.1/32")], Action::Return),
        rule(rungs::LOOPBACK, vec![to("::1/128")], Action::Return),
        rule(rungs::CAPTURED_DESTINATION, vec![tcp()], jump("istio-redirect")),
    ]);
    let redirect = |port| vec![rule(Rung::TO_PROXY, vec![tcp()], Action::Redirect { port })];
    let inbound = vec![
        rule(rungs::TUNNEL, vec![tcp(), dports(&[(15008, 15008)], false)], Action::Return),
        rule(
            rungs::INBOUND_EXCLUDED_PORT,
            vec![tcp(), dports(&[(15020, 15021), (15090, 15090)], false)],
            Action::Return,
        ),
        rule(rungs::INBOUND_CAPTURED_PORT, vec![tcp()], jump("istio-in-redirect")),
    ];
    Ruleset {
        tables: vec![table(
            "istio-proxy-nat",
            Families::Both,
            vec![
                base(
                    ChainKind::Nat,
                    Hook::Prerouting,
                    -100,
                    vec![rule(Rung::ENTRY, vec![tcp()], jump("istio-inbound"))],
                ),
                base(
                    ChainKind::Nat,
                    Hook::Output,
                    -100,
                    vec![rule(Rung::ENTRY, vec![], jump("istio-output"))],
                ),
                chain("istio-inbound", inbound),
                chain("istio-output", output),
                chain("istio-redirect", redirect(15001)),
                chain("istio-in-redirect", redirect(15006)),
            ],
        )],
    }
}

/// Something of everything: each kind of match in both senses, each action.
pub(crate) fn everything(families: Families) -> Ruleset {
    let mut output = destinations();
    output.extend(owners());
    output.extend(marks());
    let not_five = rule(Rung::ENTRY, vec![not_owner(Owner::User, &[5])], Action::Return);
    let nat =
        vec![base(ChainKind::Nat, Hook::Output, -100, output), chain("sub-istio", vec![not_five])];
    let mangle = vec![base(ChainKind::Filter, Hook::Prerouting, -150, arrivals())];
    let raw = vec![base(ChainKind::Filter, Hook::Output, -300, zones())];
    let tables = [("nat", nat), ("mangle", mangle), ("raw", raw)];
    Ruleset {
        tables: tables
            .map(|(kind, chains)| table(&format!("istio-proxy-{kind}"), families, chains))
            .into(),
    }
}

fn destinations() -> Vec<Rule> {
    use Direction::{Destination, Source};
    let span = span();
    let many = (0..40).map(|at| format!("10.{at}.0.0/17")).collect::<Vec<_>>().join(" ");
    let many6 = (1..=9).map(|at| format!("2001:db8:{at}::/48")).collect::<Vec<_>>().join(" ");
    let ports: Vec<_> = (0..10).map(|at| (1000 + at * 100, 1010 + at * 100)).collect();
    let wild = ["eth1", "net*", "eth1", "veth*", "net1"];
    let port = |when| rule(rungs::OUTBOUND_EXCLUDED_PORT, when, Action::Return);
    let destination = |when| rule(rungs::EXCLUDED_DESTINATION, when, Action::Log);
    let mut rules = vec![
        rule(rungs::OUTBOUND_INTERFACE, vec![interface(Destination, &wild, false)], Action::Return),
        rule(rungs::OUTBOUND_INTERFACE, vec![interface(Destination, &wild, true)], Action::Log),
        port(vec![dports(&[(53, 53)], false)]),
        port(vec![dports(&ports, false)]),
        port(vec![dports(&ports, true), tcp()]),
        port(vec![dports(&[(0, 65535)], false)]),
        destination(vec![to(&many)]),
        destination(vec![to(&many6)]),
        destination(vec![nets(Source, &many, true)]),
        destination(vec![to("0.0.0.0/0")]),
        destination(vec![Match::Local { of: Source, not: false }]),
        destination(vec![tcp(), Match::Local { of: Destination, not: true }]),
    ];
    rules[3].origin.clause = Some(span);
    rules
}

fn owners() -> Vec<Rule> {
    let (users, group) = (not_owner(Owner::User, &[0, 1, 2]), not_owner(Owner::Group, &[7]));
    let redirect = Action::Redirect { port: 15001 };
    let one = |when, then| rule(rungs::GROUP, when, then);
    let ipv4 = Rule { families: Families::Ipv4, ..one(vec![], Action::Log) };
    let dnat = |to: &str, port| Action::Dnat { to: to.parse().unwrap(), port };
    vec![
        one(vec![udp(), dports(&[(53, 53)], false)], dnat("127.0.0.1", Some(8600))),
        one(vec![udp(), dports(&[(53, 53)], false)], dnat("::1", Some(8600))),
        one(vec![not_owner(Owner::Group, &[53])], dnat("10.0.34.16", None)),
        one(vec![not_owner(Owner::Group, &[201, 202])], Action::Return),
        one(vec![udp(), users, group], jump("sub-istio")),
        one(vec![tcp(), not_owner(Owner::User, &[33])], redirect),
        ipv4,
    ]
}

fn marks() -> Vec<Rule> {
    let one = |when, then| rule(rungs::TPROXY_LOCAL, when, then);
    let set = |clear, flip| MarkChange { clear, flip };
    let copy = MaskPair { packet: 0xfff, connection: u32::MAX };
    vec![
        one(vec![mark(0x539, u32::MAX, false)], Action::SetConnmark(set(0xfff, 0x111))),
        one(vec![mark(0x539, 0xfff, true)], Action::SetMark(set(0xff, 0xf11))),
        one(vec![connmark(0x111, 0xfff)], Action::RestoreMark(MaskPair::FULL)),
        one(vec![connmark(0, 0)], Action::SaveMark(copy)),
        one(vec![], Action::RestoreMark(MaskPair { packet: u32::MAX, connection: 0 })),
        one(vec![], Action::SetMark(set(0xff, 0))),
        one(vec![], Action::SetMark(set(0x10, 0x10))),
        one(vec![], Action::SetMark(set(0, 0x10))),
        one(vec![], Action::SetMark(MarkChange::set(1337))),
        one(vec![states(&[CtState::Invalid], false)], Action::Drop),
        one(vec![states(&[CtState::Invalid], true)], Action::Log),
        one(vec![states(&[CtState::New, CtState::Untracked], true)], Action::Log),
        one(vec![states(&[CtState::Established, CtState::Related], false)], Action::Accept),
    ]
}

fn arrivals() -> Vec<Rule> {
    let tproxy = |when, on_miss| {
        let mark = MarkChange::set(1337);
        rule(rungs::TPROXY_LOCAL, when, Action::Tproxy { port: 15006, mark, on_miss })
    };
    vec![
        tproxy(vec![tcp()], OnMiss::Drop),
        tproxy(vec![udp(), not_to("127.0.0.1/32")], OnMiss::Continue),
        tproxy(vec![not_to("::1/128")], OnMiss::Continue),
    ]
}

fn zones() -> Vec<Rule> {
    let one = |when, zone| rule(rungs::ZONE_QUERY, when, Action::SetZone(zone));
    let is = |owner, is| vec![Match::Owner { owner, is }];
    let none_of = |ids| OwnerIs::NotIn { ids, ownerless: false };
    let many = (0..12).map(|at| (at * 10, at * 10 + 4)).collect();
    vec![
        one(vec![udp(), dports(&[(53, 53)], false), owner(Owner::User, &[1337])], 1),
        one(is(Owner::User, OwnerIs::In(vec![(1, 5), (9, 9)])), 2),
        one(is(Owner::User, none_of(vec![(1, 5)])), 3),
        one(is(Owner::Group, none_of(vec![])), 4),
        one(is(Owner::Group, OwnerIs::In(many)), 65535),
    ]
}

/// The node's ruleset, whose sets others fill.
pub(crate) fn ambient_host(families: Families) -> Ruleset {
    let snat = |set: &str, to: &str| {
        let to: IpAddr = to.parse().unwrap();
        let in_set = Match::InSet { of: Direction::Destination, set: name(set), not: false };
        rule(
            rungs::HOST_PROBE,
            vec![tcp(), in_set, Match::SocketExists { not: false }],
            Action::Snat { to },
        )
    };
    let set = |text, family| AddressSet { name: name(text), family };
    let rules = vec![
        snat("istio-inpod-probes-v4", "169.254.7.127"),
        snat("istio-inpod-probes-v6", "fd16:9254:7127:1337:ffff:ffff:ffff:ffff"),
    ];
    let mut table = table(
        "istio-ambient-nat",
        families,
        vec![base(ChainKind::Nat, Hook::Postrouting, 100, rules)],
    );
    table.sets = vec![
        set("istio-inpod-probes-v4", Family::Ipv4),
        set("istio-inpod-probes-v6", Family::Ipv6),
    ];
    Ruleset { tables: vec![table] }
}

/// `count` prefixes that cannot be joined.
pub(crate) fn prefixes(count: u32) -> Nets {
    let nets: Vec<_> = (0..count)
        .map(|at| ipnet::Ipv4Net::new_assert((0x0100_0000 + at * 512).into(), 24).into())
        .collect();
    netweir::net::aggregate(&nets, Family::Ipv4).unwrap()
}

/// The default sidecar, with `count` excluded destinations.
pub(crate) fn sidecar_without(count: u32) -> Ruleset {
    let mut ruleset = sidecar();
    let excluded = Match::Address { of: Direction::Destination, nets: prefixes(count), not: false };
    let output = &mut ruleset.tables[0].chains[3].rules;
    output.insert(
        output.len() - 1,
        rule(rungs::EXCLUDED_DESTINATION, vec![excluded], Action::Return),
    );
    ruleset
}
