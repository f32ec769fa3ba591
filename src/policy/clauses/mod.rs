//! What clauses are read with, whatever kind of policy they are of: forms, lists, values, and what
//! was meant where something is wrong.

pub(crate) mod addresses;
mod between;
mod braces;
pub(crate) mod effects;
mod expect;
pub(crate) mod families;
pub(crate) mod form;
pub(crate) mod given;
pub(crate) mod graph;
pub(crate) mod lets;
pub(crate) mod lists;
mod misread;
pub(crate) mod numbers;
pub(crate) mod per_family;
pub(crate) mod reading;
pub(crate) mod spelling;
pub(crate) mod values;
pub(crate) mod words;
