//! Differences on a screen: a sentence first, below it a line for each change and a packet that shows it.

use std::fmt::Write;

use crate::cli::page::{Ink, Page, columns, counted, paragraph, width};
use crate::cli::subject::Subject;
use crate::diag::escape::on_one_line;
use crate::explain::{Change, DifferenceWords, Explanation, Sentence, Sides, sentences};
use crate::lower::Owners;
use crate::net::Families;
use crate::semantics::{Comparison, Corner, Traffic};

/// Most changes that are told.
pub(super) const MOST: usize = 8;

/// The same of a host that was asked.
pub(super) const MOST_OF_A_HOST: usize = 2;

/// How differences are shown.
pub(super) struct Screen<'a> {
    pub(super) pair: [&'a Subject; 2],
    pub(super) sides: Sides,
    /// The families that were compared.
    pub(super) families: Families,
    /// Most changes that are told.
    pub(super) most: usize,
    /// Whether corners are told, too.
    pub(super) all: bool,
    /// Whether the rules are shown that decide.
    pub(super) ways: bool,
    /// Whether there are colours.
    pub(super) paints: bool,
}

impl Screen<'_> {
    /// `head`, and what differs.
    pub(super) fn text(&self, head: &str, found: &Comparison<DifferenceWords>) -> String {
        let mut page = Page::new(self.paints);
        page.paragraph(Ink::Strong, "", head.trim_end(), "  ");
        let all = &found.ways;
        let sentences = sentences(all, self.sides, self.families);
        let mut told = 0;
        for (place, Sentence { words, of }) in sentences.iter().enumerate() {
            if told >= self.most {
                break;
            }
            if place > 0 || !head.is_empty() {
                page.gap();
            }
            page.paragraph(Ink::Strong, "", words, "  ");
            for at in of.iter().take(self.most - told) {
                self.change(&mut page, &all[*at]);
                told += 1;
            }
        }
        let corners: Vec<_> = all.iter().filter(|one| !one.is_ordinary()).collect();
        let ordinary = all.len() - corners.len();
        let is_unfolded = self.all || ordinary == 0;
        if is_unfolded && !corners.is_empty() {
            let heading = if ordinary == 0 {
                format!(
                    "No ordinary packet is treated differently, but packets {} are",
                    reasons(&corners)
                )
            } else {
                format!("Corners: packets {}", reasons(&corners))
            };
            if ordinary > 0 || !head.is_empty() {
                page.gap();
            }
            page.paragraph(Ink::Strong, "", &heading, "  ");
            self.corners(&mut page, &corners);
        }
        let shown = if is_unfolded { corners.len().min(self.most) } else { 0 };
        let more = ordinary - told + if is_unfolded { corners.len() - shown } else { 0 };
        let are_folded = !is_unfolded && !corners.is_empty();
        let than = if found.and_more { "more than " } else { "" };
        let mut parts = Vec::new();
        if more > 0 {
            let than = if are_folded { "" } else { than };
            parts.push(format!("{than}{more} more"));
        }
        if are_folded {
            let count = counted(corners.len(), "corner", "corners");
            parts.push(format!("{than}{count}: packets {}", reasons(&corners)));
        }
        if !parts.is_empty() {
            page.gap();
            let line = format!("and {}; `--all` shows them", parts.join(", and "));
            page.paragraph(Ink::Plain, "", &line, "  ");
        } else if found.and_more {
            page.gap();
            page.paragraph(Ink::Plain, "", "and more", "  ");
        }
        page.text()
    }

    /// Those of packets that are not ordinary.
    fn corners(&self, page: &mut Page, corners: &[&DifferenceWords]) {
        let mut is_of_a_proxy = false;
        for difference in corners.iter().take(self.most) {
            if difference.of_a_proxy && !is_of_a_proxy {
                is_of_a_proxy = true;
                let [left, right] = self.pair.map(proxy);
                let line =
                    format!("Only the proxy of one of the two sends the rest: {left}, and {right}");
                page.gap();
                page.paragraph(Ink::Strong, "", &line, "  ");
            }
            self.change(page, difference);
        }
    }

    /// A line with what changes, and a packet below.
    fn change(&self, page: &mut Page, difference: &DifferenceWords) {
        let (sign, ink) = match difference.change {
            Change::NewlyCaptured => ('+', Ink::Captured),
            Change::NoLongerCaptured => ('-', Ink::Lost),
            _ => ('~', Ink::Plain),
        };
        let which = which(difference, self.all);
        let (left, right) = (difference.left.short(), difference.right.short());
        let line = format!("{which}: {left} → {right}");
        page.paragraph(ink, &format!("  {sign} "), &line, "    ");
        for supposed in &difference.supposes {
            page.paragraph(
                Ink::Plain,
                "      if ",
                &format!("{supposed}, which no listing tells"),
                "        ",
            );
        }
        let example = difference.begins.as_ref().unwrap_or(&difference.packet);
        page.paragraph(Ink::Faint, "      ", example, "        ");
        if difference.begins.is_some() {
            page.paragraph(Ink::Faint, "      which is then ", &difference.packet, "        ");
        }
        if !difference.reached {
            let line = "though none was found that gets there (`explain --hook`)";
            page.paragraph(Ink::Faint, "      ", line, "        ");
        }
        if self.sides != Sides::InTime && !self.ways {
            let decides = deciding(&difference.right).last();
            let by = decides.unwrap_or_else(|| NO_RULE.to_owned());
            page.paragraph(Ink::Faint, "      rules: ", &by, "        ");
        }
        if self.ways {
            let [left, right] = self.pair;
            let rows =
                [way(left.heading(), &difference.left), way(right.heading(), &difference.right)];
            let mut text = String::new();
            if fit_side_by_side(&rows) {
                side_by_side(&mut text, &rows);
            } else {
                one_below_the_other(&mut text, &rows);
            }
            page.lines(&text);
        }
    }
}

/// Most characters of kinds of packets of a change, but for the first.
const MOST_CHARACTERS: usize = 120;

/// Which packets: `udp port 53`, `outbound udp port 53 user 1337; …`.
fn which(difference: &DifferenceWords, all: bool) -> String {
    let words = |kind: &Traffic| {
        if !kind.is_ordinary && !difference.is_ordinary() {
            return kind.to_string();
        }
        let family = match kind.families {
            Families::Ipv4 => Some("IPv4".to_owned()),
            Families::Ipv6 => Some("IPv6".to_owned()),
            Families::Both => None,
        };
        let words = family.into_iter().chain(kind.words.iter().map(ToString::to_string));
        let words = words.collect::<Vec<_>>().join(" ");
        if words.is_empty() { "all".to_owned() } else { words }
    };
    let mut told: Vec<String> = Vec::new();
    for kind in &difference.kinds {
        let words = words(kind);
        let length: usize = told.iter().map(|kind| columns(kind)).sum();
        if all || told.is_empty() || length + columns(&words) <= MOST_CHARACTERS {
            told.push(words);
        }
    }
    if difference.and_more || told.len() < difference.kinds.len() {
        told.push("and more".to_owned());
    }
    told.join("; ")
}

/// `over loopback and of the proxy itself`.
fn reasons(corners: &[&DifferenceWords]) -> String {
    let mut reasons: Vec<Corner> =
        corners.iter().flat_map(|difference| difference.corners.clone()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let words: Vec<_> = reasons.into_iter().map(Corner::words).collect();
    match &words[..] {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.join(""),
    }
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
pub(in crate::cli) fn brief(
    found: &Comparison<DifferenceWords>,
    sides: Sides,
    families: Families,
) -> String {
    let all = &found.ways;
    let mut out = String::new();
    let mut told = 0;
    let example = |difference: &DifferenceWords| {
        difference.begins.as_ref().unwrap_or(&difference.packet).clone()
    };
    for Sentence { words, of } in sentences(all, sides, families).into_iter().take(MOST) {
        let _ = write!(out, "\n{words}");
        for at in of {
            told += 1;
            let _ = write!(out, "\n  for example {}", example(&all[at]));
        }
    }
    if told == 0 {
        for difference in all.iter().take(MOST) {
            told += 1;
            let (which, outcomes) = (which(difference, false), outcomes(difference));
            let _ = write!(out, "\n{which}: {outcomes}\n  for example {}", example(difference));
        }
    }
    if all.len() > told || found.and_more {
        out += "\nand more";
    }
    out
}

/// `untouched → redirected to port 15001`.
pub(super) fn outcomes(difference: &DifferenceWords) -> String {
    format!("{} → {}", difference.left.words(), difference.right.words())
}

/// What is said where no rule decides.
const NO_RULE: &str = "no rule is about it";

/// The rules that matter: ``ISTIO_INBOUND 3  tcp, to port 22: return [line 10]``.
fn deciding(explanation: &Explanation) -> impl Iterator<Item = String> {
    explanation.path.iter().filter(|step| step.matters && !step.enters).map(|step| {
        let why = step.why().map_or_else(String::new, |why| format!(" [{}]", on_one_line(&why)));
        format!("{} {}  {}{why}", step.chain, step.rule, step.does)
    })
}

/// A name, and the rules that matter.
fn way(name: String, explanation: &Explanation) -> Vec<String> {
    let mut lines = vec![name];
    lines.extend(deciding(explanation));
    if lines.len() == 1 {
        lines.push(NO_RULE.to_owned());
    }
    if let Some(clause) = &explanation.clause {
        let file = on_one_line(&clause.file);
        lines.push(format!("{file}:{}  {}", clause.line, clause.text));
    }
    lines
}

/// What stands before a column, and between two.
const BEFORE: &str = "      ";
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
            let before = if at == 0 { BEFORE } else { "        " };
            paragraph(out, before, line, "            ");
        }
    }
}
