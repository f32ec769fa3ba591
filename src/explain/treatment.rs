//! What becomes of a packet, in words.

use std::net::IpAddr;
use std::sync::Arc;

use crate::lower::Ports;
use crate::net::Destination;
use crate::semantics::{Outcome, Packet, Translation, Verdict};

/// What becomes of a packet, as people ask for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Treatment {
    /// It goes where it wanted to.
    Untouched,
    /// Its connection goes to a port of this machine instead.
    Redirected {
        /// The port.
        port: u16,
    },
    /// A transparent proxy takes it, with both its addresses as they are.
    Handed {
        /// The port on which the proxy listens.
        port: u16,
    },
    /// Nobody gets it.
    Dropped,
    /// Its connection goes to another address, which the proxy may have or not.
    DestinationTranslated {
        /// The address.
        to: IpAddr,
        /// The port; `None`: its own.
        port: Option<u16>,
    },
    /// Its connection comes from another address.
    SourceTranslated {
        /// The address.
        to: IpAddr,
    },
    /// Its connection goes to, or comes from, what the rule does not say.
    Translated {
        /// The target, as it was written.
        by: Arc<str>,
    },
    /// A target takes it that is not followed.
    Taken {
        /// The targets of such kind that it met, as they were written; one of them takes it.
        by: Vec<Arc<str>>,
    },
}

impl Treatment {
    /// What `outcome` comes to, marks and zones aside.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        match (outcome.verdict, outcome.tproxy, &outcome.translation) {
            (Verdict::Drop, _, _) => Self::Dropped,
            (Verdict::Taken, _, _) => Self::Taken { by: outcome.targets.iter().cloned().collect() },
            (_, Some(port), _) => Self::Handed { port },
            (_, _, Some(Translation::Redirect { port })) => Self::Redirected { port: *port },
            (_, _, Some(Translation::Snat { to })) => Self::SourceTranslated { to: *to },
            (_, _, Some(Translation::Dnat { to, port })) => {
                Self::DestinationTranslated { to: *to, port: *port }
            }
            (_, _, Some(Translation::Opaque { text, .. })) => {
                Self::Translated { by: Arc::clone(text) }
            }
            (_, None, None) => Self::Untouched,
        }
    }

    /// Whether the packet goes to the proxy.
    #[must_use]
    pub const fn is_captured(&self) -> bool {
        matches!(self, Self::Redirected { .. } | Self::Handed { .. })
    }

    /// Whether its way ends by a rule, before it gets anywhere.
    pub(super) const fn ends(&self) -> bool {
        matches!(self, Self::Dropped | Self::Taken { .. })
    }

    /// The port that it goes to instead of its own.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Redirected { port } | Self::Handed { port } => Some(*port),
            Self::DestinationTranslated { port, .. } => *port,
            Self::Untouched
            | Self::Dropped
            | Self::SourceTranslated { .. }
            | Self::Translated { .. }
            | Self::Taken { .. } => None,
        }
    }
}

impl Ports {
    /// `captured: redirected to the outbound proxy port 15001`.
    #[must_use]
    pub fn words(&self, treatment: &Treatment) -> String {
        let port = |port: u16| match self.name(port) {
            Some(name) => format!("the {name} {port}"),
            None => format!("port {port}"),
        };
        match treatment {
            Treatment::Untouched => "untouched".to_owned(),
            Treatment::Redirected { port: to } => format!("captured: redirected to {}", port(*to)),
            Treatment::Handed { port: to } => {
                format!("captured: handed to the transparent proxy on {}", port(*to))
            }
            Treatment::Dropped => "dropped".to_owned(),
            Treatment::DestinationTranslated { to, port } => {
                format!("sent to {} instead", Destination { address: *to, port: *port })
            }
            Treatment::SourceTranslated { to } => format!("its source becomes {to}"),
            Treatment::Translated { by } => format!("translated as `{by}` says"),
            Treatment::Taken { by } => format!("taken by {}", quoted(by)),
        }
    }
}

/// `REJECT`, or several, each in quotation marks.
fn quoted(targets: &[Arc<str>]) -> String {
    targets.iter().map(|target| format!("`{target}`")).collect::<Vec<_>>().join(" or ")
}

/// What `outcome` changes of `packet` beside its way: `mark 0x539`, `zone 2`.
pub(super) fn effects(packet: &Packet, outcome: &Outcome) -> Vec<String> {
    let mut effects = Vec::new();
    if outcome.mark != packet.mark {
        effects.push(format!("mark {:#x}", outcome.mark));
    }
    if packet.state.has_connection() && outcome.connmark != packet.connmark {
        effects.push(format!("connection mark {:#x}", outcome.connmark));
    }
    if outcome.verdict != Verdict::Taken && !outcome.targets.is_empty() {
        let targets: Vec<_> = outcome.targets.iter().cloned().collect();
        effects.push(format!("met {}, which may do more", quoted(&targets)));
    }
    if outcome.untracked {
        effects.push("no connection tracking".to_owned());
    }
    if let Some(zone) = outcome.zone {
        effects.push(format!("connection tracking zone {zone}"));
    }
    effects
}
