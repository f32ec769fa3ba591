//! What a policy for Open Service Mesh means, with its defaults.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::net::{Interface, PortRange};
use crate::policy::setting::{Selection, Setting};

/// The traffic of a workload with Open Service Mesh's Envoy beside it: TCP over IPv4 only.
///
/// [`Osm::default`] is what OSM's injector gives a pod when nothing is configured (osm 7bec5b6 of
/// 2023-07-10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Osm {
    /// Who and where the proxy is.
    pub proxy: Proxy,
    /// Connections to the workload.
    pub inbound: Inbound,
    /// Connections from the workload.
    pub outbound: Outbound,
    /// Nothing is captured on these, in either direction. `interface { exclude }`; default: none.
    pub exclude_interfaces: Setting<Vec<Interface>>,
}

/// Who and where the proxy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Proxy {
    /// The user that the proxy runs as, 0 to 4294967294. `user`; default: 1500.
    pub user: Setting<u32>,
    /// Where inbound connections go. `inbound-port`; default: 15003.
    pub inbound_port: Setting<u16>,
    /// Where outbound connections go. `outbound-port`; default: 15001.
    pub outbound_port: Setting<u16>,
    /// How the proxy reaches its own workload. `local-mode`; default: localhost.
    pub local_mode: Setting<LocalMode>,
}

/// How the proxy reaches its own workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LocalMode {
    /// By 127.0.0.1.
    Localhost,
    /// By the pod's address: what it sends to 127.0.0.1 goes there.
    PodIp(Ipv4Addr),
}

/// Connections to the workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Inbound {
    /// TCP ports not captured, at most [`MOST_EXCLUDED_PORTS`]. `exclude port`; default: none.
    pub exclude_ports: Setting<Vec<PortRange>>,
}

/// Connections from the workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Outbound {
    /// Destinations captured. Never none. `capture to`; default: `*`.
    #[cfg_attr(test, schemars(with = "Setting<Selection<String>>"))]
    pub capture_to: Setting<Selection<Ipv4Net>>,
    /// Destinations not captured. `exclude to`; default: none.
    #[cfg_attr(test, schemars(with = "Setting<Vec<String>>"))]
    pub exclude_to: Setting<Vec<Ipv4Net>>,
    /// TCP ports not captured, at most [`MOST_EXCLUDED_PORTS`]. `exclude port`; default: none.
    pub exclude_ports: Setting<Vec<PortRange>>,
}

/// How many ports OSM can exclude in one direction: it gives all of them to one `multiport`, which
/// takes no more, one by one.
pub const MOST_EXCLUDED_PORTS: usize = 15;

impl Osm {
    /// Ports of the proxy to which inbound connections are never captured: metrics, three probes and
    /// the health check.
    pub const OWN_PORTS: [u16; 5] = [15010, 15901, 15902, 15903, 15904];
}

impl Default for Osm {
    fn default() -> Self {
        Self {
            proxy: Proxy {
                user: Setting::default_to(1500),
                inbound_port: Setting::default_to(15003),
                outbound_port: Setting::default_to(15001),
                local_mode: Setting::default_to(LocalMode::Localhost),
            },
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            exclude_interfaces: Setting::default(),
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Osm::default().proxy
    }
}
