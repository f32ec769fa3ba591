//! Reading: the policy, what it includes, and the group file.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;

use super::groups;
use super::report::Messages;
use crate::policy::GroupIds;
use crate::span::Sources;
use crate::syntax::Loader;
use crate::{Compilation, Options, compile};

/// The policy file and what its meaning depends on.
#[derive(Args)]
pub(super) struct Input {
    /// The policy file, or `-` for standard input.
    #[arg(value_name = "POLICY")]
    file: PathBuf,
    /// Group file (the form of /etc/group) that resolves group names in the policy.
    ///
    /// Names are resolved when the policy is compiled, not where it is loaded: use the file of the
    /// workload's image. Without one, a policy can only use numbers.
    #[arg(long, value_name = "FILE")]
    group_file: Option<PathBuf>,
}

impl Input {
    /// The numbers of the groups that the policy may name.
    pub(super) fn groups(&self) -> io::Result<GroupIds> {
        match &self.group_file {
            Some(path) => groups::parse(path, &read(path)?),
            None => Ok(GroupIds::new()),
        }
    }

    /// Compiles the policy and says what is wrong with it; `None` if that makes it bad.
    pub(super) fn compile(
        &self,
        options: &Options,
        messages: &Messages,
    ) -> io::Result<Option<Compilation>> {
        let text = read(&self.file)?;
        match compile(&name(&self.file), &text, &Files, options) {
            Ok(compilation) => {
                messages.report(&compilation.sources, &compilation.warnings)?;
                Ok(Some(compilation))
            }
            Err(failure) => {
                messages.report(&failure.sources, &failure.diagnostics)?;
                Ok(None)
            }
        }
    }
}

/// What diagnostics call the file.
pub(super) fn name(file: &Path) -> Cow<'_, str> {
    if is_standard(file) { "<stdin>".into() } else { file.to_string_lossy() }
}

/// Whether `path` means standard input or output.
pub(super) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The text of a file, or of standard input. Never more than [`Sources::MAX_BYTES`] and a byte.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()))
    };
    let limit = Sources::MAX_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    if is_standard(path) {
        io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(named)?;
    } else {
        let file = fs::File::open(path).map_err(named)?;
        file.take(limit).read_to_end(&mut bytes).map_err(named)?;
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::other(format!("cannot read {}: byte {at} is not UTF-8", path.display()))
    })
}

/// Includes, from the file system.
struct Files;

impl Loader for Files {
    fn read(&self, path: &str) -> Result<String, String> {
        // The path is in the diagnostic already.
        let path = Path::new(path);
        read(path).map_err(|error| {
            let text = error.to_string();
            let prefix = format!("cannot read {}: ", path.display());
            text.strip_prefix(&prefix).map_or(text.clone(), str::to_owned)
        })
    }
}
