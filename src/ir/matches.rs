//! Conditions on packets.

use crate::net::{Interface, Mark, Name, Nets, PortSet};

/// One condition on a packet.
///
/// "Not" means the opposite truth value, for the packets that have the field at all: a port match
/// of either sense fails for a packet that is neither TCP nor UDP (or not [`Match::Protocol`]'s),
/// an address match of either sense fails for the other family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
}

/// A layer-4 protocol that rulesets tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

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
