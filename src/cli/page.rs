//! Text for people, in lines that fit the terminal.

use std::fmt::Write as _;

/// Columns where nothing says how many there are.
const USUAL: usize = 80;

/// Fewest columns for which lines are broken.
const FEWEST: usize = 40;

/// How many columns lines may take: those of the terminal that standard output is, else as many as
/// `COLUMNS` says, else 80.
pub(super) fn width() -> usize {
    within(terminal_size::terminal_size_of(std::io::stdout()))
}

/// The same of messages, which go to standard error where standard output is somebody else's.
pub(super) fn width_of_messages() -> usize {
    let terminal = terminal_size::terminal_size_of(std::io::stderr());
    within(terminal.or_else(|| terminal_size::terminal_size_of(std::io::stdout())))
}

fn within(terminal: Option<(terminal_size::Width, terminal_size::Height)>) -> usize {
    let terminal = terminal.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0);
    let said = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|width| *width > 0);
    terminal.or_else(said).unwrap_or(USUAL).max(FEWEST)
}

/// `text` behind `first`, in lines that fit the width, each further one behind `next`. It is broken at
/// spaces; what has none is longer than the line.
pub(super) fn paragraph(out: &mut String, first: &str, text: &str, next: &str) {
    paragraph_within(out, first, text, next, width());
}

/// The same in lines of at most `width` columns.
pub(super) fn paragraph_within(
    out: &mut String,
    first: &str,
    text: &str,
    next: &str,
    width: usize,
) {
    for line in lines(first, text, next, width) {
        let _ = writeln!(out, "{line}");
    }
}

/// The lines of a [`paragraph`].
pub(super) fn lines(first: &str, text: &str, next: &str, width: usize) -> Vec<String> {
    let how = textwrap::Options::new(width)
        .initial_indent(first)
        .subsequent_indent(next)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    let text = kept(text);
    let lines = textwrap::wrap(&text, how).into_iter();
    lines.map(|line| line.trim_end().replace(NO_BREAK, " ")).collect()
}

/// A space at which no line is broken.
const NO_BREAK: char = '\u{a0}';

/// Longest value that stands on the line of its word.
const LONGEST_KEPT: usize = 24;

/// `text` with each word of a packet kept beside its value: `out eth0`, `port 53`.
fn kept(text: &str) -> String {
    const NAMES: [&str; 9] = ["from", "to", "in", "out", "user", "group", "mark", "port", "zone"];
    let mut kept = String::new();
    let mut words = text.split_inclusive(' ').peekable();
    while let Some(word) = words.next() {
        let is_short = words.peek().is_some_and(|value| value.len() <= LONGEST_KEPT);
        match word.strip_suffix(' ').filter(|name| is_short && NAMES.contains(name)) {
            Some(name) => kept.extend(name.chars().chain([NO_BREAK])),
            None => kept.push_str(word),
        }
    }
    kept
}

/// How a line looks where there are colours. Nothing is said by one alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// As it comes.
    Plain,
    /// What is to be read first.
    Strong,
    /// What can be passed over.
    Faint,
    /// Traffic that is captured, and was not.
    Captured,
    /// Traffic that is not captured, and was.
    Lost,
}

impl Ink {
    /// Blue and orange are told apart by almost everybody, on light and on dark.
    fn style(self) -> anstyle::Style {
        let style = anstyle::Style::new();
        match self {
            Self::Plain => style,
            Self::Strong => style.bold(),
            Self::Faint => style.dimmed(),
            Self::Captured => style.fg_color(Some(anstyle::Ansi256Color(33).into())),
            Self::Lost => style.fg_color(Some(anstyle::Ansi256Color(208).into())),
        }
    }
}

/// Lines that fit the width, with colours or without.
pub(super) struct Page {
    text: String,
    width: usize,
    paints: bool,
}

impl Page {
    pub(super) fn new(paints: bool) -> Self {
        Self { text: String::new(), width: width(), paints }
    }

    /// The same as [`paragraph`], of one look. Nothing of an empty text.
    pub(super) fn paragraph(&mut self, ink: Ink, first: &str, text: &str, next: &str) {
        if text.is_empty() {
            return;
        }
        let style = if self.paints { ink.style() } else { anstyle::Style::new() };
        for line in lines(first, text, next, self.width) {
            let words = line.trim_start();
            let indent = &line[..line.len() - words.len()];
            let _ = writeln!(self.text, "{indent}{style}{words}{style:#}");
        }
    }

    /// Lines as they are.
    pub(super) fn lines(&mut self, lines: &str) {
        self.text += lines;
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    pub(super) fn text(self) -> String {
        self.text
    }
}

/// How many columns a text takes.
pub(super) fn columns(text: &str) -> usize {
    textwrap::core::display_width(text)
}

/// `text` at an indent, with its other lines further in.
pub(super) fn indented(out: &mut String, indent: usize, text: &str) {
    let first = " ".repeat(indent);
    paragraph(out, &first, text, &format!("{first}    "));
}

/// `21 policies of 12 files: 3 warnings`, of the errors and warnings found in them.
pub(super) fn totals(policies: usize, files: usize, (errors, warnings): (usize, usize)) -> String {
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(counted(errors, "error", "errors"));
    }
    if warnings > 0 || errors == 0 {
        parts.push(counted(warnings, "warning", "warnings"));
    }
    let policies = counted(policies, "policy", "policies");
    format!("{policies} of {}: {}\n", counted(files, "file", "files"), parts.join(", "))
}

/// `1 policy`, `3 policies`.
pub(super) fn counted(count: usize, one: &str, more: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {more}") }
}
