//! Paragraphs of a report, for people.

use super::paragraph::paragraph as wrapped;

/// Writes `text` at an indent, with its other lines further in.
pub(super) fn paragraph(out: &mut String, indent: usize, text: &str) {
    let first = " ".repeat(indent);
    wrapped(out, &first, text, &format!("{first}    "));
}

/// `1 policy`, `3 policies`.
pub(super) fn counted(count: usize, one: &str, more: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {more}") }
}
