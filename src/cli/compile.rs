use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::input::Input;
use super::report::Messages;
use super::{Outcome, output};
use crate::backend::nft;
use crate::net::{Family, Name};
use crate::policy::Policy;
use crate::{Compilation, Layout, Options, View};

/// Compile a policy
///
/// Writes an nft script to standard output unless told otherwise. The script is one transaction
/// that replaces exactly the tables of this kind of policy; load it with `nft -f`.
#[derive(Args)]
pub(super) struct Compile {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    selected: Selected,
    /// What to write.
    #[arg(long, value_enum, default_value_t, value_name = "VIEW")]
    emit: Emit,
    /// How lists become rules.
    #[arg(long, value_enum, default_value_t, value_name = "LAYOUT")]
    layout: LayoutName,
    /// Oldest nft that must load the output.
    #[arg(long, default_value = "nft=1.0.1", value_parser = target, value_name = "nft=VERSION")]
    target: nft::Target,
    /// Leave the packet counters out.
    #[arg(long)]
    no_counters: bool,
    /// Leave the comments on rules out, which name the rung of the ladder and the clause.
    #[arg(long)]
    no_comments: bool,
    /// Write here instead of to standard output; whole or not at all.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write every view of every policy into this folder, as POLICY.nft, POLICY.json, and so on.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["output", "emit"])]
    out_dir: Option<PathBuf>,
}

/// Which policy of the file.
#[derive(Args)]
pub(super) struct Selected {
    /// The policy, where the file has several.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
}

/// What to write.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Emit {
    /// A script for `nft -f`.
    #[default]
    Nft,
    /// libnftables JSON for `nft -j -f`.
    Json,
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
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum LayoutName {
    /// A list is one rule with a set; its length costs packets nothing.
    #[default]
    Compact,
    /// One rule an item, in upstream's order.
    Upstream,
}

impl From<Emit> for View {
    fn from(emit: Emit) -> Self {
        match emit {
            Emit::Nft => Self::Nft,
            Emit::Json => Self::Json,
            Emit::Policy => Self::Policy,
            Emit::Ir => Self::Ir,
            Emit::Routing => Self::Routing,
            Emit::RoutingBatch => Self::RoutingBatch(Family::Ipv4),
            Emit::Routing6Batch => Self::RoutingBatch(Family::Ipv6),
            Emit::Teardown => Self::Teardown,
        }
    }
}

impl Compile {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let options = Options {
            groups: self.input.groups()?,
            layout: match self.layout {
                LayoutName::Compact => Layout::Compact,
                LayoutName::Upstream => Layout::Upstream,
            },
            nft: nft::Options {
                target: self.target,
                counters: !self.no_counters,
                comments: !self.no_comments,
            },
        };
        let Some(compilation) = self.input.compile(&options, messages)? else {
            return Ok(Outcome::Bad);
        };
        if let Some(folder) = &self.out_dir {
            return self.write_all(&compilation, folder, messages);
        }
        let policy = self.selected.one(&compilation)?;
        match compilation.emit(policy, self.emit.into()) {
            Ok(text) => output::write(self.output.as_deref(), &text),
            Err(problems) => messages.report(&compilation.sources, &problems),
        }
    }

    /// Every text is made before the first is written, so that a refusal writes nothing.
    fn write_all(
        &self,
        compilation: &Compilation,
        folder: &std::path::Path,
        messages: &Messages,
    ) -> io::Result<Outcome> {
        let mut texts = Vec::new();
        let mut problems = Vec::new();
        for policy in self.selected.some(compilation)? {
            for view in View::ALL {
                match compilation.emit(policy, view) {
                    Ok(text) => texts.push((format!("{}.{}", policy.name, view.extension()), text)),
                    Err(found) => problems.extend(found),
                }
            }
        }
        if messages.report(&compilation.sources, &problems)? == Outcome::Bad {
            return Ok(Outcome::Bad);
        }
        fs::create_dir_all(folder).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot make {}: {error}", folder.display()))
        })?;
        for (name, text) in texts {
            output::write(Some(&folder.join(name)), &text)?;
        }
        Ok(Outcome::Good)
    }
}

/// `nft=1.0.1`: a backend and its version.
fn target(text: &str) -> Result<nft::Target, String> {
    let version = text.strip_prefix("nft=").ok_or("write the tool too: `nft=1.0.6`")?;
    version.parse().map_err(|bad: nft::BadTarget| bad.to_string())
}

impl Selected {
    /// The policy that is meant.
    ///
    /// # Errors
    ///
    /// If the file has none, several and none is named, or none of that name.
    pub(super) fn one<'a>(&self, compilation: &'a Compilation) -> io::Result<&'a Policy> {
        match self.some(compilation)?.as_slice() {
            [policy] => Ok(policy),
            several => Err(io::Error::other(format!(
                "the file has several policies; choose one with --policy: {}",
                names(several)
            ))),
        }
    }

    /// The policy that is named, or all of them.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub(super) fn some<'a>(&self, compilation: &'a Compilation) -> io::Result<Vec<&'a Policy>> {
        let all: Vec<&Policy> = compilation.policies.iter().collect();
        let Some(name) = &self.policy else {
            return if all.is_empty() {
                Err(io::Error::other("the file has no policy of its own to compile"))
            } else {
                Ok(all)
            };
        };
        let found = Name::new(name).ok().and_then(|name| compilation.policy(&name));
        found.map(|policy| vec![policy]).ok_or_else(|| {
            io::Error::other(format!(
                "the file has no policy `{}`; it has {}",
                name.escape_debug(),
                names(&all)
            ))
        })
    }
}

fn names(policies: &[&Policy]) -> String {
    let names: Vec<String> = policies.iter().map(|policy| format!("`{}`", policy.name)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
