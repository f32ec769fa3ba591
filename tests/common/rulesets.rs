//! Rulesets made by hand, with the semantics of iptables.

use std::net::IpAddr;

use netweir::ir::{
    Action, AddressSet, Base, Chain, ChainKind, CtState, Direction, Hook, MarkChange, MaskPair,
    Match, Origin, Owner, OwnerIs, Protocol, Rule, Ruleset, Rung, Table,
};
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

/// A source file, and the place of one clause in it.
pub(crate) fn source() -> (Sources, Span) {
    let mut sources = Sources::default();
    let text = "sidecar reviews {\n  mode tproxy\n}\n";
    let file = sources.add("policies/reviews.weir", text);
    (sources, Span { file, start: 20, end: 31 })
}

/// A rule for both families.
pub(crate) fn rule(rung: Rung, when: Vec<Match>, then: Action) -> Rule {
    Rule { families: Families::Both, when, then, origin: Origin::new(rung, None) }
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
    use Rung::{
        CapturedDestination, Entry, FromProxy, InboundCapturedPort, InboundExcludedPort, Local,
        Loopback, Passthrough, SelfCall, ToProxy, Tunnel,
    };
    let mut output = vec![
        rule(Passthrough, vec![out_lo(), from("127.0.0.6/32")], Action::Return),
        rule(Passthrough, vec![out_lo(), from("::6/128")], Action::Return),
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
            output.push(rule(SelfCall, call, jump("istio-in-redirect")));
        }
        output.extend([
            rule(Local, vec![out_lo(), not_owner(kind, &[1337])], Action::Return),
            rule(FromProxy, vec![owner(kind, &[1337])], Action::Return),
        ]);
    }
    output.extend([
        rule(Loopback, vec![to("127.0.0.1/32")], Action::Return),
        rule(Loopback, vec![to("::1/128")], Action::Return),
        rule(CapturedDestination, vec![tcp()], jump("istio-redirect")),
    ]);
    let redirect = |port| vec![rule(ToProxy, vec![tcp()], Action::Redirect { port })];
    let inbound = vec![
        rule(Tunnel, vec![tcp(), dports(&[(15008, 15008)], false)], Action::Return),
        rule(
            InboundExcludedPort,
            vec![tcp(), dports(&[(15020, 15021), (15090, 15090)], false)],
            Action::Return,
        ),
        rule(InboundCapturedPort, vec![tcp()], jump("istio-in-redirect")),
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
                    vec![rule(Entry, vec![tcp()], jump("istio-inbound"))],
                ),
                base(
                    ChainKind::Nat,
                    Hook::Output,
                    -100,
                    vec![rule(Entry, vec![], jump("istio-output"))],
                ),
                chain("istio-inbound", inbound),
                chain("istio-output", output),
                chain("istio-redirect", redirect(15001)),
                chain("istio-in-redirect", redirect(15006)),
            ],
        )],
    }
}

/// One table with something of everything: each kind of match in both senses, each action.
pub(crate) fn everything(families: Families) -> Ruleset {
    use Direction::{Destination, Source};
    use Rung::{
        DropInvalid, ExcludedDestination, Group, OutboundCapturedPort, OutboundExcludedPort,
        OutboundInterface, TproxyLocal,
    };
    let (_, span) = source();
    let many = (0..40).map(|at| format!("10.{at}.0.0/17 ")).collect::<String>();
    let many6 = (1..=9).map(|at| format!("2001:db8:{at}::/48 ")).collect::<String>();
    let ports: Vec<_> = (0..10).map(|at| (1000 + at * 100, 1010 + at * 100)).collect();
    let one = rule;
    let mut output = vec![
        one(
            OutboundInterface,
            vec![interface(Destination, &["eth1", "net*", "eth1", "veth*", "net1"], false)],
            Action::Return,
        ),
        one(
            OutboundInterface,
            vec![interface(Destination, &["eth1", "eth2", "cni*"], true)],
            Action::Log,
        ),
        one(OutboundExcludedPort, vec![dports(&[(53, 53)], false)], Action::Return),
        one(OutboundExcludedPort, vec![dports(&ports, false)], Action::Return),
        one(OutboundCapturedPort, vec![dports(&ports, true), tcp()], Action::Log),
        one(OutboundCapturedPort, vec![dports(&[(0, 65535)], false)], Action::Log),
        one(ExcludedDestination, vec![to(many.trim())], Action::Return),
        one(ExcludedDestination, vec![to(many6.trim())], Action::Return),
        one(ExcludedDestination, vec![nets(Source, many.trim(), true)], Action::Log),
        one(ExcludedDestination, vec![to("0.0.0.0/0")], Action::Log),
        one(Group, vec![not_owner(Owner::Group, &[201, 202])], Action::Return),
        one(
            Group,
            vec![udp(), not_owner(Owner::User, &[0, 1, 2]), not_owner(Owner::Group, &[7])],
            jump("sub-istio"),
        ),
        one(Group, vec![tcp(), not_owner(Owner::User, &[33])], Action::Redirect { port: 15001 }),
        one(
            TproxyLocal,
            vec![mark(0x539, u32::MAX, false)],
            Action::SetConnmark(MarkChange { clear: 0xfff, flip: 0x111 }),
        ),
        one(
            TproxyLocal,
            vec![mark(0x539, 0xfff, true)],
            Action::SetMark(MarkChange { clear: 0xff, flip: 0xf11 }),
        ),
        one(TproxyLocal, vec![connmark(0x111, 0xfff)], Action::RestoreMark(MaskPair::FULL)),
        one(
            TproxyLocal,
            vec![connmark(0, 0)],
            Action::SaveMark(MaskPair { packet: 0xfff, connection: u32::MAX }),
        ),
        one(TproxyLocal, vec![], Action::SetMark(MarkChange { clear: 0xff, flip: 0 })),
        one(TproxyLocal, vec![], Action::SetMark(MarkChange { clear: 0x10, flip: 0x10 })),
        one(TproxyLocal, vec![], Action::SetMark(MarkChange { clear: 0, flip: 0x10 })),
        one(TproxyLocal, vec![], Action::SetMark(MarkChange::set(1337))),
        one(DropInvalid, vec![states(&[CtState::Invalid], false)], Action::Drop),
        one(DropInvalid, vec![states(&[CtState::Invalid], true)], Action::Log),
        one(DropInvalid, vec![states(&[CtState::New, CtState::Untracked], true)], Action::Log),
        one(
            DropInvalid,
            vec![states(&[CtState::Established, CtState::Related], false)],
            Action::Accept,
        ),
    ];
    output[3].origin.clause = Some(span);
    let mut v4 = one(Group, vec![], Action::Log);
    v4.families = Families::Ipv4;
    output.push(v4);
    let tproxy = |on_miss| Action::Tproxy { port: 15006, mark: MarkChange::set(1337), on_miss };
    let prerouting = vec![
        one(TproxyLocal, vec![tcp()], tproxy(OnMiss::Drop)),
        one(TproxyLocal, vec![udp(), not_to("127.0.0.1/32")], tproxy(OnMiss::Continue)),
        one(TproxyLocal, vec![not_to("::1/128")], tproxy(OnMiss::Continue)),
    ];
    let raw = vec![
        one(
            TproxyLocal,
            vec![udp(), dports(&[(53, 53)], false), owner(Owner::User, &[1337])],
            Action::SetZone(1),
        ),
        one(
            TproxyLocal,
            vec![Match::Owner { owner: Owner::User, is: OwnerIs::In(vec![(1, 5), (9, 9)]) }],
            Action::SetZone(2),
        ),
        one(
            TproxyLocal,
            vec![Match::Owner {
                owner: Owner::User,
                is: OwnerIs::NotIn { ids: vec![(1, 5)], ownerless: false },
            }],
            Action::Log,
        ),
        one(
            TproxyLocal,
            vec![Match::Owner {
                owner: Owner::Group,
                is: OwnerIs::NotIn { ids: vec![], ownerless: false },
            }],
            Action::Log,
        ),
        one(
            TproxyLocal,
            vec![Match::Owner {
                owner: Owner::Group,
                is: OwnerIs::In((0..12).map(|at| (at * 10, at * 10 + 4)).collect()),
            }],
            Action::Log,
        ),
    ];
    Ruleset {
        tables: vec![
            table(
                "istio-proxy-nat",
                families,
                vec![
                    base(ChainKind::Nat, Hook::Output, -100, output),
                    chain(
                        "sub-istio",
                        vec![one(Rung::Entry, vec![not_owner(Owner::User, &[5])], Action::Return)],
                    ),
                ],
            ),
            table(
                "istio-proxy-mangle",
                families,
                vec![base(ChainKind::Filter, Hook::Prerouting, -150, prerouting)],
            ),
            table(
                "istio-proxy-raw",
                families,
                vec![base(ChainKind::Filter, Hook::Output, -300, raw)],
            ),
        ],
    }
}

/// The node's ruleset, whose sets others fill.
pub(crate) fn ambient_host(families: Families) -> Ruleset {
    let snat = |set: &str, to: &str| {
        let to: IpAddr = to.parse().unwrap();
        let in_set = Match::InSet { of: Direction::Destination, set: name(set), not: false };
        rule(
            Rung::HostProbe,
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
    output
        .insert(output.len() - 1, rule(Rung::ExcludedDestination, vec![excluded], Action::Return));
    ruleset
}
