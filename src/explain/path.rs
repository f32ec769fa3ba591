//! A packet's way through the chains, in words.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Context;
use crate::backend::dump::Words;
use crate::ir::{Action, Hook, Rule, Rung};
use crate::net::Name;
use crate::semantics::{Leg, Run, Step, Verdict};
use crate::span::{Sources, Span};

/// A rung of the ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RungWords {
    /// Its number in the language reference: `O10`.
    pub number: String,
    /// What it does: `captured destination: outbound proxy port`.
    pub title: String,
}

/// A clause of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ClauseWords {
    /// The file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The clause on one line, with its block if it has one; of a very long one the ends.
    pub text: String,
}

/// Where a rule of others stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LocatorWords {
    /// The kernel's number for it, which `nft delete rule` takes behind the table and the chain.
    Handle(u64),
    /// It begins on a line of a file.
    Line {
        /// The file. `None` if there is one only.
        file: Option<String>,
        /// From 1.
        line: usize,
    },
}

/// `handle 12`, `line 31`, `node.txt:31`.
impl fmt::Display for LocatorWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handle(handle) => write!(f, "handle {handle}"),
            Self::Line { file: None, line } => write!(f, "line {line}"),
            Self::Line { file: Some(file), line } => write!(f, "{file}:{line}"),
        }
    }
}

/// A rule that a packet matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct StepWords {
    /// The hook: `output`.
    pub hook: String,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The place of the rule in its chain, from 1.
    pub rule: usize,
    /// Where it stands; `None` if it is a policy's, or nothing says it.
    pub at: Option<LocatorWords>,
    /// What it does: `tcp, out lo: return`.
    pub does: String,
    /// The number of its rung, or the numbers of its rungs; empty if it only leads to other rules.
    pub rung: String,
    /// Whether what becomes of the packet is because of it, or it leads to a rule of which that is
    /// true.
    pub matters: bool,
    /// Whether it only leads from where the kernel enters to where the rules are.
    pub enters: bool,
}

impl StepWords {
    /// What says why the rule is there: its rung, or where it stands.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        if self.rung.is_empty() {
            self.at.as_ref().map(ToString::to_string)
        } else {
            Some(self.rung.clone())
        }
    }
}

/// Longest text of a clause or rule, in characters.
const LONGEST: usize = 100;

impl RungWords {
    /// `None` for a rule that only leads to others, or was read.
    pub(super) fn of(rung: Rung) -> Option<Self> {
        let (number, title) = (rung.number().to_owned(), rung.title().to_owned());
        (!number.is_empty()).then_some(Self { number, title })
    }
}

impl ClauseWords {
    pub(super) fn of(clause: Span, sources: &Sources) -> Self {
        let place = sources.place(clause);
        let text = sources.text(Span { end: end(clause, sources), ..clause });
        let words: Vec<&str> =
            text.lines().map(uncommented).flat_map(str::split_whitespace).collect();
        Self {
            file: place.file.to_owned(),
            line: place.line,
            column: place.column,
            text: shortened(&words.join(" "), LONGEST),
        }
    }
}

/// Where a clause ends: a word that stands for its block, like `dns`, with the block.
fn end(clause: Span, sources: &Sources) -> u32 {
    let file = &sources.file(clause.file).text;
    let behind = file.get(clause.end as usize..).unwrap_or_default();
    let is_block = behind.trim_start().starts_with('{') && !sources.text(clause).contains('{');
    let mut length = 0;
    let mut depth = 0_usize;
    for line in behind.split_inclusive('\n').take_while(|_| is_block) {
        for (at, sign) in uncommented(line).char_indices() {
            match sign {
                '{' => depth += 1,
                '}' if depth <= 1 => {
                    let end = u32::try_from(length + at + 1).unwrap_or_default();
                    return clause.end + end;
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
        length += line.len();
    }
    clause.end
}

/// A line without its comment. Texts in quotation marks stand in no clause of a packet.
fn uncommented(line: &str) -> &str {
    line.split_once('#').map_or(line, |(before, _)| before)
}

/// The place in the trace of the rule that is why the packet fares so: of the rules of rungs, the
/// one that ends in what became of it. `None` if no rule does.
pub(super) fn deciding(run: &Run<'_>) -> Option<usize> {
    let ends = |step: &Step<'_>| match step.rule.then {
        Action::Redirect { .. } | Action::Snat { .. } | Action::Dnat { .. } => {
            run.outcome.translation.is_some()
        }
        Action::Tproxy { .. } => run.outcome.tproxy.is_some(),
        Action::Opaque(_) => run.outcome.translation.is_some() && step.rule.then.ends_base_chain(),
        _ => false,
    };
    let last = run.trace.len().checked_sub(1);
    let end = if run.outcome.verdict != Verdict::Accept {
        last
    } else if run.outcome.translation.is_some() || run.outcome.tproxy.is_some() {
        run.trace.iter().rposition(ends)
    } else {
        let stops = |step: &Step<'_>| {
            matches!(step.rule.then, Action::Return | Action::Accept | Action::MarkAndAccept(_))
        };
        run.trace.iter().rposition(stops)
    }?;
    // A chain that only sends to the proxy says nothing; the rule that leads there does.
    let callers = callers(run);
    let mut at = end;
    while run.trace[at].rule.origin.rung == Rung::TO_PROXY {
        match callers[at] {
            Some(caller) => at = caller,
            None => return Some(end),
        }
    }
    Some(at)
}

/// Of each step of the trace, the place there of the jump that led to its chain.
fn callers(run: &Run<'_>) -> Vec<Option<usize>> {
    let mut last = HashMap::new();
    let steps = run.trace.iter().enumerate();
    let callers = steps.map(|(at, step)| {
        let caller = last.get(&(step.table, step.chain)).copied();
        if let Action::Jump(to) | Action::Goto(to) = &step.rule.then {
            last.insert((step.table, to), at);
        }
        caller
    });
    callers.collect()
}

/// The trace in words.
pub(super) fn words(
    Leg { packet, run, .. }: &Leg<'_>,
    decides: Option<usize>,
    context: &Context<'_>,
) -> Vec<StepWords> {
    let mut matter: BTreeSet<usize> = decides.into_iter().collect();
    for (at, step) in run.trace.iter().enumerate() {
        let acts = !matches!(
            step.rule.then,
            Action::Accept | Action::Return | Action::Jump(_) | Action::Goto(_) | Action::Log
        );
        if acts {
            matter.insert(at);
        }
    }
    let callers = callers(run);
    for mut at in matter.clone() {
        while let Some(caller) = callers[at] {
            matter.insert(caller);
            at = caller;
        }
    }
    let sets_zone = |step: &Step<'_>| matches!(step.rule.then, Action::SetZone(_));
    let first_zone = run.trace.iter().position(sets_zone);
    let steps = run.trace.iter().enumerate();
    let words = steps.map(|(at, step)| {
        let mut words = step_words(packet.hook, step, matter.contains(&at), context);
        // The first zone holds; none does of a packet that has its connection or is exempt from tracking.
        if sets_zone(step) && (run.outcome.zone.is_none() || first_zone != Some(at)) {
            words.does += match run.outcome.zone {
                Some(_) => ", but the first zone holds",
                None => ", without effect",
            };
            words.matters = false;
        }
        words
    });
    words.collect()
}

fn step_words(hook: Hook, step: &Step<'_>, matters: bool, context: &Context<'_>) -> StepWords {
    let named = |name: &Name| context.chain(step.table, name);
    let mut does = Words(step.rule).to_string();
    let mut is_jump = false;
    if let Action::Jump(to) | Action::Goto(to) = &step.rule.then {
        is_jump = true;
        does = does.replace(to.as_str(), &named(to));
    }
    StepWords {
        hook: hook.name().to_owned(),
        table: step.table.to_string(),
        chain: named(step.chain),
        rule: step.index + 1,
        at: context.locator(step.rule),
        does: shortened(&does, LONGEST),
        rung: rungs(step.rule),
        matters,
        enters: is_jump && Hook::ALL.iter().any(|hook| step.chain.as_str() == hook.name()),
    }
}

/// The numbers of the rungs of a rule, each once.
fn rungs(rule: &Rule) -> String {
    let mut numbers: Vec<&str> = rule.origins().map(|origin| origin.rung.number()).collect();
    numbers.retain(|number| !number.is_empty());
    numbers.dedup();
    numbers.join(", ")
}

/// `text`, or of one that has more than `longest` characters, as many of its ends.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    let count = text.chars().count();
    if count <= longest {
        return text.to_owned();
    }
    let start: String = text.chars().take(longest * 2 / 3).collect();
    let end: String = text.chars().skip(count - longest / 3).collect();
    format!("{start} … {end}")
}
