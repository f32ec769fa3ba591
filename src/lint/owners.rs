//! Workloads that run as the proxy's user.

use super::Linted;
use super::effect::are_alike;
use crate::diag::{Diagnostic, Problem, shown};
use crate::lower::{Layout, lower};
use crate::semantics::Limit;
use crate::syntax::ast::{Term, TermKind};
use crate::variants::{Edit, Variant, said};

/// Says which excluded users are the proxy's own, so that every packet fares the same without them:
/// `W503`. Who runs as one of these is taken for the proxy.
pub(super) fn lint(
    linted: &Linted<'_>,
    variant: &mut Variant<'_, '_>,
) -> Result<Vec<Diagnostic>, Limit> {
    let mut found = Vec::new();
    let own = said(linted.policy);
    for clause in variant.clauses() {
        let words = clause.terms.len() - clause.values;
        if !clause.terms[..words].iter().map(|term| &*term.text).eq(["exclude", "user"]) {
            continue;
        }
        for at in words..clause.terms.len() {
            let term = &clause.terms[at];
            if !is_proxys(&linted.lowered.owners.users, term) {
                continue;
            }
            let edit = if clause.values == 1 { Edit::Drop } else { Edit::DropTerm(at) };
            let Some(without) = variant.with(&[(clause.place, edit)]) else { continue };
            if said(&without) != own
                && are_alike(linted.lowered, &lower(&without, Layout::Compact))?
            {
                let problem = Problem::ProxyUser { user: shown(&term.text) };
                found.push(problem.at(term.span, "excluded here"));
            }
        }
    }
    Ok(found)
}

/// Whether all users that `term` names, behind a protocol and ports perhaps, are the proxy's.
fn is_proxys(users: &[u32], term: &Term) -> bool {
    let named = term.text.rsplit(':').next().unwrap_or_default();
    let (first, last) = named.split_once('-').unwrap_or((named, named));
    let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) else { return false };
    let count = usize::try_from(last.saturating_sub(first)).unwrap_or(usize::MAX);
    term.kind == TermKind::Word
        && count < users.len()
        && (first..=last).all(|user| users.contains(&user))
}
