//! What a policy means: every default filled in, every value checked, nothing about rules.
//!
//! [`check`] makes policies out of what was written, and is the only place
//! that does so from text; the importers make the same types. Past it, nothing is re-checked.

mod ambient;
mod check;
mod expectation;
mod print;
mod setting;
mod sidecar;

use serde::{Deserialize, Serialize};

pub use check::{
    Checked, GroupIds, MOST_EXTENDED, MOST_POLICIES, MOST_VALUES, MOST_VALUES_IN_ALL, check,
};
pub use expectation::{Expectation, Expected, Transport, Way};
pub use print::{Detail, print};

pub use ambient::{AmbientHost, AmbientPod, AmbientProxy, HostProbe, PodRoute, ProbeOwner};
pub use setting::{Selection, Setting};
pub use sidecar::{Dns, Groups, Inbound, Interfaces, Mode, Outbound, Proxy, Sidecar, Tproxy};

use crate::net::{Families, Name};
use crate::span::Spanned;

/// One policy: which traffic of a network namespace goes through the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What it is called. Unique among the policies of a compilation.
    pub name: Name,
    /// What it governs.
    #[serde(flatten)]
    pub kind: Kind,
    /// What must become of traffic under it. `expect`; default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<Setting<Expectation>>,
}

/// What a policy governs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// The namespace of a workload with a proxy beside it.
    Sidecar(Box<Sidecar>),
    /// The namespace of a workload whose proxy runs on the node.
    AmbientPod(Box<AmbientPod>),
    /// The node's own namespace.
    AmbientHost(Box<AmbientHost>),
}

impl Kind {
    /// The word the language has for it.
    #[must_use]
    pub const fn keyword(&self) -> &'static str {
        match self {
            Self::Sidecar(_) => "sidecar",
            Self::AmbientPod(_) => "ambient-pod",
            Self::AmbientHost(_) => "ambient-host",
        }
    }
}

impl Policy {
    /// The families the policy governs; the other is left untouched.
    #[must_use]
    pub fn families(&self) -> Families {
        match &self.kind {
            Kind::Sidecar(sidecar) => *sidecar.families,
            Kind::AmbientPod(pod) => *pod.families,
            Kind::AmbientHost(host) => *host.families,
        }
    }
}

/// A policy and the place of its name in the source.
pub type WrittenPolicy = Spanned<Policy>;
