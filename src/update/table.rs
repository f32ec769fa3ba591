//! Tables and chains: which come, go or stay.

use std::borrow::Cow;

use super::Stop;
use super::order::{By, Order, Phase, is_in_order};
use super::rules::Both;
use super::same::{Same, names_one_of};
use super::sets::filled_by_others;
use crate::nft::{
    At, Chain, ChainState, Object, Rule, SetState, State, Table, TableName, TableState, Verb,
};

/// What cannot be kept.
const MOVED: &str = "a chain is entered elsewhere than it was";
const TIED: &str = "chains that are entered in one place would run in another order";
const FILLED: &str = "others fill sets of a table that comes";

impl<'s> Order<'s> {
    pub(super) fn tables(&mut self, old: &State<'s>, new: &State<'s>) -> Result<(), Stop> {
        let find = |state: &State<'s>, name: &TableName<'_>| {
            state.tables.iter().position(|table| table.name == name)
        };
        if !is_in_order(old, new) {
            return Err(Stop::Whole(TIED));
        }
        for table in &old.tables {
            match find(new, table.name) {
                Some(at) => self.table(table, &new.tables[at])?,
                None => self.table_goes(table, new)?,
            }
        }
        for table in &new.tables {
            if find(old, table.name).is_none() {
                self.table_comes(table)?;
            }
        }
        Ok(())
    }

    /// A table goes, unless others may have filled a set of it.
    fn table_goes(&mut self, table: &TableState<'s>, new: &State<'s>) -> Result<(), Stop> {
        let is_shared = new.tables.iter().flat_map(|table| &table.sets).any(SetState::is_empty);
        let mut sets = table.sets.iter();
        if let Some(set) = sets.find(|set| is_shared || set.is_empty() && self.by == By::Chain) {
            return Err(filled_by_others(table.name, &set.set.name));
        }
        if self.by == By::Chain {
            self.push(Phase::SetsGo, Verb::Add, Object::Table(named(table.name)));
        }
        self.push(Phase::SetsGo, Verb::Delete, Object::Table(named(table.name)));
        Ok(())
    }

    /// A table comes with all that is in it.
    fn table_comes(&mut self, table: &TableState<'s>) -> Result<(), Stop> {
        let name = table.name;
        self.push(Phase::ThingsCome, Verb::Add, Object::Table(named(name)));
        if self.by == By::Chain {
            if table.sets.iter().any(SetState::is_empty) {
                return Err(Stop::Whole(FILLED));
            }
            self.push(Phase::ThingsCome, Verb::Delete, Object::Table(named(name)));
            self.push(Phase::ThingsCome, Verb::Add, Object::Table(named(name)));
        }
        for set in &table.sets {
            self.set_comes(name, set);
        }
        for chain in &table.chains {
            self.chain(Phase::ThingsCome, Verb::Add, name, chain);
        }
        for chain in &table.chains {
            self.fill(name, chain);
        }
        Ok(())
    }

    /// Changes a table that both versions have.
    fn table(&mut self, old: &TableState<'s>, new: &TableState<'s>) -> Result<(), Stop> {
        let anew = self.sets(old, new)?;
        let mut same = Same::default();
        let (was, is) = (same.of(&old.with_sets_of(new)), same.of(new));
        for chain in old.chains.iter().filter(|chain| at(new, chain.name).is_none()) {
            self.chain_goes(new.name, chain);
        }
        for (index, chain) in new.chains.iter().enumerate() {
            let Some(before) = at(old, chain.name) else {
                self.chain_comes(new.name, chain);
                continue;
            };
            if old.chains[before].base != chain.base {
                return Err(Stop::Whole(MOVED));
            }
            // What names a set that is made anew is like no other rule.
            let numbered = |rules: &[&'s Rule<'s>], numbers: &[usize], goes: usize| {
                let number = |(rule, number): (&&'s Rule<'s>, &usize)| {
                    (*rule, 2 * number + if names_one_of(rule, &anew) { goes } else { 0 })
                };
                rules.iter().zip(numbers).map(number).collect::<Vec<_>>()
            };
            let both = Both {
                table: new.name,
                chain: chain.name,
                old: numbered(&old.chains[before].rules, &was[before], 1),
                new: numbered(&chain.rules, &is[index], 0),
            };
            match self.by {
                By::Handle => self.rules_by_handle(&both),
                By::Chain if both.is_same() => {}
                By::Chain => {
                    self.chain(Phase::RulesGo, Verb::Flush, new.name, &bare(chain));
                    self.fill(new.name, chain);
                }
            }
        }
        Ok(())
    }

    fn chain_comes(&mut self, table: &TableName<'s>, chain: &ChainState<'s>) {
        match self.by {
            By::Handle => self.chain(Phase::ThingsCome, Verb::Add, table, chain),
            By::Chain => {
                self.chain(Phase::RulesGo, Verb::Add, table, chain);
                self.chain(Phase::RulesGo, Verb::Flush, table, &bare(chain));
            }
        }
        self.fill(table, chain);
    }

    fn chain_goes(&mut self, table: &TableName<'s>, chain: &ChainState<'s>) {
        let bare = bare(chain);
        if self.by == By::Chain {
            self.chain(Phase::RulesGo, Verb::Add, table, &bare);
        }
        self.chain(Phase::RulesGo, Verb::Flush, table, &bare);
        self.chain(Phase::ChainsGo, Verb::Delete, table, &bare);
    }

    fn chain(&mut self, phase: Phase, verb: Verb, table: &TableName<'s>, chain: &ChainState<'s>) {
        let made = Chain::named(At::Nowhere, Cow::Borrowed(chain.name));
        let chain = Chain { base: chain.base, ..made };
        self.push(phase, verb, Object::Chain { table: table.clone(), chain });
    }

    /// The rules of a chain that has none come.
    fn fill(&mut self, table: &TableName<'s>, chain: &ChainState<'s>) {
        for rule in &chain.rules {
            let (table, chain) = (table.clone(), Cow::Borrowed(chain.name));
            let rule = (*rule).clone();
            let object = Object::Rule { table, chain, beside: None, rule };
            self.push(Phase::RulesCome, Verb::Add, object);
        }
    }
}

/// The chain by its name alone.
fn bare<'s>(chain: &ChainState<'s>) -> ChainState<'s> {
    ChainState { base: None, rules: Vec::new(), ..chain.clone() }
}

fn at(table: &TableState<'_>, chain: &str) -> Option<usize> {
    table.chains.iter().position(|known| known.name == chain)
}

fn named<'s>(name: &TableName<'s>) -> Table<'s> {
    Table { name: name.clone(), flags: Vec::new(), sets: Vec::new(), chains: Vec::new() }
}
