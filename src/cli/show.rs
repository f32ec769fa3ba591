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
    /// Print JSON: an object, or a list of objects for several policies. Commands accept it as a policy.
    #[arg(long, conflicts_with = "brief")]
    json: bool,
}

impl Show {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let options = Options { groups: self.input.groups()?, ..Options::default() };
        let Some(compilation) = self.input.compile(&options, messages)? else {
            return Ok(Outcome::Bad);
        };
        let detail = if self.brief { Detail::Differences } else { Detail::Everything };
        let policies = self.selected.some(&compilation)?;
        if self.json {
            let text = match &policies[..] {
                [policy] => serde_json::to_string_pretty(policy)?,
                policies => serde_json::to_string_pretty(policies)?,
            };
            return output::print((text + "\n").as_bytes());
        }
        let texts: Vec<String> = policies.iter().map(|policy| print(policy, detail)).collect();
        output::print(texts.join("\n").as_bytes())
    }
}
