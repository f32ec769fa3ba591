//! `--emit smt2`: the question whether two rulesets differ, for somebody else to answer.

use std::io;

use super::differences::common_families;
use super::subject::Subject;
use super::{Outcome, output};
use crate::smt;

/// A form of the question.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Form {
    /// SMT-LIB 2, with bit-vectors: `unsat` if no packet is treated differently, or else `sat`, with
    /// such a packet in the model.
    Smt2,
}

impl Form {
    /// Prints the question about the families about which both say something.
    pub(super) fn print(self, left: &Subject, right: &Subject) -> io::Result<Outcome> {
        let families = common_families(left, right)?;
        let (ours, theirs) = (left.only(families), right.only(families));
        let text = match self {
            Self::Smt2 => smt::question((&left.name, &ours), (&right.name, &theirs)),
        };
        output::print(text.map_err(io::Error::other)?.as_bytes())
    }
}
