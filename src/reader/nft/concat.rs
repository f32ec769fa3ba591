//! Matches on several fields together.

use std::collections::BTreeMap;

use super::ReadProblem;
use super::condition::{self, Condition, Right};
use super::field::Field;
use super::sets::{Sets, anonymous};
use crate::ir::{Match, Protocol};
use crate::net::Families;
use crate::nft::{self, Comparison, Expr, Value, bad};

/// What it takes for the fields to be together in a set, or to have the values of one element.
pub(super) fn compare<'v>(
    parts: &[Expr<'_>],
    op: Comparison,
    right: &'v nft::Right<'v>,
    sets: &Sets<'v, '_>,
) -> Result<Condition, ReadProblem> {
    let values: Vec<&'v [Value<'v>]> = match right {
        nft::Right::One(value) => vec![std::slice::from_ref(value)],
        nft::Right::Set(elements) => vec![anonymous(elements, right)?],
        nft::Right::Named(name) => sets.elements(sets.need(name)?)?,
    };
    let fields = parts.iter().map(Field::read).collect::<Result<Vec<_>, _>>()?;
    let elements = values.into_iter().flatten();
    match op {
        Comparison::Equal | Comparison::In => among(&fields, elements),
        _ => {
            let why = "what is unequal together can be so in several ways";
            Err(ReadProblem::Inexact { word: op.word().to_owned(), why })
        }
    }
}

/// What it takes for the fields to be one of the elements. Elements that differ in one field only are
/// one alternative.
fn among<'v>(
    fields: &[Field],
    elements: impl Iterator<Item = &'v Value<'v>>,
) -> Result<Condition, ReadProblem> {
    // The field of which a match can say most values at once.
    let is_address = |field: &Field| matches!(field, Field::Address(..));
    let is_port = |field: &Field| matches!(field, Field::Port(..));
    let widest = fields.iter().position(is_address).or_else(|| fields.iter().position(is_port));
    let mut groups: BTreeMap<Vec<Match>, Vec<&'v [Value<'v>]>> = BTreeMap::new();
    let mut families = Families::Both;
    for element in elements {
        let Value::Concat(values) = element else {
            return Err(bad("element", element, "not several values"));
        };
        if values.len() != fields.len() {
            return Err(bad("element", element, "other fields than are compared"));
        }
        let mut all = Vec::new();
        let parts = fields.iter().zip(values).enumerate().filter(|(at, _)| Some(*at) != widest);
        for (_, (field, value)) in parts {
            let one = one(*field, value)?;
            let narrowed = one.0.and_then(|narrower| families.and(narrower));
            families = narrowed.ok_or_else(|| bad("element", element, "of several families"))?;
            all.extend(one.1);
        }
        let rest = widest.map_or(&[][..], |at| &values[at..=at]);
        groups.entry(all).or_default().push(rest);
    }
    let mut any = Vec::new();
    let mut found = Some(families);
    for (all, values) in groups {
        let Some(field) = widest.map(|at| fields[at]) else {
            any.push(known(all)?);
            continue;
        };
        let condition = condition::compare(field, Comparison::Equal, &Right::Set(values))?;
        found = condition.families.zip(Some(families)).and_then(|(one, other)| one.and(other));
        let [wide] = condition.any.as_slice() else { continue };
        any.push(known([wide.clone(), all].concat())?);
    }
    Ok(Condition { families: found, any })
}

/// What it takes for a field to have a value, which has to be one alternative.
pub(super) fn one(
    field: Field,
    value: &Value<'_>,
) -> Result<(Option<Families>, Vec<Match>), ReadProblem> {
    let condition = condition::compare(field, Comparison::Equal, &Right::One(value))?;
    match <[Vec<Match>; 1]>::try_from(condition.any) {
        Ok([all]) => Ok((condition.families, all)),
        Err(_) => Err(bad("element", value, "several alternatives")),
    }
}

/// A port of any protocol is one of TCP or UDP only if something else says so.
pub(super) fn known(mut all: Vec<Match>) -> Result<Vec<Match>, ReadProblem> {
    let has_port = all.iter().any(|one| matches!(one, Match::Port { .. }));
    let others = all
        .iter()
        .any(|one| matches!(one, Match::Protocol { protocol: Protocol::Other(_), not: false }));
    let says = all.iter().any(|one| {
        matches!(one, Match::Protocol { protocol: Protocol::Tcp | Protocol::Udp, not: false })
    });
    if has_port && (others || !says) {
        return Err(nft::needs("th", "a match on tcp or udp"));
    }
    all.sort_by_key(|one| !matches!(one, Match::Protocol { .. }));
    all.dedup();
    Ok(all)
}
