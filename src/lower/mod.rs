//! Policy to ruleset, and what is needed beside it: the ladder of the policy's kind, rung by rung.
//!
//! Each mesh has a folder, whose ladders have exactly the meaning of that mesh's own rules.

pub mod appmesh;
pub mod consul;
mod expect;
pub mod istio;
mod items;
pub mod kuma;
pub mod linkerd;
mod lowered;
pub mod osm;
mod plan;
mod together;
mod when;

pub use expect::{Question, every_question, questions};
pub use lowered::{Claim, Claimed, Lowered, Owners, Ports};
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
