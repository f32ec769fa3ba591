//! Diagnostics as text: for people, for editors, for programs.
//!
//! Nothing of a source reaches a terminal as a control character, whatever is in it.

use std::fmt::Write as _;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};
use serde::Serialize;

use super::escape::{harmless, is_harmful};
pub use super::record::{Extent, Level, Record, RecordLabel, RecordSuggestion};
use super::{Diagnostic, Label, Severity};
use crate::compile::Failure;
use crate::span::{FileId, Source, Sources, Span, beginning};

/// The diagnostics with the lines that they are about, for people.
///
/// A line of the source that is very long is cut, and so is a label at the end of its first line.
#[must_use]
pub fn human(sources: &Sources, diagnostics: &[Diagnostic], colour: bool) -> String {
    drawn(sources, diagnostics, colour, None)
}

/// The same in lines of at most `width` columns, except for lines of the source and words that are longer.
#[must_use]
pub fn human_within(
    sources: &Sources,
    diagnostics: &[Diagnostic],
    colour: bool,
    width: usize,
) -> String {
    drawn(sources, diagnostics, colour, Some(width))
}

fn drawn(
    sources: &Sources,
    diagnostics: &[Diagnostic],
    colour: bool,
    width: Option<usize>,
) -> String {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_context_lines(1)
        .with_wrap_lines(width.is_some())
        // miette leaves two columns free.
        .with_width(width.unwrap_or_default() + 2)
        .with_break_words(false)
        .with_word_separator(textwrap::WordSeparator::AsciiSpace)
        .with_word_splitter(textwrap::WordSplitter::NoHyphenation)
        .with_links(false);
    let mut text = String::new();
    for (at, diagnostic) in diagnostics.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        let mut report = Report::of(sources, diagnostic);
        if let Some(width) = width {
            report.wrap(width);
        }
        handler.render_report(&mut text, &report).expect("a String accepts every write");
    }
    if width.is_some() { text.replace(NO_BREAK, " ") } else { text }
}

/// Stands for a space at which no line is broken, one column wide. In a source, this private character is shown as a space.
const NO_BREAK: char = '\u{e000}';

/// `text` with what is between backticks in one piece where that is shorter than half of `width`.
fn kept(text: &str, width: usize) -> String {
    let pieces = text.split('`').enumerate().map(|(at, piece)| {
        let is_kept = at % 2 == 1 && piece.chars().count() < width / 2;
        if is_kept {
            piece.replace(' ', NO_BREAK.encode_utf8(&mut [0; 4]))
        } else {
            piece.to_owned()
        }
    });
    pieces.collect::<Vec<_>>().join("`")
}

/// One line for each diagnostic: `file:line:column: error[E301]: message (label); help: …`.
#[must_use]
pub fn short(sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    let records = diagnostics.iter().map(|diagnostic| Record::of(sources, diagnostic));
    records.map(|record| short_line(&record) + "\n").collect()
}

/// The line of [`short`] for a record, without its end.
#[must_use]
pub fn short_line(record: &Record) -> String {
    let mut line = String::new();
    if let Some(RecordLabel { file, at, .. }) = record.labels.first() {
        line += file;
        if let Some(at) = at {
            let _ = write!(line, ":{}:{}", at.line, at.column);
        }
        line += ": ";
    }
    line += record.severity.word();
    if let Some(code) = &record.code {
        let _ = write!(line, "[{code}]");
    }
    let message: Vec<_> = record.message.lines().map(str::trim_start).collect();
    let _ = write!(line, ": {}", message.join("; "));
    if let Some(label) = record.labels.first().filter(|label| !label.text.is_empty()) {
        let _ = write!(line, " ({})", label.text);
    }
    if let Some(help) = &record.help {
        let _ = write!(line, "; help: {help}");
    }
    harmless(&line.replace('\n', " "))
}

/// One JSON object a line for each diagnostic: a [`Message`].
#[must_use]
pub fn json(sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    let records = diagnostics.iter().map(|diagnostic| Record::of(sources, diagnostic));
    records.map(|record| Message::new("diagnostic", record).line()).collect()
}

/// What programs are told, with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Message<T> {
    /// Of the form: it changes where a program that reads the old one could be wrong.
    pub version: u32,
    /// What it is: `diagnostic`.
    pub kind: &'static str,
    /// The rest of it.
    #[serde(flatten)]
    pub what: T,
}

impl<T: Serialize> Message<T> {
    /// The version of all forms.
    const VERSION: u32 = 1;

    /// `what`, of a kind.
    pub const fn new(kind: &'static str, what: T) -> Self {
        Self { version: Self::VERSION, kind, what }
    }

    /// It as a line, with its end.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers are JSON") + "\n"
    }

    /// It as lines, for people too.
    #[must_use]
    pub fn pretty(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and numbers are JSON") + "\n"
    }
}

/// Whether `label` stands so near to the place to change that one picture shows both.
fn are_near(sources: &Sources, label: &Label, place: Option<Span>) -> bool {
    /// Most lines between, all of which miette goes through for every label.
    const FURTHEST: usize = 1000;
    place.is_some_and(|place| {
        let row = |at: Span| sources.file(at.file).row(at.start);
        label.at.file == place.file && row(label.at).abs_diff(row(place)) <= FURTHEST
    })
}

/// The bytes of a line, without its end, and where it begins.
fn line(source: &Source, row: usize) -> (usize, &str) {
    let start = |row: usize| source.lines().get(row).map(|start| *start as usize);
    let from = start(row).unwrap_or(source.text.len());
    let line = &source.text[from..start(row + 1).map_or(source.text.len(), |next| next - 1)];
    (from, line.strip_suffix('\r').unwrap_or(line))
}

/// A diagnostic as miette wants it, with the lines that it is about, and nothing that a terminal obeys.
#[derive(Debug)]
pub struct Report {
    code: &'static str,
    severity: Severity,
    message: String,
    help: Option<String>,
    excerpt: Option<Excerpt>,
}

impl Report {
    /// That of `diagnostic`, whose places lie in `sources`.
    #[must_use]
    pub fn of(sources: &Sources, diagnostic: &Diagnostic) -> Self {
        let mut help = diagnostic.problem.help().map(|help| harmless(&help));
        let file = diagnostic.at().map(|at| at.file);
        // One picture shows some lines of one file, so other places are told by their names.
        let (near, far): (Vec<&Label>, Vec<&Label>) =
            diagnostic.labels.iter().partition(|label| are_near(sources, label, diagnostic.at()));
        for label in far {
            let (line, column) = sources.line_column(label.at);
            let name = harmless(&sources.file(label.at.file).name);
            let text = if label.text.is_empty() { "here" } else { &label.text };
            let place = format!("{}: {name}:{line}:{column}", harmless(text));
            help = Some(help.map_or(place.clone(), |help| format!("{help}\n{place}")));
        }
        Self {
            code: diagnostic.problem.code(),
            severity: diagnostic.problem.severity(),
            message: harmless(&diagnostic.problem.to_string()),
            help,
            excerpt: file.map(|file| Excerpt::new(sources, file, &near)),
        }
    }

    /// Prepares it for lines of at most `width` columns.
    fn wrap(&mut self, width: usize) {
        self.message = kept(&self.message, width);
        self.help = self.help.as_ref().map(|help| kept(help, width));
        if let Some(excerpt) = &mut self.excerpt {
            excerpt.wrap_labels(width);
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn code<'b>(&'b self) -> Option<Box<dyn std::fmt::Display + 'b>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
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

/// Why there is nothing, as miette wants it: for `?` in a function that returns `miette::Result`.
#[derive(Debug)]
pub struct Reports(Vec<Report>);

impl Failure {
    /// All of it, for miette to draw.
    ///
    /// ```
    /// use netweir::policy::Sidecar;
    ///
    /// fn run() -> miette::Result<()> {
    ///     let policy = Sidecar::new("web").proxy_inbound_port(0).check();
    ///     let policy = policy.map_err(|failure| failure.reports())?;
    ///     println!("{}", policy.name);
    ///     Ok(())
    /// }
    /// let drawn = run().err().map(|report| format!("{report:?}"));
    /// assert!(drawn.is_some_and(|text| text.contains("port 0 is out of range")));
    /// ```
    #[must_use]
    pub fn reports(&self) -> Reports {
        let report = |diagnostic| Report::of(&self.sources, diagnostic);
        Reports(self.diagnostics.iter().map(report).collect())
    }
}

impl std::fmt::Display for Reports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the policy is refused")
    }
}

impl std::error::Error for Reports {}

impl miette::Diagnostic for Reports {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        Some(Box::new(self.0.iter().map(|report| report as &dyn miette::Diagnostic)))
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

    /// The lines of `file` around `labels`, which are all in it.
    fn new(sources: &Sources, file: FileId, labels: &[&Label]) -> Self {
        let source = sources.file(file);
        let rows: Vec<usize> = labels.iter().map(|label| source.row(label.at.start)).collect();
        let first_row = rows.iter().min().map_or(0, |row| row.saturating_sub(1));
        let last_row = rows.iter().max().map_or(0, |row| row + 1).min(source.lines().len() - 1);
        let mut excerpt = Self {
            name: harmless(&source.name),
            text: String::new(),
            first_row,
            labels: Vec::new(),
        };
        let mut shown: Vec<Option<Shown>> = labels.iter().map(|_| None).collect();
        for row in first_row..=last_row {
            let (start, line) = line(source, row);
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
                    column: sources.line_column(labels[label].at).1 - 1,
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

    /// Breaks labels into lines that end before `width`, which miette does not.
    fn wrap_labels(&mut self, width: usize) {
        /// Columns of the number of a line and of the arrow to a label, at most.
        const AROUND: usize = 12;
        /// Fewest columns in which a label is still read.
        const FEWEST: usize = 24;
        for label in &mut self.labels {
            let before = &self.text[..label.at.offset()];
            let line = before.rsplit('\n').next().unwrap_or_default();
            let middle = line.chars().count() + label.at.len() / 2;
            let room = width.saturating_sub(middle + AROUND).max(FEWEST);
            label.text = broken(&kept(&label.text, width), room);
        }
    }

    /// The part of `line` that is shown, around `first`.
    fn window(line: &str, first: usize) -> std::ops::Range<usize> {
        if line.len() <= Self::LONGEST {
            return 0..line.len();
        }
        let start = first.saturating_sub(Self::BEFORE).min(line.len() - Self::WINDOW);
        let start = beginning(line, start).len();
        start..beginning(line, start + Self::WINDOW).len()
    }
}

/// `text` in lines of at most `width` columns, broken at spaces.
fn broken(text: &str, width: usize) -> String {
    let how = textwrap::Options::new(width)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    textwrap::fill(text, how)
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
