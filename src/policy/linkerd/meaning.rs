//! What a policy for Linkerd means, with its defaults.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::net::{Families, PortRange};
use crate::policy::setting::{Selection, Setting};

/// The traffic of a workload with `linkerd-proxy` beside it. TCP only.
///
/// [`Linkerd::default`] is what Linkerd's injector gives a pod when nothing is configured (linkerd2
/// b24cd40 of 2026-08-21), with IPv6 on, as proxy-init has it by default; the chart turns it off
/// with `disableIPv6`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Linkerd {
    /// The families governed: IPv4, or both. `family`; default: both.
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
    /// The user that the proxy runs as, 1 to 4294967294. `user`; default: 2102.
    pub user: Setting<Option<u32>>,
    /// The group that the proxy runs as, 1 to 4294967294. `group`; default: none.
    pub group: Setting<Option<u32>>,
    /// Where inbound connections go. `inbound-port`; default: 4143.
    pub inbound_port: Setting<u16>,
    /// Where outbound connections go. `outbound-port`; default: 4140.
    pub outbound_port: Setting<u16>,
}

/// Connections to the workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Inbound {
    /// TCP ports captured, 0 to 65535; never none. `capture port`; default: `*`.
    pub capture_ports: Setting<Selection<PortRange>>,
    /// TCP ports not captured, 0 to 65535. `exclude port`; default: the proxy's own 4190 and 4191,
    /// and 4567 and 4568.
    pub exclude_ports: Setting<Vec<PortRange>>,
    /// Sources not captured; none while both families are governed. `exclude from`; default: none.
    #[cfg_attr(test, schemars(with = "Setting<Vec<String>>"))]
    pub exclude_from: Setting<Vec<IpNet>>,
}

/// Connections from the workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Outbound {
    /// TCP ports not captured, 0 to 65535. `exclude port`; default: 4567 and 4568.
    pub exclude_ports: Setting<Vec<PortRange>>,
}

impl Default for Linkerd {
    fn default() -> Self {
        let ports = |ports: &[u16]| {
            Setting::default_to(ports.iter().copied().map(PortRange::one).collect())
        };
        Self {
            families: Setting::default_to(Families::Both),
            proxy: Proxy {
                user: Setting::default_to(Some(2102)),
                group: Setting::default(),
                inbound_port: Setting::default_to(4143),
                outbound_port: Setting::default_to(4140),
            },
            inbound: Inbound {
                capture_ports: Setting::default(),
                exclude_ports: ports(&[4190, 4191, 4567, 4568]),
                exclude_from: Setting::default(),
            },
            outbound: Outbound { exclude_ports: ports(&[4567, 4568]) },
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Linkerd::default().proxy
    }
}

impl Default for Inbound {
    fn default() -> Self {
        Linkerd::default().inbound
    }
}

impl Default for Outbound {
    fn default() -> Self {
        Linkerd::default().outbound
    }
}
