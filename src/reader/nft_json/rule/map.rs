//! Verdicts, and maps to them.

use serde_json::Value;

use super::super::ReadProblem;
use super::super::condition::{self, Op, Right};
use super::super::field::Field;
use super::super::object::{Object, bad, only};
use super::super::state::absent;
use super::super::value::unwrapped;
use super::steps::is_final;
use super::{MOST_RULES, Place, Spec, TOO_MANY, inexact};
use crate::ir::{Action, Match, OwnerIs};

/// What a verdict does.
pub(super) enum Verdict {
    Does(Action),
    /// The next rule runs.
    Continues,
}

impl Verdict {
    pub(super) fn action(&self) -> Option<Action> {
        match self {
            Self::Does(action) => Some(action.clone()),
            Self::Continues => None,
        }
    }
}

/// The verdict, if `word` is one.
pub(super) fn verdict(
    word: &str,
    body: &Value,
    place: &Place<'_, '_>,
) -> Result<Option<Verdict>, ReadProblem> {
    let action = match word {
        "accept" => Action::Accept,
        "drop" => Action::Drop,
        "return" => Action::Return,
        "continue" => {
            empty("continue", body)?;
            return Ok(Some(Verdict::Continues));
        }
        "jump" | "goto" => {
            let of = if word == "jump" { "jump" } else { "goto" };
            let name = Object::read(of, body, &["target"])?.text("target")?;
            let target = place.targets.iter().find(|target| target.as_str() == name);
            let target = target.ok_or_else(|| absent("chain without a hook", name))?.clone();
            let action = if word == "jump" { Action::Jump } else { Action::Goto };
            return Ok(Some(Verdict::Does(action(target))));
        }
        _ => return Ok(None),
    };
    empty("verdict", body)?;
    Ok(Some(Verdict::Does(action)))
}

/// A statement that says everything with its name.
pub(super) fn empty(of: &'static str, body: &Value) -> Result<(), ReadProblem> {
    if body.is_null() { Ok(()) } else { Object::read(of, body, &[]).map(|_| ()) }
}

impl Spec {
    pub(super) fn vmap<'a>(
        &mut self,
        body: &'a Value,
        place: &Place<'a, '_>,
    ) -> Result<(), ReadProblem> {
        let fields = Object::read("vmap", body, &["key", "data"])?;
        let field = Field::read(fields.need("key")?)?;
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
        let pairs = place.sets.entries(fields.need("data")?)?;
        if pairs.len() * self.when.len() > MOST_RULES {
            return Err(inexact("vmap", TOO_MANY));
        }
        for pair in pairs {
            let [key, then] = pair.as_array().map(Vec::as_slice).unwrap_or_default() else {
                return Err(bad("element", pair, "not a key and a verdict"));
            };
            let (word, body) = only(then, "verdict")?;
            let then = verdict(word, body, place)?
                .ok_or_else(|| ReadProblem::Unknown { what: "verdict", word: word.to_owned() })?;
            let key = unwrapped(key)?;
            if key == "*" {
                rest = Some(then);
                continue;
            }
            keys.push(key);
            for all in self.key(field, Op::Equal, &Right::One(key))? {
                if seen.iter().any(|other| overlap(other, &all)) {
                    return Err(bad("key", key, "another key has it, too"));
                }
                seen.push(all.clone());
                entries.extend(then.action().map(|then| (all, then)));
            }
        }
        // What compares with several keys at once can say that none is meant.
        if let Some(action) = rest.as_ref().and_then(Verdict::action) {
            let others = self.key(field, Op::Unequal, &Right::Set(keys))?;
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
        op: Op,
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
