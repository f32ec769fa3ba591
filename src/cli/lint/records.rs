//! The report of a run for programs. All that it has to say is diagnostics.

use super::report::Report;
use crate::cli::forms::{self, Case, Verdict};
use crate::diag::Diagnostic;
use crate::diag::render::Record;
use crate::span::Sources;

impl forms::Report for Report {
    const KIND: &'static str = "lint";

    const CODES: &'static [(&'static str, &'static str)] = &[];

    const IS_DIAGNOSTICS: bool = true;

    fn human(&self) -> String {
        super::totals(self)
    }

    fn diagnostics(&self) -> Vec<(&Sources, &[Diagnostic])> {
        let drawn = self.findings().map(|findings| &findings.drawn);
        drawn.map(|(sources, diagnostics)| (sources, diagnostics.as_slice())).collect()
    }

    fn records(&self) -> Vec<Record> {
        Vec::new()
    }

    fn cases(&self) -> Vec<Case> {
        let clean = self.files.iter().filter(|file| file.findings.is_none());
        let clean = clean.map(|file| {
            let (suite, name) = (file.source.clone(), "nothing to say".to_owned());
            Case { suite, name, verdict: Verdict::Good }
        });
        let records = self.findings().flat_map(|findings| &findings.diagnostics);
        clean.chain(records.map(|record| Case::of(record, Self::KIND))).collect()
    }
}
