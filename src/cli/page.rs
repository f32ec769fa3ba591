//! Text for people, in lines that fit the terminal.

use std::fmt::Write as _;

/// Longest line in characters, where it can be broken.
pub(super) const WIDTH: usize = 80;

/// How many columns a picture for standard output may take: those of the terminal, else those that
/// `COLUMNS` says, else 80.
pub(super) fn columns() -> usize {
    let terminal = terminal_size::terminal_size_of(std::io::stdout());
    let said = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0);
    terminal.map(|(width, _)| usize::from(width.0)).or_else(said).unwrap_or(WIDTH)
}

/// `text` behind `first`, in lines that fit the width, each further one behind `next`. It is broken at
/// spaces.
pub(super) fn paragraph(out: &mut String, first: &str, text: &str, next: &str) {
    paragraph_within(out, first, text, next, WIDTH);
}

/// The same in lines of at most `width`.
pub(super) fn paragraph_within(
    out: &mut String,
    first: &str,
    text: &str,
    next: &str,
    width: usize,
) {
    let mut line = first.to_owned();
    for word in text.split_inclusive(' ') {
        let is_begun = !line.trim().is_empty();
        if is_begun && line.chars().count() + word.trim_end().chars().count() > width {
            let _ = writeln!(out, "{}", line.trim_end());
            next.clone_into(&mut line);
        }
        line.push_str(word);
    }
    let _ = writeln!(out, "{}", line.trim_end());
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
