use std::io;
use std::path::PathBuf;

use clap::Args;

use super::input::{is_standard, name, read};
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
        for file in &self.files {
            let mut sources = Sources::default();
            let id = sources.add(name(file), &read(file)?);
            let parsed = syntax::parse(&sources, id);
            if messages.report(&sources, &parsed.diagnostics)? == Outcome::Bad {
                outcome = Outcome::Bad;
                continue;
            }
            let formatted = syntax::format(&parsed.tree);
            let changed = formatted != sources.file(id).text;
            match (self.check, changed) {
                (true, true) => {
                    output::print(format!("{}\n", file.display()).as_bytes())?;
                    outcome = Outcome::Bad;
                }
                (false, _) if is_standard(file) => {
                    output::print(formatted.as_bytes())?;
                }
                (false, true) => {
                    output::write(Some(file), &formatted)?;
                }
                (_, false) => {}
            }
        }
        Ok(outcome)
    }
}
