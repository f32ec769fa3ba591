//! What a packet is.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::ir::{Condition, CtState, Direction, Hook, Protocol, Ruleset, Table};
use crate::net::{Families, Family, Name};

/// What rules can see of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where it is.
    pub hook: Hook,
    /// Its layer-4 protocol; `None`: one that no rule names.
    pub protocol: Option<Protocol>,
    /// Where it comes from; of the same family as `destination`.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// The port that it comes from; 0 if it is neither TCP nor UDP.
    pub source_port: u16,
    /// The port that it goes to; 0 if it is neither TCP nor UDP.
    pub destination_port: u16,
    /// The interface that it came in on, if the hook has one, or it is forwarded.
    pub input: Option<String>,
    /// The interface that it goes out on, if the hook has one.
    pub output: Option<String>,
    /// Whose socket it has: at output and postrouting who sent it, at input who receives it. At
    /// prerouting, who gets it if a transparent proxy takes it. [`Sender::Nobody`] at forward.
    pub sender: Sender,
    /// The packet mark.
    pub mark: u32,
    /// The mark of its connection; means nothing if it has none.
    pub connmark: u32,
    /// What connection tracking says of it.
    pub state: CtState,
    /// What is decided of its connection's translation.
    pub translation: Decided,
    /// The first address of the interface that it came in on, to which a redirect at prerouting
    /// leads, and any translation that does not say which address it leads to.
    pub interface_address: IpAddr,
    /// The port to which a translation leads that does not say which.
    pub translated_port: u16,
    /// Ports on which no transparent proxy listens that would take it. One does on all others.
    pub no_listener: BTreeSet<u16>,
    /// The named sets that its addresses are in.
    pub sets: BTreeSet<InSet>,
    /// Which of its addresses are this machine's.
    pub local: BTreeSet<End>,
    /// Whether a transparent socket that is bound to an address takes it.
    pub transparent_socket: bool,
    /// Which of the questions that the model leaves open have the answer yes.
    pub holds: BTreeSet<Holds>,
}

/// The answer to a [`Condition`] is yes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Holds {
    /// The question.
    pub condition: Condition,
    /// Whether it is asked of the packet as translation leaves it, which is another packet.
    pub translated: bool,
}

impl Holds {
    /// `condition`, as it is asked of a packet that is translated or not. What more than the packet
    /// decides does not depend on that.
    #[must_use]
    pub fn asked(condition: &Condition, translated: bool) -> Self {
        let translated = translated && condition.asked_by.is_none();
        Self { condition: condition.clone(), translated }
    }
}

/// What is decided of the translation of a packet's connection, at the end that its hook
/// translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decided {
    /// Nothing: nat chains are asked. Only in state new and related.
    Nothing,
    /// It stays as it is, and nat chains are not asked.
    Unchanged,
    /// It becomes this, and nat chains are not asked. Needs a connection.
    Becomes(IpAddr, u16),
}

impl Decided {
    /// What is usual for a packet: the first of a connection asks where it meets the hook first.
    #[must_use]
    pub fn usual(hook: Hook, input: Option<&str>, state: CtState) -> Self {
        let is_looped = input == Some("lo");
        let asks = state == CtState::New && !is_looped && hook.translates().is_some();
        if asks { Self::Nothing } else { Self::Unchanged }
    }
}

/// An address of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Where it comes from, as it came to the hook.
    Source,
    /// Where it goes, as it came to the hook.
    Destination,
    /// What translation makes of one of them.
    Translated,
}

impl From<Direction> for End {
    fn from(of: Direction) -> Self {
        match of {
            Direction::Source => Self::Source,
            Direction::Destination => Self::Destination,
        }
    }
}

/// One of a packet's addresses is in a set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InSet {
    /// Which address.
    pub end: End,
    /// The table of the set, by [`table_name`](InSet::table_name); `None` means any table.
    pub table: Option<String>,
    /// The set.
    pub set: Name,
}

impl InSet {
    /// What tells a table of `ruleset` from the others: its name, or, if several have that, with
    /// the families before it, as in `ip:istio-proxy-nat`.
    #[must_use]
    pub fn table_name(ruleset: &Ruleset, table: &Table) -> String {
        let namesakes = ruleset.tables.iter().filter(|other| other.name == table.name).count();
        if namesakes < 2 {
            return table.name.to_string();
        }
        let families = match table.families {
            Families::Both => "inet",
            Families::Ipv4 => "ip",
            Families::Ipv6 => "ip6",
        };
        format!("{families}:{}", table.name)
    }
}

/// Whose socket a packet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sender {
    /// A process, through a socket of its own.
    Process {
        /// The user that the socket belongs to.
        user: u32,
        /// The group.
        group: u32,
    },
    /// The kernel, through a socket of its own: a reset over IPv4, an ICMP error, an echo reply.
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

    /// Whether it has ports that rules see.
    #[must_use]
    pub fn has_ports(&self) -> bool {
        self.protocol.is_some_and(Protocol::has_ports)
    }

    /// The port at one end.
    #[must_use]
    pub const fn port(&self, of: Direction) -> u16 {
        match of {
            Direction::Source => self.source_port,
            Direction::Destination => self.destination_port,
        }
    }

    /// Whether one of its addresses is in the set of a table.
    #[must_use]
    pub fn is_in(&self, end: End, table: &str, set: &Name) -> bool {
        self.sets.iter().any(|known| {
            known.end == end
                && known.set == *set
                && known.table.as_deref().is_none_or(|known| known == table)
        })
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
