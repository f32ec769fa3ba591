//! A second opinion on random rulesets: what the diagrams say of two, z3 says too.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::agreement::{mutate, mutation};
use super::arbitrary::ruleset;
use super::z3::{self, Answer};
use crate::ir::Ruleset;
use crate::semantics::eval::run_in_order;
use crate::semantics::{Packet, compare};
use crate::smt;

/// Whether the two treat `packet` differently in some order of chains that tie.
fn differ(left: &Ruleset, right: &Ruleset, packet: &Packet) -> bool {
    let schedules = [left, right].map(|side| side.schedules(packet.hook, packet.family()).unwrap());
    let [lefts, rights] = &schedules;
    let tie_alike =
        lefts.iter().map(|one| &one.supposes).eq(rights.iter().map(|other| &other.supposes));
    lefts.iter().enumerate().any(|(at, one)| {
        let mut others = rights.iter().enumerate().filter(|(other, _)| !tie_alike || at == *other);
        let outcome = run_in_order(left, packet, one).outcome;
        others.any(|(_, other)| run_in_order(right, packet, other).outcome != outcome)
    })
}

#[test]
fn a_solver_agrees_on_random_rulesets() {
    if !z3::available() {
        return;
    }
    let mut runner = TestRunner::deterministic();
    let pairs = (ruleset(), mutation(), 0_usize..100)
        .prop_map(|(ruleset, mutation, at)| (mutate(&ruleset, &mutation, at), ruleset));
    let pairs: Vec<(Ruleset, Ruleset)> =
        (0..PAIRS).map(|_| pairs.new_tree(&mut runner).unwrap().current()).collect();
    let questions: Vec<String> = pairs
        .iter()
        .map(|(left, right)| smt::question(("left", left), ("right", right)).unwrap())
        .collect();
    let (mut equal, mut different) = (0, 0);
    for ((left, right), answer) in pairs.iter().zip(z3::decide(&questions)) {
        let is_equal = compare(left, right).unwrap().is_empty();
        match answer {
            Answer::Unsat => {
                assert!(is_equal, "{left:#?}\n{right:#?}");
                equal += 1;
            }
            Answer::Sat(values) => {
                let (packet, _) = smt::packet(&values).unwrap();
                assert!(!is_equal, "{packet}\n{left:#?}\n{right:#?}");
                assert!(differ(left, right, &packet), "{packet}\n{left:#?}\n{right:#?}");
                different += 1;
            }
        }
    }
    assert!(equal > PAIRS / 10 && different > PAIRS / 10, "{equal} equal, {different} different");
}

/// How many are compared.
const PAIRS: usize = 200;
