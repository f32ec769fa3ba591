//! Problems: what is wrong, where, and what to write instead.
//!
//! A diagnostic is plain data: a line by [`Diagnostic::line`], a serde type by [`Record::of`]. Only `render`,
//! of feature `miette`, draws it.

mod codes;
pub(crate) mod escape;
mod fault;
mod help;
mod problem;
mod record;
mod refusal;
#[cfg(feature = "miette")]
pub mod render;
mod report;
mod suggest;

pub use codes::{CODES, explain};
pub use fault::Fault;
pub use problem::{Problem, Severity};
pub use record::{Extent, Level, Record, RecordLabel, RecordSuggestion};
pub use refusal::REFUSAL;
pub(crate) use refusal::refusal;
pub use report::MOST_REPORTED;
pub(crate) use report::Report;
pub use suggest::{Hint, Suggestion, apply};

use crate::span::{Sources, Span};

/// One problem and its places.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// What is wrong, independent of where.
    pub problem: Problem,
    /// Where, with what each place contributes. The first is the one to change.
    pub labels: Vec<Label>,
    /// Whether nothing is suggested, whatever the problem is.
    is_withheld: bool,
}

/// What one place has to do with a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Label {
    /// The smallest text that matters.
    pub at: Span,
    /// What this place contributes; never repeats the problem. May be empty.
    pub text: String,
    /// What to write instead, if that is known.
    meant: Option<suggest::Meant>,
}

impl Label {
    fn new(at: Span, hint: impl Into<Hint>) -> Self {
        let Hint { text, meant } = hint.into();
        Self { at, text, meant }
    }
}

impl Problem {
    /// The problem, at the place to change.
    #[must_use]
    pub fn at(self, at: Span, text: impl Into<Hint>) -> Diagnostic {
        Diagnostic { problem: self, labels: vec![Label::new(at, text)], is_withheld: false }
    }

    /// The same problem with a value, with `help` as what to write.
    #[must_use]
    pub(crate) fn instead_of(self, help: String) -> Self {
        let instead = help;
        match self {
            Self::NotANumber { what, found, .. } => Self::NotANumber { what, found, instead },
            Self::NotAnAddress { what, found, .. } => Self::NotAnAddress { what, found, instead },
            other => other,
        }
    }

    /// The problem, at the clause that leads to it, if one does.
    #[must_use]
    pub fn of(self, clause: Option<Span>) -> Diagnostic {
        let label = |at| Label::new(at, "");
        let labels = clause.map(label).into_iter().collect();
        Diagnostic { problem: self, labels, is_withheld: false }
    }
}

impl Diagnostic {
    /// What `label` makes as the text of the place to change, if that says nothing yet.
    #[must_use]
    pub(crate) fn or_label(mut self, label: impl FnOnce() -> String) -> Self {
        if let Some(first) = self.labels.first_mut().filter(|first| first.text.is_empty()) {
            first.text = label();
        }
        self
    }

    /// Adds a place that has to do with it.
    #[must_use]
    pub fn also(mut self, at: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label::new(at, text.into()));
        self
    }

    /// Adds a place that has to do with it, if it is known.
    #[must_use]
    pub fn and(self, at: Option<Span>, text: impl Into<String>) -> Self {
        match at {
            Some(at) => self.also(at, text),
            None => self,
        }
    }

    /// Adds the places by which a circle leads back to where it begins: the first few of them.
    #[must_use]
    pub(crate) fn by_way_of(mut self, places: impl IntoIterator<Item = Span>) -> Self {
        const MOST: usize = 8;
        let mut places = places.into_iter();
        for place in places.by_ref().take(MOST) {
            self = self.also(place, "by way of this one");
        }
        match (places.next(), places.count()) {
            (None, _) => self,
            (Some(place), 0) => self.also(place, "by way of this one"),
            (Some(place), more) => {
                self.also(place, format!("by way of this one, and of {more} more"))
            }
        }
    }

    /// The same in words alone: that text would not be all that is to change.
    pub(crate) fn without_suggestion(mut self) -> Self {
        self.labels.iter_mut().for_each(|label| label.meant = None);
        self
    }

    /// Whether it is known to the letter what to write.
    pub(crate) fn has_suggestion(&self) -> bool {
        self.labels.iter().any(|label| label.meant.is_some())
    }

    /// Whether nobody can tell what was meant.
    pub(crate) fn is_without_way_out(&self) -> bool {
        self.problem.help().is_none() && !self.has_suggestion()
    }

    /// Whether the policy means nothing because of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.problem.severity() == Severity::Error
    }

    /// It in one line, for logs: `web.weir:3:5: E302: text`. Its places lie in `sources`.
    ///
    /// What cannot be shown in a line is escaped, so that no text of others breaks or disguises it.
    #[must_use]
    pub fn line(&self, sources: &Sources) -> String {
        let place = self.at().map(|at| format!("{}: ", sources.place(at)));
        let text =
            format!("{}{}: {}", place.unwrap_or_default(), self.problem.code(), self.problem);
        escape::on_one_line(&text)
    }

    /// The place to change.
    #[must_use]
    pub fn at(&self) -> Option<Span> {
        self.labels.first().map(|label| label.at)
    }
}

/// The diagnostics in the order of their places to change, and of several of one code at one
/// place only the first: a list that is used three times is wrong once.
#[must_use]
pub fn in_order(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics.sort_by_key(Diagnostic::at);
    let mut seen = std::collections::BTreeSet::new();
    diagnostics.retain(|diagnostic| seen.insert((diagnostic.at(), diagnostic.problem.code())));
    diagnostics
}

/// Most characters of the source that a message shows; a longer word is like no other.
pub(crate) const LONGEST: usize = 64;

/// `text` as messages show it: its beginning, if it is very long.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
