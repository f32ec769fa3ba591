//! The rungs of Linkerd's ladder. The numbers are the reference's (`docs/language.md`).

use crate::ir::ladder;

ladder! {
    /// Arrived, to an excluded port.
    INBOUND_EXCLUDED_PORT = "L1" "excluded port: untouched";
    /// Arrived from an excluded source.
    EXCLUDED_SOURCE = "L2" "excluded source: untouched";
    /// Arrived, to a captured port.
    INBOUND_CAPTURED = "L3" "captured port: inbound proxy port";
    /// From the proxy's user.
    PROXY_USER = "L4" "the proxy's user: untouched";
    /// From the proxy's group.
    PROXY_GROUP = "L5" "the proxy's group: untouched";
    /// Over the loopback interface.
    LOOPBACK = "L6" "over loopback: untouched";
    /// Leaves for an excluded port.
    OUTBOUND_EXCLUDED_PORT = "L7" "excluded port: untouched";
    /// Anything else that leaves.
    OUTBOUND_CAPTURED = "L8" "outbound: outbound proxy port";
}
