//! Differences of two rulesets, for people and for programs.

use std::fmt::Write;
use std::io;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::loaded::Loaded;
use super::page::{columns, paragraph, width};
use super::question::Form;
use super::report::Messages;
use super::subject::Subject;
use super::{Outcome, output};
use crate::diag::escape::on_one_line;
use crate::diag::render::Message;
use crate::explain::{Change, DifferenceWords, Explanation, OpenRule};
use crate::lower::Owners;
use crate::net::{Families, Family};
use crate::semantics::{Comparison, Difference, Limit};
use crate::verify::{self, Apart, Elsewhere, Side, Verdict};

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
    /// Whether all packets of them fare alike, whatever is not understood does.
    equal: bool,
    /// Whether they do, if what is not understood does nothing.
    equal_as_far_as_known: bool,
    /// In which ways they do not; or, if they are equal as far as known, would not.
    differences: &'a [DifferenceWords],
    /// Whether there are more of them.
    and_more: bool,
    /// The rules that are not understood, or stand for what was left out.
    not_understood: &'a [OpenRule],
    /// What rules do at hooks that were left aside: `drop at forward`.
    elsewhere: Vec<String>,
    /// What a namespace that was asked has of the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a Loaded>,
}

/// Most differences that are told in full.
const MOST: usize = 8;

/// The same of a host that was asked.
const MOST_OF_A_HOST: usize = 2;

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
    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints what differs between the two by `compare`, below `head` if it is given in how many ways. Where
    /// nothing does, `equal` is the rest of a line about these families. That something does
    /// is also a message, by a name, about the file that was `asked` about.
    pub(super) fn print(
        &self,
        [left, right]: [&Subject; 2],
        compare: Compare<'_>,
        equal: impl FnOnce(&str) -> String,
        head: impl FnOnce(&str) -> String,
        asked: (&Messages, &'static str, &Path),
        namespace: Option<&Loaded>,
    ) -> io::Result<Outcome> {
        if let Some(form) = self.emit {
            return form.print(left, right);
        }
        let (families, verdict) = between(left, right, compare)?;
        let all = &verdict.ways;
        if self.json {
            print_json(families, left, right, &verdict, namespace)?;
        } else if verdict.answer != verify::Answer::Different {
            let mut text = String::new();
            let line = equal(families_words(families));
            // What is wrong comes first, and what was not looked at is in the same sentence.
            let routing = namespace.map_or(Outcome::Good, Loaded::outcome);
            let head = if routing == Outcome::Bad { LACKS_ROUTING } else { "" };
            if verdict.answer == verify::Answer::Equal {
                match routing {
                    Outcome::Bad => paragraph(&mut text, "", &format!("{head}equal{line}"), "  "),
                    Outcome::Unknown => {
                        let _ = writeln!(text, "equal as far as known{line}, but for routing");
                    }
                    Outcome::Good => {
                        let _ = writeln!(text, "equal{line}");
                    }
                }
                text += &apart(&verdict.apart);
            } else {
                text += &as_far_as_known(head, &line, &verdict);
            }
            elsewhere(&mut text, &verdict.elsewhere);
            passed_over(&mut text, [left, right]);
            text += &namespace.map(Loaded::routing_words).unwrap_or_default();
            output::print(text.as_bytes())?;
        } else {
            let ways = match (all.ways.len(), all.and_more) {
                (1, false) => "1 way".to_owned(),
                (count, false) => format!("{count} ways"),
                (count, true) => format!("more than {count} ways"),
            };
            // Who asks a host wants to know why first, and not all of how.
            let most = if namespace.is_some() { MOST_OF_A_HOST } else { MOST };
            let mut text = head(&ways) + &words(all, left, right, most);
            elsewhere(&mut text, &verdict.elsewhere);
            passed_over(&mut text, [left, right]);
            text += &namespace.map(Loaded::routing_words).unwrap_or_default();
            output::print(text.trim_start().as_bytes())?;
        }
        let (messages, name, file) = asked;
        let routing = namespace.map_or(Outcome::Good, Loaded::outcome);
        let (outcome, differs) = match verdict.answer {
            verify::Answer::Equal => {
                if routing == Outcome::Bad {
                    let said =
                        format!("{} has not the routing that {} needs", right.name, left.name);
                    messages.result(name, file, said);
                }
                return Ok(routing);
            }
            verify::Answer::EqualAsFarAsKnown => (Outcome::Unknown, "may differ from"),
            verify::Answer::Different => (Outcome::Bad, "differs from"),
        };
        let said = format!("{} {differs} {}", right.name, left.name);
        messages.result(name, file, said + &brief(all));
        Ok(if routing == Outcome::Bad { routing } else { outcome })
    }
}

/// How two sides are compared.
pub(super) type Compare<'f> = &'f dyn Fn(Side<'_>, Side<'_>) -> Result<Verdict, Limit>;

/// What an answer begins with where the rules are right and routing is not.
const LACKS_ROUTING: &str = "loaded, but routing is missing; the rules are ";

/// That `line` holds, behind `head`, unless rules that are not understood decide otherwise.
fn as_far_as_known(head: &str, line: &str, verdict: &Verdict) -> String {
    let mut out = String::new();
    let head = format!(
        "{head}equal as far as known{line}, but for what is not understood or was left out, and can \
         decide first"
    );
    paragraph(&mut out, "", &head, "  ");
    for OpenRule { table, chain, rule, text, at, .. } in verdict.not_understood.iter().take(MOST) {
        let text = on_one_line(text);
        let at = at
            .as_ref()
            .map_or_else(String::new, |at| format!("  [{}]", on_one_line(&at.to_string())));
        paragraph(&mut out, "  ", &format!("{table} {chain} {rule}  `{text}`{at}"), "      ");
    }
    let more = verdict.not_understood.len().saturating_sub(MOST);
    if more > 0 {
        let _ = writeln!(out, "  and {more} more");
    }
    for difference in verdict.ways.ways.iter().take(2) {
        let example = difference.begins.as_ref().unwrap_or(&difference.packet);
        let text = format!("for example {example}: perhaps {}", outcomes(difference));
        paragraph(&mut out, "  ", &text, "    ");
    }
    out
}

/// What rules do at hooks that were left aside, in a line.
fn elsewhere(out: &mut String, all: &[Elsewhere]) {
    if all.is_empty() {
        return;
    }
    let words: Vec<_> = all.iter().copied().map(elsewhere_words).collect();
    let line = format!(
        "elsewhere, of other traffic, rules {} (`--all-hooks` compares that, too)",
        words.join(", ")
    );
    paragraph(out, "", &line, "  ");
}

/// `drop at forward`.
fn elsewhere_words(Elsewhere { hook, change }: Elsewhere) -> String {
    let does = match change {
        Change::NewlyCaptured | Change::NoLongerCaptured | Change::CapturedElsewhere => "redirect",
        Change::NewlyDropped | Change::NoLongerDropped => "drop",
        Change::DestinationChanged => "translate destinations",
        Change::SourceChanged => "translate sources",
        Change::TakenOtherwise => "take or translate packets",
        Change::MarkedOtherwise => "mark",
    };
    format!("{does} at {}", hook.name())
}

/// What was not read because no packet of a question meets it, in a line.
pub(super) fn passed_over<const N: usize>(out: &mut String, sides: [&Subject; N]) {
    let all: Vec<_> = sides.iter().flat_map(|side| &side.passed_over).cloned().collect();
    if !all.is_empty() {
        paragraph(out, "", &format!("passed over: {}", on_one_line(&all.join(", "))), "  ");
    }
}

/// The families about which both say something, and whether they differ there.
pub(super) fn between(
    left: &Subject,
    right: &Subject,
    compare: Compare<'_>,
) -> io::Result<(Families, Verdict)> {
    let families = common_families(left, right)?;
    let (ours, theirs) = (left.only(families), right.only(families));
    known(left)?;
    known(right)?;
    let verdict = compare((&ours, &left.context()), (&theirs, &right.context()));
    Ok((families, verdict.map_err(io::Error::other)?))
}

/// Whether two that are equal are so beside any other chains: a line that says it.
fn apart(apart: &Apart) -> String {
    let (base, Difference { packet, left: one, right: other, .. }) = match apart {
        Apart::NotAsked => return String::new(),
        Apart::Equal => {
            return "beside other chains, too: each hook and priority does the same\n".to_owned();
        }
        Apart::Different(found) => &**found,
    };
    let (hook, priority) = (base.hook.name(), base.priority);
    let kind = base.kind.name();
    let what = if one == other {
        "leaves a chain that others share before its end on one side only".to_owned()
    } else {
        format!("is {one} | {other}")
    };
    format!(
        "alone only: beside other chains they may differ, as at {hook} in {kind} chains of priority \
         {priority}\n  `{packet}` {what}\n"
    )
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
fn print_json(
    families: Families,
    left: &Subject,
    right: &Subject,
    verdict: &Verdict,
    namespace: Option<&Loaded>,
) -> io::Result<()> {
    let compared = Compared {
        left: &left.name,
        right: &right.name,
        families: families.iter().map(Family::keyword).collect(),
        equal: verdict.answer == verify::Answer::Equal,
        equal_as_far_as_known: verdict.answer != verify::Answer::Different,
        differences: &verdict.ways.ways,
        and_more: verdict.ways.and_more,
        not_understood: &verdict.not_understood,
        elsewhere: verdict.elsewhere.iter().copied().map(elsewhere_words).collect(),
        namespace,
    };
    output::print(Message::new("comparison", compared).pretty().as_bytes()).map(drop)
}

/// The first few in words: for which packets, and an example with both ways.
fn words(
    Comparison { ways: all, and_more }: &Comparison<DifferenceWords>,
    left: &Subject,
    right: &Subject,
    most: usize,
) -> String {
    let mut out = String::new();
    let shown = &all[..all.len().min(most)];
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
    let more = all.len().saturating_sub(most);
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

/// A name, and the rules that matter.
fn way(name: &str, explanation: &Explanation) -> Vec<String> {
    let mut lines = vec![name.to_owned()];
    for step in explanation.path.iter().filter(|step| step.matters && !step.enters) {
        let why = step.why().map_or_else(String::new, |why| format!(" [{}]", on_one_line(&why)));
        lines.push(format!("{} {}  {}{why}", step.chain, step.rule, step.does));
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
    lines.iter().map(|line| columns(line)).max().unwrap_or_default()
}

fn fit_side_by_side(rows: &[Vec<String>; 2]) -> bool {
    let [left, right] = rows;
    BEFORE.len() + widest(left) + columns(BETWEEN) + widest(right) <= width()
}

fn side_by_side(out: &mut String, [left, right]: &[Vec<String>; 2]) {
    let width = widest(left);
    for at in 0..left.len().max(right.len()) {
        let [one, other] = [left, right].map(|side| side.get(at).map_or("", String::as_str));
        let padding = width - columns(one);
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
