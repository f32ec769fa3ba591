//! Policies for Open Service Mesh in code.

use ipnet::Ipv4Net;

use super::{LocalMode, Osm};
use crate::net::{Interface, PortRange};
use crate::policy::build::clauses;

clauses! { Osm {
    /// The user that the proxy runs as. `proxy { user }`; default: 1500.
    proxy_user(one u32) => proxy.user;
    /// Where inbound connections go. `proxy { inbound-port }`; default: 15003.
    proxy_inbound_port(one u16) => proxy.inbound_port;
    /// Where outbound connections go. `proxy { outbound-port }`; default: 15001.
    proxy_outbound_port(one u16) => proxy.outbound_port;
    /// How the proxy reaches its own workload. `proxy { local-mode }`; default: by localhost.
    proxy_local_mode(one LocalMode) => proxy.local_mode;
    /// TCP ports not captured of what arrives. `inbound { exclude port }`; default: none.
    exclude_inbound_ports(list PortRange) => inbound.exclude_ports;
    /// Destinations captured. `outbound { capture to }`; default: all.
    capture_outbound_to(selection Ipv4Net) => outbound.capture_to;
    /// Destinations not captured. `outbound { exclude to }`; default: none.
    exclude_outbound_to(list Ipv4Net) => outbound.exclude_to;
    /// TCP ports not captured of what leaves. `outbound { exclude port }`; default: none.
    exclude_outbound_ports(list PortRange) => outbound.exclude_ports;
    /// Interfaces on which nothing is captured. `interface { exclude }`; default: none.
    exclude_interfaces(list Interface) => exclude_interfaces;
} }
