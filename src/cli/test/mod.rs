//! `weir test`: whether policies do what they expect, and what nobody expects of them.

mod human;
mod lcov;
mod look;
mod records;
pub(super) mod report;

use std::io;
use std::path::PathBuf;

use clap::Args;

use self::look::Wanted;
use self::report::Report;
use super::project::Scope;
use super::report::Messages;
use super::{Outcome, output};

/// Say whether policies meet their expectations, and what these leave out
///
/// Proves every `expect` of every policy, for all packets that it is about. `--coverage` says which
/// rungs and clauses none of these packets reaches, and `--mutants` which changes to a policy would
/// break no expectation.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Test {
    /// Policies, and folders of policies. Default: what the nearest weir.toml names.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Say how many expectations touch each rung and each clause that has rules of its own.
    #[arg(long)]
    coverage: bool,
    /// Write to this file how many expectations touch each clause, in the format of lcov.
    #[arg(long, value_name = "FILE")]
    lcov: Option<PathBuf>,
    /// Leave out or change each clause and each value, and say which changes no expectation notices.
    ///
    /// In a list, only the first 16 values are left out and changed. A change that no expectation
    /// notices is not a failure.
    #[arg(long)]
    mutants: bool,
}

const EXAMPLES: &str = "\
Examples:
  weir test policies                      whether each expectation holds
  weir test --coverage policies           and what no expectation covers
  weir test --mutants policies            and which changes none would notice
  weir test --lcov weir.info policies     for a code host that shows coverage

An expectation holds, is broken (shown with a packet), or is idle (about no packet at all).

Exit status: 0 all expectations hold; 1 one is broken or idle, or a policy is refused; 2 bad usage or I/O.";

impl Test {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        messages.will_present::<Report>();
        let Some(scope) = Scope::asked(&self.paths, messages)? else { return Ok(Outcome::Bad) };
        let wanted =
            Wanted { coverage: self.coverage || self.lcov.is_some(), mutants: self.mutants };
        let files = scope.each(|found| look::look(found, &scope, wanted))?;
        let report = Report { files, shows_coverage: self.coverage };
        messages.spare(&scope)?;
        if let Some(file) = &self.lcov {
            scope.spare(file)?;
            output::rewrite(file, &lcov::text(&report))?;
        }
        messages.present(&report)?;
        Ok(if report.is_good() { Outcome::Good } else { Outcome::Bad })
    }
}
