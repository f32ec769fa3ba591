//! The rungs of Istio's ladders. The numbers are the reference's (`docs/language.md`): `O` outbound,
//! `I` inbound, `T` marks of TPROXY mode, `D` conntrack zones of DNS, `A` ambient pod, `H` ambient
//! host.

use crate::ir::ladder;

ladder! {
    /// Nothing is captured on an excluded interface.
    OUTBOUND_INTERFACE = "O1" "excluded interface: untouched";
    /// TCP and UDP to an excluded port.
    OUTBOUND_EXCLUDED_PORT = "O2" "excluded port: untouched";
    /// From the passthrough address over loopback.
    PASSTHROUGH = "O3" "passthrough: untouched";
    /// The proxy calls its own workload.
    SELF_CALL = "O4a" "proxy to its own workload: inbound proxy port";
    /// Over loopback, not the proxy.
    LOCAL = "O4b" "loopback, not the proxy: untouched";
    /// The proxy itself.
    FROM_PROXY = "O4c" "the proxy itself: untouched";
    /// The process's group is not captured.
    GROUP = "O5" "group not captured: untouched";
    /// DNS to a captured server.
    DNS = "O6" "DNS: DNS port";
    /// To this workload's loopback.
    LOOPBACK = "O7" "loopback destination: untouched";
    /// To an excluded destination.
    EXCLUDED_DESTINATION = "O8" "excluded destination: untouched";
    /// To a port that is captured whatever the destination.
    OUTBOUND_CAPTURED_PORT = "O9" "captured port: outbound proxy port";
    /// To a captured destination.
    CAPTURED_DESTINATION = "O10" "captured destination: outbound proxy port";

    /// Arrived on an interface of a virtual machine, to a captured destination.
    REROUTED = "I1" "rerouted interface: outbound proxy port";
    /// Arrived on an interface of a virtual machine, anything else.
    REROUTED_REST = "I2" "rerouted interface, rest: untouched";
    /// Arrived on an excluded interface.
    INBOUND_INTERFACE = "I3" "excluded interface: untouched";
    /// Invalid to connection tracking.
    DROP_INVALID = "I4" "invalid packet: dropped";
    /// To the proxy's tunnel port.
    TUNNEL = "I5" "tunnel port: untouched";
    /// To an excluded port.
    INBOUND_EXCLUDED_PORT = "I6" "excluded port: untouched";
    /// To a captured port.
    INBOUND_CAPTURED_PORT = "I7" "captured port: inbound proxy port";

    /// The packet is on its way to the proxy already.
    TPROXY_MARKED = "T1" "already marked: untouched";
    /// From the passthrough address over loopback, on arrival.
    TPROXY_PASSTHROUGH = "T2" "passthrough: untouched";
    /// Over loopback and not from the proxy, on arrival.
    TPROXY_LOCAL = "T3" "loopback, not from the proxy: untouched";
    /// A connection that a socket has accepted keeps its way to the proxy.
    TPROXY_DIVERT = "T4" "known connection: stays with the proxy";
    /// A mark that the proxy set is kept for the connection.
    TPROXY_SAVE = "T5" "marked by the proxy: remembered for the connection";
    /// A packet that is marked already keeps its mark.
    TPROXY_KEEP = "T6" "marked already: keeps its mark";
    /// From the proxy to its own workload.
    TPROXY_OUTBOUND = "T7" "proxy to its own workload: outbound mark";
    /// Replies to the proxy get the connection's mark back.
    TPROXY_RESTORE = "T8" "reply to the proxy: gets the connection's mark";

    /// The proxy's own queries have a zone of their own.
    ZONE_PROXY_QUERY = "D1" "the proxy's query: zone 1";
    /// The proxy's answers to applications are in the applications' zone.
    ZONE_PROXY_ANSWER = "D2" "the proxy's answer: zone 2";
    /// Applications' queries have a zone of their own.
    ZONE_QUERY = "D3" "a query: zone 2";
    /// Servers' answers are in the proxy's zone.
    ZONE_ANSWER = "D4" "an answer: zone 1";

    /// The proxy's connections are remembered.
    AMBIENT_CONNMARK = "A1" "from the proxy: connection remembered";
    /// Replies to the proxy get their mark back.
    AMBIENT_RESTORE = "A2" "reply to the proxy: gets the connection's mark";
    /// Arrived on an interface of a virtual machine.
    AMBIENT_REROUTED = "A3" "rerouted interface: outbound proxy port";
    /// Arrived on an interface of a virtual machine, not redirected.
    AMBIENT_REROUTED_REST = "A4" "rerouted interface, rest: untouched";
    /// From or to kubelet's probe.
    AMBIENT_PROBE = "A5" "probe: untouched";
    /// Inbound, not from the proxy.
    AMBIENT_INBOUND = "A6" "inbound: inbound proxy port";
    /// DNS, not from the proxy.
    AMBIENT_DNS = "A7" "DNS: DNS port";
    /// A reply to the proxy.
    AMBIENT_REPLY = "A8" "reply to the proxy: untouched";
    /// Over loopback by a non-loopback address.
    AMBIENT_LOCAL = "A9" "over loopback: untouched";
    /// Outbound, not from the proxy.
    AMBIENT_OUTBOUND = "A10" "outbound: outbound proxy port";
    /// The proxy's DNS has a zone of its own.
    AMBIENT_ZONE = "A11" "the proxy's DNS: zone 1";

    /// A probe from this node.
    HOST_PROBE = "H1" "probe: source translated";
}
