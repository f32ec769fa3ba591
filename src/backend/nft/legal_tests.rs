//! What legal rules look like, as tables of facts.

use crate::ir::{
    Action, AddressSet, Also, Base, Chain, ChainKind, CtState, Direction, Hook, MarkChange, Match,
    Origin, Owner, OwnerIs, Protocol, Rule, Ruleset, Table,
};
use crate::net::{Families, Family, Interface, Mark, Name, Nets, OnMiss, PortRange, PortSet};

use super::legal::legalise;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn rule(when: impl Into<Vec<Match>>, then: Action) -> Rule {
    Rule {
        families: Families::Both,
        when: when.into(),
        then,
        origin: Origin::ENTRY,
        also: Also::NOTHING,
    }
}

fn only(families: Families, rule: Rule) -> Rule {
    Rule { families, ..rule }
}

fn uid(ids: &[(u32, u32)]) -> Match {
    Match::Owner { owner: Owner::User, is: OwnerIs::In(ids.to_vec()) }
}

fn gid(id: u32) -> Match {
    Match::Owner { owner: Owner::Group, is: OwnerIs::In(vec![(id, id)]) }
}

/// As iptables has it.
fn not(owner: &Match) -> Match {
    let Match::Owner { owner, is: OwnerIs::In(ids) } = owner else { unreachable!() };
    Match::Owner { owner: *owner, is: OwnerIs::NotIn { ids: ids.clone(), ownerless: true } }
}

fn tcp() -> Match {
    Match::Protocol { protocol: Protocol::Tcp, not: false }
}

fn not_udp() -> Match {
    Match::Protocol { protocol: Protocol::Udp, not: true }
}

fn port(first: u16, last: u16, not: bool) -> Match {
    let ports = [PortRange::new(first, last).unwrap()].into_iter().collect();
    Match::Port { of: Direction::Destination, ports, not }
}

fn to(net: &str, not: bool) -> Match {
    let nets = Nets::from(net.parse::<ipnet::IpNet>().unwrap());
    Match::Address { of: Direction::Destination, nets, not }
}

fn out(names: &[&str], not: bool) -> Match {
    let names = names.iter().map(|name| Interface::new(name).unwrap()).collect();
    Match::Interface { of: Direction::Destination, names, not }
}

fn goto(chain: &str) -> Action {
    Action::Goto(name(chain))
}

fn jump(chain: &str) -> Action {
    Action::Jump(name(chain))
}

/// The chains that `rules`, in a chain `c` of a table for `families`, come to.
fn legal(families: Families, rules: Vec<Rule>) -> Vec<(String, Vec<Rule>)> {
    let base = Base { kind: ChainKind::Nat, hook: Hook::Output, priority: -100 };
    let chain = Chain { name: name("c"), base: Some(base), rules };
    let set = AddressSet { name: name("s"), family: Family::Ipv6 };
    let table = Table { name: name("t"), families, sets: vec![set], chains: vec![chain] };
    let mut ruleset = legalise(&Ruleset { tables: vec![table] });
    let table = ruleset.tables.remove(0);
    assert_eq!(table.chains[0].base, Some(base));
    table.chains.into_iter().map(|chain| (chain.name.to_string(), chain.rules)).collect()
}

/// What one rule comes to.
fn alone(families: Families, one: Rule) -> Vec<Rule> {
    let mut chains = legal(families, vec![one]);
    assert_eq!(chains.len(), 1, "{chains:?}");
    chains.remove(0).1
}

#[test]
fn a_match_that_always_holds_is_left_out_and_a_rule_that_never_matches_too() {
    let all_ports =
        |of| Match::Port { of, ports: [PortRange::ALL].into_iter().collect(), not: false };
    let any_transport = all_ports(Direction::Destination);
    let no_port = |not| Match::Port { of: Direction::Source, ports: PortSet::default(), not };
    let mark = |value, mask, not| Match::Mark { mark: Mark::new(value, mask).unwrap(), not };
    let connmark = |not| Match::Connmark { mark: Mark::new(0, 0).unwrap(), not };
    let states = |of: &[CtState], not| Match::CtState { states: of.iter().copied().collect(), not };
    let nobody = |ownerless| Match::Owner {
        owner: Owner::User,
        is: OwnerIs::NotIn { ids: vec![], ownerless },
    };
    // `None`: the rule goes. Else, what is left of its matches.
    for (when, left) in [
        (vec![], Some(vec![])),
        (vec![tcp(), not_udp()], Some(vec![tcp()])),
        (vec![not_udp()], Some(vec![not_udp()])),
        (vec![not_udp(), port(1, 9, true)], Some(vec![tcp(), port(1, 9, true)])),
        (vec![port(1, 9, true), tcp()], Some(vec![tcp(), port(1, 9, true)])),
        (vec![Match::Protocol { protocol: Protocol::Tcp, not: true }, tcp()], None),
        (vec![all_ports(Direction::Source)], Some(vec![any_transport.clone()])),
        (vec![all_ports(Direction::Source), tcp()], Some(vec![tcp()])),
        (vec![all_ports(Direction::Source), port(1, 9, true)], Some(vec![port(1, 9, true)])),
        (vec![no_port(true)], Some(vec![any_transport])),
        (vec![no_port(false)], None),
        (vec![to("0.0.0.0/0", true)], None),
        (vec![out(&[], false)], None),
        (vec![out(&[], true)], Some(vec![])),
        (vec![uid(&[])], None),
        (vec![nobody(true)], Some(vec![])),
        (vec![nobody(false)], Some(vec![uid(&[(0, u32::MAX)])])),
        (vec![mark(0, 0, false)], Some(vec![])),
        (vec![mark(0, 0, true)], None),
        (vec![connmark(false)], Some(vec![connmark(false)])),
        (vec![connmark(true)], None),
        (vec![states(&[], false)], None),
        (vec![states(&[], true)], Some(vec![])),
        (vec![states(&CtState::ALL, false)], Some(vec![])),
        (vec![states(&CtState::ALL, true)], None),
        (vec![mark(1, 1, true), mark(1, 1, true)], Some(vec![mark(1, 1, true)])),
    ] {
        let legal = alone(Families::Both, rule(when.clone(), Action::Accept));
        let expected: Vec<_> = left.iter().map(|left| rule(left.clone(), Action::Accept)).collect();
        assert_eq!(legal, expected, "{when:?}");
    }
    let nothing = MarkChange { clear: 0, flip: 0 };
    assert_eq!(alone(Families::Both, rule([], Action::SetMark(nothing))), []);
}

#[test]
fn a_rule_is_for_the_families_that_table_and_addresses_leave() {
    use Families::{Both, Ipv4, Ipv6};
    let in_set = Match::InSet { of: Direction::Source, set: name("s"), not: true };
    let snat = Action::Snat { to: "::1".parse().unwrap() };
    let dnat = Action::Dnat { to: "10.0.0.1".parse().unwrap(), port: None };
    for (table, one, families) in [
        (Both, rule([], Action::Drop), Some(Both)),
        (Ipv4, rule([], Action::Drop), Some(Ipv4)),
        (Both, only(Ipv6, rule([], Action::Drop)), Some(Ipv6)),
        (Ipv4, only(Ipv6, rule([], Action::Drop)), None),
        (Both, rule([to("10.0.0.0/8", true)], Action::Drop), Some(Ipv4)),
        (Both, rule([to("::/0", false)], Action::Drop), Some(Ipv6)),
        (Ipv4, rule([to("::/0", false)], Action::Drop), None),
        (Both, rule([in_set.clone()], Action::Drop), Some(Ipv6)),
        (Both, rule([to("10.0.0.0/8", false), in_set], Action::Drop), None),
        (Both, rule([], snat.clone()), Some(Ipv6)),
        (Ipv4, rule([], snat), None),
        (Both, rule([], dnat.clone()), Some(Ipv4)),
        (Families::Ipv6, rule([], dnat), None),
    ] {
        let legal: Vec<_> = alone(table, one.clone()).iter().map(|rule| rule.families).collect();
        assert_eq!(legal, families.into_iter().collect::<Vec<_>>(), "{one:?}");
    }
}

#[test]
fn interfaces_with_wildcards_stand_alone() {
    let rules = |all: &[&[&str]]| -> Vec<_> {
        all.iter().map(|names| rule([out(names, false)], Action::Return)).collect()
    };
    let legal = |names, not| alone(Families::Both, rule([out(names, not)], Action::Return));
    assert_eq!(legal(&["b", "a", "b"], false), rules(&[&["a", "b"]]));
    assert_eq!(
        legal(&["b", "net*", "a", "net1", "ne*", "v*"], false),
        rules(&[&["a", "b"], &["ne*"], &["v*"]])
    );
    assert_eq!(
        legal(&["b", "net*", "v*"], true),
        [rule([out(&["b"], true), out(&["net*"], true), out(&["v*"], true)], Action::Return)]
    );
}

#[test]
fn the_proxy_and_the_others_swap_places() {
    let (proxy, lo) = (uid(&[(1337, 1337)]), out(&["lo"], false));
    let local = rule([lo.clone(), not(&proxy)], Action::Return);
    let from_proxy = rule([proxy.clone()], Action::Return);
    let last = rule([tcp()], Action::Redirect { port: 1 });
    let swapped = rule([lo.clone()], Action::Return);
    assert_eq!(
        legal(Families::Both, vec![local.clone(), from_proxy.clone(), last.clone()]),
        [("c".into(), vec![from_proxy.clone(), swapped, last.clone()])]
    );

    // Not if the second is for less packets, does something else, or comes back.
    let helped = |then: &Action| {
        [rule([lo.clone()], jump("c-unless-owner")), rule([proxy.clone()], then.clone())]
    };
    let jumps = [jump("x"), jump("x")].map(|then| rule([proxy.clone()], then));
    let [_, second] = jumps;
    let first = rule([lo.clone(), not(&proxy)], jump("x"));
    assert_eq!(legal(Families::Both, vec![first, second])[0].1, helped(&jump("x")));
    let ipv4 = only(Families::Ipv4, from_proxy.clone());
    let chains = legal(Families::Both, vec![local.clone(), ipv4, last.clone()]);
    assert_eq!(chains[0].1.last(), Some(&rule([], goto("c-rest"))));
    let narrower = rule([proxy.clone(), tcp()], Action::Return);
    let chains = legal(Families::Both, vec![local, narrower, last]);
    assert_eq!(chains[0].1.last(), Some(&rule([], goto("c-rest"))));
}

#[test]
fn who_is_not_meant_goes_to_the_rest_of_the_chain() {
    let (users, group) = (uid(&[(1, 1), (3, 9)]), gid(7));
    let after = rule([tcp()], Action::Redirect { port: 15001 });
    let whole = rule([not(&uid(&[(3, 9)])), not(&uid(&[(1, 1)]))], Action::Return);
    assert_eq!(
        legal(Families::Both, vec![whole, after.clone()]),
        [
            ("c".into(), vec![rule([users.clone()], goto("c-rest")), rule([], Action::Return)]),
            ("c-rest".into(), vec![after.clone()]),
        ]
    );
    // Two kinds of owner, other conditions, another way out, and twice in a chain.
    let part = rule([tcp(), not(&users), not(&group)], goto("x"));
    let ipv4 = only(Families::Ipv4, rule([not(&group)], Action::Return));
    assert_eq!(
        legal(Families::Both, vec![part, ipv4, after.clone()]),
        [
            (
                "c".into(),
                vec![
                    rule([users], goto("c-rest")),
                    rule([group.clone()], goto("c-rest")),
                    rule([tcp()], goto("x")),
                    rule([], goto("c-rest")),
                ]
            ),
            (
                "c-rest".into(),
                vec![
                    rule([group.clone()], goto("c-rest-2")),
                    only(Families::Ipv4, rule([], Action::Return)),
                    rule([], goto("c-rest-2")),
                ]
            ),
            ("c-rest-2".into(), vec![after]),
        ]
    );
    // Nothing is left to go to.
    assert_eq!(
        alone(Families::Both, rule([not(&group)], goto("x"))),
        [rule([group], Action::Return), rule([], goto("x"))]
    );
}

#[test]
fn any_other_action_moves_to_a_chain_that_the_owner_leaves() {
    let proxy = uid(&[(1337, 1337)]);
    let redirect = Action::Redirect { port: 15001 };
    let when = [tcp(), port(80, 80, false), not(&proxy)];
    let last = rule([], Action::Accept);
    assert_eq!(
        legal(Families::Both, vec![rule(&when, redirect.clone()), last.clone()]),
        [
            ("c".into(), vec![rule([tcp(), port(80, 80, false)], jump("c-unless-owner")), last]),
            (
                "c-unless-owner".into(),
                vec![rule([proxy.clone()], Action::Return), rule([tcp()], redirect)]
            ),
        ]
    );
    // Who has one kind of owner has both, so the negation needs no chain.
    let (is_not, owned) = (not(&proxy), gid(7));
    let Match::Owner { owner, is: OwnerIs::NotIn { ids, .. } } = is_not.clone() else {
        unreachable!()
    };
    let plain = Match::Owner { owner, is: OwnerIs::NotIn { ids, ownerless: false } };
    assert_eq!(
        alone(Families::Both, rule([is_not, owned.clone()], Action::Drop)),
        [rule([plain, owned], Action::Drop)]
    );
}

#[test]
fn a_tproxy_that_drops_is_two_rules() {
    let mark = MarkChange::set(1337);
    let tproxy = |on_miss| Action::Tproxy { port: 15006, mark, on_miss };
    let when = [to("127.0.0.1/32", true), tcp()];
    let ipv4 = |then| only(Families::Ipv4, rule(&when, then));
    assert_eq!(
        alone(Families::Both, rule(&when, tproxy(OnMiss::Drop))),
        [ipv4(tproxy(OnMiss::Continue)), ipv4(Action::Drop)]
    );
    assert_eq!(
        alone(Families::Both, rule(&when, tproxy(OnMiss::Continue))),
        [ipv4(tproxy(OnMiss::Continue))]
    );
    let owned = gid(3);
    let chains = legal(
        Families::Both,
        vec![rule([tcp(), not(&owned)], tproxy(OnMiss::Drop)), rule([], Action::Log)],
    );
    assert_eq!(
        chains[1].1,
        [
            rule([owned], Action::Return),
            rule([tcp()], tproxy(OnMiss::Continue)),
            rule([tcp()], Action::Drop),
        ]
    );
}

#[test]
fn legal_is_legal_and_names_are_unique_and_short() {
    let long = "c".repeat(Name::MAX_LEN);
    let base = Chain {
        name: name(&long),
        base: None,
        rules: vec![
            rule([not(&gid(1))], Action::Return),
            rule([not(&gid(2))], Action::Return),
            rule([not(&gid(3))], Action::Accept),
        ],
    };
    let taken = Chain { name: name(&format!("{}-rest", &long[..58])), base: None, rules: vec![] };
    let table = Table {
        name: name("t"),
        families: Families::Both,
        sets: vec![],
        chains: vec![base, taken],
    };
    let once = legalise(&Ruleset { tables: vec![table] });
    let mut names: Vec<_> =
        once.tables[0].chains.iter().map(|chain| chain.name.to_string()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(legalise(&once), once);
}
