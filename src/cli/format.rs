//! `weir format`.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::files::{is_standard, name, read_whole, shown};
use super::report::Messages;
use super::{Outcome, output};
use crate::span::Sources;
use crate::syntax;

/// Format policy files
///
/// Rewrites the files; `-` formats standard input to standard output.
#[derive(Args)]
pub(super) struct Format {
    /// The policy files, or `-`.
    #[arg(value_name = "POLICY", required = true)]
    files: Vec<PathBuf>,
    /// Write nothing; list the files that are not formatted and exit with 1 if there are any.
    #[arg(long)]
    check: bool,
}

impl Format {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let mut outcome = Outcome::Good;
        let mut failed: Option<io::Error> = None;
        for file in &self.files {
            match self.format(file, messages) {
                Ok(Outcome::Good) => {}
                Ok(Outcome::Bad) => outcome = Outcome::Bad,
                // One file that cannot be read keeps none of the others from being formatted.
                Err(error) => {
                    if let Some(earlier) = failed.replace(error) {
                        messages.failure(&earlier);
                    }
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
        let changed = formatted != sources.file(id).text;
        match (self.check, changed) {
            (true, true) => {
                output::print(format!("{}\n", shown(file)).as_bytes())?;
                Ok(Outcome::Bad)
            }
            (false, _) if is_standard(file) => output::print(formatted.as_bytes()),
            (false, true) => output::rewrite(file, &formatted),
            (_, false) => Ok(Outcome::Good),
        }
    }
}
