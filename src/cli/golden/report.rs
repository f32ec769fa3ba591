//! What a run found, as a plain value: whoever prints it, for people or for programs, needs nothing
//! else.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::Way;
use crate::cli::forms::Findings;

/// What `weir golden` found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Report {
    /// The revision whose goldens were looked at; `None`: those of the working tree.
    pub(in crate::cli) base: Option<String>,
    /// Every golden, and every policy that is refused, by path.
    pub(in crate::cli) entries: Vec<Entry>,
    /// What is wrong with policies, by file.
    pub(in crate::cli) findings: Vec<Findings>,
    /// Whether a warning is denied, so that nothing may be written.
    pub(in crate::cli) denied: bool,
    /// What was written, if that was asked for; nothing where something is refused or denied.
    pub(in crate::cli) blessed: Option<Blessed>,
}

/// What was done so that goldens are current.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Blessed {
    /// How many goldens were written.
    pub(in crate::cli) written: usize,
    /// How many were removed.
    pub(in crate::cli) removed: usize,
}

/// A golden, or a policy that has none because it is refused.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
        self.denied || self.entries.iter().any(refuses)
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

    /// What programs call it where it is not as it should be; `None` for what needs no words, or has
    /// diagnostics of its own.
    pub(super) const fn code(self) -> Option<&'static str> {
        match self {
            Self::Current | Self::Refused => None,
            Self::SameMeaning => Some("golden/same-meaning"),
            Self::OtherText => Some("golden/other-text"),
            Self::OtherMeaning => Some("golden/other-meaning"),
            Self::Missing => Some("golden/missing"),
            Self::Orphaned => Some("golden/orphaned"),
            Self::Collision => Some("golden/collision"),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::{Entry, Findings, Report, State};
    use crate::syntax::NoIncludes;
    use crate::{Options, compile};

    #[test]
    fn a_report_is_a_plain_value() {
        let failure = compile("b.weir", "sidecar", &NoIncludes, &Options::default()).unwrap_err();
        let entry = Entry {
            path: "golden/a.nft".to_owned(),
            state: State::OtherText,
            source: Some("a.weir".to_owned()),
            policy: Some("a".to_owned()),
            view: Some("nft".to_owned()),
            words: vec!["it is not UTF-8".to_owned()],
            ways: Vec::new(),
            and_more: false,
        };
        let report = Report {
            base: Some("main".to_owned()),
            entries: vec![entry],
            findings: vec![Findings::new("b.weir", failure.sources, failure.diagnostics)],
            denied: false,
            blessed: None,
        };
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["entries"][0]["state"], "other-text");
        assert_eq!(json["findings"][0]["diagnostics"][0]["labels"][0]["file"], "b.weir");
        assert_eq!(report.counts(), [(State::OtherText, 1)]);
        assert!(!report.is_current() && !report.is_refused());
    }
}
