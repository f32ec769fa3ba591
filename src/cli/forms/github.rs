//! Workflow commands, by which GitHub's runners annotate the lines of a pull request.

use std::fmt::Write as _;

use super::escape::{github_message, github_property};
use crate::diag::render::{Level, Record};

/// One command, with the end of its line.
pub(in crate::cli) fn line(record: &Record) -> String {
    let level = match record.severity {
        Level::Note => "notice",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let mut properties = Vec::new();
    if let Some(label) = record.labels.first() {
        properties.push(format!("file={}", github_property(&label.file)));
        if let Some(at) = label.at {
            properties.push(format!("line={},endLine={}", at.line, at.end_line));
            // Columns are for a part of one line only.
            if at.line == at.end_line {
                let end = at.end_column.max(at.column + 1) - 1;
                properties.push(format!("col={},endColumn={end}", at.column));
            }
        }
    }
    if let Some(code) = &record.code {
        properties.push(format!("title={}", github_property(code)));
    }
    let mut line = format!("::{level}");
    if !properties.is_empty() {
        let _ = write!(line, " {}", properties.join(","));
    }
    let _ = writeln!(line, "::{}", github_message(&super::text(record)));
    line
}
