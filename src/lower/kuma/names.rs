//! What Kuma calls its chains, in the form that nft rulesets use, and how the names of weir's tables
//! for it begin.

/// Beginning of the names of the tables.
pub(super) const PREFIX: &str = "kuma";
/// Beginning of the names of its chains, as iptables has them.
pub(super) const CHAINS: &str = "KUMA_MESH_";

pub(super) const INBOUND: &str = "kuma-mesh-inbound";
pub(super) const INBOUND_REDIRECT: &str = "kuma-mesh-inbound-redirect";
pub(super) const OUTBOUND: &str = "kuma-mesh-outbound";
pub(super) const OUTBOUND_REDIRECT: &str = "kuma-mesh-outbound-redirect";

/// Docker's chain for its DNS server, in containers of custom networks.
pub(super) const DOCKER_OUTPUT: &str = "docker-output";
