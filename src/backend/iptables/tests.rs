//! What is written for iptables, as tables of facts.

use super::{emit, teardown, unsupported};
use crate::ir::{
    Action, AddressSet, Also, Base, BuiltInTable, Chain, ChainKind, CtState, Direction, Hook,
    MarkChange, MaskPair, Match, Origin, Owner, OwnerIs, Protocol, Rule, Ruleset, Table,
};
use crate::net::{Families, Family, Interface, Mark, Name, OnMiss, PortRange, PortSet, aggregate};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn rule(when: Vec<Match>, then: Action) -> Rule {
    Rule { families: Families::Both, when, then, origin: Origin::ENTRY, also: Also::NOTHING }
}

/// A ruleset with one base chain of `kernel` at `hook`, and a chain `istio-test` with `rules`.
fn ruleset(kernel: BuiltInTable, hook: Hook, rules: Vec<Rule>) -> Ruleset {
    let enter = rule(Vec::new(), Action::Jump(name("istio-test")));
    let base = Chain { name: name("entry"), base: kernel.base(hook), rules: vec![enter] };
    let test = Chain { name: name("istio-test"), base: None, rules };
    let sets = vec![AddressSet { name: name("istio-pods"), family: Family::Ipv4 }];
    let table =
        Table { name: name("istio-x"), families: Families::Both, sets, chains: vec![base, test] };
    Ruleset { tables: vec![table] }
}

/// What stands behind `-A ISTIO_TEST` for one rule.
fn lines(family: Family, kernel: BuiltInTable, when: Vec<Match>, then: Action) -> Vec<String> {
    let text = emit(&ruleset(kernel, Hook::Prerouting, vec![rule(when, then)]), family).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("-A ISTIO_TEST "));
    lines.map(str::to_owned).collect()
}

fn ports(ranges: &[(u16, u16)]) -> PortSet {
    ranges.iter().map(|(first, last)| PortRange::new(*first, *last).unwrap()).collect()
}

#[test]
fn a_set_becomes_a_rule_for_every_item() {
    use Direction::{Destination, Source};
    let nets = ["10.0.0.0/8", "192.0.2.1/32", "::1/128"].map(|net| net.parse().unwrap());
    let v4 = aggregate(&nets, Family::Ipv4).unwrap();
    let v6 = aggregate(&nets, Family::Ipv6).unwrap();
    let half =
        aggregate(&["0.0.0.0/2".parse().unwrap(), "64.0.0.0/4".parse().unwrap()], Family::Ipv4)
            .unwrap();
    let tcp = Match::Protocol { protocol: Protocol::Tcp, not: false };
    let many: Vec<_> = (1..=16).map(|port| (port * 2, port * 2)).collect();
    let owner = |is| Match::Owner { owner: Owner::User, is };
    for (when, expected) in [
        (
            vec![Match::Address { of: Destination, nets: v4.clone(), not: false }],
            vec!["-d 10.0.0.0/8 -j RETURN", "-d 192.0.2.1/32 -j RETURN"],
        ),
        (vec![Match::Address { of: Source, nets: v6, not: true }], vec![]),
        (
            vec![Match::Address { of: Source, nets: half, not: true }],
            vec!["-s 80.0.0.0/4 -j RETURN", "-s 96.0.0.0/3 -j RETURN", "-s 128.0.0.0/1 -j RETURN"],
        ),
        (
            vec![Match::Port { of: Destination, ports: ports(&[(80, 80), (90, 99)]), not: false }],
            vec![
                "-p tcp -m multiport --dports 80,90:99 -j RETURN",
                "-p udp -m multiport --dports 80,90:99 -j RETURN",
            ],
        ),
        (
            vec![tcp.clone(), Match::Port { of: Source, ports: ports(&many), not: false }],
            vec![
                "-p tcp -m multiport --sports 2,4,6,8,10,12,14,16,18,20,22,24,26,28,30 -j RETURN",
                "-p tcp -m multiport --sports 32 -j RETURN",
            ],
        ),
        (
            vec![tcp.clone(), Match::Port { of: Source, ports: ports(&many), not: true }],
            vec![
                "-p tcp -m multiport ! --sports 2,4,6,8,10,12,14,16,18,20,22,24,26,28,30 -m multiport ! --sports 32 -j RETURN",
            ],
        ),
        (vec![Match::Protocol { protocol: Protocol::Tcp, not: true }], vec!["! -p tcp -j RETURN"]),
        (
            vec![
                tcp.clone(),
                Match::Interface {
                    of: Source,
                    names: ["eth0", "eth*", "lo"].map(|n| Interface::new(n).unwrap()).to_vec(),
                    not: false,
                },
            ],
            vec!["-p tcp -i eth+ -j RETURN", "-p tcp -i lo -j RETURN"],
        ),
        (
            vec![owner(OwnerIs::NotIn { ids: vec![(1, 1), (3, 5)], ownerless: true })],
            vec!["-m owner ! --uid-owner 1 -m owner ! --uid-owner 3-5 -j RETURN"],
        ),
        (
            vec![owner(OwnerIs::NotIn { ids: vec![(1, 1), (3, 5)], ownerless: false })],
            vec![
                "-m owner --uid-owner 0 -j RETURN",
                "-m owner --uid-owner 2 -j RETURN",
                "-m owner --uid-owner 6-4294967294 -j RETURN",
            ],
        ),
        (
            vec![
                Match::InSet { of: Destination, set: name("istio-pods"), not: true },
                Match::Mark { mark: Mark::new(1, 3).unwrap(), not: true },
                Match::Connmark { mark: Mark::exactly(7), not: false },
                Match::CtState { states: [CtState::New].into_iter().collect(), not: true },
            ],
            vec![
                "-m set ! --match-set istio-pods dst -m mark ! --mark 0x1/0x3 -m connmark --mark 0x7 -m conntrack ! --ctstate NEW -j RETURN",
            ],
        ),
        (vec![Match::CtState { states: [].into_iter().collect(), not: false }], vec![]),
    ] {
        let read = lines(Family::Ipv4, BuiltInTable::Mangle, when, Action::Return);
        assert_eq!(read, expected);
    }
}

#[test]
fn actions() {
    let change = MarkChange { clear: 0xff, flip: 0x11 };
    let masks = MaskPair { packet: 0xf, connection: 0xff };
    for (kernel, then, text) in [
        (BuiltInTable::Raw, Action::SetZone(2), "-j CT --zone 2"),
        (BuiltInTable::Mangle, Action::SetMark(change), "-j MARK --set-xmark 0x11/0xff"),
        (BuiltInTable::Mangle, Action::SetConnmark(change), "-j CONNMARK --set-xmark 0x11/0xff"),
        (
            BuiltInTable::Mangle,
            Action::SaveMark(masks),
            "-j CONNMARK --save-mark --nfmask 0xf --ctmask 0xff",
        ),
        (
            BuiltInTable::Mangle,
            Action::RestoreMark(masks),
            "-j CONNMARK --restore-mark --nfmask 0xf --ctmask 0xff",
        ),
        (BuiltInTable::Mangle, Action::Goto(name("istio-test2")), "-g ISTIO_TEST2"),
        (BuiltInTable::Mangle, Action::Log, "-j LOG"),
    ] {
        assert_eq!(lines(Family::Ipv6, kernel, Vec::new(), then), [text]);
    }
    assert_eq!(
        lines(Family::Ipv6, BuiltInTable::Mangle, Vec::new(), Action::MarkAndAccept(change)),
        ["-j MARK --set-xmark 0x11/0xff", "-j ACCEPT"]
    );
    let redirect = Action::Redirect { port: 15001 };
    assert_eq!(
        lines(Family::Ipv4, BuiltInTable::Nat, Vec::new(), redirect),
        ["-p tcp -j REDIRECT --to-ports 15001", "-p udp -j REDIRECT --to-ports 15001"]
    );
    let dnat = |to: &str, port| Action::Dnat { to: to.parse().unwrap(), port };
    for (family, then, texts) in [
        (Family::Ipv4, dnat("10.0.0.1", None), &["-j DNAT --to-destination 10.0.0.1"][..]),
        (Family::Ipv6, dnat("::1", None), &["-j DNAT --to-destination ::1"]),
        (
            Family::Ipv6,
            dnat("::1", Some(8600)),
            &[
                "-p tcp -j DNAT --to-destination [::1]:8600",
                "-p udp -j DNAT --to-destination [::1]:8600",
            ],
        ),
    ] {
        assert_eq!(lines(family, BuiltInTable::Nat, Vec::new(), then), texts);
    }
}

#[test]
fn the_whole_text() {
    let drop = rule(Vec::new(), Action::Drop);
    let ruleset = ruleset(BuiltInTable::Mangle, Hook::Output, vec![drop]);
    assert_eq!(
        emit(&ruleset, Family::Ipv4).unwrap(),
        "*mangle\n-N ISTIO_TEST\n-A OUTPUT -j ISTIO_TEST\n-A ISTIO_TEST -j DROP\nCOMMIT\n"
    );
    assert_eq!(
        teardown(&ruleset, Family::Ipv4).unwrap(),
        "*mangle\n-D OUTPUT -j ISTIO_TEST\n-F ISTIO_TEST\n-X ISTIO_TEST\nCOMMIT\n"
    );
}

#[test]
fn what_iptables_cannot_say_is_said_beforehand() {
    let interfaces = |not| Match::Interface {
        of: Direction::Source,
        names: ["a", "b"].map(|n| Interface::new(n).unwrap()).to_vec(),
        not,
    };
    let tproxy = |on_miss| Action::Tproxy { port: 1, mark: MarkChange::set(1), on_miss };
    let marks = || Action::MarkAndAccept(MarkChange::set(1));
    let neither =
        [Protocol::Tcp, Protocol::Udp].map(|protocol| Match::Protocol { protocol, not: true });
    for (rule, problems) in [
        (rule(vec![interfaces(false)], Action::Drop), 0),
        (rule(vec![interfaces(true)], Action::Drop), 1),
        (rule(Vec::new(), tproxy(OnMiss::Drop)), 0),
        (rule(Vec::new(), tproxy(OnMiss::Continue)), 1),
        (rule(Vec::new(), Action::SetZone(1)), 1),
        (rule(Vec::new(), marks()), 0),
        (rule(vec![Match::Mark { mark: Mark::exactly(2), not: false }], marks()), 1),
        (rule(neither.to_vec(), Action::Drop), 1),
        (rule(Vec::new(), Action::Jump(name("istio-test"))), 0),
    ] {
        let ruleset = ruleset(BuiltInTable::Mangle, Hook::Prerouting, vec![rule.clone()]);
        assert_eq!(unsupported(&ruleset).len(), problems, "{rule:?}");
    }
    let mut twice = ruleset(BuiltInTable::Raw, Hook::Output, Vec::new());
    twice.tables.extend(twice.tables.clone());
    assert_eq!(unsupported(&twice).len(), 1);
    let mut odd = ruleset(BuiltInTable::Raw, Hook::Output, Vec::new());
    odd.tables[0].chains[0].base =
        Some(Base { kind: ChainKind::Filter, hook: Hook::Output, priority: -299 });
    assert_eq!(unsupported(&odd).len(), 1);
}
