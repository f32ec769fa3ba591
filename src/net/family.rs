//! IPv4, IPv6, or both.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// A network-layer protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// Both, IPv4 first.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// That of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// The loopback address: `127.0.0.1` or `::1`.
    #[must_use]
    pub const fn loopback(self) -> IpAddr {
        match self {
            Self::Ipv4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Self::Ipv6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
        }
    }

    /// The network of all addresses: `0.0.0.0/0` or `::/0`.
    #[must_use]
    pub const fn everywhere(self) -> IpNet {
        match self {
            Self::Ipv4 => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
            Self::Ipv6 => IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
        }
    }

    /// Bits in an address: 32 or 128.
    #[must_use]
    pub const fn address_bits(self) -> u8 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }

    /// The address of which the first `length` bits are set, or all if there are no more.
    pub(crate) fn netmask(self, length: u8) -> IpAddr {
        let rest = u32::from(self.address_bits().saturating_sub(length));
        match self {
            Self::Ipv4 => Ipv4Addr::from_bits(u32::MAX.checked_shl(rest).unwrap_or(0)).into(),
            Self::Ipv6 => Ipv6Addr::from_bits(u128::MAX.checked_shl(rest).unwrap_or(0)).into(),
        }
    }

    /// The word that the language has for it: `ipv4`.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// One family, or both. Never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Families {
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
    /// IPv4 and IPv6.
    Both,
}

impl Families {
    /// Whether `family` is one of them.
    #[must_use]
    pub const fn has(self, family: Family) -> bool {
        match self {
            Self::Ipv4 => matches!(family, Family::Ipv4),
            Self::Ipv6 => matches!(family, Family::Ipv6),
            Self::Both => true,
        }
    }

    /// The families, IPv4 first.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |family| self.has(*family))
    }

    /// Those in both `self` and `other`, if there are any.
    #[must_use]
    pub const fn and(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Both, families) | (families, Self::Both) => Some(families),
            (Self::Ipv4, Self::Ipv4) => Some(Self::Ipv4),
            (Self::Ipv6, Self::Ipv6) => Some(Self::Ipv6),
            (Self::Ipv4, Self::Ipv6) | (Self::Ipv6, Self::Ipv4) => None,
        }
    }
}

impl From<Family> for Families {
    fn from(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::Ipv4,
            Family::Ipv6 => Self::Ipv6,
        }
    }
}

/// A value for each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PerFamily<A, B> {
    /// For IPv4.
    pub ipv4: A,
    /// For IPv6.
    pub ipv6: B,
}
