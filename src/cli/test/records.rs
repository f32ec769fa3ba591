//! The report of a run as records and cases, of which every form for programs is made.

use super::report::{Expectation, File, Place, Report, State};
use crate::cli::forms::{self, Case, Findings, Verdict};
use crate::diag::render::{Level, Record, RecordLabel};
use crate::testing::Fate;

impl forms::Report for Report {
    const KIND: &'static str = "test";

    const CODES: &'static [(&'static str, &'static str)] = &[
        ("test/broken", "a policy does not do what it expects"),
        ("test/idle", "an expectation is about no packet"),
        ("test/unnoticed", "a change of a policy breaks no expectation"),
    ];

    fn human(&self) -> String {
        super::human::text(self, self.shows_coverage)
    }

    fn findings(&self) -> impl Iterator<Item = &Findings> {
        self.files.iter().filter_map(|file| file.findings.as_ref())
    }

    fn records(&self) -> Vec<Record> {
        let policies = || self.policies();
        let broken = policies().flat_map(|(file, policy)| {
            policy.expectations.iter().filter_map(|expectation| expectation.record(file))
        });
        let unnoticed = policies().flat_map(|(_, policy)| policy.mutants.iter().flatten());
        let unnoticed = unnoticed.filter_map(|mutant| {
            let Fate::Unnoticed { packet, before, after } = &mutant.fate else { return None };
            let message =
                format!("{}: nobody notices; {packet}: {before} → {after}", mutant.change);
            Some(Record {
                code: Some("test/unnoticed".to_owned()),
                labels: vec![mutant.place.label()],
                ..Record::bare(Level::Warning, message)
            })
        });
        broken.chain(unnoticed).collect()
    }

    fn cases(&self) -> Vec<Case> {
        let expectations = self.policies().flat_map(|(file, policy)| {
            policy.expectations.iter().map(move |expectation| {
                let name = format!("{}: {}", policy.name, expectation.words);
                let suite = file.source.clone();
                match expectation.record(file) {
                    None => Case { suite, name, verdict: Verdict::Good },
                    Some(record) => Case { suite, name, ..Case::of(&record, "") },
                }
            })
        });
        expectations.collect()
    }
}

impl Expectation {
    /// What is to be said of it; `None` if it holds.
    fn record(&self, file: &File) -> Option<Record> {
        let code = match self.state {
            State::Holds => return None,
            State::Broken => "test/broken",
            State::Idle => "test/idle",
        };
        let more = [&self.why, &self.because].into_iter().flatten();
        let message = more
            .fold(format!("{}: {}", self.words, self.state.words()), |all, line| all + "\n" + line);
        let whole = || RecordLabel::of_file(&file.source);
        Some(Record {
            code: Some(code.to_owned()),
            labels: vec![self.place.as_ref().map_or_else(whole, Place::label)],
            ..Record::bare(Level::Error, message)
        })
    }
}

impl Place {
    fn label(&self) -> RecordLabel {
        RecordLabel::beginning_at(&self.file, self.line, self.column)
    }
}
