//! Changes of a policy that no expectation notices.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use crate::Compilation;
use crate::explain::Treatment;
use crate::ir::CtState;
use crate::ir::Hook;
use crate::lower::Lowered;
use crate::optimise::listed;
use crate::policy::Policy;
use crate::prove;
use crate::semantics::{Difference, Limit, Outcome, are_alike, compare};
use crate::span::Span;
use crate::syntax::ast::TermKind;
use crate::variants::{Edit, Variants, Written, said};

/// Most values of a clause that are left out or changed.
const MOST_VALUES: usize = 16;

/// A policy with one clause left out or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mutant {
    /// The clause.
    pub clause: Span,
    /// What is done to it: ``without `exclude port 25` ``.
    pub change: String,
    /// What has become of it.
    pub fate: Fate,
}

/// What has become of a changed policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Fate {
    /// An expectation does not hold any longer.
    Noticed,
    /// Every expectation holds, and a packet fares otherwise.
    Unnoticed {
        /// The packet.
        packet: String,
        /// What becomes of it.
        before: String,
        /// What would become of it.
        after: String,
    },
    /// Every packet fares the same, so that there is nothing to notice.
    Same,
}

impl Compilation {
    /// What would become of `policy` if each of its own clauses were left out, and each value left out
    /// or another one; of a long list, the first values. A change with which the policy would be refused,
    /// or would say the same, is none.
    ///
    /// # Errors
    ///
    /// If the rules are too entangled to tell.
    pub fn mutants(&self, policy: &Policy) -> Result<Vec<Mutant>, Limit> {
        let mut variants = Variants::of(&self.sources, self.groups());
        let Some(mut variant) = variants.policy(&policy.name) else { return Ok(Vec::new()) };
        let original = listed(policy);
        let mut seen = BTreeSet::from([said(policy)]);
        let mut mutants = Vec::new();
        let clauses = variant.clauses();
        for clause in &clauses {
            if clause.is_block && !variant.says_something(clause, &clauses) {
                continue;
            }
            for change in changes(clause) {
                // The first that is a policy: a port one higher, or one lower.
                let mut policies = change.edits.into_iter().filter_map(|(edit, becomes)| {
                    Some((variant.with(&[(clause.place, edit)])?, becomes))
                });
                let Some((mutant, becomes)) = policies.next() else { continue };
                if seen.insert(said(&mutant)) {
                    let words =
                        format!("{}`{}`", change.words.replace("{}", &becomes), clause.words);
                    let fate = fate(policy, &original, &mutant)?;
                    mutants.push(Mutant { clause: clause.span, change: words, fate });
                }
            }
        }
        Ok(mutants)
    }
}

fn fate(policy: &Policy, original: &Lowered, mutant: &Policy) -> Result<Fate, Limit> {
    let lowered = listed(mutant);
    // What the policy expects, and not what the changed text makes of it.
    let broken =
        |expected| prove::expectation(policy, &lowered, &lowered.ruleset, expected).is_some();
    if policy.expectations.iter().any(broken) {
        return Ok(Fate::Noticed);
    }
    if are_alike(&original.ruleset, &lowered.ruleset, false)? {
        return Ok(Fate::Same);
    }
    let differences = compare(&original.ruleset, &lowered.ruleset)?;
    let told = differences.iter().find(|it| can_be_expected(it)).or(differences.first());
    let Some(Difference { packet, left, right, .. }) = told else { return Ok(Fate::Same) };
    Ok(Fate::Unnoticed {
        packet: packet.to_string(),
        before: words(original, left, right),
        after: words(&lowered, right, left),
    })
}

/// What becomes of a packet, where something else becomes of it by `other`.
fn words(lowered: &Lowered, outcome: &Outcome, other: &Outcome) -> String {
    let treatment = Treatment::of(outcome);
    if treatment == Treatment::of(other) {
        return outcome.to_string();
    }
    lowered.ports.words(&treatment).trim_start_matches("captured: ").to_owned()
}

/// Whether an expectation could say what becomes of the packet.
fn can_be_expected(difference: &Difference) -> bool {
    let Difference { packet, left, right, .. } = difference;
    matches!(packet.hook, Hook::Prerouting | Hook::Output)
        && packet.state == CtState::New
        && packet.mark == 0
        && packet.connmark == 0
        && Treatment::of(left) != Treatment::of(right)
}

/// Something that is done to a clause.
struct Change {
    /// What, with `{}` for what it becomes.
    words: String,
    /// How, of which the first is done that makes a policy, and what it becomes.
    edits: Vec<(Edit, String)>,
}

impl Change {
    fn only(words: &str, edit: Edit) -> Self {
        Self { words: words.to_owned(), edits: vec![(edit, String::new())] }
    }
}

/// Everything that is done to `clause`.
fn changes(clause: &Written) -> Vec<Change> {
    let mut changes = vec![Change::only("without ", Edit::Drop)];
    let words = clause.terms.len() - clause.values;
    for (at, term) in clause.terms.iter().enumerate().take(words + MOST_VALUES) {
        let text = &*term.text;
        let sign = if term.kind == TermKind::Variable { "$" } else { "" };
        if at >= words && clause.values > 1 {
            let words = format!("without `{sign}{text}` in ");
            changes.push(Change::only(&words, Edit::DropTerm(at)));
        }
        let others = if term.kind == TermKind::Word { others(text) } else { Vec::new() };
        if !others.is_empty() {
            let edits = others.into_iter().map(|other| (Edit::Term(at, other.clone()), other));
            let words = format!("`{text}` changed to `{{}}` in ");
            changes.push(Change { words, edits: edits.collect() });
        }
    }
    changes
}

/// What a word or a value may be instead: the next that could be taken for it.
fn others(text: &str) -> Vec<String> {
    let word = match text {
        "*" => "none",
        "none" => "*",
        "capture" => "exclude",
        "exclude" => "capture",
        "redirect" => "tproxy",
        "tproxy" => "redirect",
        "drop" => "continue",
        "continue" => "drop",
        "ipv4" => "ipv6",
        "ipv6" => "ipv4",
        _ => "",
    };
    if !word.is_empty() {
        return vec![word.to_owned()];
    }
    if let Ok(number) = text.parse::<u32>() {
        return next(number).collect();
    }
    if let Some((first, last)) = text.split_once('-')
        && let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>())
    {
        return next(last).map(|last| format!("{first}-{last}")).collect();
    }
    if let Some(number) = text.strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok())
    {
        return vec![format!("{:#x}", number ^ 1)];
    }
    if let Ok(net) = text.parse::<IpNet>() {
        return wider(net).into_iter().collect();
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        let neighbour = match address {
            IpAddr::V4(it) => IpAddr::V4((u32::from(it) ^ 1).into()),
            IpAddr::V6(it) => IpAddr::V6((u128::from(it) ^ 1).into()),
        };
        return wider(address.into()).into_iter().chain([neighbour.to_string()]).collect();
    }
    Vec::new()
}

fn next(number: u32) -> impl Iterator<Item = String> {
    let numbers = [number.checked_add(1), number.checked_sub(1)];
    numbers.into_iter().flatten().map(|number| number.to_string())
}

/// The network of twice the size, or, of all there is, one half.
fn wider(net: IpNet) -> Option<String> {
    let length = net.prefix_len().checked_sub(1).unwrap_or(1);
    IpNet::new(net.addr(), length).ok().map(|net| net.trunc().to_string())
}
