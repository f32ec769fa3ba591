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

/// Take away what a policy has in a network namespace, in any version of it, and nothing else
///
/// Its tables of nft, in one transaction; its chains and rules in both variants of iptables; and the
/// routing that it needed, or that an older version did. It does nothing where nothing is there.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Remove {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    selected: Selected,
    #[command(flatten)]
    target: Target,
    /// Take away also what Istio's own tool leaves in chains of iptables that are not its own, known by
    /// its form: for DNS, TPROXY, virtual interfaces and invalid packets.
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

Exit status: 0 nothing of it is there, 1 the policy is wrong, 2 bad usage or I/O. The step that
failed: 10 preflight, 11 lock, 12 read, 13 routing, 14 rules, 15 verify, with everything as it
was before; 16 undo, with what could not be put back.";

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
