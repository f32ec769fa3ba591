//! What becomes of a packet at a hook.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use crate::ir::Effect;
use crate::net::Destination;

/// What became of a packet at a hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Outcome {
    /// Whether it goes on.
    pub verdict: Verdict,
    /// How a rule changes its connection's addresses. `None` if it was dropped.
    pub translation: Option<Translation>,
    /// The port of the transparent proxy that took it. `None` if it was dropped.
    pub tproxy: Option<u16>,
    /// Its mark; as it came, if it was dropped.
    pub mark: u32,
    /// The mark under which it was routed last, at output; elsewhere the same as its mark.
    pub routed: u32,
    /// The mark of its connection; as it came, if it was dropped and was to begin the connection.
    pub connmark: u32,
    /// The zone that its connection is tracked in, if one was set. `None` if it was dropped.
    pub zone: Option<u16>,
    /// Whether it was exempted from connection tracking. `false` if it was dropped.
    pub untracked: bool,
    /// The targets of [`Effect::Takes`] and [`Effect::Unknown`] that it met, as they were written;
    /// those of a packet that was dropped are not told.
    pub targets: BTreeSet<Arc<str>>,
}

impl Outcome {
    /// The verdict, and nothing else: no marks, no zone, no translation.
    pub(super) const fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            translation: None,
            tproxy: None,
            mark: 0,
            routed: 0,
            connmark: 0,
            zone: None,
            untracked: false,
            targets: BTreeSet::new(),
        }
    }

    /// What tells one state of a walk from the next, as the walk itself adds to them: of the targets, of
    /// which there may be very many, how many they are.
    pub(super) fn so_far(&self) -> (Self, usize) {
        let Self { verdict, tproxy, mark, routed, connmark, zone, untracked, .. } = *self;
        let translation = self.translation.clone();
        let targets = BTreeSet::new();
        let all =
            Self { verdict, translation, tproxy, mark, routed, connmark, zone, untracked, targets };
        (all, self.targets.len())
    }
}

/// Whether a packet goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// It does.
    Accept,
    /// It does not.
    Drop,
    /// A target takes it that the model does not follow: the last of [`Outcome::targets`] that it
    /// met.
    Taken,
}

/// How the addresses of a connection change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[non_exhaustive]
pub enum Translation {
    /// It goes to this port of this machine.
    Redirect {
        /// The port.
        port: u16,
    },
    /// It comes from this address.
    Snat {
        /// The address.
        to: IpAddr,
    },
    /// It goes to this address.
    Dnat {
        /// The address.
        to: IpAddr,
        /// The port; `None`: its own.
        port: Option<u16>,
    },
    /// It goes to, or comes from, what the rule does not say: see [`Effect::Translates`].
    Opaque {
        /// The target, as it was written.
        text: Arc<str>,
        /// Whether the address surely is this machine's.
        to_this_machine: bool,
    },
}

impl Translation {
    /// Whether it surely leads to an address of this machine, as a redirect does.
    pub(super) const fn is_local(&self) -> bool {
        match self {
            Self::Redirect { .. } => true,
            Self::Dnat { to, .. } => to.is_loopback(),
            Self::Snat { .. } => false,
            Self::Opaque { to_this_machine, .. } => *to_this_machine,
        }
    }
}

/// `accepted, redirected to port 15001, mark 0x539`; parts that are as usual are left out.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.verdict {
            Verdict::Accept => "accepted",
            Verdict::Drop => "dropped",
            Verdict::Taken => "taken",
        })?;
        for target in &self.targets {
            write!(f, ", by `{target}`")?;
        }
        match &self.translation {
            Some(Translation::Redirect { port }) => write!(f, ", redirected to port {port}")?,
            Some(Translation::Snat { to }) => write!(f, ", source {to}")?,
            Some(Translation::Dnat { to, port }) => {
                write!(f, ", destination {}", Destination { address: *to, port: *port })?;
            }
            Some(Translation::Opaque { text, .. }) => write!(f, ", translated by `{text}`")?,
            None => {}
        }
        if let Some(port) = self.tproxy {
            write!(f, ", to the transparent proxy on port {port}")?;
        }
        if let Some(zone) = self.zone {
            write!(f, ", zone {zone}")?;
        }
        f.write_str(if self.untracked { ", untracked" } else { "" })?;
        write!(f, ", mark {:#x}, connmark {:#x}", self.mark, self.connmark)?;
        if self.routed == self.mark {
            Ok(())
        } else {
            write!(f, ", routed by mark {:#x}", self.routed)
        }
    }
}
