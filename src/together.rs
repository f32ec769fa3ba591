//! What policies that are loaded into one namespace take away from each other.

use crate::diag::{Diagnostic, MOST_REPORTED, Problem, Severity};
use crate::lower::owned_tables;
use crate::net::Mark;
use crate::policy::{Kind, Mode, Policy};
use crate::span::Span;

/// A policy, and the place of its name.
pub(crate) type Named<'a> = (&'a Policy, Option<Span>);

/// Everything that two of `policies` claim both, in the order of its places: at most
/// [`MOST_REPORTED`] of it, and that there is more.
///
/// Of more than a few policies, most pairs own the same tables, so that few are looked at before
/// that many conflicts are found.
pub(crate) fn conflicts(policies: &[Named<'_>]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (at, second) in policies.iter().enumerate() {
        for first in &policies[..at] {
            if found.len() > MOST_REPORTED {
                return the_first(found);
            }
            match shared_table(*first, *second) {
                // One replaces the other, so nothing else of the two can meet.
                Some(conflict) => found.push(conflict),
                // A packet of one family is not what the other one's policy is about.
                None if first.0.families().and(second.0.families()).is_none() => {}
                None => {
                    let mut errors = shared_marks(*first, *second, Sharing::Mark);
                    errors.extend(shared_route(*first, *second));
                    if errors.is_empty() {
                        errors = shared_marks(*first, *second, Sharing::Bits);
                        errors.truncate(1);
                    }
                    found.append(&mut errors);
                }
            }
        }
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
fn shared_table(first: Named<'_>, second: Named<'_>) -> Option<Diagnostic> {
    let others = owned_tables(&second.0.kind);
    // The last is the best known: `istio-proxy-nat`.
    let table = owned_tables(&first.0.kind).into_iter().rfind(|table| others.contains(table))?;
    let [first_name, second_name] = names(first, second);
    let problem =
        Problem::SharedTable { first: first_name, second: second_name, table: table.to_string() };
    Some(
        problem
            .of(None)
            .and(second.1, "this one would replace")
            .and(first.1, "what this one loads"),
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
fn shared_marks(first: Named<'_>, second: Named<'_>, sharing: Sharing) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for one in claims(first.0) {
        for other in claims(second.0) {
            let shown = |claim: &Claim, (policy, _): Named<'_>| {
                format!("`{} {}` of `{}`", claim.words, claim.mark, policy.name)
            };
            let [left, right] = [shown(&one, first), shown(&other, second)];
            let problem = match sharing {
                Sharing::Mark if one.mark.overlaps(other.mark) => {
                    Problem::SharedMark { first: left, second: right }
                }
                Sharing::Bits if one.mark.mask() & other.mark.mask() != 0 => {
                    Problem::SharedBits { first: left, second: right }
                }
                Sharing::Mark | Sharing::Bits => continue,
            };
            let (at, evidence) = (other.clause.or(second.1), one.clause.or(first.1));
            found.push(problem.of(None).and(at, "one use").and(evidence, "another use"));
        }
    }
    found
}

fn shared_route(first: Named<'_>, second: Named<'_>) -> Option<Diagnostic> {
    let ((table, one), (other_table, other)) = (route(first.0)?, route(second.0)?);
    if table != other_table {
        return None;
    }
    let [first_name, second_name] = names(first, second);
    let problem = Problem::SharedRoute { first: first_name, second: second_name, table };
    let (at, evidence) = (other.or(second.1), one.or(first.1));
    Some(problem.of(None).and(at, "filled here").and(evidence, "and here"))
}

fn names(first: Named<'_>, second: Named<'_>) -> [String; 2] {
    [first, second].map(|(policy, _)| policy.name.to_string())
}

/// Bits of a mark that a policy gives a meaning.
struct Claim {
    words: &'static str,
    mark: Mark,
    clause: Option<Span>,
}

/// The marks of a policy. Those of connections are among them: each is copied to packets or from
/// them, so that what meets there meets here.
fn claims(policy: &Policy) -> Vec<Claim> {
    let claim = |words, mark, clause| Claim { words, mark, clause };
    match &policy.kind {
        Kind::Sidecar(sidecar) => {
            let Mode::Tproxy(tproxy) = *sidecar.mode else { return Vec::new() };
            let [mark, outbound] = [tproxy.mark, tproxy.outbound_mark].map(Mark::exactly);
            // What set the mode may have set another number of it.
            vec![claim("mark", mark, None), claim("outbound-mark", outbound, None)]
        }
        Kind::AmbientPod(pod) => {
            let (mark, connmark) = (pod.proxy.mark, pod.proxy.connmark);
            vec![claim("mark", *mark, mark.clause), claim("connmark", *connmark, connmark.clause)]
        }
        Kind::AmbientHost(_) => Vec::new(),
    }
}

/// The routing table that a policy fills.
fn route(policy: &Policy) -> Option<(u32, Option<Span>)> {
    match &policy.kind {
        Kind::Sidecar(sidecar) => Some((sidecar.routed()?.table, None)),
        Kind::AmbientPod(pod) => Some((*pod.route.table, pod.route.table.clause)),
        Kind::AmbientHost(_) => None,
    }
}
