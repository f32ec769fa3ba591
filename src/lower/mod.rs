//! Policy to ruleset, and what is needed beside it: the ladder of the policy's kind, rung by rung.
//!
//! Each mesh has a folder, whose ladders have exactly the meaning of that mesh's own rules. What its rungs are
//! called is no part of the interface, and hidden from the documentation.

#[doc(hidden)]
pub mod appmesh;
#[doc(hidden)]
pub mod consul;
mod expect;
#[doc(hidden)]
pub mod istio;
mod items;
#[doc(hidden)]
pub mod kuma;
#[doc(hidden)]
pub mod linkerd;
mod lowered;
#[doc(hidden)]
pub mod osm;
mod plan;
mod together;
mod when;

pub(crate) use expect::{Question, every_question, questions};
pub(crate) use lowered::Claimed;
pub use lowered::{Lowered, Owners, Ports};
pub(crate) use together::{Neighbour, conflicts};

use self::lowered::Lower;
use crate::policy::{Policy, of_kind};

/// Everything that `policy` comes to: one rule an item, in upstream's order and with its names.
///
/// Total: a checked policy always has a ruleset. Whether a backend can write it is the backend's
/// to say.
#[must_use]
pub fn lower(policy: &Policy) -> Lowered {
    of_kind!(&policy.kind, kind => kind.lower())
}
