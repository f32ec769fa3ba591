//! How often expectations touch clauses, in the form of lcov's tracefiles (geninfo(1), lcov 2.0).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::report::Report;

/// A line for each line of a file with a clause that has rules of its own, and how many expectations
/// touch it. One that none could touch is left out.
pub(super) fn text(report: &Report) -> String {
    let mut files: BTreeMap<&str, BTreeMap<usize, usize>> = BTreeMap::new();
    let coverage = report.policies().filter_map(|(_, policy)| policy.coverage.as_ref());
    for clause in coverage.flat_map(|coverage| &coverage.clauses).filter(|clause| clause.can_be) {
        if let Some(place) = &clause.place {
            *files.entry(&place.file).or_default().entry(place.line).or_default() += clause.times;
        }
    }
    let mut out = String::new();
    for (file, lines) in files {
        let _ = writeln!(out, "TN:\nSF:{file}");
        for (line, times) in &lines {
            let _ = writeln!(out, "DA:{line},{times}");
        }
        let hit = lines.values().filter(|times| **times > 0).count();
        let _ = writeln!(out, "LF:{}\nLH:{hit}\nend_of_record", lines.len());
    }
    out
}
