//! `weir show`.

use std::io;

use clap::Args;

use super::compile::Selected;
use super::input::Input;
use super::report::Messages;
use super::{Outcome, output};
use crate::Options;
use crate::policy::{Detail, print};

/// Print a policy with every default written out
#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    selected: Selected,
    /// Leave out the clauses that only restate defaults.
    #[arg(long)]
    brief: bool,
}

impl Show {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let options = Options { groups: self.input.groups()?, ..Options::default() };
        let Some(compilation) = self.input.compile(&options, messages)? else {
            return Ok(Outcome::Bad);
        };
        let detail = if self.brief { Detail::Differences } else { Detail::Everything };
        let policies = self.selected.some(&compilation)?;
        let texts: Vec<String> = policies.iter().map(|policy| print(policy, detail)).collect();
        output::print(texts.join("\n").as_bytes())
    }
}
