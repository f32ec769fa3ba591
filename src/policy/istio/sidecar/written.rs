//! Sidecars in JSON: what depends on other fields where it is not said.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Deserializer};

use super::{Groups, meaning};
use crate::net::{PerFamily, PortRange};
use crate::policy::{Selection, Setting};

/// Who and where the proxy is: its groups are the numbers of its users, unless they are said.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Proxy {
    users: Setting<Vec<u32>>,
    #[serde(deserialize_with = "said")]
    groups: Option<Setting<Vec<u32>>>,
    outbound_port: Setting<u16>,
    inbound_port: Setting<u16>,
    tunnel_port: Setting<u16>,
    passthrough: Setting<PerFamily<Ipv4Addr, Ipv6Addr>>,
}

impl Default for Proxy {
    fn default() -> Self {
        let meaning::Proxy {
            users,
            groups: _,
            outbound_port,
            inbound_port,
            tunnel_port,
            passthrough,
        } = meaning::Proxy::default();
        Self { users, groups: None, outbound_port, inbound_port, tunnel_port, passthrough }
    }
}

impl From<Proxy> for meaning::Proxy {
    fn from(written: Proxy) -> Self {
        let Proxy { users, groups, outbound_port, inbound_port, tunnel_port, passthrough } =
            written;
        let groups = groups.unwrap_or_else(|| users.clone());
        Self { users, groups, outbound_port, inbound_port, tunnel_port, passthrough }
    }
}

/// Connections from the workload: those over loopback are captured if `capture-to` names a loopback address,
/// unless that is said.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Outbound {
    capture_to: Setting<Selection<IpNet>>,
    exclude_to: Setting<Vec<IpNet>>,
    capture_ports: Setting<Vec<PortRange>>,
    exclude_ports: Setting<Vec<PortRange>>,
    groups: Setting<Groups>,
    loopback: Setting<PerFamily<Ipv4Net, Ipv6Net>>,
    #[serde(deserialize_with = "said")]
    capture_loopback: Option<Setting<bool>>,
}

impl Default for Outbound {
    fn default() -> Self {
        let meaning::Outbound {
            capture_to,
            exclude_to,
            capture_ports,
            exclude_ports,
            groups,
            loopback,
            capture_loopback: _,
        } = meaning::Outbound::default();
        Self {
            capture_to,
            exclude_to,
            capture_ports,
            exclude_ports,
            groups,
            loopback,
            capture_loopback: None,
        }
    }
}

impl From<Outbound> for meaning::Outbound {
    fn from(written: Outbound) -> Self {
        let Outbound {
            capture_to,
            exclude_to,
            capture_ports,
            exclude_ports,
            groups,
            loopback,
            capture_loopback,
        } = written;
        let mut outbound = Self {
            capture_to,
            exclude_to,
            capture_ports,
            exclude_ports,
            groups,
            loopback,
            capture_loopback: false.into(),
        };
        let implied = outbound.names_loopback();
        outbound.capture_loopback = capture_loopback.unwrap_or_else(|| implied.into());
        outbound
    }
}

/// A value that is there, which `null` is not.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
