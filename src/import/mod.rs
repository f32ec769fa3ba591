//! Other systems' configuration, to policies.

pub mod istio;
