//! The rules of one chain: which stay, which go, and where the others come.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::order::{Order, Phase};
use crate::nft::{Beside, Object, Rule, TableName, Verb};

/// A chain that both versions have.
pub(super) struct Both<'c, 's> {
    pub(super) table: &'c TableName<'s>,
    pub(super) chain: &'s str,
    /// The rules of each version, with a number that those have in common that are the same.
    pub(super) old: Vec<(&'s Rule<'s>, usize)>,
    pub(super) new: Vec<(&'s Rule<'s>, usize)>,
}

impl Both<'_, '_> {
    /// The numbers of the rules, of the older version and of the newer.
    fn numbers(&self) -> [Vec<usize>; 2] {
        [&self.old, &self.new].map(|rules| rules.iter().map(|(_, number)| *number).collect())
    }

    /// Whether all rules stay.
    pub(super) fn is_same(&self) -> bool {
        let [old, new] = self.numbers();
        old == new
    }
}

impl<'s> Order<'s> {
    /// Keeps the longest row of rules that both versions have in this order. The others go by their handles, and what
    /// comes stands before the next rule that stays. (No `replace`: nft 1.0.6 ends with an assertion if such a rule
    /// has a set of intervals.)
    pub(super) fn rules_by_handle(&mut self, both: &Both<'_, 's>) {
        let [old, new] = both.numbers();
        let operations = capture_diff_slices(Algorithm::Myers, &old, &new);
        for (at, operation) in operations.iter().enumerate() {
            if matches!(operation, DiffOp::Equal { .. }) {
                continue;
            }
            let next = operations[at..].iter().find_map(|operation| match operation {
                DiffOp::Equal { old_index, .. } => both.old[*old_index].0.handle,
                _ => None,
            });
            let (table, chain) = (both.table, both.chain);
            for handle in both.old[operation.old_range()].iter().filter_map(|(it, _)| it.handle) {
                let object = Object::Handle { table: table.clone(), chain: chain.into(), handle };
                self.push(Phase::RulesGo, Verb::Delete, object);
            }
            let verb = if next.is_some() { Verb::Insert } else { Verb::Add };
            for (rule, _) in &both.new[operation.new_range()] {
                let (table, chain, rule) = (table.clone(), chain.into(), (*rule).clone());
                let object = Object::Rule { table, chain, beside: next.map(Beside::Handle), rule };
                self.push(Phase::RulesCome, verb, object);
            }
        }
    }
}
