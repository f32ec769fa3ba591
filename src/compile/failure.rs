//! Why nothing was compiled or written, as an error.

use std::error::Error;
use std::fmt;

use crate::diag::Diagnostic;
use crate::span::Sources;

/// Why there is nothing: no policy, or no text of one.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Every file that was read.
    pub sources: Sources,
    /// Errors, at least one, and warnings, in source order.
    pub diagnostics: Vec<Diagnostic>,
}

/// A line for each diagnostic: `web.weir:2:24: E301: port 0 is out of range`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, diagnostic) in self.diagnostics.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{}", diagnostic.line(&self.sources))?;
        }
        Ok(())
    }
}

/// The same lines: `main` and `unwrap` show an error so.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Failure {}
