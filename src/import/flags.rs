//! Command lines, as the flag library of the meshes' tools (pflag 1.0) reads them.

use super::general::{GeneralReason, GeneralRemark};
use super::report::Report;
use super::words::nearest;
use super::{Given, Source};

/// A flag that a command knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag<T> {
    /// Its name behind `--`; empty if there is none.
    pub(crate) long: &'static str,
    /// Its letter behind `-`.
    pub(crate) short: Option<char>,
    /// Whether it may stand without a value, and then means `true`.
    pub(crate) is_switch: bool,
    /// What it sets.
    pub(crate) sets: T,
}

/// Reads `arguments`, with or without the words of `command` before them: `--flag value`,
/// `--flag=value`, `-f value`, `-fvalue`, `-f=value`, `-nf value`, and everything behind `--` is no
/// flag. What each flag is given goes to `set`, in order.
pub(crate) fn read<T, R, M>(
    arguments: &[String],
    command: &[&str],
    flags: &[Flag<T>],
    report: &mut Report<R, M>,
    set: impl FnMut(&T, Given, &mut Report<R, M>),
) where
    R: From<GeneralRemark>,
    M: From<GeneralReason>,
{
    let is_command =
        |word: &&String| word.rsplit('/').next().is_some_and(|name| command.contains(&name));
    let words = arguments[arguments.iter().take_while(is_command).count()..].iter();
    Reading { words, flags, report, set }.read();
}

/// A command line while it is read.
struct Reading<'a, T, R, M, S> {
    words: std::slice::Iter<'a, String>,
    flags: &'a [Flag<T>],
    report: &'a mut Report<R, M>,
    set: S,
}

impl<T, R, M, S> Reading<'_, T, R, M, S>
where
    R: From<GeneralRemark>,
    M: From<GeneralReason>,
    S: FnMut(&T, Given, &mut Report<R, M>),
{
    fn read(mut self) {
        while let Some(word) = self.words.next() {
            if word == "--" {
                break;
            } else if let Some(flag) = word.strip_prefix("--") {
                self.long(flag);
            } else if let Some(flags) = word.strip_prefix('-').filter(|flags| !flags.is_empty()) {
                self.short(flags);
            } else {
                self.report.remark(GeneralRemark::StrayWord { word: word.clone() });
            }
        }
        for word in self.words {
            self.report.remark(GeneralRemark::StrayWord { word: word.clone() });
        }
    }

    /// Reads `name`, `name=value`, or `name` and the next word.
    fn long(&mut self, written: &str) {
        let (name, value) =
            written.split_once('=').map_or((written, None), |(name, value)| (name, Some(value)));
        let flags = self.flags;
        let Some(flag) = flags.iter().find(|flag| flag.long == name && !name.is_empty()) else {
            let near = nearest(name, flags.iter().map(|flag| flag.long));
            return self.report.fail(GeneralReason::UnknownFlag {
                flag: format!("--{name}"),
                nearest: near.map(|near| format!("--{near}")),
            });
        };
        let value = match value {
            Some(value) => Some(value.to_owned()),
            None if flag.is_switch => Some("true".to_owned()),
            None => self.words.next().cloned(),
        };
        self.take(flag, format!("--{name}"), value);
    }

    /// Reads letters until one that takes a value: the rest, less a `=`, or the next word.
    fn short(&mut self, mut written: &str) {
        let flags = self.flags;
        while let Some(letter) = written.chars().next() {
            let rest = &written[letter.len_utf8()..];
            let option = format!("-{letter}");
            let Some(flag) = flags.iter().find(|flag| flag.short == Some(letter)) else {
                let unknown = GeneralReason::UnknownFlag { flag: option, nearest: None };
                return self.report.fail(unknown);
            };
            let value = match rest.strip_prefix('=').filter(|value| !value.is_empty()) {
                Some(value) => Some(value.to_owned()),
                None if flag.is_switch => {
                    self.take(flag, option, Some("true".to_owned()));
                    written = rest;
                    continue;
                }
                None if rest.is_empty() => self.words.next().cloned(),
                None => Some(rest.to_owned()),
            };
            return self.take(flag, option, value);
        }
    }

    fn take(&mut self, flag: &Flag<T>, option: String, value: Option<String>) {
        let given = |value| Given { option, value, source: Source::Argument };
        match value {
            Some(value) => (self.set)(&flag.sets, given(value), self.report),
            None => self.report.refuse(&given(String::new()), GeneralReason::MissingValue),
        }
    }
}
