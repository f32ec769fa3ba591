//! One program for all targets: `WEIR_FUZZ=compile fuzz corpus/compile`. CONTRIBUTING.md says more.
#![no_main]

/// Random rulesets and packets, as the library's own tests make them.
#[path = "../../src/semantics/tests/arbitrary.rs"]
mod arbitrary;
mod commands;
mod differential;
/// Random policies, as its integration tests make them.
#[path = "../../tests/suite/common/policies.rs"]
mod policies;
mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
// What is shared with the library's tests names them as the library does.
use netweir::{ir, net, semantics};

use targets::{TARGETS, Target};

fn chosen() -> Target {
    static CHOSEN: OnceLock<Target> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let wanted = std::env::var("WEIR_FUZZ").unwrap_or_default();
        let found = TARGETS.iter().find(|(name, _)| *name == wanted);
        let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        found.unwrap_or_else(|| panic!("WEIR_FUZZ must be one of {}", names.join(", "))).1
    })
}

fuzz_target!(|bytes: &[u8]| chosen()(bytes));
