//! Two rulesets, for all packets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Limit;
use super::diagram::Function;
use super::space::Space;
use super::symbolic::{Fates, fates};
use crate::ir::{Base, Hook, Ruleset, Schedule};
use crate::net::Family;

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
    pub(super) fn has(self, hook: Hook) -> bool {
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

/// One order of the chains on each side, and what becomes of packets then.
pub(super) struct Pair<'a> {
    pub(super) schedules: [Schedule<'a>; 2],
    pub(super) fates: [Fates; 2],
    pub(super) supposes: Vec<String>,
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

/// Those of the packets that `differ` that are asked for.
fn asked(space: &mut Space, question: Question, pair: [&Fates; 2]) -> Function {
    let counts = Counts { whereabouts: question.whereabouts, ..Counts::ALL };
    let mut differ = if question.certain {
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
        let targets = &|target: &Arc<str>| !open_targets.contains(target);
        let differ = differing(space, pair, Counts { targets, ..counts });
        space.diagrams.whatever(differ, &open)
    } else {
        differing(space, pair, counts)
    };
    if question.touched {
        let touched = touched(space, pair[0]);
        differ = space.diagrams.and(differ, touched);
    }
    differ
}

/// What counts as a difference.
#[derive(Clone, Copy)]
pub(super) struct Counts<'a> {
    /// Which targets do.
    targets: &'a dyn Fn(&Arc<str>) -> bool,
    /// See [`Question::whereabouts`].
    whereabouts: bool,
}

impl Counts<'_> {
    pub(super) const ALL: Self = Self { targets: &|_| true, whereabouts: false };
}

/// The packets that have two fates.
pub(super) fn differing(
    space: &mut Space,
    [left, right]: [&Fates; 2],
    counts: Counts<'_>,
) -> Function {
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
