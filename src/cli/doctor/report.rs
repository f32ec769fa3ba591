//! What was found in manifests, as a plain value.

use serde::Serialize;

use crate::cli::forms::{self, Case, Findings, Verdict};
use crate::cli::page::totals;
use crate::diag::render::{Level, Record};

/// What `weir doctor` found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Report {
    /// The files, as they were asked for.
    pub(in crate::cli) manifests: Vec<String>,
    /// How many policies they come to; equal workloads count once.
    pub(in crate::cli) policies: usize,
    /// What is wrong; `null` if nothing is.
    pub(in crate::cli) findings: Option<Findings>,
}

impl forms::Report for Report {
    const KIND: &'static str = "doctor";

    const CODES: &'static [(&'static str, &'static str)] = &[];

    const IS_DIAGNOSTICS: bool = true;

    fn human(&self) -> String {
        let of = |level: Level| {
            let all = self.findings.iter().flat_map(|findings| &findings.diagnostics);
            all.filter(|record| record.severity == level).count()
        };
        let found = (of(Level::Error), of(Level::Warning));
        totals(self.policies, self.manifests.len(), found)
    }

    fn findings(&self) -> impl Iterator<Item = &Findings> {
        self.findings.iter()
    }

    fn records(&self) -> Vec<Record> {
        Vec::new()
    }

    fn cases(&self) -> Vec<Case> {
        let found = self.findings.iter().flat_map(|findings| &findings.diagnostics);
        let bad: Vec<_> =
            found.filter_map(|record| Some(record.labels.first()?.file.clone())).collect();
        let good = self.manifests.iter().filter(|file| !bad.contains(file));
        good.map(|file| Case {
            suite: file.clone(),
            name: "nothing to say".to_owned(),
            verdict: Verdict::Good,
        })
        .collect()
    }
}
