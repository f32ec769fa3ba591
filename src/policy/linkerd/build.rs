//! Policies for Linkerd in code.

use ipnet::IpNet;

use super::Linkerd;
use crate::net::{Families, PortRange};
use crate::policy::build::clauses;

clauses! { Linkerd {
    /// The families governed: IPv4, or both. `family`; default: both.
    family(one Families) => families;
    /// The user that the proxy runs as. `proxy { user }`; default: 2102.
    proxy_user(maybe u32) => proxy.user;
    /// The group that the proxy runs as. `proxy { group }`; default: none.
    proxy_group(maybe u32) => proxy.group;
    /// Where inbound connections go. `proxy { inbound-port }`; default: 4143.
    proxy_inbound_port(one u16) => proxy.inbound_port;
    /// Where outbound connections go. `proxy { outbound-port }`; default: 4140.
    proxy_outbound_port(one u16) => proxy.outbound_port;
    /// TCP ports captured of what arrives. `inbound { capture port }`; default: all.
    capture_inbound_ports(selection PortRange) => inbound.capture_ports;
    /// TCP ports not captured of what arrives. `inbound { exclude port }`; default: 4190, 4191, 4567, 4568.
    exclude_inbound_ports(list PortRange) => inbound.exclude_ports;
    /// Sources not captured. `inbound { exclude from }`; default: none.
    exclude_inbound_from(list IpNet) => inbound.exclude_from;
    /// TCP ports not captured of what leaves. `outbound { exclude port }`; default: 4567, 4568.
    exclude_outbound_ports(list PortRange) => outbound.exclude_ports;
} }
