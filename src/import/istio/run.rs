//! How `istio-iptables` is to run: what its command line and its variables say beside which traffic is
//! captured.

use std::time::Duration;

use super::finding::{Reason, Report};
use super::option::{Opt, Options};
use crate::import::{GeneralReason, GeneralRemark, Given, Level, Source, go};

/// What `istio-iptables` is asked to do (istio 1.29, `tools/istio-iptables/pkg/cmd/root.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// `--dry-run`: nothing is changed.
    pub dry_run: bool,
    /// `--skip-rule-apply`, `--cleanup-only`: what becomes of rules.
    pub rules: Rules,
    /// `--run-validation`: whether and how rules are tried in the end.
    pub validation: Option<Validation>,
    /// `--network-namespace`: the path of the namespace whose rules are meant, if it is another.
    pub network_namespace: Option<String>,
    /// `--force-iptables-binary`: `legacy` or `nft`, if one is asked for.
    pub iptables_binary: Option<String>,
    /// What its log looks like.
    pub log: Log,
}

/// What becomes of rules. What `--reconcile` and `--force-apply` ask for, that old rules go and new ones come
/// whatever is there, is so for whoever replaces rules in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// They are made, in the place of those that are there.
    Made,
    /// They go, and none are made: `--cleanup-only`.
    Removed,
    /// Somebody else makes them: `--skip-rule-apply`.
    LeftAlone,
}

/// How rules are tried: a connection from the passthrough address must come to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Validation {
    /// `--iptables-probe-port`: the port that is connected to. Default: 15002.
    pub port: u16,
    /// `--probe-timeout`: how long it may take. Default: 5 s.
    pub timeout: Duration,
}

/// What the log of an Istio command looks like (`pkg/log/options.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Log {
    /// `--log_as_json`.
    pub as_json: bool,
    /// `--log_output_level`: the least level that is written. Default: [`Level::Info`].
    pub level: Level,
    /// `--log_target`: paths, or `stdout` and `stderr`. Default: `stdout`.
    pub targets: Vec<String>,
}

impl Default for Log {
    fn default() -> Self {
        Self { as_json: false, level: Level::Info, targets: vec!["stdout".to_owned()] }
    }
}

/// A flag about the log.
#[derive(Clone, Copy, Debug)]
pub(super) enum LogFlag {
    AsJson,
    Level,
    Target,
    /// What only changes how much is said of where in upstream's source a line is from.
    Caller,
}

impl Log {
    /// Takes what is given for a flag.
    pub(super) fn set(
        &mut self,
        flag: LogFlag,
        given: &Given,
        is_first: bool,
        report: &mut Report,
    ) {
        match flag {
            LogFlag::AsJson => match go::boolean(&given.value) {
                Some(on) => self.as_json = on,
                None => report.refuse(given, GeneralReason::NotBoolean),
            },
            LogFlag::Level => match level(&given.value, self.level) {
                Some(level) => self.level = level,
                None => report.refuse(given, Reason::NotLogLevel),
            },
            LogFlag::Target => {
                if is_first {
                    self.targets.clear();
                }
                self.targets.push(given.value.clone());
            }
            LogFlag::Caller => {}
        }
        report.note(given, GeneralRemark::NotTraffic);
    }
}

/// The level of `SCOPE:LEVEL,…` for what has no scope of its own, which `default` and `all` mean, or
/// `otherwise`; `None` if it is not of the form.
fn level(text: &str, otherwise: Level) -> Option<Level> {
    let mut found = otherwise;
    for item in text.split(',').filter(|_| !text.is_empty()) {
        let (scope, level) = item.split_once(':').unwrap_or(("default", item));
        let level = match level {
            "none" | "fatal" => Level::Off,
            "error" => Level::Error,
            "warn" => Level::Warn,
            "info" => Level::Info,
            "debug" => Level::Debug,
            _ => return None,
        };
        if matches!(scope, "default" | "all") {
            found = level;
        }
    }
    Some(found)
}

/// What `options` ask for. A number that is none is a mistake on a command line; upstream ignores it in a
/// variable.
pub(super) fn run(options: &Options, log: Log, report: &mut Report) -> Run {
    let text = |option| Some(options.text(option).to_owned()).filter(|text| !text.is_empty());
    let port = options.get(Opt::ProbePort);
    let timeout = options.get(Opt::ProbeTimeout);
    let validation = Validation {
        port: read(port, go::uint16, 15002, Reason::NotProbePort, report),
        timeout: read(timeout, go::duration, Duration::from_secs(5), Reason::NotDuration, report),
    };
    Run {
        dry_run: options.is_on(Opt::DryRun),
        rules: match (options.is_on(Opt::SkipRuleApply), options.is_on(Opt::CleanupOnly)) {
            (true, _) => Rules::LeftAlone,
            (false, true) => Rules::Removed,
            (false, false) => Rules::Made,
        },
        validation: Some(validation).filter(|_| options.is_on(Opt::RunValidation)),
        network_namespace: text(Opt::NetworkNamespace),
        iptables_binary: text(Opt::Binary),
        log,
    }
}

fn read<T>(
    given: &Given,
    read: impl Fn(&str) -> Option<T>,
    default: T,
    reason: Reason,
    report: &mut Report,
) -> T {
    let value = read(&given.value);
    if value.is_none() && given.source == Source::Argument {
        report.refuse(given, reason);
    } else if value.is_none() {
        report.note(given, GeneralRemark::NumberIgnored);
    }
    value.unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{CommandLine, Context, command_line, split};
    use super::{Log, Rules, Validation};
    use crate::import::Level;

    fn read(arguments: &str, environment: &str) -> CommandLine {
        let context =
            Context { environment: environment.to_owned(), ipv6: Some(true), ..Context::default() };
        command_line(&split(arguments).unwrap(), &context)
    }

    #[test]
    fn flags_win_over_variables_and_numbers_over_defaults() {
        let default = Validation { port: 15002, timeout: Duration::from_secs(5) };
        for (arguments, environment, expected) in [
            ("", "", None),
            ("--run-validation", "", Some(default)),
            ("", "RUN_VALIDATION=1", Some(default)),
            ("--run-validation=false", "RUN_VALIDATION=1", None),
            (
                "--iptables-probe-port 0x10 --probe-timeout 1m0.5s",
                "RUN_VALIDATION=t\nPROBE_TIMEOUT=7s",
                Some(Validation { port: 16, timeout: Duration::from_millis(60_500) }),
            ),
            (
                "--run-validation",
                "PROBE_TIMEOUT=soon\nIPTABLES_PROBE_PORT=15010",
                Some(Validation { port: 15010, ..default }),
            ),
        ] {
            let read = read(arguments, environment);
            assert_eq!(read.run.validation, expected, "{arguments} {environment}");
            assert!(read.imported.is_ok(), "{arguments} {environment}");
        }
        for (switches, rules) in [
            ("--reconcile --force-apply --cni-mode", Rules::Made),
            ("--cleanup-only", Rules::Removed),
            ("--skip-rule-apply --cleanup-only", Rules::LeftAlone),
        ] {
            assert_eq!(read(switches, "").run.rules, rules, "{switches}");
        }
        let run = read("-n --network-namespace /run/netns/a --force-iptables-binary nft", "").run;
        assert!(run.dry_run);
        assert_eq!(run.network_namespace.as_deref(), Some("/run/netns/a"));
        assert_eq!(run.iptables_binary.as_deref(), Some("nft"));
    }

    #[test]
    fn the_log_is_as_upstreams() {
        let of = |arguments: &str| read(arguments, "").run.log;
        assert_eq!(of(""), Log::default());
        assert_eq!(of("--log_output_level="), Log::default());
        assert_eq!(of("--log_output_level=default:debug,all:warn,grpc:none").level, Level::Warn);
        assert_eq!(of("--log_output_level fatal").level, Level::Off);
        assert_eq!(of("--log_output_level=ads:debug").level, Level::Info);
        assert!(of("--log_as_json").as_json && !of("--log_as_json=false").as_json);
        assert_eq!(of("--log_target=stderr --log_target /a").targets, ["stderr", "/a"]);
    }

    #[test]
    fn what_the_command_line_cannot_say_is_a_mistake_of_its_own_kind() {
        for (arguments, expected) in [
            (
                "--iptables-probe-port=65536",
                "`--iptables-probe-port=65536`: not a port of 0 to 65535",
            ),
            ("--probe-timeout 5", "`--probe-timeout=5`: not a duration like `5s`"),
            (
                "--log_output_level=loud",
                "`--log_output_level=loud`: the levels are `none`, `fatal`, `error`, `warn`, `info` \
                 and `debug`",
            ),
            ("--log_as_json=2", "`--log_as_json=2`: not a boolean: `true` or `false`"),
            ("--nonsense", "unknown flag `--nonsense`"),
        ] {
            let refused = read(arguments, "").imported.unwrap_err();
            assert_eq!(refused.to_string(), expected);
            assert!(refused.mistakes[0].what.is_of_the_line(), "{arguments}");
        }
        let refused = read("-x '*'", "").imported.unwrap_err();
        assert!(!refused.mistakes[0].what.is_of_the_line());
    }

    #[test]
    fn what_is_carried_out_is_not_said_to_be_left_out() {
        let line = "-n --log_as_json --native-nftables -b 80 -d 22";
        let notes = read(line, "").imported.unwrap().notes;
        let told: Vec<_> = notes.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("`-d 22`: no effect"), "{told:?}");
    }
}
