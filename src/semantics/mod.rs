//! What a ruleset does to one packet, and to all of them.
//!
//! [`run`] takes one [`Packet`] through a ruleset and says what became of it and which rules did
//! it. [`compare`] takes all packets through two rulesets at once, with decision diagrams over the
//! bits of a packet, and finds a packet for every way in which the two differ; if it finds none,
//! there is none.
//!
//! # The model
//!
//! Every hook is looked at by itself: any packet may come there with any marks. Two rulesets that
//! are equal at every hook are equal on the whole way through the kernel.
//!
//! - [`Packet`] is what rules can see. Its interface exists where the kernel has one: an incoming
//!   one at prerouting, input and forward, an outgoing one at forward, output and postrouting. A
//!   packet has a sender at output and postrouting only.
//! - [`Outcome`] is what can be observed of a ruleset. Of a dropped packet that is only the mark
//!   that it left on its connection, if it did not begin that.
//! - Nat chains see packets in state new only. A connection that another one announced (state
//!   related) meets them in the kernel too; that is the same for both rulesets.
//! - A match on the destination behind a translation at the same hook sees the packet as it was
//!   before. No ruleset of ours has one.
//! - A jump to a chain that does not exist, or that is under way already, does nothing. The kernel
//!   takes no such ruleset.

mod compare;
mod diagram;
mod eval;
mod packet;
mod space;
mod symbolic;
mod text;
mod traffic;
mod witness;

use crate::ir::{Base, Chain, Hook, Ruleset, Table};

pub use compare::{Difference, Region, compare, compare_in_full, find};
pub use eval::{Outcome, Run, Step, Translation, Verdict, run};
pub use packet::{Packet, Sender};
pub use text::BadPacket;
pub use traffic::Traffic;

/// The priority at which the kernel finds a packet's connection: `NF_IP_PRI_CONNTRACK` (Linux
/// 6.18). A zone that is set later is set too late.
const TRACKING: i32 = -200;

/// The base chains at `hook`, in the order in which they run.
fn base_chains(ruleset: &Ruleset, hook: Hook) -> Vec<(&Table, &Chain, Base)> {
    let mut chains: Vec<_> = ruleset
        .tables
        .iter()
        .flat_map(|table| table.chains.iter().map(move |chain| (table, chain)))
        .filter_map(|(table, chain)| Some((table, chain, chain.base?)))
        .filter(|(_, _, base)| base.hook == hook)
        .collect();
    chains.sort_by_key(|(_, _, base)| base.priority);
    chains
}

/// Whether packets at `hook` came in on an interface.
const fn has_input(hook: Hook) -> bool {
    matches!(hook, Hook::Prerouting | Hook::Input | Hook::Forward)
}

/// Whether packets at `hook` go out on an interface.
const fn has_output(hook: Hook) -> bool {
    matches!(hook, Hook::Forward | Hook::Output | Hook::Postrouting)
}

/// Whether rules at `hook` see who sent a packet.
const fn has_sender(hook: Hook) -> bool {
    matches!(hook, Hook::Output | Hook::Postrouting)
}

#[cfg(test)]
mod tests;
