//! What a ruleset does to packets, in words: what becomes of one and which rule and clause decide
//! it, and in what two rulesets differ.

mod difference;
mod path;
mod sentence;
mod table;
mod treatment;
mod unless;

use serde::{Deserialize, Serialize};

use crate::ir::{Action, Hook, Locator, Origin, Rule, Ruleset};
use crate::lower::{Owners, lower};
use crate::net::Name;
use crate::policy::Policy;
use crate::semantics::{Host, Impossible, Leg, Limit, Outcome, Packet, Run, follow, run, runs};
use crate::span::Sources;

pub use difference::{Change, DifferenceWords, differences};
#[cfg(feature = "cli")]
pub(crate) use path::shortened;
pub use path::{ClauseWords, LocatorWords, RungWords, StepWords};
pub use sentence::{Sentence, Sides, sentences};
pub use table::{Fate, Rest, Row, Table, Values, tables};
pub use treatment::Treatment;
#[cfg(feature = "picture")]
pub(crate) use unless::usual;
pub use unless::{OpenRule, Unless};

pub use crate::lower::Ports;

/// What rules are told with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The policy that they were made from, if they were.
    pub policy: Option<&'a Policy>,
    /// What the clauses of the policy lie in.
    pub sources: Option<&'a Sources>,
    /// Whether all are iptables', of which built-in chains are called as it calls them: `OUTPUT`.
    pub is_iptables: bool,
    /// The tables that are iptables', if others are not.
    pub iptables: &'a [Name],
    /// What the texts are called that were read together, in their order.
    pub files: &'a [String],
}

/// Why it is not said what becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unanswered {
    /// There is no such packet.
    #[error(transparent)]
    Impossible(#[from] Impossible),
    /// The rules do not tell.
    #[error(transparent)]
    Limit(#[from] Limit),
}

/// What becomes of a packet, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Explanation {
    /// The packet, with everything that is as usual written out.
    pub packet: String,
    /// What becomes of it: `captured: redirected to the outbound proxy port 15001`.
    pub outcome: String,
    /// Whether it goes to the proxy.
    pub captured: bool,
    /// The port that it goes to instead of its own.
    pub port: Option<u16>,
    /// What changes beside that: `mark 0x539`, `zone 2`.
    pub also: Vec<String>,
    /// The rung of the ladder that decides; `None` if no rung fits, or the rules are not a
    /// policy's.
    pub rung: Option<RungWords>,
    /// The clause that decides; `None` if a default does.
    pub clause: Option<ClauseWords>,
    /// The rules that match, in the order in which they run.
    pub path: Vec<StepWords>,
    /// Where the packet's way ends: `at 127.0.0.1:15001`. `None` if only one hook was asked.
    pub end: Option<String>,
    /// What all that supposes about the order of chains that tie, of which no text tells. Empty if
    /// every order leads to the same.
    pub supposes: Vec<String>,
    /// What else may become of it, by answers to what rules of others ask and the packet does not tell.
    /// All else is by the usual answers.
    pub unless: Vec<Unless>,
    /// Whether there may be more than that.
    pub unless_more: bool,
}

impl Explanation {
    /// What becomes of the packet, in one line: `redirected to the outbound proxy port 15001, mark
    /// 0x539`.
    #[must_use]
    pub fn words(&self) -> String {
        let outcome = self.outcome.trim_start_matches("captured: ");
        let also = self.also.iter().map(String::as_str);
        std::iter::once(outcome).chain(also).collect::<Vec<_>>().join(", ")
    }
}

impl Explanation {
    /// The same as [`Explanation::words`], in as few words as will do: `outbound proxy port 15001, zone 2`.
    #[must_use]
    pub fn short(&self) -> String {
        let outcome = self.outcome.trim_start_matches("captured: ");
        let outcome = outcome.strip_prefix("redirected to ").unwrap_or(outcome);
        let outcome = outcome.strip_prefix("the ").unwrap_or(outcome);
        let also = self.also.iter().map(|also| also.trim_start_matches("connection tracking "));
        std::iter::once(outcome).chain(also).collect::<Vec<_>>().join(", ")
    }
}

/// Why a packet fares as it does: the rung and the clause of the rule that decides. `None` if no
/// rule does.
pub(crate) fn origin(run: &Run<'_>) -> Option<Origin> {
    path::deciding(run).map(|at| run.trace[at].rule.origin)
}

/// Takes `packet` through the chains of its hook, and says why it fares so there. Where chains tie,
/// the first order that is possible counts.
#[must_use]
pub fn explain(ruleset: &Ruleset, packet: &Packet, context: &Context<'_>) -> Explanation {
    at_hook(ruleset, packet, &context.ports(), context).1
}

/// The same as [`explain`], in the order of chains that tie in which `outcome` becomes of the packet.
fn explain_as(
    ruleset: &Ruleset,
    packet: &Packet,
    outcome: &Outcome,
    context: &Context<'_>,
) -> Explanation {
    let orders = runs(ruleset, packet).unwrap_or_default();
    let found = orders.into_iter().find(|(run, _)| run.outcome == *outcome);
    let Some((run, _)) = found else { return explain(ruleset, packet, context) };
    let leg = Leg { packet: packet.clone(), run, supposes: Vec::new() };
    told(ruleset, &[leg], &context.ports(), context)
}

/// The same as [`explain`], by the usual answers to what rules of others ask and the packet does not tell,
/// and with what else may become of it.
#[must_use]
pub fn explain_hook(ruleset: &Ruleset, packet: &Packet, context: &Context<'_>) -> Explanation {
    let ports = context.ports();
    let go = |packet: &Packet| Ok(at_hook(ruleset, packet, &ports, context));
    with_alternatives(ruleset, packet, context, go)
        .unwrap_or_else(|_| explain(ruleset, packet, context))
}

fn at_hook<'a>(
    ruleset: &'a Ruleset,
    packet: &Packet,
    ports: &Ports,
    context: &Context<'_>,
) -> unless::Told<'a> {
    let leg = Leg { packet: packet.clone(), run: run(ruleset, packet), supposes: Vec::new() };
    let told = told(ruleset, std::slice::from_ref(&leg), ports, context);
    (vec![leg], told)
}

/// Follows `packet` from its hook to where it ends, and says why it fares so, by the usual answers to what
/// rules of others ask and the packet does not tell, and what else may become of it. Routing is as the
/// policy asks for.
///
/// # Errors
///
/// If chains tie in too many ways.
pub fn explain_way(
    ruleset: &Ruleset,
    packet: &Packet,
    context: &Context<'_>,
) -> Result<Explanation, Limit> {
    let (host, ports) = (context.host(), context.ports());
    with_alternatives(ruleset, packet, context, |packet| {
        let way = follow(ruleset, packet, &host)?;
        let mut told = told(ruleset, &way.legs, &ports, context);
        told.end = Some(way.arrival.to_string());
        Ok((way.legs, told))
    })
}

/// What becomes of `packet` by the usual answers to what `ruleset` asks, and what else may.
fn with_alternatives<'a>(
    ruleset: &Ruleset,
    packet: &Packet,
    context: &Context<'_>,
    go: impl Fn(&Packet) -> Result<unless::Told<'a>, Limit>,
) -> Result<Explanation, Limit> {
    let packet = unless::usual(ruleset, packet);
    let first = go(&packet)?;
    let (unless, unless_more) = unless::alternatives(&packet, &first, context, go)?;
    Ok(Explanation { unless, unless_more, ..first.1 })
}

impl Context<'_> {
    /// What a chain is called: built-in ones as iptables does, if the table is of iptables.
    pub(crate) fn chain(&self, table: &Name, name: &Name) -> String {
        let is_built_in = Hook::ALL.iter().any(|hook| hook.name() == name.as_str());
        let is_of_iptables = self.is_iptables || self.iptables.contains(table);
        if is_of_iptables && is_built_in {
            name.as_str().to_ascii_uppercase()
        } else {
            name.to_string()
        }
    }

    /// Where a rule stands. A file is named if there are several.
    pub(crate) fn locator(&self, rule: &Rule) -> Option<LocatorWords> {
        Some(match rule.origin.locator? {
            Locator::Handle(handle) => LocatorWords::Handle(handle),
            Locator::Line { text, line } => {
                let file = self.files.get(text).filter(|_| self.files.len() > 1).cloned();
                LocatorWords::Line { file, line }
            }
        })
    }

    /// The host that the policy asks for.
    pub(crate) fn host(&self) -> Host {
        let lowered = self.policy.map(lower);
        lowered.map_or_else(Host::default, |lowered| Host::with(&lowered.host))
    }

    /// Whose processes the policy takes for the proxy.
    pub(crate) fn owners(&self) -> Owners {
        self.policy.map_or_else(Owners::default, |policy| lower(policy).owners)
    }

    /// Why the packet of `leg` fares as it does there. A rule that was made of several is for more than that:
    /// the ladder says which of them it is.
    fn origin(&self, leg: &Leg<'_>) -> Option<Origin> {
        let rule = leg.run.trace[path::deciding(&leg.run)?].rule;
        let of_ladder = |policy: &Policy| origin(&run(&lower(policy).ruleset, &leg.packet));
        let exact = if rule.is_made_of_several() { self.policy.and_then(of_ladder) } else { None };
        exact.filter(|exact| rule.origins().any(|one| one.is_same(*exact))).or(Some(rule.origin))
    }

    fn ports(&self) -> Ports {
        self.policy.map_or_else(Ports::default, |policy| lower(policy).ports)
    }
}

fn told(ruleset: &Ruleset, legs: &[Leg<'_>], ports: &Ports, context: &Context<'_>) -> Explanation {
    let first = &legs[0];
    let treatments: Vec<_> = legs.iter().map(|leg| Treatment::of(&leg.run.outcome)).collect();
    let is = |wanted: fn(&Treatment) -> bool| treatments.iter().position(wanted);
    let dropped = is(Treatment::ends);
    let captured = is(Treatment::is_captured);
    let touched = is(|treatment| *treatment != Treatment::Untouched);
    let ruled = legs.iter().position(|leg| path::deciding(&leg.run).is_some());
    let at = dropped.or(captured).or(touched).or(ruled).unwrap_or_default();
    let treatment = &treatments[at];
    let mut outcome = ports.words(treatment);
    let mut also: Vec<_> =
        legs.iter().flat_map(|leg| treatment::effects(&leg.packet, &leg.run.outcome)).collect();
    if at > 0 && *treatment == Treatment::Dropped {
        let hook = legs[at].packet.hook.name();
        outcome = format!("dropped at {hook}");
        if let Some(before) = captured {
            also.insert(0, ports.words(&treatments[before]).replacen(": ", " before: ", 1));
        }
    }
    also.dedup();
    let family = first.packet.family();
    let ungoverned = context.policy.filter(|policy| !policy.families().has(family));
    if ungoverned.is_some() && *treatment == Treatment::Untouched {
        outcome = format!("untouched: {family} is not governed");
    }
    let origin = context.origin(&legs[at]);
    let clause = origin
        .and_then(|origin| origin.clause)
        .or_else(|| ungoverned.and_then(Policy::family_clause));
    let decides = |leg: usize| if leg == at { path::deciding(&legs[at].run) } else { None };
    let steps = legs.iter().enumerate();
    Explanation {
        packet: first.packet.to_string(),
        outcome,
        captured: treatment.is_captured(),
        port: treatment.port(),
        also,
        rung: origin.and_then(|origin| RungWords::of(origin.rung)),
        clause: clause.and_then(|clause| Some(ClauseWords::of(clause, context.sources?))),
        path: steps.flat_map(|(place, leg)| path::words(leg, decides(place), context)).collect(),
        end: None,
        supposes: legs
            .iter()
            .flat_map(|leg| leg.supposes.iter().cloned().chain(chains_of_others(leg, ruleset)))
            .collect(),
        unless: Vec::new(),
        unless_more: false,
    }
}

/// What is supposed of the chains of others that a packet is led to.
fn chains_of_others(leg: &Leg<'_>, ruleset: &Ruleset) -> Vec<String> {
    let others = ruleset.others();
    let steps = leg.run.trace.iter().filter_map(|step| match &step.rule.then {
        Action::Jump(to) | Action::Goto(to) if others.contains(to) => Some(to),
        _ => None,
    });
    steps.map(|chain| format!("chain {chain} of others gives the packet back")).collect()
}
