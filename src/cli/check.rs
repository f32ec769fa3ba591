//! `weir check`.

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::deny::Deny;
use super::files::{is_standard, name, read, shown};
use super::fix::{fix, fix_each};
use super::input::{Input, of_some_policy};
use super::project::Scope;
use super::report::Messages;
use crate::diag::Problem;
use crate::{Options, compile};

/// Say what is wrong with a policy, and write nothing
///
/// Also says what is valid but probably not intended, as `weir lint` does.
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    input: Input,
    /// More policies, and folders of policies; the settings are then those of the nearest weir.toml.
    #[arg(value_name = "PATH")]
    others: Vec<PathBuf>,
    /// First fix in the file what can only mean one thing, if the file then has fewer errors.
    ///
    /// Everything else is reported. Included files are not changed.
    #[arg(long)]
    fix: bool,
    #[command(flatten)]
    deny: Deny,
}

impl Check {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let file = &self.input.file;
        if !self.others.is_empty() || file.is_dir() {
            let paths: Vec<_> = std::iter::once(file).chain(&self.others).cloned().collect();
            return self.each(&paths, messages);
        }
        let options = Options { groups: self.input.groups()?, ..Options::default() };
        if self.fix {
            fix(&self.input, &options, messages)?;
        }
        match compile(&name(file), &read(file)?, &self.input.includes, &options) {
            Ok(compilation) => {
                let found = of_some_policy(&compilation, compilation.all_warnings());
                match messages.report(&compilation.sources, &found) {
                    Outcome::Good => Ok(self.deny.judge(&found, messages)),
                    Outcome::Bad | Outcome::Unknown => Ok(Outcome::Bad),
                }
            }
            Err(failure) => Ok(messages.report(&failure.sources, &failure.diagnostics)),
        }
    }

    /// The same of each policy at `paths`.
    fn each(&self, paths: &[PathBuf], messages: &Messages) -> io::Result<Outcome> {
        if let Some(path) = paths.iter().find(|path| is_standard(path)) {
            let path = shown(path);
            return Err(io::Error::other(format!(
                "`{path}` is checked alone: give it without others"
            )));
        }
        let Some(scope) = Scope::asked(paths, messages)? else { return Ok(Outcome::Bad) };
        if self.fix {
            fix_each(&scope, messages)?;
        }
        let mut outcome = Outcome::Good;
        let all = scope.each(|found| Ok((found.is_named, scope.compiled(found, true)?)))?;
        for (is_named, compiled) in all {
            let (sources, found) = match compiled {
                Ok(compilation) => {
                    let found = compilation.all_warnings();
                    let found = if is_named { of_some_policy(&compilation, found) } else { found };
                    (compilation.sources, found)
                }
                Err(failure) => (failure.sources, failure.diagnostics),
            };
            // A file of lists for others is no policy, and need not be one.
            let kept = found.into_iter().filter(|it| is_named || it.problem != Problem::NoPolicy);
            let kept: Vec<_> = kept.collect();
            let ended = match messages.report(&sources, &kept) {
                Outcome::Good => self.deny.judge(&kept, messages),
                Outcome::Bad | Outcome::Unknown => Outcome::Bad,
            };
            if ended != Outcome::Good {
                outcome = Outcome::Bad;
            }
        }
        Ok(outcome)
    }
}
