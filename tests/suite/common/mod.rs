//! What several tests share.

pub(crate) mod corpus;
pub(crate) mod machine;
pub(crate) mod netns;
pub(crate) mod policies;
pub(crate) mod rulesets;
pub(crate) mod shipped;
pub(crate) mod snapshots;
