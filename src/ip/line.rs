//! Lines of scripts and batches, and the words in them, each with its place.

use crate::nft::{At, Place, ReadError, ReadProblem, unknown};

/// A line, or the rest of one.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) number: u32,
    pub(super) column: u32,
    pub(super) text: &'a str,
}

impl Line<'_> {
    pub(super) fn trimmed(self) -> Self {
        let blanks = self.text.len() - self.text.trim_start_matches([' ', '\t']).len();
        let text = self.text[blanks..].trim_end_matches([' ', '\t']);
        let column = self.column.saturating_add(u32::try_from(blanks).unwrap_or(u32::MAX));
        Self { column, text, ..self }
    }

    pub(super) fn is_remark(self) -> bool {
        self.text.is_empty() || self.text.starts_with('#')
    }

    /// What follows `bytes` of it.
    pub(super) fn behind(self, bytes: usize) -> Self {
        let characters = self.text[..bytes].chars().count();
        let column = self.column.saturating_add(u32::try_from(characters).unwrap_or(u32::MAX));
        Self { column, text: &self.text[bytes..], ..self }
    }

    /// Its first word, and what follows.
    pub(super) fn word(self) -> Option<(Self, Self)> {
        let line = self.trimmed();
        let end = line.text.find([' ', '\t']).unwrap_or(line.text.len());
        (end > 0).then(|| (Self { text: &line.text[..end], ..line }, line.behind(end)))
    }

    /// What follows the word, which must come next.
    pub(super) fn after(self, word: &str) -> Result<Self, ReadError> {
        match self.word() {
            Some((found, rest)) if found.text == word => Ok(rest),
            Some((found, _)) => Err(found.wants(word)),
            None => Err(self.wants(word)),
        }
    }

    /// Nothing may follow.
    pub(super) fn end(self) -> Result<(), ReadError> {
        self.word().map_or(Ok(()), |(word, _)| Err(word.unknown("word")))
    }

    pub(super) const fn at(self) -> At {
        At::Line { line: self.number, column: self.column }
    }

    pub(super) fn error(self, problem: ReadProblem) -> ReadError {
        ReadError { at: Place::from(self.at()), problem }
    }

    pub(super) fn unknown(self, what: &'static str) -> ReadError {
        self.error(unknown(what, &self.text.escape_debug().to_string()))
    }

    pub(super) fn wants(self, wanted: &str) -> ReadError {
        let found = match self.text {
            "" => "end of line".to_owned(),
            found => found.escape_debug().to_string(),
        };
        self.error(ReadProblem::Unexpected { found, wanted: format!("`{wanted}`") })
    }
}
