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
use super::{GeneralReason, GeneralRemark, keep_notes, told, told_arguments};

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
            "Arguments of `kumactl install transparent-proxy`, in a single string that is \
             split as a shell would split it",
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
            "Environment for --config: lines of `NAME=value`, as a shell reads them",
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
    if !arguments.is_empty() && options.is_empty() && report.mistakes.is_empty() {
        let hint = "no word of it is a flag of `kumactl install transparent-proxy`";
        report.fail(GeneralReason::NotUnderstood { hint });
    }
    let kuma = proxy::kuma(&options, &host(context), &context.users, &mut report);
    report.finish_one(NAME, kuma, context)
}

/// A run of `kumactl install transparent-proxy`, as its command line, its configuration and its variables ask
/// for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommandLine {
    /// `--dry-run`: nothing is changed.
    pub dry_run: bool,
    /// Which rules, or why there are none. What only says how they are applied is no note here.
    pub imported: Result<Imported, Refused>,
}

/// What `--config` names in arguments, in order: paths, or `-` for standard input.
#[must_use]
pub fn config_paths(arguments: &[String]) -> Vec<String> {
    option::config_paths(arguments)
}

/// What `kumactl install transparent-proxy` is asked to do with `arguments`, for those who do it in its place.
/// `configs` is what stands in the files that they name, in order; a later one wins over an earlier, variables
/// over both, and flags over all.
#[must_use]
pub fn command_line(arguments: &[String], configs: &[String], context: &Context) -> CommandLine {
    let mut report = Report::default();
    let environment = super::environment::parse(&context.environment, &mut report);
    let mut options = Options::default();
    for text in configs {
        match config::object(text) {
            Ok(config) => options.read_config(&config, &mut report),
            Err(why) => report.fail(why),
        }
    }
    // Without a file Kuma reads no variables.
    if configs.is_empty() {
        option::note_unread(&environment, &mut report);
    } else {
        options.read_environment(&environment, &mut report);
    }
    options.read_arguments(arguments, true, &mut report);
    let dry_run = options.is_on(option::Opt::DryRun, false);
    let kuma = proxy::kuma(&options, &host(context), &context.users, &mut report);
    let mut imported = report.finish_one(NAME, kuma, context);
    let carried = Remark::General(GeneralRemark::NotTraffic);
    // firewalld's own files are nobody's here.
    let is_firewalld = |given: &Option<crate::import::Given>| {
        let option = given.as_ref().map(|given| given.option.to_ascii_lowercase());
        option.is_some_and(|option| option.contains("firewalld"))
    };
    keep_notes(&mut imported, |note| note.what != carried || is_firewalld(&note.given));
    CommandLine { dry_run, imported }
}

/// What the caller knows of the host.
fn host(context: &Context) -> Host {
    Host {
        ipv6: context.ipv6,
        servers: context.resolv_conf.as_deref().map(value::name_servers),
        docker_output: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Context, command_line, config_paths};
    use crate::import::split;

    #[test]
    fn files_variables_and_flags_win_in_this_order() {
        let line = "install transparent-proxy --config /a,/b --config=- --exclude-inbound-ports 22 --dry-run --wait 5";
        let arguments = split(line).unwrap();
        assert_eq!(config_paths(&arguments), ["/a", "/b", "-"]);
        let configs = [
            "redirect: {inbound: {port: 1, excludePorts: [80]}, outbound: {port: 2}}".to_owned(),
            "redirect: {inbound: {port: 3}, dns: {enabled: true, captureAll: true, port: 4}}"
                .to_owned(),
        ];
        let environment = "KUMA_TRANSPARENT_PROXY_REDIRECT_DNS_PORT=5\n".to_owned();
        let context = Context { environment, ipv6: Some(true), ..Context::default() };
        let read = command_line(&arguments, &configs, &context);
        assert!(read.dry_run);
        let imported = read.imported.unwrap();
        let text = crate::policy::print(&imported.policies[0], crate::policy::Detail::Everything);
        for clause in ["inbound-port 3", "outbound-port 2", "exclude port 22", "dns-port 5"] {
            assert!(text.contains(clause), "{clause}: {text}");
        }
        assert!(!text.contains("80"), "{text}");
        let remarks: Vec<_> = imported.notes.iter().map(|note| &note.what).collect();
        assert_eq!(remarks, [&super::Remark::DockerUnknown]);
    }

    #[test]
    fn what_nobody_does_in_its_place_is_noted() {
        let context = Context { ipv6: Some(true), ..Context::default() };
        let read = command_line(&split("--store-firewalld").unwrap(), &[], &context);
        let notes = read.imported.unwrap().notes;
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].to_string().starts_with("`--store-firewalld=true`"), "{}", notes[0]);
    }

    #[test]
    fn a_file_that_is_none_is_a_mistake() {
        let read = command_line(&[], &["- a\n- b".to_owned()], &Context::default());
        assert!(read.imported.is_err());
    }
}
