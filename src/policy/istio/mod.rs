//! Istio's kinds of policies: a sidecar, a pod of the ambient mesh, and a node of it.

mod ambient_host;
mod ambient_pod;
mod build;
mod sidecar;

use std::net::{Ipv4Addr, Ipv6Addr};

pub use self::ambient_host::{AmbientHost, HostProbe, ProbeOwner};
pub use self::ambient_pod::{AmbientPod, AmbientProxy, PodRoute};
pub use self::sidecar::{Dns, Groups, Inbound, Interfaces, Mode, Outbound, Proxy, Sidecar, Tproxy};

use crate::net::PerFamily;

/// The source of kubelet's probes after the host has translated it: Istio's defaults.
const PROBE_SOURCE: PerFamily<Ipv4Addr, Ipv6Addr> = PerFamily {
    ipv4: Ipv4Addr::new(169, 254, 7, 127),
    ipv6: Ipv6Addr::new(0xfd16, 0x9254, 0x7127, 0x1337, 0xffff, 0xffff, 0xffff, 0xffff),
};
