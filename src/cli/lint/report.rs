//! What a run found, as a plain value: whoever prints it needs nothing else.

use serde::Serialize;

use crate::cli::forms::{Findings, Report as _};
use crate::diag::Diagnostic;
use crate::diag::render::Record;

/// What `weir lint` found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Report {
    /// By path.
    pub(in crate::cli) files: Vec<File>,
    /// What is no fault of a policy, once for all of them.
    pub(in crate::cli) notes: Vec<Note>,
}

/// Something that is worth knowing of some policies, and no fault of theirs.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Note {
    /// It, as it was found of the first policy.
    pub(in crate::cli) first: Record,
    /// Of how many policies it was found.
    pub(in crate::cli) policies: usize,
    /// The program that it is about.
    #[serde(skip)]
    pub(in crate::cli) who: &'static str,
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
    /// What is said of all files together.
    #[serde(skip)]
    pub(in crate::cli) notes: Vec<Note>,
}

impl Report {
    /// How many errors and how many warnings there are.
    pub(in crate::cli) fn counts(&self) -> (usize, usize) {
        let all = || self.findings().flat_map(|findings| &findings.drawn.1);
        let errors = all().filter(|found| Diagnostic::is_error(found)).count();
        (errors, all().count() - errors)
    }
}
