//! `weir doctor`: what is wrong with manifests, or does nothing.

pub(super) mod report;

use std::io;
use std::path::PathBuf;

use clap::Args;

use self::report::Report;
use super::deny::Deny;
use super::files::{self, once, read_whole};
use super::forms::Findings;
use super::kubectl::Cluster;
use super::report::Messages;
use super::{Outcome, numbers};
use crate::diag::Diagnostic;
use crate::import::{Context, Examined, examine};
use crate::span::Sources;

/// Say what is wrong with manifests for a service mesh, or has no effect
///
/// Finds annotations and labels that are misspelt, on the wrong object, or of the wrong sort; values that the
/// mesh refuses or that have no effect; opt-outs that do not opt out; workloads that run as the proxy's user;
/// and settings that capture nothing or leave IPv6 open. Each is reported with file, line and what to write
/// instead. Reads the manifests that `weir import --pod` reads, for every mesh that it knows, and several
/// files together.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Doctor {
    /// Manifests in YAML or JSON: pods, anything with a pod template, namespaces, the mesh's configuration;
    /// `-` is standard input. Without files, reads what kubectl gets from the cluster.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    cluster: Cluster,
    /// The mesh's own configuration, such as Helm values, if it is not among the manifests.
    #[arg(long, value_name = "FILE")]
    mesh_config: Option<PathBuf>,
    /// Whether workloads have IPv6, if no manifest has their addresses [default: they may].
    #[arg(long, value_name = "SWITCH", value_parser = ["on", "off"])]
    ipv6: Option<String>,
    /// User file (the form of /etc/passwd) that resolves the names of users.
    #[arg(long, value_name = "FILE", alias = "passwd-file")]
    user_file: Option<PathBuf>,
    /// Group file (the form of /etc/group) that resolves the names of groups.
    #[arg(long, value_name = "FILE")]
    group_file: Option<PathBuf>,
    #[command(flatten)]
    deny: Deny,
}

const EXAMPLES: &str = "\
Examples:
  weir doctor deployment.yaml namespace.yaml        what is wrong, with file and line
  weir doctor --mesh-config values.yaml k8s/*.yaml  also with the mesh's own settings
  weir doctor -n shop                               what runs in a namespace, by kubectl
  kubectl weir doctor -n shop                       the same, as a plugin of kubectl
  weir explain-code W704                            what a code means

Exit status: 0 nothing is wrong, though there may be warnings; 1 something is, or a warning is
denied; 2 bad usage or I/O.";

impl Doctor {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        messages.will_present::<Report>();
        let beside = [&self.mesh_config, &self.user_file, &self.group_file];
        let paths = self.files.iter().chain(beside.into_iter().flatten());
        once(paths.map(PathBuf::as_path))?;
        let mut sources = Sources::default();
        for file in &self.files {
            sources.add(files::name(file), &read_whole(file)?);
        }
        if self.files.is_empty() {
            self.cluster.get(&mut sources)?;
        }
        let context = Context {
            users: numbers::read(self.user_file.as_deref(), "user file")?,
            groups: numbers::read(self.group_file.as_deref(), "group file")?,
            ipv6: self.ipv6.as_deref().map(|switch| switch == "on"),
            mesh_config: self.mesh_config.as_deref().map(read_whole).transpose()?,
            ..Context::default()
        };
        let Examined { policies, diagnostics } = examine(&sources, &context);
        let is_bad = diagnostics.iter().any(Diagnostic::is_error);
        let denied = self.deny.judge(&diagnostics, messages);
        let names: Vec<_> = sources.names().map(str::to_owned).collect();
        let first = names.first().cloned().unwrap_or_default();
        let is_clean = diagnostics.is_empty();
        let findings = (!is_clean).then(|| Findings::new(&first, sources, diagnostics));
        let report = Report { manifests: names, policies, findings };
        messages.present(&report)?;
        Ok(if is_bad { Outcome::Bad } else { denied })
    }
}
