//! What a policy means: every default filled in, every value checked, nothing about rules.
//!
//! [`check`] makes policies out of what was written, and is the only place
//! that does so from text; the importers make the same types. Past it, nothing is re-checked.
//!
//! Each mesh has a folder with its kinds of policies: what they mean, and the clauses that say it.
//! The table of kinds is the one place that lists them.

pub mod appmesh;
mod build;
mod check;
mod clauses;
mod comments;
pub mod consul;
mod expectation;
pub mod istio;
pub(crate) mod json;
mod kind;
mod kinds;
pub mod kuma;
pub mod linkerd;
pub mod osm;
mod print;
mod printer;
#[cfg(test)]
mod schema;
mod setting;
pub(crate) mod unchecked;

use std::ops::Deref;

use serde::Serialize;

pub(crate) use check::{Allows, Finder, check_and_allow};
pub use check::{Checked, MOST_POLICIES, check};
pub use clauses::lets::{MOST_EXTENDED, MOST_VALUES, MOST_VALUES_IN_ALL};
pub use clauses::values::GroupIds;
pub use comments::{ClauseKey, Comments};
pub use expectation::{Expectation, Expected, Transport, Way};
pub use istio::{
    AmbientHost, AmbientPod, AmbientProxy, Dns, Groups, HostProbe, Inbound, Interfaces, Mode,
    Outbound, PodRoute, ProbeOwner, Proxy, Sidecar, Tproxy,
};
pub use kinds::Kind;
#[cfg(test)]
pub(crate) use kinds::schemas;
pub(crate) use kinds::{begins_policy, begins_top_level, of_kind};
pub use kuma::Kuma;
pub use print::{print, print_with};
pub use printer::Detail;
pub use setting::{Selection, Setting};
pub use unchecked::Unchecked;

use crate::net::{Families, Name};
use crate::span::Span;
use crate::span::Spanned;

/// One policy: which traffic of a network namespace goes through the proxy.
///
/// Whoever has one has a good one: it comes from text by [`compile`](crate::compile), from data by
/// [`Unchecked::check`], from JSON by [`Deserialize`](serde::Deserialize), which checks it, or from an import. It reads like its
/// [`Content`]. To change it, take an [`Unchecked`] of it and check that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Policy(Content);

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Content {
    /// What it is called. Unique among the policies of a compilation.
    pub name: Name,
    /// What it governs.
    #[serde(flatten)]
    pub kind: Kind,
    /// What must become of traffic under it. `expect`; default: nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<Setting<Expectation>>,
}

impl Policy {
    /// One that is not checked here: it was made of clauses that are in order, or is about to be compared
    /// with what its text reads back as.
    pub(crate) const fn unchecked(
        name: Name,
        kind: Kind,
        expectations: Vec<Setting<Expectation>>,
    ) -> Self {
        Self(Content { name, kind, expectations })
    }

    /// The same, which expects nothing. What a policy expects is no condition of what else it says.
    #[must_use]
    pub(crate) fn without_expectations(&self) -> Self {
        Self::unchecked(self.name.clone(), self.kind.clone(), Vec::new())
    }

    /// The families the policy governs; the other is left untouched.
    #[must_use]
    pub fn families(&self) -> Families {
        self.kind.families()
    }

    /// The clause that says which families it governs; `None` if a default does.
    #[must_use]
    pub fn family_clause(&self) -> Option<Span> {
        self.kind.family_clause()
    }
}

impl Deref for Policy {
    type Target = Content;

    fn deref(&self) -> &Content {
        &self.0
    }
}

/// A policy and the place of its name in the source.
pub type WrittenPolicy = Spanned<Policy>;
