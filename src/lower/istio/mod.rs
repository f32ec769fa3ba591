//! Istio's ladders.

pub mod rungs;
