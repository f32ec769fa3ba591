//! The rungs of App Mesh's ladder. The numbers are the reference's (`docs/language.md`).

use crate::ir::ladder;

ladder! {
    /// Arrived from another machine, to a captured port.
    INBOUND_CAPTURED = "P1" "captured port: inbound proxy port";
    /// From the proxy's user.
    PROXY_USER = "P2" "the proxy's user: untouched";
    /// From the proxy's group.
    PROXY_GROUP = "P3" "the proxy's group: untouched";
    /// To an excluded port.
    EXCLUDED_PORT = "P4" "excluded port: untouched";
    /// To port 22.
    SSH = "P5" "port 22: untouched";
    /// To an excluded destination.
    EXCLUDED_DESTINATION = "P6" "excluded destination: untouched";
    /// Anything else that leaves for another machine.
    OUTBOUND_CAPTURED = "P7" "outbound: outbound proxy port";
}
