//! What a sidecar policy means, with its defaults.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::net::{Families, Interface, OnMiss, PerFamily, PortRange};
use crate::policy::setting::{Selection, Setting};

/// The traffic of a workload with a proxy beside it.
///
/// [`Sidecar::default`] is what Istio 1.29 applies to an injected pod when nothing is configured,
/// except that upstream turns IPv6 on only where the pod has an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Sidecar {
    /// The families governed. `family`; default: both.
    pub families: Setting<Families>,
    /// How inbound traffic reaches the proxy. `mode`; default: redirect.
    pub mode: Setting<Mode>,
    /// Who and where the proxy is.
    pub proxy: Proxy,
    /// Connections to the workload.
    pub inbound: Inbound,
    /// Connections from the workload.
    pub outbound: Outbound,
    /// DNS capture; `None` is off. `dns`; default: off.
    pub dns: Setting<Option<Dns>>,
    /// Interfaces with a rule of their own.
    pub interfaces: Interfaces,
    /// Whether packets that conntrack calls invalid are dropped on arrival, whatever their
    /// protocol. `drop invalid`; default: no.
    pub drop_invalid: Setting<bool>,
}

/// How inbound traffic reaches the proxy. Outbound traffic is always redirected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// NAT to the proxy's port: the destination is rewritten, and the proxy asks the kernel for
    /// the original one.
    Redirect,
    /// TPROXY: both addresses stay, which needs marks and a routing table.
    Tproxy(Tproxy),
}

/// The numbers of TPROXY mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tproxy {
    /// Mark of packets for the proxy; the routing rule selects it. Not 0; default: 1337.
    pub mark: u32,
    /// Mark of packets from the proxy to its own workload. Not 0; default: 1338.
    pub outbound_mark: u32,
    /// Routing table that delivers marked packets locally. 1 to 4294967295 but 253 to 255, which
    /// are the kernel's; default: 133.
    pub table: u32,
    /// What happens to a new connection while no proxy listens. Default: drop.
    pub on_miss: OnMiss,
}

impl Default for Tproxy {
    fn default() -> Self {
        Self { mark: 1337, outbound_mark: 1338, table: 133, on_miss: OnMiss::Drop }
    }
}

/// Who and where the proxy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(!from, default, deny_unknown_fields))]
#[serde(from = "super::written::Proxy", rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Proxy {
    /// Users the proxy runs as, 0 to 4294967294. `user`; default: 1337.
    pub users: Setting<Vec<u32>>,
    /// Groups the proxy runs as. `group`; default: the numbers of `users`.
    pub groups: Setting<Vec<u32>>,
    /// Where outbound connections go. `outbound-port`; default: 15001.
    pub outbound_port: Setting<u16>,
    /// Where inbound connections go. `inbound-port`; default: 15006.
    pub inbound_port: Setting<u16>,
    /// Where the proxy takes tunnels (HBONE), never captured. `tunnel-port`; default: 15008.
    pub tunnel_port: Setting<u16>,
    /// The source the proxy binds for connections that it passes through. `passthrough`;
    /// default: `127.0.0.6` and `::6`.
    pub passthrough: Setting<PerFamily<Ipv4Addr, Ipv6Addr>>,
}

/// Connections to the workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Inbound {
    /// TCP ports captured. `capture port`; default: `*`.
    pub capture_ports: Setting<Selection<PortRange>>,
    /// TCP ports not captured. `exclude port`; default: none.
    pub exclude_ports: Setting<Vec<PortRange>>,
}

/// Connections from the workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(!from, default, deny_unknown_fields))]
#[serde(from = "super::written::Outbound", rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Outbound {
    /// Destinations captured (TCP). `capture to`; default: `*`.
    #[cfg_attr(test, schemars(with = "Setting<Selection<String>>"))]
    pub capture_to: Setting<Selection<IpNet>>,
    /// Destinations not captured. `exclude to`; default: none.
    #[cfg_attr(test, schemars(with = "Setting<Vec<String>>"))]
    pub exclude_to: Setting<Vec<IpNet>>,
    /// TCP ports captured whatever the destination. `capture port`; default: none.
    pub capture_ports: Setting<Vec<PortRange>>,
    /// TCP and UDP ports not captured. `exclude port`; default: none.
    pub exclude_ports: Setting<Vec<PortRange>>,
    /// Whose connections are captured. `capture group`, `exclude group`; default: everybody's.
    pub groups: Setting<Groups>,
    /// The destination that counts as this workload itself: an IPv4 loopback prefix of 8 to 32
    /// bits, and `::1/128`. `loopback`; default: `127.0.0.1/32` and
    /// `::1/128`.
    #[cfg_attr(test, schemars(with = "Setting<PerFamily<String, String>>"))]
    pub loopback: Setting<PerFamily<Ipv4Net, Ipv6Net>>,
    /// Whether the workload's own connections over loopback are captured like others.
    /// `capture loopback`, or a `capture to` that names a loopback address; default: no.
    pub capture_loopback: Setting<bool>,
}

/// Whose connections are captured, by the group of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Groups {
    /// Every group's but these.
    Except(Vec<u32>),
    /// Only these groups'. Never empty.
    Only(Vec<u32>),
}

/// DNS capture: TCP and UDP port 53.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dns {
    /// Servers whose traffic is captured: `*`, or addresses of either family. `none` still keeps
    /// port 53 apart (upstream does so when every server is of a family that is off).
    pub servers: Selection<std::net::IpAddr>,
    /// Where DNS goes. Default: 15053.
    pub port: u16,
}

/// Interfaces with a rule of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Interfaces {
    /// Nothing is captured on these, in either direction. `exclude`; default: none.
    pub exclude: Setting<Vec<Interface>>,
    /// What arrives on these is treated as outbound (virtual machines). `reroute`; default: none.
    pub reroute: Setting<Vec<Interface>>,
}

impl Outbound {
    /// Whether `capture to` names a prefix whose address is a loopback address, which captures
    /// the workload's own connections over loopback unless a clause says otherwise.
    #[must_use]
    pub fn names_loopback(&self) -> bool {
        match &*self.capture_to {
            Selection::All => false,
            Selection::Only(nets) => nets.iter().any(|net| net.addr().is_loopback()),
        }
    }
}

impl Default for Sidecar {
    fn default() -> Self {
        Self {
            families: Setting::default_to(Families::Both),
            mode: Setting::default_to(Mode::Redirect),
            proxy: Proxy::default(),
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            dns: Setting::default_to(None),
            interfaces: Interfaces {
                exclude: Setting::default_to(Vec::new()),
                reroute: Setting::default_to(Vec::new()),
            },
            drop_invalid: Setting::default_to(false),
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            users: Setting::default_to(vec![1337]),
            groups: Setting::default_to(vec![1337]),
            outbound_port: Setting::default_to(15001),
            inbound_port: Setting::default_to(15006),
            tunnel_port: Setting::default_to(15008),
            passthrough: Setting::default_to(PerFamily {
                ipv4: Ipv4Addr::new(127, 0, 0, 6),
                ipv6: Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6),
            }),
        }
    }
}

impl Default for Inbound {
    fn default() -> Self {
        Self {
            capture_ports: Setting::default_to(Selection::All),
            exclude_ports: Setting::default_to(Vec::new()),
        }
    }
}

impl Default for Outbound {
    fn default() -> Self {
        Self {
            capture_to: Setting::default_to(Selection::All),
            exclude_to: Setting::default_to(Vec::new()),
            capture_ports: Setting::default_to(Vec::new()),
            exclude_ports: Setting::default_to(Vec::new()),
            groups: Setting::default_to(Groups::Except(Vec::new())),
            loopback: Setting::default_to(PerFamily {
                ipv4: Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 32),
                ipv6: Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128),
            }),
            capture_loopback: Setting::default_to(false),
        }
    }
}

impl Dns {
    /// Where Istio's agent listens for DNS.
    pub const DEFAULT_PORT: u16 = 15053;
}

impl Default for Dns {
    fn default() -> Self {
        Self { servers: Selection::All, port: Self::DEFAULT_PORT }
    }
}

impl Default for Interfaces {
    fn default() -> Self {
        Sidecar::default().interfaces
    }
}
