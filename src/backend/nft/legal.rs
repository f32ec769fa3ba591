//! Makes every rule one that nft has a form for, and says the same.

use std::slice;

use super::owner;
use crate::ir::{
    Action, AddressSet, Chain, CtState, Direction, MarkChange, MaskPair, Match, Owner, OwnerIs,
    Protocol, Rule, Ruleset, Table,
};
use crate::net::{Families, Family, Interface, Nets, OnMiss, PortRange, PortSet};
use crate::nft::Names;

/// The same ruleset, in which one rule is one rule of nft.
///
/// - No rule is for a family that its table does not see, none can never match, and no match
///   always holds.
/// - Names of interfaces are exact, or one name with a wildcard: nft 1.0.2 and older crash on a
///   wildcard in a set.
/// - No negated owner match takes packets without an owner: nft's `meta skuid !=` cannot. The
///   positive match comes first instead and leads past the rule.
/// - A transparent-proxy rule that drops what no proxy takes is two rules.
/// - Matches stand in one order, which is also that of their cost.
///
/// - What is for TCP and UDP says so, by a match on all ports if by nothing else.
///
/// What nft has no form for stays as it is; see [`unsupported`](super::unsupported).
pub(super) fn legalise(ruleset: &Ruleset) -> Ruleset {
    Ruleset { tables: ruleset.tables.iter().map(table).collect() }
}

fn table(table: &Table) -> Table {
    let mut names = Names::of(table.chains.iter().map(|chain| chain.name.as_str()));
    let mut chains = Vec::with_capacity(table.chains.len());
    for chain in &table.chains {
        let rules = chain.rules.iter().flat_map(|rule| plain(rule, table)).collect();
        owner::split(Chain { rules, ..copy(chain) }, table.families, &mut names, &mut chains);
    }
    for chain in &mut chains {
        chain.rules = chain.rules.drain(..).flat_map(fail_closed).collect();
    }
    Table { chains, name: table.name.clone(), sets: table.sets.clone(), ..*table }
}

/// `chain` without its rules.
fn copy(chain: &Chain) -> Chain {
    Chain { name: chain.name.clone(), base: chain.base, rules: Vec::new() }
}

/// A tproxy rule that drops on a miss, as one that goes on and one that drops.
fn fail_closed(mut rule: Rule) -> impl Iterator<Item = Rule> {
    let mut drop = None;
    if let Action::Tproxy { on_miss: on_miss @ OnMiss::Drop, .. } = &mut rule.then {
        *on_miss = OnMiss::Continue;
        drop = Some(Rule { then: Action::Drop, ..rule.clone() });
    }
    [Some(rule), drop].into_iter().flatten()
}

/// The rules that `rule` comes to, without what always holds: none if it can never match or does
/// nothing, several if it names interfaces with wildcards.
fn plain(rule: &Rule, table: &Table) -> Vec<Rule> {
    let (Some(families), Some(protocols)) = (families(rule, table), Protocols::of(rule)) else {
        return Vec::new();
    };
    if is_nothing(&rule.then) {
        return Vec::new();
    }
    let owned = rule.when.iter().any(needs_owner);
    let mut when = Vec::with_capacity(rule.when.len() + 1);
    protocols.write(&mut when);
    if protocols.tcp && protocols.udp && needs_transport(&rule.then) {
        when.push(all_ports());
    }
    let mut choices = Vec::new();
    for condition in &rule.when {
        match simplify(condition, &protocols, owned) {
            Simple::Always => {}
            Simple::Never => return Vec::new(),
            Simple::One(condition) => when.push(condition),
            Simple::All(mut matches) => when.append(&mut matches),
            Simple::Any(matches) => choices.push(matches),
        }
    }
    let mut alternatives = vec![when];
    for choice in &choices {
        let with =
            |one| alternatives.iter().map(move |when| [&when[..], slice::from_ref(one)].concat());
        alternatives = choice.iter().flat_map(with).collect();
    }
    let finish = |mut when: Vec<Match>| {
        when.sort_by_key(place);
        when.dedup();
        let all = all_ports();
        if when.iter().any(|one| matches!(one, Match::Port { .. }) && *one != all) {
            when.retain(|one| *one != all);
        }
        Rule {
            families,
            when,
            then: rule.then.clone(),
            origin: rule.origin,
            also: rule.also.clone(),
        }
    };
    alternatives.into_iter().map(finish).collect()
}

/// The families that the rule sees; `None` if none.
fn families(rule: &Rule, table: &Table) -> Option<Families> {
    let mut families = rule.families.and(table.families)?;
    for condition in &rule.when {
        if let Some(family) = address_family(condition, &table.sets) {
            families = families.and(family.into())?;
        }
    }
    if let Action::Snat { to } | Action::Dnat { to, .. } = rule.then {
        families = families.and(if to.is_ipv4() { Families::Ipv4 } else { Families::Ipv6 })?;
    }
    Some(families)
}

/// The family of the addresses that the match is about, in a table with `sets`.
pub(super) fn address_family(condition: &Match, sets: &[AddressSet]) -> Option<Family> {
    match condition {
        Match::Address { nets, .. } => Some(nets.family()),
        Match::InSet { set, .. } => sets.iter().find(|one| one.name == *set).map(|one| one.family),
        Match::Protocol { .. }
        | Match::Port { .. }
        | Match::Interface { .. }
        | Match::Owner { .. }
        | Match::SocketExists { .. }
        | Match::Mark { .. }
        | Match::Connmark { .. }
        | Match::CtState { .. }
        | Match::Local { .. }
        | Match::TransparentSocket
        | Match::Opaque { .. } => None,
    }
}

/// Which of TCP, UDP and the rest a rule sees.
struct Protocols {
    tcp: bool,
    udp: bool,
    rest: bool,
}

impl Protocols {
    /// `None` if the rule sees no packet.
    fn of(rule: &Rule) -> Option<Self> {
        let mut seen = Self { tcp: true, udp: true, rest: !needs_transport(&rule.then) };
        for condition in &rule.when {
            if let Match::Protocol { protocol, not } = condition {
                seen.tcp &= (*protocol == Protocol::Tcp) != *not;
                seen.udp &= (*protocol == Protocol::Udp) != *not;
                seen.rest &= *not;
            }
            seen.rest &= !matches!(condition, Match::Port { .. });
        }
        (seen.tcp || seen.udp || seen.rest).then_some(seen)
    }

    /// The matches on a protocol that say so, as few as can be. TCP and UDP together have none:
    /// a match on a port says it, or the action.
    fn write(&self, when: &mut Vec<Match>) {
        let is = |protocol, not| Match::Protocol { protocol, not };
        match (self.tcp, self.udp, self.rest) {
            (true, true, _) | (false, false, false) => {}
            (true, false, false) => when.push(is(Protocol::Tcp, false)),
            (false, true, false) => when.push(is(Protocol::Udp, false)),
            (tcp, udp, true) => {
                when.extend((!tcp).then_some(is(Protocol::Tcp, true)));
                when.extend((!udp).then_some(is(Protocol::Udp, true)));
            }
        }
    }
}

/// Whether nft wants the rule to say that the packet is TCP or UDP.
pub(super) const fn needs_transport(action: &Action) -> bool {
    matches!(
        action,
        Action::Redirect { .. } | Action::Tproxy { .. } | Action::Dnat { port: Some(_), .. }
    )
}

/// Whether the action changes nothing and the next rule runs.
fn is_nothing(action: &Action) -> bool {
    const KEEP: MarkChange = MarkChange { clear: 0, flip: 0 };
    const NO_BITS: MaskPair = MaskPair { packet: 0, connection: 0 };
    matches!(
        action,
        Action::SetMark(KEEP)
            | Action::SetConnmark(KEEP)
            | Action::SaveMark(NO_BITS)
            | Action::RestoreMark(NO_BITS)
    )
}

/// Whether the match holds only for packets that have an owner.
fn needs_owner(condition: &Match) -> bool {
    matches!(
        condition,
        Match::Owner { is: OwnerIs::In(_) | OwnerIs::NotIn { ownerless: false, .. }, .. }
    )
}

/// What a match comes to.
enum Simple {
    Always,
    Never,
    One(Match),
    /// All of these hold.
    All(Vec<Match>),
    /// One of these holds, and no packet has two that do.
    Any(Vec<Match>),
}

impl Simple {
    /// Always if `holds`, or else never.
    fn constant(holds: bool) -> Self {
        if holds { Self::Always } else { Self::Never }
    }
}

/// `condition` of a rule that sees `protocols`; `owned` if another match of it needs an owner.
fn simplify(condition: &Match, protocols: &Protocols, owned: bool) -> Simple {
    match condition {
        Match::Protocol { .. } => Simple::Always,
        Match::Port { of, ports, not } => port(*of, ports, *not, protocols),
        Match::Address { nets, not, .. } if nets.is_empty() => Simple::constant(*not),
        Match::Address { nets, not, .. } if is_everything(nets) => Simple::constant(!not),
        Match::Interface { of, names, not } => interface(*of, names, *not),
        Match::Owner { owner, is } => owner_is(*owner, is, owned),
        Match::Mark { mark, not } if mark.mask() == 0 => Simple::constant(!not),
        // Under an empty mask, every connection has the mark, but no connection has none.
        Match::Connmark { mark, not: true } if mark.mask() == 0 => Simple::Never,
        Match::CtState { states, not } => match states.iter().count() {
            0 => Simple::constant(*not),
            count if count == CtState::ALL.len() => Simple::constant(!not),
            _ => Simple::One(condition.clone()),
        },
        Match::Address { .. }
        | Match::InSet { .. }
        | Match::SocketExists { .. }
        | Match::Mark { .. }
        | Match::Connmark { .. }
        | Match::Local { .. }
        | Match::TransparentSocket
        | Match::Opaque { .. } => Simple::One(condition.clone()),
    }
}

fn port(of: Direction, ports: &PortSet, not: bool, protocols: &Protocols) -> Simple {
    if ports.is_empty() || is_all_ports(ports) {
        return match (ports.is_empty() == not, protocols.tcp && protocols.udp) {
            (false, _) => Simple::Never,
            (true, false) => Simple::Always,
            // Nothing else of the rule says that the packet is TCP or UDP.
            (true, true) => Simple::One(all_ports()),
        };
    }
    Simple::One(Match::Port { of, ports: ports.clone(), not })
}

/// What holds for every packet that is TCP or UDP, and for no other.
fn all_ports() -> Match {
    let ports = PortSet::from_iter([PortRange::ALL]);
    Match::Port { of: Direction::Destination, ports, not: false }
}

/// Whether no port is outside the set.
pub(super) fn is_all_ports(ports: &PortSet) -> bool {
    ports.ranges() == [PortRange::ALL]
}

fn is_everything(nets: &Nets) -> bool {
    nets.iter().any(|net| net.prefix_len() == 0)
}

fn interface(of: Direction, names: &[Interface], not: bool) -> Simple {
    if let [_] = names {
        return Simple::One(Match::Interface { of, names: names.to_vec(), not });
    }
    let mut exact: Vec<_> = names.to_vec();
    exact.sort_unstable();
    exact.dedup();
    // What another name covers would make a packet match two of the alternatives.
    let covered = |name: &Interface| names.iter().any(|other| other != name && other.covers(name));
    exact.retain(|name| !covered(name));
    let wild = exact.extract_if(.., |name| name.is_wildcard()).collect::<Vec<_>>();
    let matches: Vec<_> = Some(exact)
        .filter(|exact| !exact.is_empty())
        .into_iter()
        .chain(wild.into_iter().map(|name| vec![name]))
        .map(|names| Match::Interface { of, names, not })
        .collect();
    match (matches.is_empty(), not) {
        (true, _) => Simple::constant(not),
        (false, true) => Simple::All(matches),
        (false, false) => Simple::Any(matches),
    }
}

fn owner_is(of: Owner, is: &OwnerIs, owned: bool) -> Simple {
    let is = match is {
        OwnerIs::In(ids) if ids.is_empty() => return Simple::Never,
        OwnerIs::In(_) => is.clone(),
        OwnerIs::NotIn { ids, ownerless } => {
            let ownerless = *ownerless && !owned;
            match (ids.is_empty(), ownerless) {
                (true, true) => return Simple::Always,
                (true, false) => OwnerIs::In(vec![(0, u32::MAX)]),
                (false, _) => OwnerIs::NotIn { ids: ids.clone(), ownerless },
            }
        }
    };
    Simple::One(Match::Owner { owner: of, is })
}

/// The place of a match in its rule: as one would say it, and the cheap ones before the dear ones.
fn place(condition: &Match) -> u8 {
    match condition {
        Match::Interface { .. } => 0,
        Match::Address { .. } => 1,
        Match::Protocol { .. } => 2,
        Match::Port { .. } => 3,
        Match::CtState { .. } => 4,
        Match::Mark { .. } => 5,
        Match::Connmark { .. } => 6,
        Match::Owner { .. } => 7,
        Match::InSet { .. } => 8,
        Match::SocketExists { .. }
        | Match::Local { .. }
        | Match::TransparentSocket
        | Match::Opaque { .. } => 9,
    }
}
