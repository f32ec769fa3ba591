//! The actions of one rule of nft as rules of the IR, which have one each.

use super::super::ReadProblem;
use super::super::condition::{connected, transport};
use super::map::Map;
use super::{Spec, inexact};
use crate::ir::{Action, Also, Chain, Match, Origin, Rule};
use crate::net::{Families, Name};
use crate::nft::Names;

/// One action of a rule, and what must hold for it besides what held for those before.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) families: Option<Families>,
    /// All of one of these; no packet has two of which that is so.
    pub(super) when: Vec<Vec<Match>>,
    pub(super) then: Action,
    /// Whether nft leaves the rule here if the packet has no connection.
    pub(super) needs_connection: bool,
}

impl Step {
    /// Accepts behind it, which is one action with a change of the packet mark; whether it is that.
    pub(super) fn accepts(&mut self) -> bool {
        let Action::SetMark(change) = self.then else { return false };
        if !self.needs_connection {
            self.then = Action::MarkAndAccept(change);
        }
        !self.needs_connection
    }

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
        if let [step] = &self.steps[..]
            && self.map.is_none()
            && (step.when.len() == 1 || step.then.ends_chain())
            && !step.is_guarded(true)
            && let Some(families) = step.families
        {
            let Step { when, then, .. } = self.steps.remove(0);
            return Ok(when.into_iter().map(|when| rule(families, when, then.clone())).collect());
        }
        // Behind what never holds, nothing happens.
        let may_hold = |step: &&Step| step.families.is_some() && !step.when.is_empty();
        let live = self.steps.iter().take_while(may_hold).count();
        let mut helpers = Helpers { chain, names, chains: helpers };
        let tail = match (self.map, self.families) {
            (Some(map), Some(families)) if live == self.steps.len() => {
                helpers.map(map, families, self.when)
            }
            _ => Vec::new(),
        };
        helpers.run(&self.steps[..live], tail)
    }
}

/// The chains that the rules of a chain need besides.
struct Helpers<'c, 'n> {
    chain: &'c str,
    names: &'c mut Names<'n>,
    chains: &'c mut Vec<Chain>,
}

impl Helpers<'_, '_> {
    /// The rules that do what a map does, for packets of which one of `when` holds.
    fn map(&mut self, map: Map, families: Families, mut when: Vec<Vec<Match>>) -> Vec<Rule> {
        when.iter_mut().for_each(tidy);
        let all = |entries: Vec<(Vec<Match>, Action)>| {
            let mut rules = Vec::with_capacity(entries.len() * when.len());
            for when in &when {
                for (key, then) in &entries {
                    let more = key.iter().filter(|one| !when.contains(one));
                    let mut all: Vec<Match> = when.iter().chain(more).cloned().collect();
                    tidy(&mut all);
                    rules.push(rule(families, all, then.clone()));
                }
            }
            rules
        };
        let is_plain = !map.in_order || map.entries.iter().all(|(_, then)| then.ends_chain());
        if is_plain {
            return all(map.entries);
        }
        // Keys of which no packet has two: those that leave the chain come first, and no other is
        // looked at again behind one that comes back.
        let (leave, stay): (Vec<_>, Vec<_>) =
            map.entries.into_iter().partition(|(_, then)| then.leads_out());
        let mut rules = all(leave);
        let goes = |then: Action| if let Action::Jump(to) = then { Action::Goto(to) } else { then };
        let stay = stay.into_iter().map(|(key, then)| rule(families, key, goes(then))).collect();
        let mut to = self.add("map", stay);
        if let [one] = when.as_slice() {
            rules.push(rule(families, one.clone(), Action::Jump(to)));
            return rules;
        }
        let each = when.into_iter().map(|when| rule(families, when, Action::Goto(to.clone())));
        to = self.add("either", each.collect());
        rules.push(rule(families, Vec::new(), Action::Jump(to)));
        rules
    }

    /// The rules that do what `steps` do, and then `tail`, as one of nft does it: nothing is compared
    /// twice.
    fn run(&mut self, steps: &[Step], tail: Vec<Rule>) -> Result<Vec<Rule>, ReadProblem> {
        let Some((first, rest)) = steps.split_first() else { return Ok(tail) };
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
        let is_last = rest.is_empty() && tail.is_empty();
        if is_last && (first.when.len() == 1 || first.then.ends_chain()) {
            return Ok(each(&first.then));
        }
        let plain = |then: &Action| rule(families, Vec::new(), then.clone());
        let mut body = vec![plain(&first.then)];
        let leaves = steps.last().is_some_and(|last| last.then.leads_out())
            || tail.iter().any(|rule| rule.then.leads_out());
        if leaves {
            let is_plain = |step: &Step| {
                step.families == first.families
                    && step.when.iter().all(Vec::is_empty)
                    && !step.needs_connection
            };
            if !rest.iter().all(is_plain) || !tail.is_empty() {
                return self.again(first, rest, tail, each(&first.then));
            }
            let goes = rest.iter().map(|step| &step.then).filter(|then| **then != Action::Return);
            body.extend(goes.map(plain));
        } else {
            body.extend(self.run(rest, tail)?);
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

    /// The rules that do what `first` does, which are `rules`, and then what is behind it for the same
    /// packets: whether they are is compared again, which is possible if `first` changes none of it.
    fn again(
        &mut self,
        first: &Step,
        rest: &[Step],
        tail: Vec<Rule>,
        mut rules: Vec<Rule>,
    ) -> Result<Vec<Rule>, ReadProblem> {
        let is_mark = |one: &Match| matches!(one, Match::Mark { .. } | Match::Connmark { .. });
        let changes = !matches!(first.then, Action::Log | Action::Opaque(_));
        let widest = rest.iter().map(|step| step.when.len()).max().unwrap_or(1).max(tail.len());
        if changes && first.when.iter().flatten().any(is_mark)
            || first.needs_connection
            || first.when.len() * widest > super::MOST_RULES
        {
            let why = "a match stands between two actions of the rule";
            return Err(inexact("return", why));
        }
        let both = |one: &Vec<Match>, other: &[Match]| [one.as_slice(), other].concat();
        let mut rest = rest.to_vec();
        let mut tail = tail;
        if let Some(next) = rest.first_mut() {
            let behind = std::mem::take(&mut next.when);
            next.when = first
                .when
                .iter()
                .flat_map(|one| behind.iter().map(move |other| both(one, other)))
                .collect();
            rules.extend(self.run(&rest, tail)?);
            return Ok(rules);
        }
        for one in &first.when {
            for rule in &mut tail {
                let when = both(one, &rule.when);
                rules.push(Rule { when, ..rule.clone() });
            }
        }
        Ok(rules)
    }

    fn add(&mut self, what: &str, rules: Vec<Rule>) -> Name {
        let name = self.names.fresh(self.chain, what);
        self.chains.push(Chain { name: name.clone(), base: None, rules });
        name
    }
}

fn rule(families: Families, when: Vec<Match>, then: Action) -> Rule {
    Rule { families, when, then, origin: Origin::FOREIGN, also: Also::NOTHING }
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

/// Whether the action does nothing to a packet without a connection.
const fn is_for_connections(action: &Action) -> bool {
    matches!(action, Action::SetConnmark(_) | Action::SaveMark(_) | Action::RestoreMark(_))
}
