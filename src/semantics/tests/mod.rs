//! The engine, against itself, brute force and a second library.

mod agreement;
mod arbitrary;
mod diagrams;
mod facts;
mod languages;
mod places;
