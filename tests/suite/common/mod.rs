//! What several tests need.

pub(crate) mod netns;
pub(crate) mod rulesets;
