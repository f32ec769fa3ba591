use super::Policy;

/// How much [`print`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Every clause, defaults too.
    Everything,
    /// Only what differs from the defaults.
    Differences,
}

/// The policy in the language, formatted; parsing it gives the policy again.
#[must_use]
pub fn print(_policy: &Policy, _detail: Detail) -> String {
    todo!()
}
