//! Which chains packets reach, and from where.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Also, Base, Chain, Origin, Rule, Ruleset, Table};
use crate::net::Name;

impl Table {
    /// The chains that packets reach from base chains of the kind that `which` means, themselves
    /// included.
    pub fn reached_from(&self, which: impl Fn(Base) -> bool) -> BTreeSet<&Name> {
        let chains: BTreeMap<&Name, &Chain> =
            self.chains.iter().map(|chain| (&chain.name, chain)).collect();
        let is_base = |chain: &&Chain| chain.base.is_some_and(&which);
        let mut open: Vec<&Chain> = self.chains.iter().filter(is_base).collect();
        let mut reached = BTreeSet::new();
        while let Some(chain) = open.pop() {
            if reached.insert(&chain.name) {
                open.extend(chain.targets().filter_map(|target| chains.get(target).copied()));
            }
        }
        reached
    }

    /// The chains that packets reach from such base chains, and from no others.
    pub fn reached_only_from(&self, which: impl Fn(Base) -> bool) -> BTreeSet<&Name> {
        let elsewhere = self.reached_from(|base| !which(base));
        self.reached_from(&which).difference(&elsewhere).copied().collect()
    }
}

impl Table {
    /// The chains that its rules lead to and that it does not have: they are others', and what they
    /// do is not known.
    pub fn others(&self) -> BTreeSet<&Name> {
        let own: BTreeSet<&Name> = self.chains.iter().map(|chain| &chain.name).collect();
        let targets = self.chains.iter().flat_map(Chain::targets);
        targets.filter(|target| !own.contains(target)).collect()
    }
}

impl Ruleset {
    /// The chains of others that some table leads to: see [`Table::others`].
    #[must_use]
    pub fn others(&self) -> BTreeSet<&Name> {
        self.tables.iter().flat_map(Table::others).collect()
    }

    /// The same with `then` for every packet that a chain of others gets.
    #[must_use]
    pub fn with_others_doing(&self, then: &Action) -> Self {
        let mut ruleset = self.clone();
        for table in &mut ruleset.tables {
            let others: Vec<Name> = table.others().into_iter().cloned().collect();
            table.chains.extend(others.into_iter().map(|name| {
                let origin = Origin::FOREIGN;
                let rule = Rule {
                    families: table.families,
                    when: Vec::new(),
                    then: then.clone(),
                    origin,
                    also: Also::NOTHING,
                };
                Chain { name, base: None, rules: vec![rule] }
            }));
        }
        ruleset
    }
}

impl Chain {
    /// The chains that its rules lead to, in their order.
    pub fn targets(&self) -> impl Iterator<Item = &Name> {
        self.rules.iter().filter_map(|rule| match &rule.then {
            Action::Jump(target) | Action::Goto(target) => Some(target),
            _ => None,
        })
    }
}
