//! Policies for App Mesh in code.

use ipnet::IpNet;

use super::AppMesh;
use crate::net::{Families, PortRange};
use crate::policy::build::clauses;

clauses! { AppMesh {
    /// The families governed: IPv4, or both. `family`; default: IPv4.
    family(one Families) => families;
    /// The user that the proxy runs as. `proxy { user }`; default: 1337.
    proxy_user(maybe u32) => proxy.user;
    /// The group that the proxy runs as. `proxy { group }`; default: none.
    proxy_group(maybe u32) => proxy.group;
    /// Where inbound connections go. `proxy { inbound-port }`; default: 15000.
    proxy_inbound_port(one u16) => proxy.inbound_port;
    /// Where outbound connections go. `proxy { outbound-port }`; default: 15001.
    proxy_outbound_port(one u16) => proxy.outbound_port;
    /// TCP ports captured of what arrives. `inbound { capture port }`; default: none.
    capture_inbound_ports(list PortRange) => inbound.capture_ports;
    /// TCP ports not captured of what leaves. `outbound { exclude port }`; default: none.
    exclude_outbound_ports(list PortRange) => outbound.exclude_ports;
    /// Destinations not captured. `outbound { exclude to }`; default: 169.254.169.254 and 169.254.170.2.
    exclude_outbound_to(list IpNet) => outbound.exclude_to;
} }
