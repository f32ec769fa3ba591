//! The rules of one chain: which stay, and what becomes of the others.

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
    /// Whether a rule has to go before anything comes, which then cannot take its place.
    pub(super) goes_first: &'c dyn Fn(&Rule<'_>) -> bool,
}

impl<'s> Order<'s> {
    /// Keeps the longest row of rules that both have in this order, by their handles. What comes takes the
    /// place of what goes, or stands before the next rule that stays.
    pub(super) fn rules_by_handle(&mut self, both: &Both<'_, 's>) {
        let numbers = |rules: &[(&Rule<'_>, usize)]| -> Vec<usize> {
            rules.iter().map(|(_, number)| *number).collect()
        };
        let ops = capture_diff_slices(Algorithm::Myers, &numbers(&both.old), &numbers(&both.new));
        // The rule that stays behind what an operation is about, last first.
        let mut behind = None;
        let mut with_next = Vec::new();
        for op in ops.iter().rev() {
            with_next.push((op, behind));
            if let DiffOp::Equal { old_index, .. } = *op {
                behind = both.old[old_index].0.handle;
            }
        }
        for (op, behind) in with_next.into_iter().rev() {
            let (_, old, new) = op.as_tag_tuple();
            if matches!(op, DiffOp::Equal { .. }) {
                continue;
            }
            let (mut goes, mut comes) = (both.old[old].iter(), both.new[new].iter());
            for (rule, _) in goes.by_ref() {
                let takes_place = !(both.goes_first)(rule) && comes.len() > 0;
                match (rule.handle, comes.as_slice().first()) {
                    (Some(handle), Some((new, _))) if takes_place => {
                        comes.next();
                        self.put(both, Verb::Replace, Some(Beside::Handle(handle)), new);
                    }
                    (Some(handle), _) => self.rule_goes(both, handle),
                    (None, _) => {}
                }
            }
            let verb = if behind.is_some() { Verb::Insert } else { Verb::Add };
            for (rule, _) in comes {
                self.put(both, verb, behind.map(Beside::Handle), rule);
            }
        }
    }

    fn rule_goes(&mut self, both: &Both<'_, 's>, handle: u64) {
        let (table, chain) = (both.table.clone(), both.chain.into());
        self.push(Phase::RulesGo, Verb::Delete, Object::Handle { table, chain, handle });
    }

    fn put(&mut self, both: &Both<'_, 's>, verb: Verb, beside: Option<Beside>, rule: &Rule<'s>) {
        let (table, chain) = (both.table.clone(), both.chain.into());
        let object = Object::Rule { table, chain, beside, rule: rule.clone() };
        self.push(Phase::RulesCome, verb, object);
    }
}
