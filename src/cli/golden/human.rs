//! The report of a run, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::report::{Entry, Report, State};
use crate::Way;
use crate::cli::page::{counted, indented};
use crate::diag::escape::on_one_line;
use crate::explain::ClauseWords;

/// Widest name of a state, and the space behind it.
const STATE: usize = 17;

/// Most goldens of one kind that are told.
const MOST: usize = 100;

/// What was found, as far as it is not as it should be, and how much of each there is.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    // Views of one policy change together, and their meaning is told once.
    let mut told: BTreeMap<(Option<&str>, Option<&str>), &Entry> = BTreeMap::new();
    let others = report.entries.iter().filter(|entry| entry.state != State::Current);
    let mut shown: BTreeMap<State, usize> = BTreeMap::new();
    for entry in others {
        let count = shown.entry(entry.state).or_default();
        *count += 1;
        if *count > MOST {
            continue;
        }
        let _ = writeln!(out, "{:STATE$}{}", entry.state.words(), on_one_line(&entry.path));
        for words in &entry.words {
            indented(&mut out, 2, &on_one_line(words));
        }
        if entry.ways.is_empty() {
            continue;
        }
        let policy = (entry.source.as_deref(), entry.policy.as_deref());
        if let Some(first) = told.get(&policy).filter(|first| first.ways == entry.ways) {
            indented(&mut out, 2, &format!("as {}", on_one_line(&first.path)));
            continue;
        }
        entry.ways.iter().for_each(|way| write_way(&mut out, way));
        if entry.and_more {
            out.push_str("  and more ways\n");
        }
        told.insert(policy, entry);
    }
    for (state, count) in shown.into_iter().filter(|(_, count)| *count > MOST) {
        let _ = writeln!(out, "and {} more: {}", count - MOST, state.words());
    }
    if !out.is_empty() {
        out.push('\n');
    }
    indented(&mut out, 0, &totals(report));
    match &report.blessed {
        Some(_) if report.is_refused() => out.push_str("nothing is written\n"),
        Some(done) => {
            let _ = writeln!(out, "{} written, {} removed", done.written, done.removed);
        }
        None if report.is_current() || report.is_refused() || report.base.is_some() => {}
        None => out.push_str("`weir golden --bless` makes them current\n"),
    }
    out
}

/// `21 goldens: 18 current, 2 missing, 1 orphaned`.
pub(super) fn totals(report: &Report) -> String {
    let counts = report.counts();
    let refused = counts.iter().find(|(state, _)| *state == State::Refused);
    let refused = refused.map_or(0, |(_, count)| *count);
    let all = report.entries.len() - refused;
    let base = report.base.as_ref().map(|base| format!(" as of {}", on_one_line(base)));
    let base = base.unwrap_or_default();
    let mut parts: Vec<String> = counts
        .iter()
        .filter(|(state, _)| *state != State::Refused)
        .map(|(state, count)| format!("{count} {}", state.words()))
        .collect();
    if refused > 0 {
        parts.push(counted(refused, "file is refused", "files are refused"));
    }
    if parts.is_empty() {
        parts.push("none".to_owned());
    }
    format!("{}{base}: {}", counted(all, "golden", "goldens"), parts.join(", "))
}

fn write_way(out: &mut String, way: &Way) {
    indented(out, 2, &way.words);
    for traffic in &way.traffic {
        indented(out, 4, traffic);
    }
    if way.and_more {
        out.push_str("    and more\n");
    }
    for supposed in &way.supposes {
        indented(out, 4, &format!("if {supposed}, which no listing tells"));
    }
    indented(out, 4, &format!("for example {}", way.packet));
    if !way.reached {
        out.push_str("    though no packet was found that gets there\n");
    }
    if let Some(ClauseWords { file, line, column, text }) = &way.clause {
        indented(
            out,
            4,
            &format!("because of {}:{line}:{column} {}", on_one_line(file), on_one_line(text)),
        );
    }
}
