//! What a packet is.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::ir::{CtState, Direction, Hook, Protocol};
use crate::net::{Family, Name};

/// What rules can see of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where it is.
    pub hook: Hook,
    /// TCP, UDP, or (`None`) anything else.
    pub protocol: Option<Protocol>,
    /// Where it comes from; of the same family as `destination`.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// The port that it comes from; 0 if it is neither TCP nor UDP.
    pub source_port: u16,
    /// The port that it goes to; 0 if it is neither TCP nor UDP.
    pub destination_port: u16,
    /// The interface that it came in on, if the hook has one.
    pub input: Option<String>,
    /// The interface that it goes out on, if the hook has one.
    pub output: Option<String>,
    /// Who sent it. [`Sender::Nobody`] at prerouting, input and forward.
    pub sender: Sender,
    /// The packet mark.
    pub mark: u32,
    /// The mark of its connection; means nothing if it has none.
    pub connmark: u32,
    /// What connection tracking says of it.
    pub state: CtState,
    /// Ports on which no transparent proxy listens that would take it. One does on all others.
    pub no_listener: BTreeSet<u16>,
    /// The named sets that one of its addresses is in.
    pub sets: BTreeSet<(Direction, Name)>,
    /// Which of its addresses are this machine's.
    pub local: BTreeSet<Direction>,
    /// Whether a transparent socket that is bound to an address takes it.
    pub transparent_socket: bool,
}

/// Who sent a packet from this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sender {
    /// A process, through a socket of its own.
    Process {
        /// The user that the socket belongs to.
        user: u32,
        /// The group.
        group: u32,
    },
    /// The kernel, through a socket of its own: a reset, an ICMP error, an echo reply.
    Kernel,
    /// No socket: it was forwarded, or the socket is gone.
    Nobody,
}

impl Packet {
    /// The family of its addresses.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self.destination {
            IpAddr::V4(_) => Family::Ipv4,
            IpAddr::V6(_) => Family::Ipv6,
        }
    }

    /// The address at one end.
    #[must_use]
    pub const fn address(&self, of: Direction) -> IpAddr {
        match of {
            Direction::Source => self.source,
            Direction::Destination => self.destination,
        }
    }

    /// The port at one end.
    #[must_use]
    pub const fn port(&self, of: Direction) -> u16 {
        match of {
            Direction::Source => self.source_port,
            Direction::Destination => self.destination_port,
        }
    }

    /// The name of the interface at one end; empty if there is none.
    #[must_use]
    pub fn interface(&self, of: Direction) -> &str {
        let name = match of {
            Direction::Source => &self.input,
            Direction::Destination => &self.output,
        };
        name.as_deref().unwrap_or_default()
    }
}
