//! Clauses and values without effect.

use super::Linted;
use crate::diag::{Diagnostic, Problem};
use crate::lower::{Claimed, Lowered};
use crate::optimise::listed;
use crate::semantics::{self, Limit, first_difference};
use crate::span::Span;
use crate::syntax::ast::Term;
use crate::syntax::words;
use crate::variants::{Edit, Place, Variant, Written, said};

/// The longest policy, with everything written out, of whose lists each value is looked at, and the
/// most values of it: every look is a look at the whole policy.
const MOST_BYTES: usize = 16 * 1024;
const MOST_VALUES: usize = 64;

/// Something that a policy says: a clause, or a value of a list.
struct Part<'w> {
    clause: &'w Written,
    /// The place of the value among the terms.
    value: Option<usize>,
}

/// Says which clauses of the policy, and which values of their lists, could be left out with no packet
/// faring otherwise, because of another clause or value: `W509`. What says what is so by default, in
/// whatever words, needs no warning, and those of which `is_known` holds have theirs.
pub(super) fn lint(
    linted: &Linted<'_>,
    variant: &mut Variant<'_, '_>,
    is_known: impl Fn(Span) -> bool,
) -> Result<Vec<Diagnostic>, Limit> {
    let own = said(linted.policy);
    let clauses = variant.clauses();
    let lists = clauses.iter().filter(|clause| !clause.is_block && clause.values > 1);
    let is_short =
        own.len() <= MOST_BYTES && lists.map(|list| list.values).sum::<usize>() <= MOST_VALUES;
    let mut found = Vec::new();
    for clause in &clauses {
        let whole = Part { clause, value: None };
        let says_nothing = clause.is_block && !variant.says_something(clause, &clauses);
        if !is_known(clause.span) && !says_nothing && has_no_effect(&whole, linted, &own, variant)?
        {
            found.extend(shadowed(&whole, &clauses, variant)?);
        } else if !clause.is_block && is_short {
            for part in whole.values() {
                if !is_known(part.span()) && has_no_effect(&part, linted, &own, variant)? {
                    found.extend(shadowed(&part, &clauses, variant)?);
                }
            }
        }
    }
    Ok(found)
}

/// Whether the policy says something else without `part`, and every packet fares the same.
fn has_no_effect(
    part: &Part<'_>,
    linted: &Linted<'_>,
    own: &str,
    variant: &mut Variant<'_, '_>,
) -> Result<bool, Limit> {
    let Some(without) = variant.with(&[part.dropped()]) else { return Ok(false) };
    Ok(said(&without) != own && are_alike(linted.lowered, &listed(&without))?)
}

impl<'w> Part<'w> {
    /// The values of the clause, if they are several.
    fn values(&self) -> impl Iterator<Item = Self> + use<'w> {
        let clause = self.clause;
        let all = clause.terms.len() - clause.values..clause.terms.len();
        let several = (clause.values > 1).then_some(all);
        several.into_iter().flatten().map(move |at| Part { clause, value: Some(at) })
    }

    fn span(&self) -> Span {
        self.value.map_or(self.clause.span, |at| self.clause.terms[at].span)
    }

    fn dropped(&self) -> (Place, Edit) {
        (self.clause.place, self.value.map_or(Edit::Drop, Edit::DropTerm))
    }

    /// `outbound exclude port 25`, without the other values of the list.
    fn words(&self) -> String {
        let Some(value) = self.value else { return self.clause.words.clone() };
        let terms = &self.clause.terms;
        let before = &terms[..terms.len() - self.clause.values];
        let said: Vec<Term> = before.iter().chain([&terms[value]]).cloned().collect();
        words(&self.clause.block, &said)
    }

    /// Whether leaving `self` out says nothing of `other`: neither is in the other, and of one list
    /// both are values.
    fn is_apart(&self, other: &Self) -> bool {
        if self.clause.place == other.clause.place {
            return self.value.is_some() && other.value.is_some() && self.value != other.value;
        }
        is_apart(self.clause, other.clause)
    }
}

/// Whether every packet fares the same, and the namespace needs the same beside the rules.
pub(super) fn are_alike(one: &Lowered, other: &Lowered) -> Result<bool, Limit> {
    let claims = |of: &Lowered| -> Vec<Claimed> { of.claims.iter().map(|it| it.what).collect() };
    if one.host != other.host || claims(one) != claims(other) {
        return Ok(false);
    }
    semantics::are_alike(&one.ruleset, &other.ruleset, false)
}

/// The warning about `part`, with the part that leaves it nothing to decide, and a packet about which
/// it would decide otherwise; `None` if no part of the policy does.
fn shadowed(
    part: &Part<'_>,
    all: &[Written],
    variant: &mut Variant<'_, '_>,
) -> Result<Option<Diagnostic>, Limit> {
    let clauses = all.iter().map(|clause| Part { clause, value: None });
    // What another value of the same list leaves out stands behind it.
    let beside = Part { clause: part.clause, value: None };
    for other in clauses.chain(beside.values()).filter(|other| part.is_apart(other)) {
        // Behind a value that is left out, those of its list stand one place earlier.
        let [first, second] =
            if other.value > part.value { [&other, part] } else { [part, &other] };
        let neither = variant.with(&[first.dropped(), second.dropped()]);
        let rest = variant.with(&[other.dropped()]);
        let (Some(rest), Some(neither)) = (rest, neither) else { continue };
        let [with, without] = [rest, neither].map(|policy| listed(&policy));
        if let Some(difference) = first_difference(&with.ruleset, &without.ruleset)? {
            let problem = Problem::Shadowed {
                clause: part.words().into(),
                by: other.words().into(),
                packet: difference.packet.to_string().into(),
            };
            let label = "this leaves it nothing to decide";
            return Ok(Some(problem.at(part.span(), "").also(other.span(), label)));
        }
    }
    Ok(None)
}

/// Whether neither of the two has the other in its block.
fn is_apart(clause: &Written, other: &Written) -> bool {
    let is_around = |one: &Written, other: &Written| {
        one.place.0 == other.place.0 && (one.place.1.is_none() || one.place == other.place)
    };
    !is_around(clause, other) && !is_around(other, clause)
}
