//! A chain as a flat list of rules, whatever chains it is spelled with.

use std::borrow::Cow;

use super::Place;
use crate::ir::{Action, Chain, Match, OwnerIs, Rule};
use crate::net::{Family, Interface, Name};
use crate::semantics::by_name::Chains;
use crate::semantics::symbolic::{changes_marks, lasts};

/// The rules of a chain as packets of `family` meet them that all of `held` hold for when they enter it;
/// those that do the same stand together where that is all the same.
pub(super) fn flat<'r>(
    (_, chain): Place<'r>,
    chains: &Chains<'r>,
    family: Family,
    held: &[Match],
) -> Vec<Cow<'r, Rule>> {
    let rules = together(unfolded(chain, chains, family));
    let (held, mut marks): (Vec<&Match>, Vec<&Match>) = held.iter().partition(|when| lasts(when));
    let way = Way { chains, family, held };
    let mut flat = Vec::with_capacity(rules.len());
    for mut rule in rules {
        if rule.when.iter().any(|when| marks.iter().any(|mark| mark.is_opposite_of(when))) {
            continue;
        }
        if changes_marks(&rule) || matches!(rule.then, Action::Jump(_)) {
            marks.clear();
        }
        // To lead back from a base chain is to accept.
        if chain.base.is_some() && rule.then == Action::Return {
            rule.to_mut().then = Action::Accept;
        }
        way.lay_flat(rule, &mut flat, 0);
    }
    gathered(flat)
}

/// Where rules are met.
struct Way<'r, 'h> {
    /// The chains of the table.
    chains: &'h Chains<'r>,
    family: Family,
    /// What holds for every packet there, as long as it is.
    held: Vec<&'h Match>,
}

impl<'r> Way<'r, '_> {
    /// Adds `rule` to `flat`: it does not ask for what is `held`; a jump to rules that stay on
    /// the way is these rules; another asks for what all rules there ask for.
    fn lay_flat(&self, mut rule: Cow<'r, Rule>, flat: &mut Vec<Cow<'r, Rule>>, depth: usize) {
        let Self { chains, held, .. } = self;
        if rule.when.iter().any(|when| held.contains(&when)) {
            rule.to_mut().when.retain(|when| !held.contains(&when));
        }
        let Action::Jump(to) = &rule.then else { return flat.push(rule) };
        let target = chains.get(to).copied().filter(|_| depth < DEEPEST_FLAT);
        let inside = target.into_iter().flat_map(|chain| &chain.rules);
        let inside = inside.filter(|rule| may_match(rule, self.family)).take(MOST_FLAT + 1);
        let inside = together(inside.map(Cow::Borrowed).collect());
        let stays = |rule: &Cow<'_, Rule>| !matches!(rule.then, Action::Return | Action::Goto(_));
        // What may change on the way must be asked once only.
        let is_once = inside.len() == 1 || rule.when.iter().all(lasts);
        if is_once && inside.len() <= MOST_FLAT && !inside.is_empty() && inside.iter().all(stays) {
            for inner in inside {
                let more = inner.when.iter().filter(|when| !rule.when.contains(when));
                let when = rule.when.iter().chain(more).cloned().collect();
                let inner = Rule { when, ..inner.into_owned() };
                self.lay_flat(Cow::Owned(inner), flat, depth + 1);
            }
            return;
        }
        if let [first, rest @ ..] = &inside[..]
            && inside.len() <= MOST_FLAT
        {
            let asks_too = |when: &&Match| {
                lasts(when)
                    && !rule.when.contains(when)
                    && !held.contains(when)
                    && rest.iter().all(|rule| rule.when.contains(when))
            };
            let common: Vec<Match> = first.when.iter().filter(asks_too).cloned().collect();
            if !common.is_empty() {
                rule.to_mut().when.extend(common);
            }
            // Whom the first rule leads back for its mark need not go there.
            if let (Action::Return, [Match::Mark { mark, not }]) = (&first.then, &first.when[..]) {
                let others = Match::Mark { mark: *mark, not: !not };
                if !rule.when.contains(&others) {
                    rule.to_mut().when.push(others);
                }
            }
        }
        flat.push(rule);
    }
}

/// `rules`, of which a change of the mark, and an accept behind it for the same packets, are one.
fn together(rules: Vec<Cow<'_, Rule>>) -> Vec<Cow<'_, Rule>> {
    let mut all: Vec<Cow<'_, Rule>> = Vec::with_capacity(rules.len());
    for rule in rules {
        let is_mark = |when: &Match| matches!(when, Match::Mark { .. } | Match::Opaque { .. });
        match all.last_mut() {
            Some(before)
                if rule.then == Action::Accept
                    && rule.when == before.when
                    && !rule.when.iter().any(is_mark)
                    && let Action::SetMark(change) = before.then =>
            {
                before.to_mut().then = Action::MarkAndAccept(change);
            }
            _ => all.push(rule),
        }
    }
    all
}

/// The rules of a chain that can match a packet of `family`, with those of the chain in which a negated
/// owner is spelled as `X goto rest, M -> V, goto rest`: that is `M && !X -> V` and the rules of `rest`,
/// where V leads back, too. Of a base chain it stays as it is: who leaves that early can be asked.
fn unfolded<'r>(chain: &'r Chain, chains: &Chains<'r>, family: Family) -> Vec<Cow<'r, Rule>> {
    let mut all = Vec::with_capacity(chain.rules.len());
    let mut seen = vec![&chain.name];
    let mut open = chain;
    loop {
        let start = all.len();
        all.extend(open.rules.iter().filter(|rule| may_match(rule, family)).map(Cow::Borrowed));
        let folded = if chain.base.is_none() { folded(&all[start..]) } else { None };
        let next = folded.and_then(|folded| Some((*chains.get(&folded.rest)?, folded)));
        match next {
            Some((rest, folded)) if !seen.contains(&&rest.name) => {
                all.truncate(all.len() - folded.rules);
                all.push(Cow::Owned(folded.rule));
                seen.push(&rest.name);
                open = rest;
            }
            _ => return all,
        }
    }
}

/// The last rules of a chain, as one of them before a negated owner was taken apart.
struct Folded {
    /// How many they are.
    rules: usize,
    rule: Rule,
    /// The chain that goes on.
    rest: Name,
}

fn folded(rules: &[Cow<'_, Rule>]) -> Option<Folded> {
    let goes =
        |rule: &Rule| if let Action::Goto(to) = &rule.then { Some(to.clone()) } else { None };
    let leads_back = |rule: &Rule| matches!(rule.then, Action::Return | Action::Goto(_));
    let (count, skip, rule) = match rules {
        [.., skip, rule, last]
            if leads_back(rule)
                && last.when.is_empty()
                && goes(skip).is_some()
                && goes(last) == goes(skip) =>
        {
            (3, skip, rule)
        }
        [.., skip, rule] if rule.then == Action::Return && rule.when.is_empty() => (2, skip, rule),
        _ => return None,
    };
    let (Some(rest), [Match::Owner { owner, is: OwnerIs::In(ids) }]) = (goes(skip), &skip.when[..])
    else {
        return None;
    };
    let (owner, is) = (*owner, OwnerIs::NotIn { ids: ids.clone(), ownerless: true });
    let mut rule = Rule::clone(rule);
    rule.when.push(Match::Owner { owner, is });
    Some(Folded { rules: count, rule, rest })
}

/// Deepest nesting of chains that are [`flat`](Structure::flat).
const DEEPEST_FLAT: usize = 8;

/// Most rules of a chain that stand in the place of a jump to it.
const MOST_FLAT: usize = 64;

/// Most rules in a row that are [`gathered`].
const MOST_GATHERED: usize = 128;

/// `rules`, of which those that do the same stand together where none of those between matches a packet
/// that they match: to a packet, the order of rules is all the same of which it meets one at most.
fn gathered(rules: Vec<Cow<'_, Rule>>) -> Vec<Cow<'_, Rule>> {
    let mut all: Vec<Cow<'_, Rule>> = Vec::with_capacity(rules.len());
    // Where such rules begin.
    let mut start = 0;
    for rule in rules {
        if !rule.when.iter().any(tells_apart) || all.len() - start >= MOST_GATHERED {
            start = all.len();
        }
        // What a proxy leaves is dropped by the next rule, which has to stay there.
        let is_alike = |known: &Cow<'_, Rule>| {
            known.then == rule.then && !matches!(rule.then, Action::Tproxy { .. })
        };
        let alike = all[start..].iter().rposition(is_alike);
        let place = alike.map(|at| start + at + 1);
        let place = place.filter(|place| all[*place..].iter().all(|known| are_apart(known, &rule)));
        all.insert(place.unwrap_or(all.len()), rule);
    }
    all
}

/// Whether the match is on something that no action changes, so that rules may be [`are_apart`] by it.
const fn tells_apart(when: &Match) -> bool {
    matches!(when, Match::Port { not: false, .. } | Match::Interface { not: false, .. })
}

/// Whether it can be seen that no packet matches both rules, whatever happens between them.
fn are_apart(one: &Rule, other: &Rule) -> bool {
    let are_apart = |one: &Match, other: &Match| match (one, other) {
        (
            Match::Port { of, ports, not: false },
            Match::Port { of: other, ports: others, not: false },
        ) => {
            let ports = ports.ranges().iter();
            of == other
                && !ports
                    .clone()
                    .any(|one| others.ranges().iter().any(|other| one.overlaps(*other)))
        }
        (
            Match::Interface { of, names, not: false },
            Match::Interface { of: other, names: others, not: false },
        ) => {
            let meet = |one: &Interface, other: &Interface| one.covers(other) || other.covers(one);
            of == other && !names.iter().any(|one| others.iter().any(|other| meet(one, other)))
        }
        _ => false,
    };
    one.when.iter().any(|one| other.when.iter().any(|other| are_apart(one, other)))
}

/// Whether the rule can match a packet of `family`.
pub(super) fn may_match(rule: &Rule, family: Family) -> bool {
    let of_other =
        |when: &Match| matches!(when, Match::Address { nets, .. } if nets.family() != family);
    rule.families.has(family) && !rule.when.iter().any(of_other)
}
