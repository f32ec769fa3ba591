//! Conditions on packets.

use std::borrow::Cow;

use super::Condition;
use crate::net::{Interface, Mark, Name, Nets, PortSet};

/// One condition on a packet.
///
/// "Not" means the opposite truth value, for the packets that have the field at all: a port match
/// of either sense fails for a packet that is neither TCP nor UDP (or not [`Match::Protocol`]'s),
/// an address match of either sense fails for the other family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Match {
    /// The layer-4 protocol is, or is not, this one.
    Protocol {
        /// The protocol.
        protocol: Protocol,
        /// Whether every other protocol is meant.
        not: bool,
    },
    /// The packet is TCP or UDP, and its port is (not) in the set.
    Port {
        /// Source or destination port.
        of: Direction,
        /// The ports.
        ports: PortSet,
        /// Whether the ports outside the set are meant.
        not: bool,
    },
    /// The packet is of the set's family, and its address is (not) in the set.
    Address {
        /// Source or destination address.
        of: Direction,
        /// The addresses.
        nets: Nets,
        /// Whether the addresses outside the set are meant.
        not: bool,
    },
    /// The address is (not) in a set that others fill. Fails for the other family.
    InSet {
        /// Source or destination address.
        of: Direction,
        /// Name of a set of the same table.
        set: Name,
        /// Whether the addresses outside the set are meant.
        not: bool,
    },
    /// The interface is (not) one of these. A packet without such an interface (the incoming one
    /// at output, the outgoing one at prerouting) has the empty name, which none of these is.
    Interface {
        /// [`Direction::Source`]: it came in there; [`Direction::Destination`]: it goes out there.
        of: Direction,
        /// The interfaces.
        names: Vec<Interface>,
        /// Whether all other interfaces are meant.
        not: bool,
    },
    /// The process that sent the packet.
    Owner {
        /// Which number of it is compared.
        owner: Owner,
        /// How it is compared.
        is: OwnerIs,
    },
    /// The packet belongs to a local socket: a process's, or one of the kernel's own (which send
    /// resets over IPv4, ICMP errors and echo replies). Not so: forwarded packets, resets over IPv6,
    /// and what the kernel sends for a connection whose socket is gone.
    SocketExists {
        /// Whether packets without one are meant.
        not: bool,
    },
    /// The packet mark has (does not have) these bits.
    Mark {
        /// The bits.
        mark: Mark,
        /// Whether all other marks are meant.
        not: bool,
    },
    /// The connection mark has (does not have) these bits. A packet without a connection fails in
    /// either sense.
    Connmark {
        /// The bits.
        mark: Mark,
        /// Whether all other marks are meant.
        not: bool,
    },
    /// What connection tracking says of the packet is (not) one of these.
    CtState {
        /// The states.
        states: CtStates,
        /// Whether all other states are meant.
        not: bool,
    },
    /// The address is (not) one of this machine's: a local route of its namespace leads there.
    Local {
        /// Source or destination address.
        of: Direction,
        /// Whether all other addresses are meant.
        not: bool,
    },
    /// A transparent socket of this machine that is bound to an address of its own takes the
    /// packet (iptables `-m socket --transparent`, nft `socket transparent 1 socket wildcard 0`).
    TransparentSocket,
    /// The answer to a question that the model leaves open. Rules of others only: no policy comes to
    /// it, and no backend writes it.
    Opaque {
        /// The question.
        condition: Condition,
        /// Whether the opposite answer is meant.
        not: bool,
    },
}

impl Match {
    /// Whether every packet matches exactly one of the two. Never of addresses: a packet of the other family
    /// matches neither.
    pub(crate) fn is_opposite_of(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Owner { owner, is: OwnerIs::NotIn { ids, ownerless: true } },
                Self::Owner { owner: of, is: OwnerIs::In(known) },
            ) => owner == of && ids == known,
            (
                Self::Interface { of, names, not },
                Self::Interface { of: other, names: others, not: is },
            ) => of == other && names == others && not != is,
            (Self::Mark { mark, not }, Self::Mark { mark: other, not: is }) => {
                mark == other && not != is
            }
            _ => false,
        }
    }
}

/// A layer-4 protocol that rulesets tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Another, by its number (IANA's), which is neither 6 nor 17. Rules of others only.
    Other(u8),
}

impl Protocol {
    /// The protocol of a number.
    #[must_use]
    pub const fn of(number: u8) -> Self {
        match number {
            6 => Self::Tcp,
            17 => Self::Udp,
            other => Self::Other(other),
        }
    }

    /// Whether rules see ports of its packets.
    #[must_use]
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }

    /// Its name, as nft and iptables have it; of one without a name, its number.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        let number = match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Other(number) => number,
        };
        let named = NAMES.iter().find(|(_, of)| *of == number);
        named.map_or_else(|| number.to_string().into(), |(name, _)| (*name).into())
    }

    /// The protocol that is called so, or has that number.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let known = NAMES.iter().chain(ALIASES).find(|(name, _)| name.eq_ignore_ascii_case(text));
        known.map(|(_, number)| *number).or_else(|| text.parse().ok()).map(Self::of)
    }
}

/// Names of protocols and their numbers (IANA, 2026). The first of a number is the one that
/// iptables-save 1.8.9 and nft 1.0.6 print.
const NAMES: &[(&str, u8)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("ipencap", 4),
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("ipv6", 41),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipv6-icmp", 58),
    ("ospf", 89),
    ("pim", 103),
    ("comp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("mobility-header", 135),
    ("udplite", 136),
];

/// Other names.
const ALIASES: &[(&str, u8)] =
    &[("icmpv6", 58), ("ipip", 4), ("ipcomp", 108), ("ipv6-mh", 135), ("mh", 135)];

/// Which end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// Which number of a process is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The user that the socket belongs to.
    User,
    /// The group.
    Group,
}

/// How an owner is compared. Ranges are inclusive and sorted, and do not overlap.
///
/// Three kinds of packet have no owner, and every positive comparison fails for them: those of the
/// kernel's own sockets, forwarded ones, and those of connections whose socket is gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerIs {
    /// It is one of these.
    In(Vec<(u32, u32)>),
    /// It is none of these.
    NotIn {
        /// These.
        ids: Vec<(u32, u32)>,
        /// Whether a packet without an owner matches: yes for iptables' `! --uid-owner`, no for
        /// nft's `skuid !=`.
        ownerless: bool,
    },
}

/// A set of connection-tracking states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CtStates(u8);

/// What connection tracking says of a packet. Every packet has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CtState {
    /// It belongs to no connection and cannot begin one. It has no connection mark.
    Invalid,
    /// It begins a connection.
    New,
    /// Its connection has seen packets both ways.
    Established,
    /// It begins a connection that another one announced, or is an ICMP error about one.
    Related,
    /// It is exempt from tracking. It has no connection mark.
    Untracked,
}

impl CtState {
    /// All states.
    pub const ALL: [Self; 5] =
        [Self::Invalid, Self::New, Self::Established, Self::Related, Self::Untracked];

    /// As iptables and nft call it, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::New => "new",
            Self::Established => "established",
            Self::Related => "related",
            Self::Untracked => "untracked",
        }
    }

    /// Whether a packet in this state has a connection, and so a connection mark.
    #[must_use]
    pub const fn has_connection(self) -> bool {
        !matches!(self, Self::Invalid | Self::Untracked)
    }
}

impl CtStates {
    /// Whether `state` is in the set.
    #[must_use]
    pub const fn has(self, state: CtState) -> bool {
        self.0 & (1 << state as u8) != 0
    }

    /// The states, in the order of [`CtState::ALL`].
    pub fn iter(self) -> impl Iterator<Item = CtState> {
        CtState::ALL.into_iter().filter(move |state| self.has(*state))
    }
}

impl FromIterator<CtState> for CtStates {
    fn from_iter<I: IntoIterator<Item = CtState>>(states: I) -> Self {
        Self(states.into_iter().fold(0, |bits, state| bits | 1 << state as u8))
    }
}
