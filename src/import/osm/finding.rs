//! What there is to say about an import from Open Service Mesh: notes and mistakes.

use crate::diag::Fault;
use crate::import::advice::{Advice, Advise};
use crate::import::finding::findings;
use crate::import::{GeneralReason, GeneralRemark};

findings!();

/// What a [`Note`] says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Remark {
    /// What other imports say, too.
    #[error(transparent)]
    General(#[from] GeneralRemark),
    /// Whether a pod gets a proxy.
    #[error(
        "read as OSM's injector reads it; whether the namespace asks for the proxy is in none of \
         the manifests"
    )]
    AsInjected,
    /// The `MeshConfig` is not there.
    #[error("the MeshConfig decides, too, and it is not known: its defaults are taken")]
    MeshUnknown,
    /// A port that is not captured anyway.
    #[error("no effect on {port}: the proxy's own ports are never captured")]
    OwnPort {
        /// The port.
        port: String,
    },
    /// An address without a use.
    #[error("no effect: the mode is not `PodIP`")]
    AddressUnused,
}

/// What a [`Mistake`] says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What other imports say, too.
    #[error(transparent)]
    General(#[from] GeneralReason),
    /// A port that only iptables refuses.
    #[error("`{item}` is no port of 1 to 65535: OSM takes it, and its init container fails")]
    NotPortOfIptables {
        /// As written.
        item: String,
    },
    /// More than a rule takes.
    #[error(
        "{count} ports with those of the MeshConfig: OSM takes them, and its init container fails, \
         because iptables takes 15 in a rule"
    )]
    TooManyPorts {
        /// How many there are.
        count: usize,
    },
    /// A prefix that only iptables refuses.
    #[error("`{item}` is of IPv6: OSM takes it, and its init container fails")]
    Ipv6Prefix {
        /// As written.
        item: String,
    },
    /// Not a mode.
    #[error("the modes are `Localhost` and `PodIP`")]
    NotMode,
    /// The pod's address is not there.
    #[error("the rules name the pod's address in this mode, and it is not known")]
    NoPodAddress,
    /// Not an address.
    #[error("`{item}` is not an IPv4 address")]
    NotAddress {
        /// As written.
        item: String,
    },
    /// Neither yes nor no.
    #[error("neither `enabled` nor `disabled`")]
    NotInjection,
}

impl Advise for Remark {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::General(general) => general.advice(),
            Self::OwnPort { .. } => Advice::with(Fault::NoEffect, "remove it"),
            _ => None,
        }
    }
}

impl Advise for Reason {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::General(general) => general.advice(),
            Self::NoPodAddress => None,
            Self::NotInjection => Advice::with(Fault::NoOptOut, "write `enabled` or `disabled`"),
            Self::TooManyPorts { .. } => Advice::with(Fault::Refused, "exclude 15 ports at most"),
            Self::NotMode => Advice::with(Fault::Refused, "write `Localhost` or `PodIP`"),
            _ => Advice::of(Fault::Refused),
        }
    }
}
