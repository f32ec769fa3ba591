//! The nouns of packet filtering: families, ports, addresses, interfaces, marks, names.
//!
//! Policies and rulesets are both made of them. Every type has one constructor that checks, so
//! that a value in hand is a value that every backend can write.

mod address;
mod destination;
mod family;
mod interface;
pub(crate) mod json;
mod lengths;
mod mark;
mod name;
mod port;
mod tproxy;

pub(crate) use address::written_net;
pub use address::{Nets, aggregate};
pub use destination::Destination;
pub use family::{Families, Family, PerFamily};
pub use interface::{BadInterface, Interface};
pub(crate) use lengths::are_long;
pub use mark::{BadMark, Mark};
pub use name::{BadName, Name};
pub use port::{PortRange, PortSet};
pub use tproxy::OnMiss;
