//! Workloads that run as the proxy's user.

use super::Linted;
use super::effect::are_alike;
use crate::diag::{Diagnostic, Problem, shown};
use crate::lower::Owners;
use crate::optimise::listed;
use crate::policy::{Expectation, Setting};
use crate::semantics::Limit;
use crate::syntax::ast::{Term, TermKind};
use crate::variants::{Edit, Variant, said};

/// Says where a workload runs as the proxy's user, so that it is taken for the proxy: `W503`.
///
/// A policy names users in two places. One that it excludes is the proxy's own if every packet fares the
/// same without it, and so is one of whom it expects something as of a workload.
pub(super) fn lint(
    linted: &Linted<'_>,
    variant: &mut Variant<'_, '_>,
) -> Result<Vec<Diagnostic>, Limit> {
    let mut found = excluded(linted, variant)?;
    found.extend(linted.policy.expectations.iter().filter_map(|it| expected(linted, it)));
    Ok(found)
}

/// Who an expectation names of whom the proxy is by user and not by group, or by group and not by user:
/// that is a process of the workload, which is taken for the proxy.
fn expected(linted: &Linted<'_>, expectation: &Setting<Expectation>) -> Option<Diagnostic> {
    let Owners { users, groups } = &linted.lowered.owners;
    let its = |named: &[u32], proxys: &[u32]| -> Option<u32> {
        named.iter().find(|id| proxys.contains(id)).copied()
    };
    let is_other = |named: &[u32], proxys: &[u32]| {
        !named.is_empty() && !proxys.is_empty() && its(named, proxys).is_none()
    };
    let problem = match (its(&expectation.users, users), its(&expectation.groups, groups)) {
        (Some(user), None) if is_other(&expectation.groups, groups) => {
            Problem::ProxyUser { user: user.to_string() }
        }
        (None, Some(group)) if is_other(&expectation.users, users) => Problem::ProxyGroup { group },
        _ => return None,
    };
    Some(problem.at(expectation.clause?, "expected of a workload here"))
}

/// The excluded users that are the proxy's own.
fn excluded(linted: &Linted<'_>, variant: &mut Variant<'_, '_>) -> Result<Vec<Diagnostic>, Limit> {
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
            if said(&without) != own && are_alike(linted.lowered, &listed(&without))? {
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
