//! What a run found, as a plain value: whoever prints it needs nothing else.

use serde::Serialize;

use crate::cli::forms::{Findings, Report as _};
use crate::diag::Diagnostic;

/// What `weir lint` found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Report {
    /// By path.
    pub(in crate::cli) files: Vec<File>,
}

/// A file with policies.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct File {
    /// Its path, relative to the repository, with `/` between its parts.
    pub(in crate::cli) source: String,
    /// How many policies it has; 0 if they are refused.
    pub(in crate::cli) policies: usize,
    /// What there is to say about them; `None` if there is nothing.
    pub(in crate::cli) findings: Option<Findings>,
}

impl Report {
    /// How many errors and how many warnings there are.
    pub(in crate::cli) fn counts(&self) -> (usize, usize) {
        let all = || self.findings().flat_map(|findings| &findings.drawn.1);
        let errors = all().filter(|found| Diagnostic::is_error(found)).count();
        (errors, all().count() - errors)
    }
}
