//! Boolean functions as decision diagrams: ordered, reduced, with negated edges, in one table.
//!
//! A library would do, but for its cost: biodivine-lib-bdd 0.6.3 copies a diagram for every
//! operation. A sidecar's ruleset compared with itself in another layout, release build, on a
//! shared 2-core machine:
//!
//! | excluded CIDRs, each family | biodivine-lib-bdd | this |
//! |---|---|---|
//! | none | 3.7 ms | 0.13 ms |
//! | 1,000 | 110 ms | 2.6 ms |
//! | 100,000 | 24 s | 0.6 s |
//!
//! The library is the second opinion in the tests.

use std::collections::{BTreeSet, HashMap, HashSet};

/// A Boolean function, by its place in [`Diagrams`]. Equal functions are equal values.
///
/// The lowest bit says that the opposite of the node's function is meant, so a negation costs
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Function(u32);

impl Function {
    /// Holds always.
    pub(super) const TRUE: Self = Self(0);
    /// Holds never.
    pub(super) const FALSE: Self = Self(1);

    /// Holds where `self` does not.
    pub(super) const fn not(self) -> Self {
        Self(self.0 ^ 1)
    }

    /// `self`, or its opposite if `not`.
    pub(super) const fn negated_if(self, not: bool) -> Self {
        Self(self.0 ^ not as u32)
    }

    const fn node(self) -> usize {
        (self.0 >> 1) as usize
    }

    const fn is_negated(self) -> bool {
        self.0 & 1 == 1
    }
}

/// `high` where the variable is true, `low` where it is not. `high` is never negated, so that no
/// function has two nodes.
#[derive(Clone, Copy)]
struct Node {
    variable: u32,
    low: Function,
    high: Function,
}

/// All nodes, each once.
///
/// Variables are numbers; a lower one is nearer to the root. There is no garbage collection: a
/// value lives for one comparison.
pub(super) struct Diagrams {
    nodes: Vec<Node>,
    /// Places of nodes by their hash; 0 is free.
    unique: Vec<u32>,
    /// Results of conjunctions, by the hash of their parts. A result may be lost to another.
    conjunctions: Vec<(Function, Function, Function)>,
}

/// Of the node that stands for [`Function::TRUE`]: behind every variable.
const LEAF: u32 = u32::MAX;

const SMALLEST: usize = 1 << 12;

/// Most nodes: with the tables around them some 500 MB.
const MOST_NODES: usize = 1 << 24;

/// Largest table of conjunctions.
const MOST_CONJUNCTIONS: usize = 1 << 23;
const NO_CONJUNCTION: (Function, Function, Function) =
    (Function::TRUE, Function::TRUE, Function::TRUE);

impl Diagrams {
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node { variable: LEAF, low: Function::TRUE, high: Function::TRUE }],
            unique: vec![0; SMALLEST],
            conjunctions: vec![NO_CONJUNCTION; SMALLEST],
        }
    }

    /// Holds where `variable` does.
    pub(super) fn variable(&mut self, variable: u32) -> Function {
        self.choose(variable, Function::FALSE, Function::TRUE)
    }

    /// `high` where `variable` is true, `low` elsewhere. Both know only of higher variables.
    pub(super) fn choose(&mut self, variable: u32, low: Function, high: Function) -> Function {
        if low == high {
            return low;
        }
        let negated = high.is_negated();
        let node = Node { variable, low: low.negated_if(negated), high: high.negated_if(negated) };
        self.place(node).negated_if(negated)
    }

    fn place(&mut self, node: Node) -> Function {
        if self.nodes.len() * 2 > self.unique.len() {
            self.grow();
        }
        let mask = self.unique.len() - 1;
        let mut slot = hash(node.variable, node.low, node.high) & mask;
        loop {
            let at = self.unique[slot];
            if at == 0 {
                let at = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
                assert!(at < u32::MAX / 2, "2^31 nodes are more than memory holds");
                self.unique[slot] = at;
                self.nodes.push(node);
                return Function(at << 1);
            }
            let known = self.nodes[at as usize];
            if (known.variable, known.low, known.high) == (node.variable, node.low, node.high) {
                return Function(at << 1);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let size = self.unique.len() * 2;
        self.unique = vec![0; size];
        for (at, node) in (0_u32..).zip(&self.nodes).skip(1) {
            let mut slot = hash(node.variable, node.low, node.high) & (size - 1);
            while self.unique[slot] != 0 {
                slot = (slot + 1) & (size - 1);
            }
            self.unique[slot] = at;
        }
        self.conjunctions = vec![NO_CONJUNCTION; size.min(MOST_CONJUNCTIONS)];
    }

    /// The first variable that `function` depends on; `None` if it depends on none.
    pub(super) fn root(&self, function: Function) -> Option<u32> {
        let variable = self.nodes[function.node()].variable;
        (variable != LEAF).then_some(variable)
    }

    /// The halves of `function` by `variable`, which is not behind its root.
    pub(super) fn halves(&self, function: Function, variable: u32) -> (Function, Function) {
        let node = self.nodes[function.node()];
        if node.variable != variable {
            return (function, function);
        }
        let negated = function.is_negated();
        (node.low.negated_if(negated), node.high.negated_if(negated))
    }

    /// Holds where both do.
    pub(super) fn and(&mut self, a: Function, b: Function) -> Function {
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        if a == Function::TRUE || a == b {
            return b;
        }
        if a == Function::FALSE || a == b.not() {
            return Function::FALSE;
        }
        let slot = hash(0, a, b) & (self.conjunctions.len() - 1);
        let (known_a, known_b, known) = self.conjunctions[slot];
        if (known_a, known_b) == (a, b) {
            return known;
        }
        if self.is_full() {
            return Function::FALSE;
        }
        let variable = self.nodes[a.node()].variable.min(self.nodes[b.node()].variable);
        let ((a_low, a_high), (b_low, b_high)) =
            (self.halves(a, variable), self.halves(b, variable));
        let low = self.and(a_low, b_low);
        let high = self.and(a_high, b_high);
        let result = self.choose(variable, low, high);
        let slot = hash(0, a, b) & (self.conjunctions.len() - 1);
        self.conjunctions[slot] = (a, b, result);
        result
    }

    /// Whether both hold somewhere, which makes no node.
    pub(super) fn meet(&mut self, a: Function, b: Function) -> bool {
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        if a == Function::FALSE || b == Function::FALSE || a == b.not() {
            return false;
        }
        if a == Function::TRUE || a == b {
            return true;
        }
        let slot = hash(0, a, b) & (self.conjunctions.len() - 1);
        let (known_a, known_b, known) = self.conjunctions[slot];
        if (known_a, known_b) == (a, b) {
            return known != Function::FALSE;
        }
        let variable = self.nodes[a.node()].variable.min(self.nodes[b.node()].variable);
        let ((a_low, a_high), (b_low, b_high)) =
            (self.halves(a, variable), self.halves(b, variable));
        if self.meet(a_low, b_low) || self.meet(a_high, b_high) {
            return true;
        }
        self.conjunctions[slot] = (a, b, Function::FALSE);
        false
    }

    /// Holds where one of them does.
    pub(super) fn or(&mut self, a: Function, b: Function) -> Function {
        self.and(a.not(), b.not()).not()
    }

    /// Holds where `a` does and `b` does not.
    pub(super) fn minus(&mut self, a: Function, b: Function) -> Function {
        self.and(a, b.not())
    }

    /// Holds where exactly one does.
    pub(super) fn differ(&mut self, a: Function, b: Function) -> Function {
        let (only_a, only_b) = (self.minus(a, b), self.minus(b, a));
        self.or(only_a, only_b)
    }

    /// `then` where `condition` holds, `otherwise` elsewhere.
    pub(super) fn either(
        &mut self,
        condition: Function,
        then: Function,
        otherwise: Function,
    ) -> Function {
        if then == otherwise {
            return then;
        }
        let (with, without) = (self.and(condition, then), self.minus(otherwise, condition));
        self.or(with, without)
    }

    /// The variables on which `function` depends.
    pub(super) fn variables(&self, function: Function) -> HashSet<u32> {
        let mut variables = HashSet::new();
        let mut seen = HashSet::from([0]);
        let mut open = vec![function.node()];
        while let Some(at) = open.pop() {
            if seen.insert(at) {
                let Node { variable, low, high } = self.nodes[at];
                variables.insert(variable);
                open.extend([low.node(), high.node()]);
            }
        }
        variables
    }

    /// Holds where `function` does whatever the values of `variables` are.
    pub(super) fn whatever(&mut self, function: Function, variables: &BTreeSet<u32>) -> Function {
        let Some(last) = variables.last() else { return function };
        self.without((variables, *last), function, &mut HashMap::new())
    }

    /// [`Diagrams::whatever`], of variables with the last of them, with what is known already.
    fn without(
        &mut self,
        (variables, last): (&BTreeSet<u32>, u32),
        function: Function,
        known: &mut HashMap<Function, Function>,
    ) -> Function {
        let variable = self.nodes[function.node()].variable;
        if variable > last {
            return function;
        }
        if let Some(known) = known.get(&function) {
            return *known;
        }
        let (low, high) = self.halves(function, variable);
        let low = self.without((variables, last), low, known);
        let high = self.without((variables, last), high, known);
        let result = if variables.contains(&variable) {
            self.and(low, high)
        } else {
            self.choose(variable, low, high)
        };
        known.insert(function, result);
        result
    }

    /// Whether there are so many nodes that results are no longer right: whoever asks for some
    /// thousands of them must ask this before believing them.
    pub(super) const fn is_full(&self) -> bool {
        self.nodes.len() > MOST_NODES
    }

    /// Holds where one of them does. In pairs, so that the cost does not grow with the square of
    /// their number.
    pub(super) fn any(&mut self, mut functions: Vec<Function>) -> Function {
        while functions.len() > 1 {
            functions = functions
                .chunks(2)
                .map(|pair| match pair {
                    [a, b] => self.or(*a, *b),
                    _ => pair[0],
                })
                .collect();
        }
        functions.pop().unwrap_or(Function::FALSE)
    }

    /// Whether `function` holds for the values of the variables.
    #[cfg(test)]
    pub(super) fn holds(&self, function: Function, value: impl Fn(u32) -> bool) -> bool {
        let mut at = function;
        while at.node() != 0 {
            let variable = self.nodes[at.node()].variable;
            let (low, high) = self.halves(at, variable);
            at = if value(variable) { high } else { low };
        }
        at == Function::TRUE
    }
}

/// Mixes the three numbers: multiplication by a large odd number, of which the upper half counts.
fn hash(variable: u32, a: Function, b: Function) -> usize {
    let mixed = (u64::from(a.0) | u64::from(b.0) << 32)
        .wrapping_add(u64::from(variable).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_mul(0xff51_afd7_ed55_8ccd);
    usize::try_from((mixed ^ mixed >> 32) & u64::from(u32::MAX)).unwrap_or_default()
}
