//! The ways in which two rulesets differ, with a packet of each.

use serde::{Deserialize, Serialize};

use super::compare::{Counts, Scope, bases, differing, pairs, places};
use super::diagram::Function;
use super::equality::are_built_the_same;
use super::eval::run_in_order;
use super::exact::Exact;
use super::space::{Bits, Space};
use super::symbolic::{Fates, fates};
use super::traffic::{Traffic, kinds};
use super::witness::packet;
use super::{Limit, Outcome, Packet, Question, Verdict};
use crate::ir::{Base, Hook, Ruleset};
use crate::net::Family;

/// A way in which two rulesets differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

fn region(exact: &mut Exact<'_>, packets: Function, difference: Difference) -> Region {
    let (space, packets) = exact.packets(packets);
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
        let differing = |space: &mut Space| {
            let usual = fates(space, ruleset, first)?;
            for other in others {
                let fates = fates(space, ruleset, other)?;
                let differ = differing(space, [&usual, &fates], Counts::ALL);
                if space.diagrams.is_full() {
                    return Err(Limit::Memory);
                }
                if differ != Function::FALSE {
                    return Ok(Some((other, differ)));
                }
            }
            Ok(None)
        };
        let (mut space, found) = computed(&[ruleset], (hook, family), differing)?;
        let Some((other, differ)) = found else { continue };
        let packet = packet(&mut space, differ);
        let [left, right] =
            [first, other].map(|order| run_in_order(ruleset, &packet, order).outcome);
        let supposes = other.supposes.clone();
        all.push(Difference { packet, left, right, supposes });
    }
    Ok(all)
}

/// What `compute` makes of all packets of a family at a hook, in classes of those that `rulesets` do not
/// tell apart, if that will do.
fn computed<T>(
    rulesets: &[&Ruleset],
    (hook, family): (Hook, Family),
    compute: impl Fn(&mut Space) -> Result<T, Limit>,
) -> Result<(Space, T), Limit> {
    let mut space = Space::of_classes_with_packets(hook, family, rulesets);
    let result = compute(&mut space)?;
    if !space.is_blurred() {
        return Ok((space, result));
    }
    let mut space = Space::new(hook, family, rulesets, &[]);
    let result = compute(&mut space)?;
    Ok((space, result))
}

/// What is made of a difference and its packets.
type Tell<'a, T> = dyn Fn(&mut Exact<'_>, Function, Difference) -> T + 'a;

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
        if scope.has(hook) && !are_built_the_same([left, right], (hook, family), scope)? {
            at([left, right], (hook, family), (scope, most), tell, &mut all)?;
        }
    }
    Ok(all)
}

/// Compares what happens to packets of a family at a hook.
fn at<T>(
    [left, right]: [&Ruleset; 2],
    (hook, family): (Hook, Family),
    (scope, most): (Scope, usize),
    tell: &Tell<'_, T>,
    all: &mut Comparison<T>,
) -> Result<(), Limit> {
    let sides = [left, right];
    let (space, pairs) = computed(&sides, (hook, family), |space| pairs(space, sides, scope))?;
    let mut exact = Exact::new(space, sides);
    let space = &mut exact.space;
    let always =
        pairs.iter().fold(Function::TRUE, |always, pair| space.diagrams.and(always, pair.differ));
    for (at, pair) in pairs.iter().enumerate() {
        let sometimes = exact.space.diagrams.minus(pair.differ, always);
        let told = [(at == 0).then_some((always, false)), Some((sometimes, pairs.len() > 1))];
        for (mut rest, is_supposed) in told.into_iter().flatten() {
            let mut count = 0;
            while rest != Function::FALSE {
                if count == most {
                    all.and_more = true;
                    break;
                }
                count += 1;
                let space = &mut exact.space;
                let packet = packet(space, rest);
                let [left, right] = [(left, 0), (right, 1)]
                    .map(|(side, n)| run_in_order(side, &packet, &pair.schedules[n]).outcome);
                let supposes = if is_supposed { pair.supposes.clone() } else { Vec::new() };
                let difference = Difference { packet, left, right, supposes };
                if most == 1 {
                    all.ways.push(tell(&mut exact, rest, difference));
                    return Ok(());
                }
                let [one, other] = &pair.fates;
                let region = alike(space, one, &difference.left, rest);
                let region = alike(space, other, &difference.right, region);
                if space.diagrams.is_full() || region == Function::FALSE {
                    return Err(Limit::Memory);
                }
                rest = space.diagrams.minus(rest, region);
                all.ways.push(tell(&mut exact, region, difference));
            }
        }
    }
    Ok(())
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
