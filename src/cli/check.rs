//! `weir check`.

use std::io;

use clap::Args;

use super::Outcome;
use super::deny::Deny;
use super::files::{name, read};
use super::fix::fix;
use super::input::{Input, of_some_policy};
use super::report::Messages;
use crate::{Options, compile};

/// Say what is wrong with a policy, and write nothing
///
/// Also what is right and probably not meant, as `weir lint` finds it.
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    input: Input,
    /// First write into the file what can only have been meant, as long as it has fewer errors by that.
    ///
    /// The rest is shown. Includes are not written to.
    #[arg(long)]
    fix: bool,
    #[command(flatten)]
    deny: Deny,
}

impl Check {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let options = Options { groups: self.input.groups()?, ..Options::default() };
        if self.fix {
            fix(&self.input, &options, messages)?;
        }
        let file = &self.input.file;
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
}
