//! The report of a run in Markdown, for the summary of a job or a comment on a pull request.

use std::fmt::Write as _;

use super::human::totals;
use super::report::{Entry, Report, State};
use crate::Way;
use crate::cli::forms::escape::{markdown, markdown_code};

/// Most rows of the table. A comment on GitHub has at most 65,536 characters.
const MOST: usize = 50;

/// Most policies of which packets are told.
const MOST_PACKETS: usize = 20;

/// The summary.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::from("### Goldens\n\n");
    let _ = writeln!(out, "{}", markdown(&totals(report)));
    let changed: Vec<&Entry> =
        report.entries.iter().filter(|entry| entry.state != State::Current).collect();
    if changed.is_empty() {
        return out;
    }
    out.push_str("\n| policy | golden | state | meaning |\n|---|---|---|---|\n");
    // Views of one policy change together, and their meaning is told once.
    let mut told: Vec<&Entry> = Vec::new();
    for entry in changed.iter().take(MOST) {
        let is_same = |first: &&&Entry| {
            (&first.source, &first.policy, &first.ways)
                == (&entry.source, &entry.policy, &entry.ways)
        };
        let first = told.iter().find(is_same).filter(|_| !entry.ways.is_empty());
        let meaning = match first {
            Some(first) => format!("as {}", markdown_code(&first.path)),
            None => meaning(entry),
        };
        if first.is_none() && !entry.ways.is_empty() {
            told.push(entry);
        }
        let policy = match (&entry.policy, &entry.source) {
            (Some(policy), Some(source)) => {
                format!("{} in {}", markdown_code(policy), markdown_code(source))
            }
            (None, Some(source)) => markdown_code(source),
            _ => String::new(),
        };
        let golden =
            if entry.state == State::Refused { String::new() } else { markdown_code(&entry.path) };
        let _ = writeln!(out, "| {policy} | {golden} | {} | {meaning} |", entry.state.words());
    }
    if changed.len() > MOST {
        let _ = writeln!(out, "\nand {} more", changed.len() - MOST);
    }
    if !told.is_empty() {
        out.push_str("\n<details><summary>Packets</summary>\n\n");
        for entry in told.iter().take(MOST_PACKETS) {
            entry.ways.iter().for_each(|way| packets(&mut out, entry, way));
        }
        if told.len() > MOST_PACKETS {
            let _ = writeln!(out, "- and {} more policies", told.len() - MOST_PACKETS);
        }
        out.push_str("\n</details>\n");
    }
    let has_stale = changed.iter().any(|entry| entry.state != State::Refused);
    if has_stale && report.base.is_none() {
        out.push_str("\n`weir golden --bless` writes what has changed.\n");
    }
    out
}

/// What a golden means beside its policy.
fn meaning(entry: &Entry) -> String {
    let ways = entry.ways.iter().map(|way| &way.words);
    let mut parts: Vec<_> = ways.chain(&entry.words).map(|words| markdown(words)).collect();
    if entry.state == State::SameMeaning {
        parts.insert(0, "proved to be the same for every packet".to_owned());
    }
    if entry.and_more {
        parts.push("and more".to_owned());
    }
    parts.join("<br>")
}

fn packets(out: &mut String, entry: &Entry, way: &Way) {
    let policy = markdown_code(entry.policy.as_deref().unwrap_or_default());
    let _ = writeln!(out, "- {policy}: {}", markdown(&way.words));
    for traffic in &way.traffic {
        let _ = writeln!(out, "  - {}", markdown(traffic));
    }
    if way.and_more {
        out.push_str("  - and more\n");
    }
    let _ = writeln!(out, "  - for example {}", markdown_code(&way.packet));
}
