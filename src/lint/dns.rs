//! DNS capture that no query meets.

use std::ops::Range;

use super::{Linted, connections, some_ends};
use crate::diag::{Diagnostic, Problem};
use crate::explain::Treatment;
use crate::ir::{Action, Hook, Rule};
use crate::lower::Lowered;
use crate::net::PortRange;
use crate::optimise::listed;
use crate::policy::{Expectation, Way};
use crate::semantics::Limit;
use crate::span::Span;
use crate::variants::{Edit, Variant, Written};

/// The port of DNS.
const DNS: u16 = 53;

/// Says that the policy captures DNS, and that clauses leave no query that it would get: `W506`.
pub(super) fn lint(
    linted: &Linted<'_>,
    variant: &mut Variant<'_, '_>,
) -> Result<Option<Diagnostic>, Limit> {
    let Some(port) = linted.lowered.ports.dns() else { return Ok(None) };
    let Some(rule) = captures(linted.lowered, port) else { return Ok(None) };
    let captured = rule.origin.clause;
    if is_asked(linted.lowered, port)? {
        return Ok(None);
    }
    let is_asked_with = |edit: &[_], variant: &mut Variant<'_, '_>| {
        let Some(with) = variant.with(edit) else { return Ok(false) };
        is_asked(&listed(&with), port)
    };
    for clause in variant.clauses().into_iter().filter(|clause| !clause.is_block) {
        if !is_asked_with(&[(clause.place, Edit::Drop)], variant)? {
            continue;
        }
        let mut at = clause.span;
        for value in values(&clause) {
            if is_asked_with(&[(clause.place, Edit::DropTerm(value))], variant)? {
                at = clause.terms[value].span;
                break;
            }
        }
        let problem = Problem::DnsExcluded { by: Some(clause.words.as_str().into()) };
        return Ok(Some(problem.at(at, "excluded here").and(captured, "captured here")));
    }
    // What a parent says of DNS and of port 53 was told of the parent.
    let is_own = |at: &Span| variant.clauses().iter().any(|clause| clause.span.covers(*at));
    Ok(captured.filter(is_own).map(|at| Problem::DnsExcluded { by: None }.at(at, "")))
}

/// The longest list of which each value is looked at.
const MOST_VALUES: usize = 64;

/// The places of the values among the terms of a list; none if it has one value, or very many.
fn values(clause: &Written) -> Range<usize> {
    let all = clause.terms.len();
    if (2..=MOST_VALUES).contains(&clause.values) { all - clause.values..all } else { all..all }
}

/// The rule that would send packets of the workload to the DNS port; `None` if there is none.
fn captures(lowered: &Lowered, port: u16) -> Option<&Rule> {
    let leads_there = |then: &Action| match then {
        Action::Redirect { port: to } => *to == port,
        Action::Dnat { port: to, .. } => *to == Some(port),
        _ => false,
    };
    lowered.ruleset.tables.iter().find_map(|table| {
        let reached = table.reached_from(|base| base.hook == Hook::Output);
        let chains = table.chains.iter().filter(|chain| reached.contains(&chain.name));
        let mut rules = chains.flat_map(|chain| &chain.rules);
        rules.find(|rule| leads_there(&rule.then))
    })
}

/// Whether a query of the workload gets to the DNS port of the proxy.
fn is_asked(lowered: &Lowered, port: u16) -> Result<bool, Limit> {
    let queries = Expectation { ports: vec![PortRange::one(DNS)], ..connections(Way::Outbound) };
    some_ends(lowered, &queries, |outcome| Treatment::of(outcome).port() == Some(port))
}
