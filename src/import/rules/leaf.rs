//! Rules one by one, each with every condition on the way to it: jumps are gone, and with them how a
//! ruleset is cut into chains.

use std::collections::{BTreeMap, BTreeSet};

use crate::ir::{
    Action, Base, Chain, ChainKind, Direction, Locator, Match, Owner, OwnerIs, Protocol, Rule,
    Ruleset, TRACKING, Table, from_iptables_chain,
};
use crate::net::{Family, Interface, Mark, Name, Nets, PortSet};

/// Deepest nesting of jumps that is followed. nft knows 16.
const DEEPEST: usize = 64;

/// Most rules that are followed, counted as often as jumps lead to them.
const MOST: usize = 1_000_000;

/// Something that is done to packets, and to which.
#[derive(Clone, Debug)]
pub(super) struct Leaf<'a> {
    pub(super) family: Family,
    pub(super) base: Base,
    /// The chains that lead there behind the base chain, as nft calls them.
    pub(super) via: Vec<&'a str>,
    /// The place of the rule of the base chain: that of its table and its chain, and its own.
    pub(super) root: (usize, usize, usize),
    pub(super) when: When,
    /// What rules on the way asked for.
    pub(super) asked: BTreeSet<Part>,
    /// Whether a rule before it has sent every packet that comes so far where it wants to.
    pub(super) is_dead: bool,
    /// Whose packets have gone before, by rules about nothing else.
    pub(super) gone: Gone,
    pub(super) then: Then<'a>,
    /// Where the rule stands, if the text says.
    pub(super) locator: Option<Locator>,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then<'a> {
    /// Nothing: the packet goes where it wants to.
    Leaves,
    /// This.
    Does(&'a Action),
}

/// When a base chain runs, as iptables names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Raw,
    Mangle,
    Nat,
    Filter,
}

impl Leaf<'_> {
    pub(super) fn stage(&self) -> Stage {
        match self.base {
            Base { kind: ChainKind::Nat, .. } => Stage::Nat,
            Base { priority, .. } if priority <= TRACKING => Stage::Raw,
            Base { priority: ..0, .. } => Stage::Mangle,
            Base { .. } => Stage::Filter,
        }
    }

    /// Whether a rule on the way asked who sends the packet, and not this one.
    pub(super) fn is_by_owner(&self) -> bool {
        self.asked.iter().any(|part| is_owner(*part))
    }

    /// Whether it stands in a base chain itself.
    pub(super) const fn is_direct(&self) -> bool {
        self.via.is_empty()
    }

    /// Whether a chain leads there that nft would call so.
    pub(super) fn is_by(&self, chain: &str) -> bool {
        self.via.iter().any(|via| from_iptables_chain(via) == chain)
    }
}

/// Users and groups, those of each rule together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) users: Vec<Vec<(u32, u32)>>,
    pub(super) groups: Vec<Vec<(u32, u32)>>,
}

impl Gone {
    pub(super) const fn is_nobody(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }
}

/// What a condition is about. The order is that in which slices of them are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    SourcePort,
    Port,
    NotPort,
    From,
    To,
    NotTo,
    In,
    Out,
    NotOut,
    User,
    NotUser,
    Group,
    NotGroup,
    Mark,
    NotMark,
    Connmark,
    State,
    FromElsewhere,
    ToElsewhere,
    InSet,
    Socket,
    /// Anything else, or more than one of a kind.
    Other,
}

/// Conditions, all of which hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct When {
    pub(super) protocol: Option<Protocol>,
    parts: BTreeMap<Part, Match>,
}

impl When {
    /// What is asked besides the protocol.
    pub(super) fn parts(&self) -> Vec<Part> {
        self.parts.keys().copied().collect()
    }

    /// These and those of a rule, of packets of `family`; `None` if no packet has them all.
    fn and(&self, rule: &Rule, family: Family) -> Option<Self> {
        if !rule.families.has(family) {
            return None;
        }
        let mut all = self.clone();
        for condition in &rule.when {
            match condition {
                Match::Protocol { protocol, not: false } => {
                    if all.protocol.is_some_and(|known| known != *protocol) {
                        return None;
                    }
                    all.protocol = Some(*protocol);
                }
                Match::Address { nets, .. } if nets.family() != family => return None,
                _ => all.add(condition)?,
            }
        }
        Some(all)
    }

    /// Adds a condition; `None` if it cannot hold beside the others.
    fn add(&mut self, condition: &Match) -> Option<()> {
        let part = part(condition);
        let joined = match (self.parts.get(&part), condition) {
            (None, _) => condition.clone(),
            (Some(known), _) if known == condition => return Some(()),
            (
                Some(Match::Port { ports: known, of, not: false }),
                Match::Port { ports, not: false, .. },
            ) => {
                let both = known.minus(&ports.complement());
                if both.is_empty() {
                    return None;
                }
                Match::Port { of: *of, ports: both, not: false }
            }
            (Some(Match::Port { ports: known, of, not: true }), Match::Port { ports, .. }) => {
                let either = known.ranges().iter().chain(ports.ranges()).copied().collect();
                Match::Port { of: *of, ports: either, not: true }
            }
            (Some(_), _) => {
                self.parts.insert(Part::Other, condition.clone());
                return Some(());
            }
        };
        self.parts.insert(part, joined);
        Some(())
    }

    /// The same without what is asked of `part`.
    pub(super) fn without(&self, part: Part) -> Self {
        let mut rest = self.clone();
        rest.parts.remove(&part);
        rest
    }

    /// The ports of a part.
    pub(super) fn ports(&self, part: Part) -> PortSet {
        match self.parts.get(&part) {
            Some(Match::Port { ports, .. }) => ports.clone(),
            _ => PortSet::default(),
        }
    }

    /// The addresses of a part.
    pub(super) fn nets(&self, part: Part) -> Option<&Nets> {
        match self.parts.get(&part) {
            Some(Match::Address { nets, .. }) => Some(nets),
            _ => None,
        }
    }

    /// The interfaces of a part.
    pub(super) fn interfaces(&self, part: Part) -> &[Interface] {
        match self.parts.get(&part) {
            Some(Match::Interface { names, .. }) => names,
            _ => &[],
        }
    }

    /// The users or groups of a part.
    pub(super) fn ids(&self, part: Part) -> &[(u32, u32)] {
        match self.parts.get(&part) {
            Some(Match::Owner { is: OwnerIs::In(ids) | OwnerIs::NotIn { ids, .. }, .. }) => ids,
            _ => &[],
        }
    }

    /// The mark of a part.
    pub(super) fn mark(&self, part: Part) -> Option<Mark> {
        match self.parts.get(&part) {
            Some(Match::Mark { mark, .. } | Match::Connmark { mark, .. }) => Some(*mark),
            _ => None,
        }
    }

    /// The set that an address is in.
    pub(super) fn set(&self) -> Option<&Name> {
        match self.parts.get(&Part::InSet) {
            Some(Match::InSet { set, .. }) => Some(set),
            _ => None,
        }
    }

    /// What connection tracking says.
    pub(super) fn state(&self) -> Option<&Match> {
        self.parts.get(&Part::State)
    }

    /// Whether packets of a protocol are among those that are meant.
    pub(super) fn has(&self, protocol: Protocol) -> bool {
        self.protocol.is_none_or(|of| of == protocol)
    }
}

/// What a condition is about.
fn part(condition: &Match) -> Part {
    use Direction::{Destination, Source};
    match condition {
        Match::Port { of: Source, not: false, .. } => Part::SourcePort,
        Match::Port { of: Destination, not: false, .. } => Part::Port,
        Match::Port { of: Destination, not: true, .. } => Part::NotPort,
        Match::Address { of: Source, not: false, .. } => Part::From,
        Match::Address { of: Destination, not: false, .. } => Part::To,
        Match::Address { of: Destination, not: true, .. } => Part::NotTo,
        Match::Interface { of: Source, not: false, .. } => Part::In,
        Match::Interface { of: Destination, not: false, .. } => Part::Out,
        Match::Interface { of: Destination, not: true, .. } => Part::NotOut,
        Match::Owner { owner: Owner::User, is: OwnerIs::In(_) } => Part::User,
        Match::Owner { owner: Owner::User, is: OwnerIs::NotIn { .. } } => Part::NotUser,
        Match::Owner { owner: Owner::Group, is: OwnerIs::In(_) } => Part::Group,
        Match::Owner { owner: Owner::Group, is: OwnerIs::NotIn { .. } } => Part::NotGroup,
        Match::Mark { not: false, .. } => Part::Mark,
        Match::Mark { not: true, .. } => Part::NotMark,
        Match::Connmark { not: false, .. } => Part::Connmark,
        Match::CtState { .. } => Part::State,
        Match::Local { of: Source, not: true } => Part::FromElsewhere,
        Match::Local { of: Destination, not: true } => Part::ToElsewhere,
        Match::InSet { of: Destination, not: false, .. } => Part::InSet,
        Match::SocketExists { not: false } => Part::Socket,
        _ => Part::Other,
    }
}

/// Everything that rules do, in the order in which they do it, of each family.
///
/// `None` if jumps lead too deep, or to too many rules.
pub(super) fn leaves(ruleset: &Ruleset) -> Option<Vec<Leaf<'_>>> {
    let mut walk = Walk { leaves: Vec::new(), visits: 0 };
    for family in Family::ALL {
        for (at, table) in ruleset.tables.iter().enumerate() {
            if !table.families.has(family) {
                continue;
            }
            for (place, chain) in table.chains.iter().enumerate() {
                let Some(base) = chain.base else { continue };
                let way = Way { table, family, base, place: (at, place) };
                let came = Came { when: &When::default(), gone: Gone::default(), is_nobody: false };
                walk.chain(&way, chain, came, &mut Vec::new())?;
            }
        }
    }
    Some(once(governed(walk.leaves)))
}

/// The same, of families to whose packets something is done.
fn governed(mut leaves: Vec<Leaf<'_>>) -> Vec<Leaf<'_>> {
    let does = |leaf: &Leaf<'_>| {
        !leaf.is_dead && (leaf.then != Then::Leaves || !leaf.when.parts().is_empty())
    };
    for family in Family::ALL {
        if !leaves.iter().any(|leaf| leaf.family == family && does(leaf)) {
            leaves.retain(|leaf| leaf.family != family);
        }
    }
    leaves
}

/// The same, each thing once. What is done for an owner or an interface, and for all too, is done for all:
/// rules that ask for it may lead to the same rules on both ways.
fn once(leaves: Vec<Leaf<'_>>) -> Vec<Leaf<'_>> {
    let key = |leaf: &Leaf<'_>, when: &When| {
        format!(
            "{:?} {:?} {:?} {when:?} {:?}",
            leaf.family,
            leaf.base.hook,
            leaf.stage(),
            leaf.then
        )
    };
    let all: BTreeSet<String> = leaves.iter().map(|leaf| key(leaf, &leaf.when)).collect();
    let mut seen = BTreeSet::new();
    let is_needed = |leaf: &Leaf<'_>| {
        let parts = leaf.when.parts();
        // Where all others have gone by then, what is left alone of a group is not what is of everybody; and
        // what is left alone of an interface is a rung of its own.
        let is_rung = matches!(parts[..], [Part::Group | Part::Out]) && leaf.then == Then::Leaves;
        let is_said = parts.into_iter().any(|part| {
            (is_owner(part) || part == Part::Out)
                && leaf.asked.contains(&part)
                && all.contains(&key(leaf, &leaf.when.without(part)))
        });
        // Who has gone at one place has not at another.
        let place = format!("{} {:?} {}", key(leaf, &leaf.when), leaf.gone, leaf.is_direct());
        (is_rung || !is_said) && seen.insert(place)
    };
    leaves.into_iter().filter(is_needed).collect()
}

const fn is_owner(part: Part) -> bool {
    matches!(part, Part::User | Part::Group)
}

/// Where a walk began.
struct Way<'a> {
    table: &'a Table,
    family: Family,
    base: Base,
    place: (usize, usize),
}

/// Which packets come to a chain.
struct Came<'w> {
    when: &'w When,
    gone: Gone,
    /// Whether none does, because a rule before has taken all.
    is_nobody: bool,
}

struct Walk<'a> {
    leaves: Vec<Leaf<'a>>,
    visits: usize,
}

impl<'a> Walk<'a> {
    /// Follows packets through a chain. Whether none comes back from it.
    fn chain(
        &mut self,
        way: &Way<'a>,
        chain: &'a Chain,
        Came { when, mut gone, mut is_nobody }: Came<'_>,
        via: &mut Vec<(&'a Name, usize)>,
    ) -> Option<bool> {
        if via.len() > DEEPEST {
            return None;
        }
        for (index, rule) in chain.rules.iter().enumerate() {
            self.visits += 1;
            if self.visits > MOST {
                return None;
            }
            let Some(narrowed) = when.and(rule, way.family) else { continue };
            let is_all = narrowed == *when;
            let next = match &rule.then {
                Action::Jump(to) | Action::Goto(to) => {
                    way.table.chains.iter().find(|chain| chain.name == *to)
                }
                _ => None,
            };
            let mut ends = rule.then.ends_base_chain();
            let mut leaves = ends;
            if let Some(next) = next {
                via.push((&next.name, index));
                let mut narrowed = narrowed;
                if let Some((marked, all)) = past(rule, when, &narrowed) {
                    let met = Met { index, rule, when: marked, then: Then::Leaves };
                    let asked = Came { when, gone: gone.clone(), is_nobody };
                    self.leaves.push(met.leaf(way, &asked, via));
                    narrowed = all;
                }
                let came = Came { when: &narrowed, gone: gone.clone(), is_nobody };
                ends = self.chain(way, next, came, via)?;
                via.pop();
                leaves = ends || matches!(rule.then, Action::Goto(_));
            } else {
                leaves |= rule.then == Action::Return;
                let then = match &rule.then {
                    Action::Return | Action::Accept => Some(Then::Leaves),
                    Action::Log => None,
                    action => Some(Then::Does(action)),
                };
                if let Some(then) = then {
                    let met = Met { index, rule, when: narrowed, then };
                    let asked = Came { when, gone: gone.clone(), is_nobody };
                    self.leaves.push(met.leaf(way, &asked, via));
                }
            }
            if !leaves {
                continue;
            }
            if is_all && rule.then == Action::Return {
                // No packet gets further, but what the rest says was meant.
                is_nobody = true;
                continue;
            }
            if is_all {
                return Some(ends);
            }
            if let [Match::Owner { owner, is: OwnerIs::In(ids) }] = &rule.when[..] {
                match owner {
                    Owner::User => gone.users.push(ids.clone()),
                    Owner::Group => gone.groups.push(ids.clone()),
                }
            }
        }
        Some(false)
    }
}

/// A rule that does something, and to which packets.
struct Met<'a> {
    index: usize,
    rule: &'a Rule,
    when: When,
    then: Then<'a>,
}

impl<'a> Met<'a> {
    /// What it does, to packets that came so.
    fn leaf(self, way: &Way<'a>, came: &Came<'_>, via: &[(&'a Name, usize)]) -> Leaf<'a> {
        let place = via.first().map_or(self.index, |(_, index)| *index);
        Leaf {
            family: way.family,
            base: way.base,
            via: via.iter().map(|(name, _)| name.as_str()).collect(),
            root: (way.place.0, way.place.1, place),
            when: self.when,
            asked: came.when.parts.keys().copied().collect(),
            gone: came.gone.clone(),
            is_dead: came.is_nobody,
            then: self.then,
            locator: self.rule.origin.locator,
        }
    }
}

/// What a jump for packets without a mark says besides: those with the mark go past the chain, as if its
/// first rule led them back. They, and all that come to the jump; `None` if it asks for no mark.
fn past(rule: &Rule, when: &When, narrowed: &When) -> Option<(When, When)> {
    let Some(Match::Mark { mark, .. }) = narrowed.parts.get(&Part::NotMark) else { return None };
    if !matches!(rule.then, Action::Jump(_)) || when.parts.contains_key(&Part::NotMark) {
        return None;
    }
    let all = narrowed.without(Part::NotMark);
    let mut marked = all.clone();
    marked.add(&Match::Mark { mark: *mark, not: false })?;
    Some((marked, all))
}
