//! The report of a run as records and cases, of which every form for programs is made.

use std::fmt::Write as _;

use super::report::{Entry, Report, State};
use crate::Way;
use crate::cli::forms::{self, Case, Findings, Verdict};
use crate::diag::render::{Level, Record, RecordLabel};

impl forms::Report for Report {
    const KIND: &'static str = "golden";

    const CODES: &'static [(&'static str, &'static str)] = &[
        ("golden/same-meaning", "another text, which is proved to mean the same"),
        ("golden/other-text", "another text, of which not everything is known"),
        ("golden/other-meaning", "a golden means something else than its policy"),
        ("golden/missing", "a golden is not there"),
        ("golden/orphaned", "no policy comes to a golden any longer"),
        ("golden/collision", "two policies come to one golden"),
    ];

    fn human(&self) -> String {
        super::human::text(self)
    }

    fn findings(&self) -> impl Iterator<Item = &Findings> {
        self.findings.iter()
    }

    fn records(&self) -> Vec<Record> {
        self.entries.iter().filter_map(|entry| self.record(entry)).collect()
    }

    fn cases(&self) -> Vec<Case> {
        let entries = self.entries.iter().filter(|entry| entry.state != State::Refused);
        let goldens = entries.map(|entry| {
            let suite = entry.source.as_ref().unwrap_or(&entry.path).clone();
            match self.record(entry) {
                None => Case { suite, name: entry.path.clone(), verdict: Verdict::Good },
                Some(record) => Case { suite, name: entry.path.clone(), ..Case::of(&record, "") },
            }
        });
        goldens.collect()
    }
}

impl Report {
    /// What is to be said of a golden; `None` if it is current. What is wrong with a policy that is
    /// refused its diagnostics say.
    fn record(&self, entry: &Entry) -> Option<Record> {
        let code = entry.state.code()?;
        // What was made current is as it should be, and what is equal is no error of its policy.
        let is_blessed = self.blessed.is_some() && !self.is_refused();
        let severity = match entry.state {
            _ if is_blessed => Level::Note,
            State::SameMeaning => Level::Warning,
            _ => Level::Error,
        };
        let mut message = format!("{}: {}", entry.path, entry.state.words());
        for words in &entry.words {
            let _ = write!(message, "\n{words}");
        }
        for way in &entry.ways {
            message += &words(way);
        }
        if entry.and_more {
            message += "\nand more ways";
        }
        let can_bless = self.blessed.is_none() && self.base.is_none() && !self.is_refused();
        Some(Record {
            code: Some(code.to_owned()),
            severity,
            message,
            help: can_bless.then(|| "`weir golden --bless` makes it current".to_owned()),
            labels: vec![entry.label()],
            suggestions: Vec::new(),
        })
    }
}

impl Entry {
    /// The clause because of which the golden means something else; else the file of its policy, or
    /// the golden itself if it has none.
    fn label(&self) -> RecordLabel {
        let clause = self.ways.iter().find_map(|way| way.clause.as_ref());
        match clause {
            Some(clause) => RecordLabel::beginning_at(&clause.file, clause.line, clause.column),
            None => RecordLabel::of_file(self.source.as_ref().unwrap_or(&self.path)),
        }
    }
}

/// A way in which packets fare otherwise, in lines of their own.
fn words(way: &Way) -> String {
    let mut text = format!("\n{}", way.words);
    for traffic in &way.traffic {
        let _ = write!(text, "\n  {traffic}");
    }
    if way.and_more {
        text += "\n  and more";
    }
    for supposed in &way.supposes {
        let _ = write!(text, "\n  if {supposed}, which no listing tells");
    }
    let _ = write!(text, "\n  for example {}", way.packet);
    if !way.reached {
        text += "\n  though no packet was found that gets there";
    }
    text
}
