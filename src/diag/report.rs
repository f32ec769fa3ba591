//! Problems as they are found: a bounded number of them, put in order.

use std::collections::BTreeMap;

use super::{Diagnostic, Problem, Severity, in_order};
use crate::span::{FileId, Sources, Span};

/// Most errors, and most warnings, that are reported about one file.
pub const MOST_REPORTED: usize = 1000;

/// Diagnostics while they are found: what is past [`MOST_REPORTED`] is counted, and not kept.
#[derive(Debug, Default)]
pub(crate) struct Report {
    kept: Vec<Diagnostic>,
    /// How many were found, by the file and by how bad they are.
    found: BTreeMap<(Option<FileId>, Severity), usize>,
    errors: usize,
}

impl Report {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        let severity = diagnostic.problem.severity();
        self.errors += usize::from(severity == Severity::Error);
        let file = diagnostic.at().map(|at| at.file);
        let found = self.found.entry((file, severity)).or_default();
        *found += 1;
        if *found <= MOST_REPORTED {
            self.kept.push(diagnostic);
        }
    }

    /// Adds what `diagnostic` makes, an error at `at`, which is only counted if it would not be kept.
    pub(crate) fn push_error(&mut self, at: Span, diagnostic: impl FnOnce() -> Diagnostic) {
        let found = self.found.entry((Some(at.file), Severity::Error)).or_default();
        if *found < MOST_REPORTED {
            self.push(diagnostic());
        } else {
            *found += 1;
            self.errors += 1;
        }
    }

    /// Adds what another report found in the same files.
    pub(crate) fn absorb(&mut self, other: Self) {
        let kept = other.kept.len();
        let found: usize = other.found.values().sum();
        self.extend(other.kept);
        if found > kept {
            for (key, found) in other.found {
                let here = self.found.entry(key).or_default();
                *here += found.saturating_sub(MOST_REPORTED);
            }
        }
    }

    /// How many errors were found, those counted that are not kept.
    pub(crate) const fn errors(&self) -> usize {
        self.errors
    }

    /// Whether an error was found in `span`, or perhaps was, because not all are kept.
    pub(crate) fn has_error_in(&self, span: Span) -> bool {
        let is_in = |at: Span| at.file == span.file && span.start <= at.start && at.end <= span.end;
        self.errors > MOST_REPORTED
            || self.kept.iter().any(|found| found.is_error() && found.at().is_some_and(is_in))
    }

    /// Whether nothing was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// What was found, in order; of a file with more, that there is more is said last.
    pub(crate) fn finish(mut self, sources: &Sources) -> Vec<Diagnostic> {
        for ((file, severity), found) in std::mem::take(&mut self.found) {
            let Some(file) = file.filter(|_| found > MOST_REPORTED) else { continue };
            let end = u32::try_from(sources.file(file).text.len()).unwrap_or(u32::MAX);
            let end = Span { file, start: end, end };
            self.kept.push(Problem::TooMany { severity }.at(end, "the rest is not shown"));
        }
        in_order(self.kept)
    }
}

impl Extend<Diagnostic> for Report {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: I) {
        for diagnostic in diagnostics {
            self.push(diagnostic);
        }
    }
}
