//! What policies that are loaded into one namespace take away from each other.

use super::lowered::{Claimed, Lowered};
use crate::diag::{Diagnostic, MOST_REPORTED, Problem, Severity};
use crate::net::{Mark, Name};
use crate::span::Span;

/// A policy that is loaded beside others.
pub(crate) struct Neighbour<'a> {
    /// What it is called.
    pub(crate) name: &'a Name,
    /// The place of its name.
    pub(crate) at: Option<Span>,
    /// What it comes to.
    pub(crate) lowered: Lowered,
}

/// Everything that two of `policies` claim both, in the order of its places: at most
/// [`MOST_REPORTED`] of it, and that there is more.
///
/// Of more than a few policies, most pairs own the same tables, so that few are looked at before
/// that many conflicts are found.
pub(crate) fn conflicts<'a>(policies: impl Iterator<Item = Neighbour<'a>>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut before: Vec<Neighbour<'a>> = Vec::new();
    for second in policies {
        for first in &before {
            if found.len() > MOST_REPORTED {
                return the_first(found);
            }
            match shared_table(first, &second) {
                // One replaces the other, so nothing else of the two can meet.
                Some(conflict) => found.push(conflict),
                // A packet of one family is not what the other one's policy is about.
                None if first.lowered.families.and(second.lowered.families).is_none() => {}
                None => {
                    let mut errors = shared_marks(first, &second, Sharing::Mark);
                    errors.extend(shared_routes(first, &second));
                    if errors.is_empty() {
                        errors = shared_marks(first, &second, Sharing::Bits);
                        errors.truncate(1);
                    }
                    found.append(&mut errors);
                }
            }
        }
        before.push(second);
    }
    found.sort_by_key(Diagnostic::at);
    found
}

/// The first [`MOST_REPORTED`] of `found`, and that these are not all.
fn the_first(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    found.truncate(MOST_REPORTED);
    found.sort_by_key(Diagnostic::at);
    let last = found.last().and_then(Diagnostic::at);
    found.push(Problem::TooMany { severity: Severity::Error }.of(last));
    found
}

/// A table that both own, whatever their clauses.
fn shared_table(first: &Neighbour<'_>, second: &Neighbour<'_>) -> Option<Diagnostic> {
    let others = &second.lowered.owned;
    // The last is the best known: `istio-proxy-nat`.
    let table = first.lowered.owned.iter().rfind(|table| others.contains(table))?;
    let [first_name, second_name] = names(first, second);
    let problem =
        Problem::SharedTable { first: first_name, second: second_name, table: table.to_string() };
    Some(
        problem
            .of(None)
            .and(second.at, "this one would replace")
            .and(first.at, "what this one loads"),
    )
}

/// How two marks meet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// Some mark is both.
    Mark,
    /// No mark is both, but they use the same bits.
    Bits,
}

/// The marks that meet in this way.
fn shared_marks(
    first: &Neighbour<'_>,
    second: &Neighbour<'_>,
    sharing: Sharing,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (words, mark, clause) in marks(first) {
        for (other_words, other, other_clause) in marks(second) {
            let left = format!("`{words} {mark}` of `{}`", first.name);
            let right = format!("`{other_words} {other}` of `{}`", second.name);
            let problem = match sharing {
                Sharing::Mark if mark.overlaps(other) => {
                    Problem::SharedMark { first: left, second: right }
                }
                Sharing::Bits if mark.mask() & other.mask() != 0 => {
                    Problem::SharedBits { first: left, second: right }
                }
                Sharing::Mark | Sharing::Bits => continue,
            };
            let (at, evidence) = (other_clause.or(second.at), clause.or(first.at));
            found.push(problem.of(None).and(at, "one use").and(evidence, "another use"));
        }
    }
    found
}

/// The routing tables that both fill.
fn shared_routes(first: &Neighbour<'_>, second: &Neighbour<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (table, clause) in routing_tables(first) {
        for (_, other) in routing_tables(second).filter(|(other, _)| *other == table) {
            let [first_name, second_name] = names(first, second);
            let problem = Problem::SharedRoute { first: first_name, second: second_name, table };
            let (at, evidence) = (other.or(second.at), clause.or(first.at));
            found.push(problem.of(None).and(at, "filled here").and(evidence, "and here"));
        }
    }
    found
}

fn names(first: &Neighbour<'_>, second: &Neighbour<'_>) -> [String; 2] {
    [first, second].map(|policy| policy.name.to_string())
}

/// The marks that a policy gives a meaning, with their words and clauses.
fn marks<'n>(
    of: &'n Neighbour<'_>,
) -> impl Iterator<Item = (&'static str, Mark, Option<Span>)> + use<'n> {
    of.lowered.claims.iter().filter_map(|claim| match claim.what {
        Claimed::Mark { words, mark } => Some((words, mark, claim.clause)),
        Claimed::RoutingTable(_) => None,
    })
}

/// The routing tables that a policy fills, with their clauses.
fn routing_tables(of: &Neighbour<'_>) -> impl Iterator<Item = (u32, Option<Span>)> {
    of.lowered.claims.iter().filter_map(|claim| match claim.what {
        Claimed::RoutingTable(table) => Some((table, claim.clause)),
        Claimed::Mark { .. } => None,
    })
}
