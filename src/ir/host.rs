//! What a namespace needs beside its rules: addresses, routes, and rules that choose a route.

use std::fmt;
use std::net::IpAddr;

use crate::net::{Family, Mark};

/// Something that a namespace needs beside its rules, for one family.
///
/// Of several, each may need what stands before it: a route stands before the rule that leads to
/// it. They are taken away in the reverse order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostStep {
    /// The family.
    pub family: Family,
    /// What it adds.
    pub adds: HostPart,
}

/// An address, a route or a routing rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPart {
    /// An address of the loopback interface, of the step's family, for the proxy to bind.
    Address(IpAddr),
    /// In this routing table, every destination is this machine.
    LocalRoute {
        /// The table, 1 to 4294967295.
        table: u32,
    },
    /// Packets with this mark are routed by this table.
    MarkRule {
        /// The mark.
        mark: Mark,
        /// The table.
        table: u32,
        /// When the rule is asked, among the routing rules: lower first. `None`: the kernel puts
        /// it before those that are there.
        priority: Option<u32>,
    },
}

/// `IPv6 address ::6 of lo`, `IPv4 rule: mark 0x539 by table 133`.
impl fmt::Display for HostStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.family)?;
        match self.adds {
            HostPart::Address(address) => write!(f, "address {address} of lo"),
            HostPart::LocalRoute { table } => {
                write!(f, "route: all of table {table} to this machine")
            }
            HostPart::MarkRule { mark, table, .. } => {
                write!(f, "rule: mark {mark} by table {table}")
            }
        }
    }
}
