//! Warnings that are as bad as errors.

use clap::Args;

use super::Outcome;
use super::report::Messages;
use crate::diag::{CODES, Diagnostic, Severity};

/// Which warnings are as bad as errors.
#[derive(Args)]
pub(super) struct Deny {
    /// Exit with 1, and write nothing, for warnings of this code, or `warnings` for all; may be given
    /// several times.
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
    /// Whether one of `found` is denied, which is said.
    pub(super) fn judge<'d>(
        &self,
        found: impl IntoIterator<Item = &'d Diagnostic>,
        messages: &Messages,
    ) -> Outcome {
        let is_denied = |it: &&Diagnostic| {
            it.problem.severity() == Severity::Warning
                && self.deny.iter().any(|denied| denied == ALL || denied == it.problem.code())
        };
        let codes: Vec<&str> =
            found.into_iter().filter(is_denied).map(|found| found.problem.code()).collect();
        if codes.is_empty() {
            return Outcome::Good;
        }
        messages.denied(codes.iter().copied().collect(), codes.len());
        Outcome::Bad
    }
}
