//! `weir verify`.

use std::io;

use clap::Args;

use super::compile::LayoutName;
use super::differences::{beside, between, brief, families_words, print_json, words};
use super::files::read;
use super::question::Form;
use super::report::Messages;
use super::subject::{Reading, Rules};
use super::{Outcome, output};

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
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Decide nothing, but write the question for a solver.
    #[arg(long, value_name = "FORM", conflicts_with = "json")]
    emit: Option<Form>,
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
        if let Some(form) = self.emit {
            return form.print(&policy, &rules);
        }
        let (families, all) = between(&policy, &rules)?;
        if self.json {
            print_json(families, &policy, &rules, &all)?;
        } else if all.ways.is_empty() {
            let line = format!(
                "equal: every packet of {} fares under {} as {} says\n",
                families_words(families),
                rules.name,
                policy.name
            );
            let beside = beside(&policy, &rules, families)?;
            output::print((line + &beside).as_bytes())?;
        } else {
            let ways = match (all.ways.len(), all.and_more) {
                (1, false) => "1 way".to_owned(),
                (count, false) => format!("{count} ways"),
                (count, true) => format!("more than {count} ways"),
            };
            let head =
                format!("different in {ways}: what {} says, and {}\n", policy.name, rules.name);
            output::print((head + &words(&all, &policy, &rules)).as_bytes())?;
        }
        if !all.ways.is_empty() {
            let said = format!("{} differs from {}", rules.name, policy.name);
            messages.result("verify/different", &self.file, said + &brief(&all));
        }
        Ok(if all.ways.is_empty() { Outcome::Good } else { Outcome::Bad })
    }
}
