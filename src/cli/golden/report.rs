//! What a run found, as a plain value: whoever prints it, for people or for programs, needs nothing
//! else.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::Way;
use crate::diag::{Diagnostic, render};
use crate::span::Sources;

/// What `weir golden` found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Report {
    /// The revision whose goldens were looked at; `None`: those of the working tree.
    pub(in crate::cli) base: Option<String>,
    /// Every golden, and every policy that is refused, by path.
    pub(in crate::cli) entries: Vec<Entry>,
    /// What is wrong with policies, by file.
    pub(in crate::cli) findings: Vec<Findings>,
}

/// A golden, or a policy that has none because it is refused.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Entry {
    /// Its path, relative to the repository, with `/` between its parts.
    pub(in crate::cli) path: String,
    /// What has become of it.
    pub(in crate::cli) state: State,
    /// The file of the policy, in the same form; `None` if there is none any longer.
    pub(in crate::cli) source: Option<String>,
    /// The name of the policy.
    pub(in crate::cli) policy: Option<String>,
    /// What it is a text of, as `--emit` names it.
    pub(in crate::cli) view: Option<String>,
    /// What is to be said beside the state.
    pub(in crate::cli) words: Vec<String>,
    /// The packets that fare otherwise, of a golden with another meaning.
    pub(in crate::cli) ways: Vec<Way>,
    /// Whether there are more of them.
    pub(in crate::cli) and_more: bool,
}

/// What has become of a golden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) enum State {
    /// It is what the policy is compiled to.
    Current,
    /// It is another text, which is proved to mean the same.
    SameMeaning,
    /// It is another text, of which not everything is known.
    OtherText,
    /// It means something else.
    OtherMeaning,
    /// It is not there.
    Missing,
    /// No policy is compiled to it any longer.
    Orphaned,
    /// Two policies would be written to it.
    Collision,
    /// A policy is refused.
    Refused,
}

/// What is wrong with the policies of a file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Findings {
    /// The file.
    pub(in crate::cli) source: String,
    /// What is wrong, for programs.
    pub(in crate::cli) diagnostics: Vec<render::Record>,
    /// The same, to be drawn.
    #[serde(skip)]
    pub(in crate::cli) drawn: (Sources, Vec<Diagnostic>),
}

impl Findings {
    pub(in crate::cli) fn new(
        source: &str,
        sources: Sources,
        diagnostics: Vec<Diagnostic>,
    ) -> Self {
        let records = diagnostics.iter().map(|found| render::Record::of(&sources, found));
        Self {
            source: source.to_owned(),
            diagnostics: records.collect(),
            drawn: (sources, diagnostics),
        }
    }
}

impl Entry {
    /// The folder that it is in.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        Path::new(&self.path).parent().map(Path::to_owned)
    }
}

impl Report {
    /// How many there are of each state that there is.
    pub(in crate::cli) fn counts(&self) -> Vec<(State, usize)> {
        let count = |state| self.entries.iter().filter(|entry| entry.state == state).count();
        let all = State::ALL.into_iter().map(|state| (state, count(state)));
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// Whether all is as it should be.
    pub(in crate::cli) fn is_current(&self) -> bool {
        self.entries.iter().all(|entry| entry.state == State::Current)
    }

    /// Whether nothing may be written, because something would be wrong.
    pub(in crate::cli) fn is_refused(&self) -> bool {
        let refuses = |entry: &Entry| matches!(entry.state, State::Collision | State::Refused);
        self.entries.iter().any(refuses)
    }
}

impl State {
    const ALL: [Self; 8] = [
        Self::Current,
        Self::SameMeaning,
        Self::OtherText,
        Self::OtherMeaning,
        Self::Missing,
        Self::Orphaned,
        Self::Collision,
        Self::Refused,
    ];

    /// `text changed, same meaning`.
    pub(in crate::cli) const fn words(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::SameMeaning => "same meaning",
            Self::OtherText => "text changed",
            Self::OtherMeaning => "meaning changed",
            Self::Missing => "missing",
            Self::Orphaned => "orphaned",
            Self::Collision => "collision",
            Self::Refused => "refused",
        }
    }
}
