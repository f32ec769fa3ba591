//! Linkerd's configuration, to policies that say the same.
//!
//! ```text
//!  arguments, linkerd-init of a pod ──┐
//!  annotations of a pod ──────────────┼─► options ──► Linkerd
//!  configuration: flags, or CNI's ────┘
//! ```
//!
//! The same is what the rules of proxy-init and of the CNI plugin do (linkerd2-proxy-init 183e791 of
//! 2026-07-23). What a policy cannot say, or Linkerd refuses, is a [`Mistake`]; what has no effect,
//! or says nothing about traffic, is left out with a [`Note`].
//!
//! ```
//! use netweir::import::{Context, linkerd, split};
//!
//! let words = split("linkerd-init -p 4143 -o 4140 -u 2102 --ipv6=false").unwrap();
//! let imported = linkerd::arguments(&words, &Context::default()).unwrap();
//! assert_eq!(imported.policies[0].name.as_str(), "linkerd");
//! ```

mod config;
mod finding;
mod meaning;
mod option;
#[cfg(feature = "import-pod")]
mod pod;
mod run;

pub use config::configurations;
pub use finding::{Imported, Mistake, Note, Reason, Refused, Remark};
#[cfg(feature = "import-pod")]
pub use pod::{manifests, pods};
pub use run::Run;

use finding::Report;
use option::{OPTIONS, Opt, Options, Takes};

use super::flags::{self, Flag};
#[cfg(feature = "import-pod")]
use super::importer::Extra;
use super::importer::{Form, Importer};
use super::{Context, GeneralRemark, keep_notes, told_arguments};

/// What the command calls this import, and policies that have no other name.
const NAME: &str = "linkerd";

/// Linkerd, among the imports.
pub(super) const IMPORTER: Importer = Importer {
    name: NAME,
    about: "Turn Linkerd's configuration into a policy that says the same",
    mesh: "Linkerd",
    rules: "the rules of Linkerd's proxy-init",
    release: "linkerd2-proxy-init 183e791",
    marks: &["linkerd"],
    examples: &[
        r#"weir import linkerd --args "-p 4143 -o 4140 -u 2102 --inbound-ports-to-ignore 4190,4191""#,
        "kubectl get pod web -o yaml | weir import linkerd --pod -",
        "weir import linkerd --config /etc/cni/net.d/01-linkerd-cni.conf -o pods.weir",
    ],
    forms: &[
        Form::arguments(
            "Arguments of linkerd-init, in a single string that is split as a shell would split it",
            &[],
            |text, context| told_arguments(text, context, arguments),
        ),
        #[cfg(feature = "import-pod")]
        Form::pod(&[Extra::Ipv6], |sources, context| super::told(manifests(sources, context))),
        Form::config(
            "Flags by name, or the CNI plugin's configuration, in JSON, one object or \
             several; `-` is standard input",
            &[],
            |text, context| super::told(configurations(text, context)),
        ),
    ],
    extras: &[
        #[cfg(feature = "import-pod")]
        (Extra::Ipv6, "Whether IPv6 is captured, as the chart's `disableIPv6` would decide"),
    ],
};

/// The policy that `linkerd-init` would set up with `arguments`. The command itself may stand
/// before them.
///
/// # Errors
///
/// Everything that Linkerd refuses, or that a policy cannot say.
pub fn arguments(arguments: &[String], context: &Context) -> Result<Imported, Refused> {
    read(arguments, context).1
}

/// A run of `linkerd-init`, as its command line asks for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommandLine {
    /// What is done.
    pub run: Run,
    /// Which rules, or why there are none. What only says how they are applied is in
    /// [`run`](Self::run), and no note here.
    pub imported: Result<Imported, Refused>,
}

/// What `linkerd-init` is asked to do with `arguments`, for those who do it in its place.
#[must_use]
pub fn command_line(arguments: &[String], context: &Context) -> CommandLine {
    let (run, mut imported) = read(arguments, context);
    let carried =
        [Remark::General(GeneralRemark::NotTraffic), Remark::Simulated, Remark::KernelSetting];
    keep_notes(&mut imported, |note| !carried.contains(&note.what));
    CommandLine { run, imported }
}

fn read(arguments: &[String], context: &Context) -> (Run, Result<Imported, Refused>) {
    let mut report = Report::default();
    let options = command(arguments, &mut report);
    let linkerd = meaning::linkerd(&options, &mut report);
    (run::run(&options), report.finish_one(NAME, linkerd, context))
}

/// What a command line says.
fn command(arguments: &[String], report: &mut Report) -> Options {
    let flags: Vec<Flag<Opt>> = OPTIONS
        .iter()
        .map(|spec| Flag {
            long: spec.name,
            short: spec.short,
            is_switch: spec.takes == Takes::Switch,
            sets: spec.option,
        })
        .collect();
    let mut options = Options::default();
    let command = ["proxy-init", "linkerd2-proxy-init", "linkerd-init"];
    flags::read(arguments, &command, &flags, report, |option, given, report| {
        options.read(*option, given, report);
    });
    options
}
