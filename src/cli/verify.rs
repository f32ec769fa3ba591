//! `weir verify`.

use std::io;

use clap::Args;

use super::Outcome;
use super::compile::LayoutName;
use super::differences::Answer;
use super::files::{once, read};
use super::report::Messages;
use super::subject::{Reading, Rules};

/// Prove that rules treat every packet as a policy says, or show packets that they do not
///
/// The rules are compared for all packets of the families that are given, at every hook: what is
/// captured and by which port, what is dropped, marks, and connection-tracking zones.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Verify {
    /// The policy file, or `-` for standard input.
    #[arg(value_name = "POLICY")]
    file: std::path::PathBuf,
    #[command(flatten)]
    rules: Rules,
    /// Ask nft and iptables-save what is loaded in this namespace.
    #[arg(long, conflicts_with_all = ["iptables", "ip6tables", "nft_json"])]
    live: bool,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    answer: Answer,
}

const EXAMPLES: &str = "\
Examples:
  weir verify policy.weir --iptables v4.txt --ip6tables v6.txt
  nft -j list ruleset | weir verify policy.weir --nft-json -
  nsenter -t PID -n weir verify policy.weir --live
  weir verify policy.weir --live --leave-out 'KUBE-*' --leave-out docker
  weir verify policy.weir --nft-json rules.json --emit smt2 | z3 -in
                                                a second opinion: `unsat` if they are equal

Without --ip6tables, only IPv4 is compared; an empty file means that IPv6 is untouched.
Exit status: 0 equal, 1 different or the policy is wrong, 2 bad usage or I/O.";

impl Verify {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        once(self.rules.paths().chain([self.file.as_path()]))?;
        let text = read(&self.file)?;
        let layout = LayoutName::default();
        let Some(policy) = self.reading.policy(&self.file, &text, layout, messages)? else {
            return Ok(Outcome::Bad);
        };
        let rules = if self.live {
            self.reading.live(&policy.filled())?
        } else if self.rules.is_given() {
            self.rules.read(&self.reading, &policy.filled())?
        } else {
            return Err(io::Error::other(
                "say what to verify: --iptables and --ip6tables, --nft-json, or --live",
            ));
        };
        let (says, done) = (&policy.name, &rules.name);
        self.answer.print(
            [&policy, &rules],
            |families| {
                format!("equal: every packet of {families} fares under {done} as {says} says")
            },
            |ways| format!("different in {ways}: what {says} says, and {done}\n"),
            (messages, "verify/different", &self.file),
        )
    }
}
