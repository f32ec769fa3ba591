//! What several tests share.

pub(crate) mod beside;
pub(crate) mod corpus;
pub(crate) mod hosts;
pub(crate) mod junit;
pub(crate) mod machine;
pub(crate) mod mutants;
pub(crate) mod netns;
pub(crate) mod node;
pub(crate) mod pairs;
pub(crate) mod pod;
pub(crate) mod policies;
pub(crate) mod repository;
pub(crate) mod rulesets;
pub(crate) mod shipped;
pub(crate) mod skip;
pub(crate) mod snapshots;
pub(crate) mod told;
pub(crate) mod z3;
