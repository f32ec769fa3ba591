//! What commands do to the tables of a namespace, as one transaction.
//!
//! As the kernel does it (Linux 6.18): what is added twice is there once; a chain keeps its place
//! among hooks unless it goes; flushing a table takes its rules, and neither chains nor what sets
//! hold; what something leads to cannot go.

use std::collections::{HashMap, HashSet};

use super::ast::TableName;
use super::{
    At, Beside, Chain, Command, Elements, Object, Place, ReadError, ReadProblem, Right, Rule,
    Script, Set, Statement, Table, TableFamily, Value, Verb, Verdict, absent, bad, refused,
};
use crate::ir::Base;

/// The tables of a namespace.
#[derive(Clone, Debug, Default)]
pub(crate) struct State<'s> {
    pub(crate) tables: Vec<TableState<'s>>,
}

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct TableState<'s> {
    pub(crate) name: &'s TableName<'s>,
    /// Whether the kernel enters none of its chains.
    pub(crate) dormant: bool,
    pub(crate) chains: Vec<ChainState<'s>>,
    pub(crate) sets: Vec<SetState<'s>>,
    /// Where chains and sets of a name are.
    chain_at: HashMap<&'s str, usize>,
    set_at: HashMap<&'s str, usize>,
}

/// A chain.
#[derive(Clone, Debug)]
pub(crate) struct ChainState<'s> {
    pub(crate) at: At,
    pub(crate) name: &'s str,
    pub(crate) base: Option<Base>,
    /// Whether the kernel enters it where nothing is read.
    pub(crate) is_elsewhere: bool,
    /// Whether a packet that comes to the end is dropped.
    pub(crate) drops: bool,
    pub(crate) rules: Vec<&'s Rule<'s>>,
}

/// A named set, or a map.
#[derive(Clone, Debug)]
pub(crate) struct SetState<'s> {
    /// As it was made. What it holds now is not in there.
    pub(crate) set: &'s Set<'s>,
    pub(crate) values: Vec<&'s [Value<'s>]>,
    pub(crate) entries: Vec<&'s [(Value<'s>, Verdict<'s>)]>,
    pub(crate) pairs: Vec<&'s [(Value<'s>, Value<'s>)]>,
    pub(crate) fleeting: bool,
    pub(crate) limits: bool,
    pub(crate) unread: Option<&'s ReadError>,
}

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

type Done = Result<(), ReadProblem>;

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
            return Err(super::unknown("flag", flag));
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
            _ => Err(super::unknown("object to flush", "element")),
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
            _ => Err(super::unknown("object", "rule")),
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

impl<'s> TableState<'s> {
    fn chain_mut(&mut self, name: &str) -> Result<&mut ChainState<'s>, ReadProblem> {
        let found = self.chain_at.get(name).and_then(|at| self.chains.get_mut(*at));
        found.ok_or_else(|| absent("chain", name))
    }

    /// The table with the sets of another.
    pub(crate) fn with_sets_of(&self, other: &Self) -> Self {
        let mut table = Self { sets: other.sets.clone(), ..self.clone() };
        table.index();
        table
    }

    /// Notes where chains and sets are.
    fn index(&mut self) {
        let chains = self.chains.iter().enumerate();
        self.chain_at = chains.map(|(at, chain)| (chain.name, at)).collect();
        let sets = self.sets.iter().enumerate();
        self.set_at = sets.map(|(at, set)| (&*set.set.name, at)).collect();
    }

    /// The set called `name`.
    pub(crate) fn set(&self, name: &str) -> Option<&SetState<'s>> {
        self.sets.get(*self.set_at.get(name)?)
    }

    fn set_mut(&mut self, name: &str) -> Result<&mut SetState<'s>, ReadProblem> {
        let found = self.set_at.get(name).and_then(|at| self.sets.get_mut(*at));
        found.ok_or_else(|| absent("set", name))
    }

    fn rules(&self) -> impl Iterator<Item = &'s Rule<'s>> {
        self.chains.iter().flat_map(|chain| chain.rules.iter().copied())
    }

    /// Whether everything is there that the rule names.
    fn has_all_of(&self, rule: &Rule<'_>) -> Done {
        for verdict in verdicts(rule) {
            if let Verdict::Jump(target) | Verdict::Goto(target) = verdict
                && !self.chain_at.contains_key(&**target)
            {
                return Err(absent("chain", target));
            }
        }
        let missing = |name: &&str| !self.set_at.contains_key(*name);
        match set_names(rule).find(missing) {
            Some(name) => Err(absent("set", name)),
            None => Ok(()),
        }
    }

    /// The chains that rules of the chain called `name` lead to.
    pub(crate) fn targets(&self, name: &str) -> impl Iterator<Item = &'s str> {
        let rules = self.chains.iter().filter(move |chain| chain.name == name);
        let rules = rules.flat_map(|chain| chain.rules.iter().copied());
        let maps = rules.clone().flat_map(set_names).flat_map(|map| {
            let maps = self.sets.iter().filter(move |set| set.set.name == map);
            maps.flat_map(|set| set.entries.iter().copied().flatten().map(|(_, verdict)| verdict))
        });
        rules.flat_map(verdicts).chain(maps).filter_map(|verdict| match verdict {
            Verdict::Jump(target) | Verdict::Goto(target) => Some(&**target),
            _ => None,
        })
    }

    /// Whether nothing leads to the chain called `name`, other than its own rules.
    fn is_free(&self, name: &str) -> Done {
        let leads = |verdict: &Verdict<'_>| matches!(verdict, Verdict::Jump(target) | Verdict::Goto(target) if target == name);
        let others = self.chains.iter().filter(|chain| chain.name != name);
        let by_rule = others.flat_map(|chain| &chain.rules).any(|rule| verdicts(rule).any(leads));
        let maps = self.sets.iter().flat_map(|set| &set.entries).copied().flatten();
        if by_rule || maps.map(|(_, verdict)| verdict).any(leads) {
            return Err(busy(name));
        }
        Ok(())
    }
}

impl ChainState<'_> {
    /// Where among the rules one is.
    fn place(&self, of: Beside) -> Result<usize, ReadProblem> {
        let (found, name) = match of {
            Beside::Index(index) => (Some(index).filter(|at| *at < self.rules.len()), index as u64),
            Beside::Handle(handle) => {
                (self.rules.iter().position(|rule| rule.handle == Some(handle)), handle)
            }
        };
        found.ok_or_else(|| absent("rule", &name))
    }
}

impl<'s> SetState<'s> {
    /// Whether it holds nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
            && self.entries.is_empty()
            && self.pairs.is_empty()
            && self.unread.is_none()
    }

    /// Whether it holds more than single values.
    pub(crate) fn is_interval(&self) -> bool {
        self.set.flags.iter().any(|flag| flag == "interval")
    }

    fn add(&mut self, elements: &'s Elements<'s>) {
        let Elements { values, entries, pairs, fleeting, limits, unread } = elements;
        if !values.is_empty() {
            self.values.push(values);
        }
        if !entries.is_empty() {
            self.entries.push(entries);
        }
        if !pairs.is_empty() {
            self.pairs.push(pairs);
        }
        self.fleeting |= fleeting;
        self.limits |= limits;
        self.unread = self.unread.or(unread.as_deref());
    }

    fn has(&self, value: &Value<'_>) -> bool {
        self.values.iter().copied().flatten().any(|known| known == value)
    }

    /// Adds what the set does not have yet: the kernel passes over what it has, and nft refuses an interval
    /// that overlaps another (1.0.6).
    fn add_to_others(&mut self, values: &'s [Value<'s>]) -> Done {
        let known: HashSet<String> =
            self.values.iter().copied().flatten().map(Value::key).collect();
        let new = || values.iter().filter(|value| !known.contains(&value.key()));
        if self.is_interval() && !self.set.auto_merge {
            let all = self.values.iter().copied().flatten().chain(new());
            let mut ends: Vec<_> = all.filter_map(Value::ends).collect();
            ends.sort_unstable();
            if ends.windows(2).any(|two| two[1].0 <= two[0].1) {
                return Err(refused(&self.set.name, "an element overlaps one that is there"));
            }
        }
        self.values.extend(new().map(std::slice::from_ref));
        Ok(())
    }

    fn remove(&mut self, values: &[Value<'_>]) -> Done {
        let mut gone: HashMap<String, bool> =
            values.iter().map(|value| (value.key(), false)).collect();
        let all = std::mem::take(&mut self.values);
        for value in all.into_iter().flatten() {
            match gone.get_mut(&value.key()) {
                Some(was_there) => *was_there = true,
                None => self.values.push(std::slice::from_ref(value)),
            }
        }
        match values.iter().find(|value| gone.get(&value.key()) == Some(&false)) {
            Some(value) => Err(bad("elem", value, "the set does not have it")),
            None => Ok(()),
        }
    }
}

impl Set<'_> {
    /// Whether the set can be declared as the other.
    pub(crate) fn is_like(&self, other: &Set<'_>) -> bool {
        let flags = |set: &Set<'_>| {
            let mut flags: Vec<_> = set.flags.iter().map(ToString::to_string).collect();
            flags.sort_unstable();
            flags
        };
        self.of == other.of && self.map == other.map && flags(self) == flags(other)
    }
}

/// Every verdict of the rule.
fn verdicts<'r>(rule: &'r Rule<'r>) -> impl Iterator<Item = &'r Verdict<'r>> {
    statements(rule).flat_map(|statement| {
        let (one, all): (_, &[_]) = match statement {
            Statement::Verdict(verdict) => (Some(verdict), &[]),
            Statement::Vmap { to: Right::Set(elements), .. } => (None, &elements.entries),
            _ => (None, &[]),
        };
        one.into_iter().chain(all.iter().map(|(_, verdict)| verdict))
    })
}

/// The sets that the rule names.
fn set_names<'r>(rule: &'r Rule<'r>) -> impl Iterator<Item = &'r str> {
    statements(rule).filter_map(|statement| match statement {
        Statement::Match { right: Right::Named(name), .. }
        | Statement::Vmap { to: Right::Named(name), .. }
        | Statement::Update { set: name, .. } => Some(&**name),
        _ => None,
    })
}

fn names_set(rule: &Rule<'_>, name: &str) -> bool {
    set_names(rule).any(|known| known == name)
}

fn statements<'r>(rule: &'r Rule<'r>) -> impl Iterator<Item = &'r Statement<'r>> {
    rule.statements.iter().flatten().map(|(_, statement)| statement)
}

fn exists(what: &'static str, name: &str) -> ReadProblem {
    ReadProblem::Exists { what, name: name.to_owned() }
}

fn busy(name: &str) -> ReadProblem {
    refused(name, "the kernel does not delete what a rule leads to or looks up")
}
