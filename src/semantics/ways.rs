//! The ways in which two rulesets differ, with a packet of each.

use serde::{Deserialize, Serialize};

use super::compare::{Counts, Scope, bases, differing, pairs, places};
use super::diagram::Function;
use super::equality::are_built_the_same;
use super::eval::run_in_order;
use super::exact::Exact;
use super::kinds::{Kinds, kinds, usual};
use super::ordinary::{Among, Corner, Proxies, corners, is_known};
use super::space::{Bits, NOTHING, Space};
use super::symbolic::{Fates, fates};
use super::traffic::Traffic;
use super::witness::packet;
use super::{Limit, Outcome, Packet, Question, Verdict};
use crate::ir::{Base, Hook, Ruleset, Schedule};
use crate::net::Family;

/// A way in which two rulesets differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct Region {
    /// The way, with a packet of the first kind.
    pub difference: Difference,
    /// All packets that are treated differently in this way, in kinds; or those of them that are told here.
    pub traffic: Vec<Traffic>,
    /// Of which of them this tells. The ordinary ones have a region of their own, which goes before, unless
    /// what is true of them is true of the others alike.
    pub among: Among,
    /// Whether there are more than those.
    pub and_more: bool,
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
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
    Ok(each(left, right, Scope::Alone, MOST_WAYS, &|_, _, found| found.difference)?.ways)
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
    let found = each(left, right, Scope::Alone, 1, &|_, _, found| found.difference)?;
    Ok(found.ways.into_iter().next())
}

/// The same as [`compare`], with all packets that differ in each way, as far as the question goes, the
/// ordinary ones apart from the others. The proxy's are not ordinary.
///
/// # Errors
///
/// If the rulesets are too entangled to tell.
pub fn compare_in_full(
    left: &Ruleset,
    right: &Ruleset,
    question: Question,
    proxies: &Proxies,
) -> Result<Comparison<Region>, Limit> {
    let told = each(left, right, Scope::Asked(question), MOST_WAYS, &|exact, packets, found| {
        regions(exact, packets, found, proxies)
    })?;
    Ok(Comparison { ways: told.ways.into_iter().flatten().collect(), and_more: told.and_more })
}

fn regions(
    exact: &mut Exact<'_>,
    packets: Function,
    found: Found<'_>,
    proxies: &Proxies,
) -> Vec<Region> {
    let (space, packets) = exact.packets(packets);
    let told = |space: &mut Space, difference: Difference, among| {
        let Kinds { traffic, are_all, .. } =
            kinds(space, packets, Function::TRUE, &difference.packet, false);
        Region { difference, traffic, among, and_more: !are_all }
    };
    if !is_known(space.hook) {
        return vec![told(space, found.difference, Among::All)];
    }
    let reasons = corners(space, proxies);
    let all = space.all();
    let packets = space.diagrams.and(packets, all);
    let is_corner = space.diagrams.any(reasons.iter().map(|(_, corner)| *corner).collect());
    let rest = space.diagrams.and(packets, is_corner);
    let first = space.diagrams.minus(packets, rest);
    if first == Function::FALSE {
        let among = Among::Corners(met(space, packets, &reasons));
        return vec![told(space, found.difference, among)];
    }
    let usual = packet(space, first);
    let Kinds { traffic, covered, are_all } = kinds(space, packets, is_corner.not(), &usual, true);
    let usual = found.of(usual);
    if are_all && are_just(space, covered, packets) {
        return vec![told(space, usual, Among::All)];
    }
    let ordinary =
        Region { difference: usual, traffic, among: Among::Ordinary, and_more: !are_all };
    if rest == Function::FALSE {
        return vec![ordinary];
    }
    let among = Among::Corners(met(space, rest, &reasons));
    // Of all corners, that of a transparent proxy's socket is the least telling.
    let mut told_first = rest;
    for (_, corner) in reasons.iter().filter(|(reason, _)| *reason == Corner::Transparent) {
        told_first = space.diagrams.minus(told_first, *corner);
    }
    let shown = if told_first == Function::FALSE { rest } else { told_first };
    let corner = found.of(packet(space, shown));
    vec![ordinary, told(space, corner, among)]
}

/// Whether `packets` are all that are `covered`, or all of those that ask what becomes of their connection.
fn are_just(space: &mut Space, covered: Function, packets: Function) -> bool {
    let asks = space.is(space.decided, NOTHING);
    let asks = space.diagrams.and(asks, covered);
    let (usual, all) = (usual(space), space.all());
    let usual = space.diagrams.and(usual, all);
    let [covered, asks, packets] =
        [covered, asks, packets].map(|some| space.diagrams.and(some, usual));
    packets == covered || packets == asks
}

/// Reasons for which none of `packets` is ordinary, so that each has one.
fn met(space: &mut Space, packets: Function, reasons: &[(Corner, Function)]) -> Vec<Corner> {
    let mut rest = packets;
    let mut met = Vec::new();
    for (reason, corner) in reasons {
        if let Some((whole, _)) =
            reasons.iter().find(|(_, of)| !space.diagrams.meet(rest, of.not()))
        {
            met.push(*whole);
            break;
        }
        if space.diagrams.meet(rest, *corner) {
            rest = space.diagrams.minus(rest, *corner);
            met.push(*reason);
        }
    }
    met.sort_unstable();
    met.dedup();
    met
}

/// A difference that was found, by which that of other packets is told that fare alike.
struct Found<'a> {
    difference: Difference,
    rulesets: [&'a Ruleset; 2],
    schedules: [&'a Schedule<'a>; 2],
}

impl Found<'_> {
    /// The same of another packet.
    fn of(&self, packet: Packet) -> Difference {
        let [left, right] =
            [0, 1].map(|n| run_in_order(self.rulesets[n], &packet, self.schedules[n]).outcome);
        Difference { packet, left, right, supposes: self.difference.supposes.clone() }
    }
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
        let found = each(left, right, scope, MOST_WAYS, &|_, _, found| (base, found.difference))?;
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
type Tell<'a, T> = dyn Fn(&mut Exact<'_>, Function, Found<'_>) -> T + 'a;

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
                let [left, right] =
                    [0, 1].map(|n| run_in_order(sides[n], &packet, &pair.schedules[n]).outcome);
                let supposes = if is_supposed { pair.supposes.clone() } else { Vec::new() };
                let difference = Difference { packet, left, right, supposes };
                let schedules = [&pair.schedules[0], &pair.schedules[1]];
                let found = Found { difference, rulesets: sides, schedules };
                if most == 1 {
                    all.ways.push(tell(&mut exact, rest, found));
                    return Ok(());
                }
                let [one, other] = &pair.fates;
                let region = alike(space, one, &found.difference.left, rest);
                let region = alike(space, other, &found.difference.right, region);
                if space.diagrams.is_full() || region == Function::FALSE {
                    return Err(Limit::Memory);
                }
                rest = space.diagrams.minus(rest, region);
                all.ways.push(tell(&mut exact, region, found));
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
