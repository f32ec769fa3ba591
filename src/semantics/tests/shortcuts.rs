//! What is answered fast is answered as the comparison answers it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::agreement::{by_item, mutate, mutation, renamed};
use super::arbitrary::ruleset;
use crate::ir::{Match, OwnerIs, Ruleset};
use crate::optimise::optimise;
use crate::optimise::tests::ladder;
use crate::reader::nft;
use crate::semantics::compare::{Scope, pairs, places};
use crate::semantics::diagram::Function;
use crate::semantics::equality::are_alike;
use crate::semantics::exact::Exact;
use crate::semantics::space::Space;
use crate::semantics::structure::Structure;
use crate::semantics::witness::packet;
use crate::semantics::{compare, compare_beside};

/// Whether the comparison finds nothing, where others have rules in the base chains if `shared`.
fn is_equal_beside(left: &Ruleset, right: &Ruleset, shared: bool) -> bool {
    compare(left, right) == Ok(vec![]) && compare_beside(left, right, shared) == Ok(vec![])
}

/// Whether the comparison finds nothing, whatever others have.
fn is_equal(left: &Ruleset, right: &Ruleset) -> bool {
    is_equal_beside(left, right, true)
}

/// Whether every hook of both is built the same, with nothing of others in the base chains.
fn is_built_the_same(left: &Ruleset, right: &Ruleset) -> bool {
    is_built_the_same_beside(left, right, false)
}

fn is_built_the_same_beside(left: &Ruleset, right: &Ruleset, shared: bool) -> bool {
    places(&[left, right]).into_iter().all(|(hook, family)| {
        let schedules = [left, right].map(|side| side.schedules(hook, family).unwrap());
        Structure::of(family, shared).is_same([&schedules[0], &schedules[1]])
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
        shared in any::<bool>(),
    ) {
        let other = spelled_otherwise(&mutate(&ruleset, &mutation, at));
        if is_built_the_same_beside(&ruleset, &other, shared) {
            prop_assert!(is_equal_beside(&ruleset, &other, shared));
        }
    }

    #[test]
    fn what_is_optimised_and_built_the_same_is_equal(
        ruleset in ruleset(),
        (mutation, at) in (mutation(), 0_usize..100),
    ) {
        let other = optimise(mutate(&ruleset, &mutation, at));
        if is_built_the_same(&ruleset, &other) {
            prop_assert!(is_equal_beside(&ruleset, &other, false));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 2_000 } else { 100_000 }))]

    #[test]
    fn a_ladder_that_is_built_the_same_is_equal(
        ruleset in ladder(),
        mutations in vec((mutation(), 0_usize..100), 0..3),
        (shortens, shared) in any::<(bool, bool)>(),
    ) {
        let mutant = mutations.iter().fold(ruleset.clone(), |ruleset, (mutation, at)| {
            mutate(&ruleset, mutation, *at)
        });
        let other = if shortens { optimise(mutant) } else { mutant };
        if is_built_the_same_beside(&ruleset, &other, shared) {
            prop_assert!(is_equal_beside(&ruleset, &other, shared));
        }
    }
}

/// Two chains of one hook, one behind the other.
fn in_a_row(first: &str, second: &str) -> Ruleset {
    let text = format!("table inet t {{\nchain a {{ {first}; }}\nchain b {{ {second}; }}\n}}");
    nft::script(&text, &nft::Options::default()).unwrap().ruleset
}

#[test]
fn what_a_chain_before_does_is_seen_by_the_next() {
    let tproxy = "type filter hook prerouting priority -150; \
                  meta l4proto tcp tproxy to :15006 meta mark set 1 accept";
    let sockets = "type filter hook prerouting priority -50";
    let notrack = "type filter hook output priority -300; udp dport 53 notrack";
    let exempt = "type filter hook output priority 0";
    for (first, second, rule) in
        [(tproxy, sockets, "meta skuid 7 drop"), (notrack, exempt, "ct state untracked drop")]
    {
        let (one, other) = (in_a_row(first, second), in_a_row(first, &format!("{second}; {rule}")));
        assert!(!is_equal(&one, &other), "{rule}");
        assert_eq!(are_alike(&one, &other, false), Ok(false), "{rule}");
    }
}

#[test]
fn marks_and_zones_of_a_chain_before_make_no_difference_to_what_is_the_same() {
    let zone = "type filter hook output priority -300; udp dport 53 ct zone set 1";
    let marks = "type route hook output priority -150; meta skuid 7 meta mark set 1";
    let one = "type nat hook output priority -100; \
               meta mark 1 tcp dport 80 return; meta mark 1 drop";
    let other = "type nat hook output priority -100; \
                 meta mark 1 tcp dport != 80 drop; meta mark 1 meta l4proto != tcp drop";
    for first in [zone, marks] {
        let (one, other) = (in_a_row(first, one), in_a_row(first, other));
        assert!(!is_built_the_same(&one, &other));
        assert_eq!(compare(&one, &other), Ok(vec![]));
        assert_eq!(are_alike(&one, &other, false), Ok(true));
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
    chain tcp-only { meta l4proto tcp meta skuid 1 return; meta l4proto tcp meta mark 1 drop; }
    chain asked { meta skuid 1 return; meta mark 1 drop; }
    chain tagged { meta mark set 1; tcp dport 80 jump x; }
    chain back { tcp dport 80 return; drop; }
    chain lo-own { meta skuid 7 accept; meta skgid 7 drop; }
    chain past { meta mark 1 return; tcp dport 80 meta mark set 1; meta skuid 9 drop; meta mark 1 drop; }
    chain rest { tcp dport 80 meta mark set 1; meta skuid 9 drop; meta mark 1 drop; }
    chain less { tcp dport 80 meta mark set 1; meta skuid 9 drop; }
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
        // A chain of one rule, and that rule.
        (&["meta mark 3 jump z-rest"], &["meta mark 3 tcp dport 80 jump x"]),
        (&["meta mark 3 jump x"], &["meta mark 3 meta l4proto tcp redirect to :15001"]),
        // A change of the mark and an accept, and a rule that does both.
        (&["ct state new jump m"], &["ct state new meta mark set 1 accept"]),
        // Whom the first rule of a chain leads back for their mark, and who go past it.
        (&["meta skuid 7 jump past"], &["meta skuid 7 meta mark != 1 jump rest"]),
        // What all rules of a chain ask, asked on the way there, or in its place.
        (&["jump tcp-only"], &["meta l4proto tcp jump tcp-only"]),
        (&["jump tcp-only"], &["meta l4proto tcp jump asked"]),
        // Rules, and what all of them ask in front of a chain of their own.
        (
            &["oifname \"lo\" meta mark set 1", "oifname \"lo\" tcp dport 80 jump x"],
            &["oifname \"lo\" jump tagged"],
        ),
        // What no packet gets to.
        (&["return"], &["return", "return", "drop"]),
        // Loopback in a chain of its own, where it is asked for once.
        (
            &[
                "oifname \"lo\" meta skuid 7 return",
                "oifname \"lo\" meta skgid 7 drop",
                "meta skuid 8 drop",
            ],
            &["oifname \"lo\" jump lo-own", "meta skuid 8 drop"],
        ),
        // To lead back from a base chain, and to accept.
        (&["meta skuid 7 return"], &["meta skuid 7 accept"]),
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
        (
            &["oifname \"lo\" meta skgid != 5 return", "meta skgid 7 return"],
            &["oifname \"lo\" return", "meta skgid 7 return"],
        ),
        (&["jump lo-y"], &["jump no-y"]),
        // What rules ask that may be answered otherwise behind the first of them, and what leads back.
        (
            &["meta mark 2 meta mark set 1", "meta mark 2 tcp dport 80 jump x"],
            &["meta mark 2 jump tagged"],
        ),
        (
            &["oifname \"lo\" tcp dport 80 return", "oifname \"lo\" drop", "meta skuid 7 drop"],
            &["oifname \"lo\" jump back", "meta skuid 7 drop"],
        ),
        // What one rule takes, and another finds again behind a change.
        (
            &["meta mark 1 accept", "meta skuid 7 meta mark set 1", "meta mark 1 drop"],
            &["meta mark 1 accept", "meta skuid 7 meta mark set 1"],
        ),
        // Other marks, and no way back.
        (&["meta skuid 7 jump past"], &["meta skuid 7 meta mark != 2 jump rest"]),
        (&["meta skuid 7 jump past"], &["meta skuid 7 jump rest"]),
        (&["meta skuid 7 jump past"], &["meta skuid 7 meta mark != 1 jump less"]),
        (&["meta skuid 7 goto past"], &["meta skuid 7 meta mark != 1 goto rest"]),
        (&["ct state new jump m"], &["ct state new meta mark set 2 accept"]),
        // What some rules of a chain ask, and what is asked of others on the way to another one.
        (&["jump asked"], &["meta l4proto tcp jump asked"]),
        (&["meta l4proto udp jump tcp-only"], &["meta l4proto udp jump asked"]),
        (&["meta l4proto tcp goto tcp-only"], &["goto tcp-only"]),
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
