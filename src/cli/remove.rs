//! `weir remove`.

use std::io;

use clap::Args;

use super::Outcome;
use super::change::{Target, ended, say};
use super::compile::Selected;
use super::input::Input;
use super::report::Messages;
use crate::Options;
use crate::host::{Owned, Session};

/// Remove what any version of a policy has added to a network namespace, and nothing else
///
/// Removes its nft tables, in one transaction; its chains and rules in both variants of iptables; and the
/// routing that it or an older version needed. If there is nothing to remove, it does nothing.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Remove {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    selected: Selected,
    #[command(flatten)]
    target: Target,
    /// Also remove the rules that Istio's own tool leaves in iptables' built-in chains, which are
    /// recognised by their form: for DNS, TPROXY, virtual interfaces and invalid packets.
    #[arg(long)]
    istio: bool,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  weir remove policy.weir                       from this namespace
  weir remove policy.weir --netns 4711          from that of a process
  weir remove policy.weir --istio               also what Istio's own tool has left

Exit status: 0 nothing of the policy is left, 1 the policy is wrong, 2 bad usage or I/O. If a step
failed: 10 preflight, 11 lock, 12 read, 13 routing, 14 rules, 15 verify, and everything is as it
was before; 16 undo, and a message says what could not be restored.";

impl Remove {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let namespace = self.target.namespace()?;
        let groups = self.input.groups()?;
        let options = Options { groups: groups.clone(), ..Options::default() };
        let compiled = self.input.compile(&options, messages)?;
        let Some(compilation) = compiled else { return Ok(Outcome::Bad) };
        let policies = self.selected.together(&compilation)?;
        let owned = Owned::by(&policies);
        let options = self.target.options(groups);
        let (done, lines) = ended(namespace.enter(|| {
            let session = Session::begin(options)?;
            let plan = session.plan_removal(&owned, self.istio)?;
            let lines = if self.dry_run { plan.lines() } else { Vec::new() };
            let done = if self.dry_run { session.foresee(&plan) } else { session.carry_out(&plan) };
            done.map(|done| (done, lines))
        }))?;
        let (name, place) = (owned.name(), namespace.name());
        let said = match (done.is_changed, self.dry_run) {
            (false, _) => format!("nothing to do: {place} has nothing of {name}"),
            (true, false) => format!("removed: {place} has nothing of {name} any longer"),
            (true, true) => {
                format!("nothing was changed; if this is done, nothing of {name} is left")
            }
        };
        say(&said, &done, &lines)
    }
}
