//! Policy to ruleset: the ladder, rung by rung, as upstream's iptables rules have it.

use crate::ir::Ruleset;
use crate::policy::Policy;

/// How lists become rules. Both layouts treat every packet alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// A list is one rule with a set, so that the cost of a packet does not grow with it.
    #[default]
    Compact,
    /// One rule an item, in upstream's order, to compare line by line.
    Upstream,
}

/// The ruleset that does what `policy` says.
#[must_use]
pub fn lower(_policy: &Policy, _layout: Layout) -> Ruleset {
    todo!()
}
