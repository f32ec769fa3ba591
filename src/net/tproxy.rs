//! What happens when no transparent proxy listens.

use serde::{Deserialize, Serialize};

/// What happens to a packet for a transparent proxy that does not listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnMiss {
    /// It is dropped, as iptables does (Linux 6.18, iptables 1.8.9).
    Drop,
    /// It goes on to the next rule, and so past the proxy, as nft does (nft 1.0.6).
    Continue,
}
