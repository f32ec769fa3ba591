//! What differs between two rulesets, in words.

use serde::Serialize;

use super::{Context, Explanation, Treatment, explain};
use crate::ir::Ruleset;
use crate::semantics::{Comparison, Limit, Reached, Region, Traffic, compare_in_full, reached};

/// How the treatment of a packet changes from one ruleset to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The proxy gets it, and did not.
    NewlyCaptured,
    /// The proxy does not get it any longer.
    NoLongerCaptured,
    /// Another port gets it, or it gets there in another way.
    CapturedElsewhere,
    /// It is dropped, and was not.
    NewlyDropped,
    /// It was dropped.
    NoLongerDropped,
    /// Its destination is translated otherwise, and not to the proxy.
    DestinationChanged,
    /// Its source is translated otherwise.
    SourceChanged,
    /// It goes the same way with other marks, or in another connection-tracking zone.
    MarkedOtherwise,
}

impl Change {
    fn of(left: Treatment, right: Treatment) -> Self {
        match (left, right) {
            _ if left == right => Self::MarkedOtherwise,
            _ if left.is_captured() && right.is_captured() => Self::CapturedElsewhere,
            (_, Treatment::Dropped) if !left.is_captured() => Self::NewlyDropped,
            _ if left.is_captured() => Self::NoLongerCaptured,
            _ if right.is_captured() => Self::NewlyCaptured,
            (Treatment::Dropped, _) => Self::NoLongerDropped,
            (Treatment::DestinationTranslated { .. }, _)
            | (_, Treatment::DestinationTranslated { .. }) => Self::DestinationChanged,
            _ => Self::SourceChanged,
        }
    }

    /// `newly captured`.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NewlyCaptured => "newly captured",
            Self::NoLongerCaptured => "no longer captured",
            Self::CapturedElsewhere => "captured elsewhere",
            Self::NewlyDropped => "newly dropped",
            Self::NoLongerDropped => "no longer dropped",
            Self::DestinationChanged => "destination translated otherwise",
            Self::SourceChanged => "source translated otherwise",
            Self::MarkedOtherwise => "marked otherwise",
        }
    }
}

/// A way in which two rulesets differ, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DifferenceWords {
    /// How it changes.
    pub change: Change,
    /// For which packets, in kinds. Both families are meant where none is named.
    pub traffic: Vec<String>,
    /// Whether there are more than those.
    pub and_more: bool,
    /// A packet that shows it, where the two treat it differently.
    pub packet: String,
    /// Where that packet begins its way, if it is elsewhere.
    pub begins: Option<String>,
    /// Whether a packet was found that really gets there.
    pub reached: bool,
    /// What that supposes about the order of chains that tie, of which no text tells. Empty if it
    /// is so in every order.
    pub supposes: Vec<String>,
    /// What the first ruleset does with it, and why.
    pub left: Explanation,
    /// What the second does with it, and why.
    pub right: Explanation,
}

/// Every way in which `right` treats packets otherwise than `left`, captures first. Empty if they
/// treat all packets alike.
///
/// # Errors
///
/// If the rulesets are too entangled to tell.
pub fn differences(
    (left, left_context): (&Ruleset, &Context<'_>),
    (right, right_context): (&Ruleset, &Context<'_>),
) -> Result<Comparison<DifferenceWords>, Limit> {
    let mut both: Vec<(Vec<String>, DifferenceWords)> = Vec::new();
    let found = compare_in_full(left, right)?;
    let hosts = [left_context.host(), right_context.host()];
    for Region { difference, traffic, and_more } in found.ways {
        let reached = reached([left, right], [&hosts[0], &hosts[1]], &difference);
        let any_family: Vec<_> = traffic.iter().map(Traffic::of_any_family).collect();
        let words = DifferenceWords {
            change: Change::of(Treatment::of(&difference.left), Treatment::of(&difference.right)),
            traffic: traffic.iter().map(ToString::to_string).collect(),
            and_more,
            packet: difference.packet.to_string(),
            reached: reached != Reached::NotFound,
            begins: match reached {
                Reached::From(packet) => Some(packet.to_string()),
                Reached::Begins | Reached::NotFound => None,
            },
            supposes: difference.supposes.clone(),
            left: explain(left, &difference.packet, left_context),
            right: explain(right, &difference.packet, right_context),
        };
        // What is true of IPv4 and of IPv6 is said once.
        let same = both.iter_mut().find(|(traffic, known)| {
            *traffic == any_family && known.traffic != words.traffic && known.does_like(&words)
        });
        match same {
            Some((traffic, known)) => known.traffic.clone_from(traffic),
            None => both.push((any_family, words)),
        }
    }
    let mut all: Vec<_> = both.into_iter().map(|(_, words)| words).collect();
    all.sort_by_key(|difference| difference.change);
    Ok(Comparison { ways: all, and_more: found.and_more })
}

impl DifferenceWords {
    /// Whether both sides do here what they do there.
    fn does_like(&self, other: &Self) -> bool {
        let does = |words: &Explanation| (words.outcome.clone(), words.also.clone());
        self.and_more == other.and_more
            && self.reached == other.reached
            && self.supposes == other.supposes
            && does(&self.left) == does(&other.left)
            && does(&self.right) == does(&other.right)
    }
}
