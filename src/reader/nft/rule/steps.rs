//! The actions of one rule of nft as rules of the IR, which have one each.

use super::super::ReadProblem;
use super::super::condition::{connected, transport};
use super::{Spec, inexact};
use crate::ir::{Action, Chain, Match, Origin, Rule};
use crate::net::{Families, Name};
use crate::nft::Names;

/// One action of a rule, and what must hold for it besides what held for those before.
pub(super) struct Step {
    pub(super) families: Option<Families>,
    /// All of one of these; no packet has two of which that is so.
    pub(super) when: Vec<Vec<Match>>,
    pub(super) then: Action,
    /// Whether nft leaves the rule here if the packet has no connection.
    pub(super) needs_connection: bool,
}

impl Step {
    /// Whether it must be asked for that the packet has a connection; `is_last` of the rule's actions.
    const fn is_guarded(&self, is_last: bool) -> bool {
        self.needs_connection && !(is_last && is_for_connections(&self.then))
    }
}

impl Spec {
    /// The IR's rules for it: none if it does nothing. What `chain` cannot say by itself is in
    /// `helpers`.
    pub(in super::super) fn rules(
        mut self,
        chain: &str,
        names: &mut Names<'_>,
        helpers: &mut Vec<Chain>,
    ) -> Result<Vec<Rule>, ReadProblem> {
        if let Some(entries) = self.map {
            let Some(families) = self.families else { return Ok(Vec::new()) };
            let rules = self.when.iter().flat_map(|when| {
                entries.iter().map(move |(key, then)| {
                    let mut when = [when.as_slice(), key].concat();
                    tidy(&mut when);
                    rule(families, when, then.clone())
                })
            });
            return Ok(rules.collect());
        }
        if let [step] = &self.steps[..]
            && (step.when.len() == 1 || is_final(&step.then))
            && !step.is_guarded(true)
            && let Some(families) = step.families
        {
            let Step { when, then, .. } = self.steps.remove(0);
            return Ok(when.into_iter().map(|when| rule(families, when, then.clone())).collect());
        }
        // Behind what never holds, nothing happens.
        let may_hold = |step: &&Step| step.families.is_some() && !step.when.is_empty();
        let live = self.steps.iter().take_while(may_hold).count();
        Helpers { chain, names, chains: helpers }.run(&self.steps[..live])
    }
}

/// The chains that the rules of a chain need besides.
struct Helpers<'c, 'n> {
    chain: &'c str,
    names: &'c mut Names<'n>,
    chains: &'c mut Vec<Chain>,
}

impl Helpers<'_, '_> {
    /// The rules that do what `steps` do, as one of nft does it: nothing is compared twice.
    fn run(&mut self, steps: &[Step]) -> Result<Vec<Rule>, ReadProblem> {
        let Some((first, rest)) = steps.split_first() else { return Ok(Vec::new()) };
        let Some(families) = first.families else { return Ok(Vec::new()) };
        let guarded = first.is_guarded(rest.is_empty());
        let when = first.when.iter().map(|when| {
            let mut when = when.clone();
            when.extend(guarded.then(connected));
            when
        });
        let each = |then: &Action| {
            when.clone().map(|when| rule(families, when, then.clone())).collect::<Vec<_>>()
        };
        if rest.is_empty() && (first.when.len() == 1 || is_final(&first.then)) {
            return Ok(each(&first.then));
        }
        let plain = |then: &Action| rule(families, Vec::new(), then.clone());
        let mut body = vec![plain(&first.then)];
        let leaves = steps.last().is_some_and(|last| leaves_to_caller(&last.then));
        if leaves {
            let is_plain = |step: &Step| {
                step.families == first.families
                    && step.when.iter().all(Vec::is_empty)
                    && !step.needs_connection
            };
            if !rest.iter().all(is_plain) {
                let why = "a match stands between two actions of the rule";
                return Err(inexact("return", why));
            }
            let goes = rest.iter().map(|step| &step.then).filter(|then| **then != Action::Return);
            body.extend(goes.map(plain));
        } else {
            body.extend(self.run(rest)?);
        }
        let body = self.add("then", body);
        if leaves {
            return Ok(each(&Action::Goto(body)));
        }
        if first.when.len() == 1 {
            return Ok(each(&Action::Jump(body)));
        }
        // No alternative is looked at again behind the one that leads to the body.
        let either = each(&Action::Goto(body));
        let either = self.add("either", either);
        Ok(vec![plain(&Action::Jump(either))])
    }

    fn add(&mut self, what: &str, rules: Vec<Rule>) -> Name {
        let name = self.names.fresh(self.chain, what);
        self.chains.push(Chain { name: name.clone(), base: None, rules });
        name
    }
}

fn rule(families: Families, when: Vec<Match>, then: Action) -> Rule {
    Rule { families, when, then, origin: Origin::FOREIGN }
}

/// Leaves out that the packet is TCP or UDP where another match says that.
pub(super) fn tidy(when: &mut Vec<Match>) {
    let any = transport();
    let says_more = |one: &Match| {
        *one != any && matches!(one, Match::Port { .. } | Match::Protocol { not: false, .. })
    };
    if when.iter().any(says_more) {
        when.retain(|one| *one != any);
    }
}

/// Whether no later rule of the chain runs for the packet.
pub(super) fn is_final(action: &Action) -> bool {
    action.ends_base_chain() || leaves_to_caller(action)
}

const fn leaves_to_caller(action: &Action) -> bool {
    matches!(action, Action::Return | Action::Goto(_))
}

/// Whether the action does nothing to a packet without a connection.
const fn is_for_connections(action: &Action) -> bool {
    matches!(action, Action::SetConnmark(_) | Action::SaveMark(_) | Action::RestoreMark(_))
}
