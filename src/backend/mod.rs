//! Ruleset to text: one module a language, each one total function.
//!
//! A backend writes an IR exactly or says beforehand what it cannot; it never approximates.

pub mod dump;
pub mod iptables;
pub mod nft;
pub mod routing;
pub mod teardown;
