//! `weir verify`.

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::compile::LayoutName;
use super::differences::Answer;
use super::files::{once, read};
use super::report::Messages;
use super::rules::Rules;
use super::subject::{Reading, Subject};
use crate::Layout;
use crate::lower::lower;
use crate::verify::{beside, compared, verified};

/// Prove that rules treat every packet as a policy says, or show packets that they do not
///
/// The rules are compared for all packets of the families that are given, at every hook: what is
/// captured and by which port, what is dropped, marks, and connection-tracking zones.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Verify {
    /// The policy file, or `-` for standard input.
    #[arg(value_name = "POLICY")]
    file: PathBuf,
    #[command(flatten)]
    rules: Rules,
    /// Ask nft and iptables-save what is loaded in this namespace.
    #[arg(long, conflicts_with_all = ["iptables", "ip6tables", "nft_json", "rules"])]
    live: bool,
    /// Prove instead that the policy's traffic fares as the policy says while these rules are loaded, too:
    /// of others in any form, or, with --live, those of this namespace.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..,
        conflicts_with_all = ["iptables", "ip6tables", "nft_json", "rules"]
    )]
    beside: Option<Vec<PathBuf>>,
    #[command(flatten)]
    reading: Reading,
    /// Compare at every hook, and not only where the policy has rules and on the way of what it
    /// captures.
    #[arg(long)]
    all_hooks: bool,
    #[command(flatten)]
    answer: Answer,
}

const EXAMPLES: &str = "\
Examples:
  weir verify policy.weir --rules rules.txt     rules in any form, which the content tells
  weir verify policy.weir --iptables v4.txt --ip6tables v6.txt
  nft -j list ruleset | weir verify policy.weir --nft-json -
  nsenter -t PID -n weir verify policy.weir --live
  weir verify policy.weir --live --leave-out 'KUBE-*' --leave-out docker
  weir verify policy.weir --beside cni.nft node-iptables.txt
                                                whether its traffic fares the same beside them
  weir verify policy.weir --beside --live
  weir verify policy.weir --nft-json rules.json --emit smt2 | z3 -in
                                                a second opinion: `unsat` if they are equal

Without --ip6tables, only IPv4 is compared; an empty file means that IPv6 is untouched.
Exit status: 0 equal, 1 different or the policy is wrong, 2 bad usage or I/O, 3 equal as far as
known: unless rules that are not understood, or were left out, decide otherwise.";

impl Verify {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        once(self.rules.paths().chain([self.file.as_path()]))?;
        let text = read(&self.file)?;
        let layout = LayoutName::default();
        let Some(policy) = self.reading.policy(&self.file, &text, layout, messages)? else {
            return Ok(Outcome::Bad);
        };
        if let Some(beside) = &self.beside {
            return self.beside(&policy, beside, messages);
        }
        let rules = if self.live {
            self.reading.live(&policy.filled())?
        } else if self.rules.is_given() {
            match self.rules.read(&self.reading, &policy.filled(), messages)? {
                Some(rules) => rules,
                None => return Ok(Outcome::Bad),
            }
        } else {
            return Err(io::Error::other(
                "say what to verify: --rules, --iptables and --ip6tables, --nft-json, or --live",
            ));
        };
        let (says, done) = (&policy.name, &rules.name);
        self.answer.print(
            [&policy, &rules],
            if self.all_hooks { &compared } else { &verified },
            |families| format!(": every packet of {families} fares under {done} as {says} says"),
            |ways| format!("different in {ways}: what {says} says, and {done}\n"),
            (messages, "verify/different", &self.file),
        )
    }

    fn beside(
        &self,
        policy: &Subject,
        files: &[PathBuf],
        messages: &Messages,
    ) -> io::Result<Outcome> {
        once(files.iter().chain([&self.file]).map(PathBuf::as_path))?;
        let mut others = Vec::new();
        for file in files {
            let read =
                self.reading.file(file, LayoutName::default(), &policy.filled(), messages)?;
            let Some(subject) = read else { return Ok(Outcome::Bad) };
            others.push(subject);
        }
        if self.live {
            let owned = policy.policy().map(|policy| lower(policy, Layout::default()).owned);
            let mut live = self.reading.live(&policy.filled())?;
            let owned = owned.unwrap_or_default();
            live.ruleset.tables.retain(|table| !owned.contains(&table.name));
            others.push(live);
        }
        let Some(others) = Subject::together(others) else {
            return Err(io::Error::other("say beside what: `--beside FILE`, or `--beside --live`"));
        };
        let (says, done) = (&policy.name, &others.name);
        self.answer.print(
            [policy, &others],
            &beside,
            |families| {
                format!(
                    ": all traffic of {families} that {says} touches fares as it says beside {done}"
                )
            },
            |ways| {
                format!(
                    "different in {ways}: what {says} says, and what becomes of it beside {done}\n"
                )
            },
            (messages, "verify/beside", &self.file),
        )
    }
}
