//! Text to syntax tree, and back.
//!
//! [`load()`] reads a file and what it includes, `parse` one file; `format` writes a tree, and `clauses` says
//! how outputs name its clauses.
//!
//! Trees are no part of the interface, and hidden from the documentation.

#[doc(hidden)]
pub mod ast;
mod clauses;
mod format;
mod load;
mod lookalike;
mod parse;
mod size;
mod tree;

#[doc(hidden)]
pub use clauses::clauses;
#[doc(hidden)]
pub use format::format;
pub(crate) use load::load_policies;
pub use load::{Loaded, Loader, MOST_INCLUDES, NoIncludes, load};
#[doc(hidden)]
pub use parse::{Parsed, parse};
pub use size::MOST_TERMS;
pub use tree::MOST_NESTED;

pub(crate) use clauses::{ALLOW, said, said_at, trailing_allow, values, words};
pub(crate) use format::Page;
