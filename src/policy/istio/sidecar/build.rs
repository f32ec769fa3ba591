//! Sidecars in code.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Dns, Groups, Mode, Sidecar, Tproxy};
use crate::net::{Families, Interface, PerFamily, PortRange};
use crate::policy::build::clauses;
use crate::policy::{Selection, Unchecked};

clauses! { Sidecar {
    /// The families governed. `family`; default: both.
    family(one Families) => families;
    /// How inbound traffic reaches the proxy. `mode`; default: redirect.
    mode(like Mode) => mode;
    /// Where outbound connections go. `proxy { outbound-port }`; default: 15001.
    proxy_outbound_port(one u16) => proxy.outbound_port;
    /// Where inbound connections go. `proxy { inbound-port }`; default: 15006.
    proxy_inbound_port(one u16) => proxy.inbound_port;
    /// Where the proxy takes tunnels. `proxy { tunnel-port }`; default: 15008.
    proxy_tunnel_port(one u16) => proxy.tunnel_port;
    /// Groups the proxy runs as, behind [`proxy_users`](Self::proxy_users). `proxy { group }`; default: the
    /// numbers of its users.
    proxy_groups(numbers u32) => proxy.groups;
    /// The source of what the proxy passes through. `proxy { passthrough }`; default: `127.0.0.6` and `::6`.
    proxy_passthrough(one PerFamily<Ipv4Addr, Ipv6Addr>) => proxy.passthrough;
    /// TCP ports captured of what arrives. `inbound { capture port }`; default: all.
    capture_inbound_ports(selection PortRange) => inbound.capture_ports;
    /// TCP ports not captured of what arrives. `inbound { exclude port }`; default: none.
    exclude_inbound_ports(list PortRange) => inbound.exclude_ports;
    /// Destinations not captured. `outbound { exclude to }`; default: none.
    exclude_outbound_to(list IpNet) => outbound.exclude_to;
    /// TCP ports captured whatever the destination. `outbound { capture port }`; default: none.
    capture_outbound_ports(list PortRange) => outbound.capture_ports;
    /// TCP and UDP ports not captured of what leaves. `outbound { exclude port }`; default: none.
    exclude_outbound_ports(list PortRange) => outbound.exclude_ports;
    /// The destination that counts as this workload itself. `outbound { loopback }`; default:
    /// `127.0.0.1/32` and `::1/128`.
    loopback(one PerFamily<Ipv4Net, Ipv6Net>) => outbound.loopback;
    /// Whether the workload's own connections over loopback are captured, behind
    /// [`capture_outbound_to`](Self::capture_outbound_to). `outbound { capture loopback }`; default: whether
    /// that names a loopback address.
    capture_loopback(one bool) => outbound.capture_loopback;
    /// DNS capture. `dns`; default: off.
    dns(maybe Dns) => dns;
    /// Interfaces on which nothing is captured. `interface { exclude }`; default: none.
    exclude_interfaces(list Interface) => interfaces.exclude;
    /// What arrives on these is treated as outbound. `interface { reroute }`; default: none.
    reroute_interfaces(list Interface) => interfaces.reroute;
    /// Whether packets that conntrack calls invalid are dropped on arrival. `drop invalid`; default: no.
    drop_invalid(one bool) => drop_invalid;
} }

impl Unchecked<Sidecar> {
    /// Users the proxy runs as, and groups of the same numbers. `proxy { user }`; default: 1337.
    #[must_use]
    pub fn proxy_users(mut self, users: impl IntoIterator<Item = u32>) -> Self {
        let users: Vec<u32> = users.into_iter().collect();
        self.kind.proxy.groups = users.clone().into();
        self.kind.proxy.users = users.into();
        self
    }

    /// Destinations captured (TCP); over loopback too, if one of them is a loopback address.
    /// `outbound { capture to }`; default: all.
    #[must_use]
    pub fn capture_outbound_to(mut self, nets: impl Into<Selection<IpNet>>) -> Self {
        let outbound = &mut self.kind.outbound;
        outbound.capture_to = nets.into().into();
        outbound.capture_loopback = outbound.names_loopback().into();
        self
    }

    /// Only these groups' connections are captured. `outbound { capture group }`; default: everybody's.
    #[must_use]
    pub fn capture_groups(mut self, groups: impl IntoIterator<Item = u32>) -> Self {
        self.kind.outbound.groups = Groups::Only(groups.into_iter().collect()).into();
        self
    }

    /// These groups' connections are not captured. `outbound { exclude group }`; default: none.
    #[must_use]
    pub fn exclude_groups(mut self, groups: impl IntoIterator<Item = u32>) -> Self {
        self.kind.outbound.groups = Groups::Except(groups.into_iter().collect()).into();
        self
    }
}

impl From<Tproxy> for Mode {
    fn from(tproxy: Tproxy) -> Self {
        Self::Tproxy(tproxy)
    }
}
