//! How grave a line in the log of a mesh's tool is.

/// The level of a line in a log, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// None is written.
    Off,
    /// Something failed.
    Error,
    /// Something may not be meant.
    Warn,
    /// What is done.
    Info,
    /// More of it.
    Debug,
}
