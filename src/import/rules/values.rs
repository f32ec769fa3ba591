//! Values that rules name, as clauses have them: each once, and in as few words as possible.

use std::net::IpAddr;

use ipnet::IpNet;

use super::leaf::{Leaf, Part, Then};
use crate::ir::{Action, Protocol};
use crate::net::{Families, Family, Nets, PortRange, PortSet, aggregate};
use crate::policy::{Selection, Setting};

/// A value that a rule has.
pub(super) const fn set<T>(value: T) -> Setting<T> {
    Setting::default_to(value)
}

/// The first value, else a default.
pub(super) fn first<T: Copy>(values: &[T], default: Setting<T>) -> Setting<T> {
    values.first().map_or(default, |value| set(*value))
}

/// Ports, joined where they touch.
#[derive(Clone, Debug, Default)]
pub(super) struct Ports(PortSet);

impl Ports {
    pub(super) fn add(&mut self, ports: &PortSet) {
        self.0 = self.0.ranges().iter().chain(ports.ranges()).copied().collect();
    }

    pub(super) fn without(&self, ports: impl IntoIterator<Item = u16>) -> Self {
        let ports: PortSet = ports.into_iter().map(PortRange::one).collect();
        Self(self.0.minus(&ports))
    }

    pub(super) fn list(&self) -> Vec<PortRange> {
        self.0.ranges().to_vec()
    }

    /// The same as the list of a default, if it holds the same ports.
    pub(super) fn list_or(&self, default: &Setting<Vec<PortRange>>) -> Setting<Vec<PortRange>> {
        let is_default = default.iter().copied().collect::<PortSet>() == self.0;
        if is_default { default.clone() } else { set(self.list()) }
    }

    /// Those ranges of which `captured` has some.
    pub(super) fn within(&self, captured: &Self) -> Vec<PortRange> {
        let overlap =
            |range: &PortRange| captured.0.ranges().iter().any(|other| range.overlaps(*other));
        self.0.ranges().iter().copied().filter(overlap).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, port: u16) -> bool {
        self.0.contains(port)
    }

    /// The only port; `None` if there are more or none.
    pub(super) fn only(&self) -> Option<u16> {
        match self.0.ranges() {
            [one] if one.first() == one.last() => Some(one.first()),
            _ => None,
        }
    }
}

/// Prefixes, joined where they make larger ones, IPv4 first.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefixes(Vec<IpNet>);

impl Prefixes {
    pub(super) fn add(&mut self, nets: Option<&Nets>) {
        self.0.extend(nets.into_iter().flatten());
    }

    /// Adds the addresses that a rule asks for, or, if it asks for none, all of its family.
    pub(super) fn add_of(&mut self, leaf: &Leaf<'_>, part: Part) {
        match leaf.when.nets(part) {
            Some(nets) => self.0.extend(nets),
            None => self.0.push(leaf.family.everywhere()),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is selected of these families.
    pub(super) fn selection(&self, families: Families) -> Setting<Selection<IpNet>> {
        let list = self.list();
        let is_all = families.iter().all(|family| list.contains(&family.everywhere()));
        selection(is_all, list)
    }

    pub(super) fn without(&self, nets: &[IpNet]) -> Self {
        Self(self.0.iter().filter(|net| !nets.contains(net)).copied().collect())
    }

    pub(super) fn list(&self) -> Vec<IpNet> {
        let joined = Family::ALL.into_iter().filter_map(|family| aggregate(&self.0, family));
        joined.flat_map(|nets| nets.iter().collect::<Vec<_>>()).collect()
    }
}

/// Adds what is not there yet.
pub(super) fn add<T: PartialEq + Clone>(list: &mut Vec<T>, values: &[T]) {
    for value in values {
        if !list.contains(value) {
            list.push(value.clone());
        }
    }
}

/// Each of the numbers.
pub(super) fn each(ids: &[(u32, u32)]) -> Vec<u32> {
    ids.iter().flat_map(|(first, last)| *first..=*last).take(MOST_IDS).collect()
}

/// Most users, groups or addresses that are told one by one.
const MOST_IDS: usize = 4096;

/// Each address of a prefix.
pub(super) fn addresses(net: IpNet) -> Vec<IpAddr> {
    let hosts = net.subnets(net.max_prefix_len()).into_iter().flatten();
    hosts.map(|host| host.addr()).take(MOST_IDS).collect()
}

/// The port that packets are redirected to.
pub(super) const fn redirected(then: Then<'_>) -> Option<u16> {
    match then {
        Then::Does(Action::Redirect { port }) => Some(*port),
        _ => None,
    }
}

/// The families of which something is read.
pub(super) fn families(leaves: &[Leaf<'_>]) -> Option<Families> {
    let has = |family| leaves.iter().any(|leaf| leaf.family == family);
    match (has(Family::Ipv4), has(Family::Ipv6)) {
        (true, true) => Some(Families::Both),
        (true, false) => Some(Families::Ipv4),
        (false, true) => Some(Families::Ipv6),
        (false, false) => None,
    }
}

/// The one address of a part.
pub(super) fn address(leaf: &Leaf<'_>, part: Part) -> Option<IpNet> {
    let nets = leaf.when.nets(part)?;
    let mut nets = nets.iter();
    nets.next().filter(|_| nets.next().is_none())
}

/// Whether it is about the loopback interface alone.
pub(super) fn over_lo(leaf: &Leaf<'_>, part: Part) -> bool {
    matches!(leaf.when.interfaces(part), [name] if name.to_string() == "lo")
}

/// Whether it is about UDP and nothing else.
pub(super) fn is_udp(leaf: &Leaf<'_>) -> bool {
    leaf.when.protocol == Some(Protocol::Udp)
}

/// Everything, or a list.
pub(super) fn selection<T>(is_all: bool, list: Vec<T>) -> Setting<Selection<T>> {
    set(if is_all { Selection::All } else { Selection::Only(list) })
}
