//! The report of a run for programs. All that it has to say is diagnostics, and notes on all policies.

use super::report::{Note, Report};
use crate::cli::forms::{self, Case, Findings, Verdict};
use crate::cli::page::totals;
use crate::diag::render::Record;

impl forms::Report for Report {
    const KIND: &'static str = "lint";

    const CODES: &'static [(&'static str, &'static str)] = &[];

    const IS_DIAGNOSTICS: bool = true;

    fn human(&self) -> String {
        let policies = self.files.iter().map(|file| file.policies).sum();
        super::notes(self) + &totals(policies, self.files.len(), self.counts())
    }

    fn findings(&self) -> impl Iterator<Item = &Findings> {
        self.files.iter().filter_map(|file| file.findings.as_ref())
    }

    fn records(&self) -> Vec<Record> {
        self.notes.iter().map(Note::record).collect()
    }

    fn cases(&self) -> Vec<Case> {
        let clean = self.files.iter().filter(|file| file.findings.is_none());
        let clean = clean.map(|file| {
            let (suite, name) = (file.source.clone(), "nothing to say".to_owned());
            Case { suite, name, verdict: Verdict::Good }
        });
        let notes = self.notes.iter().map(|note| Case::of(&note.record(), "lint"));
        clean.chain(notes).collect()
    }
}
