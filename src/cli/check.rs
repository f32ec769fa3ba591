//! `weir check`.

use std::io;

use clap::Args;

use super::Outcome;
use super::fix::fix;
use super::input::Input;
use super::report::Messages;
use crate::Options;

/// Say what is wrong with a policy, and write nothing
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    input: Input,
    /// First write into the file what can only have been meant, as long as it has fewer errors by that.
    ///
    /// The rest is shown. Includes are not written to.
    #[arg(long)]
    fix: bool,
}

impl Check {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let options = Options { groups: self.input.groups()?, ..Options::default() };
        if self.fix {
            fix(&self.input.file, &options, messages)?;
        }
        let good = self.input.compile(&options, messages)?.is_some();
        Ok(if good { Outcome::Good } else { Outcome::Bad })
    }
}
