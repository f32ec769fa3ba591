//! Istio's ladders, with exactly the meaning of upstream's iptables rules (Istio 86c9f01f of
//! 2026-08-22, `tools/istio-iptables/pkg/capture/run.go` and `cni/pkg/iptables/iptables.go`).
//!
//! Chains have upstream's names as its nft backend spells them, and rules stand in upstream's
//! order, so that a listing can be held against one.

mod ambient_host;
mod ambient_pod;
mod context;
mod dns;
mod names;
pub mod rungs;
mod sidecar;
mod tproxy;
