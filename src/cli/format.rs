//! `weir format`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use similar::TextDiff;

use super::files::{is_standard, name, read_whole, shown};
use super::project::{NotFound, Scope};
use super::report::Messages;
use super::{Outcome, output};
use crate::diag::escape::harmless;
use crate::diag::render::{Level, Record, RecordLabel};
use crate::span::Sources;
use crate::syntax;

/// Format policy files
///
/// Rewrites the files; `-` formats standard input to standard output. In a folder, formats the policies
/// that `weir golden` would look at: those that weir.toml names, or else every file that ends in `.weir`,
/// but no goldens.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Format {
    /// Policy files, folders of policies, or `-`.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Write nothing, and show what would change, as a unified diff.
    #[arg(long)]
    check: bool,
}

const EXAMPLES: &str = "\
Examples:
  weir format policies                    rewrite every policy in a folder
  weir format --check policies            for CI: what would change

Exit status: 0 formatted, or nothing to change; 1 something would change, or a file is not a policy;
2 bad usage or I/O.";

impl Format {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let mut outcome = Outcome::Good;
        let mut failed: Option<io::Error> = None;
        for path in &self.paths {
            let files = match files(path) {
                Ok(files) => files,
                Err(NotFound::Wrong(sources, found)) => {
                    messages.report(&sources, &found);
                    outcome = Outcome::Bad;
                    continue;
                }
                Err(NotFound::Failed(error)) => {
                    keep(&mut failed, error, messages);
                    continue;
                }
            };
            for file in files {
                match self.format(&file, messages) {
                    Ok(Outcome::Good) => {}
                    Ok(Outcome::Bad | Outcome::Unknown) => outcome = Outcome::Bad,
                    Err(error) => keep(&mut failed, error, messages),
                }
            }
        }
        failed.map_or(Ok(outcome), Err)
    }

    fn format(&self, file: &Path, messages: &Messages) -> io::Result<Outcome> {
        let mut sources = Sources::default();
        let id = sources.add(name(file), &read_whole(file)?);
        let parsed = syntax::parse(&sources, id);
        if messages.report(&sources, &parsed.diagnostics) == Outcome::Bad {
            return Ok(Outcome::Bad);
        }
        let formatted = syntax::format(&parsed.tree);
        let text = &sources.file(id).text;
        match (self.check, formatted != *text) {
            (true, true) if messages.is_human() => {
                output::print(difference(file, text, &formatted).as_bytes())?;
                Ok(Outcome::Bad)
            }
            (true, true) => {
                messages.found(unformatted(&sources.file(id).name));
                Ok(Outcome::Bad)
            }
            (false, _) if is_standard(file) => output::print(formatted.as_bytes()),
            (false, true) => output::rewrite_source(file, &formatted),
            (_, false) => Ok(Outcome::Good),
        }
    }
}

/// Keeps the last error; one file that cannot be read keeps none of the others from being formatted.
fn keep(failed: &mut Option<io::Error>, error: io::Error, messages: &Messages) {
    if let Some(earlier) = failed.replace(error) {
        messages.failure(&earlier);
    }
}

/// The files that a path names, as they are reached by it.
fn files(path: &Path) -> Result<Vec<PathBuf>, NotFound> {
    if is_standard(path) || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let scope = Scope::find(&[path.to_owned()])?;
    let folder = fs::canonicalize(path)?;
    let full = scope.files.iter().map(|found| scope.root.join(&found.name));
    Ok(full.map(|full| path.join(full.strip_prefix(&folder).unwrap_or(&full))).collect())
}

/// What formatting changes, as `diff -u` says it. Characters that a terminal would obey are told by
/// their escapes, but for tabs.
fn difference(file: &Path, text: &str, formatted: &str) -> String {
    let name = shown(file);
    let diff = TextDiff::from_lines(text, formatted);
    let unified = diff.unified_diff().header(&name, &format!("{name} (formatted)")).to_string();
    let parts: Vec<_> = unified.split('\t').map(harmless).collect();
    parts.join("\t")
}

fn unformatted(file: &str) -> Record {
    Record {
        code: Some("format/unformatted".to_owned()),
        help: Some("`weir format` formats it".to_owned()),
        labels: vec![RecordLabel::of_file(file)],
        ..Record::bare(Level::Error, "it is not formatted")
    }
}
