//! `weir diff`.

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::compile::LayoutName;
use super::differences::{beside, between, brief, families_words, print_json, words};
use super::question::Form;
use super::report::Messages;
use super::subject::Reading;
use super::{Outcome, output};

/// Say which traffic two policies, or rules, treat differently
///
/// Either can be a policy, what iptables-save prints, libnftables JSON, or an nft script; the content
/// tells which.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Diff {
    /// What was.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// What will be.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Decide nothing, but write the question for a solver.
    #[arg(long, value_name = "FORM", conflicts_with = "json")]
    emit: Option<Form>,
}

const EXAMPLES: &str = "\
Examples:
  weir diff old.weir new.weir
  git show HEAD:policy.weir | weir diff - policy.weir
  iptables-save | weir diff - policy.weir       IPv4 only: the dump says nothing about IPv6

Exit status, as of diff(1) but for a wrong policy: 0 equal, 1 different or a policy is wrong,
2 bad usage or I/O.";

impl Diff {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let layout = LayoutName::default();
        let pair = self.reading.pair([&self.old, &self.new], layout, messages)?;
        let Some([old, new]) = pair else { return Ok(Outcome::Bad) };
        if let Some(form) = self.emit {
            return form.print(&old, &new);
        }
        let (families, all) = between(&old, &new)?;
        if self.json {
            print_json(families, &old, &new, &all)?;
        } else if all.ways.is_empty() {
            let line = format!("equal for every packet of {}\n", families_words(families));
            output::print((line + &beside(&old, &new, families)?).as_bytes())?;
        } else {
            output::print(words(&all, &old, &new).trim_start().as_bytes())?;
        }
        if !all.ways.is_empty() {
            let said = format!("{} differs from {}", new.name, old.name);
            messages.result("diff/different", &self.new, said + &brief(&all));
        }
        Ok(if all.ways.is_empty() { Outcome::Good } else { Outcome::Bad })
    }
}
