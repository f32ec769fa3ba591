//! What is answered fast is answered as the comparison answers it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::agreement::{by_item, mutate, mutation, renamed};
use super::arbitrary::ruleset;
use crate::ir::{Match, OwnerIs, Ruleset};
use crate::reader::nft;
use crate::semantics::compare::{Scope, pairs, places};
use crate::semantics::diagram::Function;
use crate::semantics::equality::are_alike;
use crate::semantics::exact::Exact;
use crate::semantics::space::Space;
use crate::semantics::structure::Structure;
use crate::semantics::witness::packet;
use crate::semantics::{compare, compare_beside};

/// Whether the comparison finds nothing.
fn is_equal(left: &Ruleset, right: &Ruleset) -> bool {
    compare(left, right) == Ok(vec![]) && compare_beside(left, right, true) == Ok(vec![])
}

/// Whether every hook of both is built the same.
fn is_built_the_same(left: &Ruleset, right: &Ruleset) -> bool {
    places(&[left, right]).into_iter().all(|(hook, family)| {
        let schedules = [left, right].map(|side| side.schedules(hook, family).unwrap());
        Structure::of(family).is_same([&schedules[0], &schedules[1]])
    })
}

/// The ruleset with other names, one rule for each address and family, and matches in another order.
fn spelled_otherwise(ruleset: &Ruleset) -> Ruleset {
    let mut other = ruleset.clone();
    for table in &mut other.tables {
        for chain in &mut table.chains {
            chain.rules = chain.rules.drain(..).flat_map(|rule| by_item(&rule)).collect();
            chain.rules.iter_mut().for_each(|rule| rule.when.reverse());
            chain.name = renamed(&chain.name);
        }
    }
    other
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn classes_of_numbers_are_fine_enough(
        ruleset in ruleset(),
        mutations in vec((mutation(), 0_usize..100), 1..3),
    ) {
        let mutant = mutations.iter().fold(ruleset.clone(), |ruleset, (mutation, at)| {
            mutate(&ruleset, mutation, *at)
        });
        prop_assert_eq!(are_alike(&ruleset, &mutant, true), Ok(is_equal(&ruleset, &mutant)));
    }

    #[test]
    fn packets_in_classes_are_told_exactly(
        ruleset in ruleset(),
        mutations in vec((mutation(), 0_usize..100), 1..3),
    ) {
        let mutant = mutations.iter().fold(ruleset.clone(), |ruleset, (mutation, at)| {
            mutate(&ruleset, mutation, *at)
        });
        let sides = [&ruleset, &mutant];
        for (hook, family) in places(&sides) {
            let mut classes = Space::of_classes_with_packets(hook, family, &sides);
            let coarse = pairs(&mut classes, sides, Scope::Alone).unwrap();
            prop_assert!(!classes.is_blurred());
            let mut exact = Exact::new(classes, sides);
            for (place, pair) in coarse.iter().enumerate() {
                let (space, told) = exact.packets(pair.differ);
                let fine = pairs(space, sides, Scope::Alone).unwrap();
                prop_assert_eq!(told, fine[place].differ);
                if told != Function::FALSE {
                    let fine = packet(space, told);
                    prop_assert_eq!(packet(&mut exact.space, pair.differ), fine);
                }
            }
        }
    }

    #[test]
    fn what_is_built_the_same_is_equal(
        ruleset in ruleset(),
        (mutation, at) in (mutation(), 0_usize..100),
    ) {
        let other = spelled_otherwise(&mutate(&ruleset, &mutation, at));
        if is_built_the_same(&ruleset, &other) {
            prop_assert!(is_equal(&ruleset, &other));
        }
    }
}

/// Chains, of which `y` and `z` are two ways to say one thing, as `lo-y` and `lo-z` are.
const CHAINS: &str = "\
    chain x { meta l4proto tcp redirect to :15001; }
    chain m { meta mark set 1; accept; }
    chain y { meta skgid != 5 return; tcp dport 80 jump x; }
    chain z { meta skgid 5 goto z-rest; return; }
    chain z-rest { tcp dport 80 jump x; }
    chain lo-y { oifname \"lo\" meta skgid != 5 return; tcp dport 80 jump x; }
    chain lo-z { meta skgid 5 goto z-rest; oifname \"lo\" return; goto z-rest; }
    chain no-y { meta skgid 5 goto z-rest; oifname \"lo\" drop; goto z-rest; }
";

/// A chain at output with these rules, beside [`CHAINS`]. Who is not of a group may be nobody.
fn output(rules: &[&str]) -> Ruleset {
    let text = format!(
        "table inet t {{\n{CHAINS}chain o {{\n\
         type nat hook output priority -100; policy accept;\n{}\n}}\n}}\n",
        rules.join("\n")
    );
    let mut ruleset = nft::script(&text, &nft::Options::default()).unwrap().ruleset;
    for when in ruleset.rules_mut().flat_map(|rule| &mut rule.when) {
        if let Match::Owner { is: OwnerIs::NotIn { ownerless, .. }, .. } = when {
            *ownerless = true;
        }
    }
    ruleset
}

#[test]
fn two_ways_to_say_a_rule_are_built_the_same() {
    for (one, other) in [
        // A list, and a rule for each of what it holds.
        (
            &["tcp dport { 80, 443-445 } return"][..],
            &["tcp dport 80 return", "tcp dport 443-445 return"][..],
        ),
        (&["ip daddr { 10.0.0.0/9, 10.128.0.0/9 } drop"], &["ip daddr 10.0.0.0/8 drop"]),
        (&["meta skuid { 5, 6 } return"], &["meta skuid 5 return", "meta skuid 6 return"]),
        // "Not over loopback" beside "over loopback".
        (
            &["oifname \"lo\" return", "oifname != \"lo\" tcp dport 80 return"],
            &["tcp dport 80 return", "oifname \"lo\" return"],
        ),
        // Lists that take turns.
        (
            &["tcp dport { 80, 443 } return", "udp dport { 80, 443 } return"],
            &[
                "tcp dport 80 return",
                "udp dport 80 return",
                "tcp dport 443 return",
                "udp dport 443 return",
            ],
        ),
        // "Not group 5" beside groups of which 5 is one.
        (
            &["meta skgid { 5, 7 } return", "oifname \"lo\" return"],
            &[
                "oifname \"lo\" meta skgid != 5 return",
                "meta skgid 5 return",
                "meta skgid 7 return",
            ],
        ),
        // "Not group 5" as a way past what is for the others.
        (&["jump y"], &["jump z"]),
        (&["jump lo-y"], &["jump lo-z"]),
        // One action after another for each of what cannot be at once.
        (
            &["tcp dport { 80, 443 } ct state new jump x", "tcp dport { 80, 443 } drop"],
            &[
                "tcp dport 80 ct state new jump x",
                "tcp dport 80 drop",
                "tcp dport 443 ct state new jump x",
                "tcp dport 443 drop",
            ],
        ),
        (
            &["oifname { \"a\", \"b\" } tcp dport 80 jump x", "oifname { \"a\", \"b\" } return"],
            &[
                "oifname \"a\" tcp dport 80 jump x",
                "oifname \"a\" return",
                "oifname \"b\" tcp dport 80 jump x",
                "oifname \"b\" return",
            ],
        ),
        // A mark, for packets that do not come back with it.
        (
            &["tcp dport { 80, 443 } ct state new jump m"],
            &["tcp dport 80 ct state new jump m", "tcp dport 443 ct state new jump m"],
        ),
        // Matches in another order, and the family as a match.
        (&["tcp dport 80 meta skuid 7 jump x"], &["meta skuid 7 tcp dport 80 jump x"]),
    ] {
        let (one, other) = (output(one), output(other));
        assert!(is_built_the_same(&one, &other), "{one:?} {other:?}");
        assert!(is_equal(&one, &other), "{one:?} {other:?}");
    }
}

#[test]
fn nearly_the_same_is_not_built_the_same() {
    for (one, other) in [
        (&["tcp dport { 80, 443 } return"][..], &["tcp dport 80 return"][..]),
        (
            &["tcp dport 80 jump x", "tcp dport 80 drop"],
            &["tcp dport 80 drop", "tcp dport 80 jump x"],
        ),
        (&["tcp dport 80 return"], &["udp dport 80 return"]),
        (&["tcp dport 80 return"], &["tcp sport 80 return"]),
        (&["meta skuid 7 return"], &["meta skgid 7 return"]),
        (&["meta skuid 7 return"], &["meta skuid != 7 return"]),
        (&["tcp dport 80 jump x"], &["tcp dport 80 goto x"]),
        (&["ip daddr 10.0.0.1 return"], &["ip saddr 10.0.0.1 return"]),
        (&["return"], &["return", "return", "drop"]),
        (
            &["oifname \"lo\" meta skgid != 5 return", "meta skgid 7 return"],
            &["oifname \"lo\" return", "meta skgid 7 return"],
        ),
        (&["jump lo-y"], &["jump no-y"]),
        (&["jump y"], &["jump lo-z"]),
        // A base chain, which packets leave early on one side only.
        (
            &["meta skgid != 5 return", "tcp dport 80 jump x"],
            &["meta skgid 5 goto z-rest", "return"],
        ),
        // What the rules between match is matched by those that would have to pass them.
        (
            &["tcp dport { 80, 443 } jump x", "tcp dport 80-443 drop"],
            &["tcp dport 80 jump x", "tcp dport 80-443 drop", "tcp dport 443 jump x"],
        ),
        (
            &["oifname { \"a\", \"b\" } jump x", "oifname \"b*\" drop"],
            &["oifname \"a\" jump x", "oifname \"b*\" drop", "oifname \"b\" jump x"],
        ),
        (
            &["tcp sport { 80, 443 } jump x", "tcp dport 81 drop"],
            &["tcp sport 80 jump x", "tcp dport 81 drop", "tcp sport 443 jump x"],
        ),
    ] {
        assert!(!is_built_the_same(&output(one), &output(other)), "{one:?} {other:?}");
    }
}
