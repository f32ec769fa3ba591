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
//! The same is what upstream's iptables rules do (istio 1.29, 86c9f01f). What a policy cannot
//! say, or upstream refuses, is a [`Mistake`]; what has no effect, or says nothing about traffic,
//! is left out with a [`Note`]. Nothing is dropped in silence.
//!
//! ```
//! use netweir::import::istio::{self, Context};
//!
//! let words = istio::split("istio-iptables -p 15001 -z 15006 -u 1337 -i * -b * -d 15020").unwrap();
//! let imported = istio::arguments(&words, &Context::default()).unwrap();
//! assert_eq!(imported.policies[0].name.as_str(), "istio");
//! assert_eq!(imported.notes.len(), 1); // whether there is IPv6 is not in the arguments
//! ```

mod ambient;
#[cfg(feature = "import-pod")]
mod annotation;
mod arguments;
mod config;
mod environment;
mod finding;
mod option;
#[cfg(feature = "import-pod")]
mod pod;
mod resolver;
mod run;
mod sidecar;
mod value;

pub use config::configurations;
pub use finding::{Imported, Mistake, Note, Reason, Refused, Remark};
#[cfg(feature = "import-pod")]
pub use pod::pods;
pub use run::{Log, Rules, Run, Validation};

use finding::Report;
use option::Options;

use super::GeneralRemark;
use super::environment::Environment;
use super::importer::{Extra, Form, Importer};
pub use super::{Context, split};
use super::{keep_notes, told, told_arguments};
use crate::policy::GroupIds;

/// What the command calls this import, and policies that have no other name.
const NAME: &str = "istio";

/// Istio, among the imports.
pub(super) const IMPORTER: Importer = Importer {
    name: NAME,
    about: "Turn Istio's configuration into a policy that says the same",
    mesh: "Istio",
    rules: "Istio's iptables rules",
    examples: &[
        r#"weir import istio --args "-p 15001 -z 15006 -u 1337 -i '*' -b '*' -d 15090,15021,15020""#,
        "kubectl get pod reviews -o yaml | weir import istio --pod -",
        "weir import istio --pod deployment.yaml --ipv6 off -o reviews.weir",
    ],
    forms: &[
        Form::arguments(
            "Arguments of istio-iptables, in one text that is split as a shell splits it",
            &[Extra::Environment, Extra::Users, Extra::Groups, Extra::Ipv6, Extra::ResolvConf],
            |text, context| told_arguments(text, context, arguments),
        ),
        #[cfg(feature = "import-pod")]
        Form::pod(&[Extra::Groups, Extra::Ipv6, Extra::ResolvConf], |text, context| {
            told(pods(text, context))
        }),
        Form::config(
            "Istio's own configuration in JSON, one object or several; `-` is standard input",
            &[Extra::Groups],
            |text, context| told(configurations(text, context)),
        ),
    ],
    extras: &[
        (
            Extra::Environment,
            "Environment beside --args: lines of `NAME=value`, as a shell reads them",
        ),
        (
            Extra::Users,
            "User file (the form of /etc/passwd), where Istio would look the proxy's user up; the policy \
             has the number",
        ),
        (
            Extra::Groups,
            "Group file (the form of /etc/group) that resolves group names; the policy has the \
             numbers",
        ),
        (
            Extra::Ipv6,
            "Whether IPv6 is captured, where Istio would look at the workload's addresses",
        ),
        (
            Extra::ResolvConf,
            "The workload's /etc/resolv.conf, where Istio would read it for DNS servers",
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
    read(arguments, context).1
}

/// A run of `istio-iptables`, as its command line and its variables ask for it.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// What is done.
    pub run: Run,
    /// Which rules, or why there are none. What only says how they are applied is in
    /// [`run`](Self::run), and no note here.
    pub imported: Result<Imported, Refused>,
}

/// What `istio-iptables` is asked to do with `arguments`, under the variables of `context`, for those who
/// do it in its place.
#[must_use]
pub fn command_line(arguments: &[String], context: &Context) -> CommandLine {
    let (run, mut imported) = read(arguments, context);
    let carried = [Remark::General(GeneralRemark::NotTraffic), Remark::NativeNftables];
    keep_notes(&mut imported, |note| !carried.contains(&note.what));
    CommandLine { run, imported }
}

fn read(arguments: &[String], context: &Context) -> (Run, Result<Imported, Refused>) {
    let mut report = Report::default();
    let environment = super::environment::parse(&context.environment, &mut report);
    let (mut options, log) = command(arguments, &environment, &context.users, &mut report);
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
    users: &GroupIds,
    report: &mut Report,
) -> (Options, Log) {
    let (mut options, mut log) = (Options::new(), Log::default());
    environment::read(environment, &mut options, report);
    arguments::read(arguments, &mut options, &mut log, report);
    environment::look_user_up(environment, users, &mut options, report);
    (options, log)
}
