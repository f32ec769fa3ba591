//! Text for people, in lines that fit the terminal.

use std::fmt::Write as _;

/// Columns where nothing says how many there are.
const USUAL: usize = 80;

/// Fewest columns for which lines are broken.
const FEWEST: usize = 40;

/// How many columns lines may take: those of the terminal that standard output is, else as many as
/// `COLUMNS` says, else 80.
pub(super) fn width() -> usize {
    let terminal = terminal_size::terminal_size_of(std::io::stdout());
    let terminal = terminal.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0);
    let said = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|width| *width > 0);
    terminal.or_else(said).unwrap_or(USUAL).max(FEWEST)
}

/// `text` behind `first`, in lines that fit the width, each further one behind `next`. It is broken at
/// spaces; what has none is longer than the line.
pub(super) fn paragraph(out: &mut String, first: &str, text: &str, next: &str) {
    for line in lines(first, text, next, width()) {
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
    let lines = textwrap::wrap(text, how).into_iter();
    lines.map(|line| line.trim_end().to_owned()).collect()
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
