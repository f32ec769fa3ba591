//! What has become of a text that an earlier version of a policy was compiled to.
//!
//! A text is compared by what it means: it is read back, as everything is that weir writes, and held
//! against the policy for all packets.

use serde::Serialize;

use crate::explain::{ClauseWords, Context, DifferenceWords, differences};
use crate::ir::{Action, Ruleset, to_iptables_chain};
use crate::lower::{Layout, Lowered, lower};
use crate::net::Family;
use crate::policy::Policy;
use crate::semantics::{Comparison, Difference, Limit, compare_beside};
use crate::syntax::NoIncludes;
use crate::{Compilation, Options, View, compile, reader};

/// What a text means beside what the policy means now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Since {
    /// The same: proved for every packet, alone and beside the rules of others. Of a policy, also in
    /// what it asks of routing, claims and expects.
    Same,
    /// Something else.
    Other {
        /// The ways in which packets fare otherwise now, captures first; never empty.
        ways: Vec<Way>,
        /// Whether there are more.
        and_more: bool,
    },
    /// It is not known, or not all of it.
    Unknown {
        /// Why, and what is known: `nothing reads this view back`.
        why: String,
    },
}

/// Packets that fare otherwise now, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Way {
    /// `no longer captured: redirected to the outbound proxy port 15001 → untouched`.
    pub words: String,
    /// For which packets, in kinds. Both families are meant where none is named.
    pub traffic: Vec<String>,
    /// Whether there are more than those.
    pub and_more: bool,
    /// A packet that shows it, where it begins its way.
    pub packet: String,
    /// Whether that packet really gets there.
    pub reached: bool,
    /// What becomes of it by the text.
    pub before: String,
    /// What becomes of it by the policy.
    pub after: String,
    /// What that supposes about chains that tie, of which no text tells.
    pub supposes: Vec<String>,
    /// The clause of the policy that decides now; `None` if a default does.
    pub clause: Option<ClauseWords>,
}

/// Most ways that are told, and most kinds of packets of each.
const MOST: usize = 8;
const MOST_TRAFFIC: usize = 4;

impl Compilation {
    /// What `before`, a text of `view` that some version of the policy was compiled to, means beside
    /// what `policy` means now.
    ///
    /// Scripts, JSON and text for iptables are compared for all packets, policies by all that they
    /// say. Nothing reads the other views back.
    #[must_use]
    pub fn since(&self, policy: &Policy, view: View, before: &str) -> Since {
        let shared = matches!(view, View::Iptables(_));
        let read = match view {
            View::Policy => return self.since_policy(policy, before),
            View::Nft | View::Json => read_nft(policy, view, before),
            View::Iptables(family) => read_iptables(policy, family, before),
            View::Ir | View::Routing | View::RoutingBatch(_) | View::Teardown => {
                return Since::unknown("nothing reads this view back");
            }
        };
        let proof = self.prove(&[policy], view, before);
        if proof.is_ok() {
            return Since::Same;
        }
        let old = match read {
            Ok(old) => old,
            Err(why) => return Since::unknown(format!("it cannot be read exactly: {why}")),
        };
        let meaning = lower(policy, Layout::Upstream).ruleset;
        let new = match view {
            View::Iptables(family) => meaning.only(family),
            _ => meaning,
        };
        let told = self.told(policy, &old, &new, shared);
        told.unwrap_or_else(|| {
            let why = proof.err().and_then(|found| found.first().map(|it| it.problem.to_string()));
            let why = why.unwrap_or_default();
            Since::unknown(format!("every packet fares the same, but {why}"))
        })
    }

    /// As what packets fare otherwise; `None` if none does.
    fn told(&self, policy: &Policy, old: &Ruleset, new: &Ruleset, shared: bool) -> Option<Since> {
        // What holds whether chains of others give a packet back or not holds for all that they do.
        let has_others = [old, new].iter().any(|rules| !rules.others().is_empty());
        let elsewhere = has_others.then_some(Action::Redirect { port: 0 });
        for then in std::iter::once(Action::Return).chain(elsewhere) {
            let [old, new] = [old, new].map(|rules| rules.with_others_doing(&then));
            match self.told_alone(policy, &old, &new, shared) {
                Ok(None) => {}
                Ok(Some(since)) => return Some(since),
                Err(limit) => return Some(Since::unknown(limit.to_string())),
            }
        }
        None
    }

    fn told_alone(
        &self,
        policy: &Policy,
        old: &Ruleset,
        new: &Ruleset,
        shared: bool,
    ) -> Result<Option<Since>, Limit> {
        let before = Context { is_iptables: shared, ..Context::default() };
        let after = Context { policy: Some(policy), sources: Some(&self.sources), ..before };
        let Comparison { ways, and_more } = differences((old, &before), (new, &after))?;
        if !ways.is_empty() {
            let mut ways = joined(ways.into_iter().map(Way::of));
            let and_more = and_more || ways.len() > MOST;
            ways.truncate(MOST);
            return Ok(Some(Since::Other { ways, and_more }));
        }
        let beside = compare_beside(old, new, shared)?;
        let ways: Vec<Way> = beside
            .into_iter()
            .take(1)
            .map(|(base, difference)| {
                let place = format!("{} and priority {}", base.hook.name(), base.priority);
                Way::beside(&place, difference)
            })
            .collect();
        Ok((!ways.is_empty()).then_some(Since::Other { ways, and_more: false }))
    }

    fn since_policy(&self, policy: &Policy, before: &str) -> Since {
        // It was printed, so that it has numbers and no names, and includes nothing.
        let options = Options { verify: false, ..Options::default() };
        let compiled = compile("before.weir", before, &NoIncludes, &options);
        let Ok(Compilation { policies, .. }) = compiled else {
            return Since::unknown("it is no policy any longer");
        };
        let [old] = &policies[..] else {
            return Since::unknown("it is not one policy");
        };
        let (was, is) = (lower(old, Layout::Upstream), lower(policy, Layout::Upstream));
        if let Some(since) = self.told(policy, &was.ruleset, &is.ruleset, false) {
            return since;
        }
        let expects = |policy: &Policy| {
            let mut words: Vec<_> = policy.expectations.iter().map(|it| it.words()).collect();
            words.sort();
            words
        };
        let claims = |of: &Lowered| of.claims.iter().map(|claim| claim.what).collect::<Vec<_>>();
        let others: Vec<&str> = [
            (old.name != policy.name, "in its name"),
            (was.families != is.families, "in the families that it governs"),
            (was.host != is.host, "in what it asks of routing"),
            (claims(&was) != claims(&is), "in the marks and tables that it takes for itself"),
            (expects(old) != expects(policy), "in what it expects"),
        ]
        .into_iter()
        .filter_map(|(differs, what)| differs.then_some(what))
        .collect();
        if others.is_empty() {
            return Since::Same;
        }
        Since::unknown(format!("every packet fares the same; it differs {}", others.join(" and ")))
    }
}

/// Ways by what becomes of packets: of several with the same words, one, which tells something of
/// each.
fn joined(all: impl Iterator<Item = Way>) -> Vec<Way> {
    let mut ways: Vec<Way> = Vec::new();
    let mut left: Vec<std::vec::IntoIter<String>> = Vec::new();
    for mut way in all {
        let mut traffic = std::mem::take(&mut way.traffic).into_iter();
        way.traffic.extend(traffic.next());
        let known = ways.iter_mut().zip(&mut left).find(|(known, _)| {
            (&known.words, &known.supposes, known.reached)
                == (&way.words, &way.supposes, way.reached)
        });
        if let Some((known, rest)) = known {
            known.traffic.append(&mut way.traffic);
            known.and_more |= way.and_more;
            *rest = rest.by_ref().chain(traffic).collect::<Vec<_>>().into_iter();
        } else {
            ways.push(way);
            left.push(traffic);
        }
    }
    for (way, rest) in ways.iter_mut().zip(left) {
        way.traffic.extend(rest);
        way.and_more |= way.traffic.len() > MOST_TRAFFIC;
        way.traffic.truncate(MOST_TRAFFIC);
    }
    ways
}

impl Since {
    fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { why: why.into() }
    }
}

impl Way {
    fn of(words: DifferenceWords) -> Self {
        let DifferenceWords {
            change, traffic, and_more, packet, begins, reached, supposes, ..
        } = words;
        let (before, after) = (words.left.words(), words.right.words());
        Self {
            words: format!("{}: {before} → {after}", change.words()),
            traffic,
            and_more,
            packet: begins.unwrap_or(packet),
            reached,
            before,
            after,
            supposes,
            clause: words.right.clause,
        }
    }

    fn beside(place: &str, difference: Difference) -> Self {
        let Difference { packet, left, right, supposes } = difference;
        let (before, after) = (left.to_string(), right.to_string());
        let what = if before == after {
            "the rest of a chain that others share is left out on one side only".to_owned()
        } else {
            format!("{before} → {after}")
        };
        Self {
            words: format!("beside other chains at {place}: {what}"),
            traffic: Vec::new(),
            and_more: false,
            packet: packet.to_string(),
            reached: true,
            before,
            after,
            supposes,
            clause: None,
        }
    }
}

fn read_nft(policy: &Policy, view: View, text: &str) -> Result<Ruleset, String> {
    let sets = lower(policy, Layout::Upstream).ruleset.tables.into_iter().flat_map(|it| it.sets);
    let filled = sets.map(|set| set.name.to_string()).collect();
    let options = reader::nft::Options { filled, ..reader::nft::Options::default() };
    let read = if view == View::Json { reader::nft::json } else { reader::nft::script };
    read(text, &options).map_err(|errors| first(&errors))
}

fn read_iptables(policy: &Policy, family: Family, text: &str) -> Result<Ruleset, String> {
    let meaning = lower(policy, Layout::Upstream).ruleset;
    let others = meaning.others().into_iter().map(|chain| to_iptables_chain(chain.as_str()));
    let options = reader::iptables::Options {
        only_appended: true,
        others: others.collect(),
        ..reader::iptables::Options::default()
    };
    let (v4, v6) = match family {
        Family::Ipv4 => (Some(text), None),
        Family::Ipv6 => (None, Some(text)),
    };
    reader::iptables::read(v4, v6, &options).map_err(|errors| first(&errors))
}

fn first<E: ToString>(errors: &[E]) -> String {
    errors.first().map(ToString::to_string).unwrap_or_default()
}
