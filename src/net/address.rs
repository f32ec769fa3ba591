//! Sets of addresses.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Family;

/// A set of addresses of one family, as sorted prefixes that do not overlap and cannot be joined,
/// so that equal sets are equal values. Never empty when a rule holds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nets {
    /// IPv4 prefixes.
    Ipv4(Vec<Ipv4Net>),
    /// IPv6 prefixes.
    Ipv6(Vec<Ipv6Net>),
}

impl Nets {
    /// The family of the addresses.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Ipv4(_) => Family::Ipv4,
            Self::Ipv6(_) => Family::Ipv6,
        }
    }

    /// How many prefixes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Ipv4(nets) => nets.len(),
            Self::Ipv6(nets) => nets.len(),
        }
    }

    /// Whether no address is in the set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The prefixes, lowest first.
    #[must_use]
    pub fn iter(&self) -> Box<dyn ExactSizeIterator<Item = IpNet> + '_> {
        match self {
            Self::Ipv4(nets) => Box::new(nets.iter().copied().map(IpNet::V4)),
            Self::Ipv6(nets) => Box::new(nets.iter().copied().map(IpNet::V6)),
        }
    }

    /// Whether `address` is in the set. An address of the other family is not.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::Ipv4(nets), IpAddr::V4(address)) => {
                let at = nets.partition_point(|net| net.broadcast() < address);
                nets.get(at).is_some_and(|net| net.contains(&address))
            }
            (Self::Ipv6(nets), IpAddr::V6(address)) => {
                let at = nets.partition_point(|net| net.broadcast() < address);
                nets.get(at).is_some_and(|net| net.contains(&address))
            }
            _ => false,
        }
    }
}

impl<'a> IntoIterator for &'a Nets {
    type Item = IpNet;
    type IntoIter = Box<dyn ExactSizeIterator<Item = IpNet> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<IpNet> for Nets {
    /// The addresses of one prefix. Bits behind the prefix do not count.
    fn from(net: IpNet) -> Self {
        match net.trunc() {
            IpNet::V4(net) => Self::Ipv4(vec![net]),
            IpNet::V6(net) => Self::Ipv6(vec![net]),
        }
    }
}

/// The prefixes of `family` in `nets`, joined; `None` if there are none.
#[must_use]
pub fn aggregate(nets: &[IpNet], family: Family) -> Option<Nets> {
    if let [net] = nets {
        return Some(Nets::from(*net)).filter(|nets| nets.family() == family);
    }
    let joined = match family {
        Family::Ipv4 => Nets::Ipv4(Ipv4Net::aggregate(
            &nets
                .iter()
                .filter_map(|net| if let IpNet::V4(net) = net { Some(net.trunc()) } else { None })
                .collect(),
        )),
        Family::Ipv6 => Nets::Ipv6(Ipv6Net::aggregate(
            &nets
                .iter()
                .filter_map(|net| if let IpNet::V6(net) = net { Some(net.trunc()) } else { None })
                .collect(),
        )),
    };
    (!joined.is_empty()).then_some(joined)
}

/// The prefix as the language writes it: that of one address is the address.
pub(crate) fn written_net(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

#[cfg(test)]
mod tests {
    use super::{Family, aggregate};

    #[test]
    fn a_set_is_sorted_joined_and_searched() {
        let nets = ["10.1.0.0/16", "10.0.0.0/16", "::1/128", "10.0.7.0/24", "192.0.2.1/32"];
        let nets: Vec<_> = nets.iter().map(|net| net.parse().unwrap()).collect();
        let set = aggregate(&nets, Family::Ipv4).unwrap();
        assert_eq!(
            set.iter().map(|net| net.to_string()).collect::<Vec<_>>(),
            ["10.0.0.0/15", "192.0.2.1/32"]
        );
        for (address, within) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("192.0.2.1", true),
            ("::1", false),
        ] {
            assert_eq!(set.contains(address.parse().unwrap()), within, "{address}");
        }
    }
}
