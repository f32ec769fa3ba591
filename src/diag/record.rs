//! A diagnostic for programs: with everything in it that there is to say, and nothing to look up.

use serde::{Deserialize, Serialize};

use super::{Diagnostic, Label, Suggestion};
use crate::span::{Sources, Span};

/// Something that was found, as programs read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Record {
    /// `E301`; `null` for what has no page.
    pub code: Option<String>,
    /// How bad it is.
    pub severity: Level,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Where; the first is the place to change.
    pub labels: Vec<RecordLabel>,
    /// Texts to write instead, each a way out of its own.
    pub suggestions: Vec<RecordSuggestion>,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// It means something, but probably not what was wanted.
    Warning,
    /// It is wrong.
    Error,
}

/// A place that has to do with what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RecordLabel {
    /// The file, as it was asked for.
    pub file: String,
    /// The part of it; its fields are absent where the whole file is meant.
    #[serde(flatten)]
    pub at: Option<Extent>,
    /// What the place contributes; may be empty.
    pub text: String,
}

impl RecordLabel {
    /// A whole file.
    #[must_use]
    pub fn of_file(file: impl Into<String>) -> Self {
        Self { file: file.into(), at: None, text: String::new() }
    }

    /// A place of which only is known where it begins, from 1.
    #[must_use]
    pub fn beginning_at(file: impl Into<String>, line: usize, column: usize) -> Self {
        let at =
            Extent { line, column, end_line: line, end_column: column, start: None, end: None };
        Self { at: Some(at), ..Self::of_file(file) }
    }
}

/// A text to write in the place of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RecordSuggestion {
    /// The file.
    pub file: String,
    /// What is replaced; empty where the text is inserted.
    #[serde(flatten)]
    pub at: Extent,
    /// What to write there; empty where the text is to be removed.
    pub replacement: String,
    /// Whether nothing else can have been meant: `weir check --fix` writes it.
    pub safe: bool,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Extent {
    /// Of the first character, from 1.
    pub line: usize,
    /// Of the first character, from 1, in characters.
    pub column: usize,
    /// Behind the last character, from 1.
    pub end_line: usize,
    /// Behind the last character, from 1, in characters.
    pub end_column: usize,
    /// The first byte, from 0; a byte-order mark is not counted. `null` where only lines are known.
    pub start: Option<u32>,
    /// Behind the last byte.
    pub end: Option<u32>,
}

impl Extent {
    fn of(sources: &Sources, at: Span) -> Self {
        let ((line, column), (end_line, end_column)) =
            (sources.line_column(at), sources.line_column(at.behind()));
        Self { line, column, end_line, end_column, start: Some(at.start), end: Some(at.end) }
    }
}

impl Record {
    /// The record of `diagnostic`, whose places lie in `sources`.
    #[must_use]
    pub fn of(sources: &Sources, diagnostic: &Diagnostic) -> Self {
        let name = |at: Span| sources.file(at.file).name.clone();
        let label = |Label { at, text, .. }: &Label| RecordLabel {
            file: name(*at),
            at: Some(Extent::of(sources, *at)),
            text: text.clone(),
        };
        let suggestion = |Suggestion { range, replacement, safe }| RecordSuggestion {
            file: name(range),
            at: Extent::of(sources, range),
            replacement,
            safe,
        };
        Self {
            code: Some(diagnostic.problem.code().to_owned()),
            severity: if diagnostic.is_error() { Level::Error } else { Level::Warning },
            message: diagnostic.problem.to_string(),
            help: diagnostic.problem.help(),
            labels: diagnostic.labels.iter().map(label).collect(),
            suggestions: diagnostic.suggestions(sources).into_iter().map(suggestion).collect(),
        }
    }

    /// One that has no code, no place and no way out.
    #[must_use]
    pub fn bare(severity: Level, message: impl Into<String>) -> Self {
        Self {
            code: None,
            severity,
            message: message.into(),
            help: None,
            labels: Vec::new(),
            suggestions: Vec::new(),
        }
    }
}

impl Level {
    /// `note`, `warning`, `error`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
