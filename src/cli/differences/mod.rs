//! Differences of two rulesets, for people and for programs.

mod screen;

use std::fmt::Write;
use std::io;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::loaded::Loaded;
use super::page::paragraph;
use super::question::Form;
use super::report::Messages;
use super::subject::Subject;
use super::{Outcome, output};
use crate::diag::escape::on_one_line;
use crate::diag::render::Message;
use crate::explain::{Change, DifferenceWords, OpenRule, Sides};
use crate::net::{Families, Family};
use crate::semantics::{Difference, Limit};
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

pub(super) use screen::brief;
use screen::{MOST, MOST_OF_A_HOST, Screen};

/// How to say what differs.
#[derive(Args)]
pub(super) struct Answer {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Also show corners: packets over loopback, of the proxy itself, with marks, within connections.
    #[arg(long, conflicts_with = "json")]
    all: bool,
    /// Show the rules that decide on each side.
    #[arg(long, conflicts_with = "json")]
    ways: bool,
    /// Write the question for a solver instead of deciding it.
    #[arg(long, value_name = "FORM", conflicts_with = "json")]
    emit: Option<Form>,
}

impl Answer {
    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints what differs between the two that are asked about, below `head` if it is given in how many ways. Where
    /// nothing does, `equal` is the rest of a line about these families. That something does
    /// is also a message, by a name, about the file that was `asked` about.
    pub(super) fn print(
        &self,
        Asked { pair: [left, right], sides, compare }: Asked<'_>,
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
                        let said = format!("equal as far as known{line}, but for routing");
                        paragraph(&mut text, "", &said, "  ");
                    }
                    Outcome::Good => paragraph(&mut text, "", &format!("equal{line}"), "  "),
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
            // Corners are counted apart, where they are not all that there is.
            let ordinary = all.ways.iter().filter(|way| way.is_ordinary()).count();
            let count = if ordinary > 0 { ordinary } else { all.ways.len() };
            let ways = match (count, all.and_more) {
                (1, false) => "1 way".to_owned(),
                (count, false) => format!("{count} ways"),
                (count, true) => format!("more than {count} ways"),
            };
            // Who asks a host wants to know why first, and not all of how.
            let most = if namespace.is_some() { MOST_OF_A_HOST } else { MOST };
            let screen = Screen {
                pair: [left, right],
                sides,
                families,
                most: if self.all { usize::MAX } else { most },
                all: self.all,
                ways: self.ways,
                paints: asked.0.paints(),
            };
            let mut text = if sides == Sides::PolicyAndRules && right.has_no_rules() {
                let mut text = String::new();
                let said = format!(
                    "{} has no rules, so nothing of {} is in force: every packet of {} is untouched",
                    right.name,
                    left.name,
                    families_words(families)
                );
                paragraph(&mut text, "", &said, "  ");
                text
            } else {
                screen.text(&head(&ways), all)
            };
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
        messages.result(name, file, said + &brief(all, sides, families));
        Ok(if routing == Outcome::Bad { routing } else { outcome })
    }
}

/// What is asked about two sides.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) pair: [&'a Subject; 2],
    /// What they are to each other.
    pub(super) sides: Sides,
    pub(super) compare: Compare<'a>,
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
        let text = format!("for example {example}: perhaps {}", screen::outcomes(difference));
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
    let mut out = String::new();
    let said = format!(
        "alone only: beside other chains they may differ, as at {hook} in {kind} chains of priority \
         {priority}"
    );
    paragraph(&mut out, "", &said, "  ");
    paragraph(&mut out, "  ", &format!("`{packet}` {what}"), "    ");
    out
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
