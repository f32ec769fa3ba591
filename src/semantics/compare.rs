//! Two rulesets, for all packets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::diagram::Function;
use super::equality::are_alike_at;
use super::eval::run_in_order;
use super::space::{Bits, Space};
use super::symbolic::{Fates, fates};
use super::traffic::{Traffic, kinds};
use super::witness::packet;
use super::{Limit, Outcome, Packet, Verdict};
use crate::ir::{Base, Hook, Ruleset, Schedule};
use crate::net::Family;

/// A way in which two rulesets differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// A packet that they treat differently.
    pub packet: Packet,
    /// What the first does with it.
    pub left: Outcome,
    /// What the second does with it.
    pub right: Outcome,
    /// What that supposes about the order of chains that tie. Empty if the two differ in every
    /// order.
    pub supposes: Vec<String>,
}

/// A way in which two rulesets differ, and for which packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The way, with a packet of the first kind.
    pub difference: Difference,
    /// All packets that are treated differently in this way, in kinds.
    pub traffic: Vec<Traffic>,
    /// Whether there are more than those.
    pub and_more: bool,
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison<T> {
    /// The ways in which the two differ. Empty if they treat all packets alike.
    pub ways: Vec<T>,
    /// Whether there are more.
    pub and_more: bool,
}

/// Most ways that are told for one hook and family, where all are asked for.
const MOST_WAYS: usize = 12;

/// Ways in which the two rulesets differ, each with a packet: none if they treat all packets alike
/// at every hook, whatever the order of chains that tie. The same order is supposed on both sides
/// where the same chains tie.
///
/// # Errors
///
/// If the rulesets are too entangled to tell.
pub fn compare(left: &Ruleset, right: &Ruleset) -> Result<Vec<Difference>, Limit> {
    Ok(each(left, right, Scope::Alone, MOST_WAYS, &|_, _, difference| difference)?.ways)
}

/// A difference that [`compare`] finds, much faster than all of them; none if it finds none.
///
/// # Errors
///
/// If the rulesets are too entangled to tell.
pub(crate) fn first_difference(
    left: &Ruleset,
    right: &Ruleset,
) -> Result<Option<Difference>, Limit> {
    let found = each(left, right, Scope::Alone, 1, &|_, _, difference| difference)?;
    Ok(found.ways.into_iter().next())
}

/// The same as [`compare`], with all packets that differ in each way, as far as the question goes.
///
/// # Errors
///
/// If the rulesets are too entangled to tell.
pub fn compare_in_full(
    left: &Ruleset,
    right: &Ruleset,
    question: Question,
) -> Result<Comparison<Region>, Limit> {
    each(left, right, Scope::Asked(question), MOST_WAYS, &region)
}

fn region(space: &mut Space, packets: Function, difference: Difference) -> Region {
    let (traffic, is_all) = kinds(space, packets, &difference.packet);
    Region { difference, traffic, and_more: !is_all }
}

/// Ways in which the two rulesets differ chain by chain: none if, whatever other chains are loaded
/// beside them and whatever those do between theirs, the two do the same. For that, what they do
/// at each priority, by chains of each type, must be the same.
///
/// That they are equal alone is for [`compare`] to say: a hook at which both have chains of one type
/// and priority only is not looked at again.
///
/// With `shared`, base chains are iptables' own, in which others append rules, too: then it counts
/// whether a packet leaves such a chain before its end.
///
/// # Errors
///
/// If the rulesets are too entangled to tell.
pub fn compare_beside(
    left: &Ruleset,
    right: &Ruleset,
    shared: bool,
) -> Result<Vec<(Base, Difference)>, Limit> {
    let mut all = Vec::new();
    let bases = bases(&[left, right]);
    for base in &bases {
        let base = *base;
        let is_alone = bases.iter().filter(|other| other.hook == base.hook).count() == 1;
        if is_alone && !shared {
            continue;
        }
        let scope = Scope::Chain { base, shared };
        let found = each(left, right, scope, MOST_WAYS, &|_, _, difference| (base, difference))?;
        all.extend(found.ways);
    }
    Ok(all)
}

/// Packets of which it depends on the order of chains that tie what becomes of them: for each hook
/// and family at most one. The right side supposes another order than the left one.
///
/// # Errors
///
/// If the ruleset is too entangled to tell.
pub fn order_dependent(ruleset: &Ruleset) -> Result<Vec<Difference>, Limit> {
    let mut all = Vec::new();
    for (hook, family) in places(&[ruleset]) {
        let schedules = ruleset.schedules(hook, family)?;
        let Some((first, others)) = schedules.split_first() else { continue };
        if others.is_empty() {
            continue;
        }
        let mut space = Space::new(hook, family, &[ruleset], &[]);
        let usual = fates(&mut space, ruleset, first)?;
        for other in others {
            let fates = fates(&mut space, ruleset, other)?;
            let differ = differing(&mut space, [&usual, &fates], Counts::ALL);
            if differ == Function::FALSE {
                continue;
            }
            let packet = packet(&mut space, differ);
            let [left, right] =
                [first, other].map(|order| run_in_order(ruleset, &packet, order).outcome);
            let supposes = other.supposes.clone();
            all.push(Difference { packet, left, right, supposes });
            break;
        }
        if space.diagrams.is_full() {
            return Err(Limit::Memory);
        }
    }
    Ok(all)
}

/// Which packets are compared, and in which sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Only packets to which the first ruleset does something: that it drops, translates, hands to a
    /// proxy, marks, or tracks in a zone, in some order of chains that tie.
    pub touched: bool,
    /// Only differences that are there whatever the answers to questions that are not understood
    /// ([`Condition::is_understood`](crate::ir::Condition)), and whatever targets do that are not.
    pub certain: bool,
    /// Only differences in where packets go: whether they are dropped, taken, sent to another destination,
    /// or handed to a proxy. Neither sources nor marks nor zones.
    pub whereabouts: bool,
}

/// What of rulesets is compared.
#[derive(Clone, Copy)]
pub(super) enum Scope {
    /// All of them.
    Alone,
    /// All of them, as is asked.
    Asked(Question),
    /// The base chains that are entered so.
    Chain {
        base: Base,
        /// Whether it counts that a packet leaves them before their end.
        shared: bool,
    },
}

impl Scope {
    fn has(self, hook: Hook) -> bool {
        match self {
            Self::Alone | Self::Asked(_) => true,
            Self::Chain { base, .. } => base.hook == hook,
        }
    }

    /// The orders of what is compared.
    pub(super) fn schedules(
        self,
        ruleset: &Ruleset,
        hook: Hook,
        family: Family,
    ) -> Result<Vec<Schedule<'_>>, Limit> {
        let mut schedules = ruleset.schedules(hook, family)?;
        if let Self::Chain { base, .. } = self {
            for schedule in &mut schedules {
                schedule.retain(|entry| entry.base == base);
            }
            schedules.dedup_by(|one, other| one.is_same(other));
        }
        Ok(schedules)
    }
}

/// What is made of a difference and its packets.
type Tell<'a, T> = dyn Fn(&mut Space, Function, Difference) -> T + 'a;

fn each<T>(
    left: &Ruleset,
    right: &Ruleset,
    scope: Scope,
    most: usize,
    tell: &Tell<'_, T>,
) -> Result<Comparison<T>, Limit> {
    let mut all = Comparison { ways: Vec::new(), and_more: false };
    for (hook, family) in places(&[left, right]) {
        if most == 1 && !all.ways.is_empty() {
            break;
        }
        // That they are alike is known much earlier than how they differ.
        if scope.has(hook) && !are_alike_at([left, right], (hook, family), scope)? {
            at([left, right], (hook, family), (scope, most), tell, &mut all)?;
        }
    }
    Ok(all)
}

/// One order of the chains on each side, and what becomes of packets then.
pub(super) struct Pair<'a> {
    schedules: [Schedule<'a>; 2],
    fates: [Fates; 2],
    supposes: Vec<String>,
    /// The packets of which not the same becomes.
    pub(super) differ: Function,
}

/// What becomes of the packets of `space`, in each order that both sides have.
pub(super) fn pairs<'a>(
    space: &mut Space,
    [left, right]: [&'a Ruleset; 2],
    scope: Scope,
) -> Result<Vec<Pair<'a>>, Limit> {
    let (hook, family) = (space.hook, space.family);
    let schedules = [scope.schedules(left, hook, family)?, scope.schedules(right, hook, family)?];
    let side = |space: &mut Space, ruleset, schedules: &[Schedule<'_>]| {
        schedules
            .iter()
            .map(|schedule| fates(space, ruleset, schedule))
            .collect::<Result<Vec<_>, _>>()
    };
    let sides = [side(space, left, &schedules[0])?, side(space, right, &schedules[1])?];
    let mut pairs = Vec::new();
    for (one, other) in Schedule::pairs(&schedules[0], &schedules[1]) {
        let pair = [&sides[0][one], &sides[1][other]];
        let mut differ = match scope {
            Scope::Asked(question) => asked(space, question, pair),
            Scope::Alone | Scope::Chain { .. } => differing(space, pair, Counts::ALL),
        };
        if let Scope::Chain { shared: true, .. } = scope {
            let early = space.diagrams.differ(pair[0].left_early, pair[1].left_early);
            differ = space.diagrams.or(differ, early);
        }
        let mut supposes = schedules[0][one].supposes.clone();
        supposes.extend(schedules[1][other].supposes.iter().cloned());
        supposes.dedup();
        pairs.push(Pair {
            schedules: [schedules[0][one].clone(), schedules[1][other].clone()],
            fates: pair.map(Fates::clone),
            supposes,
            differ,
        });
    }
    if space.diagrams.is_full() { Err(Limit::Memory) } else { Ok(pairs) }
}

/// Compares what happens to packets of a family at a hook.
fn at<T>(
    [left, right]: [&Ruleset; 2],
    (hook, family): (Hook, Family),
    (scope, most): (Scope, usize),
    tell: &Tell<'_, T>,
    all: &mut Comparison<T>,
) -> Result<(), Limit> {
    let mut space = Space::new(hook, family, &[left, right], &[]);
    let pairs = pairs(&mut space, [left, right], scope)?;
    let always =
        pairs.iter().fold(Function::TRUE, |always, pair| space.diagrams.and(always, pair.differ));
    for (at, pair) in pairs.iter().enumerate() {
        let sometimes = space.diagrams.minus(pair.differ, always);
        let told = [(at == 0).then_some((always, false)), Some((sometimes, pairs.len() > 1))];
        for (mut rest, is_supposed) in told.into_iter().flatten() {
            let mut count = 0;
            while rest != Function::FALSE {
                if count == most {
                    all.and_more = true;
                    break;
                }
                count += 1;
                let packet = packet(&mut space, rest);
                let [left, right] = [(left, 0), (right, 1)]
                    .map(|(side, n)| run_in_order(side, &packet, &pair.schedules[n]).outcome);
                let supposes = if is_supposed { pair.supposes.clone() } else { Vec::new() };
                let difference = Difference { packet, left, right, supposes };
                if most == 1 {
                    all.ways.push(tell(&mut space, rest, difference));
                    return Ok(());
                }
                let [one, other] = &pair.fates;
                let region = alike(&mut space, one, &difference.left, rest);
                let region = alike(&mut space, other, &difference.right, region);
                if space.diagrams.is_full() || region == Function::FALSE {
                    return Err(Limit::Memory);
                }
                rest = space.diagrams.minus(rest, region);
                all.ways.push(tell(&mut space, region, difference));
            }
        }
    }
    Ok(())
}

/// Those of the packets that `differ` that are asked for.
fn asked(space: &mut Space, question: Question, pair: [&Fates; 2]) -> Function {
    let counts = Counts { whereabouts: question.whereabouts, ..Counts::ALL };
    let mut differ = differing(space, pair, counts);
    if question.certain {
        let open: BTreeSet<u32> = space
            .holds
            .iter()
            .filter(|(holds, _)| !holds.condition.is_understood)
            .map(|(_, variable)| *variable)
            .collect();
        // To have met such a target is a difference only if it may have done something.
        let open_targets: BTreeSet<Arc<str>> = space
            .holds
            .keys()
            .filter(|holds| !holds.condition.is_understood)
            .map(|holds| Arc::clone(&holds.condition.text))
            .collect();
        if !open.is_empty() {
            let targets = &|target: &Arc<str>| !open_targets.contains(target);
            differ = differing(space, pair, Counts { targets, ..counts });
            differ = space.diagrams.whatever(differ, &open);
        }
    }
    if question.touched {
        let touched = touched(space, pair[0]);
        differ = space.diagrams.and(differ, touched);
    }
    differ
}

/// What counts as a difference.
#[derive(Clone, Copy)]
struct Counts<'a> {
    /// Which targets do.
    targets: &'a dyn Fn(&Arc<str>) -> bool,
    /// See [`Question::whereabouts`].
    whereabouts: bool,
}

impl Counts<'_> {
    const ALL: Self = Self { targets: &|_| true, whereabouts: false };
}

/// The packets that have two fates.
fn differing(space: &mut Space, [left, right]: [&Fates; 2], counts: Counts<'_>) -> Function {
    let all = space.all();
    let mut parts = vec![
        space.diagrams.differ(left.accepted, right.accepted),
        space.diagrams.differ(left.taken, right.taken),
        space.diagrams.differ(left.exempt, right.exempt),
    ];
    each_key(&left.targets, &right.targets, |target, one, other| {
        if (counts.targets)(target) {
            parts.push(space.diagrams.differ(one, other));
        }
    });
    each_key(&left.proxies, &right.proxies, |_, one, other| {
        parts.push(space.diagrams.differ(one, other));
    });
    let moves = matches!(space.hook, Hook::Prerouting | Hook::Output);
    if moves || !counts.whereabouts {
        each_key(&left.translations, &right.translations, |_, one, other| {
            parts.push(space.diagrams.differ(one, other));
        });
    }
    if !counts.whereabouts {
        each_key(&left.zones, &right.zones, |_, one, other| {
            parts.push(space.diagrams.differ(one, other));
        });
        for (one, other) in [
            (&left.mark, &right.mark),
            (&left.routed, &right.routed),
            (&left.connmark, &right.connmark),
        ] {
            parts.push(space.differing(one, other));
        }
    }
    let differ = space.diagrams.any(parts);
    // Without a connection, what is called its mark means nothing.
    space.diagrams.and(all, differ)
}

/// The packets to which something happens.
fn touched(space: &mut Space, fates: &Fates) -> Function {
    let mut parts = vec![fates.accepted.not(), fates.exempt];
    parts.extend(fates.targets.values());
    parts.push(fates.translated);
    parts.extend(fates.proxies.values());
    parts.extend(fates.zones.values());
    let [mark, connmark] = space.marks();
    parts.push(space.differing(&mark, &fates.mark));
    parts.push(space.differing(&connmark, &fates.connmark));
    space.diagrams.any(parts)
}

fn each_key<K: Ord>(
    left: &BTreeMap<K, Function>,
    right: &BTreeMap<K, Function>,
    mut both: impl FnMut(&K, Function, Function),
) {
    for (key, one) in left {
        both(key, *one, right.get(key).copied().unwrap_or(Function::FALSE));
    }
    for (key, other) in right.iter().filter(|(key, _)| !left.contains_key(key)) {
        both(key, Function::FALSE, *other);
    }
}

/// Those of `packets` that fare like one of them, of which `outcome` becomes.
fn alike(space: &mut Space, fates: &Fates, outcome: &Outcome, packets: Function) -> Function {
    let accepted = fates.accepted.negated_if(outcome.verdict != Verdict::Accept);
    let mut alike = space.diagrams.and(packets, accepted);
    let taken = fates.taken.negated_if(outcome.verdict != Verdict::Taken);
    alike = space.diagrams.and(alike, taken);
    alike = space.diagrams.and(alike, fates.exempt.negated_if(!outcome.untracked));
    let targets = fates.targets.iter().map(|(text, at)| (outcome.targets.contains(text), *at));
    // No packet is translated twice, so one way excludes all others.
    let translation = match &outcome.translation {
        Some(to) => (true, fates.translations.get(to).copied().unwrap_or(Function::FALSE)),
        None => (false, fates.translated),
    };
    let proxies = fates.proxies.iter().map(|(to, at)| (outcome.tproxy == Some(*to), *at));
    let zones = fates.zones.iter().map(|(to, at)| (outcome.zone == Some(*to), *at));
    for (is, at) in targets.chain([translation]).chain(proxies).chain(zones) {
        alike = space.diagrams.and(alike, at.negated_if(!is));
    }
    let [mark, connmark] = space.marks();
    for (bits, value) in [
        (&fates.mark, outcome.mark),
        (&fates.routed, outcome.routed),
        (&fates.connmark, outcome.connmark),
    ] {
        alike = marked_alike(space, bits, value, [&mark, &connmark], alike);
    }
    alike
}

/// Those of `packets` whose mark is the same function of the marks with which they came. One of
/// them has the mark `value` now.
fn marked_alike(
    space: &mut Space,
    bits: &Bits,
    value: u32,
    came: [&Bits; 2],
    mut packets: Function,
) -> Function {
    for shift in 0..32 {
        let constant = Function::FALSE.negated_if(value >> shift & 1 == 1);
        let ways = [came[0][shift], constant, came[1][shift]];
        let mut fitting = ways.iter().map(|way| {
            let differs = space.diagrams.differ(bits[shift], *way);
            space.diagrams.minus(packets, differs)
        });
        let whole = fitting.by_ref().find(|some| *some == packets);
        // The constant is always one that fits.
        packets = whole.unwrap_or_else(|| {
            let differs = space.diagrams.differ(bits[shift], constant);
            space.diagrams.minus(packets, differs)
        });
    }
    packets
}

/// Where the base chains of `rulesets` are entered.
pub(super) fn bases(rulesets: &[&Ruleset]) -> BTreeSet<Base> {
    let chains =
        rulesets.iter().flat_map(|ruleset| &ruleset.tables).flat_map(|table| &table.chains);
    chains.filter(|chain| !chain.rules.is_empty()).filter_map(|chain| chain.base).collect()
}

/// The hooks and families where one of `rulesets` has a base chain.
pub(super) fn places(rulesets: &[&Ruleset]) -> Vec<(Hook, Family)> {
    let mut places = Vec::new();
    for hook in Hook::ALL {
        for family in Family::ALL {
            let tables = rulesets.iter().flat_map(|ruleset| &ruleset.tables);
            let mut tables = tables.filter(|table| table.families.has(family));
            if tables.any(|table| {
                table.chains.iter().any(|chain| chain.base.is_some_and(|base| base.hook == hook))
            }) {
                places.push((hook, family));
            }
        }
    }
    places
}
