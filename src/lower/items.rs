//! The items of lists, each of which is a rule of its own.

use ipnet::IpNet;

use crate::net::{Family, Interface, Nets, PortRange, PortSet};

/// The ports of one rule after another. An empty list makes no rule.
pub(super) fn ports(ports: &[PortRange]) -> impl Iterator<Item = PortSet> {
    ports.iter().map(|ports| PortSet::from_iter([*ports]))
}

/// The users or groups of one rule after another.
pub(super) fn ids(ids: &[u32]) -> impl Iterator<Item = Vec<(u32, u32)>> {
    ids.iter().map(|id| vec![(*id, *id)])
}

/// The users or groups of one rule after another, of ranges from the first to the last.
pub(super) fn ranges(ranges: &[(u32, u32)]) -> impl Iterator<Item = Vec<(u32, u32)>> {
    ranges.iter().map(|range| vec![*range])
}

/// The interfaces of one rule after another.
pub(super) fn interfaces(names: &[Interface]) -> impl DoubleEndedIterator<Item = Vec<Interface>> {
    names.iter().map(|name| vec![name.clone()])
}

/// The prefixes of one rule after another: those of `family` only.
pub(super) fn nets(nets: &[IpNet], family: Family) -> impl DoubleEndedIterator<Item = Nets> {
    nets.iter().map(|net| Nets::from(*net)).filter(move |nets| nets.family() == family)
}

/// `ids` as sorted ranges that do not overlap.
pub(super) fn id_ranges(ids: &[u32]) -> Vec<(u32, u32)> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().map(|id| (id, id)).collect()
}

#[cfg(test)]
mod tests {
    use super::{id_ranges, nets, ports};
    use crate::net::Family;

    #[test]
    fn a_list_is_one_rule_an_item() {
        assert_eq!(ports(&[80.into(), 443.into(), 80.into()]).count(), 3);
        let other_family = ["::/0".parse().expect("a prefix")];
        assert_eq!(nets(&other_family, Family::Ipv4).count(), 0);
    }

    #[test]
    fn ids_are_sorted_and_unique() {
        assert_eq!(id_ranges(&[7, 3, 7]), [(3, 3), (7, 7)]);
    }
}
