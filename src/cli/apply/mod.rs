//! `weir apply`.

mod confirm;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::change::{Target, ended, say, time};
use super::compile::Selected;
use super::files::{Includes, read};
use super::input::{GroupFile, compile_text};
use super::report::Messages;
use super::{Outcome, output};
use crate::Options;
use crate::host::{self, Compiled, Left, Plan, Session, Step};
use crate::verify::Answer;
use confirm::{Decided, Guard, confirm};

pub(super) use confirm::{GUARD, wait};

/// Load a policy into a network namespace, and prove that the kernel does what the policy says
///
/// Compiles and proves the policy, adds the routing that it needs, replaces every older version in one nft
/// transaction, and removes the routing of older versions. It then reads back what the kernel holds, and
/// proves that traffic is treated as the policy says, alongside whatever else is loaded. If anything fails,
/// the namespace is as it was before. What is already loaded is left alone, including counters.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Apply {
    /// The policy file, or `-` for standard input.
    #[arg(value_name = "POLICY", required_unless_present = "confirmed")]
    file: Option<PathBuf>,
    #[command(flatten)]
    selected: Selected,
    #[command(flatten)]
    groups: GroupFile,
    #[command(flatten)]
    includes: Includes,
    #[command(flatten)]
    target: Target,
    /// The form in which nft gets the rules.
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    form: FormName,
    /// Remove iptables rules that Istio's own tool or weir left, in both variants and both families, once
    /// the new rules are proved to be in force.
    #[arg(long)]
    replace_istio: bool,
    /// Change nothing: say what would be done, and prove what the result would be.
    #[arg(long)]
    dry_run: bool,
    /// Undo the change after this time, such as `30s`, unless you press Enter or run `weir apply
    /// --confirmed`. It is undone even if the connection to the machine is lost meanwhile.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "dry_run")]
    confirm: Option<Duration>,
    /// Confirm the change that is waiting for it.
    #[arg(long, conflicts_with_all = ["file", "confirm", "dry_run"])]
    confirmed: bool,
}

const EXAMPLES: &str = "\
Examples:
  weir apply policy.weir                        into this namespace
  weir apply policy.weir --netns 4711           into that of a process
  weir apply policy.weir --dry-run              what would be done
  weir apply policy.weir --replace-istio        from iptables to nft, while traffic flows
  weir apply policy.weir --confirm 30s          undone unless Enter is pressed
  weir apply --confirmed                        or unless this is run, in the same namespace

Exit status: 0 loaded and proved, now or already before; 1 the policy is wrong; 2 bad usage or I/O;
3 loaded, and equal as far as known: rules that are not understood, or were left out, could still
make a difference. If a step failed: 10 preflight, 11 lock, 12 read, 13 routing, 14 rules,
15 verify, and everything is as it was before; 16 undo, and a message says what could not be
restored. 17: not confirmed in time, and undone.";

/// A form of rules.
#[derive(Clone, Copy, Default, ValueEnum)]
enum FormName {
    /// A script, which every nft reads.
    #[default]
    Script,
    /// libnftables JSON.
    Json,
}

impl From<FormName> for host::Form {
    fn from(name: FormName) -> Self {
        match name {
            FormName::Script => Self::Script,
            FormName::Json => Self::Json,
        }
    }
}

impl Apply {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let namespace = self.target.namespace()?;
        let Some(file) = &self.file else {
            confirm(&namespace)?;
            return output::print(b"confirmed: the change stays\n");
        };
        let groups = self.groups.read()?;
        let options = Options { groups: groups.clone(), ..Options::default() };
        let text = read(file)?;
        let compiled = compile_text((file, &text), &self.includes, &options, messages);
        let Some(compilation) = compiled else { return Ok(Outcome::Bad) };
        let policies = self.selected.together(&compilation)?;
        let compiled = match Compiled::new(&compilation, &policies, self.form.into()) {
            Ok(compiled) => compiled,
            Err(failure) => return Ok(messages.report(&failure.sources, &failure.diagnostics)),
        };
        let options =
            host::Options { replace_istio: self.replace_istio, ..self.target.options(groups) };
        let entered = namespace.enter(|| {
            let session = Session::begin(options)?;
            let plan = session.plan(&compiled)?;
            if self.dry_run {
                return session.foresee(&plan).map(|done| (done, plan.lines(), Decided::Kept));
            }
            let guard = self.guard(&session, &plan)?;
            let done = match (session.carry_out(&plan), guard) {
                (Ok(done), None) => (done, Decided::Kept),
                (Ok(done), Some(guard)) => (done, guard.decided().map_err(deserted)?),
                (Err(error), guard) => {
                    if let Some(guard) = guard {
                        guard.dismiss();
                    }
                    return Err(error);
                }
            };
            Ok((done.0, Vec::new(), done.1))
        });
        let (done, lines, decided) = ended(entered)?;
        let did = match (done.is_changed, self.dry_run) {
            (false, _) => "nothing to do:",
            (true, false) => "loaded:",
            (true, true) => "nothing was changed; if this is done,",
        };
        let answer = match done.answer {
            Answer::EqualAsFarAsKnown => ", as far as is known",
            Answer::Equal | Answer::Different => "",
        };
        let (name, place) = (compiled.name(), namespace.name());
        let how = match decided {
            Decided::Undone => return Err(io::Error::other(Unconfirmed)),
            Decided::Kept => "",
            Decided::Pending => "; undone again unless `weir apply --confirmed` is run in time",
        };
        say(
            &format!("{did} traffic of {place} is treated as {name} says{answer}{how}"),
            &done,
            &lines,
        )
    }

    /// The process that puts back what was there, if it is asked for and there is anything to put back.
    fn guard(&self, session: &Session, plan: &Plan<'_>) -> Result<Option<Guard>, host::Error> {
        let time = self.confirm.filter(|_| !plan.is_nothing());
        let guard = time.map(|time| Guard::start(plan.undo(), time, session.lock()));
        guard.transpose().map_err(|error| host::Error {
            step: Step::Lock,
            why: error.to_string(),
            left: Left::Unchanged,
        })
    }
}

/// Why a change is not confirmed that was made.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes it so")]
fn deserted(error: io::Error) -> host::Error {
    host::Error { step: Step::Undo, why: error.to_string(), left: Left::Changed }
}

/// A change that nobody confirmed.
#[derive(Debug, thiserror::Error)]
#[error("not confirmed in time; everything is as it was again")]
pub(super) struct Unconfirmed;
