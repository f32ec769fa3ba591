//! Policies of ambient pods and hosts, with their defaults.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::Setting;
use crate::net::{Families, Interface, Mark, Name, PerFamily};

/// The source of kubelet's probes after the host has translated it: Istio's defaults.
const PROBE_SOURCE: PerFamily<Ipv4Addr, Ipv6Addr> = PerFamily {
    ipv4: Ipv4Addr::new(169, 254, 7, 127),
    ipv6: Ipv6Addr::new(0xfd16, 0x9254, 0x7127, 0x1337, 0xffff, 0xffff, 0xffff, 0xffff),
};

/// The traffic of a workload whose proxy runs on the node.
///
/// [`AmbientPod::default`] is what Istio 1.29 applies to a pod when nothing is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AmbientPod {
    /// The families governed. `family`; default: both.
    pub families: Setting<Families>,
    /// Where the proxy is and how its packets are known.
    pub proxy: AmbientProxy,
    /// The source of kubelet's probes, never captured. `probe { from }`.
    pub probe_from: Setting<PerFamily<Ipv4Addr, Ipv6Addr>>,
    /// The port that takes DNS; `None` is off. `dns`; default: 15053.
    pub dns: Setting<Option<u16>>,
    /// Whether inbound connections are captured. `inbound { capture none }` says no.
    pub capture_inbound: Setting<bool>,
    /// What arrives on these is treated as outbound (virtual machines). `interface { reroute }`.
    pub reroute: Setting<Vec<Interface>>,
    /// The route that delivers the proxy's replies locally.
    pub route: PodRoute,
}

/// Where the node's proxy is reached, and how its packets are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AmbientProxy {
    /// Packet mark that the proxy sets on its own. `mark`; default: 0x539/0xfff.
    pub mark: Setting<Mark>,
    /// Connection mark of connections that the proxy opened. `connmark`; default: 0x111/0xfff.
    pub connmark: Setting<Mark>,
    /// Where outbound connections go. `outbound-port`; default: 15001.
    pub outbound_port: Setting<u16>,
    /// Where inbound plaintext goes. `inbound-port`; default: 15006.
    pub inbound_port: Setting<u16>,
    /// Where the proxy takes tunnels (HBONE), never captured. `tunnel-port`; default: 15008.
    pub tunnel_port: Setting<u16>,
}

/// The route that delivers the proxy's replies locally.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodRoute {
    /// The routing table. `route { table }`; default: 100.
    pub table: Setting<u32>,
    /// Priority of the rule that selects it. `route { priority }`; default: 32764.
    pub priority: Setting<u32>,
}

/// The node: kubelet's probes to pods get a source that pods can tell.
///
/// [`AmbientHost::default`] is what Istio 1.29 applies when nothing is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmbientHost {
    /// The families governed. `family`; default: both.
    pub families: Setting<Families>,
    /// The probes.
    pub probe: HostProbe,
}

/// How the node's probes are known, and what they become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostProbe {
    /// The source they get. `probe { from }`.
    pub from: Setting<PerFamily<Ipv4Addr, Ipv6Addr>>,
    /// Who sends them. `probe { owner }`; default: any local socket.
    pub owner: Setting<ProbeOwner>,
    /// Prefix of the sets that hold the pods' addresses: `<prefix>-v4` and `<prefix>-v6`.
    /// `probe { pods }`; default: `istio-inpod-probes`.
    pub pods: Setting<Name>,
}

/// Whose packets count as probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeOwner {
    /// Any local socket's, as upstream's iptables rules say (`--socket-exists`).
    Any,
    /// This user's only, as upstream's nft rules say.
    User(u32),
}

impl Default for AmbientPod {
    fn default() -> Self {
        Self {
            families: Setting::default_to(Families::Both),
            proxy: AmbientProxy::default(),
            probe_from: Setting::default_to(PROBE_SOURCE),
            dns: Setting::default_to(Some(super::Dns::DEFAULT_PORT)),
            capture_inbound: Setting::default_to(true),
            reroute: Setting::default_to(Vec::new()),
            route: PodRoute {
                table: Setting::default_to(100),
                priority: Setting::default_to(32764),
            },
        }
    }
}

impl Default for AmbientProxy {
    fn default() -> Self {
        let mark = |value| Mark::new(value, 0xfff).expect("the value lies within the mask");
        Self {
            mark: Setting::default_to(mark(0x539)),
            connmark: Setting::default_to(mark(0x111)),
            outbound_port: Setting::default_to(15001),
            inbound_port: Setting::default_to(15006),
            tunnel_port: Setting::default_to(15008),
        }
    }
}

impl Default for AmbientHost {
    fn default() -> Self {
        Self {
            families: Setting::default_to(Families::Both),
            probe: HostProbe {
                from: Setting::default_to(PROBE_SOURCE),
                owner: Setting::default_to(ProbeOwner::Any),
                pods: Setting::default_to(
                    Name::new("istio-inpod-probes").expect("the default is a name"),
                ),
            },
        }
    }
}
