//! One rule as lines of iptables: what it matches and what it does.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::ir::{
    Action, BuiltInTable, CtStates, Direction, MarkChange, Match, Owner, OwnerIs, Protocol, Rule,
    Table,
};
use crate::net::{Destination, Family, Interface, Mark, Nets, OnMiss, PortRange, PortSet};

use super::chain_name;

/// Ports that one `multiport` holds; a range counts as two.
const MULTIPORT: usize = 15;

/// What stands behind `-A CHAIN`: a text for every item where iptables has no sets. Their matches
/// exclude each other, so that at most one of them sees a packet; of an action that iptables needs two
/// targets for, one of each.
///
/// # Errors
///
/// What iptables cannot say of the rule.
pub(super) fn texts(
    rule: &Rule,
    table: &Table,
    kernel: BuiltInTable,
    family: Family,
) -> Result<Vec<String>, &'static str> {
    // The second of two rules asks again, for what the first must not have changed.
    let asks_mark = || rule.when.iter().any(|when| matches!(when, Match::Mark { .. }));
    if let Action::MarkAndAccept(change) = rule.then
        && !asks_mark()
    {
        let then = [Action::SetMark(change), Action::Accept];
        let both = then.map(|then| texts(&Rule { then, ..rule.clone() }, table, kernel, family));
        return Ok(both.into_iter().collect::<Result<Vec<_>, _>>()?.concat());
    }
    let sees = |when: &Match| match when {
        Match::Address { nets, .. } => nets.family() == family,
        Match::InSet { set, .. } => {
            table.sets.iter().any(|known| known.name == *set && known.family == family)
        }
        _ => true,
    };
    if !rule.families.has(family) || !rule.when.iter().all(sees) {
        return Ok(Vec::new());
    }
    let is_tracked = |when: &Match| matches!(when, Match::Connmark { .. } | Match::CtState { .. });
    if rule.when.iter().any(is_tracked) {
        tracked(kernel)?;
    }
    let mut protocols = Protocols::ALL;
    for when in &rule.when {
        match when {
            Match::Protocol { protocol, not } => protocols.keep(*protocol, *not),
            Match::Port { .. } => protocols.other = false,
            _ => {}
        }
    }
    if matches!(
        rule.then,
        Action::Redirect { .. } | Action::Tproxy { .. } | Action::Dnat { port: Some(_), .. }
    ) {
        protocols.other = false;
    }
    let mut texts = protocols.texts()?;
    let mut named = Vec::new();
    for slot in [Slot::Source, Slot::Destination, Slot::Input, Slot::Output, Slot::Rest] {
        let matches = rule.when.iter().filter(|when| Slot::of(when) == Some(slot));
        if slot != Slot::Rest && matches.clone().count() > 1 {
            return Err("two matches of one kind in a rule");
        }
        for when in matches {
            let choices = choices(when, &mut named)?;
            texts = texts
                .iter()
                .flat_map(|text| choices.iter().map(move |choice| format!("{text}{choice}")))
                .collect();
        }
    }
    if matches!(rule.then, Action::Snat { to } if to.is_ipv4() != (family == Family::Ipv4)) {
        return Err("a source of the other family");
    }
    if matches!(rule.then, Action::Dnat { to, .. } if to.is_ipv4() != (family == Family::Ipv4)) {
        return Err("a destination of the other family");
    }
    let action = action(&rule.then, kernel)?;
    Ok(texts.into_iter().map(|text| format!("{text}{action}")).collect())
}

/// Where a match stands in a rule. All but the last hold one match.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Source,
    Destination,
    Input,
    Output,
    Rest,
}

impl Slot {
    const fn of(when: &Match) -> Option<Self> {
        Some(match when {
            Match::Protocol { .. } => return None,
            Match::Address { of: Direction::Source, .. } => Self::Source,
            Match::Address { of: Direction::Destination, .. } => Self::Destination,
            Match::Interface { of: Direction::Source, .. } => Self::Input,
            Match::Interface { of: Direction::Destination, .. } => Self::Output,
            _ => Self::Rest,
        })
    }
}

/// The protocols that a rule lets pass.
#[derive(Clone, Copy)]
struct Protocols {
    tcp: bool,
    udp: bool,
    other: bool,
}

impl Protocols {
    const ALL: Self = Self { tcp: true, udp: true, other: true };

    const fn keep(&mut self, protocol: Protocol, not: bool) {
        let (tcp, udp) = match protocol {
            Protocol::Tcp => (true, false),
            Protocol::Udp => (false, true),
            Protocol::Other(_) => (false, false),
        };
        self.tcp &= tcp != not;
        self.udp &= udp != not;
        self.other &= not;
    }

    fn texts(self) -> Result<Vec<String>, &'static str> {
        let texts: &[&str] = match (self.tcp, self.udp, self.other) {
            (true, true, true) => &[""],
            (true, true, false) => &["-p tcp ", "-p udp "],
            (true, false, false) => &["-p tcp "],
            (false, true, false) => &["-p udp "],
            (false, true, true) => &["! -p tcp "],
            (true, false, true) => &["! -p udp "],
            (false, false, false) => &[],
            (false, false, true) => return Err("a rule for neither TCP nor UDP"),
        };
        Ok(texts.iter().map(ToString::to_string).collect())
    }
}

/// The texts of a match, exactly one of which holds where it does. None if it never does. The
/// ports of the directions in `named` have their option already, which may be given once.
fn choices(when: &Match, named: &mut Vec<Direction>) -> Result<Vec<String>, &'static str> {
    Ok(match when {
        Match::Protocol { .. } => vec![String::new()],
        Match::Port { of, ports, not } => {
            let again = named.contains(of);
            named.push(*of);
            port_choices(*of, ports, *not, again)
        }
        Match::Address { of, nets, not } => address_choices(*of, nets, *not),
        Match::InSet { of, set, not } => {
            let of = match of {
                Direction::Source => "src",
                Direction::Destination => "dst",
            };
            vec![format!("-m set {}--match-set {set} {of} ", bang(*not))]
        }
        Match::Interface { of, names, not } => interface_choices(*of, names, *not)?,
        Match::Owner { owner, is } => owner_choices(*owner, is),
        Match::SocketExists { not } => vec![format!("-m owner {}--socket-exists ", bang(*not))],
        Match::Mark { mark, not } => vec![mark_text("mark", *mark, *not)],
        Match::Connmark { mark, not } => vec![mark_text("connmark", *mark, *not)],
        Match::CtState { states, not } => state_choices(*states, *not),
        Match::Local { of, not } => {
            let of = match of {
                Direction::Source => "src",
                Direction::Destination => "dst",
            };
            vec![format!("-m addrtype {}--{of}-type LOCAL ", bang(*not))]
        }
        Match::TransparentSocket => vec!["-m socket --transparent ".to_owned()],
        Match::Opaque { .. } => return Err("a match that is not followed"),
    })
}

const fn bang(not: bool) -> &'static str {
    if not { "! " } else { "" }
}

fn mark_text(module: &str, mark: Mark, not: bool) -> String {
    format!("-m {module} {}--mark {mark} ", bang(not))
}

/// With `multiport` also for a single range if `again`.
fn port_choices(of: Direction, ports: &PortSet, not: bool, again: bool) -> Vec<String> {
    let (one, many) = match of {
        Direction::Source => ("--sport", "--sports"),
        Direction::Destination => ("--dport", "--dports"),
    };
    if let [range] = ports.ranges()
        && !again
    {
        return vec![format!("{}{one} {} ", bang(not), colon(*range))];
    }
    let texts =
        chunks(ports).into_iter().map(|list| format!("-m multiport {}{many} {list} ", bang(not)));
    if not { vec![texts.collect()] } else { texts.collect() }
}

/// The set as lists of which each fits a `multiport`.
fn chunks(ports: &PortSet) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    let mut room = 0;
    for range in ports.ranges() {
        let size = if range.first() == range.last() { 1 } else { 2 };
        match chunks.last_mut() {
            Some(chunk) if size <= room => {
                chunk.push(',');
                chunk.push_str(&colon(*range));
            }
            _ => {
                room = MULTIPORT;
                chunks.push(colon(*range));
            }
        }
        room -= size;
    }
    chunks
}

fn colon(range: PortRange) -> String {
    if range.first() == range.last() {
        range.first().to_string()
    } else {
        format!("{}:{}", range.first(), range.last())
    }
}

fn address_choices(of: Direction, nets: &Nets, not: bool) -> Vec<String> {
    let flag = match of {
        Direction::Source => "-s",
        Direction::Destination => "-d",
    };
    match (nets.iter().next(), nets.len(), not) {
        (Some(net), 1, true) => vec![format!("! {flag} {net} ")],
        (_, _, false) => nets.iter().map(|net| format!("{flag} {net} ")).collect(),
        (_, _, true) => complement(nets).iter().map(|net| format!("{flag} {net} ")).collect(),
    }
}

fn interface_choices(
    of: Direction,
    names: &[Interface],
    not: bool,
) -> Result<Vec<String>, &'static str> {
    let flag = match of {
        Direction::Source => "-i",
        Direction::Destination => "-o",
    };
    let text = |name: &Interface| {
        let wildcard = if name.is_wildcard() { "+" } else { "" };
        format!("{}{flag} {}{wildcard} ", bang(not), name.stem())
    };
    let mut largest: Vec<&Interface> = Vec::new();
    for name in names {
        if !largest.iter().any(|other| other.covers(name)) {
            largest.retain(|other| !name.covers(other));
            largest.push(name);
        }
    }
    match (largest.as_slice(), not) {
        ([], true) => Ok(vec![String::new()]),
        ([_, _, ..], true) => Err("several interfaces none of which may match"),
        _ => Ok(largest.into_iter().map(text).collect()),
    }
}

fn owner_choices(owner: Owner, is: &OwnerIs) -> Vec<String> {
    let flag = match owner {
        Owner::User => "--uid-owner",
        Owner::Group => "--gid-owner",
    };
    let text = |(first, last): (u32, u32), not: bool| {
        let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
        format!("-m owner {}{flag} {range} ", bang(not))
    };
    match is {
        OwnerIs::In(ids) => ids.iter().map(|ids| text(*ids, false)).collect(),
        OwnerIs::NotIn { ids, ownerless: true } => {
            vec![ids.iter().map(|ids| text(*ids, true)).collect()]
        }
        OwnerIs::NotIn { ids, ownerless: false } => {
            outside(ids).into_iter().map(|ids| text(ids, false)).collect()
        }
    }
}

/// The numbers outside of sorted ranges, up to 4294967294: the kernel has no higher owner.
fn outside(ids: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut gaps = Vec::with_capacity(ids.len() + 1);
    let mut next = Some(0);
    for (first, last) in ids {
        if let Some(start) = next
            && start < *first
        {
            gaps.push((start, first - 1));
        }
        next = last.checked_add(1);
    }
    gaps.extend(next.filter(|start| *start < u32::MAX).map(|start| (start, u32::MAX - 1)));
    gaps
}

fn state_choices(states: CtStates, not: bool) -> Vec<String> {
    let names: Vec<_> = states.iter().map(|state| state.name().to_ascii_uppercase()).collect();
    match (names.is_empty(), not) {
        (true, true) => vec![String::new()],
        (true, false) => Vec::new(),
        (false, _) => {
            vec![format!("-m conntrack {}--ctstate {} ", bang(not), names.join(","))]
        }
    }
}

/// `-j RETURN`.
fn action(then: &Action, kernel: BuiltInTable) -> Result<String, &'static str> {
    let only = |wanted: BuiltInTable, what| if kernel == wanted { Ok(()) } else { Err(what) };
    Ok(match then {
        Action::Accept => "-j ACCEPT".to_owned(),
        Action::Drop => "-j DROP".to_owned(),
        Action::Return => "-j RETURN".to_owned(),
        Action::Jump(to) => format!("-j {}", chain_name(to)),
        Action::Goto(to) => format!("-g {}", chain_name(to)),
        Action::Redirect { port } => {
            only(BuiltInTable::Nat, "a redirection outside of table nat")?;
            format!("-j REDIRECT --to-ports {port}")
        }
        Action::Snat { to } => {
            only(BuiltInTable::Nat, "a source translation outside of table nat")?;
            format!("-j SNAT --to-source {to}")
        }
        Action::Dnat { to, port } => {
            only(BuiltInTable::Nat, "a destination translation outside of table nat")?;
            format!("-j DNAT --to-destination {}", Destination { address: *to, port: *port })
        }
        Action::Tproxy { on_miss: OnMiss::Continue, .. } => {
            return Err("a transparent proxy that is passed by if it does not listen");
        }
        Action::Tproxy { port, mark, on_miss: OnMiss::Drop } => {
            only(BuiltInTable::Mangle, "a transparent proxy outside of table mangle")?;
            format!("-j TPROXY --on-port {port} --tproxy-mark {}", xmark(*mark))
        }
        Action::SetMark(change) => {
            only(BuiltInTable::Mangle, "a change of the mark outside of table mangle")?;
            format!("-j MARK --set-xmark {}", xmark(*change))
        }
        Action::MarkAndAccept(_) => {
            return Err("a change of a mark that is asked for, which accepts as well");
        }
        Action::SetConnmark(change) => {
            tracked(kernel)?;
            format!("-j CONNMARK --set-xmark {}", xmark(*change))
        }
        Action::SaveMark(masks) => {
            tracked(kernel)?;
            let (packet, connection) = (masks.packet, masks.connection);
            format!("-j CONNMARK --save-mark --nfmask {packet:#x} --ctmask {connection:#x}")
        }
        Action::RestoreMark(masks) => {
            tracked(kernel)?;
            let (packet, connection) = (masks.packet, masks.connection);
            format!("-j CONNMARK --restore-mark --nfmask {packet:#x} --ctmask {connection:#x}")
        }
        Action::SetZone(zone) => {
            only(BuiltInTable::Raw, "a zone outside of table raw")?;
            format!("-j CT --zone {zone}")
        }
        Action::Log => "-j LOG".to_owned(),
        Action::Notrack | Action::Opaque(_) => return Err("a target that is not followed"),
    })
}

fn tracked(kernel: BuiltInTable) -> Result<(), &'static str> {
    if kernel == BuiltInTable::Raw {
        Err("a connection in table raw, before it is known")
    } else {
        Ok(())
    }
}

fn xmark(change: MarkChange) -> String {
    format!("{:#x}/{:#x}", change.flip, change.clear)
}

/// The addresses of the set's family outside of it, as prefixes.
fn complement(nets: &Nets) -> Vec<IpNet> {
    let all = match nets.family() {
        Family::Ipv4 => IpNet::V4(Ipv4Net::default()),
        Family::Ipv6 => IpNet::V6(Ipv6Net::default()),
    };
    let mut outside = Vec::new();
    carve(all, &nets.iter().collect::<Vec<_>>(), &mut outside);
    outside
}

/// Adds what of `whole` lies outside of `holes`, which lie within it and are sorted.
fn carve(whole: IpNet, holes: &[IpNet], outside: &mut Vec<IpNet>) {
    match holes.first() {
        None => outside.push(whole),
        Some(hole) if hole.contains(&whole) => {}
        Some(_) => {
            for half in whole.subnets(whole.prefix_len() + 1).into_iter().flatten() {
                let first = holes.partition_point(|hole| hole.broadcast() < half.network());
                let last = holes.partition_point(|hole| hole.network() <= half.broadcast());
                carve(half, &holes[first..last], outside);
            }
        }
    }
}
