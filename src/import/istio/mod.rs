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
//! let imported = istio::arguments(&words, "", &Context::default()).unwrap();
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
#[cfg(feature = "import-pod")]
mod manifest;
mod naming;
mod option;
#[cfg(feature = "import-pod")]
mod pod;
mod resolver;
mod shell;
mod sidecar;
mod value;

pub use config::configurations;
pub use finding::{Mistake, NoRules, Note, Reason, Remark};
#[cfg(feature = "import-pod")]
pub use pod::pods;

use environment::Environment;
use finding::Report;
use naming::Names;
use option::Options;

use crate::net::Name;
use crate::policy::{GroupIds, Kind, Policy};

/// What the input does not say.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// What to call the policy. Without one, it is called after the pod or the configuration, and
    /// otherwise `istio`; several policies get numbers behind a name they share.
    pub name: Option<Name>,
    /// Numbers of the groups that are given by name.
    pub groups: GroupIds,
    /// Whether IPv6 is captured, where upstream would look at the workload's addresses.
    pub ipv6: Option<bool>,
    /// The text of the workload's `/etc/resolv.conf`, where upstream would read it.
    pub resolv_conf: Option<String>,
}

/// What was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The policies, in the order of the input. No two have the same name.
    pub policies: Vec<Policy>,
    /// What they do not carry over, and why.
    pub notes: Vec<Note>,
}

/// Why nothing was imported: everything that is wrong with the input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Refused {
    /// What is wrong. Never empty.
    pub mistakes: Vec<Mistake>,
    /// What there is to know besides.
    pub notes: Vec<Note>,
}

/// The words of a command line, as a shell splits it; nothing is expanded.
///
/// # Errors
///
/// If a quote is not closed, or a backslash is the last character.
pub fn split(text: &str) -> Result<Vec<String>, Refused> {
    let words = shell::split(text).map(|words| words.into_iter().map(|(_, word)| word).collect());
    words.ok_or_else(|| {
        let mut report = Report::default();
        report.fail(Reason::OpenQuote);
        Refused { mistakes: report.mistakes, notes: report.notes }
    })
}

/// The sidecar that `istio-iptables` would set up with `arguments`, under the variables that
/// `environment` assigns: lines of `NAME=value`, as a shell reads them.
///
/// A flag wins over its variable. The command itself may stand before the arguments.
///
/// # Errors
///
/// Everything that upstream refuses, or that a policy cannot say.
pub fn arguments(
    arguments: &[String],
    environment: &str,
    context: &Context,
) -> Result<Imported, Refused> {
    let mut report = Report::default();
    let environment = environment::parse(environment, &mut report);
    let mut options = command(arguments, &environment, &mut report);
    resolver::families(&mut options, &[], context, &mut report);
    resolver::servers(&mut options, None, context, &mut report);
    let sidecar = sidecar::sidecar(&options, &context.groups, &mut report);
    let name = Names::default().take(context.name.as_ref(), None, &mut report);
    finish(
        vec![Policy { name, kind: Kind::Sidecar(Box::new(sidecar)), expectations: Vec::new() }],
        report,
    )
}

/// The options of one run of `istio-iptables`, as far as its command line and environment say.
fn command(arguments: &[String], environment: &Environment, report: &mut Report) -> Options {
    let mut options = Options::new();
    environment::read(environment, &mut options, report);
    arguments::read(arguments, &mut options, report);
    environment::note_user(environment, &options, report);
    options
}

/// What was imported, unless something is wrong.
fn finish(policies: Vec<Policy>, report: Report) -> Result<Imported, Refused> {
    let Report { notes, mistakes, .. } = report;
    if mistakes.is_empty() {
        Ok(Imported { policies, notes })
    } else {
        Err(Refused { mistakes, notes })
    }
}
