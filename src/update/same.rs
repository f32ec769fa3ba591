//! Which rules are the same, and in which order chains run that tie.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use crate::ir::{ChainKind, Hook};
use crate::nft::{Right, Rule, State, Statement, TableState};
use crate::reader::nft::each_rule;

/// Numbers of rules: those that are the same have one number.
#[derive(Default)]
pub(crate) struct Same {
    numbers: HashMap<String, usize>,
    /// Rules that are like no other.
    strangers: usize,
}

impl Same {
    /// The number of every rule of `table`, chain by chain, as they are with the sets of the table.
    pub(crate) fn of(&mut self, table: &TableState<'_>) -> Vec<Vec<usize>> {
        let read = each_rule(table);
        let chains = table.chains.iter().zip(read).map(|(chain, read)| {
            let rules = chain.rules.iter().zip(read);
            rules.map(|(rule, read)| self.number(read.map(|read| key(rule, &read)))).collect()
        });
        chains.collect()
    }

    fn number(&mut self, key: Option<String>) -> usize {
        let next = self.numbers.len() + self.strangers;
        let Some(key) = key else {
            self.strangers += 1;
            return next;
        };
        *self.numbers.entry(key).or_insert(next)
    }
}

/// All that two rules have in common that are the same. `read` is what the rule does, in the IR.
fn key(rule: &Rule<'_>, read: &[crate::ir::Rule]) -> String {
    let mut key = format!("{:?}", rule.comment);
    for (_, statement) in rule.statements.iter().flatten() {
        match statement {
            Statement::Counter => key.push('#'),
            Statement::Match { right: Right::Named(set), .. } => {
                let _ = write!(key, "@{set}");
            }
            _ => {}
        }
    }
    for crate::ir::Rule { families, when, then, .. } in read {
        let _ = write!(key, "{families:?}{when:?}{then:?}");
    }
    key
}

/// Whether the rule names a set of `names`.
pub(super) fn names_one_of(rule: &Rule<'_>, names: &[&str]) -> bool {
    rule.statements.iter().flatten().any(|(_, statement)| {
        matches!(statement, Statement::Match { right: Right::Named(set), .. } if names.contains(&&**set))
    })
}

/// Where the kernel enters chains: a hook, a priority there, and whether they translate, which is in a
/// place of its own.
type Place = (Hook, i32, bool);

/// Chains that the kernel enters, table by table, by the place where it does. Of those in one place, the last runs
/// first.
pub(crate) fn ties<'t>(state: &'t State<'_>) -> BTreeMap<Place, Vec<(String, &'t str)>> {
    let mut places: BTreeMap<Place, Vec<(String, &'t str)>> = BTreeMap::new();
    for table in &state.tables {
        for chain in &table.chains {
            let Some(base) = chain.base else { continue };
            let place = (base.hook, base.priority, base.kind == ChainKind::Nat);
            places.entry(place).or_default().push((table.name.to_string(), chain.name));
        }
    }
    places
}
