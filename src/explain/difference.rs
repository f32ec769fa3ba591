//! What differs between two rulesets, in words.

use serde::{Deserialize, Serialize};

use super::{Context, Explanation, Treatment, explain_as};
use crate::ir::Ruleset;
use crate::lower::Owners;
use crate::semantics::{
    Comparison, Limit, Question, Reached, Region, Traffic, compare_in_full, reached,
};

/// How the treatment of a packet changes from one ruleset to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
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
    /// A target takes it on one side only, or another one, that is not followed.
    TakenOtherwise,
    /// It goes the same way with other marks, or in another connection-tracking zone.
    MarkedOtherwise,
}

impl Change {
    fn of(left: &Treatment, right: &Treatment) -> Self {
        match (left, right) {
            _ if left == right => Self::MarkedOtherwise,
            _ if left.is_captured() && right.is_captured() => Self::CapturedElsewhere,
            (_, Treatment::Dropped) if !left.is_captured() => Self::NewlyDropped,
            _ if left.is_captured() => Self::NoLongerCaptured,
            _ if right.is_captured() => Self::NewlyCaptured,
            (Treatment::Dropped, _) => Self::NoLongerDropped,
            (Treatment::Taken { .. }, _) | (_, Treatment::Taken { .. }) => Self::TakenOtherwise,
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
            Self::TakenOtherwise => "taken by another target",
            Self::MarkedOtherwise => "marked otherwise",
        }
    }
}

/// A way in which two rulesets differ, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DifferenceWords {
    /// How it changes.
    pub change: Change,
    /// For which packets, in kinds. Both families are meant where none is named.
    pub traffic: Vec<String>,
    /// Whether there are more than those.
    pub and_more: bool,
    /// Whether only those send them who are the proxy to one of the two policies, and not to the other.
    pub of_a_proxy: bool,
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

/// Every way in which `right` treats packets otherwise than `left`, captures first, and behind all else
/// what only the proxy of one of the two sends, as far as the question goes. Empty if they treat all
/// packets alike.
///
/// # Errors
///
/// If the rulesets are too entangled to tell.
pub fn differences(
    (left, left_context): (&Ruleset, &Context<'_>),
    (right, right_context): (&Ruleset, &Context<'_>),
    question: Question,
) -> Result<Comparison<DifferenceWords>, Limit> {
    let found = compare_in_full(left, right, question)?;
    let mut both: Vec<(Vec<Traffic>, DifferenceWords)> = Vec::new();
    let hosts = [left_context.host(), right_context.host()];
    // Rules alone do not say who the proxy is.
    let owners = match (left_context.policy, right_context.policy) {
        (Some(_), Some(_)) => proxies_of_one(&left_context.owners(), &right_context.owners()),
        _ => Owners::default(),
    };
    for Region { difference, traffic, and_more } in found.ways {
        let reached = reached([left, right], [&hosts[0], &hosts[1]], &difference);
        let words = DifferenceWords {
            change: Change::of(&Treatment::of(&difference.left), &Treatment::of(&difference.right)),
            traffic: traffic.iter().map(ToString::to_string).collect(),
            and_more,
            of_a_proxy: !and_more && traffic.iter().all(|traffic| only_they_send(&owners, traffic)),
            packet: difference.packet.to_string(),
            reached: reached != Reached::NotFound,
            begins: match reached {
                Reached::From(packet) => Some(packet.to_string()),
                Reached::Begins | Reached::NotFound => None,
            },
            supposes: difference.supposes.clone(),
            left: explain_as(left, &difference.packet, &difference.left, left_context),
            right: explain_as(right, &difference.packet, &difference.right, right_context),
        };
        // What is true of IPv4 and of IPv6 is said once.
        let same = both.iter_mut().find(|(known, said)| {
            known.iter().all(|one| traffic.iter().all(|other| one.family != other.family))
                && said.does_like(&words)
                && (said.has_rungs_of(&words) || any_family(known) == any_family(&traffic))
        });
        match same {
            Some((known, said)) => {
                said.traffic = joined(known, &traffic);
                known.extend(traffic);
            }
            None => both.push((traffic, words)),
        }
    }
    let mut all: Vec<_> = both.into_iter().map(|(_, words)| words).collect();
    all.sort_by_key(|difference| (difference.of_a_proxy, difference.change));
    Ok(Comparison { ways: all, and_more: found.and_more })
}

fn any_family(traffic: &[Traffic]) -> Vec<String> {
    traffic.iter().map(Traffic::of_any_family).collect()
}

/// Kinds of packets of one family and of the other: those that both have without a family.
fn joined(some: &[Traffic], others: &[Traffic]) -> Vec<String> {
    let (has, lacks): (Vec<_>, Vec<_>) =
        others.iter().partition(|other| any_family(some).contains(&other.of_any_family()));
    let has = any_family(&has.into_iter().cloned().collect::<Vec<_>>());
    let word = |one: &Traffic| match one.of_any_family() {
        words if has.contains(&words) => words,
        _ => one.to_string(),
    };
    some.iter().map(word).chain(lacks.into_iter().map(ToString::to_string)).collect()
}

/// Who is the proxy on one side only.
fn proxies_of_one(left: &Owners, right: &Owners) -> Owners {
    let of_one = |left: &[u32], right: &[u32]| {
        let of = |some: &[u32], others: &[u32]| -> Vec<u32> {
            some.iter().filter(|id| !others.contains(id)).copied().collect()
        };
        [of(left, right), of(right, left)].concat()
    };
    Owners { users: of_one(&left.users, &right.users), groups: of_one(&left.groups, &right.groups) }
}

/// Whether nobody but the owners sends the traffic.
fn only_they_send(owners: &Owners, traffic: &Traffic) -> bool {
    [("user ", &owners.users), ("group ", &owners.groups)].iter().any(|(word, ids)| {
        let of_one = traffic.words.iter().filter_map(|words| words.strip_prefix(word));
        of_one.flat_map(str::parse::<u32>).any(|id| ids.contains(&id))
    })
}

impl DifferenceWords {
    /// Whether both sides do here what they do there.
    fn does_like(&self, other: &Self) -> bool {
        let does = |words: &Explanation| (words.outcome.clone(), words.also.clone());
        self.and_more == other.and_more
            && self.of_a_proxy == other.of_a_proxy
            && self.reached == other.reached
            && self.supposes == other.supposes
            && does(&self.left) == does(&other.left)
            && does(&self.right) == does(&other.right)
    }

    /// Whether the rungs that decide here are those that decide there.
    fn has_rungs_of(&self, other: &Self) -> bool {
        let rungs = |it: &Self| (it.left.rung.clone(), it.right.rung.clone());
        rungs(self) == rungs(other) && rungs(self) != (None, None)
    }
}
