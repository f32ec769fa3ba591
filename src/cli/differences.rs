//! Differences of two rulesets, for people and for programs.

use std::fmt::Write;
use std::io;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::page::{WIDTH, paragraph};
use super::question::Form;
use super::report::Messages;
use super::subject::Subject;
use super::{Outcome, output};
use crate::diag::escape::on_one_line;
use crate::diag::render::Message;
use crate::explain::{DifferenceWords, Explanation, differences};
use crate::lower::Owners;
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

/// How to say what differs.
#[derive(Args)]
pub(super) struct Answer {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Decide nothing, but write the question for a solver.
    #[arg(long, value_name = "FORM", conflicts_with = "json")]
    emit: Option<Form>,
}

impl Answer {
    /// Prints what differs between the two, below `head` if it is given in how many ways. Where nothing
    /// does, `equal` is a line about these families. That something does is also a message, by a name,
    /// about the file that was `asked` about.
    pub(super) fn print(
        &self,
        [left, right]: [&Subject; 2],
        equal: impl FnOnce(&str) -> String,
        head: impl FnOnce(&str) -> String,
        asked: (&Messages, &'static str, &Path),
    ) -> io::Result<Outcome> {
        if let Some(form) = self.emit {
            return form.print(left, right);
        }
        let (families, all) = between(left, right)?;
        if self.json {
            print_json(families, left, right, &all)?;
        } else if all.ways.is_empty() {
            let line = equal(families_words(families));
            output::print(format!("{line}\n{}", beside(left, right, families)?).as_bytes())?;
        } else {
            let ways = match (all.ways.len(), all.and_more) {
                (1, false) => "1 way".to_owned(),
                (count, false) => format!("{count} ways"),
                (count, true) => format!("more than {count} ways"),
            };
            let text = head(&ways) + &words(&all, left, right);
            output::print(text.trim_start().as_bytes())?;
        }
        if all.ways.is_empty() {
            return Ok(Outcome::Good);
        }
        let (messages, name, file) = asked;
        let said = format!("{} differs from {}", right.name, left.name);
        messages.result(name, file, said + &brief(&all));
        Ok(Outcome::Bad)
    }
}

/// The families about which both say something, and every way in which they differ there.
fn between(left: &Subject, right: &Subject) -> io::Result<(Families, Comparison<DifferenceWords>)> {
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
fn beside(left: &Subject, right: &Subject, families: Families) -> io::Result<String> {
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
const fn families_words(families: Families) -> &'static str {
    match families {
        Families::Both => "IPv4 and IPv6",
        Families::Ipv4 => "IPv4",
        Families::Ipv6 => "IPv6",
    }
}

/// Prints them as one JSON object.
fn print_json(
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

/// The first few in words: for which packets, and an example with both ways.
fn words(
    Comparison { ways: all, and_more }: &Comparison<DifferenceWords>,
    left: &Subject,
    right: &Subject,
) -> String {
    let mut out = String::new();
    let shown = &all[..all.len().min(MOST)];
    let rows: Vec<_> = shown
        .iter()
        .map(|shown| [way(&left.name, &shown.left), way(&right.name, &shown.right)])
        .collect();
    let has_columns = rows.iter().all(fit_side_by_side);
    for (at, (difference, rows)) in shown.iter().zip(&rows).enumerate() {
        if difference.of_a_proxy && (at == 0 || !shown[at - 1].of_a_proxy) {
            out.push('\n');
            let proxies = format!(
                "Only the proxy of one of the two sends the rest: {}, and {}",
                proxy(left),
                proxy(right)
            );
            paragraph(&mut out, "", &proxies, "");
        }
        let change = difference.change.words();
        out.push('\n');
        let heading = format!("{}. {change}: {}", at + 1, outcomes(difference));
        paragraph(&mut out, "", &heading, "   ");
        for traffic in &difference.traffic {
            paragraph(&mut out, "     ", traffic, "       ");
        }
        if difference.and_more {
            let _ = writeln!(out, "     and more");
        }
        for supposed in &difference.supposes {
            paragraph(&mut out, "   ", &format!("if {supposed}, which no listing tells"), "     ");
        }
        let example = difference.begins.as_ref().unwrap_or(&difference.packet);
        paragraph(&mut out, "   ", &format!("for example {example}"), "     ");
        if difference.begins.is_some() {
            paragraph(&mut out, "   ", &format!("which is then {}", difference.packet), "     ");
        }
        if !difference.reached {
            let _ = writeln!(out, "   though none was found that gets there (`explain --hook`)");
        }
        if has_columns { side_by_side(&mut out, rows) } else { one_below_the_other(&mut out, rows) }
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

/// Who is the proxy to a policy: ``user 5678 of kuma `web` ``.
fn proxy(subject: &Subject) -> String {
    let Owners { users, groups } = subject.context().owners();
    let word = |what, ids: &[u32]| {
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        (!ids.is_empty()).then(|| format!("{what} {}", ids.join(", ")))
    };
    let who: Vec<_> =
        [word("user", &users), word("group", &groups)].into_iter().flatten().collect();
    let who = if who.is_empty() { "nobody".to_owned() } else { who.join(" or ") };
    format!("{who} of {}", subject.name)
}

/// The first few, each with an example, in lines behind others.
fn brief(Comparison { ways: all, and_more }: &Comparison<DifferenceWords>) -> String {
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

/// A name, and the rules that matter.
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

/// What stands before a column, and between two.
const BEFORE: &str = "     ";
const BETWEEN: &str = " │ ";

fn widest(lines: &[String]) -> usize {
    lines.iter().map(|line| line.chars().count()).max().unwrap_or_default()
}

fn fit_side_by_side(rows: &[Vec<String>; 2]) -> bool {
    let [left, right] = rows;
    BEFORE.len() + widest(left) + BETWEEN.chars().count() + widest(right) <= WIDTH
}

fn side_by_side(out: &mut String, [left, right]: &[Vec<String>; 2]) {
    let width = widest(left);
    for at in 0..left.len().max(right.len()) {
        let [one, other] = [left, right].map(|side| side.get(at).map_or("", String::as_str));
        let padding = width - one.chars().count();
        let line = format!("{BEFORE}{one}{:padding$}{BETWEEN}{other}", "");
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn one_below_the_other(out: &mut String, rows: &[Vec<String>; 2]) {
    for side in rows {
        for (at, line) in side.iter().enumerate() {
            let before = if at == 0 { BEFORE } else { "       " };
            paragraph(out, before, line, "           ");
        }
    }
}
