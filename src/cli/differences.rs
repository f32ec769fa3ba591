//! Differences of two rulesets, for people and for programs.

use std::fmt::Write;
use std::io;

use serde::Serialize;

use super::output;
use super::subject::Subject;
use crate::diag::escape::on_one_line;
use crate::diag::render::Message;
use crate::explain::{DifferenceWords, Explanation, differences};
use crate::net::{Families, Family};
use crate::semantics::{Comparison, Difference, compare_beside};

/// What `--json` says of two rulesets.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Compared<'a> {
    /// What the first is called.
    left: &'a str,
    /// What the second is called.
    right: &'a str,
    /// The families that were compared: `ipv4`, `ipv6`.
    families: Vec<&'static str>,
    /// Whether all packets of them fare alike.
    equal: bool,
    /// In which ways they do not.
    differences: &'a [DifferenceWords],
    /// Whether there are more of them.
    and_more: bool,
}

/// Most differences that are told in full.
const MOST: usize = 8;

/// Widest left column, in characters.
const COLUMN: usize = 58;

/// The families about which both say something, and every way in which they differ there.
pub(super) fn between(
    left: &Subject,
    right: &Subject,
) -> io::Result<(Families, Comparison<DifferenceWords>)> {
    let families = common_families(left, right)?;
    let (ours, theirs) = (left.only(families), right.only(families));
    known(left)?;
    known(right)?;
    let all = differences((&ours, &left.context()), (&theirs, &right.context()))
        .map_err(io::Error::other)?;
    Ok((families, all))
}

/// Whether two that are equal alone are so beside any other chains: a line that says it. Who shares
/// iptables' own chains with others must also leave them alike.
pub(super) fn beside(left: &Subject, right: &Subject, families: Families) -> io::Result<String> {
    let (ours, theirs) = (left.only(families), right.only(families));
    let shared = left.is_iptables() && right.is_iptables();
    let found = compare_beside(&ours, &theirs, shared).map_err(io::Error::other)?;
    let Some((base, Difference { packet, left: one, right: other, .. })) = found.first() else {
        return Ok("beside other chains, too: each hook and priority does the same\n".to_owned());
    };
    let (hook, priority) = (base.hook.name(), base.priority);
    let kind = base.kind.name();
    let what = if one == other {
        "leaves a chain that others share before its end on one side only".to_owned()
    } else {
        format!("is {one} | {other}")
    };
    Ok(format!(
        "alone only: beside other chains they may differ, as at {hook} in {kind} chains of priority \
         {priority}\n  `{packet}` {what}\n"
    ))
}

/// Refuses rules that lead into a chain of others, of which nobody knows what it does.
fn known(subject: &Subject) -> io::Result<()> {
    let Some(chain) = subject.ruleset.others().into_iter().next() else { return Ok(()) };
    Err(io::Error::other(format!(
        "{} leads to chain `{chain}`, which is another's and not there: nobody knows what it does \
         to packets",
        subject.name
    )))
}

/// The families about which both say something.
pub(super) fn common_families(left: &Subject, right: &Subject) -> io::Result<Families> {
    left.families.and(right.families).ok_or_else(|| {
        io::Error::other(format!(
            "{} and {} are of different families, so there is nothing to compare",
            left.name, right.name
        ))
    })
}

/// `IPv4 and IPv6`, `IPv4`.
pub(super) const fn families_words(families: Families) -> &'static str {
    match families {
        Families::Both => "IPv4 and IPv6",
        Families::Ipv4 => "IPv4",
        Families::Ipv6 => "IPv6",
    }
}

/// Prints them as one JSON object.
pub(super) fn print_json(
    families: Families,
    left: &Subject,
    right: &Subject,
    all: &Comparison<DifferenceWords>,
) -> io::Result<()> {
    let compared = Compared {
        left: &left.name,
        right: &right.name,
        families: families.iter().map(Family::keyword).collect(),
        equal: all.ways.is_empty(),
        differences: &all.ways,
        and_more: all.and_more,
    };
    output::print(Message::new("comparison", compared).pretty().as_bytes()).map(drop)
}

/// The first few in words: for which packets, and an example with both ways side by side.
pub(super) fn words(
    Comparison { ways: all, and_more }: &Comparison<DifferenceWords>,
    left: &Subject,
    right: &Subject,
) -> String {
    let mut out = String::new();
    for (at, difference) in all.iter().take(MOST).enumerate() {
        let change = difference.change.words();
        let _ = writeln!(out, "\n{}. {change}: {}", at + 1, outcomes(difference));
        for traffic in &difference.traffic {
            let _ = writeln!(out, "     {traffic}");
        }
        if difference.and_more {
            let _ = writeln!(out, "     and more");
        }
        for supposed in &difference.supposes {
            let _ = writeln!(out, "   if {supposed}, which no listing tells");
        }
        let example = difference.begins.as_ref().unwrap_or(&difference.packet);
        let _ = writeln!(out, "   for example {example}");
        if difference.begins.is_some() {
            let _ = writeln!(out, "   which is then {}", difference.packet);
        }
        if !difference.reached {
            let _ = writeln!(out, "   though none was found that gets there (`explain --hook`)");
        }
        let rows = (way(&left.name, &difference.left), way(&right.name, &difference.right));
        side_by_side(&mut out, &rows.0, &rows.1);
    }
    let more = all.len().saturating_sub(MOST);
    let _ = match (more, and_more) {
        (0, false) => Ok(()),
        (0, true) => writeln!(out, "\nand more"),
        (more, false) => writeln!(out, "\nand {more} more"),
        (more, true) => writeln!(out, "\nand more than {more} more"),
    };
    out
}

/// The first few, each with an example, in lines behind others.
pub(super) fn brief(Comparison { ways: all, and_more }: &Comparison<DifferenceWords>) -> String {
    let mut out = String::new();
    for difference in all.iter().take(MOST) {
        let example = difference.begins.as_ref().unwrap_or(&difference.packet);
        let change = difference.change.words();
        let _ = write!(out, "\n{change}: {}\n  for example {example}", outcomes(difference));
    }
    if all.len() > MOST || *and_more {
        out += "\nand more";
    }
    out
}

/// `untouched → captured: redirected to port 15001`.
fn outcomes(difference: &DifferenceWords) -> String {
    format!("{} → {}", difference.left.words(), difference.right.words())
}

/// The rules that matter, below a name.
fn way(name: &str, explanation: &Explanation) -> Vec<String> {
    let mut lines = vec![name.to_owned()];
    for step in explanation.path.iter().filter(|step| step.matters && !step.enters) {
        let rung = if step.rung.is_empty() { String::new() } else { format!(" [{}]", step.rung) };
        lines.push(format!("{} {}  {}{rung}", step.chain, step.rule, step.does));
    }
    if lines.len() == 1 {
        lines.push("no rule is about it".to_owned());
    }
    if let Some(clause) = &explanation.clause {
        let file = on_one_line(&clause.file);
        lines.push(format!("{file}:{}  {}", clause.line, clause.text));
    }
    lines
}

fn side_by_side(out: &mut String, left: &[String], right: &[String]) {
    let left: Vec<String> = left.iter().flat_map(|line| wrapped(line, COLUMN)).collect();
    let right: Vec<String> = right.iter().flat_map(|line| wrapped(line, COLUMN)).collect();
    let width = left.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    for at in 0..left.len().max(right.len()) {
        let (one, other) = (left.get(at), right.get(at));
        let one = one.map_or("", String::as_str);
        let padding = width - one.chars().count();
        let other = other.map_or("", String::as_str);
        let line = format!("     {one}{:padding$} │ {other}", "");
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// `text` in lines of at most `width` characters, broken at spaces.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_inclusive(' ') {
        if !line.trim().is_empty() && line.chars().count() + word.trim_end().chars().count() > width
        {
            lines.push(line.trim_end().to_owned());
            line = String::from("    ");
        }
        line.push_str(word);
    }
    lines.push(line.trim_end().to_owned());
    lines
}
