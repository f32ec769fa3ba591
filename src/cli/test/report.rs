//! What a run found, as a plain value: whoever prints it needs nothing else.

use serde::Serialize;

use crate::cli::forms::{Findings, Report as _};
use crate::testing::Fate;

/// What `weir test` found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Report {
    /// By path.
    pub(in crate::cli) files: Vec<File>,
    /// Whether people are shown what expectations touch.
    #[serde(skip)]
    pub(in crate::cli) shows_coverage: bool,
}

/// The policies of a file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct File {
    /// Its path, relative to the repository, with `/` between its parts.
    pub(in crate::cli) source: String,
    /// Its own policies, in their order; none if they are refused.
    pub(in crate::cli) policies: Vec<Policy>,
    /// What is wrong with it, if it is refused.
    pub(in crate::cli) findings: Option<Findings>,
}

/// A policy.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Policy {
    /// Its name.
    pub(in crate::cli) name: String,
    /// What it expects, in its order.
    pub(in crate::cli) expectations: Vec<Expectation>,
    /// What of it expectations touch, if that was asked.
    pub(in crate::cli) coverage: Option<Coverage>,
    /// What has become of its changes, if that was asked.
    pub(in crate::cli) mutants: Option<Vec<Mutant>>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Place {
    /// The path of the file.
    pub(in crate::cli) file: String,
    /// From 1.
    pub(in crate::cli) line: usize,
    /// From 1, in characters.
    pub(in crate::cli) column: usize,
}

/// An expectation.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Expectation {
    /// Where it stands.
    pub(in crate::cli) place: Option<Place>,
    /// Its words.
    pub(in crate::cli) words: String,
    /// What has become of it.
    pub(in crate::cli) state: State,
    /// A packet that breaks it, and what becomes of that; or why nobody can tell.
    pub(in crate::cli) why: Option<String>,
    /// The rung that decides, and its clause.
    pub(in crate::cli) because: Option<String>,
}

/// What has become of an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) enum State {
    /// It holds for every packet.
    Holds,
    /// It does not.
    Broken,
    /// It is about no packet.
    Idle,
}

/// How often expectations touch the parts of a policy.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Coverage {
    /// Its rungs.
    pub(in crate::cli) rungs: Vec<Covered>,
    /// Its clauses that have rules of their own.
    pub(in crate::cli) clauses: Vec<Covered>,
}

/// How often expectations touch a part of a policy.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Covered {
    /// Where it stands, if it is a clause.
    pub(in crate::cli) place: Option<Place>,
    /// `I6 excluded port: untouched`, `inbound exclude port 15090`.
    pub(in crate::cli) words: String,
    /// How many touch it.
    pub(in crate::cli) times: usize,
    /// Whether any could.
    pub(in crate::cli) can_be: bool,
}

/// A change of a policy.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Mutant {
    /// The place of the clause.
    pub(in crate::cli) place: Place,
    /// What was done to it.
    pub(in crate::cli) change: String,
    /// What has become of it.
    pub(in crate::cli) fate: Fate,
}

impl State {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Broken => "broken",
            Self::Idle => "idle",
        }
    }
}

impl Report {
    /// Every policy, with its file.
    pub(in crate::cli) fn policies(&self) -> impl Iterator<Item = (&File, &Policy)> {
        self.files.iter().flat_map(|file| file.policies.iter().map(move |policy| (file, policy)))
    }

    /// Whether every expectation holds, and no policy is refused.
    pub(in crate::cli) fn is_good(&self) -> bool {
        let mut expectations = self.policies().flat_map(|(_, policy)| &policy.expectations);
        self.findings().next().is_none()
            && expectations.all(|expectation| expectation.state == State::Holds)
    }
}
