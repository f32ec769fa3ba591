//! iptables' own tables and chains, and their names in nft.

use super::{Base, ChainKind, Hook};

/// A table that the kernel has of its own, as iptables sees it. The order is that of their
/// priorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuiltInTable {
    /// Before connection tracking.
    Raw,
    /// Marks, and transparent proxies.
    Mangle,
    /// Translations.
    Nat,
    /// Everything else.
    Filter,
    /// What mandatory access control does.
    Security,
}

impl BuiltInTable {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Raw, Self::Mangle, Self::Nat, Self::Filter, Self::Security];

    /// As iptables calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Mangle => "mangle",
            Self::Nat => "nat",
            Self::Filter => "filter",
            Self::Security => "security",
        }
    }

    /// Where the kernel enters the table's built-in chain at `hook`; `None` if there is no such
    /// chain. The priorities are those of `linux/netfilter_ipv4.h`, the same for both families
    /// (Linux 6.18).
    #[must_use]
    pub const fn base(self, hook: Hook) -> Option<Base> {
        let (kind, priority) = match (self, hook) {
            (Self::Raw, Hook::Prerouting | Hook::Output) => (ChainKind::Filter, -300),
            (Self::Mangle, Hook::Output) => (ChainKind::Route, -150),
            (Self::Mangle, _) => (ChainKind::Filter, -150),
            (Self::Nat, Hook::Prerouting | Hook::Output) => (ChainKind::Nat, -100),
            (Self::Nat, Hook::Input | Hook::Postrouting) => (ChainKind::Nat, 100),
            (Self::Filter, Hook::Input | Hook::Forward | Hook::Output) => (ChainKind::Filter, 0),
            (Self::Security, Hook::Input | Hook::Forward | Hook::Output) => (ChainKind::Filter, 50),
            _ => return None,
        };
        Some(Base { kind, hook, priority })
    }
}

impl ChainKind {
    /// The type, as nft calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Route => "route",
        }
    }
}

impl Hook {
    /// All hooks.
    pub const ALL: [Self; 5] =
        [Self::Prerouting, Self::Input, Self::Forward, Self::Output, Self::Postrouting];

    /// The hook, as nft calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        }
    }

    /// The built-in chain at the hook, as iptables calls it.
    #[must_use]
    pub const fn built_in_chain(self) -> &'static str {
        match self {
            Self::Prerouting => "PREROUTING",
            Self::Input => "INPUT",
            Self::Forward => "FORWARD",
            Self::Output => "OUTPUT",
            Self::Postrouting => "POSTROUTING",
        }
    }
}

/// Upstream's chains whose names its two backends abbreviate differently: nft, iptables (Istio
/// 86c9f01f of 2026-08-22).
const ABBREVIATED: [(&str, &str); 2] =
    [("istio-prerouting", "ISTIO_PRERT"), ("istio-postrouting", "ISTIO_POSTRT")];

/// What iptables calls the chain that nft calls `name`: `ISTIO_OUTPUT` of `istio-output`.
#[must_use]
pub fn to_iptables_chain(name: &str) -> String {
    let abbreviated = ABBREVIATED.iter().find(|(nft, _)| *nft == name);
    abbreviated.map_or_else(
        || name.to_ascii_uppercase().replace('-', "_"),
        |(_, iptables)| (*iptables).to_owned(),
    )
}

/// What nft calls the chain that iptables calls `name`: `istio-output` of `ISTIO_OUTPUT`.
#[must_use]
pub fn from_iptables_chain(name: &str) -> String {
    let abbreviated = ABBREVIATED.iter().find(|(_, iptables)| *iptables == name);
    abbreviated
        .map_or_else(|| name.to_ascii_lowercase().replace('_', "-"), |(nft, _)| (*nft).to_owned())
}
