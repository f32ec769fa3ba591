//! `weir compile`, and how a policy is chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::deny::Deny;
use super::files::{once, read_unpacked};
use super::input::{Input, compile_text};
use super::report::Messages;
use super::rules::recognised;
use super::subject::called;
use super::{Outcome, output};
use crate::backend::nft;
use crate::diag::escape::on_one_line;
use crate::diag::{Diagnostic, Problem};
use crate::net::Family;
use crate::policy::Policy;
use crate::reader::forms::Form as TextForm;
use crate::update::{Old, update};
use crate::{Compilation, Failure, Layout, Options, View};

/// Compile a policy
///
/// By default, writes an nft script to standard output. The script is one transaction that replaces
/// exactly the tables of this kind of policy; load it with `nft -f`. If --policy is given several
/// times, the script loads all of these policies into one namespace, and it is an error if two of
/// them claim the same tables, marks or routing table.
///
/// If anything fails, standard output gets one line that nothing loads, unless it is a terminal.
/// Files are not touched then.
#[derive(Args)]
pub(super) struct Compile {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    selected: Selected,
    /// What to write.
    #[arg(long, value_enum, default_value_t, value_name = "VIEW")]
    emit: Emit,
    /// With `--emit update`, what is loaded: the output of `nft -a list ruleset` or `nft -j list ruleset`, or the
    /// policy file that was loaded.
    ///
    /// From a listing, rules are deleted by their handles. The transaction fails as a whole if one of them is gone,
    /// and nobody else may change the tables between the listing and the update. From a policy, which must have been
    /// compiled with the same options, chains that differ are flushed and filled again. Rules that do not change keep
    /// their counters, and sets that others fill keep their content. If an update would be longer, the output is the
    /// script of `--emit nft`, and its first line says so.
    #[arg(long, value_name = "OLD", required_if_eq("emit", "update"))]
    from: Option<PathBuf>,
    /// How lists become rules.
    #[arg(long, value_enum, default_value_t, value_name = "LAYOUT")]
    layout: LayoutName,
    /// Oldest version of nft that must be able to load the output.
    #[arg(long, default_value = "nft=1.0.1", value_parser = target, value_name = "nft=VERSION")]
    target: nft::Target,
    /// How the commands of the nft script are laid out.
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    form: FormName,
    /// Leave out packet counters.
    #[arg(long)]
    no_counters: bool,
    /// Leave out the comments on rules, which name the rung of the ladder and the clause.
    #[arg(long)]
    no_comments: bool,
    /// Write without proving that the text does what the policy says, and nothing else.
    #[arg(long)]
    no_verify: bool,
    /// Write to this file instead of standard output, as a whole or not at all.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write every view of every policy into this folder, as POLICY.nft, POLICY.json, and so on.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["output", "emit", "from"])]
    out_dir: Option<PathBuf>,
    #[command(flatten)]
    deny: Deny,
}

/// Which policies of the file.
#[derive(Default, Args)]
pub(super) struct Selected {
    /// The policy to use, if the file has several. May be repeated.
    #[arg(long = "policy", value_name = "NAME")]
    policies: Vec<String>,
}

/// What to write.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Emit {
    /// A script for `nft -f`.
    #[default]
    Nft,
    /// libnftables JSON for `nft -j -f`.
    Json,
    /// Text for `iptables-restore --noflush`, in upstream's chains and order, if no version is loaded.
    Iptables,
    /// The same for `ip6tables-restore --noflush`.
    Ip6tables,
    /// A POSIX shell script that loads both with iptables, and replaces every other version.
    IptablesScript,
    /// The policy, formatted, with every default written out.
    Policy,
    /// The ruleset in words.
    Ir,
    /// The `ip` commands that TPROXY and IPv6 need, as a POSIX shell script.
    Routing,
    /// Those for IPv4, for `ip -batch`.
    RoutingBatch,
    /// Those for IPv6, for `ip -6 -batch`.
    #[value(name = "routing6-batch")]
    Routing6Batch,
    /// A POSIX shell script that removes what the others added.
    Teardown,
    /// A script for `nft -f` that changes what is loaded, as given with --from, only where it differs.
    Update,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LayoutName {
    /// A list becomes one rule with a set; packets do not pay for its length.
    #[default]
    Compact,
    /// One rule per item, in upstream's order.
    Upstream,
}

/// How the commands of a script are laid out.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum FormName {
    /// One block per table, as `nft list ruleset` prints it.
    #[default]
    Block,
    /// One `add`, `delete` or `flush` command per line.
    Flat,
}

impl From<FormName> for nft::Form {
    fn from(name: FormName) -> Self {
        match name {
            FormName::Block => Self::Block,
            FormName::Flat => Self::Flat,
        }
    }
}

impl From<LayoutName> for Layout {
    fn from(name: LayoutName) -> Self {
        match name {
            LayoutName::Compact => Self::Compact,
            LayoutName::Upstream => Self::Upstream,
        }
    }
}

impl Emit {
    /// What is written of a policy alone; `None` of what needs to know what is loaded.
    const fn view(self) -> Option<View> {
        Some(match self {
            Self::Nft => View::Nft,
            Self::Json => View::Json,
            Self::Iptables => View::Iptables(Family::Ipv4),
            Self::Ip6tables => View::Iptables(Family::Ipv6),
            Self::IptablesScript => View::IptablesScript,
            Self::Policy => View::Policy,
            Self::Ir => View::Ir,
            Self::Routing => View::Routing,
            Self::RoutingBatch => View::RoutingBatch(Family::Ipv4),
            Self::Routing6Batch => View::RoutingBatch(Family::Ipv6),
            Self::Teardown => View::Teardown,
            Self::Update => return None,
        })
    }

    /// Every view, as `--emit` calls it.
    pub(super) fn views() -> impl Iterator<Item = (String, View)> {
        Self::value_variants().iter().filter_map(|emit| {
            let name = emit.to_possible_value()?.get_name().to_owned();
            Some((name, emit.view()?))
        })
    }

    /// What `--emit` calls a view.
    pub(super) fn name(view: View) -> String {
        Self::views().find(|(_, known)| *known == view).map(|(name, _)| name).unwrap_or_default()
    }
}

impl Compile {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let options = Options {
            groups: self.input.groups()?,
            layout: self.layout.into(),
            nft: nft::Options {
                target: self.target,
                counters: !self.no_counters,
                comments: !self.no_comments,
                form: self.form.into(),
            },
            verify: !self.no_verify,
        };
        let Some(compilation) = self.input.compile(&options, messages)? else {
            return Ok(Outcome::Bad);
        };
        if self.deny.judge(&compilation.warnings, messages) == Outcome::Bad {
            return Ok(Outcome::Bad);
        }
        if let Some(folder) = &self.out_dir {
            return self.write_all(&compilation, folder, messages);
        }
        let policies = self.selected.together(&compilation)?;
        let conflicts = compilation.conflicts(&policies);
        if messages.report(&compilation.sources, &conflicts) == Outcome::Bad {
            return Ok(Outcome::Bad);
        }
        if self.deny.judge(&conflicts, messages) == Outcome::Bad {
            return Ok(Outcome::Bad);
        }
        let text = match (self.emit.view(), &self.from) {
            (Some(view), None) => compilation.emit_together(&policies, view),
            (None, Some(from)) => {
                match self.update(from, (&compilation, &policies), &options, messages)? {
                    Some(text) => text,
                    None => return Ok(Outcome::Bad),
                }
            }
            _ => return Err(io::Error::other("`--from` goes with `--emit update`")),
        };
        match text {
            Ok(text) => output::write(self.output.as_deref(), &text),
            Err(failure) => Ok(messages.report(&failure.sources, &failure.diagnostics)),
        }
    }

    /// What makes the policies of what is loaded; `None` if that is a policy that is wrong.
    fn update(
        &self,
        from: &Path,
        (compilation, policies): (&Compilation, &[&Policy]),
        options: &Options,
        messages: &Messages,
    ) -> io::Result<Option<Result<String, Failure>>> {
        once([&*self.input.file, from].into_iter())?;
        let text = read_unpacked(from)?;
        Ok(match recognised(from, &text, messages)? {
            TextForm::NftJson(text) | TextForm::NftScript(text) => {
                Some(update(Old::Listing(&text), compilation, policies))
            }
            TextForm::Iptables(_) => {
                let why = format!("{} has rules of iptables", called(from));
                let instead = "give what `nft -a list ruleset` prints, or load the policy with \
                               `weir compile --emit iptables-script`";
                Some(Err(compilation.failure(vec![Problem::NoUpdate { why, instead }.of(None)])))
            }
            TextForm::Nothing | TextForm::Policy => {
                let includes = &self.input.includes;
                let Some(old) = compile_text((from, &text), includes, options, messages) else {
                    return Ok(None);
                };
                let loaded = self.selected.together(&old)?;
                Some(update(Old::Policies(&old, &loaded), compilation, policies))
            }
        })
    }

    /// Every text is made before the first is written, so that a refusal writes nothing.
    fn write_all(
        &self,
        compilation: &Compilation,
        folder: &Path,
        messages: &Messages,
    ) -> io::Result<Outcome> {
        let mut texts = Vec::new();
        let mut problems = Vec::new();
        for policy in self.selected.some(compilation)? {
            for &view in View::ALL {
                match compilation.emit(policy, view) {
                    Ok(text) => texts.push((format!("{}.{}", policy.name, view.extension()), text)),
                    // iptables can say less than nft; a policy that needs nft has no such file.
                    Err(Failure { diagnostics: found, .. })
                        if matches!(view, View::Iptables(_) | View::IptablesScript)
                            && found.iter().all(is_lack) =>
                    {
                        let name = format!("{}.{}", policy.name, view.extension());
                        messages.note(&format!("{name} is left out: {}", found[0].problem));
                    }
                    Err(failure) => problems.extend(failure.diagnostics),
                }
            }
        }
        if messages.report(&compilation.sources, &problems) == Outcome::Bad {
            return Ok(Outcome::Bad);
        }
        output::write_all(folder, &texts, messages)
    }
}

/// Whether a target lacks what the policy needs.
fn is_lack(diagnostic: &Diagnostic) -> bool {
    matches!(diagnostic.problem, Problem::Unsupported { .. })
}

/// `nft=1.0.1`: a backend and its version.
pub(super) fn target(text: &str) -> Result<nft::Target, String> {
    let version = text.strip_prefix("nft=").ok_or("write the tool too: `nft=1.0.6`")?;
    version.parse().map_err(|bad: nft::BadTarget| bad.to_string())
}

impl Selected {
    /// The policies that are meant to be loaded together: those that are named, or the only one.
    ///
    /// # Errors
    ///
    /// If the file has several and none is named, or none of a name.
    pub(super) fn together<'a>(&self, compilation: &'a Compilation) -> io::Result<Vec<&'a Policy>> {
        let policies = self.some(compilation)?;
        if self.policies.is_empty() && policies.len() > 1 {
            return Err(io::Error::other(format!(
                "the file has several policies; choose one with --policy: {}",
                names(&policies)
            )));
        }
        Ok(policies)
    }

    /// The only policy that is meant.
    ///
    /// # Errors
    ///
    /// As [`Selected::together`], and if several are named.
    pub(super) fn one<'a>(&self, compilation: &'a Compilation) -> io::Result<&'a Policy> {
        match self.together(compilation)?[..] {
            [policy] => Ok(policy),
            _ => Err(io::Error::other("choose one policy here, with a single --policy")),
        }
    }

    /// One policy, by its name.
    pub(super) fn only(name: &str) -> Self {
        Self { policies: vec![name.to_owned()] }
    }

    /// The names of two policies, if these are what is named.
    pub(super) fn pair(&self) -> Option<[&str; 2]> {
        match &self.policies[..] {
            [first, second] => Some([first, second]),
            _ => None,
        }
    }

    /// The policies that are named, or all of them.
    ///
    /// # Errors
    ///
    /// If there is none of a name, or one is named twice.
    pub(super) fn some<'a>(&self, compilation: &'a Compilation) -> io::Result<Vec<&'a Policy>> {
        let all: Vec<&Policy> = compilation.policies.iter().collect();
        if self.policies.is_empty() {
            return Ok(all);
        }
        let by_name: BTreeMap<&str, &Policy> =
            all.iter().map(|policy| (policy.name.as_str(), *policy)).collect();
        let mut chosen: Vec<&Policy> = Vec::new();
        let mut seen = BTreeSet::new();
        for name in &self.policies {
            let policy = *by_name.get(name.as_str()).ok_or_else(|| {
                io::Error::other(format!(
                    "the file has no policy `{}`; it has {}",
                    on_one_line(name),
                    names(&all)
                ))
            })?;
            if !seen.insert(name) {
                return Err(io::Error::other(format!("policy `{name}` is given twice")));
            }
            chosen.push(policy);
        }
        Ok(chosen)
    }
}

pub(super) fn names(policies: &[&Policy]) -> String {
    let names: Vec<String> = policies.iter().map(|policy| format!("`{}`", policy.name)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
