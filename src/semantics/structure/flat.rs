//! A chain as a flat list of rules, whatever chains it is spelled with.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::VecDeque;

use super::Place;
use crate::ir::{Action, Chain, Match, OwnerIs, Rule};
use crate::net::{Family, Interface, Name, OnMiss};
use crate::semantics::by_name::Chains;
use crate::semantics::symbolic::{changes_marks, lasts};

/// How packets come to a chain.
#[derive(Clone, Copy)]
pub(super) struct Entered<'h> {
    /// What holds for all of them when they enter it.
    pub(super) held: &'h [Match],
    /// Whether nothing is behind it, so that to lead back is to accept.
    pub(super) is_last: bool,
}

/// The rules of a chain as packets of `family` meet them that enter it so; those that do the same stand
/// together where that is all the same.
pub(super) fn flat<'r>(
    (_, chain): Place<'r>,
    chains: &Chains<'r>,
    family: Family,
    Entered { held, is_last }: Entered<'_>,
) -> Vec<Cow<'r, Rule>> {
    let (held, marks) = held.iter().partition(|when| lasts(when));
    let way = Way { chains, family, held, left: Cell::new(MOST_LAID) };
    let mut rules = way.met(chain, marks, 0);
    // To lead back from a base chain is to accept.
    if chain.base.is_some() || is_last {
        for rule in rules.iter_mut().filter(|rule| rule.then == Action::Return) {
            rule.to_mut().then = Action::Accept;
        }
    }
    let mut flat = Vec::with_capacity(rules.len());
    way.lay_all(rules, &mut flat, is_last, 0);
    gathered(flat)
}

/// Where rules are met.
struct Way<'r, 'h> {
    /// The chains of the table.
    chains: &'h Chains<'r>,
    family: Family,
    /// What holds for every packet there, as long as it is.
    held: Vec<&'h Match>,
    /// How many more rules are looked at behind jumps: chains that jump to the same ones in turn
    /// would be laid flat again and again.
    left: Cell<usize>,
}

impl<'r> Way<'r, '_> {
    /// The rules of a chain that packets with one of `marks` may match, which do not ask for what is held;
    /// behind a goto for all of them, those of the chain that it leads to.
    fn met(&self, chain: &'r Chain, mut marks: Vec<&Match>, depth: usize) -> Vec<Cow<'r, Rule>> {
        let all = together(unfolded(chain, self.chains, self.family));
        let mut met = Vec::with_capacity(all.len());
        for mut rule in all {
            let never =
                |when: &Match| self.held.iter().chain(&marks).any(|held| held.is_opposite_of(when));
            if rule.when.iter().any(never) {
                continue;
            }
            if rule.when.iter().any(|when| self.held.contains(&when)) {
                rule.to_mut().when.retain(|when| !self.held.contains(&when));
            }
            if may_change(&rule) {
                marks.clear();
            }
            if let Action::Goto(to) = &rule.then
                && rule.when.is_empty()
                && chain.base.is_none()
                && depth < DEEPEST_FLAT
                && let Some(target) = self.chains.get(to)
            {
                met.extend(self.met(target, marks, depth + 1));
                break;
            }
            met.push(rule);
        }
        met
    }

    /// Adds `rules` to `flat`. If they are the last ones, to lead back behind them is to stay.
    fn lay_all(
        &self,
        rules: Vec<Cow<'r, Rule>>,
        flat: &mut Vec<Cow<'r, Rule>>,
        is_last: bool,
        depth: usize,
    ) {
        let mut rules = VecDeque::from(rules);
        while let Some(rule) = rules.pop_front() {
            self.lay_flat(rule, &rules, flat, is_last, depth);
        }
    }

    /// Adds `rule`, which `rest` is behind, to `flat`: a jump to rules that stay on the way is these
    /// rules; another asks for what all rules there ask for.
    fn lay_flat(
        &self,
        mut rule: Cow<'r, Rule>,
        rest: &VecDeque<Cow<'r, Rule>>,
        flat: &mut Vec<Cow<'r, Rule>>,
        is_last: bool,
        depth: usize,
    ) {
        let held = &self.held;
        if rule.when.iter().any(|when| held.contains(&when)) {
            rule.to_mut().when.retain(|when| !held.contains(&when));
        }
        let Action::Jump(to) = &rule.then else { return flat.push(rule) };
        let target = self.chains.get(to).copied().filter(|_| depth < DEEPEST_FLAT);
        let small = target.filter(|target| target.rules.len() <= MOST_INSIDE);
        let mut inside =
            small.map(|target| self.met(target, Vec::new(), depth)).unwrap_or_default();
        let left = self.left.get().checked_sub(inside.len());
        let Some(left) = left.filter(|_| !inside.is_empty() && inside.len() <= MOST_FLAT) else {
            return flat.push(rule);
        };
        self.left.set(left);
        let common = asked_by_all(&inside).filter(|when| !rule.when.contains(when));
        let mut more: Vec<Match> = common.cloned().collect();
        // Whom the first rule leads back for their mark need not go there.
        let asked =
            inside[0].when.iter().filter(|when| !more.contains(when) && !rule.when.contains(when));
        if let (Action::Return, [Match::Mark { mark, not }]) =
            (&inside[0].then, &asked.collect::<Vec<_>>()[..])
        {
            more.push(Match::Mark { mark: *mark, not: !not });
            inside.remove(0);
        }
        let leads_out = |inner: &Cow<'_, Rule>| match inner.then {
            Action::Return => !is_last,
            Action::Goto(_) => true,
            _ => false,
        };
        if inside.iter().any(leads_out) {
            rule.to_mut().when.extend(more);
            return flat.push(rule);
        }
        let mut laid = Vec::with_capacity(inside.len());
        self.lay_all(inside, &mut laid, is_last && rest.is_empty(), depth + 1);
        let is_stable = !laid.iter().any(|inner| may_change(inner));
        let passes =
            |behind: &Cow<'_, Rule>| are_opposite(&behind.when, rule.when.iter().chain(&more));
        if is_last && (rest.is_empty() || is_stable && rest.iter().all(passes)) {
            for inner in laid.iter_mut().filter(|inner| inner.then == Action::Return) {
                inner.to_mut().then = Action::Accept;
            }
        }
        let leads_back = laid.iter().any(|inner| inner.then == Action::Return);
        // What may change on the way must be asked once only.
        let lasts_there =
            |when: &Match| lasts(when) || is_stable && matches!(when, Match::Mark { .. });
        let mut asked = rule.when.iter().chain(&more);
        if !leads_back && (laid.len() == 1 || asked.all(lasts_there)) {
            for inner in laid {
                let asked = || rule.when.iter().chain(&more);
                let own = inner.when.iter().filter(|one| !asked().any(|when| when == *one));
                let when = asked().chain(own).cloned().collect();
                flat.push(Cow::Owned(Rule { when, ..inner.into_owned() }));
            }
            return;
        }
        rule.to_mut().when.extend(more);
        flat.push(rule);
    }
}

/// What all of `rules` ask for that holds for as long as a packet is in their base chain.
fn asked_by_all<'m>(rules: &'m [Cow<'_, Rule>]) -> impl Iterator<Item = &'m Match> {
    let (first, rest) = match rules {
        [first, rest @ ..] if !rest.is_empty() => (&first.when[..], rest),
        _ => (&[][..], rules),
    };
    first.iter().filter(|when| lasts(when) && rest.iter().all(|rule| rule.when.contains(when)))
}

/// Whether rules behind one that does this in the chain may see the packet with another mark, state or
/// zone.
pub(super) fn may_change(rule: &Rule) -> bool {
    changes_marks(rule)
        || matches!(
            rule.then,
            Action::Jump(_) | Action::Opaque(_) | Action::Notrack | Action::SetZone(_)
        )
}

/// Whether no packet matches both.
fn are_opposite<'m>(one: &[Match], mut other: impl Iterator<Item = &'m Match>) -> bool {
    other.any(|other| one.iter().any(|one| one.is_opposite_of(other)))
}

/// `rules`, of which two that are one are one: a change of the mark, and an accept behind it for the same
/// packets; and what nft says in two rules: hand it over, and drop what nobody has taken.
fn together(rules: Vec<Cow<'_, Rule>>) -> Vec<Cow<'_, Rule>> {
    let mut all: Vec<Cow<'_, Rule>> = Vec::with_capacity(rules.len());
    for rule in rules {
        let is_same = |before: &Rule| {
            let may_change =
                |when: &Match| matches!(when, Match::Mark { .. } | Match::Opaque { .. });
            rule.when == before.when && !rule.when.iter().any(may_change)
        };
        let one = all.last().filter(|before| is_same(before));
        let one = one.and_then(|before| match (&before.then, &rule.then) {
            (Action::SetMark(change), Action::Accept) => Some(Action::MarkAndAccept(*change)),
            (Action::Tproxy { port, mark, on_miss: OnMiss::Continue }, Action::Drop) => {
                Some(Action::Tproxy { port: *port, mark: *mark, on_miss: OnMiss::Drop })
            }
            _ => None,
        });
        match (one, all.last_mut()) {
            (Some(then), Some(before)) => before.to_mut().then = then,
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
    let (count, skip, rule) = match rules {
        [.., skip, rule, last]
            if rule.then.leads_out()
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

/// Most rules that are looked at behind all jumps of a chain.
const MOST_LAID: usize = 1024;

/// Most rules of a chain that is looked at for that.
const MOST_INSIDE: usize = 256;

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
        // What a proxy leaves may be dropped by the next rule, which has to stay there.
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
