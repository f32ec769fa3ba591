//! The engine, against itself, brute force, a second library and a solver.

mod agreement;
pub(crate) mod arbitrary;
mod diagrams;
mod facts;
mod languages;
mod places;
mod shortcuts;
#[path = "../../../tests/suite/common/skip.rs"]
mod skip;
mod solver;
#[path = "../../../tests/suite/common/z3.rs"]
mod z3;
