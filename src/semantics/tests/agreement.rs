//! One packet and all packets: the two ways to run a ruleset must say the same.

use proptest::collection::vec;
use proptest::prelude::*;

use super::arbitrary::{packet, packet_of_others, ruleset, ruleset_of_others};
use crate::ir::{Action, CtState, Direction, Match, OwnerIs, Rule, Ruleset};
use crate::net::{Families, Name};
use crate::semantics::diagram::Function;
use crate::semantics::field::Field;
use crate::semantics::space::{
    BECOMES, Bits, KERNEL, NOBODY, NOTHING, PROCESS, Space, UNCHANGED, number,
};
use crate::semantics::symbolic::fates;
use crate::semantics::{
    Decided, Outcome, Packet, Sender, Verdict, are_alike, compare, compare_beside, run,
};

/// The values of the variables that stand for `packet`.
fn variables(space: &Space, rulesets: &[&Ruleset], packet: &Packet) -> Vec<bool> {
    let mut values = vec![false; 2048];
    let mut set = |field: Field, number: u128| {
        for bit in 0..field.bits() {
            let value = number >> (field.bits() - 1 - bit) & 1 == 1;
            values[field.variable(bit) as usize] = value;
        }
    };
    let place = |found: Option<usize>| found.unwrap() as u128;
    // A protocol that no rule names is none of those that rules tell apart.
    let protocols = &space.protocols;
    let protocol = protocols.iter().position(|known| *known == packet.protocol);
    set(space.protocol, place(protocol.or(protocols.len().checked_sub(1))));
    set(space.state, place(CtState::ALL.iter().position(|state| *state == packet.state)));
    let (sender, user, group) = match packet.sender {
        Sender::Process { user, group } => (PROCESS, user, group),
        Sender::Kernel => (KERNEL, 0, 0),
        Sender::Nobody => (NOBODY, 0, 0),
    };
    set(space.sender, sender);
    set(space.user, user.into());
    set(space.group, group.into());
    for (of, field) in [(Direction::Source, space.input), (Direction::Destination, space.output)] {
        let alike = |class: &String| {
            class.is_empty() == packet.interface(of).is_empty()
                && all_rules(rulesets).flat_map(|rule| &rule.when).all(|when| match when {
                    Match::Interface { names, .. } => names
                        .iter()
                        .all(|name| name.matches(class) == name.matches(packet.interface(of))),
                    _ => true,
                })
        };
        let names = space.interfaces.names();
        let itself = names.iter().position(|class| class == packet.interface(of));
        set(field, place(itself.or_else(|| names.iter().position(alike))));
    }
    set(space.source_port, packet.source_port.into());
    set(space.destination_port, packet.destination_port.into());
    set(space.source, number(packet.source));
    set(space.destination, number(packet.destination));
    set(space.mark, packet.mark.into());
    set(space.connmark, packet.connmark.into());
    let (decided, address, port) = match packet.translation {
        Decided::Nothing => (NOTHING, packet.interface_address, packet.translated_port),
        Decided::Unchanged => (UNCHANGED, packet.interface_address, packet.translated_port),
        Decided::Becomes(address, port) => (BECOMES, address, port),
    };
    set(space.decided, decided);
    set(space.translated, number(address));
    set(space.translated_port, port.into());
    for (port, variable) in &space.listeners {
        values[*variable as usize] = !packet.no_listener.contains(port);
    }
    for (set, variable) in &space.sets {
        let table = set.table.as_deref().unwrap_or("istio-t0");
        values[*variable as usize] = packet.is_in(set.end, table, &set.set);
    }
    for (of, variable) in space.local {
        values[variable as usize] = packet.local.contains(&of);
    }
    values[space.transparent_socket as usize] = packet.transparent_socket;
    for (holds, variable) in &space.holds {
        values[*variable as usize] = packet.holds.contains(holds);
    }
    values
}

fn all_rules<'a>(rulesets: &'a [&Ruleset]) -> impl Iterator<Item = &'a Rule> {
    let tables = rulesets.iter().flat_map(|ruleset| &ruleset.tables);
    tables.flat_map(|table| &table.chains).flat_map(|chain| &chain.rules)
}

/// What the diagrams say of `packet`.
fn looked_up(ruleset: &Ruleset, packet: &Packet) -> Outcome {
    let mut space = Space::new(packet.hook, packet.family(), &[ruleset], &[]);
    let schedules = ruleset.schedules(packet.hook, packet.family()).unwrap();
    let fates = fates(&mut space, ruleset, &schedules[0]).unwrap();
    let values = variables(&space, &[ruleset], packet);
    let all = space.all();
    let holds = |function| space.diagrams.holds(function, |variable| values[variable as usize]);
    assert!(holds(all), "{packet}");
    let only = |keys: Vec<Function>| {
        let mut places = (0..keys.len()).filter(|at| holds(keys[*at]));
        let first = places.next();
        assert_eq!(places.next(), None);
        first
    };
    let mark = |bits: &Bits| {
        bits.iter().enumerate().fold(0, |mark, (shift, bit)| mark | u32::from(holds(*bit)) << shift)
    };
    let translations: Vec<_> = fates.translations.iter().collect();
    let proxies: Vec<_> = fates.proxies.iter().collect();
    let zones: Vec<_> = fates.zones.iter().collect();
    Outcome {
        verdict: match [fates.accepted, fates.taken].map(holds) {
            [true, false] => Verdict::Accept,
            [false, true] => Verdict::Taken,
            [false, false] => Verdict::Drop,
            [true, true] => panic!("accepted and taken: {packet}"),
        },
        untracked: holds(fates.exempt),
        targets: fates
            .targets
            .iter()
            .filter(|(_, at)| holds(**at))
            .map(|(text, _)| text.clone())
            .collect(),
        translation: only(translations.iter().map(|(_, at)| **at).collect())
            .map(|at| translations[at].0.clone()),
        tproxy: only(proxies.iter().map(|(_, at)| **at).collect()).map(|at| *proxies[at].0),
        zone: only(zones.iter().map(|(_, at)| **at).collect()).map(|at| *zones[at].0),
        mark: mark(&fates.mark),
        routed: mark(&fates.routed),
        connmark: mark(&fates.connmark),
    }
}

/// How a ruleset can be wrong in one place.
#[derive(Clone, Debug)]
pub(super) enum Mutation {
    Remove,
    Swap,
    Negate,
    DropMatch,
    Action(usize),
    Leave,
    Families,
}

pub(super) fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        Just(Mutation::Remove),
        Just(Mutation::Swap),
        Just(Mutation::Negate),
        Just(Mutation::DropMatch),
        (0_usize..40).prop_map(Mutation::Action),
        Just(Mutation::Leave),
        Just(Mutation::Families),
    ]
}

pub(super) fn mutate(ruleset: &Ruleset, mutation: &Mutation, at: usize) -> Ruleset {
    let mut mutant = ruleset.clone();
    let actions: Vec<_> = all_rules(&[ruleset]).map(|rule| rule.then.clone()).collect();
    let places: Vec<_> = (0..mutant.tables.len())
        .flat_map(|table| (0..mutant.tables[table].chains.len()).map(move |chain| (table, chain)))
        .flat_map(|(table, chain)| {
            let rules = mutant.tables[table].chains[chain].rules.len();
            (0..rules).map(move |rule| (table, chain, rule))
        })
        .collect();
    if places.is_empty() {
        return mutant;
    }
    let (table, chain, rule) = places[at % places.len()];
    let rules = &mut mutant.tables[table].chains[chain].rules;
    match mutation {
        Mutation::Remove => drop(rules.remove(rule)),
        Mutation::Swap => {
            let other = (rule + 1) % rules.len();
            rules.swap(rule, other);
        }
        Mutation::Negate => {
            if let Some(when) = rules[rule].when.first_mut() {
                negate(when);
            }
        }
        Mutation::DropMatch => drop(rules[rule].when.pop()),
        Mutation::Action(other) => {
            let then = actions[other % actions.len()].clone();
            // A jump from another chain may lead backwards, which the kernel refuses.
            if !matches!(then, Action::Jump(_) | Action::Goto(_)) {
                rules[rule].then = then;
            }
        }
        Mutation::Leave => {
            rules[rule].then = match rules[rule].then {
                Action::Return => Action::Accept,
                _ => Action::Return,
            };
        }
        Mutation::Families => {
            rules[rule].families = match rules[rule].families {
                Families::Both => Families::Ipv6,
                _ => Families::Both,
            };
        }
    }
    mutant
}

fn negate(when: &mut Match) {
    match when {
        Match::Protocol { not, .. }
        | Match::Port { not, .. }
        | Match::Address { not, .. }
        | Match::InSet { not, .. }
        | Match::Interface { not, .. }
        | Match::SocketExists { not }
        | Match::Mark { not, .. }
        | Match::Connmark { not, .. }
        | Match::CtState { not, .. }
        | Match::Local { not, .. }
        | Match::Opaque { not, .. } => *not = !*not,
        Match::Owner { is, .. } => {
            *is = match is.clone() {
                OwnerIs::In(ids) => OwnerIs::NotIn { ids, ownerless: true },
                OwnerIs::NotIn { ids, ownerless } => OwnerIs::NotIn { ids, ownerless: !ownerless },
            }
        }
        Match::TransparentSocket => *when = Match::SocketExists { not: false },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn one_packet_and_all_packets_agree(ruleset in ruleset(), packets in vec(packet(), 20)) {
        for packet in packets {
            prop_assert_eq!(looked_up(&ruleset, &packet), run(&ruleset, &packet).outcome);
        }
    }

    #[test]
    fn they_agree_on_rules_of_others(
        ruleset in ruleset_of_others(),
        packets in vec(packet_of_others(), 20),
    ) {
        for packet in packets {
            prop_assert_eq!(looked_up(&ruleset, &packet), run(&ruleset, &packet).outcome);
        }
    }

    #[test]
    fn a_mutant_of_rules_of_others_is_found_or_does_the_same(
        ruleset in ruleset_of_others(),
        mutation in mutation(),
        at in 0_usize..100,
        packets in vec(packet_of_others(), 100),
    ) {
        let mutant = mutate(&ruleset, &mutation, at);
        let differences = compare(&ruleset, &mutant).unwrap();
        for difference in &differences {
            prop_assert_ne!(&difference.left, &difference.right);
        }
        if are_alike(&ruleset, &mutant, false).unwrap() {
            prop_assert_eq!(&differences, &vec![]);
        }
        if differences.is_empty() {
            for packet in packets {
                prop_assert_eq!(run(&ruleset, &packet).outcome, run(&mutant, &packet).outcome);
            }
        }
    }

    #[test]
    fn a_mutant_is_found_or_does_the_same(
        ruleset in ruleset(),
        mutation in mutation(),
        at in 0_usize..100,
        packets in vec(packet(), 100),
    ) {
        let mutant = mutate(&ruleset, &mutation, at);
        let differences = compare(&ruleset, &mutant).unwrap();
        for difference in &differences {
            prop_assert_ne!(&difference.left, &difference.right);
            let text = difference.packet.to_string();
            prop_assert_eq!(text.parse(), Ok(difference.packet.clone()), "{}", text);
        }
        if differences.is_empty() {
            for packet in packets {
                prop_assert_eq!(run(&ruleset, &packet).outcome, run(&mutant, &packet).outcome);
            }
        }
    }

    #[test]
    fn a_ruleset_equals_itself_in_another_layout(ruleset in ruleset()) {
        let mut other = ruleset.clone();
        for table in &mut other.tables {
            for chain in &mut table.chains {
                chain.rules = chain.rules.drain(..).flat_map(|rule| by_item(&rule)).collect();
                chain.name = renamed(&chain.name);
            }
        }
        prop_assert_eq!(compare(&ruleset, &other), Ok(vec![]));
        prop_assert_eq!(compare_beside(&ruleset, &other, true), Ok(vec![]));
    }

    #[test]
    fn a_packet_is_read_back_from_its_line(packet in packet()) {
        let text = packet.to_string();
        prop_assert_eq!(text.parse(), Ok(packet), "{}", text);
    }
}

/// A chain's other name, but for base chains.
pub(super) fn renamed(name: &Name) -> Name {
    let is_base = ["istio-c0", "istio-c1"].contains(&name.as_str());
    if is_base { name.clone() } else { Name::new(&format!("{name}-x")).unwrap() }
}

/// One rule for every family and every address, and a jump's new name.
pub(super) fn by_item(rule: &Rule) -> Vec<Rule> {
    let then = match &rule.then {
        crate::ir::Action::Jump(to) => crate::ir::Action::Jump(renamed(to)),
        crate::ir::Action::Goto(to) => crate::ir::Action::Goto(renamed(to)),
        then => then.clone(),
    };
    let families = rule.families.iter().map(Families::from);
    let mut rules: Vec<_> =
        families.map(|families| Rule { families, then: then.clone(), ..rule.clone() }).collect();
    for place in 0..rule.when.len() {
        if let Match::Address { of, nets, not: false } = &rule.when[place] {
            rules = rules
                .into_iter()
                .flat_map(|rule| {
                    nets.iter().map(move |net| {
                        let mut rule = rule.clone();
                        rule.when[place] = Match::Address { of: *of, nets: net.into(), not: false };
                        rule
                    })
                })
                .collect();
        }
    }
    rules
}
