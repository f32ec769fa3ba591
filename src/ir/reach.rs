//! Which chains packets reach, and from where.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Base, Chain, Table};
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

impl Chain {
    /// The chains that its rules lead to, in their order.
    pub fn targets(&self) -> impl Iterator<Item = &Name> {
        self.rules.iter().filter_map(|rule| match &rule.then {
            Action::Jump(target) | Action::Goto(target) => Some(target),
            _ => None,
        })
    }
}
