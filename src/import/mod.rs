//! Other systems' configuration, to policies.
