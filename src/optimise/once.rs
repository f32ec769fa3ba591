//! What several rules of a chain ask is asked once, on the way to a chain of their own.
//!
//! It is asked for an interface: the rules for loopback stand apart, and no other packet meets them. Rules
//! between them are in both chains, if no packet that they match goes on. A packet that returns from
//! the new chain meets the rest of the old one; where that is not meant, either the last rule of the
//! new chain takes all, so that the way there is a goto, or leading back means accepting.

use crate::ir::{Action, Also, Chain, Match, Origin, Rule, Table};
use crate::net::Name;
use crate::nft::Names;

use super::facts::{Changing, covers, leaves};

/// Fewest rules that have a chain of their own.
const FEWEST: usize = 3;
/// Most rules between them.
const MOST_BETWEEN: usize = 2;
/// Most rules of a chain that is looked at.
const MOST_RULES: usize = 256;

/// Takes such rules apart, as long as there are any.
pub(super) fn ask(table: &mut Table) {
    let changing = Changing::of(table);
    let mut at = 0;
    while at < table.chains.len() {
        let parted = candidates(&table.chains[at])
            .into_iter()
            .find_map(|shared| parted(table, at, &shared, &changing));
        match parted {
            Some(Parted { own, rest }) => {
                table.chains[at] = rest;
                table.chains.insert(at + 1, own);
            }
            None => at += 1,
        }
    }
}

/// What enough rules of the chain ask, each once.
fn candidates(chain: &Chain) -> Vec<Match> {
    let mut found: Vec<Match> = Vec::new();
    if chain.rules.len() > MOST_RULES {
        return found;
    }
    let is_asked = |when: &&Match| matches!(when, Match::Interface { not: false, .. });
    for when in chain.rules.iter().flat_map(|rule| rule.when.iter().filter(is_asked)) {
        let count = chain.rules.iter().filter(|rule| rule.when.contains(when)).count();
        if count >= FEWEST && !found.contains(when) {
            found.push(when.clone());
        }
    }
    found
}

/// A chain, as two.
struct Parted {
    own: Chain,
    rest: Chain,
}

/// The chain at `at` of `table`, with the rules that ask for `shared` apart; `None` if it would not do the
/// same.
fn parted(table: &Table, at: usize, shared: &Match, changing: &Changing) -> Option<Parted> {
    let chain = &table.chains[at];
    let asks = |rule: &Rule| rule.when.contains(shared);
    let first = chain.rules.iter().position(asks)?;
    let last = chain.rules.iter().rposition(asks)?;
    let span = &chain.rules[first..=last];
    let between: Vec<&Rule> = span.iter().filter(|rule| !asks(rule)).collect();
    let changes = span.iter().any(|rule| changing.changes(rule));
    let leads_elsewhere = |rule: &Rule| matches!(rule.then, Action::Goto(_));
    if span.len() - between.len() < FEWEST
        || between.len() > MOST_BETWEEN
        || !between.iter().all(|rule| leaves(rule))
        || !between.is_empty() && changes
        || span.iter().any(leads_elsewhere)
    {
        return None;
    }
    let mut rules: Vec<Rule> =
        span.iter().filter(|rule| !is_apart(rule, shared)).cloned().collect();
    for rule in &mut rules {
        rule.when.retain(|when| when != shared);
    }
    let takes_all = |rule: &Rule| {
        rule.when.is_empty()
            && leaves(rule)
            && rule.families.and(table.families) == Some(table.families)
    };
    let is_whole = rules.last().is_some_and(takes_all);
    if !is_whole {
        let leads_back = |rule: &Rule| rule.then == Action::Return;
        if let Some(back) = span.iter().rposition(leads_back)
            && chain.base.is_none()
            && (span[..back].iter().any(|rule| changing.changes(rule))
                || !means_accept(table, chain, first, changing))
        {
            return None;
        }
        for rule in rules.iter_mut().filter(|rule| leads_back(rule)) {
            rule.then = Action::Accept;
        }
    }
    let mut names = Names::of(table.chains.iter().map(|chain| chain.name.as_str()));
    let name: Name = names.fresh(chain.name.as_str(), word(shared));
    let then = if is_whole { Action::Goto(name.clone()) } else { Action::Jump(name.clone()) };
    let way = Rule {
        families: table.families,
        when: vec![shared.clone()],
        then,
        origin: Origin::ENTRY,
        also: Also::NOTHING,
    };
    let rest = chain.rules[..first].iter().chain([&way]).chain(between);
    let rules_left = rest.chain(&chain.rules[last + 1..]).cloned().collect();
    Some(Parted {
        own: Chain { name, base: None, rules },
        rest: Chain { rules: rules_left, ..chain.clone() },
    })
}

/// Whether the rule is about other interfaces.
fn is_apart(rule: &Rule, shared: &Match) -> bool {
    let Match::Interface { of, names, .. } = shared else { return false };
    rule.when.iter().any(|when| match when {
        Match::Interface { of: other, names: others, not: false } => {
            of == other
                && !others
                    .iter()
                    .any(|other| names.iter().any(|name| other.covers(name) || name.covers(other)))
        }
        _ => false,
    })
}

/// The end of the name of the chain of what `shared` holds for.
fn word(shared: &Match) -> &str {
    match shared {
        Match::Interface { names, .. } => match &names[..] {
            [name] if !name.is_wildcard() && Name::new(name.stem()).is_ok() => name.stem(),
            _ => "interfaces",
        },
        _ => "part",
    }
}

/// Whether a packet that leaves `chain` unchanged behind its first `count` rules meets no rule any more that
/// matters, so that leading back means accepting.
fn means_accept(table: &Table, chain: &Chain, count: usize, changing: &Changing) -> bool {
    let before = &chain.rules[..count];
    let is_unchanged = !before.iter().any(|rule| changing.changes(rule));
    let leads_here = |rule: &Rule| matches!(&rule.then, Action::Jump(to) | Action::Goto(to) if *to == chain.name);
    table.chains.iter().all(|caller| {
        let mut ways = (0..caller.rules.len()).filter(|place| leads_here(&caller.rules[*place]));
        ways.all(|place| {
            let way = &caller.rules[place];
            let behind = match way.then {
                Action::Goto(_) => &[],
                _ => &caller.rules[place + 1..],
            };
            // No packet gets there that a rule before has taken.
            let takes = |taker: &Rule, rule: &Rule| leaves(taker) && covers(taker, rule, &way.when);
            let is_met =
                |rule: &&Rule| !(is_unchanged && before.iter().any(|taker| takes(taker, rule)));
            let matters = |rule: &Rule| !matches!(rule.then, Action::Return | Action::Accept);
            !behind.iter().filter(is_met).any(matters)
                && means_accept(table, caller, place, changing)
        })
    })
}
