//! The sets of one table: which come, go or are made anew, and which of their elements.

use std::borrow::Cow;
use std::collections::HashSet;

use super::Stop;
use super::order::{By, Order, Phase};
use crate::diag::Problem;
use crate::nft::{Elements, Object, Set, SetState, TableName, TableState, Value, Verb};

/// Most looks at intervals while some are deleted. nft 1.0.6 looks at all of a set for each, and needs 15 seconds for
/// 1,000 of 20,000; it fills the whole set anew in 60 milliseconds.
const MOST_LOOKS: usize = 200_000;

impl<'s> Order<'s> {
    /// Changes the sets of a table that both versions have; which of them are made anew, because they are of
    /// another type.
    pub(super) fn sets(
        &mut self,
        old: &TableState<'s>,
        new: &TableState<'s>,
    ) -> Result<Vec<&'s str>, Stop> {
        let mut anew = Vec::new();
        // Which sets others fill, a listing does not say: in a table that has such, all that are not the policy's.
        let is_shared = new.sets.iter().any(SetState::is_empty);
        for set in &old.sets {
            let name = &*set.set.name;
            match new.set(name) {
                Some(now) if now.set.is_like(set.set) => self.elements(new.name, set, now),
                _ if is_shared || set.is_empty() && self.by == By::Chain => {
                    return Err(filled_by_others(old.name, name));
                }
                Some(now) => {
                    self.set(Phase::SetsGo, Verb::Delete, new.name, set);
                    self.set_comes(new.name, now);
                    anew.push(&*now.set.name);
                }
                None => {
                    if self.by == By::Chain {
                        self.set(Phase::SetsGo, Verb::Add, new.name, set);
                    }
                    self.set(Phase::SetsGo, Verb::Delete, new.name, set);
                }
            }
        }
        for set in new.sets.iter().filter(|set| old.set(&set.set.name).is_none()) {
            self.set_comes(new.name, set);
        }
        Ok(anew)
    }

    /// A set comes with all that it holds.
    pub(super) fn set_comes(&mut self, table: &TableName<'s>, set: &SetState<'s>) {
        self.set(Phase::ThingsCome, Verb::Add, table, set);
        let values = set.values.iter().copied().flatten().collect();
        self.values(Verb::Add, (table, set), values);
    }

    /// Changes what a set holds, unless others fill it.
    fn elements(&mut self, table: &TableName<'s>, old: &SetState<'s>, new: &SetState<'s>) {
        if new.is_empty() {
            return;
        }
        let goes = difference(old, new);
        let comes = difference(new, old);
        let set = (table, new);
        let held: usize = old.values.iter().map(|values| values.len()).sum();
        let is_long = goes.len().saturating_mul(held) > MOST_LOOKS;
        // Where NEW is loaded, what goes and overlaps could not even be added, and so not be deleted.
        let is_in_the_way = || self.by == By::Chain && overlaps(&goes, new);
        if new.is_interval() && (is_long || is_in_the_way()) {
            let object = Object::Set { table: table.clone(), set: declared(new) };
            self.push(Phase::ThingsCome, Verb::Flush, object);
            let all = new.values.iter().copied().flatten().collect();
            self.values(Verb::Add, set, all);
            return;
        }
        if self.by == By::Chain {
            // nft cannot delete what is not there.
            self.values(Verb::Add, set, goes.clone());
        }
        self.values(Verb::Delete, set, goes);
        self.values(Verb::Add, set, comes);
    }

    fn set(&mut self, phase: Phase, verb: Verb, table: &TableName<'s>, set: &SetState<'s>) {
        self.push(phase, verb, Object::Set { table: table.clone(), set: declared(set) });
    }

    fn values(
        &mut self,
        verb: Verb,
        (table, set): (&TableName<'s>, &SetState<'s>),
        values: Vec<&Value<'s>>,
    ) {
        if values.is_empty() {
            return;
        }
        let elements = Elements::of(values.into_iter().cloned().collect());
        let (table, set) = (table.clone(), Cow::Borrowed(&*set.set.name));
        self.push(Phase::ThingsCome, verb, Object::Elements { table, set, elements });
    }
}

/// An update never takes away what others have filled.
pub(super) fn filled_by_others(table: &TableName<'_>, set: &str) -> Stop {
    Stop::Refused(Problem::NoUpdate {
        why: format!("it would delete set `{set}` of table {table}, which others fill"),
        instead: "replace the version that is loaded with `weir compile --emit nft`, and have the \
                  sets filled again",
    })
}

/// The set as it is made, without elements.
fn declared<'s>(set: &SetState<'s>) -> Set<'s> {
    let set = set.set;
    Set { name: Cow::Borrowed(&*set.name), elements: Elements::default(), ..set.clone() }
}

/// What only the first holds.
fn difference<'s>(one: &SetState<'s>, other: &SetState<'_>) -> Vec<&'s Value<'s>> {
    let known: HashSet<String> = other.values.iter().copied().flatten().map(Value::key).collect();
    let values = one.values.iter().copied().flatten();
    values.filter(|value| !known.contains(&value.key())).collect()
}

/// Whether one of `values` overlaps something that the set holds.
fn overlaps(values: &[&Value<'_>], set: &SetState<'_>) -> bool {
    let mut held: Vec<_> = set.values.iter().copied().flatten().filter_map(Value::ends).collect();
    held.sort_unstable();
    values.iter().any(|value| match value.ends() {
        None => true,
        Some((first, last)) => {
            // Those of a set do not overlap each other, so that the last that begins before the end tells.
            let before = held.partition_point(|(start, _)| *start <= last);
            before.checked_sub(1).is_some_and(|at| held[at].1 >= first)
        }
    })
}
