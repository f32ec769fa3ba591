//! Verdicts, and maps to them and to other values.

use std::collections::BTreeSet;

use super::super::ReadProblem;
use super::super::concat;
use super::super::condition::transport;
use super::super::condition::{self, Right};
use super::super::field::Field;
use super::super::opaque::Asker;
use super::{Place, Spec, inexact, says_transport};
use crate::ir::{Action, Match, OwnerIs, Protocol};
use crate::net::Families;
use crate::nft::{self, Comparison, Expr, Value, Verdict, absent, bad};

/// What a rule does with a map at its end.
#[derive(Clone)]
pub(super) struct Map {
    /// What it takes for a key to be the packet's, and what happens then.
    pub(super) entries: Vec<(Vec<Match>, Action)>,
    /// Whether only the first entry counts of those that could be the packet's.
    pub(super) in_order: bool,
}

/// What a verdict does; `None` if the next rule runs.
pub(super) fn verdict(
    verdict: &Verdict<'_>,
    place: &Place<'_, '_>,
) -> Result<Option<Action>, ReadProblem> {
    let target = |name: &str| {
        let known = place.targets.get(name);
        known.cloned().ok_or_else(|| absent("chain without a hook", name))
    };
    Ok(Some(match verdict {
        Verdict::Accept => Action::Accept,
        Verdict::Drop => Action::Drop,
        Verdict::Return => Action::Return,
        Verdict::Continue => return Ok(None),
        Verdict::Jump(name) => Action::Jump(target(name)?),
        Verdict::Goto(name) => Action::Goto(target(name)?),
    }))
}

impl Spec {
    pub(super) fn vmap<'v>(
        &mut self,
        key: &Expr<'_>,
        to: &'v nft::Right<'v>,
        place: &Place<'v, '_>,
    ) -> Result<(), ReadProblem> {
        let pairs = place.sets.entries(to)?;
        self.check_size(pairs.len(), "vmap")?;
        let mut entries = Vec::new();
        let mut rest = None;
        let mut keys = Vec::new();
        for (value, then) in pairs {
            let then = verdict(then, place)?;
            if *value == Value::Rest {
                rest = Some(then);
                continue;
            }
            keys.push(value);
            let all = self.key(key, value)?;
            entries.extend(all.into_iter().map(|all| (all, then.clone())));
        }
        check_overlap(&entries)?;
        sort_named(to, &mut entries);
        // What compares with several keys at once can say that none is meant.
        if let Some(action) = rest {
            let field = Field::read(key)?;
            let keys = keys.into_iter().map(std::slice::from_ref).collect();
            let others = condition::compare(field, Comparison::Unequal, &Right::Set(keys))?;
            self.note_connection(others.any.iter().flatten());
            entries.extend(others.any.into_iter().map(|all| (all, action.clone())));
        }
        let entries = entries.into_iter().filter_map(|(all, then)| Some((all, then?))).collect();
        let is_changed = Field::read(key).is_ok_and(Field::is_changed);
        self.end_with(entries, is_changed)
    }

    /// A map to other values than verdicts, each of which `then` makes an action.
    pub(super) fn map<'v>(
        &mut self,
        key: &'v Expr<'v>,
        to: &'v nft::Right<'v>,
        place: &Place<'v, '_>,
        mut then: impl FnMut(&mut Self, &'v Value<'v>) -> Result<Action, ReadProblem>,
    ) -> Result<(), ReadProblem> {
        let pairs = place.sets.pairs(to)?;
        self.check_size(pairs.len(), "map")?;
        let mut keys = Vec::with_capacity(pairs.len());
        for (value, data) in pairs {
            keys.push((self.key(key, value)?, data));
        }
        let is_transport = |all: &Vec<Match>| all.iter().any(says_transport);
        if keys.iter().flat_map(|(all, _)| all).all(is_transport) {
            self.transport.get_or_insert_with(transport);
        }
        let mut entries = Vec::new();
        for (all, data) in keys {
            let action = then(self, data)?;
            entries.extend(all.into_iter().map(|all| (all, Some(action.clone()))));
        }
        check_overlap(&entries)?;
        sort_named(to, &mut entries);
        let entries = entries.into_iter().filter_map(|(all, then)| Some((all, then?))).collect();
        let is_mark = |one: &Match| matches!(one, Match::Mark { .. } | Match::Connmark { .. });
        let is_changed = Field::read(key).is_ok_and(Field::is_changed)
            || self.when.iter().flatten().any(is_mark);
        self.end_with(entries, is_changed)
    }

    /// Notes what a map leads to, from keys of which no packet has two.
    fn end_with(
        &mut self,
        entries: Vec<(Vec<Match>, Action)>,
        is_changed: bool,
    ) -> Result<(), ReadProblem> {
        let may_come_back = |(_, then): &(_, Action)| !then.ends_chain();
        let behind_first = entries.len().saturating_sub(1);
        let in_order = is_changed && entries[..behind_first].iter().any(may_come_back)
            || self.when.len() > 1 && entries.iter().any(may_come_back);
        let map = Map { entries, in_order };
        map.check()?;
        self.map = Some(map);
        Ok(())
    }

    /// What it takes for the key of a map to be the packet's, in one of several ways.
    fn key(&mut self, key: &Expr<'_>, value: &Value<'_>) -> Result<Vec<Vec<Match>>, ReadProblem> {
        let Expr::Concat(parts) = key else {
            let field = Field::read(key)?;
            self.check_port(field)?;
            if matches!(field, Field::Family | Field::Ether | Field::Transparent | Field::Wildcard)
            {
                return Err(inexact("vmap", "its key is a family or a socket"));
            }
            let condition = condition::compare(field, Comparison::Equal, &Right::One(value))?;
            self.note_connection(condition.any.iter().flatten());
            // The same for every key: the family of a packet that has the field.
            self.families = condition.families.zip(self.families).and_then(|(a, b)| a.and(b));
            return Ok(condition.any);
        };
        let Value::Concat(values) = value else {
            return Err(bad("element", value, "not several values"));
        };
        if values.len() != parts.len() {
            return Err(bad("element", value, "other fields than are compared"));
        }
        let mut all = Vec::new();
        for (part, value) in parts.iter().zip(values) {
            let field = Field::read(part)?;
            let (families, matches) = concat::one(field, value)?;
            let is_address = matches!(field, Field::Address(..) | Field::Beginning(..));
            if !matches!(families, Some(Families::Both)) && !is_address {
                return Err(inexact("vmap", "its key is a family"));
            }
            self.families = families.zip(self.families).and_then(|(a, b)| a.and(b));
            all.extend(matches);
        }
        self.note_connection(all.iter());
        concat::known(all).map(|all| vec![all])
    }

    /// A map of verdicts of which not every key can be said exactly; whether it can be told at all.
    pub(super) fn vmap_inexactly<'v>(
        &mut self,
        key: &'v Expr<'v>,
        to: &'v nft::Right<'v>,
        place: &Place<'v, '_>,
        asker: &Asker<'_>,
    ) -> bool {
        let Ok(pairs) = place.sets.entries(to) else { return false };
        let known =
            |(value, then): &'v (Value<'v>, Verdict<'v>)| Some((value, verdict(then, place).ok()?));
        let Some(pairs) = pairs.into_iter().map(known).collect::<Option<Vec<_>>>() else {
            return false;
        };
        self.end_inexactly(key, pairs, place, asker)
    }

    /// Notes what a map leads to from keys of which not every one can be said exactly, `None` if to the
    /// next rule; whether it can be told at all.
    pub(super) fn end_inexactly<'v>(
        &mut self,
        key: &'v Expr<'v>,
        pairs: Vec<(&'v Value<'v>, Option<Action>)>,
        place: &Place<'v, '_>,
        asker: &Asker<'_>,
    ) -> bool {
        if self.check_size(pairs.len(), "vmap").is_err() {
            return false;
        }
        let is_total = covers_all(key, pairs.iter().map(|(value, _)| *value));
        let last = pairs.len().saturating_sub(1);
        let (mut entries, mut rest) = (Vec::new(), None);
        for (index, (value, then)) in pairs.into_iter().enumerate() {
            if *value == Value::Rest || is_total && index == last {
                rest = then;
                continue;
            }
            // That the next rule runs has to be told before another key counts.
            let Some(then) = then else { return false };
            let before = self.families;
            let all = self.key(key, value).unwrap_or_else(|_| {
                self.families = before;
                vec![asked_key(key, value, place, asker)]
            });
            entries.extend(all.into_iter().map(|all| (all, then.clone())));
        }
        entries.extend(rest.map(|then| (Vec::new(), then)));
        let map = Map { entries, in_order: true };
        if map.check().is_err() {
            return false;
        }
        self.map = Some(map);
        self.is_over = true;
        true
    }
}

impl Map {
    /// Whether rules can do what it does: where only the first entry counts, either none may come
    /// back, or all do that leave no other choice.
    fn check(&self) -> Result<(), ReadProblem> {
        if !self.in_order || self.entries.iter().all(|(_, then)| then.ends_chain()) {
            return Ok(());
        }
        let may_stay = |then: &Action| matches!(then, Action::Jump(_)) || then.ends_chain();
        let has_rest_that_leaves =
            self.entries.last().is_some_and(|(all, then)| all.is_empty() && then.leads_out());
        if has_rest_that_leaves || !self.entries.iter().all(|(_, then)| may_stay(then)) {
            return Err(inexact("vmap", "what it compares may change on the way"));
        }
        Ok(())
    }
}

/// Whether the key of a map is this one, as a question, or as far as it is one.
fn asked_key<'v>(
    key: &'v Expr<'v>,
    value: &'v Value<'v>,
    place: &Place<'v, '_>,
    asker: &Asker<'_>,
) -> Vec<Match> {
    let ask = |part: &Expr<'_>, value: &Value<'_>| {
        let right = nft::Right::One(value.clone());
        let condition = asker.comparison((part, Comparison::Equal, &right), place.sets);
        condition.any.into_iter().flatten().collect::<Vec<_>>()
    };
    let (Expr::Concat(parts), Value::Concat(values)) = (key, value) else {
        return ask(key, value);
    };
    let mut all: Vec<Match> = Vec::new();
    for (part, value) in parts.iter().zip(values) {
        let known = Field::read(part).and_then(|field| concat::one(field, value));
        match known {
            Ok((Some(_), matches)) => all.extend(matches),
            _ => all.extend(ask(part, value)),
        }
    }
    // A port of another protocol than TCP and UDP is a question, too.
    let is_other = all
        .iter()
        .any(|one| matches!(one, Match::Protocol { protocol: Protocol::Other(_), not: false }));
    if is_other || concat::known(all.clone()).is_err() {
        let is_port = |part: &Expr<'_>| matches!(Field::read(part), Ok(Field::Port(_, None)));
        let pairs = parts.iter().zip(values).filter(|(part, _)| is_port(part));
        let questions: Vec<_> = pairs.flat_map(|(part, value)| ask(part, value)).collect();
        all.retain(|one| !matches!(one, Match::Port { .. }));
        all.extend(questions);
    }
    all
}

/// Whether the keys are all that numbers can be which are made one after another, or by chance.
fn covers_all<'v>(key: &Expr<'_>, values: impl Iterator<Item = &'v Value<'v>>) -> bool {
    let Expr::Other(text) = key else { return false };
    let words: Vec<&str> = text.split(' ').collect();
    let (count, offset) = match words[..] {
        ["numgen", _, "mod", count] | ["symhash", "mod", count] => (count, "0"),
        ["numgen", _, "mod", count, "offset", offset] => (count, offset),
        _ => return false,
    };
    let (Ok(count), Ok(offset)) = (count.parse::<u32>(), offset.parse::<u32>()) else {
        return false;
    };
    let mut found = BTreeSet::new();
    for value in values {
        match value {
            Value::Number(number) | Value::Hex(number) => found.insert(*number),
            Value::Range(ends) => match (&ends.0, &ends.1) {
                (Value::Number(first), Value::Number(last)) if last - first.min(last) < 65_536 => {
                    found.extend(*first..=*last);
                    true
                }
                _ => return false,
            },
            _ => return false,
        };
    }
    let wanted = offset..offset.saturating_add(count);
    u32::try_from(found.len()) == Ok(count) && found.iter().all(|number| wanted.contains(number))
}

/// Elements of a named map have no order of their own, and listings any.
fn sort_named(to: &nft::Right<'_>, entries: &mut [(Vec<Match>, Option<Action>)]) {
    if matches!(to, nft::Right::Named(_)) {
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
    }
}

/// An error if two keys of a map could be those of one packet. Those of several fields are the kernel's
/// to refuse.
fn check_overlap(entries: &[(Vec<Match>, Option<Action>)]) -> Result<(), ReadProblem> {
    // Few are compared with each other; many are in an order in which only neighbours can meet.
    const FEW: usize = 64;
    let keys: Vec<&[Match]> = entries.iter().map(|(all, _)| all.as_slice()).collect();
    let meets = if keys.len() <= FEW {
        (0..keys.len()).any(|at| keys[..at].iter().any(|other| overlap(other, keys[at])))
    } else {
        let mut sorted = keys;
        sorted.sort_unstable();
        sorted.windows(2).any(|two| overlap(two[0], two[1]))
    };
    if meets {
        return Err(inexact("vmap", "two of its keys could be those of one packet"));
    }
    Ok(())
}

/// Whether both keys of a map could be those of one packet.
fn overlap(left: &[Match], right: &[Match]) -> bool {
    left.iter().zip(right).all(|(left, right)| match (left, right) {
        (Match::Port { ports: left, .. }, Match::Port { ports: right, .. }) => {
            left.minus(right) != *left
        }
        (Match::Address { nets: left, .. }, Match::Address { nets: right, .. }) => {
            left.iter().any(|net| right.contains(net.addr()))
                || right.iter().any(|net| left.contains(net.addr()))
        }
        (Match::Owner { is: left, .. }, Match::Owner { is: right, .. }) => {
            let (left, right) = (ids(left), ids(right));
            left.iter().any(|(first, last)| {
                right
                    .iter()
                    .any(|(other_first, other_last)| first <= other_last && other_first <= last)
            })
        }
        (Match::Interface { names: left, .. }, Match::Interface { names: right, .. }) => left
            .iter()
            .any(|name| right.iter().any(|other| name.covers(other) || other.covers(name))),
        (Match::Mark { mark: left, .. }, Match::Mark { mark: right, .. })
        | (Match::Connmark { mark: left, .. }, Match::Connmark { mark: right, .. }) => {
            left.overlaps(*right)
        }
        _ => left == right,
    })
}

fn ids(is: &OwnerIs) -> &[(u32, u32)] {
    match is {
        OwnerIs::In(ids) | OwnerIs::NotIn { ids, .. } => ids,
    }
}
