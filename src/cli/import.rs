//! `weir import istio`.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::files::{is_standard, read_whole};
use super::report::Messages;
use super::{Outcome, groups, output};
use crate::import::istio::{self, Context, Imported, Refused};
use crate::net::Name;
use crate::policy::{Detail, print};
use crate::span::Sources;

/// Turn another system's configuration into a policy that says the same
#[derive(Args)]
pub(super) struct Import {
    #[command(subcommand)]
    from: From,
}

#[derive(Subcommand)]
enum From {
    Istio(Istio),
}

/// Turn Istio's configuration into a policy that says the same
///
/// Prints the policy that does to packets what Istio's iptables rules do, formatted, and without
/// the clauses that only restate defaults. What it does not carry over, and why, goes to standard
/// error; what Istio refuses, or a policy cannot say, is an error, and nothing is printed then.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
struct Istio {
    #[command(flatten)]
    input: Given,
    /// Environment beside --args: lines of `NAME=value`, as a shell reads them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pod", "config"])]
    env: Option<PathBuf>,
    /// Group file (the form of /etc/group) that resolves group names; the policy has the numbers.
    #[arg(long, value_name = "FILE")]
    group_file: Option<PathBuf>,
    /// Name of the policy [default: that of the pod or the configuration, or else `istio`].
    #[arg(long, value_parser = name, value_name = "NAME")]
    name: Option<Name>,
    /// Whether IPv6 is captured, where Istio would look at the workload's addresses.
    #[arg(long, value_enum, value_name = "SWITCH", conflicts_with = "config")]
    ipv6: Option<Switch>,
    /// The workload's /etc/resolv.conf, where Istio would read it for DNS servers.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    resolv_conf: Option<PathBuf>,
    /// Write here instead of to standard output; whole or not at all.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What is imported.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Given {
    /// Arguments of istio-iptables, in one text that is split as a shell splits it.
    #[arg(long, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    args: Option<String>,
    /// Manifest in YAML or JSON, of pods or of anything with a pod template; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pod: Option<PathBuf>,
    /// Istio's own configuration in JSON, one object or several; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

const EXAMPLES: &str = "\
Examples:
  weir import istio --args \"-p 15001 -z 15006 -u 1337 -i '*' -b '*' -d 15090,15021,15020\"
  kubectl get pod reviews -o yaml | weir import istio --pod -
  weir import istio --pod deployment.yaml --ipv6 off -o reviews.weir

Exit status: 0 imported, 1 the configuration is wrong, 2 bad usage or I/O.";

impl Import {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let From::Istio(istio) = &self.from;
        match istio.import()? {
            Ok(Imported { policies, notes }) => {
                messages.imported("note", &notes)?;
                let texts: Vec<String> =
                    policies.iter().map(|policy| print(policy, Detail::Differences)).collect();
                output::write(istio.output.as_deref(), &Sources::default(), &texts.join("\n"))
            }
            Err(Refused { mistakes, notes }) => {
                messages.imported("note", &notes)?;
                messages.imported("error", &mistakes)?;
                Ok(Outcome::Bad)
            }
        }
    }
}

impl Istio {
    fn import(&self) -> io::Result<Result<Imported, Refused>> {
        self.reads_standard_input_once()?;
        let context = Context {
            name: self.name.clone(),
            groups: groups::read(self.group_file.as_deref())?,
            ipv6: self.ipv6.map(|switch| switch == Switch::On),
            resolv_conf: text(self.resolv_conf.as_deref())?,
        };
        if let Some(arguments) = &self.input.args {
            let environment = text(self.env.as_deref())?.unwrap_or_default();
            return Ok(istio::split(arguments)
                .and_then(|words| istio::arguments(&words, &environment, &context)));
        }
        if let Some(text) = text(self.input.pod.as_deref())? {
            return Ok(istio::pods(&text, &context));
        }
        let text = text(self.input.config.as_deref())?.unwrap_or_default();
        Ok(istio::configurations(&text, &context))
    }

    /// The second reader would find nothing there, and say something wrong about it.
    fn reads_standard_input_once(&self) -> io::Result<()> {
        let paths =
            [&self.input.pod, &self.input.config, &self.env, &self.group_file, &self.resolv_conf];
        let standard = paths.into_iter().flatten().filter(|path| is_standard(path)).count();
        if standard > 1 {
            return Err(io::Error::other(
                "standard input can be read once, and `-` is given twice",
            ));
        }
        Ok(())
    }
}

/// The text of a file that may be left out.
fn text(path: Option<&Path>) -> io::Result<Option<String>> {
    path.map(read_whole).transpose()
}

fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|bad| bad.to_string())
}
