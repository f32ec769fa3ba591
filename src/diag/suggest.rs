//! What to write instead, where that is known to the letter.

use std::fmt;

use super::{Diagnostic, Problem};
use crate::span::{Sources, Span};

/// A text to write in the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Suggestion {
    /// What it replaces; empty where it is to be inserted.
    pub range: Span,
    /// What to write there; empty where the text is to be removed.
    pub replacement: String,
    /// Whether nothing else can have been meant, so that a program may write it unasked.
    pub safe: bool,
}

/// What a place has to do with a problem, and what was meant there, if that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hint {
    /// What the label says.
    pub(super) text: String,
    /// What to write instead.
    pub(super) meant: Option<Meant>,
}

/// A text to write, there or somewhere near.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meant {
    /// What it replaces, if that is not the place of the label.
    at: Option<Span>,
    text: String,
    /// Whether nothing else can have been meant.
    safe: bool,
}

impl Hint {
    /// ``did you mean `outbound`?``
    pub(crate) fn meant(word: impl Into<String>, safe: bool) -> Self {
        let word = word.into();
        let text = format!("did you mean `{word}`?");
        Self { text, meant: Some(Meant { at: None, text: word, safe }) }
    }

    /// `text`, where `replacement` may have been meant.
    pub(crate) fn with(text: impl Into<String>, replacement: impl Into<String>) -> Self {
        let text = text.into();
        Self { text, meant: Some(Meant { at: None, text: replacement.into(), safe: false }) }
    }

    /// The same, where it is `at` another place that is to be replaced.
    pub(crate) fn replacing(mut self, at: Span) -> Self {
        if let Some(meant) = &mut self.meant {
            meant.at = Some(at);
        }
        self
    }

    /// The same, where nothing else can have been meant.
    pub(crate) fn surely(mut self) -> Self {
        if let Some(meant) = &mut self.meant {
            meant.safe = true;
        }
        self
    }

    /// The same, as words alone: that text would not be all that is to change.
    pub(crate) fn said(self) -> Self {
        Self { meant: None, ..self }
    }

    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// What the label says.
impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<T: Into<String>> From<T> for Hint {
    fn from(text: T) -> Self {
        Self { text: text.into(), meant: None }
    }
}

impl Diagnostic {
    /// What to write instead, each a way out of its own. Empty where the help cannot say it to the
    /// letter, or that would make its line wrong in another way. Its places lie in `sources`.
    #[must_use]
    pub fn suggestions(&self, sources: &Sources) -> Vec<Suggestion> {
        if self.is_withheld { Vec::new() } else { self.meant(sources) }
    }

    /// Suggests nothing any longer.
    pub(crate) fn withhold(&mut self) {
        self.is_withheld = true;
    }

    fn meant(&self, sources: &Sources) -> Vec<Suggestion> {
        let Some(label) = self.labels.first() else { return Vec::new() };
        let one = |replacement: &str, safe| Suggestion {
            range: label.at,
            replacement: replacement.to_owned(),
            safe,
        };
        if let Some(Meant { at, text, safe }) = &label.meant {
            return vec![Suggestion { range: at.unwrap_or(label.at), ..one(text, *safe) }];
        }
        match &self.problem {
            Problem::Reversed { turned, .. } => vec![one(turned, false)],
            Problem::OutsideMask { within, .. } => vec![one(within, false)],
            Problem::HostBits { network, host, .. } => vec![one(network, false), one(host, false)],
            Problem::Invisible { character } => match character {
                '\u{a0}'
                | '\u{1680}'
                | '\u{2000}'..='\u{200a}'
                | '\u{202f}'
                | '\u{205f}'
                | '\u{3000}' => vec![one(" ", true)],
                '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => vec![one("", true)],
                // Without it, the line is shown in another order than it was.
                _ => vec![one("", false)],
            },
            Problem::Repeated { .. } => {
                // Who includes a list may use it otherwise.
                let mut lines = sources.file(label.at.file).text.lines();
                let safe = !lines.any(|line| line.trim_start().starts_with("let"));
                let remove = |range| Suggestion { range, replacement: String::new(), safe };
                with_comma(sources, label.at).map(remove).into_iter().collect()
            }
            // A clause begins behind it.
            Problem::MissingSeparator { separator: ';', .. } => vec![one(";", true)],
            _ => Vec::new(),
        }
    }
}

/// A value of a list, with the comma that goes if it does; `None` if there is none on its line.
fn with_comma(sources: &Sources, value: Span) -> Option<Span> {
    const SPACE: [char; 2] = [' ', '\t'];
    let (start, end) = (value.start as usize, value.end as usize);
    let text = &sources.file(value.file).text;
    let (before, after) = (text.get(..start)?, text.get(end..)?);
    if let Some(before) = before.trim_end_matches(SPACE).strip_suffix(',') {
        return Some(Span { start: u32::try_from(before.len()).ok()?, ..value });
    }
    let rest = after.trim_start_matches(SPACE).strip_prefix(',')?.trim_start_matches(SPACE);
    Some(Span { end: u32::try_from(text.len() - rest.len()).ok()?, ..value })
}

/// `text` with what the suggestions say, from the first to the last; one that overlaps an earlier
/// one is left out. All are about `text`.
#[must_use]
pub fn apply(text: &str, suggestions: &[Suggestion]) -> String {
    let mut sorted: Vec<&Suggestion> = suggestions.iter().collect();
    sorted.sort_by_key(|suggestion| suggestion.range);
    sorted.dedup();
    let mut applied = String::with_capacity(text.len());
    let mut behind = 0;
    for Suggestion { range, replacement, .. } in sorted {
        let (start, end) = (range.start as usize, range.end as usize);
        let Some(before) = text.get(behind..start).filter(|_| text.is_char_boundary(end)) else {
            continue;
        };
        applied.push_str(before);
        applied.push_str(replacement);
        behind = end;
    }
    applied.push_str(&text[behind..]);
    applied
}

#[cfg(test)]
mod tests {
    use super::{Suggestion, apply, with_comma};
    use crate::span::{Sources, Span};

    #[test]
    fn what_overlaps_is_left_out_and_nothing_else_changes() {
        let mut sources = Sources::default();
        let text = "inbuond {\r\n  ä 9-5\r\n}";
        let file = sources.add("p", text);
        let suggest = |start, end, replacement: &str| Suggestion {
            range: Span { file, start, end },
            replacement: replacement.to_owned(),
            safe: true,
        };
        let all = [suggest(16, 19, "5-9"), suggest(0, 7, "inbound"), suggest(3, 9, "x")];
        assert_eq!(apply(text, &all), "inbound {\r\n  ä 5-9\r\n}");
        // Not on the boundary of a character, and behind the end.
        assert_eq!(apply(text, &[suggest(14, 15, ""), suggest(90, 91, "")]), text);
    }

    #[test]
    fn a_value_goes_with_one_comma() {
        for (text, without) in [
            ("port 1, 1", Some("port 1")),
            ("port X, 2", Some("port 2")),
            ("port 1 ,X, 2", Some("port 1 , 2")),
            ("port X", None),
            ("port 1,\n  X", None),
        ] {
            let mut sources = Sources::default();
            let file = sources.add("p", text);
            let at = text.find('X').unwrap_or(text.len() - 1);
            let at = u32::try_from(at).unwrap();
            let range = with_comma(&sources, Span { file, start: at, end: at + 1 });
            let applied = range.map(|range| {
                apply(text, &[Suggestion { range, replacement: String::new(), safe: true }])
            });
            assert_eq!(applied.as_deref(), without, "{text}");
        }
    }
}
