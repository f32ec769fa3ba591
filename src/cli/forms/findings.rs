//! What is wrong with policies, as a part of what a command reports.

use serde::Serialize;

use crate::diag::Diagnostic;
use crate::diag::render::Record;
use crate::span::Sources;

/// What is wrong with the policies of a file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Findings {
    /// The file.
    pub(in crate::cli) source: String,
    /// What is wrong, for programs.
    pub(in crate::cli) diagnostics: Vec<Record>,
    /// The same, to be drawn.
    #[serde(skip)]
    pub(in crate::cli) drawn: (Sources, Vec<Diagnostic>),
}

impl Findings {
    pub(in crate::cli) fn new(
        source: &str,
        sources: Sources,
        diagnostics: Vec<Diagnostic>,
    ) -> Self {
        let records = diagnostics.iter().map(|found| Record::of(&sources, found));
        Self {
            source: source.to_owned(),
            diagnostics: records.collect(),
            drawn: (sources, diagnostics),
        }
    }
}
