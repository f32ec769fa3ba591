//! What a policy is lowered to: everything that later phases know of it.

use std::collections::BTreeMap;

use crate::ir::{HostStep, Ruleset};
use crate::net::{Families, Mark, Name};
use crate::span::Span;

/// What a policy comes to. Nothing behind this knows of which kind the policy is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lowered {
    /// The families that it governs; the other is left untouched.
    pub families: Families,
    /// What packets meet.
    pub ruleset: Ruleset,
    /// The tables that a policy of this kind may have, in any version of it. Loading or removing
    /// the policy replaces these and no others. The last is the best known.
    pub owned: Vec<Name>,
    /// How iptables calls the beginning of its chains that only jumps enter, in any version of it: `ISTIO_`.
    pub chains: &'static str,
    /// What the namespace needs beside the ruleset, in the order in which it may appear.
    pub host: Vec<HostStep>,
    /// The protocol number (`rtnetlink(7)`, `rtm_protocol`) that its routes and routing rules bear, in any
    /// version of it, so that those of an older version are found by it; `None` if no version has any.
    pub protocol: Option<u8>,
    /// What no other policy of the namespace may use.
    pub(crate) claims: Vec<Claim>,
    /// What the ports of the proxy are for.
    pub ports: Ports,
    /// Who the proxy is.
    pub owners: Owners,
}

/// Something that a policy takes for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// What it takes.
    pub(crate) what: Claimed,
    /// The clause that asked for it; `None` if a default did.
    pub(crate) clause: Option<Span>,
}

/// What a policy takes for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// Bits of the mark of packets, which get a meaning. The marks of connections are among them:
    /// each is copied to packets or from them, so that what meets there meets here.
    Mark {
        /// The clause that sets it: `outbound-mark`.
        words: &'static str,
        /// The bits, and their meaning.
        mark: Mark,
    },
    /// A routing table, which it fills.
    RoutingTable(u32),
}

/// What the ports of a policy's proxy are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    names: BTreeMap<u16, &'static str>,
}

/// What the port is called to which queries go.
const DNS_PORT: &str = "DNS port";

impl Ports {
    /// These ports, each with what it is: `outbound proxy port`. Of two of one number, the first
    /// name stays.
    fn named<const N: usize>(ports: [(&'static str, Option<u16>); N]) -> Self {
        let mut names = BTreeMap::new();
        for (name, port) in ports {
            if let Some(port) = port {
                names.entry(port).or_insert(name);
            }
        }
        Self { names }
    }

    /// The two of a proxy, and that of DNS if it has one.
    #[must_use]
    pub fn of_proxy(outbound: u16, inbound: u16, dns: Option<u16>) -> Self {
        Self::named([
            ("outbound proxy port", Some(outbound)),
            ("inbound proxy port", Some(inbound)),
            (DNS_PORT, dns),
        ])
    }

    /// The port to which queries go; `None` if DNS is not captured.
    #[must_use]
    pub fn dns(&self) -> Option<u16> {
        self.names.iter().find(|(_, name)| **name == DNS_PORT).map(|(port, _)| *port)
    }

    /// What the port is; `None` if it is none of the proxy's.
    #[must_use]
    pub fn name(&self, port: u16) -> Option<&'static str> {
        self.names.get(&port).copied()
    }
}

/// Whose processes are the proxy. Both lists are empty if the proxy is not in the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Owners {
    /// Users.
    pub users: Vec<u32>,
    /// Groups.
    pub groups: Vec<u32>,
}

impl Owners {
    /// A user, a group, or both.
    pub(super) fn new(user: Option<u32>, group: Option<u32>) -> Self {
        Self { users: user.into_iter().collect(), groups: group.into_iter().collect() }
    }
}

/// A kind of policy that can be lowered.
pub(super) trait Lower {
    /// Everything that it comes to.
    fn lower(&self) -> Lowered;
}
