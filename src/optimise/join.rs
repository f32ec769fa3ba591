//! Neighbours that do the same and differ in one list only become one rule with all of the list.
//!
//! A rule joins one that stands before it. It passes those between, which do the same, so that their order
//! does not matter, or are about other ports or interfaces, so that no packet matches both. Rules for
//! TCP and for UDP with a port are one rule without a protocol. A long list of networks stays by itself where
//! what would join it is of another rung.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::facts::{Changing, long_list};
use crate::ir::{Direction, Match, Origin, OwnerIs, Protocol, Rule, Table};
use crate::net::{Family, Interface, PortRange, PortSet, aggregate, are_long};

/// Which rules may be one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Those of one rung and one clause.
    OneOrigin,
    /// All.
    Any,
}

/// Rules that a rule may pass, or look at: as many lists may take turns.
const NEAR: usize = 16;

/// Joins the rules of each chain.
pub(super) fn neighbours(table: &mut Table, of: Of) {
    let changing = Changing::of(table);
    for chain in &mut table.chains {
        loop {
            let count = chain.rules.len();
            let mut groups: Vec<Group> = Vec::new();
            for rule in std::mem::take(&mut chain.rules) {
                if let Some(rule) = joined(&mut groups, rule, of, &changing) {
                    groups.push(Group::of(rule));
                }
            }
            chain.rules = groups.into_iter().map(Group::rule).collect();
            if chain.rules.len() == count {
                break;
            }
        }
        chain.rules.shrink_to_fit();
    }
}

/// `rule`, unless it is part of one of `groups` now.
fn joined(groups: &mut [Group], rule: Rule, of: Of, changing: &Changing) -> Option<Rule> {
    let is_once_enough = changing.is_once_enough(&rule.then);
    for at in (0..groups.len()).rev().take(NEAR) {
        let group = &mut groups[at];
        let may_join = match of {
            Of::OneOrigin => group.rule.origin.is_same(rule.origin),
            Of::Any => !group.stays_apart(&rule),
        };
        let does_same = group.rule.then == rule.then;
        if may_join
            && does_same
            && let Some(place) = group.place_for(&rule)
            && (is_once_enough || group.is_apart(&rule))
        {
            group.add(&rule, place);
            return None;
        }
        let may_pass = does_same && is_once_enough || group.is_apart(&rule);
        if !may_pass {
            break;
        }
    }
    Some(rule)
}

/// A rule that may become one of several.
struct Group {
    rule: Rule,
    /// The list in which they differ, once they are several: its place among the matches, and its values.
    list: Option<(usize, Values)>,
    /// What they are about, once that is asked.
    about: Option<About>,
}

/// The values of a list.
enum Values {
    Nets(Family, Vec<IpNet>),
    Ports(Vec<PortRange>),
    Owners(Vec<(u32, u32)>),
    Interfaces(Vec<Interface>),
    Protocols,
}

/// The ports, or interfaces, that a group is about.
enum About {
    Ports(Direction, Ports),
    Interfaces(Direction, BTreeSet<Interface>),
    Everything,
}

/// Ports, as ranges while they are few.
enum Ports {
    Few(Vec<PortRange>),
    /// Whether each port is among them.
    Many(Vec<bool>),
}

impl Ports {
    /// Most ranges that are few.
    const FEW: usize = 32;

    fn add(&mut self, more: &[PortRange]) {
        match self {
            Self::Few(ranges) if ranges.len() + more.len() <= Self::FEW => ranges.extend(more),
            Self::Few(ranges) => {
                let ranges = std::mem::take(ranges);
                *self = Self::Many(vec![false; usize::from(u16::MAX) + 1]);
                self.add(&ranges);
                self.add(more);
            }
            Self::Many(known) => {
                for range in more {
                    known[range.first().into()..=range.last().into()].fill(true);
                }
            }
        }
    }

    /// Whether one of the range is among them.
    fn meet(&self, range: PortRange) -> bool {
        match self {
            Self::Few(ranges) => ranges.iter().any(|one| one.overlaps(range)),
            Self::Many(known) => known[range.first().into()..=range.last().into()].contains(&true),
        }
    }
}

impl Group {
    fn of(rule: Rule) -> Self {
        Self { rule, list: None, about: None }
    }

    /// The place of the one list in which `rule` may differ; `None` if it differs in more.
    fn place_for(&self, rule: &Rule) -> Option<usize> {
        let (own, others) = (&self.rule.when, &rule.when);
        if own.len() != others.len() || self.rule.families != rule.families {
            return None;
        }
        let mut differing = (0..own.len()).filter(|at| own[*at] != others[*at]);
        let place = match &self.list {
            Some((place, _)) => *place,
            None => {
                differing.next().or_else(|| own.iter().position(|when| list(when).is_some()))?
            }
        };
        let is_list = are_of_one_kind(&own[place], &others[place])
            || are_transports(&own[place], &others[place]) && own.iter().any(is_port);
        let is_only = (0..own.len()).all(|at| at == place || own[at] == others[at]);
        (is_list && is_only).then_some(place)
    }

    fn add(&mut self, rule: &Rule, place: usize) {
        let own = &mut self.rule;
        let (_, values) = self
            .list
            .get_or_insert_with(|| (place, list(&own.when[place]).unwrap_or(Values::Protocols)));
        if let Some(more) = rule.when.get(place).and_then(list) {
            if let Some(about) = &mut self.about {
                about.add(&more);
            }
            // It is about most of the values, and rather for a clause than by default.
            let weight = |count, origin: Origin| (count, origin.clause.is_some());
            if weight(more.len(), rule.origin) > weight(values.len(), own.origin) {
                own.exists_first_for(rule);
            }
            values.add(more);
        }
        own.exists_for(rule.origins());
    }

    /// Whether one of both has a long list of networks, and they are of two rungs: it is looked up otherwise,
    /// and says better by itself what it is for.
    fn stays_apart(&self, rule: &Rule) -> bool {
        let is_long = |rule: &Rule| rule.when.iter().any(|when| long_list(when).is_some());
        let has_long = || match &self.list {
            Some((_, Values::Nets(_, nets))) => are_long(nets),
            _ => is_long(&self.rule),
        };
        self.rule.origin.rung != rule.origin.rung && has_long() != is_long(rule)
    }

    /// Whether no packet matches `rule` and one of the group.
    fn is_apart(&mut self, rule: &Rule) -> bool {
        // Most rules are about all ports.
        if !rule.when.iter().any(tells_apart) {
            return false;
        }
        if self.about.is_none() {
            let place = self.list.as_ref().map(|(place, _)| *place);
            let place = place.or_else(|| self.rule.when.iter().position(tells_apart));
            let of = place.map(|place| &self.rule.when[place]);
            let mut about = of.map_or(About::Everything, About::of);
            match (&self.list, of.and_then(list)) {
                (Some((_, values)), _) => about.add(values),
                (None, Some(values)) => about.add(&values),
                (None, None) => {}
            }
            self.about = Some(about);
        }
        self.about.as_ref().is_some_and(|about| about.is_apart(rule))
    }

    fn rule(self) -> Rule {
        let Self { mut rule, list, .. } = self;
        if let Some((place, values)) = list {
            values.put(&mut rule.when, place);
        }
        rule
    }
}

impl About {
    /// What a match on a list is about, without what it lists.
    fn of(when: &Match) -> Self {
        match when {
            Match::Port { of, not: false, .. } => Self::Ports(*of, Ports::Few(Vec::new())),
            Match::Interface { of, not: false, .. } => Self::Interfaces(*of, BTreeSet::new()),
            _ => Self::Everything,
        }
    }

    fn add(&mut self, values: &Values) {
        match (&mut *self, values) {
            (Self::Ports(_, known), Values::Ports(ports)) => known.add(ports),
            (Self::Interfaces(_, known), Values::Interfaces(names))
                if !names.iter().any(Interface::is_wildcard) =>
            {
                known.extend(names.iter().cloned());
            }
            _ => *self = Self::Everything,
        }
    }

    fn is_apart(&self, rule: &Rule) -> bool {
        rule.when.iter().any(|when| match (self, when) {
            (Self::Ports(of, known), Match::Port { of: other, ports, not: false }) => {
                of == other && !ports.ranges().iter().any(|range| known.meet(*range))
            }
            (Self::Interfaces(of, known), Match::Interface { of: other, names, not: false }) => {
                let is_free = |name: &Interface| !name.is_wildcard() && !known.contains(name);
                of == other && names.iter().all(is_free)
            }
            _ => false,
        })
    }
}

impl Values {
    fn add(&mut self, more: Self) {
        match (self, more) {
            (Self::Nets(_, nets), Self::Nets(_, more)) => nets.extend(more),
            (Self::Ports(ports), Self::Ports(more)) => ports.extend(more),
            (Self::Owners(ids), Self::Owners(more)) => ids.extend(more),
            (Self::Interfaces(names), Self::Interfaces(more)) => names.extend(more),
            // Lists of one kind hold the same kind of things, and of transports there are two.
            _ => {}
        }
    }

    const fn len(&self) -> usize {
        match self {
            Self::Nets(_, nets) => nets.len(),
            Self::Ports(ports) => ports.len(),
            Self::Owners(ids) => ids.len(),
            Self::Interfaces(names) => names.len(),
            Self::Protocols => 1,
        }
    }

    /// Makes these what the match at `place` lists.
    fn put(self, when: &mut Vec<Match>, place: usize) {
        match (self, &mut when[place]) {
            (Self::Nets(family, list), Match::Address { nets, .. }) => {
                nets.clone_from(&aggregate(&list, family).unwrap_or_else(|| nets.clone()));
            }
            (Self::Ports(list), Match::Port { ports, .. }) => *ports = PortSet::from_iter(list),
            (Self::Owners(list), Match::Owner { is: OwnerIs::In(ids), .. }) => *ids = merged(list),
            (Self::Interfaces(list), Match::Interface { names, .. }) => *names = each_once(list),
            (Self::Protocols, Match::Protocol { .. }) => {
                when.remove(place);
            }
            _ => {}
        }
    }
}

/// What the match lists; `None` if it has no list.
fn list(when: &Match) -> Option<Values> {
    match when {
        Match::Address { nets, not: false, .. } => {
            Some(Values::Nets(nets.family(), nets.iter().collect()))
        }
        Match::Port { ports, not: false, .. } => Some(Values::Ports(ports.ranges().to_vec())),
        Match::Owner { is: OwnerIs::In(ids), .. } => Some(Values::Owners(ids.clone())),
        Match::Interface { names, not: false, .. } => Some(Values::Interfaces(names.clone())),
        _ => None,
    }
}

/// Whether both list things of one kind.
fn are_of_one_kind(one: &Match, other: &Match) -> bool {
    match (one, other) {
        (
            Match::Address { of: one, nets, not: false },
            Match::Address { of: other, nets: others, not: false },
        ) => one == other && nets.family() == others.family(),
        (Match::Port { of: one, not: false, .. }, Match::Port { of: other, not: false, .. })
        | (
            Match::Interface { of: one, not: false, .. },
            Match::Interface { of: other, not: false, .. },
        ) => one == other,
        (
            Match::Owner { owner: one, is: OwnerIs::In(_) },
            Match::Owner { owner: other, is: OwnerIs::In(_) },
        ) => one == other,
        _ => false,
    }
}

/// Whether one is a match on TCP and the other one on UDP.
fn are_transports(one: &Match, other: &Match) -> bool {
    let is = |when: &Match, wanted: Protocol| matches!(when, Match::Protocol { protocol, not: false } if *protocol == wanted);
    is(one, Protocol::Tcp) && is(other, Protocol::Udp)
        || is(one, Protocol::Udp) && is(other, Protocol::Tcp)
}

const fn is_port(when: &Match) -> bool {
    matches!(when, Match::Port { .. })
}

/// Whether the match is on something that no action changes, and may be known to be something else.
const fn tells_apart(when: &Match) -> bool {
    matches!(when, Match::Port { not: false, .. } | Match::Interface { not: false, .. })
}

/// `ranges`, sorted and joined where they overlap or touch.
fn merged(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    ranges.dedup_by(|(first, last), (_, end)| {
        let is_next = *first <= end.saturating_add(1);
        if is_next {
            *end = (*last).max(*end);
        }
        is_next
    });
    ranges
}

/// `names` in their order, without those that were there before.
fn each_once(names: Vec<Interface>) -> Vec<Interface> {
    let mut known = BTreeSet::new();
    names.into_iter().filter(|name| known.insert(name.clone())).collect()
}
