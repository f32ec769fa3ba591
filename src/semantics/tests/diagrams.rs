//! The decision diagrams against truth tables, and against another implementation.

use biodivine_lib_bdd::{Bdd, BddValuation, BddVariableSet};
use proptest::prelude::*;

use crate::semantics::diagram::{Diagrams, Function};

const VARIABLES: u16 = 10;

#[derive(Clone, Debug)]
enum Formula {
    Constant(bool),
    Variable(u16),
    Not(Box<Formula>),
    And(Box<Formula>, Box<Formula>),
    Or(Box<Formula>, Box<Formula>),
    Differ(Box<Formula>, Box<Formula>),
    Any(Vec<Formula>),
}

fn formula() -> impl Strategy<Value = Formula> {
    let leaf = prop_oneof![
        1 => any::<bool>().prop_map(Formula::Constant),
        8 => (0..VARIABLES).prop_map(Formula::Variable),
    ];
    leaf.prop_recursive(8, 200, 5, |part| {
        let pair = (part.clone(), part.clone()).prop_map(|(a, b)| (Box::new(a), Box::new(b)));
        prop_oneof![
            part.clone().prop_map(|part| Formula::Not(Box::new(part))),
            pair.clone().prop_map(|(a, b)| Formula::And(a, b)),
            pair.clone().prop_map(|(a, b)| Formula::Or(a, b)),
            pair.prop_map(|(a, b)| Formula::Differ(a, b)),
            prop::collection::vec(part, 0..5).prop_map(Formula::Any),
        ]
    })
}

fn ours(formula: &Formula, diagrams: &mut Diagrams) -> Function {
    match formula {
        Formula::Constant(value) => Function::FALSE.negated_if(*value),
        Formula::Variable(variable) => diagrams.variable((*variable).into()),
        Formula::Not(part) => ours(part, diagrams).not(),
        Formula::And(a, b) => {
            let (a, b) = (ours(a, diagrams), ours(b, diagrams));
            diagrams.and(a, b)
        }
        Formula::Or(a, b) => {
            let (a, b) = (ours(a, diagrams), ours(b, diagrams));
            diagrams.or(a, b)
        }
        Formula::Differ(a, b) => {
            let (a, b) = (ours(a, diagrams), ours(b, diagrams));
            diagrams.differ(a, b)
        }
        Formula::Any(parts) => {
            let parts = parts.iter().map(|part| ours(part, diagrams)).collect();
            diagrams.any(parts)
        }
    }
}

fn theirs(formula: &Formula, variables: &BddVariableSet) -> Bdd {
    match formula {
        Formula::Constant(true) => variables.mk_true(),
        Formula::Constant(false) => variables.mk_false(),
        Formula::Variable(variable) => {
            variables.mk_var(variables.variables()[usize::from(*variable)])
        }
        Formula::Not(part) => theirs(part, variables).not(),
        Formula::And(a, b) => theirs(a, variables).and(&theirs(b, variables)),
        Formula::Or(a, b) => theirs(a, variables).or(&theirs(b, variables)),
        Formula::Differ(a, b) => theirs(a, variables).xor(&theirs(b, variables)),
        Formula::Any(parts) => {
            parts.iter().fold(variables.mk_false(), |any, part| any.or(&theirs(part, variables)))
        }
    }
}

fn value(formula: &Formula, values: u16) -> bool {
    match formula {
        Formula::Constant(value) => *value,
        Formula::Variable(variable) => values >> variable & 1 == 1,
        Formula::Not(part) => !value(part, values),
        Formula::And(a, b) => value(a, values) && value(b, values),
        Formula::Or(a, b) => value(a, values) || value(b, values),
        Formula::Differ(a, b) => value(a, values) != value(b, values),
        Formula::Any(parts) => parts.iter().any(|part| value(part, values)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_diagram_is_its_truth_table(formula in formula()) {
        let mut diagrams = Diagrams::new();
        let ours = ours(&formula, &mut diagrams);
        let variables = BddVariableSet::new_anonymous(VARIABLES);
        let theirs = theirs(&formula, &variables);
        for values in 0..1 << VARIABLES {
            let expected = value(&formula, values);
            let bits = (0..VARIABLES).map(|variable| values >> variable & 1 == 1).collect();
            prop_assert_eq!(diagrams.holds(ours, |variable| values >> variable & 1 == 1), expected);
            prop_assert_eq!(theirs.eval_in(&BddValuation::new(bits)), expected);
        }
    }

    #[test]
    fn equal_functions_are_one_value(a in formula(), b in formula()) {
        let mut diagrams = Diagrams::new();
        let variables = BddVariableSet::new_anonymous(VARIABLES);
        let ours = (ours(&a, &mut diagrams), ours(&b, &mut diagrams));
        let theirs = (theirs(&a, &variables), theirs(&b, &variables));
        prop_assert_eq!(ours.0 == ours.1, theirs.0 == theirs.1);
        prop_assert_eq!(ours.0 == Function::FALSE, theirs.0.is_false());
        prop_assert_eq!(ours.0 == Function::TRUE, theirs.0.is_true());
    }
}

#[test]
fn many_nodes_outgrow_the_first_table() {
    let mut diagrams = Diagrams::new();
    let mut all = Vec::new();
    for number in 0_u32..3000 {
        let cube = (0..16).rev().fold(Function::TRUE, |cube, bit| {
            let variable = diagrams.variable(bit).negated_if(number >> bit & 1 == 0);
            diagrams.and(variable, cube)
        });
        all.push(cube);
    }
    let any = diagrams.any(all);
    for number in [0_u32, 1, 2999, 3000, 65535] {
        assert_eq!(diagrams.holds(any, |bit| number >> bit & 1 == 1), number < 3000);
    }
}
