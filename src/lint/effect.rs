//! Clauses without effect.

use super::Linted;
use crate::diag::{Diagnostic, Problem};
use crate::lower::{Claimed, Layout, Lowered, lower};
use crate::semantics::{self, Limit, first_difference};
use crate::span::Span;
use crate::variants::{Edit, Variant, Written, said};

/// Says which clauses of the policy could be left out with no packet faring otherwise, because of another
/// clause: `W509`. One that says what is so by default, in whatever words, needs no warning, and those of
/// which `is_known` holds have theirs.
pub(super) fn lint(
    linted: &Linted<'_>,
    variant: &mut Variant<'_, '_>,
    is_known: impl Fn(Span) -> bool,
) -> Result<Vec<Diagnostic>, Limit> {
    let own = said(linted.policy);
    let clauses = variant.clauses();
    let mut found = Vec::new();
    for clause in clauses.iter().filter(|clause| !is_known(clause.span)) {
        if clause.is_block && !variant.says_something(clause, &clauses) {
            continue;
        }
        let Some(without) = variant.with(&[(clause.place, Edit::Drop)]) else { continue };
        if said(&without) == own || !are_alike(linted.lowered, &lower(&without, Layout::Compact))? {
            continue;
        }
        found.extend(shadowed(clause, &clauses, variant)?);
    }
    Ok(found)
}

/// Whether every packet fares the same, and the namespace needs the same beside the rules.
pub(super) fn are_alike(one: &Lowered, other: &Lowered) -> Result<bool, Limit> {
    let claims = |of: &Lowered| -> Vec<Claimed> { of.claims.iter().map(|it| it.what).collect() };
    if one.host != other.host || claims(one) != claims(other) {
        return Ok(false);
    }
    semantics::are_alike(&one.ruleset, &other.ruleset, false)
}

/// The warning about `clause`, with the clause that leaves it nothing to decide, and a packet about
/// which it would decide otherwise; `None` if no clause of the policy does.
fn shadowed(
    clause: &Written,
    all: &[Written],
    variant: &mut Variant<'_, '_>,
) -> Result<Option<Diagnostic>, Limit> {
    for other in all.iter().filter(|other| is_apart(clause, other)) {
        let rest = variant.with(&[(other.place, Edit::Drop)]);
        let neither = variant.with(&[(other.place, Edit::Drop), (clause.place, Edit::Drop)]);
        let (Some(rest), Some(neither)) = (rest, neither) else { continue };
        let [with, without] = [rest, neither].map(|policy| lower(&policy, Layout::Compact));
        if let Some(difference) = first_difference(&with.ruleset, &without.ruleset)? {
            let problem = Problem::Shadowed {
                clause: clause.words.as_str().into(),
                by: other.words.as_str().into(),
                packet: difference.packet.to_string().into(),
            };
            let label = "this leaves it nothing to decide";
            return Ok(Some(problem.at(clause.span, "").also(other.span, label)));
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
