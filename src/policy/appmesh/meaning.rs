//! What a policy for App Mesh means, with its defaults.

use std::net::Ipv4Addr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::net::{Families, PortRange};
use crate::policy::setting::Setting;

/// The traffic of a workload with App Mesh's Envoy beside it. TCP only.
///
/// [`AppMesh::default`] is what App Mesh's guide sets up with `envoy-networking.sh` (a public copy of
/// 2024), for a workload that serves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct AppMesh {
    /// The families governed: IPv4, or both. `family`; default: IPv4.
    pub families: Setting<Families>,
    /// Who and where the proxy is.
    pub proxy: Proxy,
    /// Connections to the workload.
    pub inbound: Inbound,
    /// Connections from the workload.
    pub outbound: Outbound,
}

/// Who and where the proxy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Proxy {
    /// The user that the proxy runs as, 0 to 4294967294; none only with a group. `user`; default:
    /// 1337.
    pub user: Setting<Option<u32>>,
    /// The group that the proxy runs as, 0 to 4294967294. `group`; default: none.
    pub group: Setting<Option<u32>>,
    /// Where inbound connections go. `inbound-port`; default: 15000.
    pub inbound_port: Setting<u16>,
    /// Where outbound connections go. `outbound-port`; default: 15001.
    pub outbound_port: Setting<u16>,
}

/// Connections to the workload, from other machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Inbound {
    /// TCP ports captured, 0 to 65535, at most [`MOST_CAPTURED_PORTS`], of which a range counts two.
    /// `capture port`; default: none.
    pub capture_ports: Setting<Vec<PortRange>>,
}

/// Connections from the workload, to other machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Outbound {
    /// TCP ports not captured, 0 to 65535, beside [`AppMesh::SSH`]. `exclude port`; default: none.
    pub exclude_ports: Setting<Vec<PortRange>>,
    /// Destinations not captured. `exclude to`; default: 169.254.169.254 and 169.254.170.2, which
    /// tell about the machine and the task.
    #[cfg_attr(test, schemars(with = "Setting<Vec<String>>"))]
    pub exclude_to: Setting<Vec<IpNet>>,
}

/// How many inbound ports App Mesh can capture: it gives all of them to one `multiport`, which takes
/// no more.
pub const MOST_CAPTURED_PORTS: usize = 15;

impl AppMesh {
    /// The port to which App Mesh never captures outbound connections.
    pub const SSH: PortRange = PortRange::one(22);
}

impl Default for AppMesh {
    fn default() -> Self {
        let metadata = [Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(169, 254, 170, 2)];
        Self {
            families: Setting::default_to(Families::Ipv4),
            proxy: Proxy {
                user: Setting::default_to(Some(1337)),
                group: Setting::default(),
                inbound_port: Setting::default_to(15000),
                outbound_port: Setting::default_to(15001),
            },
            inbound: Inbound::default(),
            outbound: Outbound {
                exclude_ports: Setting::default(),
                exclude_to: Setting::default_to(
                    metadata.map(|address| IpNet::V4(address.into())).into(),
                ),
            },
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        AppMesh::default().proxy
    }
}

impl Default for Outbound {
    fn default() -> Self {
        AppMesh::default().outbound
    }
}
