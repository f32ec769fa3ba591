//! Verdicts, and maps to them.

use super::super::ReadProblem;
use super::super::condition::{self, Right};
use super::super::field::Field;
use super::steps::is_final;
use super::{MOST_RULES, Place, Spec, TOO_MANY, inexact};
use crate::ir::{Action, Match, OwnerIs};
use crate::nft::{self, Comparison, Expr, Value, Verdict, absent, bad};

/// What a verdict does; `None` if the next rule runs.
pub(super) fn verdict(
    verdict: &Verdict<'_>,
    place: &Place<'_, '_>,
) -> Result<Option<Action>, ReadProblem> {
    let target = |name: &str| {
        let known = place.targets.iter().find(|target| target.as_str() == name);
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
        let field = Field::read(key)?;
        self.check_port(field)?;
        if matches!(field, Field::Family | Field::Transparent | Field::Wildcard) {
            return Err(inexact("vmap", "its key is a family or a socket"));
        }
        if !self.steps.is_empty() {
            return Err(inexact("vmap", "an action stands before it"));
        }
        let mut keys = Vec::new();
        let mut entries = Vec::new();
        let mut rest = None;
        let mut seen: Vec<Vec<Match>> = Vec::new();
        let pairs = place.sets.entries(to)?;
        if pairs.len() * self.when.len() > MOST_RULES {
            return Err(inexact("vmap", TOO_MANY));
        }
        for (key, then) in pairs {
            let then = verdict(then, place)?;
            if *key == Value::Rest {
                rest = then;
                continue;
            }
            keys.push(key);
            for all in self.key(field, Comparison::Equal, &Right::One(key))? {
                if seen.iter().any(|other| overlap(other, &all)) {
                    return Err(bad("key", key, "another key has it, too"));
                }
                seen.push(all.clone());
                entries.extend(then.clone().map(|then| (all, then)));
            }
        }
        // What compares with several keys at once can say that none is meant.
        if let Some(action) = rest {
            let keys = keys.into_iter().map(std::slice::from_ref).collect();
            let others = self.key(field, Comparison::Unequal, &Right::Set(keys))?;
            entries.extend(others.into_iter().map(|all| (all, action.clone())));
        }
        let may_come_back = |(_, then): &(_, Action)| !is_final(then);
        let behind_first = entries.len().saturating_sub(1);
        if field.is_changed() && entries[..behind_first].iter().any(may_come_back)
            || self.when.len() > 1 && entries.iter().any(may_come_back)
        {
            return Err(inexact("vmap", "a mark that it compares may change on the way"));
        }
        self.map = Some(entries);
        Ok(())
    }

    /// What it takes for the key of a map to compare so.
    fn key(
        &mut self,
        field: Field,
        op: Comparison,
        right: &Right<'_>,
    ) -> Result<Vec<Vec<Match>>, ReadProblem> {
        let condition = condition::compare(field, op, right)?;
        self.note_connection(condition.any.iter().flatten());
        // The same for every key: the family of a packet that has the field.
        self.families = condition.families.zip(self.families).and_then(|(a, b)| a.and(b));
        Ok(condition.any)
    }
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
