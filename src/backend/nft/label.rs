//! What rules are called: headings in the script, comments in the kernel.

use crate::ir::{Origin, Rung};
use crate::span::{Sources, Span};

/// Most bytes of a comment on a rule: nft 1.0.1 to 1.1.7 refuse more.
const MAX_COMMENT: usize = 128;

/// Says where rules come from.
pub(super) struct Labels<'a> {
    sources: &'a Sources,
    /// The last place that was asked for: rules of one clause follow each other, and counting
    /// lines reads the file from its start.
    last: Option<(Span, Option<String>)>,
}

impl<'a> Labels<'a> {
    pub(super) fn new(sources: &'a Sources) -> Self {
        Self { sources, last: None }
    }

    /// `O8 excluded destination: untouched, default.weir:4`. `None` for a rule that only leads to
    /// others.
    pub(super) fn heading(&mut self, origin: Origin) -> Option<String> {
        self.label(origin, Rung::title)
    }

    /// The same in few words, for the kernel to keep with the rule: `O8 excluded destination,
    /// default.weir:4`.
    pub(super) fn comment(&mut self, origin: Origin) -> Option<String> {
        let comment = self.label(origin, Rung::subject)?;
        if comment.len() > MAX_COMMENT {
            self.label(Origin { clause: None, ..origin }, Rung::subject)
        } else {
            Some(comment)
        }
    }

    fn label(&mut self, origin: Origin, words: fn(Rung) -> &'static str) -> Option<String> {
        let (number, words) = (origin.rung.number(), words(origin.rung));
        if number.is_empty() {
            return None;
        }
        let place = origin.clause.and_then(|clause| self.place(clause));
        Some(match place {
            Some(place) => format!("{number} {words}, {place}"),
            None => format!("{number} {words}"),
        })
    }

    /// `default.weir:4`, without the directory. `None` if the name has a character that could mean
    /// something to nft or to a terminal.
    fn place(&mut self, span: Span) -> Option<&str> {
        if self.last.as_ref().is_none_or(|(at, _)| *at != span) {
            let name = self.sources.file(span.file).name.as_str();
            let name = name.rsplit('/').next().unwrap_or(name);
            let safe =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            let place = (!name.is_empty() && name.bytes().all(safe))
                .then(|| format!("{name}:{}", self.sources.line_column(span).0));
            self.last = Some((span, place));
        }
        self.last.as_ref().and_then(|(_, place)| place.as_deref())
    }
}
