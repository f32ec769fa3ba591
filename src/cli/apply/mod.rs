//! `weir apply`.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Outcome;
use super::change::{Target, ended, say};
use super::compile::Selected;
use super::files::read;
use super::input::{GroupFile, compile_text};
use super::report::Messages;
use crate::Options;
use crate::host::{self, Compiled, Session};
use crate::verify::Answer;

/// Load a policy into a network namespace, and prove that it is what the kernel does
///
/// Compiles and proves the policy, adds the routing that it needs, replaces every older version of it in one
/// transaction of nft, takes away the routing of older versions, reads back what the kernel holds, and
/// proves that traffic fares as the policy says beside whatever else is loaded. If anything fails, the
/// namespace is as it was before. What is loaded already is left alone, counters too.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Apply {
    /// The policy file, or `-` for standard input.
    #[arg(value_name = "POLICY")]
    file: PathBuf,
    #[command(flatten)]
    selected: Selected,
    #[command(flatten)]
    groups: GroupFile,
    #[command(flatten)]
    target: Target,
    /// In which form nft gets the rules.
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    form: FormName,
    /// Take away rules of iptables that Istio's own tool or weir left, once the new ones are proved to be
    /// there: in both variants and both families.
    #[arg(long)]
    replace_istio: bool,
    /// Do everything but change something: say what would be done, and prove what would come of it.
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  weir apply policy.weir                        into this namespace
  weir apply policy.weir --netns 4711           into that of a process
  weir apply policy.weir --dry-run              what would be done
  weir apply policy.weir --replace-istio        from iptables to nft, while traffic flows

Exit status: 0 loaded and proved, or it was already; 1 the policy is wrong; 2 bad usage or I/O;
3 loaded, and equal as far as known: unless rules that are not understood, or were left out,
decide otherwise. The step that failed: 10 preflight, 11 lock, 12 read, 13 routing, 14 rules,
15 verify, with everything as it was before; 16 undo, with what could not be put back.";

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
        let groups = self.groups.read()?;
        let options = Options { groups: groups.clone(), ..Options::default() };
        let text = read(&self.file)?;
        let Some(compilation) = compile_text(&self.file, &text, &options, messages) else {
            return Ok(Outcome::Bad);
        };
        let policies = self.selected.together(&compilation)?;
        let compiled = Compiled::new(&compilation, &policies, self.form.into());
        let compiled = match compiled {
            Ok(compiled) => compiled,
            Err(found) => return Ok(messages.report(&compilation.sources, &found)),
        };
        let options =
            host::Options { replace_istio: self.replace_istio, ..self.target.options(groups) };
        let name = compiled.name();
        let place = namespace.name();
        let (done, lines) = ended(namespace.enter(|| {
            let session = Session::begin(options)?;
            let plan = session.plan(&compiled)?;
            let lines = if self.dry_run { plan.lines() } else { Vec::new() };
            let done = if self.dry_run { session.foresee(&plan) } else { session.carry_out(&plan) };
            done.map(|done| (done, lines))
        }))?;
        let did = match (done.is_changed, self.dry_run) {
            (false, _) => "nothing to do:",
            (true, false) => "loaded:",
            (true, true) => "nothing was changed; if this is done,",
        };
        let answer = match done.answer {
            Answer::EqualAsFarAsKnown => ", as far as is known",
            Answer::Equal | Answer::Different => "",
        };
        say(&format!("{did} traffic of {place} fares as {name} says{answer}"), &done, &lines)
    }
}
