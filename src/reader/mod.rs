//! Rulesets that others wrote, back to the IR, exactly or as an error.

pub mod iptables;
