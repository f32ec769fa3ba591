//! What a command reads: the policy, and the group file.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::files::{Includes, name, read};
use super::report::Messages;
use super::{Outcome, numbers};
use crate::diag::{Diagnostic, Problem};
use crate::policy::GroupIds;
use crate::{Compilation, Options, compile};

/// The policy file and what its meaning depends on.
#[derive(Args)]
pub(super) struct Input {
    /// The policy file, or `-` for standard input.
    #[arg(value_name = "POLICY")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    groups: GroupFile,
    #[command(flatten)]
    pub(super) includes: Includes,
}

/// Where names of groups get their numbers from.
#[derive(Clone, Args)]
pub(super) struct GroupFile {
    /// Group file (the form of /etc/group) that resolves group names in the policy.
    ///
    /// Names are resolved when the policy is compiled, not where it is loaded: use the file of the
    /// workload's image. Without one, a policy can only use numbers.
    #[arg(long, value_name = "FILE")]
    group_file: Option<PathBuf>,
}

impl GroupFile {
    /// The numbers of the groups.
    pub(super) fn read(&self) -> io::Result<GroupIds> {
        numbers::read(self.group_file.as_deref(), "group file")
    }
}

impl Input {
    /// The numbers of the groups that the policy may name.
    pub(super) fn groups(&self) -> io::Result<GroupIds> {
        self.groups.read()
    }

    /// Compiles the policy and says what is wrong with it; `None` if that makes it bad.
    pub(super) fn compile(
        &self,
        options: &Options,
        messages: &Messages,
    ) -> io::Result<Option<Compilation>> {
        let text = read(&self.file)?;
        Ok(compile_text((&self.file, &text), &self.includes, options, messages))
    }
}

/// What is found, where the file must have a policy of its own: a file without one is what is left of a
/// command that was to write it and failed.
pub(super) fn of_some_policy(
    compilation: &Compilation,
    mut found: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    if compilation.policies.is_empty() {
        found.retain(|it| it.problem != Problem::NoPolicy);
        found.push(Problem::NothingToCompile.of(compilation.sources.beginning()));
    }
    found
}

/// Compiles a policy and says what is wrong with it; `None` if that makes it bad.
pub(super) fn compile_text(
    (file, text): (&Path, &str),
    includes: &Includes,
    options: &Options,
    messages: &Messages,
) -> Option<Compilation> {
    match compile(&name(file), text, includes, options) {
        Ok(compilation) => {
            let found = of_some_policy(&compilation, compilation.warnings.clone());
            let is_good = messages.report(&compilation.sources, &found) == Outcome::Good;
            is_good.then_some(compilation)
        }
        Err(failure) => {
            messages.report(&failure.sources, &failure.diagnostics);
            None
        }
    }
}
