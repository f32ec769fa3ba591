//! A command line of upstream's tool, to options.

use std::collections::BTreeSet;

use super::finding::Report;
use super::option::{OPTIONS, Opt, Options, Takes};
use super::run::{Log, LogFlag};
use crate::import::flags::{self, Flag};

/// Flags that every Istio command has, about its log (`pkg/log/options.go`).
const LOG_FLAGS: &[(&str, LogFlag)] = &[
    ("log_target", LogFlag::Target),
    ("log_as_json", LogFlag::AsJson),
    ("log_output_level", LogFlag::Level),
    ("log_stacktrace_level", LogFlag::Caller),
    ("log_caller", LogFlag::Caller),
    ("vklog", LogFlag::Caller),
];

/// What a flag sets.
enum Sets {
    Option(Opt),
    Log(LogFlag),
}

/// Every flag of the command.
fn flags() -> Vec<Flag<Sets>> {
    let options = OPTIONS.iter().map(|spec| Flag {
        long: spec.flag,
        short: Some(spec.short).filter(|short| *short != ' '),
        is_switch: spec.takes == Takes::Switch,
        sets: Sets::Option(spec.option),
    });
    let log = LOG_FLAGS.iter().map(|&(long, flag)| Flag {
        long,
        short: None,
        is_switch: matches!(flag, LogFlag::AsJson),
        sets: Sets::Log(flag),
    });
    options.chain(log).collect()
}

/// Reads the arguments of `istio-iptables`, with or without the command before them.
pub(super) fn read(
    arguments: &[String],
    options: &mut Options,
    log: &mut Log,
    report: &mut Report,
) {
    let command = ["pilot-agent", "istio-iptables"];
    let mut seen = BTreeSet::new();
    flags::read(arguments, &command, &flags(), report, |sets, given, report| match sets {
        Sets::Option(option) => options.set(*option, given, report),
        Sets::Log(flag) => {
            let is_first = seen.insert(given.option.clone());
            log.set(*flag, &given, is_first, report);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::finding::Report;
    use super::super::option::{OPTIONS, Options, Takes};
    use super::super::run::Log;
    use super::read;

    /// What `arguments` set, and what is wrong with them.
    fn told(arguments: &[&str]) -> (Vec<String>, Vec<String>, Vec<String>) {
        let arguments: Vec<_> = arguments.iter().map(|&word| word.to_owned()).collect();
        let (mut options, mut report) = (Options::new(), Report::default());
        read(&arguments, &mut options, &mut Log::default(), &mut report);
        let changed = OPTIONS.iter().filter(|spec| options.is_changed(spec.option));
        (
            changed.map(|spec| format!("{}={}", spec.key, options.text(spec.option))).collect(),
            report.notes.iter().map(ToString::to_string).collect(),
            report.mistakes.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn values_are_where_pflag_looks_for_them() {
        for (arguments, expected) in [
            (&["-p", "15021"][..], &["PROXY_PORT=15021"][..]),
            (&["-p15021"], &["PROXY_PORT=15021"]),
            (&["-p=15021"], &["PROXY_PORT=15021"]),
            (&["--envoy-port", "15021"], &["PROXY_PORT=15021"]),
            (&["--envoy-port=15021"], &["PROXY_PORT=15021"]),
            (&["--envoy-port="], &["PROXY_PORT="]),
            (&["--envoy-port==1"], &["PROXY_PORT==1"]),
            (&["-np", "15021"], &["PROXY_PORT=15021", "DRY_RUN=true"]),
            (&["-np15021"], &["PROXY_PORT=15021", "DRY_RUN=true"]),
            (&["-n=false", "-x", ""], &[]),
            (&["-b", "-1"], &["INBOUND_PORTS_INCLUDE=-1"]),
            (&["--dry-run=T", "--redirect-dns"], &["REDIRECT_DNS=true", "DRY_RUN=true"]),
            (&["pilot-agent", "istio-iptables", "-b", "*"], &["INBOUND_PORTS_INCLUDE=*"]),
            (&["-b", "80", "-b", "*"], &["INBOUND_PORTS_INCLUDE=*"]),
        ] {
            let (changed, _, mistakes) = told(arguments);
            assert_eq!(changed, expected, "{arguments:?}");
            assert!(mistakes.is_empty(), "{arguments:?}: {mistakes:?}");
        }
    }

    #[test]
    fn every_flag_is_known_in_both_spellings() {
        for spec in OPTIONS.iter().filter(|spec| !spec.flag.is_empty()) {
            let value = if spec.takes == Takes::Switch { "true" } else { "1" };
            let expected = [format!("{}={value}", spec.key)];
            assert_eq!(told(&[&format!("--{}={value}", spec.flag)]).0, expected);
            if spec.short != ' ' {
                assert_eq!(told(&[&format!("-{}={value}", spec.short)]).0, expected);
            }
        }
    }

    #[test]
    fn what_is_not_carried_over_is_noted() {
        for (arguments, note) in [
            (
                &["--log_output_level=default:info"][..],
                "`--log_output_level=default:info`: says how rules are applied or logged, not \
                 which: not carried over",
            ),
            (&["-b", "80", "-b", "*"], "`-b 80`: no effect, because of `-b *`"),
            (&["-n", "now"], "`now` is not a flag, and is ignored"),
            (&["--", "-b"], "`-b` is not a flag, and is ignored"),
            (&["-"], "`-` is not a flag, and is ignored"),
        ] {
            assert_eq!(told(arguments).1, [note], "{arguments:?}");
        }
    }

    #[test]
    fn what_pflag_refuses_is_a_mistake() {
        for (arguments, mistake) in [
            (
                &["--istio-inbound-port", "80"][..],
                "unknown flag `--istio-inbound-port`; did you mean `--istio-inbound-ports`?",
            ),
            (&["--"], ""),
            (&["---"], "unknown flag `---`"),
            (&["--="], "unknown flag `--`"),
            (&["-y"], "unknown flag `-y`"),
            (&["-né"], "unknown flag `-é`"),
            (&["- "], "unknown flag `- `"),
            (&["-b"], "`-b`: a value is missing behind it"),
            (&["--proxy-uid"], "`--proxy-uid`: a value is missing behind it"),
            (&["--dry-run=yes"], "`--dry-run=yes`: not a boolean: `true` or `false`"),
        ] {
            assert_eq!(told(arguments).2.concat(), mistake, "{arguments:?}");
        }
    }
}
