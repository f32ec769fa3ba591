//! Text for people, in lines that fit the terminal.

use std::fmt::Write as _;

/// Longest line in characters, where it can be broken.
pub(super) const WIDTH: usize = 80;

/// `text` behind `first`, in lines that fit the width, each further one behind `next`. It is broken at
/// spaces.
pub(super) fn paragraph(out: &mut String, first: &str, text: &str, next: &str) {
    let mut line = first.to_owned();
    for word in text.split_inclusive(' ') {
        let is_begun = !line.trim().is_empty();
        if is_begun && line.chars().count() + word.trim_end().chars().count() > WIDTH {
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
