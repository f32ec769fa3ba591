//! One command after another, as one transaction.
//!
//! As the kernel does it (Linux 6.18): what is added twice is there once; a chain keeps its place
//! among hooks unless it goes; flushing a table takes its rules, and neither chains nor what sets
//! hold; what something leads to cannot go.

use std::collections::HashMap;

use super::{ChainState, Done, SetState, State, TableState, busy, exists, names_set};
use crate::nft::ast::TableName;
use crate::nft::{
    Beside, Chain, Command, Elements, Object, Place, ReadError, ReadProblem, Rule, Script, Set,
    Table, TableFamily, Verb, absent, refused, unknown,
};

impl Script<'_> {
    /// What is there behind the commands, when `before` was there; what nft or the kernel would
    /// refuse is in `errors`. `in_order`: whether what a rule names has to be there before it, which
    /// is so for what is loaded, and not for listings of nft before 1.0.3.
    pub(crate) fn apply<'s>(
        &'s self,
        before: State<'s>,
        in_order: bool,
        errors: &mut Vec<ReadError>,
    ) -> State<'s> {
        let mut run = Run { tables: Vec::new(), table_at: HashMap::new(), in_order };
        before.tables.into_iter().for_each(|table| run.add(table));
        for command in &self.commands {
            if let Err(problem) = run.command(command) {
                errors.push(ReadError { at: Place::from(command.at), problem });
            }
        }
        State { tables: run.tables.into_iter().flatten().collect() }
    }
}

struct Run<'s> {
    /// Those that are there, and a place for each that was.
    tables: Vec<Option<TableState<'s>>>,
    /// Where the tables of a family and name are.
    table_at: HashMap<(TableFamily, &'s str), usize>,
    in_order: bool,
}

impl<'s> Run<'s> {
    fn command(&mut self, command: &'s Command<'s>) -> Done {
        let verb = command.verb;
        match (&command.object, verb) {
            (Object::Remark(_) | Object::Passive, _) => Ok(()),
            (Object::Ruleset(family), _) => {
                let is_of =
                    |of: TableFamily| family.as_deref().is_none_or(|family| of.name() == family);
                for table in &mut self.tables {
                    table.take_if(|table| is_of(table.name.family));
                }
                self.table_at.retain(|(of, _), _| !is_of(*of));
                Ok(())
            }
            (object, Verb::Delete) => self.delete(object),
            (object, Verb::Destroy) => match self.delete(object) {
                Err(ReadProblem::Absent { .. }) => Ok(()),
                done => done,
            },
            (object, Verb::Flush) => self.flush(object),
            (object, Verb::Add | Verb::Create | Verb::Insert) => self.put(verb, object),
        }
    }

    fn put(&mut self, verb: Verb, object: &'s Object<'s>) -> Done {
        match object {
            Object::Table(table) => self.put_table(verb, table),
            Object::Block(table) => {
                self.put_table(verb, table)?;
                for chain in &table.chains {
                    self.put_chain(Verb::Add, &table.name, chain)?;
                }
                for set in &table.sets {
                    self.put_set(Verb::Add, &table.name, set)?;
                }
                let in_order = self.in_order;
                let state = self.table(&table.name)?;
                for chain in table.chains.iter().filter(|chain| !chain.rules.is_empty()) {
                    if in_order {
                        chain.rules.iter().try_for_each(|rule| state.has_all_of(rule))?;
                    }
                    state.chain_mut(&chain.name)?.rules.extend(&chain.rules);
                }
                Ok(())
            }
            Object::Chain { table, chain } => self.put_chain(verb, table, chain),
            Object::Set { table, set } => self.put_set(verb, table, set),
            Object::Elements { table, set, elements } => {
                self.put_elements(verb, (table, set), elements)
            }
            Object::Rule { table, chain, beside, rule } => {
                self.put_rule(verb, (table, chain), *beside, rule)
            }
            Object::Remark(_) | Object::Ruleset(_) | Object::Handle { .. } | Object::Passive => {
                Ok(())
            }
        }
    }

    fn put_table(&mut self, verb: Verb, table: &'s Table<'s>) -> Done {
        let known = ["owner", "persist", "dormant"];
        if let Some(flag) = table.flags.iter().find(|flag| !known.contains(&&***flag)) {
            return Err(unknown("flag", flag));
        }
        let dormant = table.flags.iter().any(|flag| flag == "dormant");
        match self.table(&table.name).ok() {
            Some(_) if verb == Verb::Create => Err(exists("table", &table.name.name)),
            Some(known) => {
                known.dormant = dormant;
                Ok(())
            }
            None => {
                self.add(TableState {
                    name: &table.name,
                    dormant,
                    chains: Vec::new(),
                    sets: Vec::new(),
                    chain_at: HashMap::new(),
                    set_at: HashMap::new(),
                });
                Ok(())
            }
        }
    }

    fn put_chain(&mut self, verb: Verb, table: &TableName<'_>, chain: &'s Chain<'s>) -> Done {
        let table = self.table(table)?;
        match table.chain_mut(&chain.name).ok() {
            Some(_) if verb == Verb::Create => Err(exists("chain", &chain.name)),
            Some(known) if chain.base.is_some() && chain.base != known.base => {
                Err(exists("chain", &chain.name))
            }
            Some(known) => {
                known.drops = chain.drops.unwrap_or(known.drops);
                Ok(())
            }
            None => {
                table.chain_at.insert(&chain.name, table.chains.len());
                table.chains.push(ChainState {
                    at: chain.at,
                    name: &chain.name,
                    base: chain.base,
                    is_elsewhere: chain.is_elsewhere,
                    drops: chain.drops.unwrap_or(false),
                    rules: Vec::new(),
                });
                Ok(())
            }
        }
    }

    fn put_set(&mut self, verb: Verb, table: &TableName<'_>, set: &'s Set<'s>) -> Done {
        let table = self.table(table)?;
        match table.set_mut(&set.name).ok() {
            Some(_) if verb == Verb::Create => Err(exists("set", &set.name)),
            Some(known) if !known.set.is_like(set) => Err(exists("set", &set.name)),
            Some(known) => {
                known.add(&set.elements);
                Ok(())
            }
            None => {
                let mut made = SetState {
                    set,
                    values: Vec::new(),
                    entries: Vec::new(),
                    pairs: Vec::new(),
                    fleeting: false,
                    limits: false,
                    unread: None,
                };
                made.add(&set.elements);
                table.set_at.insert(&set.name, table.sets.len());
                table.sets.push(made);
                Ok(())
            }
        }
    }

    fn put_elements(
        &mut self,
        verb: Verb,
        (table, set): (&TableName<'_>, &str),
        elements: &'s Elements<'s>,
    ) -> Done {
        let in_order = self.in_order;
        let set = self.table(table)?.set_mut(set)?;
        if in_order && verb == Verb::Create && set.is_interval() {
            // Linux 6.18 takes the end of one for the start of another (nft 1.0.6).
            return Err(refused("create element", "the kernel has no `create` for intervals"));
        }
        if verb == Verb::Create
            && let Some(known) = elements.values.iter().find(|value| set.has(value))
        {
            return Err(exists("element", &known.to_string()));
        }
        // What is read and not loaded may be long, and come an element a command.
        if in_order && !set.values.is_empty() && elements.unread.is_none() {
            return set.add_to_others(&elements.values);
        }
        set.add(elements);
        Ok(())
    }

    fn put_rule(
        &mut self,
        verb: Verb,
        (table, chain): (&TableName<'_>, &str),
        beside: Option<Beside>,
        rule: &'s Rule<'s>,
    ) -> Done {
        let in_order = self.in_order;
        let table = self.table(table)?;
        if in_order {
            table.has_all_of(rule)?;
        }
        let chain = table.chain_mut(chain)?;
        let beside = beside.map(|beside| chain.place(beside)).transpose()?;
        match (beside, verb) {
            (None, Verb::Insert) => chain.rules.insert(0, rule),
            (None, _) => chain.rules.push(rule),
            (Some(at), Verb::Insert) => chain.rules.insert(at, rule),
            (Some(at), _) => chain.rules.insert(at + 1, rule),
        }
        Ok(())
    }

    fn flush(&mut self, object: &'s Object<'s>) -> Done {
        match object {
            Object::Table(table) => {
                let table = self.table(&table.name)?;
                table.chains.iter_mut().for_each(|chain| chain.rules.clear());
                Ok(())
            }
            Object::Chain { table, chain } => {
                self.table(table)?.chain_mut(&chain.name)?.rules.clear();
                Ok(())
            }
            Object::Set { table, set } => {
                let set = self.table(table)?.set_mut(&set.name)?;
                (set.values, set.entries, set.pairs) = (Vec::new(), Vec::new(), Vec::new());
                (set.fleeting, set.unread) = (false, None);
                Ok(())
            }
            _ => Err(unknown("object to flush", "element")),
        }
    }

    fn delete(&mut self, object: &'s Object<'s>) -> Done {
        match object {
            Object::Table(table) => {
                let key = (table.name.family, &*table.name.name);
                let at = self.table_at.remove(&key).ok_or_else(|| absent("table", &table.name))?;
                self.tables[at] = None;
                Ok(())
            }
            Object::Chain { table, chain } => {
                let table = self.table(table)?;
                table.chain_mut(&chain.name)?;
                table.is_free(&chain.name)?;
                table.chains.retain(|known| known.name != chain.name);
                table.index();
                Ok(())
            }
            Object::Set { table, set } => {
                let table = self.table(table)?;
                table.set_mut(&set.name)?;
                if table.rules().any(|rule| names_set(rule, &set.name)) {
                    return Err(busy(&set.name));
                }
                table.sets.retain(|known| known.set.name != set.name);
                table.index();
                Ok(())
            }
            Object::Elements { table, set, elements } => {
                self.table(table)?.set_mut(set)?.remove(&elements.values)
            }
            Object::Handle { table, chain, handle } => {
                let chain = self.table(table)?.chain_mut(chain)?;
                let at = chain.place(Beside::Handle(*handle))?;
                chain.rules.remove(at);
                Ok(())
            }
            _ => Err(unknown("object", "rule")),
        }
    }

    fn table(&mut self, name: &TableName<'_>) -> Result<&mut TableState<'s>, ReadProblem> {
        let at = self.table_at.get(&(name.family, &*name.name));
        let found = at.and_then(|at| self.tables[*at].as_mut());
        found.ok_or_else(|| absent("table", name))
    }

    fn add(&mut self, table: TableState<'s>) {
        self.table_at.insert((table.name.family, &table.name.name), self.tables.len());
        self.tables.push(Some(table));
    }
}
