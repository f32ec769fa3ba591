//! The rungs of the ladder of Open Service Mesh. The numbers are the reference's
//! (`docs/language.md`).

use crate::ir::ladder;

ladder! {
    /// Arrived, to an excluded port.
    INBOUND_EXCLUDED_PORT = "M1" "excluded port: untouched";
    /// Arrived on an excluded interface.
    INBOUND_INTERFACE = "M2" "excluded interface: untouched";
    /// Arrived, to one of the proxy's own ports.
    OWN_PORT = "M3" "a port of the proxy's own: untouched";
    /// Anything else that arrived.
    INBOUND_CAPTURED = "M4" "inbound: inbound proxy port";
    /// From the proxy to 127.0.0.1, where it reaches the workload by the pod's address.
    POD_ADDRESS = "M5" "proxy to 127.0.0.1: the pod's address";
    /// The proxy calls its own workload.
    SELF_CALL = "M6" "proxy to its own workload: inbound proxy port";
    /// Over loopback, not the proxy.
    LOCAL = "M7" "loopback, not the proxy: untouched";
    /// The proxy itself.
    FROM_PROXY = "M8" "the proxy itself: untouched";
    /// To 127.0.0.1.
    LOCALHOST = "M9" "to 127.0.0.1: untouched";
    /// Leaves on an excluded interface.
    OUTBOUND_INTERFACE = "M10" "excluded interface: untouched";
    /// To an excluded destination.
    EXCLUDED_DESTINATION = "M11" "excluded destination: untouched";
    /// To an excluded port.
    OUTBOUND_EXCLUDED_PORT = "M12" "excluded port: untouched";
    /// To a captured destination.
    CAPTURED_DESTINATION = "M13" "captured destination: outbound proxy port";
}
