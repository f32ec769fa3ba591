//! What differs between two rulesets, in words.

use serde::{Deserialize, Serialize};

use super::{Context, Explanation, Treatment, explain_as};
use crate::ir::Ruleset;
use crate::ir::{Match, Owner, OwnerIs};
use crate::lower::Owners;
use crate::net::Families;
use crate::semantics::{
    Among, Comparison, Corner, Limit, Proxies, Question, Reached, Region, Topic, Traffic,
    compare_in_full, joined, reached,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DifferenceWords {
    /// How it changes.
    pub change: Change,
    /// For which packets, in kinds. Both families are meant where none is named.
    pub traffic: Vec<String>,
    /// The same as values.
    #[serde(skip)]
    pub kinds: Vec<Traffic>,
    /// Why packets among these are not ordinary, of which alone this tells: the ordinary ones that fare so are
    /// told before. Empty if it tells of ordinary ones.
    pub corners: Vec<Corner>,
    /// What the two do with them.
    #[serde(skip)]
    pub treatments: [Treatment; 2],
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
    let owners = [left_context.owners(), right_context.owners()];
    let proxies = match (left_context.policy, right_context.policy) {
        (None, None) => named(&[left, right]),
        _ => Proxies {
            users: owners.iter().flat_map(|owners| owners.users.clone()).collect(),
            groups: owners.iter().flat_map(|owners| owners.groups.clone()).collect(),
            are_named: false,
        },
    };
    let found = compare_in_full(left, right, question, &proxies)?;
    let mut all: Vec<DifferenceWords> = Vec::new();
    let hosts = [left_context.host(), right_context.host()];
    // Rules alone do not say who the proxy is.
    let owners = match (left_context.policy, right_context.policy) {
        (Some(_), Some(_)) => proxies_of_one(&owners[0], &owners[1]),
        _ => Owners::default(),
    };
    for Region { difference, traffic, and_more, among } in found.ways {
        let reached = reached([left, right], [&hosts[0], &hosts[1]], &difference);
        let treatments = [&difference.left, &difference.right].map(Treatment::of);
        let words = DifferenceWords {
            change: Change::of(&treatments[0], &treatments[1]),
            traffic: Vec::new(),
            corners: if let Among::Corners(corners) = among { corners } else { Vec::new() },
            treatments,
            and_more,
            of_a_proxy: !and_more && traffic.iter().all(|traffic| only_they_send(&owners, traffic)),
            kinds: traffic,
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
        match all
            .iter_mut()
            .find(|said| said.is_of_another_family(&words) && said.does_like(&words))
        {
            Some(said) => {
                said.kinds.extend(words.kinds);
                said.corners.extend(words.corners);
                said.corners.sort_unstable();
                said.corners.dedup();
            }
            None => all.push(words),
        }
    }
    for words in &mut all {
        words.kinds = joined(std::mem::take(&mut words.kinds));
        words.traffic = words.kinds.iter().map(ToString::to_string).collect();
    }
    all.sort_by_key(|difference| {
        (difference.of_a_proxy, !difference.corners.is_empty(), difference.change)
    });
    Ok(Comparison { ways: all, and_more: found.and_more })
}

/// The users and groups that rules name one by one, who may be the proxy.
fn named(rulesets: &[&Ruleset]) -> Proxies {
    let mut proxies = Proxies { are_named: true, ..Proxies::default() };
    let tables = rulesets.iter().flat_map(|ruleset| &ruleset.tables);
    let rules = tables.flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    for when in rules.flat_map(|rule| &rule.when) {
        if let Match::Owner { owner, is: OwnerIs::In(ids) | OwnerIs::NotIn { ids, .. } } = when {
            let ids = ids.iter().filter(|(first, last)| first == last).map(|(id, _)| *id);
            match owner {
                Owner::User => proxies.users.extend(ids),
                Owner::Group => proxies.groups.extend(ids),
            }
        }
    }
    proxies
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
    [(Topic::User, &owners.users), (Topic::Group, &owners.groups)].iter().any(|(topic, ids)| {
        let of = traffic.word(*topic).filter(|word| !word.not);
        let is_one = |value: &String| value.parse().is_ok_and(|id| ids.contains(&id));
        of.is_some_and(|word| word.values.iter().all(is_one))
    })
}

impl DifferenceWords {
    /// Whether it tells of ordinary packets, or of all alike.
    #[must_use]
    pub fn is_ordinary(&self) -> bool {
        self.corners.is_empty()
    }

    /// Whether these are packets of another family at the same hook.
    fn is_of_another_family(&self, other: &Self) -> bool {
        let pairs = self.kinds.iter().flat_map(|one| other.kinds.iter().map(move |two| (one, two)));
        let mut pairs =
            pairs.map(|(one, two)| (one.hook == two.hook, (one.families, two.families)));
        pairs.all(|(is_there, families)| {
            let is_another = matches!(
                families,
                (Families::Ipv4, Families::Ipv6) | (Families::Ipv6, Families::Ipv4)
            );
            is_there && is_another
        })
    }

    /// Whether both sides do here what they do there.
    fn does_like(&self, other: &Self) -> bool {
        let does = |words: &Explanation| (words.outcome.clone(), words.also.clone());
        self.and_more == other.and_more
            && self.of_a_proxy == other.of_a_proxy
            && self.is_ordinary() == other.is_ordinary()
            && self.reached == other.reached
            && self.supposes == other.supposes
            && does(&self.left) == does(&other.left)
            && does(&self.right) == does(&other.right)
    }
}
