//! Text to syntax tree, and back.

use crate::diag::Diagnostic;
use crate::span::Sources;

/// Everything that was read for one compilation.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The files: the one asked for first, then those it includes.
    pub sources: Sources,
    /// Problems of reading and parsing.
    pub diagnostics: Vec<Diagnostic>,
}
