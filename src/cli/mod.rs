//! The command: files, terminals, exit codes, and no logic that a library user would need.

mod apply;
mod change;
mod check;
mod compile;
mod deny;
mod diff;
mod differences;
mod doctor;
mod drop_in;
mod explain;
mod explain_code;
mod files;
mod fix;
mod format;
mod forms;
mod golden;
mod graph;
mod import;
mod import_rules;
mod input;
mod kubectl;
mod lint;
mod loaded;
mod numbers;
mod output;
mod packed;
mod page;
mod place;
mod pod_address;
mod project;
mod question;
mod refusal;
mod remove;
mod replace;
mod report;
mod rules;
#[cfg(test)]
mod schema;
mod show;
mod subject;
mod table;
mod test;
mod usage;
mod verify;

use std::env;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use files::Bad;
use refusal::Refusal;
use report::Messages;

/// How a command ended, if it could run at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The policy is good, and everything that was asked for is written.
    Good,
    /// The policy is wrong, and diagnostics say why; or what was compared differs.
    Bad,
    /// What was compared is equal as far as known.
    Unknown,
}

/// Compiles interception policies to Linux packet-filter rules.
///
/// A policy says which traffic of a network namespace goes through a service-mesh proxy. weir
/// compiles it to an nft script or to libnftables JSON that means, for every packet, what Istio's
/// iptables rules mean.
#[derive(Parser)]
#[command(
    name = "weir",
    version,
    long_version = import::VERSION.as_str(),
    max_term_width = 100,
    after_help = EXAMPLES,
    after_long_help = LONG_EXAMPLES,
)]
struct Weir {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    messages: Messages,
    /// Name for standard input, if it is given as `-`: messages use it, and includes are relative to it.
    #[arg(long, global = true, value_name = "PATH", help_heading = "Global options")]
    stdin_name: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  weir compile policy.weir                      the nft script, on standard output
  weir compile policy.weir -o f && nft -f f     load it
  weir apply policy.weir                        load it, with its routing, and prove what is there
  weir check policy.weir                        only say what is wrong
  weir explain-code E301                        what a code means
  weir import istio --pod pod.yaml              a policy from what Istio has
  weir doctor deployment.yaml                   what is wrong with a manifest for a mesh
  weir istio-iptables -u 1337 -b '*' -i '*'     replace Istio's init container
  weir explain policy.weir 'outbound tcp to 10.96.0.1:443'
                                                what happens to a packet, and why
  weir verify policy.weir --live                whether the loaded rules are the policy's
  weir diff old.weir new.weir                   which traffic changes
  weir graph policy.weir                        what packets meet, drawn
  weir table policy.weir                        which traffic is captured, in a table
  weir golden policies                          whether committed outputs are current
  weir lint policies                            what is probably not intended
  weir test policies                            whether policies meet their expectations

Exit status: 0 good or equal, 1 the policy is wrong or differs, 2 bad usage or I/O; for others, see
the command's --help.";

const LONG_EXAMPLES: &str = "\
Examples:
  Compile a policy and load it, in one transaction that replaces the previous version:
    weir compile policy.weir -o policy.nft && nft -f policy.nft

  The same as a pipe, which fails if weir refuses the policy: it writes a line that nothing loads.
  If weir is missing or killed, there is no such line, so the shell needs pipefail, too:
    set -o pipefail; weir compile policy.weir | nft -f -

  Load it with its routing, and prove what the kernel holds, or leave everything as it was:
    weir apply policy.weir
    weir apply policy.weir --netns 4711 --confirm 30s
    weir remove policy.weir

  The same ruleset as libnftables JSON, for a program:
    weir compile --emit json policy.weir -o policy.json

  One rule for each item of a list, to compare with upstream line by line:
    weir compile --layout upstream policy.weir

  The routing rules that TPROXY and IPv6 need, and a script that removes everything again:
    weir compile --emit routing policy.weir | sh
    weir compile --emit teardown policy.weir | sh

  Two policies for one namespace, in one transaction:
    weir compile --policy node --policy gateway policies.weir

  Update the set of pods that an ambient-host policy is about:
    weir pod-address add node.weir 10.0.1.2 fd00:1::2 | nft -f -

  Check whether committed outputs match their policies, and which traffic changes:
    weir golden policies
    weir golden --bless policies

  Find what is probably not intended, and make that a failure:
    weir lint --deny warnings policies

  Check whether policies meet their expectations, and which changes these would not notice:
    weir test --coverage --mutants policies

  Get the policy that says what Istio does to a pod:
    kubectl get pod reviews -o yaml | weir import istio --pod - -o reviews.weir

  Find what is wrong with manifests for a mesh, or has no effect; in files, or in a namespace:
    weir doctor deployment.yaml namespace.yaml --mesh-config values.yaml
    kubectl weir doctor -n shop

  Set up a pod in place of Istio's init container, with its arguments, log and exit status:
    weir istio-iptables -p 15001 -z 15006 -u 1337 -m REDIRECT -i '*' -b '*' -d 15090,15021,15020

  The same ruleset for iptables, replacing any loaded version; or where none is loaded:
    weir compile --emit iptables-script policy.weir -o load.sh && sh load.sh
    weir compile --emit iptables policy.weir | iptables-restore --noflush
    weir compile --emit ip6tables policy.weir | ip6tables-restore --noflush

  Ask what happens to a packet, and which clause decides:
    weir explain policy.weir 'outbound tcp to 10.96.0.1:443 user 1000'

  Check whether rules treat every packet as the policy says:
    weir verify policy.weir --iptables v4.txt --ip6tables v6.txt
    weir verify policy.weir --live

  Draw what a packet meets; or, for a document, the path of one packet:
    weir graph policy.weir
    weir graph policy.weir --packet 'outbound tcp to 10.96.0.1:443' --format svg -o way.svg

  List what happens to which destinations and ports, by a policy or by the loaded rules:
    weir table policy.weir
    nft list ruleset | weir table -

  Find which traffic is newly captured, no longer captured, or captured elsewhere:
    weir diff old.weir new.weir

  Check the format of policies, and fix what can only mean one thing:
    weir format --check policies
    weir check --fix policy.weir

  Report findings to a code host or a CI system:
    weir golden policies --message-format sarif --report weir.sarif
    weir golden policies --message-format junit --report weir.xml

  Compile a policy from standard input:
    echo 'sidecar s {}' | weir compile -

Diagnostics go to standard error, and standard output has nothing but the product. If compile,
pod-address or import fails, and standard output is not a terminal, it gets one line that makes
whatever loads it fail.
Exit status: 0 good or equal, 1 the policy is wrong or differs, 2 bad usage or I/O; for others, see
the command's --help.";

#[derive(Subcommand)]
enum Command {
    Compile(compile::Compile),
    Check(check::Check),
    Show(show::Show),
    Explain(explain::Explain),
    Verify(verify::Verify),
    Diff(diff::Diff),
    #[command(visible_alias = "fmt")]
    Format(format::Format),
    Golden(golden::Golden),
    Graph(graph::Graph),
    Lint(lint::Lint),
    Table(table::TableOf),
    Test(test::Test),
    Import(import::Import),
    Doctor(doctor::Doctor),
    Apply(apply::Apply),
    Remove(remove::Remove),
    /// Wait for a change to be confirmed, and put back what was there if it is not
    #[command(name = apply::GUARD, hide = true)]
    Guard,
    PodAddress(pod_address::PodAddress),
    IstioIptables(drop_in::IstioIptables),
    #[command(name = "linkerd2-proxy-init")]
    ProxyInit(drop_in::ProxyInit),
    Kumactl(drop_in::Kumactl),
    ExplainCode(explain_code::ExplainCode),
    Completions(Completions),
    Man(Man),
    /// Print the version, and the versions of the meshes whose rules weir has
    Version,
}

/// Print a completion script for a shell
///
/// For example: weir completions bash > /usr/share/bash-completion/completions/weir
#[derive(Args)]
struct Completions {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Print the manual page
///
/// For example: weir man | man -l -
#[derive(Args)]
struct Man {
    /// The command to describe, followed by its subcommand: `man import istio`. Without one, weir itself.
    #[arg(value_name = "COMMAND")]
    commands: Vec<String>,
}

impl Completions {
    fn run(&self) -> io::Result<Outcome> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Weir::command(), "weir", &mut script);
        output::print(&script)
    }
}

impl Man {
    fn run(&self) -> io::Result<Outcome> {
        let mut page = Weir::command();
        page.build();
        let mut title = "weir".to_owned();
        for name in &self.commands {
            let Some(command) = page.find_subcommand(name) else {
                let commands: Vec<_> = page
                    .get_subcommands()
                    .filter(|command| !command.is_hide_set() && command.get_name() != "help")
                    .map(|command| format!("`{}`", command.get_name()))
                    .collect();
                let known = match &commands[..] {
                    [] => format!("`{}` has none", title.replace('-', " ")),
                    commands => format!("there are {}", commands.join(", ")),
                };
                return Err(io::Error::other(format!("there is no command `{name}`; {known}")));
            };
            title = format!("{title}-{}", command.get_name());
            page = command.clone();
        }
        let page = page.display_name(title).version(env!("CARGO_PKG_VERSION"));
        let mut text = Vec::new();
        let source = concat!("weir ", env!("CARGO_PKG_VERSION"));
        clap_mangen::Man::new(page).source(source).render(&mut text)?;
        output::print(&text)
    }
}

/// Runs the command that the arguments name.
///
/// Exit status: 0 good or equal, 1 the policy is wrong or differs, 2 bad usage or I/O, 3 equal as far as
/// known, 10 to 17 a step of a change that failed. A command whose product is loaded or piped on leaves [`REFUSAL`](crate::diag::REFUSAL) on standard
/// output for every other end than success.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::from(run(&env::args_os().collect::<Vec<_>>()))
}

/// The same for any arguments, of which the first is what the command is called; its exit status.
#[must_use]
pub fn run(arguments: &[OsString]) -> u8 {
    // Their arguments are not clap's.
    if let Some(status) = drop_in::run(arguments.iter().cloned()) {
        return status;
    }
    let own = || arguments.iter().skip(1);
    let refusal = Refusal::of(&Weir::command(), own().cloned());
    refusal.write_on_panic();
    let status = match Weir::try_parse_from(arguments) {
        Ok(weir) => weir.run(),
        Err(error) => {
            // Nobody may be reading; the exit status says it all the same.
            let _ = error.print();
            let words = own().map(|argument| argument.to_string_lossy().into_owned());
            if let Some(tip) = usage::tip(words) {
                eprintln!("\n{tip}");
            }
            u8::try_from(error.exit_code()).unwrap_or(2)
        }
    };
    if status != 0 {
        refusal.write();
    }
    status
}

impl Weir {
    /// Its exit status.
    fn run(self) -> u8 {
        let Self { command, messages, stdin_name } = self;
        files::name_standard_input(stdin_name);
        let name = command.name();
        if let Err(error) = messages.spare_arguments() {
            messages.unfinished(&error);
            return 2;
        }
        let ended = match command {
            Command::Compile(compile) => compile.run(&messages),
            Command::Check(check) => check.run(&messages),
            Command::Show(show) => show.run(&messages),
            Command::Explain(explain) => explain.run(&messages),
            Command::Verify(verify) => verify.run(&messages),
            Command::Diff(diff) => diff.run(&messages),
            Command::Format(format) => format.run(&messages),
            Command::Golden(golden) => golden.run(&messages),
            Command::Graph(graph) => graph.run(&messages),
            Command::Lint(lint) => lint.run(&messages),
            Command::Table(table) => table.run(&messages),
            Command::Test(test) => test.run(&messages),
            Command::Import(import) => import.run(&messages),
            Command::Doctor(doctor) => doctor.run(&messages),
            Command::Apply(apply) => apply.run(&messages),
            Command::Remove(remove) => remove.run(&messages),
            Command::Guard => apply::wait(),
            Command::PodAddress(change) => change.run(&messages),
            // Theirs are the exit statuses of others.
            Command::IstioIptables(tool) => return tool.run(),
            Command::ProxyInit(tool) => return tool.run(),
            Command::Kumactl(tool) => return tool.run(),
            Command::ExplainCode(explain) => explain.run(),
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(),
            Command::Version => output::print(format!("weir {}\n", *import::VERSION).as_bytes()),
        };
        let mut status = match &ended {
            Ok(Outcome::Good) => 0,
            Ok(Outcome::Bad) => 1,
            Ok(Outcome::Unknown) => 3,
            Err(error) => {
                let is = error.get_ref();
                if let Some(Bad(failure)) = is.and_then(|it| it.downcast_ref()) {
                    messages.report(&failure.sources, &failure.diagnostics);
                    1
                } else {
                    messages.failure(error);
                    is.and_then(change::status).unwrap_or(2)
                }
            }
        };
        if let Err(error) = messages.finish(name) {
            messages.unfinished(&error);
            status = 2;
        }
        status
    }
}

impl Command {
    /// What it is called.
    const fn name(&self) -> &'static str {
        match self {
            Self::Compile(_) => "compile",
            Self::Check(_) => "check",
            Self::Show(_) => "show",
            Self::Explain(_) => "explain",
            Self::Verify(_) => "verify",
            Self::Diff(_) => "diff",
            Self::Format(_) => "format",
            Self::Golden(_) => "golden",
            Self::Graph(_) => "graph",
            Self::Lint(_) => "lint",
            Self::Table(_) => "table",
            Self::Test(_) => "test",
            Self::Import(_) => "import",
            Self::Doctor(_) => "doctor",
            Self::Apply(_) => "apply",
            Self::Remove(_) => "remove",
            Self::Guard => apply::GUARD,
            Self::PodAddress(_) => "pod-address",
            Self::IstioIptables(_) => "istio-iptables",
            Self::ProxyInit(_) => "linkerd2-proxy-init",
            Self::Kumactl(_) => "kumactl",
            Self::ExplainCode(_) => "explain-code",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
            Self::Version => "version",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Weir::command().debug_assert();
    }
}
