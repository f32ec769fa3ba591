//! A command line of upstream's tool, to options.

use super::finding::{Reason, Remark, Report};
use super::option::{OPTIONS, Opt, Options, Takes};
use crate::import::words::nearest;
use crate::import::{Given, Source};

/// Flags that every Istio command has, about its log (`pkg/log/options.go`). A name, and whether it
/// may stand without a value.
const LOG_FLAGS: &[(&str, bool)] = &[
    ("log_target", false),
    ("log_as_json", true),
    ("log_output_level", false),
    ("log_stacktrace_level", false),
    ("log_caller", false),
    ("vklog", false),
];

/// A flag that the command knows.
#[derive(Clone, Copy)]
enum Flag {
    Option(Opt),
    Log { switch: bool },
}

impl Flag {
    fn long(name: &str) -> Option<Self> {
        let option = OPTIONS.iter().find(|spec| spec.flag == name && !name.is_empty());
        option.map(|spec| Self::Option(spec.option)).or_else(|| {
            let (_, switch) = LOG_FLAGS.iter().find(|(log, _)| *log == name)?;
            Some(Self::Log { switch: *switch })
        })
    }

    fn short(letter: char) -> Option<Self> {
        let option = OPTIONS.iter().find(|spec| spec.short == letter && letter != ' ');
        option.map(|spec| Self::Option(spec.option))
    }

    fn is_switch(self) -> bool {
        match self {
            Self::Option(option) => option.spec().takes == Takes::Switch,
            Self::Log { switch } => switch,
        }
    }

    fn set(self, option: String, value: String, options: &mut Options, report: &mut Report) {
        let given = Given { option, value, source: Source::Argument };
        match self {
            Self::Option(option) => options.set(option, given, report),
            Self::Log { .. } => report.note(&given, Remark::NotTraffic),
        }
    }
}

/// Reads the arguments of `istio-iptables`, with or without the command before them, as upstream's
/// flag library (pflag 1.0) does: `--flag value`, `--flag=value`, `-f value`, `-fvalue`,
/// `-f=value`, `-nf value`, and everything behind `--` is no flag.
pub(super) fn read(arguments: &[String], options: &mut Options, report: &mut Report) {
    let is_command =
        |word: &&String| matches!(word.rsplit('/').next(), Some("pilot-agent" | "istio-iptables"));
    let mut words = arguments.iter().skip(arguments.iter().take_while(is_command).count());
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        } else if let Some(flag) = word.strip_prefix("--") {
            read_long(flag, &mut words, options, report);
        } else if let Some(flags) = word.strip_prefix('-').filter(|flags| !flags.is_empty()) {
            read_short(flags, &mut words, options, report);
        } else {
            report.remark(Remark::StrayWord { word: word.clone() });
        }
    }
    for word in words {
        report.remark(Remark::StrayWord { word: word.clone() });
    }
}

/// Reads `name`, `name=value`, or `name` and the next word.
fn read_long<'a>(
    written: &str,
    words: &mut impl Iterator<Item = &'a String>,
    options: &mut Options,
    report: &mut Report,
) {
    let (name, value) =
        written.split_once('=').map_or((written, None), |(name, value)| (name, Some(value)));
    let Some(flag) = Flag::long(name) else {
        let known = OPTIONS.iter().map(|spec| spec.flag);
        let near = nearest(name, known.chain(LOG_FLAGS.iter().map(|(log, _)| *log)));
        return report.fail(Reason::UnknownFlag {
            flag: format!("--{name}"),
            nearest: near.map(|near| format!("--{near}")),
        });
    };
    let value = match value {
        Some(value) => Some(value.to_owned()),
        None if flag.is_switch() => Some("true".to_owned()),
        None => words.next().cloned(),
    };
    let option = format!("--{name}");
    match value {
        Some(value) => flag.set(option, value, options, report),
        None => refuse_end(option, report),
    }
}

/// Reads letters until one that takes a value: the rest, less a `=`, or the next word.
fn read_short<'a>(
    mut written: &str,
    words: &mut impl Iterator<Item = &'a String>,
    options: &mut Options,
    report: &mut Report,
) {
    while let Some(letter) = written.chars().next() {
        let rest = &written[letter.len_utf8()..];
        let option = format!("-{letter}");
        let Some(flag) = Flag::short(letter) else {
            return report.fail(Reason::UnknownFlag { flag: option, nearest: None });
        };
        let value = match rest.strip_prefix('=').filter(|value| !value.is_empty()) {
            Some(value) => Some(value.to_owned()),
            None if flag.is_switch() => {
                flag.set(option, "true".to_owned(), options, report);
                written = rest;
                continue;
            }
            None if rest.is_empty() => words.next().cloned(),
            None => Some(rest.to_owned()),
        };
        return match value {
            Some(value) => flag.set(option, value, options, report),
            None => refuse_end(option, report),
        };
    }
}

fn refuse_end(option: String, report: &mut Report) {
    let given = Given { option, value: String::new(), source: Source::Argument };
    report.refuse(&given, Reason::MissingValue);
}

#[cfg(test)]
mod tests {
    use super::super::finding::Report;
    use super::super::option::{OPTIONS, Options, Takes};
    use super::read;

    /// What `arguments` set, and what is wrong with them.
    fn told(arguments: &[&str]) -> (Vec<String>, Vec<String>, Vec<String>) {
        let arguments: Vec<_> = arguments.iter().map(|&word| word.to_owned()).collect();
        let (mut options, mut report) = (Options::new(), Report::default());
        read(&arguments, &mut options, &mut report);
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
