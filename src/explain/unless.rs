//! What else may become of a packet, where the answers to open questions decide.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{Context, Explanation, LocatorWords};
use crate::ir::{Action, Effect, Match, Rule, Ruleset, Target};
use crate::semantics::{Holds, Leg, Limit, Packet, Step};

/// Another end of a packet, and what it supposes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Unless {
    /// The rules that decide otherwise than usual, in the order in which they are asked.
    pub rules: Vec<OpenRule>,
    /// What becomes of the packet then.
    pub outcome: String,
    /// Where its way ends then. `None` if only one hook was asked.
    pub end: Option<String>,
}

/// A rule of which it is open whether it matches, or what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OpenRule {
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The place of the rule in its chain, from 1.
    pub rule: usize,
    /// Where it stands; `None` if nothing says it.
    pub at: Option<LocatorWords>,
    /// What is asked there, as it is written: `-m statistic --mode random --probability 0.5`.
    pub text: String,
    /// Whether it is the target, of which is asked whether it takes the packet.
    pub is_target: bool,
    /// Whether it is known that each answer is possible.
    pub is_understood: bool,
    /// Whether the rule is supposed to match, or its target to take the packet.
    pub matches: bool,
}

impl OpenRule {
    /// Where it stands, in one or two words: `line 31`, else its place in its chain.
    #[must_use]
    pub fn place(&self) -> String {
        let Self { table, chain, rule, at, .. } = self;
        at.as_ref().map_or_else(|| format!("{table} {chain} {rule}"), ToString::to_string)
    }
}

/// Most ends that are told.
const MOST: usize = 16;

/// Most ways that are tried.
const MOST_WAYS: usize = 256;

/// A way that a packet goes by some answers, and how it is told.
pub(super) type Told<'a> = (Vec<Leg<'a>>, Explanation);

/// `packet` with the usual answers to what `ruleset` asks.
pub(crate) fn usual(ruleset: &Ruleset, packet: &Packet) -> Packet {
    let rules = ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|it| &it.rules);
    let usual = rules.flat_map(Rule::conditions).filter(|condition| condition.is_usual);
    let mut packet = packet.clone();
    packet.holds.extend(usual.flat_map(|condition| {
        [false, true].map(|translated| Holds { condition: condition.clone(), translated })
    }));
    packet
}

/// What else may become of `packet`, of which `first` is told by the usual answers; and whether there may be
/// more.
pub(super) fn alternatives<'a>(
    packet: &Packet,
    first: &Told<'a>,
    context: &Context<'_>,
    go: impl Fn(&Packet) -> Result<Told<'a>, Limit>,
) -> Result<(Vec<Unless>, bool), Limit> {
    let mut seen = BTreeSet::from([key(&first.1)]);
    let mut tried = BTreeSet::from([packet.holds.clone()]);
    let mut found = Vec::new();
    let mut open = VecDeque::new();
    push(&mut open, &mut tried, packet, &first.0, &[], context);
    let mut count = 0;
    while let Some((packet, rules)) = open.pop_front() {
        count += 1;
        if count > MOST_WAYS || found.len() == MOST {
            return Ok((found, true));
        }
        let (legs, told) = go(&packet)?;
        if seen.insert(key(&told)) {
            let rules = rules.clone();
            found.push(Unless { rules, outcome: told.words(), end: told.end.clone() });
        }
        push(&mut open, &mut tried, &packet, &legs, &rules, context);
    }
    Ok((found, false))
}

/// What tells one end from another.
fn key(told: &Explanation) -> (String, Option<String>) {
    (told.words(), told.end.clone())
}

/// The same packet with one rule after another of those that it met decided otherwise.
fn push(
    open: &mut VecDeque<(Packet, Vec<OpenRule>)>,
    tried: &mut BTreeSet<BTreeSet<Holds>>,
    packet: &Packet,
    legs: &[Leg<'_>],
    rules: &[OpenRule],
    context: &Context<'_>,
) {
    for leg in legs {
        for step in &leg.run.open {
            let matched = leg.run.trace.contains(step);
            // One more than is tried tells that there are more.
            if tried.len() > MOST_WAYS + 1 {
                return;
            }
            for (rule, change) in otherwise(step, matched, context) {
                let mut other = packet.clone();
                for (holds, is) in &change {
                    answer(&mut other, holds, *is);
                }
                if tried.insert(other.holds.clone()) {
                    let rules = rules.iter().cloned().chain([rule]).collect();
                    open.push_back((other, rules));
                }
            }
        }
    }
}

/// Answers that are to change, each with what it becomes.
type Change = Vec<(Holds, bool)>;

/// What a rule may decide otherwise: to match or not, and, if it does, what to do.
fn otherwise(step: &Step<'_>, matched: bool, context: &Context<'_>) -> Vec<(OpenRule, Change)> {
    let rule = |text: &str, is_target, is_understood, matches| OpenRule {
        is_target,
        table: step.table.to_string(),
        chain: context.chain(step.table, step.chain),
        rule: step.index + 1,
        at: context.locator(step.rule),
        text: text.to_owned(),
        is_understood,
        matches,
    };
    let both = |condition: &crate::ir::Condition, is| {
        let asked = |translated| (Holds { condition: condition.clone(), translated }, is);
        [false, true].map(asked)
    };
    let asked: Vec<_> = step.rule.when.iter().filter_map(Match::question).collect();
    let mut all = Vec::new();
    if let Some((first, not)) = asked.first() {
        let texts: Vec<_> = asked
            .iter()
            .map(|(condition, not)| format!("{}{}", if *not { "! " } else { "" }, condition.text))
            .collect();
        let is_understood = asked.iter().all(|(condition, _)| condition.is_understood);
        let change = if matched {
            both(first, *not).to_vec()
        } else {
            asked.iter().flat_map(|(condition, not)| both(condition, !not)).collect()
        };
        all.push((rule(&texts.join(" "), false, is_understood, !matched), change));
    }
    if let (true, Action::Opaque(Target { text, effect: Effect::Unknown(condition) })) =
        (matched, &step.rule.then)
    {
        all.push((rule(text, true, condition.is_understood, true), both(condition, true).to_vec()));
    }
    all
}

fn answer(packet: &mut Packet, holds: &Holds, is: bool) {
    if is {
        packet.holds.insert(holds.clone());
    } else {
        packet.holds.remove(holds);
    }
}
