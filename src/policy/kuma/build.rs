//! Policies for Kuma in code.

use ipnet::IpNet;

use super::{Dns, Kuma, UserExclusion, VirtualNetwork};
use crate::net::{Families, PortRange};
use crate::policy::build::clauses;

clauses! { Kuma {
    /// The families governed. `family`; default: both.
    family(one Families) => families;
    /// The user that the proxy runs as. `proxy { user }`; default: 5678.
    proxy_user(one u32) => proxy.user;
    /// Where inbound connections go. `proxy { inbound-port }`; default: 15006.
    proxy_inbound_port(one u16) => proxy.inbound_port;
    /// Where outbound connections go. `proxy { outbound-port }`; default: 15001.
    proxy_outbound_port(one u16) => proxy.outbound_port;
    /// Where DNS goes. `proxy { dns-port }`; default: 15053.
    proxy_dns_port(one u16) => proxy.dns_port;
    /// TCP ports captured of what arrives. `inbound { capture port }`; default: all.
    capture_inbound_ports(selection PortRange) => inbound.capture_ports;
    /// TCP ports not captured of what arrives. `inbound { exclude port }`; default: none.
    exclude_inbound_ports(list PortRange) => inbound.exclude_ports;
    /// Sources whose connections are not captured. `inbound { exclude from }`; default: none.
    exclude_inbound_from(list IpNet) => inbound.exclude_from;
    /// TCP ports captured of what leaves. `outbound { capture port }`; default: all.
    capture_outbound_ports(selection PortRange) => outbound.capture_ports;
    /// TCP ports not captured of what leaves. `outbound { exclude port }`; default: none.
    exclude_outbound_ports(list PortRange) => outbound.exclude_ports;
    /// Destinations to which nothing is captured. `outbound { exclude to }`; default: none.
    exclude_outbound_to(list IpNet) => outbound.exclude_to;
    /// Users whose connections are not captured. `outbound { exclude user }`; default: none.
    exclude_outbound_users(list UserExclusion) => outbound.exclude_users;
    /// DNS capture. `dns`; default: off.
    dns(maybe Dns) => dns;
    /// Networks inside of the workload. `vnet`; default: none.
    networks(list VirtualNetwork) => networks;
    /// Whether packets that conntrack calls invalid are dropped on arrival. `drop invalid`; default: no.
    drop_invalid(one bool) => drop_invalid;
} }
