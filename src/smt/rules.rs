//! Rules: what they match, and what they do.

use std::collections::{BTreeSet, HashMap};
use std::fmt::{self, Write};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::ir::{Action, Direction, MarkChange, Match, Owner, OwnerIs, Rule, Ruleset, Table};
use crate::net::{Families, Family, Interface, Mark, Name, OnMiss};
use crate::semantics::InSet;

/// One of the two rulesets.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    /// What it is called: `left`, `right`.
    pub(super) word: &'static str,
    pub(super) ruleset: &'a Ruleset,
    /// Names of sets of which it has to be said of which table they are.
    pub(super) namesakes: &'a BTreeSet<Name>,
}

impl Side<'_> {
    /// Whether the rule acts on a way `w`.
    pub(super) fn acts(&self, table: &Table, rule: &Rule) -> String {
        let family = match rule.families {
            Families::Both => None,
            Families::Ipv4 => Some(is_of(Family::Ipv4)),
            Families::Ipv6 => Some(is_of(Family::Ipv6)),
        };
        let matches = rule.when.iter().map(|when| self.condition(table, when));
        let all: Vec<String> = family.map(str::to_owned).into_iter().chain(matches).collect();
        match &all[..] {
            [] => "(runs w)".to_owned(),
            all => format!("(and (runs w) {})", all.join(" ")),
        }
    }

    fn condition(&self, table: &Table, when: &Match) -> String {
        match when {
            Match::Protocol { protocol, not } => {
                unless(*not, format!("(= protocol {})", protocol.name()))
            }
            Match::Port { of, ports, not } => {
                let port = format!("({}-port-of w)", end(*of));
                let ranges = ports.ranges().iter();
                let ranges = ranges.map(|range| (range.first().into(), range.last().into()));
                let among = any(ranges.map(|range| within(&port, range, 4)));
                format!("(and has-ports {})", unless(*not, among))
            }
            Match::Address { of, nets, not } => {
                let among = any(nets.iter().map(|net| in_network(*of, net)));
                format!("(and {} {})", is_of(nets.family()), unless(*not, among))
            }
            Match::InSet { of, set, not } => {
                let Some(declared) = table.sets.iter().find(|known| known.name == *set) else {
                    return "false".to_owned();
                };
                let words = self.set_words(table, set);
                let among = format!(
                    "(ite ({}-is-other w) |translated in {words}| |{} in {words}|)",
                    end(*of),
                    end(*of)
                );
                format!("(and {} {})", is_of(declared.family), unless(*not, among))
            }
            Match::Interface { of, names, not } => {
                let field = match of {
                    Direction::Source => "in-interface",
                    Direction::Destination => "out-interface",
                };
                unless(*not, any(names.iter().map(|name| is_called(field, name))))
            }
            Match::Owner { owner, is } => owner_is(*owner, is),
            Match::SocketExists { not } => {
                unless(*not, "(distinct (seen-sender w) nobody)".to_owned())
            }
            Match::Mark { mark, not } => unless(*not, has_bits("(mark-of w)", *mark)),
            Match::Connmark { mark, not } => {
                let has = unless(*not, has_bits("(connmark-of w)", *mark));
                format!("(and (is-connected w) {has})")
            }
            Match::CtState { states, not } => {
                let is = states.iter().map(|state| format!("(= (seen-state w) {})", state.name()));
                unless(*not, any(is))
            }
            Match::Local { of, not } => unless(*not, format!("(is-{}-local w)", end(*of))),
            Match::TransparentSocket => "transparent-socket".to_owned(),
            // Refused before.
            Match::Opaque { .. } => "false".to_owned(),
        }
    }

    /// `istio-pods`, `istio-pods of istio-host`. A set belongs to its table; which one that is, is
    /// said where it could be another.
    fn set_words(&self, table: &Table, set: &Name) -> String {
        if self.namesakes.contains(set) {
            format!("{set} of {}", InSet::table_name(self.ruleset, table))
        } else {
            set.to_string()
        }
    }
}

/// What becomes of a way `w` on which the action acts. A jump finds no chain here.
pub(super) fn action(then: &Action) -> String {
    let change = |MarkChange { clear, flip }| format!("#x{clear:08x} #x{flip:08x}");
    match then {
        Action::Accept => "(accept w)".to_owned(),
        Action::Drop => "(drop w)".to_owned(),
        Action::Return | Action::Goto(_) => "(return w)".to_owned(),
        Action::Redirect { port } => format!("(redirect w #x{port:04x})"),
        Action::Snat { to } => format!("(snat w #x{:032x})", number(*to)),
        Action::Dnat { to, port: None } => format!("(dnat w #x{:032x})", number(*to)),
        Action::Dnat { to, port: Some(port) } => {
            format!("(dnat-port w #x{:032x} #x{port:04x})", number(*to))
        }
        Action::Tproxy { port, mark, on_miss } => {
            let miss = match on_miss {
                OnMiss::Drop => "(drop w)",
                OnMiss::Continue => "w",
            };
            let taken = format!("(tproxy w #x{port:04x} {})", change(*mark));
            format!("(ite |listens on {port}| {taken} {miss})")
        }
        Action::SetMark(to) => format!("(set-mark w {})", change(*to)),
        Action::MarkAndAccept(to) => format!("(accept (set-mark w {}))", change(*to)),
        Action::SetConnmark(to) => format!("(set-connmark w {})", change(*to)),
        Action::SaveMark(masks) => {
            format!("(save-mark w #x{:08x} #x{:08x})", masks.packet, masks.connection)
        }
        Action::RestoreMark(masks) => {
            format!("(restore-mark w #x{:08x} #x{:08x})", masks.packet, masks.connection)
        }
        Action::SetZone(zone) => format!("(set-zone w #x{zone:04x})"),
        // Opaque ones are refused before.
        Action::Jump(_) | Action::Log | Action::Notrack | Action::Opaque(_) => "w".to_owned(),
    }
}

/// What packets have because rules ask for it: proxies that listen, and sets.
pub(super) fn write_variables(out: &mut String, sides: &[Side<'_>; 2]) -> fmt::Result {
    let mut ports = BTreeSet::new();
    let mut sets = BTreeSet::new();
    for side in sides {
        for (table, rule) in rules(side.ruleset) {
            if let Action::Tproxy { port, .. } = rule.then {
                ports.insert(port);
            }
            for when in &rule.when {
                if let Match::InSet { of, set, .. } = when {
                    let words = side.set_words(table, set);
                    sets.insert(format!("{} in {words}", end(*of)));
                    sets.insert(format!("translated in {words}"));
                }
            }
        }
    }
    writeln!(out, "\n; Whether a transparent proxy listens on each port.")?;
    for port in ports {
        writeln!(out, "(declare-const |listens on {port}| Bool)")?;
    }
    writeln!(out, "\n; Whether its addresses are in sets that others fill.")?;
    for set in sets {
        writeln!(out, "(declare-const |{set}| Bool)")?;
    }
    Ok(())
}

/// Every rule, with its table.
pub(super) fn rules(ruleset: &Ruleset) -> impl Iterator<Item = (&Table, &Rule)> {
    ruleset.tables.iter().flat_map(|table| {
        let rules = table.chains.iter().flat_map(|chain| &chain.rules);
        rules.map(move |rule| (table, rule))
    })
}

/// The names of sets that rules in several tables of one of `rulesets` name.
pub(super) fn namesakes(rulesets: &[&Ruleset]) -> BTreeSet<Name> {
    let mut several = BTreeSet::new();
    for ruleset in rulesets {
        let mut tables: HashMap<&Name, &Table> = HashMap::new();
        for (table, rule) in rules(ruleset) {
            for when in &rule.when {
                if let Match::InSet { set, .. } = when
                    && !std::ptr::eq(*tables.entry(set).or_insert(table), table)
                {
                    several.insert(set.clone());
                }
            }
        }
    }
    several
}

const fn end(of: Direction) -> &'static str {
    match of {
        Direction::Source => "source",
        Direction::Destination => "destination",
    }
}

const fn is_of(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "(not is-ipv6)",
        Family::Ipv6 => "is-ipv6",
    }
}

fn unless(not: bool, condition: String) -> String {
    if not { format!("(not {condition})") } else { condition }
}

fn any(conditions: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = conditions.collect();
    match &all[..] {
        [] => "false".to_owned(),
        [one] => one.clone(),
        several => format!("(or {})", several.join(" ")),
    }
}

/// Whether `field` is in an inclusive range of numbers of so many hexadecimal digits.
fn within(field: &str, (first, last): (u32, u32), digits: usize) -> String {
    if first == last {
        format!("(= {field} #x{first:0digits$x})")
    } else {
        format!("(and (bvule #x{first:0digits$x} {field}) (bvule {field} #x{last:0digits$x}))")
    }
}

fn in_network(of: Direction, net: IpNet) -> String {
    let (network, mask) = (number(net.network()), number(net.netmask()));
    match net {
        IpNet::V4(_) => format!("(in4 ({}-of w) #x{network:08x} #x{mask:08x})", end(of)),
        IpNet::V6(_) => format!("(in6 ({}-of w) #x{network:032x} #x{mask:032x})", end(of)),
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Whether an interface is the one that is meant: all of its name, or the beginning.
fn is_called(field: &str, name: &Interface) -> String {
    let bytes = name.stem().bytes().fold(0_u128, |bytes, byte| bytes << 8 | u128::from(byte));
    let digits = 2 * name.stem().len();
    let rest = 4 * (2 * Interface::MAX_LEN - digits);
    if name.is_wildcard() {
        format!("(= ((_ extract 119 {rest}) {field}) #x{bytes:0digits$x})")
    } else {
        format!("(= {field} #x{:030x})", bytes << rest)
    }
}

fn owner_is(owner: Owner, is: &OwnerIs) -> String {
    let number = match owner {
        Owner::User => "user",
        Owner::Group => "group",
    };
    let among = |ids: &[(u32, u32)]| any(ids.iter().map(|range| within(number, *range, 8)));
    match is {
        OwnerIs::In(ids) => format!("(and (= (seen-sender w) process) {})", among(ids)),
        OwnerIs::NotIn { ids, ownerless: false } => {
            format!("(and (= (seen-sender w) process) (not {}))", among(ids))
        }
        OwnerIs::NotIn { ids, ownerless: true } => {
            format!("(or (distinct (seen-sender w) process) (not {}))", among(ids))
        }
    }
}

fn has_bits(field: &str, mark: Mark) -> String {
    format!("(= (bvand {field} #x{:08x}) #x{:08x})", mark.mask(), mark.value())
}
