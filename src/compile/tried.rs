//! Suggestions are tried before they are made.

use std::ops::RangeInclusive;
use std::slice;

use crate::diag::{Diagnostic, Suggestion, apply};
use crate::span::{Sources, Span};

/// Most bytes, of all files together, of which suggestions are tried.
const MOST_BYTES: usize = 64 * 1024;
/// Most suggestions that are tried.
const MOST: usize = 32;

/// Withholds what would make its own lines wrong in another way, and with it the other ways out of the same problem.
/// Where nothing else can have been meant, what is wrong then was wrong before.
///
/// It is about the first of `sources`, and `check` says what is wrong with a text in its place.
pub(super) fn withhold_harmful(
    sources: &Sources,
    diagnostics: &mut [Diagnostic],
    check: impl Fn(&str) -> Vec<Diagnostic>,
) {
    let bytes: usize = sources.files().map(|file| file.text.len()).sum();
    let Some(first) = sources.beginning().filter(|_| bytes <= MOST_BYTES) else { return };
    let suggested = diagnostics.iter().enumerate().flat_map(|(at, about)| {
        about.suggestions(sources).into_iter().map(move |suggestion| (at, suggestion))
    });
    let harmful: Vec<usize> = suggested
        .filter(|(_, suggestion)| !suggestion.safe && suggestion.range.file == first.file)
        .take(MOST)
        .filter(|(at, suggestion)| {
            let fixed = apply(&sources.file(first.file).text, slice::from_ref(suggestion));
            let lines = lines_of(&fixed, suggestion);
            let known = diagnostics.iter().enumerate().filter(|(other, _)| other != at);
            check(&fixed).iter().any(|found| {
                let place = found.at().filter(|place| place.file == first.file);
                place.is_some_and(|place| lines.contains(&(place.start as usize)))
                    && found.is_error()
                    && !known.clone().any(|(_, error)| is_same(error, found, suggestion))
            })
        })
        .map(|(at, _)| at)
        .collect();
    for at in harmful {
        diagnostics[at].withhold();
    }
}

/// The bytes of the lines of `fixed` that `suggestion` has written, and of the line before, where a list may
/// have ended with a comma.
fn lines_of(fixed: &str, suggestion: &Suggestion) -> RangeInclusive<usize> {
    let start = (suggestion.range.start as usize).min(fixed.len());
    let end = (start + suggestion.replacement.len()).min(fixed.len());
    let first = fixed[..start].rmatch_indices('\n').nth(1).map_or(0, |(at, _)| at + 1);
    first..=fixed[end..].find('\n').map_or(fixed.len(), |at| end + at)
}

/// Whether `found` is `error`, which was there before the suggestion was written.
fn is_same(error: &Diagnostic, found: &Diagnostic, suggestion: &Suggestion) -> bool {
    error.problem.code() == found.problem.code()
        && error.at().is_some_and(|at| {
            moved(at, suggestion).is_none_or(|at| found.at().is_some_and(|now| now.start == at))
        })
}

/// Where `at` begins once the suggestion is written; `None` inside of what it replaces.
fn moved(at: Span, Suggestion { range, replacement, .. }: &Suggestion) -> Option<u32> {
    if at.start < range.start {
        Some(at.start)
    } else if at.start >= range.end {
        Some(at.start - range.end + range.start + u32::try_from(replacement.len()).ok()?)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::MOST_BYTES;
    use crate::syntax::NoIncludes;
    use crate::{Options, compile};

    /// What is suggested for the first error.
    fn suggested(text: &str) -> Vec<String> {
        let failure = compile("p.weir", text, &NoIncludes, &Options::default()).unwrap_err();
        let suggestions = failure.diagnostics[0].suggestions(&failure.sources);
        suggestions.into_iter().map(|suggestion| suggestion.replacement).collect()
    }

    #[test]
    fn what_would_be_wrong_in_another_way_is_not_suggested() {
        let excluding = |what: &str| format!("sidecar x {{ outbound {{ not to {what} }} }}");
        assert_eq!(suggested(&excluding("10.0.0.0/8")), ["exclude"]);
        assert!(suggested(&excluding("*")).is_empty());
        assert!(suggested(&excluding("10.0.0.0/8; exclude to 11.0.0.0/8")).is_empty());
        // What is wrong elsewhere is not its doing.
        assert_eq!(suggested(&excluding("10.0.0.0/8 }\n\n inbound { exclude port 0")), ["exclude"]);
        // Only this can have been meant.
        let slip = excluding("10.1.2.3/8").replace("not", "exlude");
        assert_eq!(suggested(&slip), ["exclude"]);
    }

    #[test]
    fn in_long_texts_nothing_is_tried() {
        let long = format!("sidecar x {{ outbound {{ not to * }} }}\n#{}", "x".repeat(MOST_BYTES));
        assert_eq!(suggested(&long), ["exclude"]);
    }
}
