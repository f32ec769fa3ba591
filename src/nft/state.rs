//! The tables of a namespace: what commands find there, and what they may do to it.

mod run;

use std::collections::{HashMap, HashSet};

use super::ast::TableName;
use super::{
    At, Beside, Elements, ReadError, ReadProblem, Right, Rule, Set, Statement, Value, Verdict,
    absent, bad, refused,
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

type Done = Result<(), ReadProblem>;

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
        self.of == other.of
            && self.map == other.map
            && self.size == other.size
            && flags(self) == flags(other)
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
