//! Where connections are sent.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An address, and perhaps a port of it. Displays as nft and iptables write it: `127.0.0.1:53`,
/// `[::1]:53`, `::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    /// The address.
    pub address: IpAddr,
    /// The port, 1 to 65535; `None`: that of what is sent there.
    pub port: Option<u16>,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}
