//! Whether a policy is loaded in a namespace, and what stands in its way there.

use std::io;

use serde::Serialize;

use super::Outcome;
use super::page::paragraph;
use crate::host::live::Live;
use crate::ip::{self, Standing};
use crate::lower::Lowered;
use crate::net::Family;

/// What a namespace has of a policy.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Loaded {
    /// Whether its rules are there.
    pub(super) state: State,
    /// Addresses, routes and routing rules that it needs and that are not there.
    pub(super) missing: Vec<String>,
    /// Routing rules that an older version of it left.
    pub(super) stale: Vec<String>,
    /// Whether routing was looked at.
    pub(super) routing: bool,
    /// The families that it governs and that are off in the namespace.
    pub(super) off: Vec<&'static str>,
}

/// Whether the rules of a policy are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// None of its tables and chains is.
    NotLoaded,
    /// A table of its own is, but dormant: no packet meets it.
    Dormant,
    /// They are, in nft's tables.
    InNft,
    /// They are, in iptables.
    InIptables,
}

impl Loaded {
    /// What `live` has of the policy.
    ///
    /// # Errors
    ///
    /// If what `ip` prints cannot be read.
    pub(super) fn of(lowered: &Lowered, live: &Live) -> io::Result<Self> {
        let standing = live.routing.as_ref().map(|listings| ip::standing(lowered, listings));
        let standing = standing.transpose().map_err(io::Error::other)?;
        let routing = standing.is_some();
        let Standing { missing, stale, off } = standing.unwrap_or_default();
        let off = off.into_iter().map(Family::keyword).collect();
        Ok(Self { state: State::of(lowered, live), missing, stale, routing, off })
    }

    /// What is to be said of routing, in lines.
    pub(super) fn routing_words(&self) -> String {
        let mut out = String::new();
        let mut line = |text: &str| paragraph(&mut out, "", text, "  ");
        if !self.routing {
            line("routing was not looked at: `ip` is not installed");
        }
        if !self.missing.is_empty() {
            let missing = self.missing.join(", ");
            line(&format!("routing: {missing}: not there; `weir compile --emit routing` adds it"));
        }
        if !self.stale.is_empty() {
            let stale = self.stale.join(", ");
            line(&format!("routing: left of an older version: {stale}"));
        }
        for family in &self.off {
            line(&format!("routing: {family} is off in the namespace, and was not looked at"));
        }
        if self.routing && self.missing.is_empty() && self.stale.is_empty() {
            line("routing: all that the policy needs is there");
        }
        out
    }

    /// What routing alone comes to.
    pub(super) fn outcome(&self) -> Outcome {
        match (self.missing.is_empty(), self.routing) {
            (false, _) => Outcome::Bad,
            (true, false) => Outcome::Unknown,
            (true, true) => Outcome::Good,
        }
    }
}

impl State {
    fn of(lowered: &Lowered, live: &Live) -> Self {
        let is_ours = |name: &str| lowered.owned.iter().any(|owned| owned.as_str() == name);
        let mut state = Self::NotLoaded;
        let mut is_inside = false;
        for line in live.nft.lines() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some("table"), Some(_), Some(name)) if line.starts_with("table") => {
                    is_inside = is_ours(name);
                    if is_inside && state == Self::NotLoaded {
                        state = Self::InNft;
                    }
                }
                (Some("flags"), ..) if is_inside && line.contains("dormant") => {
                    return Self::Dormant;
                }
                (Some("chain" | "set" | "map"), ..) => is_inside = false,
                _ => {}
            }
        }
        let texts = live.iptables.iter().flat_map(|(_, texts)| texts);
        let mut lines = texts.flat_map(|text| text.lines());
        let declares = |line: &str| {
            line.strip_prefix(':').is_some_and(|name| name.starts_with(lowered.chains))
        };
        if state == Self::NotLoaded && !lowered.chains.is_empty() && lines.any(declares) {
            return Self::InIptables;
        }
        state
    }

    /// What it means, for a policy of these tables and chains, in a namespace called `place`.
    pub(super) fn words(self, lowered: &Lowered, place: &str) -> Option<String> {
        let tables: Vec<_> = lowered.owned.iter().map(|name| format!("`{name}`")).collect();
        match self {
            Self::NotLoaded => Some(format!(
                "not loaded: {place} has none of the tables {}, and no chain of iptables that \
                 begins with `{}`",
                tables.join(", "),
                lowered.chains
            )),
            Self::Dormant => Some(format!(
                "not in force: a table of the policy is dormant in {place}, so no packet meets it; \
                 load the policy again"
            )),
            Self::InNft | Self::InIptables => None,
        }
    }
}
