//! `weir lint`: what is right and probably not meant.

mod records;
pub(super) mod report;

use std::io;
use std::path::PathBuf;

use clap::Args;

use self::report::{File, Report};
use super::Outcome;
use super::deny::Deny;
use super::forms::{Findings, Report as _};
use super::page::counted;
use super::project::{Found, Scope};
use super::report::Messages;
use crate::diag::{Diagnostic, Problem};

/// Say what policies do that is probably not meant
///
/// Clauses without effect, policies that capture nothing, a family that is open where the other is
/// captured, marks that others use: decided by what the rules do to packets. `allow W509 "why"` in the
/// source says which warnings are no news.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Lint {
    /// Policies, and folders of them; without one, what the nearest weir.toml names.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    deny: Deny,
}

const EXAMPLES: &str = "\
Examples:
  weir lint policies                      what is probably not meant
  weir lint --deny warnings policies      and that is a failure
  weir explain-code W509                  what a code means

Exit status: 0 nothing is wrong, though there may be warnings; 1 a policy is wrong, or a warning is
denied; 2 bad usage or I/O.";

impl Lint {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        messages.will_present::<Report>();
        let Some(scope) = Scope::asked(&self.paths, messages)? else { return Ok(Outcome::Bad) };
        let report = Report { files: scope.each(|found| look(found, &scope))? };
        messages.present(&report)?;
        let all = || report.findings().flat_map(|findings| &findings.drawn.1);
        if all().any(Diagnostic::is_error) {
            return Ok(Outcome::Bad);
        }
        Ok(self.deny.judge(all(), messages))
    }
}

fn look(found: &Found, scope: &Scope) -> io::Result<File> {
    let (policies, sources, mut diagnostics) = match scope.compiled(found, true)? {
        Ok(compilation) => {
            let found = compilation.all_warnings();
            (compilation.policies.len(), compilation.sources, found)
        }
        Err((sources, diagnostics)) => (0, sources, diagnostics),
    };
    // A file of lists for others is no policy, and need not be one.
    diagnostics.retain(|it| found.is_named || it.problem != Problem::NoPolicy);
    let is_clean = diagnostics.is_empty();
    let findings = (!is_clean).then(|| Findings::new(&found.name, sources, diagnostics));
    Ok(File { source: found.name.clone(), policies, findings })
}

/// `21 policies of 12 files: 3 warnings`.
fn totals(report: &Report) -> String {
    let policies = report.files.iter().map(|file| file.policies).sum();
    let (errors, warnings) = report.counts();
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(counted(errors, "error", "errors"));
    }
    if warnings > 0 || errors == 0 {
        parts.push(counted(warnings, "warning", "warnings"));
    }
    format!(
        "{} of {}: {}\n",
        counted(policies, "policy", "policies"),
        counted(report.files.len(), "file", "files"),
        parts.join(", ")
    )
}
