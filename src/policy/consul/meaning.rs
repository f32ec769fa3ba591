//! What a policy for Consul means, with its defaults.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::users::UserRange;
use crate::net::{Families, Family, PortRange};
use crate::policy::setting::Setting;

/// The traffic of a workload with `consul-dataplane` beside it.
///
/// [`Consul::default`] is what Consul's webhook gives a pod when nothing is configured (consul-k8s of
/// 2026-08, `control-plane/connect-inject/webhook/redirect_traffic.go`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Consul {
    /// The families governed: IPv4, or both. `family`; default: IPv4.
    pub families: Setting<Families>,
    /// Who and where the proxy is.
    pub proxy: Proxy,
    /// Where DNS goes; `None`: where it wants to. `dns`; default: none.
    pub dns: Setting<Option<Dns>>,
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
    /// The user that the proxy runs as, 0 to 4294967294. `user`; default: 5995.
    pub user: Setting<u32>,
    /// Where inbound connections go. `inbound-port`; default: 20000.
    pub inbound_port: Setting<u16>,
    /// Where outbound connections go. `outbound-port`; default: 15001.
    pub outbound_port: Setting<u16>,
}

/// Where DNS goes: TCP and UDP to port 53, whoever sends it, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dns {
    /// The address: of IPv6 if both families are governed, otherwise of IPv4. `to`; default: loopback.
    pub to: IpAddr,
    /// The port, if only what goes to the address goes there; `None`: everything goes to port 53 of
    /// the address. `port`; default: none.
    pub port: Option<u16>,
}

/// Connections to the workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Inbound {
    /// TCP ports not captured, 0 to 65535. `exclude port`; default: none.
    pub exclude_ports: Setting<Vec<PortRange>>,
}

/// Connections from the workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Outbound {
    /// TCP ports not captured, 0 to 65535. `exclude port`; default: none.
    pub exclude_ports: Setting<Vec<PortRange>>,
    /// Destinations not captured. `exclude to`; default: none.
    #[cfg_attr(test, schemars(with = "Setting<Vec<String>>"))]
    pub exclude_to: Setting<Vec<IpNet>>,
    /// Users whose connections are not captured. `exclude user`; default: 5996, that of Consul's
    /// init container.
    pub exclude_users: Setting<Vec<UserRange>>,
}

impl Consul {
    /// The family whose DNS Consul redirects, if it redirects DNS.
    #[must_use]
    pub fn dns_family(&self) -> Family {
        dns_family(*self.families)
    }
}

/// The family whose DNS Consul redirects where it governs these: its rules for IPv4 leave DNS out
/// if there are some for IPv6.
pub(super) const fn dns_family(families: Families) -> Family {
    match families {
        Families::Ipv4 => Family::Ipv4,
        Families::Ipv6 | Families::Both => Family::Ipv6,
    }
}

impl Default for Consul {
    fn default() -> Self {
        Self {
            families: Setting::default_to(Families::Ipv4),
            proxy: Proxy {
                user: Setting::default_to(5995),
                inbound_port: Setting::default_to(20000),
                outbound_port: Setting::default_to(15001),
            },
            dns: Setting::default(),
            inbound: Inbound::default(),
            outbound: Outbound {
                exclude_ports: Setting::default(),
                exclude_to: Setting::default(),
                exclude_users: Setting::default_to(vec![UserRange::one(5996)]),
            },
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Consul::default().proxy
    }
}

impl Default for Outbound {
    fn default() -> Self {
        Consul::default().outbound
    }
}
