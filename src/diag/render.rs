//! Diagnostics as text: for people, for editors, for programs.
//!
//! Nothing of a source reaches a terminal as a control character, whatever is in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};
use serde::Serialize;

use super::{Diagnostic, Label, Severity};
use crate::span::{FileId, Sources, Span};

/// The diagnostics with the lines that they are about, for people.
///
/// A line of the source that is very long is cut, and so is a label at the end of its first line.
#[must_use]
pub fn human(sources: &Sources, diagnostics: &[Diagnostic], colour: bool) -> String {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_context_lines(1)
        .with_wrap_lines(false)
        .with_links(false);
    let mut index = LineIndex::new(sources);
    let mut text = String::new();
    for (at, diagnostic) in diagnostics.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        let report = Report::new(&mut index, diagnostic);
        handler.render_report(&mut text, &report).expect("a String accepts every write");
    }
    text
}

/// One line for each diagnostic: `file:line:column: error[E301]: message (label); help: …`.
#[must_use]
pub fn short(sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    let mut index = LineIndex::new(sources);
    let mut text = String::new();
    for diagnostic in diagnostics {
        let problem = &diagnostic.problem;
        if let Some(at) = diagnostic.at() {
            let (line, column) = index.line_column(at);
            write!(text, "{}:{line}:{column}: ", harmless(&sources.file(at.file).name))
                .expect("a String accepts every write");
        }
        write!(
            text,
            "{}[{}]: {}",
            problem.severity(),
            problem.code(),
            harmless(&problem.to_string())
        )
        .expect("a String accepts every write");
        if let Some(label) = diagnostic.labels.first().filter(|label| !label.text.is_empty()) {
            write!(text, " ({})", harmless(&label.text)).expect("a String accepts every write");
        }
        if let Some(help) = problem.help() {
            write!(text, "; help: {}", harmless(&help.replace('\n', " ")))
                .expect("a String accepts every write");
        }
        text.push('\n');
    }
    text
}

/// One JSON object a line for each diagnostic, with `code`, `severity`, `message`, `help` and
/// `labels`; of a label `file`, `line` and `column` from 1, and `start` and `end` in bytes.
#[must_use]
pub fn json(sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        code: &'a str,
        severity: String,
        message: String,
        help: Option<String>,
        labels: Vec<Place<'a>>,
    }

    #[derive(Serialize)]
    struct Place<'a> {
        file: &'a str,
        line: usize,
        column: usize,
        start: u32,
        end: u32,
        text: &'a str,
    }

    let mut index = LineIndex::new(sources);
    let mut text = String::new();
    for Diagnostic { problem, labels } in diagnostics {
        let place = |label: &'_ Label| {
            let (line, column) = index.line_column(label.at);
            (line, column)
        };
        let places: Vec<_> = labels.iter().map(place).collect();
        let labels = labels.iter().zip(places).map(|(label, (line, column))| Place {
            file: &sources.file(label.at.file).name,
            line,
            column,
            start: label.at.start,
            end: label.at.end,
            text: &label.text,
        });
        let object = Object {
            code: problem.code(),
            severity: problem.severity().to_string(),
            message: problem.to_string(),
            help: problem.help(),
            labels: labels.collect(),
        };
        text += &serde_json::to_string(&object).expect("strings and numbers are JSON");
        text.push('\n');
    }
    text
}

/// `text` without what a terminal would obey, or what would change the order of its characters.
fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_harmful(c) {
            harmless.extend(c.escape_unicode());
        } else {
            harmless.push(c);
        }
    }
    harmless
}

fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Where the lines of the files begin.
struct LineIndex<'a> {
    sources: &'a Sources,
    starts: BTreeMap<FileId, Vec<usize>>,
}

impl<'a> LineIndex<'a> {
    fn new(sources: &'a Sources) -> Self {
        Self { sources, starts: BTreeMap::new() }
    }

    fn starts(&mut self, file: FileId) -> &[usize] {
        let text = &self.sources.file(file).text;
        self.starts.entry(file).or_insert_with(|| {
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
        })
    }

    /// The line of `at`, from 0.
    fn row(&mut self, file: FileId, at: usize) -> usize {
        self.starts(file).partition_point(|start| *start <= at) - 1
    }

    /// The bytes of the line `row`, without its end.
    fn line(&mut self, file: FileId, row: usize) -> (usize, &'a str) {
        let text = &self.sources.file(file).text;
        let start = self.starts(file)[row];
        let end = self.starts(file).get(row + 1).map_or(text.len(), |next| next - 1);
        let line = &text[start..end];
        (start, line.strip_suffix('\r').unwrap_or(line))
    }

    fn rows(&mut self, file: FileId) -> usize {
        self.starts(file).len()
    }

    fn line_column(&mut self, at: Span) -> (usize, usize) {
        let start = at.start as usize;
        let row = self.row(at.file, start);
        let line_start = self.starts(at.file)[row];
        let before = &self.sources.file(at.file).text[line_start..start];
        (row + 1, before.chars().count() + 1)
    }
}

/// A diagnostic as miette wants it.
#[derive(Debug)]
struct Report<'a> {
    diagnostic: &'a Diagnostic,
    message: String,
    help: Option<String>,
    excerpt: Option<Excerpt>,
}

impl<'a> Report<'a> {
    fn new(index: &mut LineIndex<'_>, diagnostic: &'a Diagnostic) -> Self {
        let mut help = diagnostic.problem.help().map(|help| harmless(&help));
        let file = diagnostic.at().map(|at| at.file);
        // One picture shows one file, so places in other files are told by their names.
        for label in diagnostic.labels.iter().filter(|label| Some(label.at.file) != file) {
            let (line, column) = index.line_column(label.at);
            let name = harmless(&index.sources.file(label.at.file).name);
            let text = if label.text.is_empty() { "here" } else { &label.text };
            let place = format!("{}: {name}:{line}:{column}", harmless(text));
            help = Some(help.map_or(place.clone(), |help| format!("{help}\n{place}")));
        }
        Self {
            diagnostic,
            message: harmless(&diagnostic.problem.to_string()),
            help,
            excerpt: file.map(|file| Excerpt::new(index, file, &diagnostic.labels)),
        }
    }
}

impl std::fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn std::fmt::Display + 'b>> {
        Some(Box::new(self.diagnostic.problem.code()))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.problem.severity() {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn std::fmt::Display + 'b>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn std::fmt::Display + 'b>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.excerpt.as_ref().map(|excerpt| excerpt as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let excerpt = self.excerpt.as_ref()?;
        let labels = excerpt.labels.iter().enumerate().map(|(at, label)| {
            let text = Some(label.text.clone()).filter(|text| !text.is_empty());
            if at == 0 {
                LabeledSpan::new_primary_with_span(text, label.at)
            } else {
                LabeledSpan::new_with_span(text, label.at)
            }
        });
        Some(Box::new(labels))
    }
}

/// The lines of one file that a diagnostic is about, as they are shown.
#[derive(Debug)]
struct Excerpt {
    name: String,
    text: String,
    /// The line of the file, from 0, that the text begins with.
    first_row: usize,
    labels: Vec<Shown>,
}

/// A label, as it is shown.
#[derive(Debug)]
struct Shown {
    /// Bytes of the text of the excerpt.
    at: SourceSpan,
    text: String,
    /// The column in the file, from 0.
    column: usize,
}

impl Excerpt {
    /// Longest line that is shown whole, and how much is shown of a longer one, in bytes.
    const LONGEST: usize = 240;
    const WINDOW: usize = 160;
    /// How much is shown of it before the first label.
    const BEFORE: usize = 60;

    fn new(index: &mut LineIndex<'_>, file: FileId, labels: &[Label]) -> Self {
        let labels: Vec<&Label> = labels.iter().filter(|label| label.at.file == file).collect();
        let rows: Vec<usize> =
            labels.iter().map(|label| index.row(file, label.at.start as usize)).collect();
        let first_row = rows.iter().min().map_or(0, |row| row.saturating_sub(1));
        let last_row = rows.iter().max().map_or(0, |row| row + 1).min(index.rows(file) - 1);
        let mut excerpt = Self {
            name: harmless(&index.sources.file(file).name),
            text: String::new(),
            first_row,
            labels: Vec::new(),
        };
        let mut shown: Vec<Option<Shown>> = labels.iter().map(|_| None).collect();
        for row in first_row..=last_row {
            let (start, line) = index.line(file, row);
            let here = || (0..labels.len()).filter(|label| rows[*label] == row);
            let first = here().map(|label| labels[label].at.start as usize - start).min();
            let window = Self::window(line, first.unwrap_or(0));
            if window.start > 0 {
                excerpt.text.push('…');
            }
            let shown_start = excerpt.text.len();
            excerpt.text.extend(line[window.clone()].chars().map(visible));
            for label in here() {
                let within = |at: u32| {
                    let at = (at as usize).saturating_sub(start).min(line.len());
                    shown_start + at.clamp(window.start, window.end) - window.start
                };
                let (from, to) = (within(labels[label].at.start), within(labels[label].at.end));
                shown[label] = Some(Shown {
                    at: (from, to - from).into(),
                    text: harmless(&labels[label].text),
                    column: index.line_column(labels[label].at).1 - 1,
                });
            }
            if window.end < line.len() {
                excerpt.text.push('…');
            }
            if row < last_row {
                excerpt.text.push('\n');
            }
        }
        excerpt.labels = shown.into_iter().flatten().collect();
        // Behind the last line without an end, miette shows no mark.
        let end = excerpt.text.len();
        if end > 0 && excerpt.labels.iter().any(|label| label.at.offset() == end) {
            excerpt.text.push(' ');
        }
        excerpt
    }

    /// The part of `line` that is shown, around `first`.
    fn window(line: &str, first: usize) -> std::ops::Range<usize> {
        if line.len() <= Self::LONGEST {
            return 0..line.len();
        }
        let start = first.saturating_sub(Self::BEFORE).min(line.len() - Self::WINDOW);
        let start = line.floor_char_boundary(start);
        start..line.floor_char_boundary(start + Self::WINDOW)
    }
}

/// `c`, or something to see that has as many bytes.
fn visible(c: char) -> char {
    match (c, c.len_utf8()) {
        ('\t', _) => c,
        (_, 1) if is_harmful(c) => '?',
        (_, 2) if is_harmful(c) => '¿',
        (_, 3) if is_harmful(c) => '\u{fffd}',
        _ => c,
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let found = self.text.read_span(span, before, after)?;
        // miette counts bytes; people and editors count characters.
        let label = self.labels.iter().find(|label| before == 0 && label.at == *span);
        let column = label.map_or(found.column(), |label| label.column);
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            found.data(),
            *found.span(),
            found.line() + self.first_row,
            column,
            found.line_count(),
        )))
    }
}
