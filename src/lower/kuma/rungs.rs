//! The rungs of Kuma's ladder. The numbers are the reference's (`docs/language.md`).

use crate::ir::ladder;

ladder! {
    /// From an excluded user, to a port that is excluded for it.
    EXCLUDED_USER = "K1" "excluded user: untouched";
    /// To an excluded destination.
    EXCLUDED_DESTINATION = "K2" "excluded destination: untouched";
    /// The proxy's own queries.
    PROXY_DNS = "K3" "the proxy's DNS: untouched";
    /// The proxy's own queries, where Docker has rules for them.
    DOCKER_DNS = "K3d" "the proxy's DNS: as Docker's chain says";
    /// A query to a captured server.
    DNS = "K4" "DNS: DNS port";
    /// The workload's TCP to port 53.
    TCP_DNS = "K5" "DNS over TCP, not the proxy: untouched";
    /// Nothing outbound is captured.
    OUTBOUND_OFF = "K6" "outbound capture off: untouched";
    /// To an excluded port.
    OUTBOUND_EXCLUDED_PORT = "K7" "excluded port: untouched";
    /// From the passthrough address over loopback.
    PASSTHROUGH = "K8" "passthrough: untouched";
    /// The proxy calls its own workload.
    SELF_CALL = "K9a" "proxy to its own workload: inbound proxy port";
    /// Over loopback, not the proxy.
    LOCAL = "K9b" "loopback, not the proxy: untouched";
    /// The proxy itself.
    FROM_PROXY = "K9c" "the proxy itself: untouched";
    /// To loopback.
    LOOPBACK = "K10" "loopback destination: untouched";
    /// To a captured port.
    OUTBOUND_CAPTURED_PORT = "K11" "captured port: outbound proxy port";

    /// Invalid to connection tracking.
    DROP_INVALID = "K12" "invalid packet: dropped";
    /// A query out of a virtual network.
    NETWORK_DNS = "K13" "virtual network's DNS: DNS port";
    /// TCP that leaves a virtual network.
    NETWORK = "K14" "out of a virtual network: outbound proxy port";
    /// Nothing inbound is captured.
    INBOUND_OFF = "K15" "inbound capture off: untouched";
    /// From an excluded source.
    EXCLUDED_SOURCE = "K16" "excluded source: untouched";
    /// To an excluded port.
    INBOUND_EXCLUDED_PORT = "K17" "excluded port: untouched";
    /// To a captured port.
    INBOUND_CAPTURED_PORT = "K18" "captured port: inbound proxy port";

    /// The proxy's own queries have a zone of their own.
    ZONE_PROXY_QUERY = "K19" "the proxy's query: zone 1";
    /// The proxy's answers to the workload are in the workload's zone.
    ZONE_PROXY_ANSWER = "K20" "the proxy's answer: zone 2";
    /// The workload's queries have a zone of their own.
    ZONE_QUERY = "K21" "a query: zone 2";
    /// A server on loopback may answer from another port.
    ZONE_LOCAL_ANSWER = "K22" "a local server's answer: zone 1";
    /// Servers' answers are in the proxy's zone.
    ZONE_ANSWER = "K23" "an answer: zone 1";
}
