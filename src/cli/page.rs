//! Paragraphs of a report, for people.

use std::fmt::Write as _;

use super::differences::wrapped;

/// Longest line in characters, where one can be broken.
const WIDTH: usize = 80;

/// Writes `text` at an indent, with its other lines further in.
pub(super) fn paragraph(out: &mut String, indent: usize, text: &str) {
    for line in wrapped(text, WIDTH - indent) {
        let _ = writeln!(out, "{:indent$}{line}", "");
    }
}

/// `text` without what a terminal would obey.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// `1 policy`, `3 policies`.
pub(super) fn counted(count: usize, one: &str, more: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {more}") }
}
