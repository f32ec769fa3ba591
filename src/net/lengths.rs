//! Long lists of prefixes, as lists of prefixes of one length.
//!
//! Whether an address is in one of many prefixes of one length, its first bits tell: one lookup by hash,
//! which costs the same however many there are. A shorter prefix stands there as all those that it holds.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Nets, aggregate};

/// Most prefixes of a list that is short, and read by people.
const SHORT: usize = 64;
/// Most prefixes of which nobody can tell how they are looked up.
const FEW: usize = 8;
/// How many times as many prefixes a list may have if all of them have one length. So many take no more memory of the
/// kernel than intervals do (62 bytes each, and 166; Linux 6.18).
const MOST_TIMES: usize = 2;

/// Lengths of prefixes, shortest first, and how many have each.
type Counts = [(u8, usize)];

/// Whether they are more prefixes than people read.
pub(crate) const fn are_long(nets: &[IpNet]) -> bool {
    nets.len() > SHORT
}

impl Nets {
    /// Whether there are more prefixes than people read.
    pub(crate) const fn is_long(&self) -> bool {
        self.len() > SHORT
    }

    /// The length in bits that all prefixes of a long list can have; `None` if the list is short, or there
    /// would be too many.
    pub(crate) fn one_length(&self) -> Option<u8> {
        if !self.is_long() {
            return None;
        }
        let counts = self.counts();
        counts.last().filter(|_| can_be_alike(&counts)).map(|(length, _)| *length)
    }

    /// The prefixes as those of this length, each by its first address. None of them is longer.
    pub(crate) fn of_length(&self, length: u8) -> impl Iterator<Item = IpAddr> {
        let parts = move |net: IpNet| net.subnets(length).into_iter().flatten();
        self.iter().flat_map(parts).map(|net| net.addr())
    }

    /// The same addresses as a few lists, which together cost a packet less if the list is long; as they are, if
    /// nothing does.
    pub(crate) fn by_length(&self) -> Vec<Self> {
        let counts = self.counts();
        let firsts = if self.is_long() { parted(&counts) } else { Vec::new() };
        if firsts.len() < 2 {
            return vec![self.clone()];
        }
        let mut lists: Vec<Vec<IpNet>> = vec![Vec::new(); firsts.len()];
        for net in self {
            let behind = firsts.partition_point(|first| counts[*first].0 <= net.prefix_len());
            lists[behind - 1].push(net);
        }
        lists.iter().filter_map(|nets| aggregate(nets, self.family())).collect()
    }

    fn counts(&self) -> Vec<(u8, usize)> {
        let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
        for net in self {
            *counts.entry(net.prefix_len()).or_default() += 1;
        }
        counts.into_iter().collect()
    }
}

/// Whether all prefixes of a list can have the longest length, without being too many.
fn can_be_alike(counts: &Counts) -> bool {
    let Some((longest, _)) = counts.last() else { return false };
    let held = |(length, count): &(u8, usize)| {
        count.checked_mul(1_usize.checked_shl(u32::from(longest - length))?)
    };
    let all = counts.iter().try_fold(0_usize, |all, of| all.checked_add(held(of)?));
    all.is_some_and(|all| all <= MOST_TIMES * listed(counts))
}

fn listed(counts: &Counts) -> usize {
    counts.iter().map(|(_, count)| count).sum()
}

/// What the list costs each packet; a lookup by hash is 1. Measured with nft 1.0.6 on Linux 6.18, where that is
/// 0.03 μs.
fn cost(counts: &Counts) -> usize {
    match listed(counts) {
        count if count <= FEW => 1,
        count if count <= SHORT => 3,
        _ if can_be_alike(counts) => 1,
        _ => 5,
    }
}

/// The place of the first length of each list, so that they cost least.
fn parted(counts: &Counts) -> Vec<usize> {
    // For the lengths before each place: what they cost, how many lists they are, and where these begin.
    let mut best: Vec<(usize, usize, Vec<usize>)> = vec![(0, 0, Vec::new())];
    for end in 1..=counts.len() {
        let last_from = |first: usize| {
            let (before, lists, firsts) = &best[first];
            (before + cost(&counts[first..end]), lists + 1, [&firsts[..], &[first]].concat())
        };
        best.extend((0..end).map(last_from).min());
    }
    best.pop().map_or_else(Vec::new, |(.., firsts)| firsts)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use ipnet::{IpNet, Ipv4Net, Ipv6Net};

    use super::super::{Family, Nets, aggregate};

    /// So many prefixes of a length, of which no two can be joined.
    fn nets(count: u32, length: u8, begins: u8) -> Vec<IpNet> {
        let each = |at: u32| {
            let first = u32::from_be_bytes([begins, 0, 0, 0]) + ((2 * at) << (32 - length));
            Ipv4Net::new_assert(Ipv4Addr::from_bits(first), length).into()
        };
        (0..count).map(each).collect()
    }

    fn list(parts: &[Vec<IpNet>]) -> Nets {
        aggregate(&parts.concat(), Family::Ipv4).unwrap()
    }

    /// How many prefixes each list has, and which length they can have.
    fn lists(of: &Nets) -> Vec<(usize, Option<u8>)> {
        of.by_length().iter().map(|list| (list.len(), list.one_length())).collect()
    }

    #[test]
    fn a_long_list_of_one_length_is_looked_up_by_hash() {
        let long = list(&[nets(65, 24, 10)]);
        assert_eq!(long.one_length(), Some(24));
        assert_eq!(lists(&long), [(65, Some(24))]);
        let firsts: Vec<_> = long.of_length(24).collect();
        assert_eq!(firsts.len(), 65);
        assert_eq!(firsts[1], IpAddr::from([10, 0, 2, 0]));
    }

    #[test]
    fn a_short_list_stays() {
        let short = list(&[nets(64, 24, 10)]);
        assert_eq!(short.one_length(), None);
        assert_eq!(short.by_length(), [short]);
    }

    #[test]
    fn a_shorter_prefix_is_what_it_holds_if_that_is_not_too_much() {
        let [few, many] = [50, 51].map(|count| list(&[nets(100, 24, 10), nets(count, 22, 11)]));
        assert_eq!(few.one_length(), Some(24));
        assert_eq!(few.of_length(24).count(), 2 * few.len());
        assert_eq!(few.of_length(24).last(), Some(IpAddr::from([11, 1, 139, 0])));
        assert_eq!(many.one_length(), None);
    }

    #[test]
    fn a_long_list_is_what_costs_a_packet_least() {
        let mixed = [nets(70, 16, 10), nets(80, 24, 20), nets(90, 23, 30), nets(100, 32, 40)];
        assert_eq!(lists(&list(&mixed)), [(70, Some(16)), (170, Some(24)), (100, Some(32))]);
        let odd = [nets(900, 24, 10), nets(1, 8, 20), nets(2, 12, 30), nets(1, 32, 40)];
        assert_eq!(lists(&list(&odd)), [(3, None), (900, Some(24)), (1, None)]);
        let short = [nets(20, 16, 10), nets(20, 24, 20), nets(30, 32, 30)];
        assert_eq!(lists(&list(&short)), [(70, None)], "three lookups among intervals cost more");
        let every: Vec<_> = (16..=32).map(|length| nets(70, length, length)).collect();
        assert_eq!(lists(&list(&every)), [(17 * 70, None)]);
    }

    #[test]
    fn lists_hold_the_same_addresses() {
        let mixed = list(&[nets(70, 16, 10), nets(80, 25, 20), nets(100, 32, 40)]);
        let parts = mixed.by_length();
        assert_eq!(parts.len(), 3);
        let all: Vec<IpNet> = parts.iter().flatten().collect();
        assert_eq!(aggregate(&all, Family::Ipv4), Some(mixed));
    }

    #[test]
    fn prefixes_of_ipv6_are_never_split_into_more_than_can_be_counted() {
        let net = |at: u16, length| {
            let address = Ipv6Addr::new(0x2000 + 2 * at, 0, 0, 0, 0, 0, 0, 0);
            IpNet::from(Ipv6Net::new_assert(address, length))
        };
        let nets: Vec<_> = (0..70).map(|at| net(at, 16)).chain([net(90, 128)]).collect();
        let long = aggregate(&nets, Family::Ipv6).unwrap();
        assert_eq!(long.one_length(), None);
        assert_eq!(lists(&long), [(70, Some(16)), (1, None)]);
    }
}
