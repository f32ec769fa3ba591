//! Other systems' configuration, to policies.

mod finding;
pub mod istio;
mod words;

pub use finding::{Finding, Given, Source};
