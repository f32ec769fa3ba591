//! Policies for Consul in code.

use ipnet::IpNet;

use super::{Consul, Dns, UserRange};
use crate::net::{Families, PortRange};
use crate::policy::build::clauses;

clauses! { Consul {
    /// The families governed: IPv4, or both. `family`; default: IPv4.
    family(one Families) => families;
    /// The user that the proxy runs as. `proxy { user }`; default: 5995.
    proxy_user(one u32) => proxy.user;
    /// Where inbound connections go. `proxy { inbound-port }`; default: 20000.
    proxy_inbound_port(one u16) => proxy.inbound_port;
    /// Where outbound connections go. `proxy { outbound-port }`; default: 15001.
    proxy_outbound_port(one u16) => proxy.outbound_port;
    /// Where DNS goes. `dns`; default: where it wants to.
    dns(maybe Dns) => dns;
    /// TCP ports not captured of what arrives. `inbound { exclude port }`; default: none.
    exclude_inbound_ports(list PortRange) => inbound.exclude_ports;
    /// TCP ports not captured of what leaves. `outbound { exclude port }`; default: none.
    exclude_outbound_ports(list PortRange) => outbound.exclude_ports;
    /// Destinations not captured. `outbound { exclude to }`; default: none.
    exclude_outbound_to(list IpNet) => outbound.exclude_to;
    /// Users whose connections are not captured. `outbound { exclude user }`; default: 5996.
    exclude_outbound_users(list UserRange) => outbound.exclude_users;
} }
