//! What can go wrong, at which step, and what the namespace is then.

use std::fmt;

/// A step of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Step {
    /// What is needed is looked for: programs and their versions, a capability, what the kernel can do.
    Preflight,
    /// The lock is taken, so that no other change is made meanwhile.
    Lock,
    /// What is loaded is read.
    Read,
    /// Addresses, routes and routing rules are changed.
    Routing,
    /// Rules are loaded, or taken away.
    Rules,
    /// What the kernel holds is read back, and proved to be what is wanted.
    Verify,
    /// What was there is put back.
    Undo,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 7] = [
        Self::Preflight,
        Self::Lock,
        Self::Read,
        Self::Routing,
        Self::Rules,
        Self::Verify,
        Self::Undo,
    ];
}

/// `preflight`, `lock`, `read`, `routing`, `rules`, `verify`, `undo`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preflight => "preflight",
            Self::Lock => "lock",
            Self::Read => "read",
            Self::Routing => "routing",
            Self::Rules => "rules",
            Self::Verify => "verify",
            Self::Undo => "undo",
        })
    }
}

/// What a namespace is behind a change that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Left {
    /// Nothing was changed.
    Unchanged,
    /// What was changed is as it was again.
    Restored,
    /// Something is otherwise than it was.
    Changed,
}

/// `nothing was changed`.
impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unchanged => "nothing was changed",
            Self::Restored => "everything is as it was again",
            Self::Changed => {
                "the namespace is not as it was; run it again, or look at what is loaded"
            }
        })
    }
}

/// Why a namespace is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {why}; {left}")]
#[non_exhaustive]
pub struct Error {
    /// At which step.
    pub step: Step,
    /// What went wrong there.
    pub why: String,
    /// What the namespace is now.
    pub left: Left,
}

impl Error {
    /// A failure before anything was changed.
    pub(super) fn before(step: Step, why: impl fmt::Display) -> Self {
        Self { step, why: why.to_string(), left: Left::Unchanged }
    }
}
