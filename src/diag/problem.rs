/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The policy means something, but probably not what was wanted.
    Warning,
    /// The policy means nothing.
    Error,
}

/// What is wrong, independent of where.
///
/// A message is one lower-case clause without a period, with what the user wrote in backticks. It
/// states a fact; what to do about it is the help. Codes by phase: `E1xx` syntax, `E2xx` files,
/// `E3xx` values and clauses, `E4xx` a target cannot say this, `W5xx` suspicious. A released code
/// is never reused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// `E401`: a backend cannot express a rule exactly, so it writes nothing.
    #[error("{target} cannot express this exactly: {what}")]
    Unsupported {
        /// The backend and its version: `nft 1.0.1`.
        target: String,
        /// What it lacks.
        what: String,
    },
}
