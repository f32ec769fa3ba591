//! Policy to ruleset: the ladder, rung by rung, with exactly the meaning of upstream's iptables
//! rules (Istio 86c9f01f of 2026-08-22, `tools/istio-iptables/pkg/capture/run.go` and
//! `cni/pkg/iptables/iptables.go`).
//!
//! Chains have upstream's names as its nft backend spells them, and rules stand in upstream's
//! order, so that a listing can be held against one.

mod ambient_host;
mod ambient_pod;
mod dns;
mod expect;
pub mod istio;
mod layout;
mod plan;
mod sidecar;
mod tproxy;
mod when;

pub use expect::{Question, questions};
pub use layout::Layout;

use crate::ir::{BuiltInTable, Ruleset};
use crate::net::Name;
use crate::policy::{Kind, Policy};

/// The ruleset that does what `policy` says.
///
/// Total: a checked policy always has one. Whether a backend can write it is the backend's to say.
#[must_use]
pub fn lower(policy: &Policy, layout: Layout) -> Ruleset {
    let plan = match &policy.kind {
        Kind::Sidecar(sidecar) => sidecar::plan(sidecar, layout),
        Kind::AmbientPod(pod) => ambient_pod::plan(pod, layout),
        Kind::AmbientHost(host) => ambient_host::plan(host),
    };
    plan.into_ruleset(layout)
}

/// The tables that a policy of this kind may have, in any version of it.
///
/// Loading or removing a policy replaces these and no others.
#[must_use]
pub fn owned_tables(kind: &Kind) -> Vec<Name> {
    let prefix = match kind {
        Kind::Sidecar(_) => plan::SIDECAR,
        Kind::AmbientPod(_) | Kind::AmbientHost(_) => plan::AMBIENT,
    };
    let tables: &[BuiltInTable] = match kind {
        Kind::Sidecar(_) | Kind::AmbientPod(_) => {
            &[BuiltInTable::Raw, BuiltInTable::Mangle, BuiltInTable::Nat]
        }
        Kind::AmbientHost(_) => &[BuiltInTable::Nat],
    };
    tables.iter().map(|table| plan::table_name(prefix, *table)).collect()
}
