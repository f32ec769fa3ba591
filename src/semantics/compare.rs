//! Two rulesets, for all packets.

use std::collections::BTreeMap;

use super::diagram::Function;
use super::space::Space;
use super::symbolic::{Fate, fates};
use super::traffic::{Traffic, kinds};
use super::witness::packet;
use super::{Outcome, Packet, base_chains, run};
use crate::ir::{Hook, Match, Ruleset};
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

/// Every way in which the two rulesets differ: for each pair of fates that some packet of a family
/// has at a hook, one such packet. Empty if they treat all packets alike.
#[must_use]
pub fn compare(left: &Ruleset, right: &Ruleset) -> Vec<Difference> {
    each(left, right, |_, _, difference| difference)
}

/// The same as [`compare`], with all packets that differ in each way.
#[must_use]
pub fn compare_in_full(left: &Ruleset, right: &Ruleset) -> Vec<Region> {
    each(left, right, |space, packets, difference| {
        let (traffic, is_all) = kinds(space, packets, &difference.packet);
        Region { difference, traffic, and_more: !is_all }
    })
}

/// What `tell` makes of every difference and its packets.
fn each<T>(
    left: &Ruleset,
    right: &Ruleset,
    tell: impl Fn(&mut Space, Function, Difference) -> T,
) -> Vec<T> {
    let mut told = Vec::new();
    for (hook, family) in places(&[left, right]) {
        let mut space = Space::new(hook, family, &[left, right], &[]);
        let left_fates = fates(&mut space, left);
        let right_fates = fates(&mut space, right);
        for region in regions(&mut space, &left_fates, &right_fates) {
            let packet = packet(&mut space, region);
            let (left, right) = (run(left, &packet).outcome, run(right, &packet).outcome);
            told.push(tell(&mut space, region, Difference { packet, left, right }));
        }
    }
    told
}

/// The packets of every pair of fates that differ.
fn regions(
    space: &mut Space,
    left: &BTreeMap<Fate, Function>,
    right: &BTreeMap<Fate, Function>,
) -> Vec<Function> {
    let mut regions = Vec::new();
    if left == right {
        return regions;
    }
    for (left, left_packets) in left {
        for (right, right_packets) in right {
            if left == right {
                continue;
            }
            let both = space.diagrams.and(*left_packets, *right_packets);
            let differ = differing(space, left, right);
            let region = space.diagrams.and(both, differ);
            if region != Function::FALSE {
                regions.push(region);
            }
        }
    }
    regions
}

/// The packets for which the two fates differ, though their marks may be written differently.
fn differing(space: &mut Space, left: &Fate, right: &Fate) -> Function {
    let plain =
        |fate: &Fate| (fate.verdict, fate.state.translation, fate.state.tproxy, fate.state.zone);
    if plain(left) != plain(right) {
        return Function::TRUE;
    }
    let mark = space.any_bit(left.state.mark.xor(right.state.mark));
    let connmark = space.any_bit(left.state.connmark.xor(right.state.connmark));
    space.diagrams.or(mark, connmark)
}

/// A packet at `hook` that all of `when` hold for as it arrives, and of which `ruleset` makes what
/// `wanted` holds for; none if there is no such packet.
///
/// Every transparent proxy listens. `wanted` is asked about outcomes whose marks are 0: it may look at everything else. With the
/// opposite of what is expected as `wanted`, this proves the expectation, or breaks it.
#[must_use]
pub fn find(
    ruleset: &Ruleset,
    hook: Hook,
    when: &[Match],
    wanted: impl Fn(&Outcome) -> bool,
) -> Option<Packet> {
    Family::ALL.into_iter().find_map(|family| {
        let mut space = Space::new(hook, family, &[ruleset], when);
        let mut asked = space.arriving(ruleset, when);
        for (_, listens) in space.listeners.clone() {
            let listens = space.diagrams.variable(listens);
            asked = space.diagrams.and(asked, listens);
        }
        fates(&mut space, ruleset).into_iter().find_map(|(fate, packets)| {
            let outcome = Outcome {
                verdict: fate.verdict,
                translation: fate.state.translation,
                tproxy: fate.state.tproxy,
                mark: 0,
                connmark: 0,
                zone: fate.state.zone,
            };
            let packets = space.diagrams.and(packets, asked);
            (packets != Function::FALSE && wanted(&outcome)).then(|| packet(&mut space, packets))
        })
    })
}

/// The hooks and families where one of `rulesets` has a base chain.
fn places(rulesets: &[&Ruleset]) -> Vec<(Hook, Family)> {
    let mut places = Vec::new();
    for hook in Hook::ALL {
        for family in Family::ALL {
            let bases = rulesets.iter().flat_map(|ruleset| base_chains(ruleset, hook));
            if bases.into_iter().any(|(table, ..)| table.families.has(family)) {
                places.push((hook, family));
            }
        }
    }
    places
}
