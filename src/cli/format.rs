use std::io;
use std::path::PathBuf;

use clap::Args;

use super::input::{is_standard, load};
use super::report::Messages;
use super::{Outcome, output};
use crate::diag::Severity;
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
            let loaded = load(file)?;
            let (id, tree) = loaded.main();
            let of_file: Vec<_> = loaded
                .diagnostics
                .iter()
                .filter(|diagnostic| diagnostic.labels.iter().any(|label| label.at.file == id))
                .filter(|diagnostic| diagnostic.problem.severity() == Severity::Error)
                .filter(|diagnostic| diagnostic.problem.is_syntax())
                .cloned()
                .collect();
            if messages.report(&loaded.sources, &of_file)? == Outcome::Bad {
                outcome = Outcome::Bad;
                continue;
            }
            let formatted = syntax::format(tree);
            let changed = formatted != loaded.sources.file(id).text;
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
