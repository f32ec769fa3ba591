//! Warnings that are as bad as errors.

use clap::Args;

use super::Outcome;
use super::report::Messages;
use crate::diag::{CODES, Diagnostic, Problem, Severity};

/// Which warnings are as bad as errors.
#[derive(Args)]
pub(super) struct Deny {
    /// Treat warnings with this code, or all of them with `warnings`, as failures: exit with 1, and
    /// write nothing. May be repeated.
    #[arg(long, value_name = "CODE", value_parser = denied)]
    deny: Vec<String>,
}

const ALL: &str = "warnings";

fn denied(text: &str) -> Result<String, String> {
    let is_warning = text.starts_with('W') && CODES.contains(&text);
    if text == ALL || is_warning {
        return Ok(text.to_owned());
    }
    Err(format!("write the code of a warning, `W509` for example, or `{ALL}` for all"))
}

impl Deny {
    /// Whether `code` itself is denied.
    pub(super) fn names(&self, code: &str) -> bool {
        self.deny.iter().any(|denied| denied == code)
    }

    /// Whether one of `found` is denied, which is said.
    pub(super) fn judge<'d>(
        &self,
        found: impl IntoIterator<Item = &'d Diagnostic>,
        messages: &Messages,
    ) -> Outcome {
        self.judge_with(found, [], messages)
    }

    /// The same, with notes of these codes, which are denied by their code only.
    pub(super) fn judge_with<'d>(
        &self,
        found: impl IntoIterator<Item = &'d Diagnostic>,
        notes: impl IntoIterator<Item = &'d str>,
        messages: &Messages,
    ) -> Outcome {
        let has_all = self.names(ALL);
        let warnings = found.into_iter().map(|it| &it.problem);
        let warnings = warnings.filter(|it| it.severity() == Severity::Warning);
        let codes = warnings.map(Problem::code).filter(|code| has_all || self.names(code));
        let notes = notes.into_iter().filter(|code| self.names(code));
        let notes = notes.filter_map(|note| CODES.iter().find(|code| **code == note).copied());
        let codes: Vec<&str> = codes.chain(notes).collect();
        if codes.is_empty() {
            return Outcome::Good;
        }
        messages.denied(codes.iter().copied().collect(), codes.len());
        Outcome::Bad
    }
}
