//! Policies of the ambient mesh in code.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{AmbientHost, AmbientPod, ProbeOwner};
use crate::net::{Families, Interface, Mark, Name, PerFamily};
use crate::policy::build::clauses;

clauses! { AmbientPod {
    /// The families governed. `family`; default: both.
    family(one Families) => families;
    /// Packet mark that the proxy sets on its own. `proxy { mark }`; default: 0x539/0xfff.
    proxy_mark(one Mark) => proxy.mark;
    /// Connection mark of what the proxy opened. `proxy { connmark }`; default: 0x111/0xfff.
    proxy_connmark(one Mark) => proxy.connmark;
    /// Where outbound connections go. `proxy { outbound-port }`; default: 15001.
    proxy_outbound_port(one u16) => proxy.outbound_port;
    /// Where inbound plaintext goes. `proxy { inbound-port }`; default: 15006.
    proxy_inbound_port(one u16) => proxy.inbound_port;
    /// Where the proxy takes tunnels. `proxy { tunnel-port }`; default: 15008.
    proxy_tunnel_port(one u16) => proxy.tunnel_port;
    /// The source of kubelet's probes. `probe { from }`; default: Istio's.
    probe_from(one PerFamily<Ipv4Addr, Ipv6Addr>) => probe_from;
    /// The port that takes DNS; `None` is off. `dns { port }`; default: 15053.
    dns(maybe u16) => dns;
    /// Whether inbound connections are captured. `inbound { capture }`; default: yes.
    capture_inbound(one bool) => capture_inbound;
    /// What arrives on these is treated as outbound. `interface { reroute }`; default: none.
    reroute_interfaces(list Interface) => reroute;
    /// The routing table of the proxy's replies. `route { table }`; default: 100.
    route_table(one u32) => route.table;
    /// Priority of the rule that selects it. `route { priority }`; default: 32764.
    route_priority(one u32) => route.priority;
} }

clauses! { AmbientHost {
    /// The families governed. `family`; default: both.
    family(one Families) => families;
    /// The source that probes get. `probe { from }`; default: Istio's.
    probe_from(one PerFamily<Ipv4Addr, Ipv6Addr>) => probe.from;
    /// Who sends probes. `probe { owner }`; default: any local socket.
    probe_owner(one ProbeOwner) => probe.owner;
    /// Prefix of the sets with the pods' addresses. `probe { pods }`; default: `istio-inpod-probes`.
    probe_pods(one Name) => probe.pods;
} }
