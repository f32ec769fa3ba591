//! The report of a run, for people.

use std::fmt::Write as _;

use super::report::{Coverage, Covered, File, Place, Policy, Report, State};
use crate::cli::forms::Report as _;
use crate::cli::page::{counted, indented};
use crate::diag::escape::on_one_line;
use crate::testing::Fate;

/// Widest word for a state, and the space behind it.
const STATE: usize = 11;

/// Each expectation, how often the parts of policies are touched, the changes that nobody notices, and
/// how much of each there is.
pub(super) fn text(report: &Report, coverage: bool) -> String {
    let mut out = String::new();
    for (_, policy) in report.policies() {
        expectations(&mut out, policy);
    }
    for (file, policy) in report.policies() {
        if let Some(found) = policy.coverage.as_ref().filter(|_| coverage) {
            gap(&mut out);
            table(&mut out, file, policy, found);
        }
    }
    gap(&mut out);
    for (_, policy) in report.policies() {
        mutants(&mut out, policy);
    }
    gap(&mut out);
    for line in totals(report, coverage) {
        indented(&mut out, 0, &line);
    }
    out
}

fn gap(out: &mut String) {
    if !out.is_empty() && !out.ends_with("\n\n") {
        out.push('\n');
    }
}

fn at(place: &Place) -> String {
    format!("{}:{}:{}", on_one_line(&place.file), place.line, place.column)
}

fn expectations(out: &mut String, policy: &Policy) {
    for expectation in &policy.expectations {
        let place = expectation.place.as_ref().map(|place| format!("{} ", at(place)));
        let _ = writeln!(
            out,
            "{:STATE$}{}{}: {}",
            expectation.state.words(),
            place.unwrap_or_default(),
            policy.name,
            on_one_line(&expectation.words),
        );
        for line in [&expectation.why, &expectation.because].into_iter().flatten() {
            indented(out, 2, &on_one_line(line));
        }
    }
}

fn table(out: &mut String, file: &File, policy: &Policy, coverage: &Coverage) {
    let _ = writeln!(out, "coverage of {} ({})", policy.name, on_one_line(&file.source));
    let mut row = |covered: &Covered| {
        let times = if covered.can_be { covered.times.to_string() } else { "-".to_owned() };
        let place = covered.place.as_ref().map(|place| format!("{} ", at(place)));
        let _ = writeln!(
            out,
            "{times:>5}  {}{}",
            place.unwrap_or_default(),
            on_one_line(&covered.words)
        );
    };
    coverage.rungs.iter().for_each(&mut row);
    coverage.clauses.iter().for_each(&mut row);
}

fn mutants(out: &mut String, policy: &Policy) {
    for mutant in policy.mutants.iter().flatten() {
        if let Fate::Unnoticed { packet, before, after } = &mutant.fate {
            let place = at(&mutant.place);
            let change = on_one_line(&mutant.change);
            let _ = writeln!(out, "{:STATE$}{place} {}: {change}", "unnoticed", policy.name);
            indented(out, 2, &format!("`{packet}` is {before}, and would be {after}"));
        }
    }
}

fn totals(report: &Report, coverage: bool) -> Vec<String> {
    let policies: Vec<&Policy> = report.policies().map(|(_, policy)| policy).collect();
    let mut lines = Vec::new();
    let all = || policies.iter().flat_map(|policy| &policy.expectations);
    let count = |state| all().filter(|expectation| expectation.state == state).count();
    let mut parts = Vec::new();
    for (state, one, more) in [
        (State::Holds, "holds", "hold"),
        (State::Broken, "is broken", "are broken"),
        (State::Idle, "is about nothing", "are about nothing"),
    ] {
        if count(state) > 0 {
            parts.push(counted(count(state), one, more));
        }
    }
    if parts.is_empty() {
        parts.push("none".to_owned());
    }
    lines.push(format!(
        "{} of {}: {}",
        counted(all().count(), "expectation", "expectations"),
        counted(policies.len(), "policy", "policies"),
        parts.join(", ")
    ));
    let refused = report.findings().count();
    if refused > 0 {
        lines.push(counted(refused, "file is refused", "files are refused"));
    }
    let silent: Vec<_> = policies
        .iter()
        .filter(|policy| policy.expectations.is_empty())
        .map(|policy| policy.name.as_str())
        .collect();
    if !silent.is_empty() {
        lines.push(format!("nothing is expected of {}", listed(&silent)));
    }
    let covered = policies.iter().filter_map(|policy| policy.coverage.as_ref());
    let covered: Vec<&Coverage> = covered.filter(|_| coverage).collect();
    if !covered.is_empty() {
        let of = |parts: fn(&Coverage) -> &Vec<Covered>| {
            let all = covered.iter().flat_map(|coverage| parts(coverage)).filter(|it| it.can_be);
            let touched = all.clone().filter(|it| it.times > 0).count();
            format!("{touched} of {}", all.count())
        };
        lines.push(format!(
            "coverage: {} rungs, {} clauses; `-` is about packets that no expectation can name",
            of(|coverage| &coverage.rungs),
            of(|coverage| &coverage.clauses)
        ));
    }
    if policies.iter().any(|policy| policy.mutants.is_some()) {
        let all = || policies.iter().flat_map(|policy| policy.mutants.iter().flatten());
        let noticed = all().filter(|mutant| mutant.fate == Fate::Noticed).count();
        let same = all().filter(|mutant| mutant.fate == Fate::Same).count();
        lines.push(format!(
            "{}: {noticed} noticed, {} unnoticed, {same} that treat every packet the same",
            counted(all().count(), "change", "changes"),
            all().count() - noticed - same
        ));
    }
    lines
}

/// `a, b and 3 more`.
fn listed(names: &[&str]) -> String {
    const MOST: usize = 8;
    let (first, more) = names.split_at(names.len().min(MOST));
    let first = first.join(", ");
    if more.is_empty() { first } else { format!("{first} and {} more", more.len()) }
}
