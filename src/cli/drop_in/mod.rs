//! Running in the place of the tools with which meshes set pods up: their names, arguments, logs and exit
//! statuses, with rules that are proved.
//!
//! The binary acts by the name that it is called, or by its first argument:
//!
//! | name | arguments | stands in for |
//! |---|---|---|
//! | `istio-iptables`, `pilot-agent istio-iptables` | of `istio-iptables` | Istio's `istio-init` and `istio-validation` |
//! | `linkerd2-proxy-init`, `proxy-init` | of `proxy-init` | Linkerd's `linkerd-init` |
//! | `kumactl install transparent-proxy` | of that | Kuma's `kuma-init` |

mod iptables;
mod istio;
mod kuma;
mod linkerd;
mod loading;
mod log;
mod machine;
mod validation;

use std::ffi::OsString;
use std::fmt::Display;
use std::path::Path;

use clap::{Args, CommandFactory};

use super::Weir;
use super::files::shown;
use crate::host::Namespace;
use crate::import::{Finding, Imported, Refused};
use crate::policy::{Detail, Policy, print};
use log::Log;

/// Set up a pod in place of Istio's `istio-iptables`
///
/// Takes every flag and every variable of `istio-iptables` (Istio 1.29), and looks up what that looks up: the
/// user `istio-proxy`, groups, addresses, and DNS servers. The rules are those of the policy that `weir import
/// istio` makes from the same arguments. They are proved and loaded as `weir apply` loads them: with nft, or
/// with iptables if only that is installed. The first line of the log is the policy.
///
/// Needs the capabilities `NET_ADMIN` and `NET_RAW`, `nft` or iptables, and `ip`, but no shell and no writable
/// file system. The same happens if the binary is called `istio-iptables`, or `pilot-agent` with
/// `istio-iptables` as its first argument.
#[derive(Args)]
#[command(after_help = "Examples:
  weir istio-iptables -p 15001 -z 15006 -u 1337 -m REDIRECT -i '*' -x '' -b '*' -d 15090,15021,15020
  weir istio-iptables -u 1337 --run-validation --skip-rule-apply

Exit status: 0 done, 1 the configuration is wrong or the rules could not be loaded, 126 the rules
fail validation, 255 the arguments are wrong.")]
pub(super) struct IstioIptables {
    #[command(flatten)]
    given: Given,
}

/// Set up a pod in place of Linkerd's `proxy-init`
///
/// Takes every flag of `linkerd2-proxy-init`. The rules are those of the policy that `weir import linkerd` makes
/// from the same arguments, proved and loaded as `weir apply` loads them. The same happens if the binary is
/// called `linkerd2-proxy-init` or `proxy-init`.
#[derive(Args)]
#[command(visible_alias = "proxy-init")]
#[command(after_help = "Examples:
  weir linkerd2-proxy-init -p 4143 -o 4140 -u 2102 --inbound-ports-to-ignore 4190,4191

Exit status: 0 done, 1 the configuration is wrong or the rules could not be loaded.")]
pub(super) struct ProxyInit {
    #[command(flatten)]
    given: Given,
}

/// Set up a pod in place of Kuma's `kumactl install transparent-proxy`
///
/// Takes `install transparent-proxy` with every flag, configuration files and variables, with Kuma's
/// precedence. The rules are those of the policy that `weir import kuma` makes from the same configuration,
/// proved and loaded as `weir apply` loads them. The same happens if the binary is called `kumactl`.
#[derive(Args)]
#[command(after_help = "Examples:
  weir kumactl install transparent-proxy --kuma-dp-user 5678 --exclude-inbound-ports 22
  weir kumactl install transparent-proxy --config /tmp/transparent-proxy/base/config.yaml

Exit status: 0 done, 1 the configuration is wrong or the rules could not be loaded.")]
pub(super) struct Kumactl {
    #[command(flatten)]
    given: Given,
}

/// What the tool is given.
#[derive(Args)]
struct Given {
    /// Arguments of the tool.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl IstioIptables {
    pub(super) fn run(self) -> u8 {
        Tool::Istio.run(self.given.arguments)
    }
}

impl ProxyInit {
    pub(super) fn run(self) -> u8 {
        Tool::Linkerd.run(self.given.arguments)
    }
}

impl Kumactl {
    pub(super) fn run(self) -> u8 {
        Tool::Kuma.run(self.given.arguments)
    }
}

/// A tool in whose place weir runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    Istio,
    Linkerd,
    Kuma,
}

impl Tool {
    /// What weir calls it, and what else it is called.
    const NAMES: [(&'static str, Self); 5] = [
        ("istio-iptables", Self::Istio),
        ("linkerd2-proxy-init", Self::Linkerd),
        ("proxy-init", Self::Linkerd),
        ("linkerd-init", Self::Linkerd),
        ("kumactl", Self::Kuma),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, tool)| *tool)
    }

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, tool)| *tool == self).map_or("", |(name, _)| name)
    }

    /// Does what it is told. Its exit status is the tool's.
    fn run(self, arguments: Vec<OsString>) -> u8 {
        let arguments: Result<Vec<String>, OsString> =
            arguments.into_iter().map(OsString::into_string).collect();
        let arguments = match arguments {
            Ok(arguments) => arguments,
            Err(argument) => {
                eprintln!("Error: argument {} is not UTF-8", shown(Path::new(&argument)));
                return istio::WRONG_ARGUMENTS;
            }
        };
        if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
            let mut weir = Weir::command();
            weir.build();
            let help = weir.find_subcommand_mut(self.name()).map(clap::Command::print_long_help);
            // Nobody may be reading.
            let _ = help;
            return 0;
        }
        match self {
            Self::Istio => istio::run(&arguments),
            Self::Linkerd => linkerd::run(&arguments),
            Self::Kuma => kuma::run(&arguments),
        }
    }
}

/// The exit status of the tool that the words of the command line ask for, whatever else clap makes of them;
/// `None` if they ask for none.
pub(super) fn run(words: impl Iterator<Item = OsString>) -> Option<u8> {
    let mut words = words;
    let program = words.next()?;
    let called = Path::new(&program).file_name()?.to_str()?;
    let mut arguments: Vec<OsString> = words.collect();
    let first = arguments.first().and_then(|word| word.to_str());
    if called == "pilot-agent" {
        if first != Some(Tool::Istio.name()) {
            eprintln!(
                "Error: weir does what `pilot-agent istio-iptables` does, and nothing else of pilot-agent"
            );
            return Some(istio::WRONG_ARGUMENTS);
        }
        arguments.remove(0);
        return Some(Tool::Istio.run(arguments));
    }
    if let Some(tool) = Tool::named(called) {
        return Some(tool.run(arguments));
    }
    let tool = first.and_then(Tool::named)?;
    arguments.remove(0);
    Some(tool.run(arguments))
}

/// The policy that a command line is, once what is to be said of it is in the log; `None` if it is wrong, and
/// that is there.
fn decided<'p, R: Display, M: Display>(
    imported: &'p Result<Imported<R>, Refused<R, M>>,
    log: &mut Log,
) -> Option<&'p Policy> {
    match imported {
        Ok(imported) => {
            let policy = only(&imported.policies);
            say(log, policy, &imported.notes);
            Some(policy)
        }
        Err(refused) => {
            log.errors(&refused.mistakes);
            None
        }
    }
}

/// A command line is one policy.
fn only(policies: &[Policy]) -> &Policy {
    let [policy] = policies else { unreachable!("a command line is one policy") };
    policy
}

/// The namespace of that handle, or the one that weir runs in.
fn place(handle: Option<&String>) -> Namespace {
    handle.map_or_else(Namespace::this, |path| Namespace::at(path.into()))
}

/// Says which policy was decided on, on one line, and then what it does not carry over.
fn say<T: Display>(log: &mut Log, policy: &Policy, notes: &[Finding<T>]) {
    log.info(&on_one_line(policy));
    for note in notes {
        log.info(&note.to_string());
    }
}

/// The policy without the clauses that only restate defaults.
fn on_one_line(policy: &Policy) -> String {
    let text = print(policy, Detail::Differences);
    let mut line = String::new();
    for next in text.lines().map(str::trim) {
        // Where a clause ends, as the end of a line says it otherwise.
        if !line.is_empty() && !line.ends_with(['{', ',']) && !next.starts_with('}') {
            line.push(';');
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += next;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::on_one_line;
    use crate::import::istio::{Context, arguments, split};
    use crate::syntax::NoIncludes;
    use crate::{Options, compile};

    #[test]
    fn a_policy_on_one_line_is_the_policy() {
        let line =
            "-u 1337,1338 -b * -d 15090,22 -x 10.0.0.0/8 -c eth+ --redirect-dns --capture-all-dns";
        let context = Context { ipv6: Some(true), ..Context::default() };
        let imported = arguments(&split(line).unwrap(), &context).unwrap();
        let policy = &imported.policies[0];
        let text = on_one_line(policy);
        assert!(!text.contains('\n') && text.starts_with("sidecar istio { "), "{text}");
        let compiled = compile("a.weir", &text, &NoIncludes, &Options::default()).unwrap();
        assert_eq!(on_one_line(&compiled.policies[0]), text);
    }
}
