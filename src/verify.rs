//! Whether rules treat packets as a policy says: three answers, never two.
//!
//! Rules of a host hold what is not understood. What they do for certain decides between equal and
//! different; if only what is not understood could make a difference, the two are equal as far as known.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::explain::{Change, Context, DifferenceWords, OpenRule, differences};
use crate::ir::{Action, Also, Base, Chain, Direction, Hook, Match, Origin, Rule, Ruleset, Table};
use crate::net::{Interface, Mark, Name, PortRange, PortSet};
use crate::semantics::{Comparison, Difference, Limit, Question, compare_beside};

/// Whether two rulesets treat packets alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Answer {
    /// Every packet fares alike.
    Equal,
    /// So it is, unless what is not understood takes a packet or lets one pass.
    EqualAsFarAsKnown,
    /// Some packet does not.
    Different,
}

/// What a comparison comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Verdict {
    /// The answer.
    pub answer: Answer,
    /// The ways in which the two differ; if they are equal as far as known, those in which they would.
    pub ways: Comparison<DifferenceWords>,
    /// The rules that are not understood, where packets meet them.
    pub not_understood: Vec<OpenRule>,
    /// What rules do at hooks that were left aside, each thing once.
    pub elsewhere: Vec<Elsewhere>,
    /// Of two that are equal, whether they are so beside any other chains, too.
    pub apart: Apart,
}

/// `equal`, `equal as far as known`, `different`.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "equal",
            Self::EqualAsFarAsKnown => "equal as far as known",
            Self::Different => "different",
        })
    }
}

impl Verdict {
    /// Whether every packet fares alike, for certain.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.answer == Answer::Equal
    }
}

/// Whether two rulesets that are equal are so chain by chain, and so beside any other chains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Apart {
    /// It was not asked.
    NotAsked,
    /// They are.
    Equal,
    /// They are not: where, and a packet.
    Different(Box<(Base, Difference)>),
}

/// Something that rules do to packets at a hook that is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Elsewhere {
    /// The hook.
    pub hook: Hook,
    /// How packets fare that no rule is about otherwise.
    pub change: Change,
}

/// A ruleset, and what it is told with.
pub type Side<'a> = (&'a Ruleset, &'a Context<'a>);

/// Compares two rulesets everywhere.
///
/// # Errors
///
/// If the rulesets are too entangled to tell.
pub fn compared(left: Side<'_>, right: Side<'_>) -> Result<Verdict, Limit> {
    let verdict = decided([left, right], Question::default())?;
    apart(verdict, left, right)
}

/// Compares the rules of a policy and those of a host, where the policy has rules, and, by where packets
/// go, on the way that what it captures goes on. What the host's rules do elsewhere is told, and decides nothing.
///
/// # Errors
///
/// If the rulesets are too entangled to tell.
pub fn verified(policy: Side<'_>, host: Side<'_>) -> Result<Verdict, Limit> {
    let hooks = hooks(policy.0);
    let there = at(host.0, |hook| hooks.contains(&hook));
    let verdict = decided([policy, (&there, host.1)], Question::default())?;
    let verdict = apart(verdict, policy, (&there, host.1))?;
    behind(verdict, policy, host, &hooks)
}

/// Compares what becomes of a policy's traffic alone and beside rules of others: of every packet that
/// the policy does something to, at its hooks, and on the way that what it captures goes on.
///
/// # Errors
///
/// If the rulesets are too entangled to tell.
pub fn beside(policy: Side<'_>, others: Side<'_>) -> Result<Verdict, Limit> {
    let hooks = hooks(policy.0);
    let there = together(policy.0, &at(others.0, |hook| hooks.contains(&hook)));
    let touched = Question { touched: true, ..Question::default() };
    let verdict = decided([policy, (&there, others.1)], touched)?;
    behind(verdict, policy, others, &hooks)
}

/// The answer by what is certain and, if nothing of that differs, by what is not, as far as the question
/// goes otherwise.
fn decided(sides: [Side<'_>; 2], question: Question) -> Result<Verdict, Limit> {
    let not_understood: Vec<_> =
        sides.iter().flat_map(|(rules, context)| not_understood(rules, context)).collect();
    let compare = |certain| differences(sides[0], sides[1], Question { certain, ..question });
    let ways = compare(true)?;
    let (answer, ways) = if !ways.ways.is_empty() {
        (Answer::Different, ways)
    } else if not_understood.is_empty() {
        (Answer::Equal, ways)
    } else {
        let ways = compare(false)?;
        // What a target does that is not understood is not followed, on whichever side it stands.
        let is_certain = ways.ways.is_empty() && not_understood.iter().all(|rule| !rule.is_target);
        (if is_certain { Answer::Equal } else { Answer::EqualAsFarAsKnown }, ways)
    };
    Ok(Verdict { answer, ways, not_understood, elsewhere: Vec::new(), apart: Apart::NotAsked })
}

/// `verdict`, with whether two that are equal are so chain by chain. Who shares iptables' own chains with
/// others must also leave them alike.
fn apart(verdict: Verdict, left: Side<'_>, right: Side<'_>) -> Result<Verdict, Limit> {
    if verdict.answer != Answer::Equal {
        return Ok(verdict);
    }
    let shared = left.1.is_iptables && right.1.is_iptables;
    let found = compare_beside(left.0, right.0, shared)?.into_iter().next();
    let apart = found.map_or(Apart::Equal, |found| Apart::Different(Box::new(found)));
    Ok(Verdict { apart, ..verdict })
}

/// `verdict`, with what `host` does at other hooks than `hooks`: to what `policy` captures, which counts, and
/// to the rest, which does not.
fn behind(
    mut verdict: Verdict,
    policy: Side<'_>,
    host: Side<'_>,
    hooks: &BTreeSet<Hook>,
) -> Result<Verdict, Limit> {
    let nothing = Ruleset::default();
    let captured = Captured::by(policy.0);
    for hook in Hook::ALL.into_iter().filter(|hook| !hooks.contains(hook)) {
        let there = at(host.0, |other| other == hook);
        if there.tables.is_empty() {
            continue;
        }
        let on_its_way = captured.only(&there, hook);
        let whereabouts = Question { whereabouts: true, ..Question::default() };
        let mut behind = decided([(&nothing, policy.1), (&on_its_way, host.1)], whereabouts)?;
        for way in &mut behind.ways.ways {
            way.right.path.retain(|step| !step.chain.starts_with(GUARD));
        }
        // Of what is certain, nothing is told beside what is not.
        match behind.answer.cmp(&verdict.answer) {
            Ordering::Less => {}
            Ordering::Equal => {
                verdict.ways.ways.extend(behind.ways.ways);
                verdict.ways.and_more |= behind.ways.and_more;
            }
            Ordering::Greater => (verdict.answer, verdict.ways) = (behind.answer, behind.ways),
        }
        verdict.not_understood.extend(behind.not_understood);
        let rest = differences((&nothing, policy.1), (&there, host.1), Question::default())?;
        let elsewhere = rest.ways.iter().map(|way| Elsewhere { hook, change: way.change });
        verdict.elsewhere.extend(elsewhere);
    }
    verdict.elsewhere.sort();
    verdict.elsewhere.dedup();
    Ok(verdict)
}

/// How chains are called that let only pass what was captured.
const GUARD: &str = "captured-only-";

/// Where packets that a policy captures are at hooks behind it.
struct Captured {
    /// Ports to which what this machine sends goes instead, over loopback.
    sent: PortSet,
    /// Ports to which what comes in goes instead.
    received: PortSet,
    /// Marks of what a transparent proxy takes.
    marks: Vec<Mark>,
}

impl Captured {
    fn by(policy: &Ruleset) -> Self {
        let of = |hook: Hook| {
            policy.tables.iter().flat_map(move |table| {
                let reached = table.reached_from(|base| base.hook == hook);
                let chains = table.chains.iter().filter(move |it| reached.contains(&it.name));
                chains.flat_map(|chain| &chain.rules).map(|rule| &rule.then)
            })
        };
        let port = |then: &Action| match then {
            Action::Redirect { port } => Some(*port),
            Action::Dnat { to, port } if to.is_loopback() => *port,
            _ => None,
        };
        let ports = |hook| of(hook).filter_map(port).map(PortRange::one).collect();
        let marks = of(Hook::Prerouting).filter_map(|then| match then {
            Action::Tproxy { mark, .. } => Mark::new(mark.flip & mark.clear, mark.clear).ok(),
            _ => None,
        });
        Self {
            sent: ports(Hook::Output),
            received: ports(Hook::Prerouting),
            marks: marks.collect(),
        }
    }

    /// What is to be true of a packet at `hook` that was captured: one of these.
    fn cases(&self, hook: Hook) -> Vec<Vec<Match>> {
        let port = |ports: &PortSet| {
            let ports = ports.clone();
            Match::Port { of: Direction::Destination, ports, not: false }
        };
        let lo = |of, not| Match::Interface { of, names: vec![Interface::lo()], not };
        let mut cases = Vec::new();
        if !self.sent.is_empty() {
            match hook {
                Hook::Postrouting => {
                    cases.push(vec![lo(Direction::Destination, false), port(&self.sent)]);
                }
                Hook::Prerouting | Hook::Input => {
                    cases.push(vec![lo(Direction::Source, false), port(&self.sent)]);
                }
                Hook::Output | Hook::Forward => {}
            }
        }
        if hook == Hook::Input {
            if !self.received.is_empty() {
                cases.push(vec![lo(Direction::Source, true), port(&self.received)]);
            }
            let mark = |mark| vec![Match::Mark { mark, not: false }];
            cases.extend(self.marks.iter().copied().map(mark));
        }
        cases
    }

    /// `ruleset`, which has chains at `hook` only, for what was captured; all else passes by.
    fn only(&self, ruleset: &Ruleset, hook: Hook) -> Ruleset {
        let cases = self.cases(hook);
        let mut ruleset = ruleset.clone();
        for table in &mut ruleset.tables {
            let families = table.families;
            let mut guards = Vec::new();
            for chain in &mut table.chains {
                let Some(base) = chain.base.take() else { continue };
                let rule = |when| Rule {
                    families,
                    when,
                    then: Action::Goto(chain.name.clone()),
                    origin: Origin::FOREIGN,
                    also: Also::NOTHING,
                };
                let rules = cases.iter().cloned().map(rule).collect();
                guards.push((base, rules));
            }
            for (at, (base, rules)) in guards.into_iter().enumerate() {
                let name = Name::new(&format!("{GUARD}{at}")).expect("it is a name");
                table.chains.push(Chain { name, base: Some(base), rules });
            }
        }
        ruleset
    }
}

/// The hooks at which a ruleset has base chains with rules.
fn hooks(ruleset: &Ruleset) -> BTreeSet<Hook> {
    let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
    let bases = chains.filter(|chain| !chain.rules.is_empty()).filter_map(|chain| chain.base);
    bases.map(|base| base.hook).collect()
}

/// The same with base chains at some hooks only; without the tables that have none there.
fn at(ruleset: &Ruleset, which: impl Fn(Hook) -> bool) -> Ruleset {
    let is_there = |base: Base| which(base.hook);
    let mut ruleset = ruleset.clone();
    ruleset.tables.retain_mut(|table| {
        let reached: BTreeSet<Name> = table.reached_from(is_there).into_iter().cloned().collect();
        table.chains.retain(|chain| reached.contains(&chain.name));
        for chain in &mut table.chains {
            chain.base = chain.base.filter(|base| is_there(*base));
        }
        !table.chains.is_empty()
    });
    ruleset
}

/// Both rulesets loaded. Tables of the second have names of their own.
fn together(ours: &Ruleset, others: &Ruleset) -> Ruleset {
    let mut all = ours.clone();
    for table in &others.tables {
        let mut names = (1..).map(|count| match count {
            1 => Ok(table.name.clone()),
            count => Name::new(&format!("{}-{count}", table.name)),
        });
        let is_free = |name: &Name| all.tables.iter().all(|known: &Table| known.name != *name);
        let name = names.find_map(|name| name.ok().filter(is_free));
        all.tables
            .push(Table { name: name.unwrap_or_else(|| table.name.clone()), ..table.clone() });
    }
    all
}

/// The rules of which it is not understood what they ask or do, where packets reach them.
fn not_understood(ruleset: &Ruleset, context: &Context<'_>) -> Vec<OpenRule> {
    let mut all = Vec::new();
    for table in &ruleset.tables {
        let reached = table.reached_from(|_| true);
        for chain in table.chains.iter().filter(|chain| reached.contains(&chain.name)) {
            for (index, rule) in chain.rules.iter().enumerate() {
                let mut asked = rule.conditions().filter(|asked| !asked.is_understood);
                if let Some(condition) = asked.next() {
                    let mut questions = rule.when.iter().filter_map(Match::question);
                    all.push(OpenRule {
                        is_target: questions.all(|(asked, _)| asked != condition),
                        table: table.name.to_string(),
                        chain: context.chain(&table.name, &chain.name),
                        rule: index + 1,
                        at: context.locator(rule),
                        text: condition.text.to_string(),
                        is_understood: false,
                        matches: true,
                    });
                }
            }
        }
    }
    all
}
