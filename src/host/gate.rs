//! Holding TCP back for a moment, in which two versions of rules are loaded that set marks.
//!
//! Both loaded, rules of TPROXY do what neither does alone: a packet that the first hands to the proxy bears the
//! mark by then by which the second knows packets of the proxy's own, so that the second remembers the mark for
//! the connection, and replies are led astray. Nothing joins a transaction of nft with one of iptables. So no TCP
//! packet comes in between the two; whoever sent one sends it again.

use super::live::Live;
use super::program::Program;

/// The table, for as long as it is there.
const TABLE: &str = "inet weir-gate";

/// What closes the gate. Should nobody open it, it opens by itself, in seconds.
pub(super) fn close() -> Program {
    let script = format!(
        "{}table {TABLE} {{
    set held {{
        type inet_proto
        flags timeout
        elements = {{ tcp timeout 10s }}
    }}
    chain prerouting {{
        type filter hook prerouting priority -400
        meta l4proto @held drop
    }}
}}
",
        opening()
    );
    Program::reading("nft", &["-f", "-"], script)
}

/// What opens it.
pub(super) fn open() -> Program {
    Program::reading("nft", &["-f", "-"], opening())
}

/// The script that opens it, whether it is there or not.
pub(super) fn opening() -> String {
    format!("add table {TABLE}\ndelete table {TABLE}\n")
}

/// Whether it is there.
pub(super) fn is_there(live: &Live) -> bool {
    live.tables().any(|(family, name, _)| is(family, name))
}

/// Whether it is this table.
pub(super) fn is(family: &str, name: &str) -> bool {
    TABLE.split_once(' ') == Some((family, name))
}
