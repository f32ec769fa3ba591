//! What a Kuma policy means, with its defaults.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{UserExclusion, VirtualNetwork};
use crate::net::{Families, PerFamily, PortRange};
use crate::policy::setting::{Selection, Setting};

/// The traffic of a workload with Kuma's data plane proxy beside it.
///
/// [`Kuma::default`] is what `kumactl install transparent-proxy` applies when nothing is configured
/// (Kuma 348b6528 of 2026-08-21), except that upstream leaves IPv6 alone on a host without an IPv6
/// address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Kuma {
    /// The families governed. `family`; default: both.
    pub families: Setting<Families>,
    /// Who and where the proxy is.
    pub proxy: Proxy,
    /// Connections to the workload.
    pub inbound: Inbound,
    /// Connections from the workload.
    pub outbound: Outbound,
    /// DNS capture; `None` is off. `dns`; default: off.
    pub dns: Setting<Option<Dns>>,
    /// Networks of containers or virtual machines inside of the workload, at most one of each
    /// family for an interface. `vnet`; default: none.
    pub networks: Setting<Vec<VirtualNetwork>>,
    /// Whether packets that conntrack calls invalid are dropped on arrival, whatever their
    /// protocol. `drop invalid`; default: no.
    pub drop_invalid: Setting<bool>,
}

/// Who and where the proxy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Proxy {
    /// The user that the proxy runs as, 0 to 4294967294. `user`; default: 5678.
    pub user: Setting<u32>,
    /// Where inbound connections go. `inbound-port`; default: 15006.
    pub inbound_port: Setting<u16>,
    /// Where outbound connections go. `outbound-port`; default: 15001.
    pub outbound_port: Setting<u16>,
    /// Where DNS goes, of the workload and of virtual networks. `dns-port`; default: 15053.
    pub dns_port: Setting<u16>,
}

impl Proxy {
    /// The source the proxy binds for connections that it passes through, as upstream fixes it.
    pub const PASSTHROUGH: PerFamily<Ipv4Addr, Ipv6Addr> = PerFamily {
        ipv4: Ipv4Addr::new(127, 0, 0, 6),
        ipv6: Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6),
    };
}

/// Connections to the workload: TCP only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Inbound {
    /// Ports captured. `capture port`; default: `*`.
    pub capture_ports: Setting<Selection<PortRange>>,
    /// Ports not captured, where every port is. `exclude port`; default: none.
    pub exclude_ports: Setting<Vec<PortRange>>,
    /// Sources whose connections are not captured. `exclude from`; default: none.
    #[cfg_attr(test, schemars(with = "Setting<Vec<String>>"))]
    pub exclude_from: Setting<Vec<IpNet>>,
}

/// Connections from the workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Outbound {
    /// TCP ports captured. `capture port`; default: `*`.
    pub capture_ports: Setting<Selection<PortRange>>,
    /// TCP ports not captured, where every port is. `exclude port`; default: none.
    pub exclude_ports: Setting<Vec<PortRange>>,
    /// Destinations to which nothing is captured, DNS neither. `exclude to`; default: none.
    #[cfg_attr(test, schemars(with = "Setting<Vec<String>>"))]
    pub exclude_to: Setting<Vec<IpNet>>,
    /// Users whose connections are not captured, to some ports or to all, DNS neither.
    /// `exclude user`; default: none.
    pub exclude_users: Setting<Vec<UserExclusion>>,
}

/// DNS capture: UDP port 53.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dns {
    /// Servers whose queries are captured: `*`, or addresses, at least one. A family without one
    /// has no DNS capture.
    pub servers: Selection<IpAddr>,
    /// Whether the workload's TCP connections to port 53 are captured like others. Default: no.
    pub captures_tcp: Setting<bool>,
    /// Whether connections of the proxy's queries are tracked apart from those of the workload's.
    /// Default: yes.
    pub splits_zones: Setting<bool>,
    /// Families whose nat table has a chain `DOCKER_OUTPUT` of Docker's, to which the proxy's own
    /// queries go. Where every server is captured, connections are not tracked apart in them.
    /// Default: none.
    pub docker_output: Setting<Option<Families>>,
}

impl Default for Kuma {
    fn default() -> Self {
        Self {
            families: Setting::default_to(Families::Both),
            proxy: Proxy::default(),
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            dns: Setting::default(),
            networks: Setting::default(),
            drop_invalid: Setting::default(),
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            user: Setting::default_to(5678),
            inbound_port: Setting::default_to(15006),
            outbound_port: Setting::default_to(15001),
            dns_port: Setting::default_to(15053),
        }
    }
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Selection::All,
            captures_tcp: Setting::default(),
            splits_zones: Setting::default_to(true),
            docker_output: Setting::default(),
        }
    }
}
