//! Small rulesets and packets that meet: few values, so that rules often match.

use std::collections::BTreeSet;
use std::net::IpAddr;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::ir::{
    Action, AddressSet, Also, Base, BuiltInTable, Chain, Condition, CtState, Direction, Effect,
    Hook, MarkChange, MaskPair, Match, Origin, Owner, OwnerIs, Protocol, Rule, Ruleset, Table,
    Target,
};
use crate::net::{
    Families, Family, Interface, Mark, Name, Nets, OnMiss, PortRange, PortSet, aggregate,
};
use crate::semantics::{Decided, End, Holds, InSet, Packet, Sender};

const HOOKS: [Hook; 4] = [Hook::Prerouting, Hook::Output, Hook::Input, Hook::Postrouting];
const PORTS: [u16; 5] = [0, 53, 80, 15001, 65535];
const IDS: [u32; 4] = [0, 1000, 1337, u32::MAX - 1];
const MARKS: [u32; 5] = [0, 1, 0x539, 0x111, 0xffff_ffff];
const MASKS: [u32; 4] = [u32::MAX, 0xfff, 0x0ff, 0];
const NAMES: [&str; 5] = ["lo", "eth0", "eth1", "net7", "virt"];

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn direction() -> impl Strategy<Value = Direction> {
    select(&[Direction::Source, Direction::Destination])
}

fn nets() -> impl Strategy<Value = Nets> {
    let v4 = ["10.0.0.0/8", "10.1.0.0/16", "127.0.0.1/32", "192.0.2.0/31", "0.0.0.0/0"];
    let v6 = ["fd00::/8", "::1/128", "::/0", "fd00::8/125"];
    let some = |nets: Vec<&'static str>, family| {
        let most = nets.len();
        subsequence(nets, 1..=most).prop_map(move |nets| {
            let nets: Vec<_> = nets.iter().map(|net| net.parse().unwrap()).collect();
            aggregate(&nets, family).unwrap()
        })
    };
    prop_oneof![some(v4.to_vec(), Family::Ipv4), some(v6.to_vec(), Family::Ipv6)]
}

fn ports() -> impl Strategy<Value = PortSet> {
    vec((select(&PORTS), select(&PORTS)), 1..3).prop_map(|pairs| {
        pairs.into_iter().filter_map(|(a, b)| PortRange::new(a.min(b), a.max(b))).collect()
    })
}

fn mark() -> impl Strategy<Value = Mark> {
    (select(&MARKS), select(&MASKS)).prop_map(|(mark, mask)| Mark::new(mark & mask, mask).unwrap())
}

fn owner_is() -> impl Strategy<Value = OwnerIs> {
    let ids = subsequence(vec![(0, 0), (5, 1000), (1337, 1337)], 1..=2);
    (ids, any::<bool>(), any::<bool>()).prop_map(|(ids, not, ownerless)| {
        if not { OwnerIs::NotIn { ids, ownerless } } else { OwnerIs::In(ids) }
    })
}

/// The set of the table at `table`.
fn pods(table: usize) -> Name {
    name(&format!("istio-pods-{table}"))
}

/// A match in the table at `table`, whose set no other table has.
fn matching(table: usize) -> impl Strategy<Value = Match> {
    let protocol = select(&[Protocol::Tcp, Protocol::Udp]);
    let names = subsequence(vec!["lo", "eth0", "eth*", "net7", "ne*"], 1..=2)
        .prop_map(|names| names.iter().map(|name| Interface::new(name).unwrap()).collect());
    let states = subsequence(CtState::ALL.to_vec(), 0..=3).prop_map(|s| s.into_iter().collect());
    prop_oneof![
        (protocol, any::<bool>()).prop_map(|(protocol, not)| Match::Protocol { protocol, not }),
        (direction(), ports(), any::<bool>()).prop_map(|(of, ports, not)| Match::Port {
            of,
            ports,
            not
        }),
        (direction(), nets(), any::<bool>()).prop_map(|(of, nets, not)| Match::Address {
            of,
            nets,
            not
        }),
        (direction(), any::<bool>()).prop_map(move |(of, not)| Match::InSet {
            of,
            set: pods(table),
            not
        }),
        (direction(), names, any::<bool>()).prop_map(|(of, names, not)| Match::Interface {
            of,
            names,
            not
        }),
        (select(&[Owner::User, Owner::Group]), owner_is())
            .prop_map(|(owner, is)| Match::Owner { owner, is }),
        any::<bool>().prop_map(|not| Match::SocketExists { not }),
        (mark(), any::<bool>()).prop_map(|(mark, not)| Match::Mark { mark, not }),
        (mark(), any::<bool>()).prop_map(|(mark, not)| Match::Connmark { mark, not }),
        (states, any::<bool>()).prop_map(|(states, not)| Match::CtState { states, not }),
        (direction(), any::<bool>()).prop_map(|(of, not)| Match::Local { of, not }),
        Just(Match::TransparentSocket),
    ]
}

/// An action of a rule in the chain at `place`, which jumps only to later chains.
fn action(place: usize) -> impl Strategy<Value = Action> {
    let change =
        (select(&MASKS), select(&MARKS)).prop_map(|(clear, flip)| MarkChange { clear, flip });
    let masks = (select(&MASKS), select(&MASKS))
        .prop_map(|(packet, connection)| MaskPair { packet, connection });
    let later = select((place + 1..5).map(|place| format!("istio-c{place}")).collect::<Vec<_>>());
    let later = later.prop_map(|to| name(&to)).boxed();
    let on_miss = select(&[OnMiss::Drop, OnMiss::Continue]);
    prop_oneof![
        2 => Just(Action::Accept),
        2 => Just(Action::Drop),
        2 => Just(Action::Return),
        3 => later.clone().prop_map(Action::Jump),
        1 => later.prop_map(Action::Goto),
        3 => select(&[15001, 15006]).prop_map(|port| Action::Redirect { port }),
        1 => Just(Action::Snat { to: "10.0.0.1".parse().unwrap() }),
        2 => (select(&["127.0.0.1", "10.0.0.1", "::1", "fd00::1"]), select(&[None, Some(53)]))
            .prop_map(|(to, port)| Action::Dnat { to: to.parse().unwrap(), port }),
        2 => (change.clone(), select(&[15006, 15007]), on_miss)
            .prop_map(|(mark, port, on_miss)| Action::Tproxy { port, mark, on_miss }),
        2 => change.clone().prop_map(Action::SetMark),
        1 => change.clone().prop_map(Action::MarkAndAccept),
        2 => change.prop_map(Action::SetConnmark),
        1 => masks.clone().prop_map(Action::SaveMark),
        1 => masks
            // Bits of no mark: nft would clear the rest for packets without a connection too.
            .prop_filter("no bits", |masks| masks.connection != 0)
            .prop_map(Action::RestoreMark),
        1 => select(&[1, 2]).prop_map(Action::SetZone),
        1 => Just(Action::Log),
    ]
}

fn rules(table: usize, place: usize) -> impl Strategy<Value = Vec<Rule>> {
    let families = select(&[Families::Ipv4, Families::Ipv6, Families::Both, Families::Both]);
    let transport = select(&[Protocol::Tcp, Protocol::Udp]);
    let rule = (families, transport, vec(matching(table), 0..3), action(place)).prop_map(
        |(families, protocol, mut when, then)| {
            // What the IR asks of the rules with these actions.
            let families = match then {
                Action::Snat { to } | Action::Dnat { to, .. } if to.is_ipv4() => Families::Ipv4,
                Action::Snat { .. } | Action::Dnat { .. } => Families::Ipv6,
                _ => families,
            };
            if matches!(
                then,
                Action::Redirect { .. }
                    | Action::Tproxy { .. }
                    | Action::Dnat { port: Some(_), .. }
            ) {
                when.push(Match::Protocol { protocol, not: false });
            }
            Rule { families, when, then, origin: Origin::FOREIGN, also: Also::NOTHING }
        },
    );
    // Some rules twice in a row but for their addresses, as rulesets without sets have them.
    (vec((rule, any::<bool>(), nets()), 0..4)).prop_map(|rules| {
        rules
            .into_iter()
            .flat_map(|(rule, twice, nets)| {
                let mut again = rule.clone();
                for when in &mut again.when {
                    if let Match::Address { nets: old, .. } = when {
                        *old = nets.clone();
                    }
                }
                if twice { vec![rule, again] } else { vec![rule] }
            })
            .collect()
    })
}

fn table(place: usize) -> impl Strategy<Value = Table> {
    let families = select(&[Families::Both, Families::Both, Families::Ipv4]);
    let kernel = select(&[BuiltInTable::Raw, BuiltInTable::Mangle, BuiltInTable::Nat]);
    let chains = (rules(place, 0), rules(place, 1), rules(place, 2), rules(place, 3));
    let hooks = select(&[[0, 1], [0, 1], [2, 3], [1, 3], [0, 3]]);
    // Priorities of their own, and at times the kernel's, so that some tie.
    let late = prop_oneof![4 => Just(None), 1 => select(&[-200, -160, -100, -90, 0, 100, 110]).prop_map(Some)];
    (families, kernel, chains, hooks, late).prop_map(
        move |(families, kernel, rules, hooks, late)| {
            let base = |at: usize| {
                let base = kernel.base(HOOKS[hooks[at]])?;
                Some(Base { priority: late.unwrap_or(base.priority), ..base })
            };
            let chain = |name: &str, base, rules| Chain { name: self::name(name), base, rules };
            let chains = vec![
                chain("istio-c0", base(0), rules.0),
                chain("istio-c1", base(1), rules.1),
                chain("istio-c2", None, rules.2),
                chain("istio-c3", None, rules.3),
            ];
            let sets = vec![AddressSet { name: pods(place), family: Family::Ipv4 }];
            Table { name: name(&format!("istio-t{place}")), families, sets, chains }
        },
    )
}

/// Up to three tables, each with two base chains and two others. Some jumps lead nowhere.
pub(crate) fn ruleset() -> impl Strategy<Value = Ruleset> {
    (table(0), table(1), table(2), 1_usize..=3).prop_map(|(a, b, c, count)| {
        let mut tables = vec![a, b, c];
        tables.truncate(count);
        Ruleset { tables }
    })
}

/// A question that rules of others ask: one that the packet alone decides, or a rule's own.
fn condition(text: &str, asked_by: Option<&str>) -> Condition {
    let asked_by = asked_by.map(Into::into);
    Condition { text: text.into(), asked_by, is_understood: true, is_usual: false }
}

fn conditions() -> [Condition; 3] {
    [condition("-m bpf", None), condition("-m recent", None), condition("-m limit", Some("here"))]
}

/// What makes a rule one of others, that no backend writes.
fn opaque() -> impl Strategy<Value = (Option<Match>, Option<Action>)> {
    let asked = (select(conditions().to_vec()), any::<bool>());
    let asked = asked.prop_map(|(condition, not)| Match::Opaque { condition, not });
    let other = select(&[1, 58]).prop_map(Protocol::Other);
    let other = (other, any::<bool>());
    let other = other.prop_map(|(protocol, not)| Match::Protocol { protocol, not });
    let effect = prop_oneof![
        Just(Effect::Stays),
        Just(Effect::Takes),
        any::<bool>().prop_map(|to_this_machine| Effect::Translates { to_this_machine }),
        select(conditions().to_vec()).prop_map(Effect::Unknown),
    ];
    let target = (select(&["REJECT", "NFQUEUE"]), effect);
    let target =
        target.prop_map(|(text, effect)| Action::Opaque(Target { text: text.into(), effect }));
    let when = prop_oneof![asked, other];
    prop_oneof![
        Just((None, Some(Action::Notrack))),
        when.clone().prop_map(|when| (Some(when), None)),
        target.clone().prop_map(|then| (None, Some(then))),
        (when, target).prop_map(|(when, then)| (Some(when), Some(then))),
    ]
}

/// The same as [`ruleset`], with rules that only others write.
pub(super) fn ruleset_of_others() -> impl Strategy<Value = Ruleset> {
    (ruleset(), vec((any::<prop::sample::Index>(), opaque()), 1..6)).prop_map(
        |(mut ruleset, changes)| {
            for (at, (when, then)) in changes {
                let mut rules: Vec<&mut Rule> = ruleset.rules_mut().collect();
                if rules.is_empty() {
                    break;
                }
                let count = rules.len();
                let rule = &mut *rules[at.index(count)];
                rule.when.extend(when);
                rule.then = then.unwrap_or_else(|| rule.then.clone());
            }
            ruleset
        },
    )
}

/// The same as [`packet`], with answers to what the model leaves open.
pub(super) fn packet_of_others() -> impl Strategy<Value = Packet> {
    let holds = (select(conditions().to_vec()), any::<bool>());
    let holds = holds.prop_map(|(condition, translated)| Holds::asked(&condition, translated));
    let protocol = select(&[None, None, Some(Protocol::Other(1)), Some(Protocol::Other(58))]);
    (packet(), protocol, select(&PORTS), btree_set(holds, 0..5)).prop_map(
        |(packet, protocol, translated_port, holds)| {
            let protocol = packet.protocol.or(protocol);
            Packet { protocol, translated_port, holds, ..packet }
        },
    )
}

fn sender() -> impl Strategy<Value = Sender> {
    prop_oneof![
        3 => (select(&IDS), select(&IDS))
            .prop_map(|(user, group)| Sender::Process { user, group }),
        1 => Just(Sender::Kernel),
        1 => Just(Sender::Nobody),
    ]
}

/// What is decided of a translation, for a packet in `state`.
fn decided(state: CtState, v4: bool) -> impl Strategy<Value = Decided> {
    let address = if v4 { "192.0.2.1" } else { "2001:db8::1" };
    let becomes = select(&PORTS).prop_map(|port| Decided::Becomes(address.parse().unwrap(), port));
    let becomes = becomes.boxed();
    match state {
        CtState::New | CtState::Related => {
            prop_oneof![3 => Just(Decided::Nothing), 1 => Just(Decided::Unchanged), 1 => becomes]
                .boxed()
        }
        CtState::Established => prop_oneof![Just(Decided::Unchanged), becomes].boxed(),
        CtState::Invalid | CtState::Untracked => Just(Decided::Unchanged).boxed(),
    }
}

/// A packet at a hook that translates.
pub(super) fn packet() -> impl Strategy<Value = Packet> {
    let v4 = ["10.0.0.7", "10.1.0.1", "127.0.0.1", "192.0.2.1", "9.9.9.9"];
    let v6 = ["fd00::9", "::1", "2001:db8::1"];
    let pair = |addresses: Vec<&'static str>| (select(addresses.clone()), select(addresses));
    let addresses = prop_oneof![pair(v4.to_vec()), pair(v6.to_vec())];
    let protocol = select(&[Some(Protocol::Tcp), Some(Protocol::Udp), None]);
    let heads = (select(&HOOKS), protocol, addresses, select(&PORTS), select(&PORTS));
    let marks = (select(&MARKS), select(&MARKS), any::<u32>(), select(&CtState::ALL));
    let ends = || btree_set(select(&[End::Source, End::Destination, End::Translated]), 0..3);
    let rest = (btree_set(select(&[15006_u16, 15007]), 0..3), ends(), ends(), any::<bool>());
    let packet = (heads, select(&NAMES), sender(), marks, rest).prop_map(
        |((hook, protocol, (from, to), sport, dport), interface, sender, marks, rest)| {
            let address = |text: &str| text.parse::<IpAddr>().unwrap();
            let port = |port| if protocol.is_some() { port } else { 0 };
            let interface = |exists: bool| exists.then(|| interface.to_owned());
            Packet {
                hook,
                protocol,
                source: address(from),
                destination: address(to),
                source_port: port(sport),
                destination_port: port(dport),
                input: interface(hook.has_input()),
                output: interface(hook.has_output()),
                sender: match (hook, sender) {
                    (Hook::Prerouting, Sender::Kernel) => Sender::Nobody,
                    (_, sender) => sender,
                },
                mark: marks.0,
                connmark: marks.1 ^ (marks.2 & 0xff00),
                state: marks.3,
                no_listener: rest.0,
                translation: Decided::Unchanged,
                interface_address: address(from),
                translated_port: 15001,
                sets: rest.1.into_iter().map(in_pods).collect(),
                local: rest.2,
                transparent_socket: rest.3,
                holds: BTreeSet::new(),
            }
        },
    );
    packet.prop_flat_map(|packet| {
        let decided = decided(packet.state, packet.destination.is_ipv4());
        decided.prop_map(move |translation| Packet { translation, ..packet.clone() })
    })
}

fn in_pods(end: End) -> InSet {
    InSet { end, table: Some("istio-t0".to_owned()), set: pods(0) }
}
