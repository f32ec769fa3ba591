//! What a ruleset does to one packet, and to all of them.
//!
//! [`run`] takes one [`Packet`] through a ruleset and says what became of it and which rules did
//! it. [`compare`] takes all packets through two rulesets at once, with decision diagrams over the
//! bits of a packet, and finds a packet for every way in which the two differ; if it finds none,
//! there is none.
//!
//! # The model
//!
//! [`ir`](crate::ir) says what the kernel does. Every hook is looked at by itself: any packet may
//! come there with any marks, and with any translation that was decided before. Two rulesets that
//! are equal at every hook are equal on the whole way through the kernel.
//!
//! - [`Packet`] is what rules can see. Its interface exists where the kernel has one: an incoming
//!   one at prerouting, input and forward (and at postrouting, if it is forwarded), an outgoing one
//!   at forward, output and postrouting.
//! - [`Outcome`] is what can be observed of a ruleset. Of a dropped packet that is only the mark
//!   that it left on its connection, if it did not begin that.
//! - Where chains tie, every order that is possible counts.
//! - A jump to a chain that does not exist, or that is under way already, does nothing. The kernel
//!   takes no such ruleset.

mod arrive;
mod bad_packet;
mod by_name;
mod chained;
mod compare;
mod diagram;
mod equality;
mod eval;
mod exact;
mod field;
mod find;
mod interfaces;
mod kinds;
mod lanes;
mod make;
mod ordinary;
mod outcome;
mod packet;
mod pool;
mod possible;
mod shares;
mod space;
mod spell;
mod structure;
mod symbolic;
mod text;
mod touched;
mod traffic;
mod values;
mod vocabulary;
mod way;
mod ways;
mod witness;

pub use arrive::{Reached, reached};
pub use bad_packet::BadPacket;
pub use compare::Question;
pub use equality::are_alike;
pub use eval::{Run, Step, run, runs};
pub use find::find;
pub use ordinary::{Among, Corner, Proxies};
pub use outcome::{Outcome, Translation, Verdict};
pub use packet::{Decided, End, Holds, InSet, Packet, Sender};
pub use shares::{Listed, Share, Shares, shares};
pub(crate) use symbolic::{changes_marks, is_once_enough, lasts};
pub use touched::touched;
pub use traffic::{Topic, Traffic, Word, joined};
pub use way::{Arrival, Host, Impossible, Leg, Way, follow};
pub(crate) use ways::first_difference;
pub use ways::{
    Comparison, Difference, Region, compare, compare_beside, compare_in_full, order_dependent,
};
pub(crate) use witness::DECIDED_PORT;

use crate::ir::TooManyTies;

/// Why a question about all packets has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Limit {
    /// Chains tie in too many ways.
    #[error(transparent)]
    Ties(#[from] TooManyTies),
    /// Jumps are nested too deeply.
    #[error("jumps lead more than 512 chains deep, to chain `{chain}`")]
    Depth {
        /// The first chain that is too deep.
        chain: String,
    },
    /// Rules would have to be looked at too often.
    #[error("chains lead to each other in more than 2000000 ways that matter")]
    Rules,
    /// The decision diagrams are too large.
    #[error("the rules are too entangled: decision diagrams of more than 16777216 nodes")]
    Memory,
    /// Packets are shared out by too much.
    #[error(
        "what becomes of packets is no table: it would have more than 20000 rows, or depend on too much else"
    )]
    Shares,
}

#[cfg(test)]
pub(crate) mod tests;
