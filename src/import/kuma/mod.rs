//! Kuma's configuration, to policies that say the same.
//!
//! ```text
//!  arguments of kumactl ────────────┐
//!  configuration file, environment ─┼─► options ─► Kuma
//!  annotations of a pod ────────────┘
//! ```
//!
//! The same is what Kuma's iptables rules do (348b6528 of 2026-08-21). What a policy cannot say, or
//! Kuma refuses, is a [`Mistake`]; what has no effect, or says nothing about traffic, is left out
//! with a [`Note`]. Nothing is dropped in silence.
//!
//! ```
//! use netweir::import::kuma::{self, Context};
//!
//! let words = netweir::import::split("--exclude-inbound-ports 22,9901").unwrap();
//! let context = Context { ipv6: Some(true), ..Context::default() };
//! let imported = kuma::arguments(&words, &context).unwrap();
//! assert_eq!(imported.policies[0].name.as_str(), "kuma");
//! assert!(imported.notes.is_empty());
//! ```

mod config;
mod finding;
mod option;
#[cfg(feature = "import-pod")]
mod pod;
mod proxy;
mod value;

pub use config::configurations;
pub use finding::{Imported, Mistake, Note, Reason, Refused, Remark};
#[cfg(feature = "import-pod")]
pub use pod::{manifests, pods};

use finding::Report;
use option::Options;
use proxy::Host;

pub use super::Context;
use super::importer::{Extra, Form, Importer};
use super::{told, told_arguments};

/// What the command calls this import, and policies that have no other name.
const NAME: &str = "kuma";

/// Kuma, among the imports.
pub(super) const IMPORTER: Importer = Importer {
    name: NAME,
    about: "Turn Kuma's configuration into a policy that says the same",
    mesh: "Kuma",
    rules: "Kuma's iptables rules",
    release: "Kuma 348b6528",
    marks: &["kuma.io", "kuma-init"],
    examples: &[
        r#"weir import kuma --args "--kuma-dp-user 5678 --exclude-inbound-ports 22""#,
        "weir import kuma --config transparent-proxy.yaml --resolv-conf /etc/resolv.conf",
        "kubectl get pod demo -o yaml | weir import kuma --pod -",
    ],
    forms: &[
        Form::arguments(
            "Arguments of `kumactl install transparent-proxy`, in one text that is split as \
             a shell splits it",
            &[Extra::Users, Extra::Ipv6, Extra::ResolvConf],
            |text, context| told_arguments(text, context, arguments),
        ),
        #[cfg(feature = "import-pod")]
        Form::pod(&[Extra::Users, Extra::Ipv6, Extra::ResolvConf], |sources, context| {
            told(manifests(sources, context))
        }),
        Form::config(
            "Kuma's configuration file in YAML or JSON, or several objects in JSON; `-` is \
             standard input",
            &[Extra::Environment, Extra::Users, Extra::Ipv6, Extra::ResolvConf],
            |text, context| told(configurations(text, context)),
        ),
    ],
    extras: &[
        (
            Extra::Environment,
            "Environment beside --config: lines of `NAME=value`, as a shell reads them",
        ),
        (
            Extra::Users,
            "User file (the form of /etc/passwd) that resolves the proxy's user name; the policy \
             has the number",
        ),
        (Extra::Ipv6, "Whether the host has an IPv6 address, without which Kuma leaves IPv6 alone"),
        (Extra::ResolvConf, "The host's /etc/resolv.conf, whose DNS servers Kuma captures"),
    ],
};

/// The policy that `kumactl install transparent-proxy` would set up with `arguments`. The command
/// itself may stand before them.
///
/// Variables are not read, as kumactl reads none without a configuration file.
///
/// # Errors
///
/// Everything that Kuma refuses, or that a policy cannot say.
pub fn arguments(arguments: &[String], context: &Context) -> Result<Imported, Refused> {
    let mut report = Report::default();
    let environment = super::environment::parse(&context.environment, &mut report);
    option::note_unread(&environment, &mut report);
    let mut options = Options::default();
    options.read_arguments(arguments, false, &mut report);
    let kuma = proxy::kuma(&options, &host(context), &context.users, &mut report);
    report.finish_one(NAME, kuma, context)
}

/// What the caller knows of the host.
fn host(context: &Context) -> Host {
    Host {
        ipv6: context.ipv6,
        servers: context.resolv_conf.as_deref().map(value::name_servers),
        docker_output: None,
    }
}
