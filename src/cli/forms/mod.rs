//! The forms in which weir says what it found: for people, for editors, for programs.
//!
//! A form is made of [`Record`]s, and of a [`Report`] where a command has more to say than what is
//! wrong. A command knows no form, and a form no command.

pub(in crate::cli) mod escape;
mod findings;
pub(in crate::cli) mod github;
pub(in crate::cli) mod junit;
pub(in crate::cli) mod sarif;

use clap::ValueEnum;
use serde::Serialize;

pub(in crate::cli) use self::findings::Findings;
use crate::diag::render::{Level, Record};

/// How what was found looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Form {
    /// Source lines with labels, and what to write instead.
    #[default]
    Human,
    /// One line each: `file:line:column: error[E301]: message`.
    Short,
    /// One JSON object per line: see docs/schema.
    Json,
    /// Workflow commands, with which GitHub annotates the lines of a pull request.
    Github,
    /// A SARIF 2.1.0 document.
    Sarif,
    /// A JUnit XML document.
    Junit,
}

impl Form {
    /// Whether all that is said is one document, which is written at the end.
    pub(in crate::cli) const fn is_document(self) -> bool {
        matches!(self, Self::Sarif | Self::Junit)
    }
}

/// What a command looked at and makes known, beside what is wrong with policies: its product, from
/// which every form is made.
pub(in crate::cli) trait Report: Serialize {
    /// What it is called in JSON: `golden`.
    const KIND: &'static str;

    /// What its codes mean, of those that have no page.
    const CODES: &'static [(&'static str, &'static str)];

    /// Whether what is wrong with the policies is what was asked for, and no news beside it.
    const IS_DIAGNOSTICS: bool = false;

    /// It for people, with the end of its last line.
    fn human(&self) -> String;

    /// What is wrong with the policies, by file; as JSON, the report has it in itself.
    fn findings(&self) -> impl Iterator<Item = &Findings>;

    /// What is not as it should be, beside the findings.
    fn records(&self) -> Vec<Record>;

    /// Everything that was looked at, whether or not it is as it should be, beside the findings.
    fn cases(&self) -> Vec<Case>;
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Case {
    /// What it is a part of: the file of a policy.
    pub(in crate::cli) suite: String,
    /// What it is called, in its suite.
    pub(in crate::cli) name: String,
    /// How it is.
    pub(in crate::cli) verdict: Verdict,
}

/// How something is that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Verdict {
    /// As it should be.
    Good,
    /// The same, and there is something to say about it.
    Remarked(String),
    /// Not as it should be.
    Bad {
        /// Of what kind: `E301`.
        code: String,
        /// In one line.
        message: String,
        /// All there is to say.
        text: String,
    },
    /// It could not be looked at, and why.
    Failed(String),
}

impl Case {
    /// That something was found, in what it was found in, or in `otherwise` where no file is named.
    pub(in crate::cli) fn of(record: &Record, otherwise: &str) -> Self {
        let label = record.labels.first();
        let suite = label.map_or(otherwise, |label| &label.file).to_owned();
        let place = label.and_then(|label| label.at).map(|at| format!("{}:{}", at.line, at.column));
        let file = label.map(|label| label.file.clone());
        let place_in_file: Vec<_> = file.into_iter().chain(place.clone()).collect();
        let name: Vec<_> = place.into_iter().chain(record.code.clone()).collect();
        let name = if name.is_empty() { record.message.clone() } else { name.join(" ") };
        let text = format!("{}\n{}", place_in_file.join(":"), text(record));
        let verdict = match record.severity {
            Level::Error => Verdict::Bad {
                code: record.code.clone().unwrap_or_default(),
                message: record.message.lines().next().unwrap_or_default().to_owned(),
                text: text.trim_start().to_owned(),
            },
            Level::Warning | Level::Note => Verdict::Remarked(text.trim_start().to_owned()),
        };
        Self { suite, name, verdict }
    }
}

/// All that a record says in words, in lines: the message with the label, then the help.
fn text(record: &Record) -> String {
    let label = record.labels.first().map(|label| &label.text).filter(|text| !text.is_empty());
    let label = label.map(|text| format!(" ({text})")).unwrap_or_default();
    let help = record.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    format!("{}{label}{help}", record.message)
}
