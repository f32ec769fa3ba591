//! Named sets and maps of a table, and what they hold.

use std::collections::BTreeSet;

use super::field::address_family;
use super::{EmptySets, Options, ReadProblem};
use crate::ir::AddressSet;
use crate::net::Family;
use crate::nft::{
    Elements, Expr, Right, SetState, Statement, TableState, Value, Verdict, absent, bad,
};

/// The named sets and maps of a table.
pub(super) struct Sets<'v, 't> {
    table: &'t TableState<'v>,
    /// Those that others fill.
    pub(super) declared: &'t [AddressSet],
    /// Those that rules change.
    pub(super) changed: BTreeSet<&'v str>,
    options: &'t Options,
}

impl<'v, 't> Sets<'v, 't> {
    pub(super) fn of(
        table: &'t TableState<'v>,
        declared: &'t [AddressSet],
        options: &'t Options,
    ) -> Self {
        let rules = table.chains.iter().flat_map(|chain| chain.rules.iter().copied());
        let statements = rules.flat_map(|rule| rule.statements.iter().flatten());
        let changed = statements.filter_map(|(_, statement)| match statement {
            Statement::Update { set, .. } => Some(&**set),
            _ => None,
        });
        Self { table, declared, changed: changed.collect(), options }
    }

    pub(super) fn get(&self, name: &str) -> Option<&SetState<'v>> {
        self.table.set(name)
    }

    /// The set called `name`.
    pub(super) fn need(&self, name: &str) -> Result<&SetState<'v>, ReadProblem> {
        let set = self.get(name).filter(|set| set.set.map.is_none());
        set.ok_or_else(|| absent("set", name))
    }

    /// What a set holds, in words that are the same for the same elements; nothing if others fill it,
    /// or it is not known.
    pub(super) fn held(&self, name: &str) -> String {
        let Some(set) = self.get(name).filter(|set| self.check(set).is_ok()) else {
            return String::new();
        };
        let values = set.values.iter().copied().flatten().map(ToString::to_string);
        let entries = set.entries.iter().copied().flatten();
        let pairs = set.pairs.iter().copied().flatten();
        let mut all: Vec<String> = values
            .chain(entries.map(|(key, then)| format!("{key} : {then}")))
            .chain(pairs.map(|(key, value)| format!("{key} : {value}")))
            .collect();
        // Listings have them in any order.
        all.sort_unstable();
        format!(", @{name} with {}", all.join(", "))
    }

    /// What the sets hold that statements name.
    pub(super) fn held_by<'s>(
        &self,
        statements: impl Iterator<Item = &'s Statement<'s>>,
    ) -> String {
        let mut held = String::new();
        for statement in statements {
            let map = |of: &'s Expr<'s>| if let Expr::Map(map) = of { Some(&map.1) } else { None };
            let named: Vec<&Right<'_>> = match statement {
                Statement::Match { right, .. } => vec![right],
                Statement::Vmap { to, .. } => vec![to],
                Statement::Mangle { value, .. } => map(value).into_iter().collect(),
                Statement::Translate(translate) => {
                    [&translate.to, &translate.port].into_iter().flatten().filter_map(map).collect()
                }
                _ => Vec::new(),
            };
            for right in named {
                if let Right::Named(name) = right {
                    held.push_str(&self.held(name.as_ref()));
                }
            }
        }
        held
    }

    /// The family of the addresses, if others fill the set.
    pub(super) fn filled(&self, set: &SetState<'_>) -> Option<Family> {
        // What rules change is another set to each that asks.
        let is_changed = self.changed.contains(&*set.set.name);
        filled(set, self.options).filter(|_| !is_changed)
    }

    /// The elements of a set.
    pub(super) fn elements(&self, set: &SetState<'v>) -> Result<Vec<&'v [Value<'v>]>, ReadProblem> {
        self.check(set)?;
        Ok(set.values.clone())
    }

    /// The elements of a map of verdicts, by its name or as they are.
    pub(super) fn entries(
        &self,
        to: &'v Right<'v>,
    ) -> Result<Vec<&'v (Value<'v>, Verdict<'v>)>, ReadProblem> {
        match to {
            Right::Named(name) => {
                let map = self.map(name)?;
                if map.set.map.as_deref() != Some("verdict") && map.entries.is_empty() {
                    return Err(absent("map of verdicts", to));
                }
                Ok(map.entries.iter().copied().flatten().collect())
            }
            Right::Set(elements)
                if elements.values.is_empty()
                    && elements.pairs.is_empty()
                    && !elements.fleeting
                    && !elements.limits =>
            {
                Ok(elements.entries.iter().collect())
            }
            _ => Err(bad("data", to, "not a map of verdicts")),
        }
    }

    /// The elements of another map.
    pub(super) fn pairs(
        &self,
        to: &'v Right<'v>,
    ) -> Result<Vec<&'v (Value<'v>, Value<'v>)>, ReadProblem> {
        match to {
            Right::Named(name) => Ok(self.map(name)?.pairs.iter().copied().flatten().collect()),
            Right::Set(elements) if !elements.fleeting && !elements.limits => {
                Ok(elements.pairs.iter().collect())
            }
            _ => Err(bad("data", to, "not a map")),
        }
    }

    /// The map called `name`, if it holds what the text says.
    fn map(&self, name: &str) -> Result<&SetState<'v>, ReadProblem> {
        let map = self.get(name).filter(|map| map.set.map.is_some());
        let map = map.ok_or_else(|| absent("map of verdicts", &format!("@{name}")))?;
        self.check(map)?;
        // What is to be loaded has what it needs in it.
        if map.is_empty() && self.options.target.is_some() {
            return Err(ReadProblem::Inexact { word: format!("@{name}"), why: "others fill it" });
        }
        Ok(map)
    }

    /// Whether the set holds what the text says, when a packet comes.
    fn check(&self, set: &SetState<'_>) -> Result<(), ReadProblem> {
        if let Some(error) = set.unread {
            return Err(error.problem.clone());
        }
        let moves = |flag: &str| matches!(flag, "timeout" | "dynamic");
        let is_moving = set.fleeting
            || set.limits
            || self.changed.contains(&*set.set.name)
            || set.set.flags.iter().any(|flag| moves(flag));
        if is_moving {
            let why = "its elements come and go by themselves";
            return Err(ReadProblem::Inexact { word: set.set.name.to_string(), why });
        }
        Ok(())
    }
}

/// The elements of a set without a name.
pub(super) fn anonymous<'v>(
    elements: &'v Elements<'v>,
    right: &Right<'_>,
) -> Result<&'v [Value<'v>], ReadProblem> {
    if elements.fleeting || elements.limits {
        return Err(crate::nft::unknown("part of an element", "timeout"));
    }
    if !elements.entries.is_empty() || !elements.pairs.is_empty() {
        return Err(bad("set", right, "its elements lead somewhere, as those of a map"));
    }
    Ok(&elements.values)
}

/// The family of the addresses, if others fill the set.
pub(super) fn filled(set: &SetState<'_>, options: &Options) -> Option<Family> {
    let is_named = options.filled.contains(&*set.set.name);
    // Prefixes that others fill in cannot be said, so that what is empty is read as that.
    let may_be_empty =
        options.target.is_none() && (options.empty_sets == EmptySets::Empty || set.is_interval());
    let is_filled = is_named || set.is_empty() && !may_be_empty;
    if is_filled && set.set.map.is_none() { address_family(&set.set.of) } else { None }
}
