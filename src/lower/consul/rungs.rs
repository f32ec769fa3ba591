//! The rungs of Consul's ladder. The numbers are the reference's (`docs/language.md`).

use crate::ir::ladder;

ladder! {
    /// Arrived, to an excluded port.
    INBOUND_EXCLUDED_PORT = "C1" "excluded port: untouched";
    /// Anything else that arrived.
    INBOUND_CAPTURED = "C2" "inbound: inbound proxy port";
    /// DNS, whoever sends it.
    DNS = "C3" "DNS: to Consul";
    /// From an excluded user.
    EXCLUDED_USER = "C4" "excluded user: untouched";
    /// To an excluded destination.
    EXCLUDED_DESTINATION = "C5" "excluded destination: untouched";
    /// Leaves for an excluded port.
    OUTBOUND_EXCLUDED_PORT = "C6" "excluded port: untouched";
    /// From the proxy's user.
    PROXY_USER = "C7" "the proxy's user: untouched";
    /// To the loopback address.
    LOOPBACK = "C8" "to the loopback address: untouched";
    /// Anything else that leaves.
    OUTBOUND_CAPTURED = "C9" "outbound: outbound proxy port";
}
