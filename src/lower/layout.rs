//! How lists become rules.

use ipnet::IpNet;

use crate::net::{Family, Interface, Nets, PortRange, PortSet, aggregate};

/// How lists become rules. Both layouts treat every packet alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// A list is one rule with a set, so that the cost of a packet does not grow with it, and
    /// chains that no packet reaches are left out.
    #[default]
    Compact,
    /// One rule an item, in upstream's order, to compare with upstream's listing line by line.
    Upstream,
}

impl Layout {
    /// The values of one rule after another. An empty list makes no rule.
    fn split<T, S>(self, items: &[T], join: impl Fn(&[T]) -> S) -> Vec<S> {
        match self {
            _ if items.is_empty() => Vec::new(),
            Self::Compact => vec![join(items)],
            Self::Upstream => items.chunks(1).map(join).collect(),
        }
    }

    pub(super) fn ports(self, ports: &[PortRange]) -> Vec<PortSet> {
        self.split(ports, |ports| ports.iter().copied().collect())
    }

    pub(super) fn ids(self, ids: &[u32]) -> Vec<Vec<(u32, u32)>> {
        self.split(ids, id_ranges)
    }

    /// Ranges of users or groups, each from the first to the last.
    pub(super) fn ranges(self, ranges: &[(u32, u32)]) -> Vec<Vec<(u32, u32)>> {
        self.split(ranges, joined)
    }

    pub(super) fn interfaces(self, interfaces: &[Interface]) -> Vec<Vec<Interface>> {
        self.split(interfaces, <[Interface]>::to_vec)
    }

    /// The prefixes of `family` only.
    pub(super) fn nets(self, nets: &[IpNet], family: Family) -> Vec<Nets> {
        match self {
            Self::Compact => aggregate(nets, family).into_iter().collect(),
            Self::Upstream => nets
                .iter()
                .map(|net| Nets::from(*net))
                .filter(|nets| nets.family() == family)
                .collect(),
        }
    }
}

/// `ids` as sorted ranges that do not overlap.
pub(super) fn id_ranges(ids: &[u32]) -> Vec<(u32, u32)> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().map(|id| (id, id)).collect()
}

/// `ranges`, sorted and joined where they overlap or touch.
fn joined(ranges: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::new();
    for (first, last) in sorted {
        match joined.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::{Layout, id_ranges, joined};
    use crate::net::Family;

    #[test]
    fn a_list_is_one_rule_or_one_an_item() {
        let ports = [80.into(), 443.into(), 80.into()];
        assert_eq!(Layout::Compact.ports(&ports).len(), 1);
        assert_eq!(Layout::Upstream.ports(&ports).len(), 3);
        for layout in [Layout::Compact, Layout::Upstream] {
            assert!(layout.ports(&[]).is_empty());
            let other_family = ["::/0".parse().expect("a prefix")];
            assert!(layout.nets(&other_family, Family::Ipv4).is_empty());
        }
    }

    #[test]
    fn ids_are_sorted_and_unique() {
        assert_eq!(id_ranges(&[7, 3, 7]), [(3, 3), (7, 7)]);
        assert_eq!(joined(&[(7, 9), (1, 2), (3, 5), (8, 8)]), [(1, 5), (7, 9)]);
    }
}
