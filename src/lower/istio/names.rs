//! What Istio calls its chains, as its nft backend spells them, and how the names of its tables
//! begin.

/// Beginning of the names of a sidecar's tables.
pub(super) const SIDECAR: &str = "istio-proxy";
/// Beginning of the names of ambient tables.
pub(super) const AMBIENT: &str = "istio-ambient";

/// Beginning of the names of chains, as iptables has them.
pub(super) const CHAINS: &str = "ISTIO_";
/// Protocol numbers of the routes and routing rules of a sidecar and of an ambient pod, which may be in one
/// namespace. Nobody has them in the lists of the kernel (`linux/rtnetlink.h` of 6.18) and of iproute2
/// (`rt_protos` of 6.1).
pub(super) const SIDECAR_PROTOCOL: u8 = 87;
pub(super) const AMBIENT_PROTOCOL: u8 = 88;

pub(super) const INBOUND: &str = "istio-inbound";
pub(super) const OUTPUT: &str = "istio-output";
pub(super) const OUTPUT_DNS: &str = "istio-output-dns";
pub(super) const REDIRECT: &str = "istio-redirect";
pub(super) const IN_REDIRECT: &str = "istio-in-redirect";
pub(super) const DIVERT: &str = "istio-divert";
pub(super) const TPROXY: &str = "istio-tproxy";
pub(super) const DROP: &str = "istio-drop";
pub(super) const PREROUTING: &str = "istio-prerouting";
pub(super) const POSTROUTING: &str = "istio-postrouting";
