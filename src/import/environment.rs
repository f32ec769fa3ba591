//! Lines of `NAME=value`, as a shell reads them.

use std::collections::BTreeMap;

use super::general::GeneralReason;
use super::report::Report;
use super::shell::split;

/// Variables and their values.
pub(crate) type Environment = BTreeMap<String, String>;

/// Reads assignments as a shell does: `NAME=value`, with or without `export`, with quotes and
/// comments. Nothing is expanded; the last assignment counts.
pub(crate) fn parse<R, M: From<GeneralReason>>(
    text: &str,
    report: &mut Report<R, M>,
) -> Environment {
    let mut environment = Environment::new();
    let Some(words) = split(text) else {
        report.fail(GeneralReason::OpenQuote);
        return environment;
    };
    for (line, word) in words {
        match word.split_once('=') {
            Some((name, value)) if is_name(name) => {
                environment.insert(name.to_owned(), value.to_owned());
            }
            _ if word == "export" => {}
            _ => report.fail(GeneralReason::NotAssignment { line, word }),
        }
    }
    environment
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::import::GeneralReason;
    use crate::import::report::Report;

    #[test]
    fn what_is_no_assignment_is_a_mistake() {
        for (text, mistake) in [
            ("A=1\nB C=2", "line 2: `B` is not of the form `NAME=value`"),
            ("1A=2", "line 1: `1A=2` is not of the form `NAME=value`"),
            ("A='b", "a quote or a `\\` is not closed"),
        ] {
            let mut report = Report::<(), GeneralReason>::default();
            parse(text, &mut report);
            let mistakes: Vec<_> = report.mistakes.iter().map(ToString::to_string).collect();
            assert_eq!(mistakes, [mistake], "{text}");
        }
    }
}
