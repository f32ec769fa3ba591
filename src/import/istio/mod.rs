//! Istio's configuration, to policies that say the same.
//!
//! ```text
//!  arguments, environment ─┐
//!  istio-init of a pod ────┼─► options ──► Sidecar
//!  annotations of a pod ───┤
//!  configuration ──────────┤
//!                          └─► ambient ──► AmbientPod, AmbientHost
//! ```
//!
//! The same is what upstream's iptables rules do (istio 1.29 to 1.31, 86c9f01f). What a policy cannot
//! say, or upstream refuses, is a [`Mistake`]; what has no effect, or says nothing about traffic,
//! is left out with a [`Note`]. Nothing is dropped in silence.
//!
//! ```
//! use netweir::import::istio::{self, Context};
//!
//! let words = istio::split("istio-iptables -p 15001 -z 15006 -u 1337 -i * -b * -d 15020").unwrap();
//! // Whether there is IPv6 is not in the arguments.
//! let context = Context { ipv6: Some(true), ..Context::default() };
//! let imported = istio::arguments(&words, &context).unwrap();
//! assert_eq!(imported.policies[0].name.as_str(), "istio");
//! assert_eq!(imported.notes.len(), 0);
//! ```

mod ambient;
#[cfg(feature = "import-pod")]
mod annotation;
mod arguments;
mod config;
#[cfg(feature = "import-pod")]
mod enrolment;
mod environment;
mod finding;
#[cfg(feature = "import-pod")]
mod mesh;
mod option;
mod origin;
#[cfg(feature = "import-pod")]
mod pod;
#[cfg(feature = "import-pod")]
mod release;
mod resolver;
mod run;
mod sidecar;
mod value;
#[cfg(feature = "import-pod")]
mod vocabulary;

pub use config::configurations;
pub use finding::{Imported, Mistake, Note, Reason, Refused, Remark};
#[cfg(feature = "import-pod")]
pub use pod::{manifests, pods};
pub use run::{Log, Rules, Run, Validation};

use finding::Report;
use option::Options;

use super::GeneralRemark;
use super::environment::Environment;
use super::importer::{Extra, Form, Importer};
pub use super::{Context, split};
use super::{GeneralReason, keep_notes, told, told_arguments};

/// What the command calls this import, and policies that have no other name.
const NAME: &str = "istio";

/// The releases whose rules a policy has.
const RULES: &str = "Istio 1.29 to 1.31 (istio 86c9f01f)";

/// Istio, among the imports.
pub(super) const IMPORTER: Importer = Importer {
    name: NAME,
    about: "Turn Istio's configuration into a policy that says the same",
    mesh: "Istio",
    rules: "Istio's iptables rules",
    release: RULES,
    marks: &["istio.io", "istio-"],
    examples: &[
        r#"weir import istio --args "-p 15001 -z 15006 -u 1337 -i '*' -b '*' -d 15090,15021,15020""#,
        "kubectl get pod reviews -o yaml | weir import istio --pod -",
        "weir import istio --pod deployment.yaml --ipv6 off -o reviews.weir",
    ],
    forms: &[
        Form::arguments(
            "Arguments of istio-iptables, in a single string that is split as a shell would split it",
            &[Extra::Environment, Extra::Users, Extra::Groups, Extra::Ipv6, Extra::ResolvConf],
            |text, context| told_arguments(text, context, arguments),
        ),
        #[cfg(feature = "import-pod")]
        Form::pod(
            &[Extra::MeshConfig, Extra::Users, Extra::Groups, Extra::Ipv6, Extra::ResolvConf],
            |sources, context| told(manifests(sources, context)),
        ),
        Form::config(
            "Istio's own configuration in JSON, one object or several; `-` is standard input",
            &[Extra::Groups],
            |text, context| told(configurations(text, context)),
        ),
    ],
    extras: &[
        (
            Extra::Environment,
            "Environment for --args: lines of `NAME=value`, as a shell reads them",
        ),
        #[cfg(feature = "import-pod")]
        (
            Extra::MeshConfig,
            "The mesh's own configuration in YAML or JSON: Helm values, an IstioOperator, a MeshConfig, \
             or the ConfigMaps of istiod and of the CNI agent; it may also be among the manifests",
        ),
        (
            Extra::Users,
            "User file (the form of /etc/passwd) of the machine where the rules are made: without `-u`, \
             Istio looks up the user `istio-proxy` there",
        ),
        (
            Extra::Groups,
            "Group file (the form of /etc/group) that resolves group names; the policy has the \
             numbers",
        ),
        (
            Extra::Ipv6,
            "Whether IPv6 is captured, in place of the workload's addresses, which Istio would look at",
        ),
        (
            Extra::ResolvConf,
            "The workload's /etc/resolv.conf, which Istio would read for DNS servers",
        ),
    ],
};

/// The sidecar that `istio-iptables` would set up with `arguments`, under the variables of
/// `context`.
///
/// A flag wins over its variable. The command itself may stand before the arguments.
///
/// # Errors
///
/// Everything that upstream refuses, or that a policy cannot say.
pub fn arguments(arguments: &[String], context: &Context) -> Result<Imported, Refused> {
    let (_, imported) = read(arguments, context, true);
    imported
}

/// A run of `istio-iptables`, as its command line and its variables ask for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommandLine {
    /// What is done.
    pub run: Run,
    /// Which rules, or why there are none. What only says how they are applied is in
    /// [`run`](Self::run), and no note here.
    pub imported: Result<Imported, Refused>,
}

/// What `istio-iptables` is asked to do with `arguments`, under the variables of `context`, for those who
/// do it in its place: whoever is not among the users of `context` is not there.
#[must_use]
pub fn command_line(arguments: &[String], context: &Context) -> CommandLine {
    let (run, mut imported) = read(arguments, context, false);
    let carried = [Remark::General(GeneralRemark::NotTraffic), Remark::NativeNftables];
    keep_notes(&mut imported, |note| !carried.contains(&note.what));
    CommandLine { run, imported }
}

/// What the command line comes to. Where it `is_imported`, it stands for itself: a user that nobody knows is
/// asked for, and words of which none is an option are a mistake.
fn read(
    arguments: &[String],
    context: &Context,
    is_imported: bool,
) -> (Run, Result<Imported, Refused>) {
    let mut report = Report::default();
    let environment = super::environment::parse(&context.environment, &mut report);
    let (mut options, log) = command(arguments, &environment, context, is_imported, &mut report);
    if is_imported && !options.is_any_given() && report.mistakes.is_empty() {
        report.fail(if arguments.is_empty() && environment.is_empty() {
            GeneralReason::Nothing
        } else {
            GeneralReason::NotUnderstood {
                hint: "`-b '*' -i '*'` are arguments of `istio-iptables`",
            }
        });
    }
    resolver::families(&mut options, &context.addresses, context, &mut report);
    resolver::servers(&mut options, None, context, &mut report);
    let run = run::run(&options, log, &mut report);
    let sidecar = sidecar::sidecar(&options, &context.groups, &mut report);
    (run, report.finish_one(NAME, sidecar, context))
}

/// The options of one run of `istio-iptables`, as far as its command line and environment say, and what
/// its log looks like.
fn command(
    arguments: &[String],
    environment: &Environment,
    context: &Context,
    is_imported: bool,
    report: &mut Report,
) -> (Options, Log) {
    let (mut options, mut log) = (Options::new(), Log::default());
    environment::read(environment, &mut options, report);
    arguments::read(arguments, &mut options, &mut log, report);
    resolver::user(&mut options, environment, context, is_imported, report);
    (options, log)
}
