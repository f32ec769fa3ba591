//! What policies are written as.

use crate::net::Family;

/// What a policy can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum View {
    /// A script for `nft -f`.
    Nft,
    /// libnftables JSON for `nft -j -f`.
    Json,
    /// Text for `iptables-restore --noflush` (IPv4) or `ip6tables-restore --noflush` (IPv6), in
    /// upstream's layout; empty if the family is left untouched.
    Iptables(Family),
    /// A shell script that loads both of these texts in the place of every other version of the policy.
    IptablesScript,
    /// The policy itself, formatted, with every default written out.
    Policy,
    /// The ruleset in words.
    Ir,
    /// A shell script with the `ip` commands that the ruleset needs beside it.
    Routing,
    /// The same commands for `ip -batch` (IPv4) or `ip -6 -batch` (IPv6).
    RoutingBatch(Family),
    /// A shell script that removes what loading and routing added.
    Teardown,
}

impl View {
    /// Every view.
    pub const ALL: &[Self] = &[
        Self::Nft,
        Self::Json,
        Self::Iptables(Family::Ipv4),
        Self::Iptables(Family::Ipv6),
        Self::IptablesScript,
        Self::Policy,
        Self::Ir,
        Self::Routing,
        Self::RoutingBatch(Family::Ipv4),
        Self::RoutingBatch(Family::Ipv6),
        Self::Teardown,
    ];

    /// How a file of this view is called behind the policy's name: `nft`, `routing.sh`.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::Json => "json",
            Self::Iptables(Family::Ipv4) => "iptables",
            Self::Iptables(Family::Ipv6) => "ip6tables",
            Self::IptablesScript => "iptables.sh",
            Self::Policy => "policy.weir",
            Self::Ir => "ir.txt",
            Self::Routing => "routing.sh",
            Self::RoutingBatch(Family::Ipv4) => "routing.batch",
            Self::RoutingBatch(Family::Ipv6) => "routing6.batch",
            Self::Teardown => "teardown.sh",
        }
    }
}
