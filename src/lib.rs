//! Compiles interception policies to Linux packet-filter rules.

pub mod backend;
pub mod diag;
pub mod import;
pub mod ir;
pub mod lower;
pub mod net;
pub mod policy;
pub mod reader;
pub mod semantics;
pub mod span;
pub mod syntax;
