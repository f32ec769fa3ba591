//! What a command reads: the policy, and the group file.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::files::{Files, name, read};
use super::numbers;
use super::report::Messages;
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
}

/// Where names of groups get their numbers from.
#[derive(Args)]
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
        Ok(compile_text(&self.file, &read(&self.file)?, options, messages))
    }
}

/// Compiles a policy and says what is wrong with it; `None` if that makes it bad.
pub(super) fn compile_text(
    file: &Path,
    text: &str,
    options: &Options,
    messages: &Messages,
) -> Option<Compilation> {
    match compile(&name(file), text, &Files, options) {
        Ok(compilation) => {
            messages.report(&compilation.sources, &compilation.warnings);
            Some(compilation)
        }
        Err(failure) => {
            messages.report(&failure.sources, &failure.diagnostics);
            None
        }
    }
}
