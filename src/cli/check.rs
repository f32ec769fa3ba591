//! `weir check`.

use std::io;

use clap::Args;

use super::Outcome;
use super::input::Input;
use super::report::Messages;
use crate::Options;

/// Say what is wrong with a policy, and write nothing
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    input: Input,
}

impl Check {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let options = Options { groups: self.input.groups()?, ..Options::default() };
        let good = self.input.compile(&options, messages)?.is_some();
        Ok(if good { Outcome::Good } else { Outcome::Bad })
    }
}
