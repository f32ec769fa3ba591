//! nft scripts, and what `nft list ruleset` prints.
//!
//! ```text
//! script ──lexer──▶ tokens ──command, block, rule, statement, field, value──▶ Script ──print, flat──▶ script
//! ```
//!
//! The reader is written by hand, because what a token of nft is depends on what stands before it
//! (`ip` is a word of its own, and a name of an interface), and because whatever it does not know has
//! to be named with its place. A rule that cannot be read is kept as that, so that all that is wrong
//! is reported, and nothing of a table that is taken away again.

mod block;
mod command;
mod field;
mod flat;
mod lexer;
mod parser;
mod print;
mod rule;
mod statement;
mod value;

pub(crate) use command::{read, read_update};
pub(crate) use flat::print_flat;
pub(crate) use print::{comparison, print};
pub(crate) use statement::{DEFAULT_BURST, rejected, statements};
