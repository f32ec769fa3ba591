//! Packets that code makes: what is not said is as usual, as in [a line](super::text).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::Draft;
use super::{BadPacket, Holds, Packet, Sender};
use crate::ir::{Hook, Protocol};

impl Packet {
    /// The first packet of a TCP connection that a process of this machine opens, of user and group 1000.
    ///
    /// An IPv4 address in the form of IPv6 is one of IPv4, as the kernel sends it.
    ///
    /// ```
    /// use netweir::semantics::Packet;
    ///
    /// let packet = Packet::outbound_tcp("10.96.0.1:443".parse()?).sent_by(1337, 1337);
    /// assert_eq!(packet, "outbound tcp to 10.96.0.1:443 user 1337".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn outbound_tcp(to: SocketAddr) -> Self {
        Self::usual(Hook::Output, Protocol::Tcp, to)
    }

    /// The first UDP packet that a process of this machine sends there, of user and group 1000.
    #[must_use]
    pub fn outbound_udp(to: SocketAddr) -> Self {
        Self::usual(Hook::Output, Protocol::Udp, to)
    }

    /// The first packet of a TCP connection that another machine opens to this one, over `eth0`.
    ///
    /// ```
    /// use netweir::semantics::Packet;
    ///
    /// let packet = Packet::inbound_tcp("10.0.0.7:8080".parse()?);
    /// assert_eq!(packet, "inbound tcp to 10.0.0.7:8080".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn inbound_tcp(to: SocketAddr) -> Self {
        Self::usual(Hook::Prerouting, Protocol::Tcp, to)
    }

    /// The first UDP packet that another machine sends to this one, over `eth0`.
    #[must_use]
    pub fn inbound_udp(to: SocketAddr) -> Self {
        Self::usual(Hook::Prerouting, Protocol::Udp, to)
    }

    /// The same, of a process of this user and group. One that arrives: if a transparent proxy takes it, it
    /// is theirs.
    #[must_use]
    pub fn sent_by(mut self, user: u32, group: u32) -> Self {
        self.sender = Sender::Process { user, group };
        self
    }

    fn usual(hook: Hook, protocol: Protocol, to: SocketAddr) -> Self {
        let draft = Draft::to(hook, protocol, to.ip().to_canonical(), to.port());
        draft.finish().expect("it has a destination, and no source of another family")
    }
}

/// A packet in JSON: the line that [`FromStr`](std::str::FromStr) reads, and beside it, where there are any, the
/// answers to questions that the model leaves open, for which a line has no word.
#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Written {
    Line(String),
    Answered { packet: String, holds: BTreeSet<Holds> },
}

impl From<Packet> for Written {
    fn from(packet: Packet) -> Self {
        let line = packet.to_string();
        if packet.holds.is_empty() {
            Self::Line(line)
        } else {
            Self::Answered { packet: line, holds: packet.holds }
        }
    }
}

impl TryFrom<Written> for Packet {
    type Error = BadPacket;

    fn try_from(written: Written) -> Result<Self, BadPacket> {
        match written {
            Written::Line(line) => line.parse(),
            Written::Answered { packet, holds } => Ok(Self { holds, ..packet.parse()? }),
        }
    }
}

impl Serialize for Packet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written::from(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Packet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Written::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
