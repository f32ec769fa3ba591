//! libnftables JSON, schema version 1: what `nft -j list ruleset` prints, and what `nft -j -f` takes.

mod field;
mod object;
mod print;
mod read;
mod rule;
mod statement;
mod tree;
mod value;

pub(crate) use print::print;
pub(crate) use read::read;
