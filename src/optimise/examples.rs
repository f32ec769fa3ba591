//! What each pass makes of a few rules.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    assured, complement, hoist, inline, join, lengths, once, past, prune, together, unreached,
};
use crate::backend::dump::Words;
use crate::ir::{
    Action, Also, Base, BuiltInTable, Chain, Direction, Hook, MarkChange, Match, Origin, Owner,
    OwnerIs, Protocol, Rule, Rung, Table,
};
use crate::lower::istio::rungs;
use crate::net::{Families, Family, Interface, Mark, Name, PortRange, aggregate};

const TCP: Match = Match::Protocol { protocol: Protocol::Tcp, not: false };
const UDP: Match = Match::Protocol { protocol: Protocol::Udp, not: false };
const TO_PROXY: Action = Action::Redirect { port: 15001 };

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn jump(to: &str) -> Action {
    Action::Jump(name(to))
}

fn port(port: u16) -> Match {
    let ports = [PortRange::one(port)].into_iter().collect();
    Match::Port { of: Direction::Destination, ports, not: false }
}

fn out(interface: &str) -> Match {
    let names = vec![Interface::new(interface).unwrap()];
    Match::Interface { of: Direction::Destination, names, not: false }
}

fn user(not: bool) -> Match {
    let ids = vec![(5, 5)];
    let is = if not { OwnerIs::NotIn { ids, ownerless: true } } else { OwnerIs::In(ids) };
    Match::Owner { owner: Owner::User, is }
}

fn marked(mark: u32) -> Match {
    Match::Mark { mark: Mark::exactly(mark), not: false }
}

fn rule(when: &[Match], then: Action) -> Rule {
    let origin = Origin::ENTRY;
    Rule { families: Families::Both, when: when.to_vec(), then, origin, also: Also::NOTHING }
}

/// What `pass` makes of a table at output, chain by chain: its first chain is the base chain, and the others
/// are called `a` and `b`.
fn after(pass: fn(&mut Table), chains: &[&[Rule]]) -> Vec<String> {
    after_of(BuiltInTable::Mangle, pass, chains)
}

fn after_of(kernel: BuiltInTable, pass: fn(&mut Table), chains: &[&[Rule]]) -> Vec<String> {
    let base: Option<Base> = kernel.base(Hook::Output);
    let names = ["output", "a", "b"].iter().zip(chains);
    let chain = |(at, (text, rules)): (usize, (&&str, &&[Rule]))| Chain {
        name: name(text),
        base: base.filter(|_| at == 0),
        rules: rules.to_vec(),
    };
    let chains = names.enumerate().map(chain).collect();
    let mut table = Table { name: name("t"), families: Families::Both, sets: Vec::new(), chains };
    pass(&mut table);
    let words = |chain: &Chain| {
        let rules: Vec<String> = chain.rules.iter().map(|rule| Words(rule).to_string()).collect();
        format!("{}: {}", chain.name, rules.join(" | "))
    };
    table.chains.iter().map(words).collect()
}

fn join_all(table: &mut Table) {
    join::neighbours(table, join::Of::Any);
}

#[test]
fn lists_become_one() {
    let returns = |when: &[Match]| rule(when, Action::Return);
    let alternating = [
        returns(&[TCP, port(80)]),
        returns(&[UDP, port(80)]),
        returns(&[TCP, port(443)]),
        returns(&[UDP, port(443)]),
    ];
    assert_eq!(after(join_all, &[&alternating]), ["output: to port { 80, 443 }: return"]);
    // What is passed is about other ports.
    let takes_turns = [
        rule(&[TCP, port(80), marked(1)], jump("a")),
        rule(&[TCP, port(80)], jump("b")),
        rule(&[TCP, port(443), marked(1)], jump("a")),
        rule(&[TCP, port(443)], jump("b")),
    ];
    let apart = after(join_all, &[&takes_turns, &[], &[]]);
    let first = "tcp, to port { 80, 443 }, mark 0x1: jump a";
    assert_eq!(apart[0], format!("output: {first} | tcp, to port {{ 80, 443 }}: jump b"));
    // What is passed may take the packet.
    let in_order = [
        rule(&[port(80)], Action::Drop),
        rule(&[TCP], Action::Accept),
        rule(&[port(443)], Action::Drop),
    ];
    let kept = "output: to port 80: drop | tcp: accept | to port 443: drop";
    assert_eq!(after(join_all, &[&in_order]), [kept]);
    // Twice is not once: the second rule sees the mark that the first has set.
    let flips = Action::SetMark(MarkChange { clear: 0, flip: 1 });
    let twice = [rule(&[port(80)], flips.clone()), rule(&[port(80)], flips)];
    assert_eq!(after(join_all, &[&twice])[0].matches(" | ").count(), 1);
}

#[test]
fn one_of_several_says_why_of_each_and_first_what_it_is_most_about() {
    let because = |number, when: &[Match]| Rule {
        origin: Origin::new(Rung::new(number, "x"), None),
        ..rule(when, Action::Return)
    };
    let several = [
        because("A", &[TCP, port(1)]),
        because("B", &[TCP, port(2)]),
        because("B", &[TCP, port(4)]),
    ];
    let mut table = Table {
        name: name("t"),
        families: Families::Both,
        sets: Vec::new(),
        chains: vec![Chain { name: name("a"), base: None, rules: several.to_vec() }],
    };
    join::neighbours(&mut table, join::Of::OneOrigin);
    assert_eq!(table.chains[0].rules.len(), 2);
    join_all(&mut table);
    let [one] = &table.chains[0].rules[..] else { panic!("{table:#?}") };
    let numbers: Vec<&str> = one.origins().map(|origin| origin.rung.number()).collect();
    assert_eq!(numbers, ["B", "A"]);
}

#[test]
fn without_y_beside_y_is_all() {
    let rules =
        [rule(&[out("lo"), user(true)], Action::Return), rule(&[user(false)], Action::Return)];
    assert_eq!(after(complement::drop, &[&rules]), ["output: out lo: return | user 5: return"]);
    let other =
        [rule(&[out("lo"), user(true)], Action::Return), rule(&[user(false)], Action::Drop)];
    assert!(after(complement::drop, &[&other])[0].contains("not user 5"));
}

#[test]
fn what_no_packet_takes_is_left_out() {
    let taken = [rule(&[out("lo")], Action::Return), rule(&[out("lo"), TCP], TO_PROXY)];
    assert_eq!(after(unreached::drop, &[&taken]), ["output: out lo: return"]);
    let set = rule(&[], Action::SetMark(MarkChange::set(1)));
    let changed = [rule(&[marked(1)], Action::Return), set, rule(&[marked(1)], Action::Drop)];
    assert_eq!(after(unreached::drop, &[&changed])[0].matches(" | ").count(), 2);
}

#[test]
fn a_change_of_the_mark_accepts_where_the_next_rule_would() {
    let set = || Action::SetMark(MarkChange::set(1));
    let both = [rule(&[TCP], set()), rule(&[TCP], Action::Accept)];
    assert_eq!(after(together::neighbours, &[&both]), ["output: tcp: set mark 0x1 and accept"]);
    // It accepts others, too, or not all, or asks for what has changed.
    for accepted in [&[][..], &[TCP, port(80)], &[TCP, marked(2)]] {
        let apart = [rule(&[TCP], set()), rule(accepted, Action::Accept)];
        assert_eq!(after(together::neighbours, &[&apart])[0].matches(" | ").count(), 1);
    }
    let asked = [rule(&[marked(2)], set()), rule(&[marked(2)], Action::Accept)];
    assert_eq!(after(together::neighbours, &[&asked])[0].matches(" | ").count(), 1);
}

#[test]
fn whom_a_chain_leads_back_for_their_mark_go_past_it() {
    let inside = [rule(&[marked(1)], Action::Return), rule(&[TCP], TO_PROXY)];
    let jumps = [rule(&[out("lo")], jump("a"))];
    assert_eq!(
        after(past::chains, &[&jumps, &inside]),
        ["output: out lo, not mark 0x1: jump a", "a: tcp: redirect to port 15001"]
    );
    // Behind a goto, they would go on where that leads back to.
    let goes = [rule(&[out("lo")], jump("a")), rule(&[TCP], Action::Goto(name("a")))];
    let kept = after(past::chains, &[&goes, &inside]);
    assert_eq!(kept[1], "a: mark 0x1: return | tcp: redirect to port 15001");
    // A base chain is entered with any mark, and no other rule takes its packets out.
    let base = after(past::chains, &[&inside]);
    assert_eq!(base, ["output: mark 0x1: return | tcp: redirect to port 15001"]);
}

#[test]
fn a_chain_of_one_rule_is_that_rule() {
    let chains: [&[Rule]; 2] = [&[rule(&[out("lo")], jump("a"))], &[rule(&[TCP], TO_PROXY)]];
    let inlined = "output: out lo, tcp: redirect to port 15001";
    assert_eq!(after(inline::chains, &chains)[0], inlined);
    // Where connections enter, people look for the name.
    let entered = after_of(BuiltInTable::Nat, inline::chains, &chains);
    assert_eq!(entered[0], "output: out lo: jump a");
}

#[test]
fn what_each_way_asks_is_not_asked_again() {
    let both: [&[Rule]; 2] = [
        &[rule(&[TCP, out("lo")], jump("a")), rule(&[TCP, marked(1)], jump("a"))],
        &[
            rule(&[TCP, out("lo"), marked(1)], Action::Return),
            rule(&[TCP, port(1)], Action::Return),
        ],
    ];
    // Not every way asks for the interface, and marks may be others by then.
    let asked = "a: out lo, mark 0x1: return | tcp, to port 1: return";
    assert_eq!(after(assured::drop, &both)[1], asked);
}

#[test]
fn what_several_ask_is_asked_once() {
    let lo = |more: &[Match], then| rule(&[&[out("lo")], more].concat(), then);
    let whole: [&[Rule]; 2] = [
        &[rule(&[], jump("a")), rule(&[], Action::Drop)],
        &[
            lo(&[marked(1)], Action::Return),
            lo(&[marked(2)], TO_PROXY),
            lo(&[], Action::Return),
            rule(&[], TO_PROXY),
        ],
    ];
    let parted = after(once::ask, &whole);
    assert_eq!(parted[1], "a: out lo: go to a-lo | always: redirect to port 15001");
    assert!(parted[2].starts_with("a-lo: mark 0x1: return | "), "{parted:?}");
    // Who leaves the chain is dropped by its caller, and leaving the new one is not that.
    let open: [&[Rule]; 2] = [
        whole[0],
        &[lo(&[marked(1)], Action::Return), lo(&[marked(2)], TO_PROXY), lo(&[marked(3)], TO_PROXY)],
    ];
    assert_eq!(after(once::ask, &open).len(), 2);
    // Where nothing comes behind, leaving is accepting.
    let last: [&[Rule]; 2] = [&whole[0][..1], open[1]];
    let parted = after(once::ask, &last);
    assert_eq!(parted[1], "a: out lo: jump a-lo");
    assert!(parted[2].starts_with("a-lo: mark 0x1: accept | "), "{parted:?}");
}

#[test]
fn what_all_ask_is_asked_on_the_way() {
    let set = |zone| Action::SetZone(zone);
    let chains: [&[Rule]; 2] = [
        &[rule(&[], jump("a"))],
        &[rule(&[UDP, port(53)], set(1)), rule(&[UDP, marked(1)], set(2))],
    ];
    let hoisted = after(hoist::conditions, &chains);
    assert_eq!(
        hoisted,
        ["output: udp: jump a", "a: udp, to port 53: track in zone 1 | mark 0x1: track in zone 2"]
    );
}

#[test]
fn what_does_nothing_is_left_out() {
    let chains: [&[Rule]; 3] =
        [&[rule(&[TCP], jump("a")), rule(&[], Action::Drop)], &[rule(&[], jump("b"))], &[]];
    assert_eq!(after(prune::idle, &chains), ["output: always: drop"]);
    assert!(after(prune::idle, &[&[rule(&[], jump("a"))], &[]]).is_empty());
}

/// To networks of 24 bits, so many of them.
fn networks(count: u8) -> Vec<IpNet> {
    (0..count).map(|at| IpNet::new_assert([10, 1, 2 * at, 0].into(), 24)).collect()
}

fn to(nets: &[IpNet]) -> Match {
    let nets = aggregate(nets, Family::Ipv4).unwrap();
    Match::Address { of: Direction::Destination, nets, not: false }
}

#[test]
fn a_long_list_of_another_rung_stays_by_itself() {
    let one = rule(&[to(&[Family::Ipv4.loopback().into()])], Action::Return);
    let counts = |count: u8| {
        let origin = Origin::new(rungs::EXCLUDED_DESTINATION, None);
        let listed = Rule { origin, ..rule(&[to(&networks(count))], Action::Return) };
        after(join_all, &[&[listed, one.clone()]])[0].matches("return").count()
    };
    assert_eq!((counts(64), counts(65)), (1, 2));
}

#[test]
fn a_long_list_is_a_list_for_each_length() {
    let mut nets = networks(100);
    nets.extend((1..4).map(|at| IpNet::from(IpAddr::from([127, 0, 0, at]))));
    let parted = after(lengths::part, &[&[rule(&[TCP, to(&nets)], Action::Accept)]]);
    let rules: Vec<&str> = parted[0].split(" | ").collect();
    assert!(rules[0].starts_with("output: tcp, to { 10.1.0.0/24, 10.1.2.0/24, "), "{rules:?}");
    assert_eq!(rules[1..], ["tcp, to { 127.0.0.1/32, 127.0.0.2/31 }: accept"]);
}
