//! What rules of others ask and do that a packet of the model does not show.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Action, Match, Rule};

/// A question about a packet that the packet of the model has no answer to: `-m bpf …`, whether a
/// limit is reached, the flags of TCP. Each answer is possible.
///
/// One question has one answer wherever a packet is asked it, so that rules that ask the same are
/// known to fare alike. Two questions are the same if all of this is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Condition {
    /// As it was written: `-m statistic --mode random --probability 0.5`.
    pub text: Arc<str>,
    /// Which rule asks, if its answer is its own because more than the packet decides it: chance, a
    /// rate, what came before. `None`: the packet alone decides.
    pub asked_by: Option<Arc<str>>,
    /// Whether it is known that each answer is possible, whatever else the packet is.
    pub is_understood: bool,
    /// The usual answer, for a packet of which nothing else is said.
    pub is_usual: bool,
}

/// What a rule does that the model does not follow: `REJECT`, `MASQUERADE`, `NFQUEUE`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// As it was written: `REJECT --reject-with icmp-port-unreachable`.
    pub text: Arc<str>,
    /// What is known of it.
    pub effect: Effect,
}

/// What is known of a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// It changes nothing that is compared, and the next rule runs.
    Stays,
    /// It takes the packet, which fares by no rule any more. Final.
    Takes,
    /// It gives the end that the hook translates another address or port, of which is only known
    /// whether the address is this machine's. It counts as another than before, so that the packet is
    /// routed anew. In nat chains. Accepts. Final.
    Translates {
        /// Whether it surely is.
        to_this_machine: bool,
    },
    /// Nothing: it may take the packet, if this holds, or leave it to the next rule. What else it
    /// does to a packet that it leaves is not followed.
    Unknown(Condition),
}

impl Match {
    /// The question, and whether the opposite answer is meant, of one that the model leaves open.
    #[must_use]
    pub const fn question(&self) -> Option<(&Condition, bool)> {
        match self {
            Self::Opaque { condition, not } => Some((condition, *not)),
            _ => None,
        }
    }
}

impl Rule {
    /// The questions that decide whether the rule matches a packet that fits it otherwise, or what it
    /// does then.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let asked = self.when.iter().filter_map(|when| Some(when.question()?.0));
        let decides = match &self.then {
            Action::Opaque(Target { effect: Effect::Unknown(condition), .. }) => Some(condition),
            _ => None,
        };
        asked.chain(decides)
    }

    /// Whether there are such questions.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.conditions().next().is_some()
    }

    /// Whether it has what only rules of others have, and no backend writes.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        let of_others = |when: &Match| match when {
            Match::Opaque { .. } => true,
            Match::Protocol { protocol, .. } => !protocol.has_ports(),
            _ => false,
        };
        matches!(self.then, Action::Opaque(_) | Action::Notrack) || self.when.iter().any(of_others)
    }
}
