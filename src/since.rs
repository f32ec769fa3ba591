//! What has become of a text that an earlier version of a policy was compiled to.
//!
//! A text is compared by what it means: it is read back, as everything is that weir writes, and held
//! against the policy for all packets.

mod named;

use serde::Serialize;

use crate::backend::dump::Words;
use crate::explain::{ClauseWords, Context, DifferenceWords, Ports, Treatment, differences};
use crate::ir::{Action, Ruleset};
use crate::lower::{Lowered, lower};
use crate::policy::Policy;
use crate::semantics::{Comparison, Difference, Limit, Question, compare_beside, first_difference};
use crate::syntax::NoIncludes;
use crate::{Compilation, Options, View, compile, prove, reader};

/// What a text means beside what the policy means now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
#[non_exhaustive]
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
#[non_exhaustive]
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

/// How much is told of what means something else. Whether it does is decided in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// All ways, and which packets.
    Everything,
    /// One packet, in about half of the time: for the many that nobody reads.
    OnePacket,
}

impl Compilation {
    /// What `before`, a text of `view` that some version of the policy was compiled to, means beside
    /// what `policy` means now.
    ///
    /// Scripts, JSON and text for iptables are compared for all packets, policies by all that they
    /// say, and commands for routing and teardown by what they leave behind. Nothing reads the ruleset
    /// in words back.
    ///
    /// ```
    /// use netweir::{Options, Since, Telling, View, compile, syntax::NoIncludes};
    ///
    /// let text = |port: u16| format!("sidecar web {{ outbound {{ exclude port {port} }} }}");
    /// let compiled = |text: &str| compile("web.weir", text, &NoIncludes, &Options::default());
    /// let (was, is) = (compiled(&text(25)).unwrap(), compiled(&text(26)).unwrap());
    ///
    /// let golden = was.emit(&was.policies[0], View::Nft).unwrap();
    /// let since = is.since(&is.policies[0], View::Nft, &golden, Telling::OnePacket);
    /// let Since::Other { ways, .. } = since else { panic!() };
    /// assert_eq!(ways[0].words, "untouched → redirected to the outbound proxy port 15001");
    /// ```
    #[must_use]
    pub fn since(&self, policy: &Policy, view: View, before: &str, telling: Telling) -> Since {
        let meaning = || lower(policy).ruleset;
        match view {
            View::Policy => self.since_policy(policy, before, telling),
            View::Nft | View::Json => self.since_rules(policy, (view, before), telling, || {
                Ok([read_nft(policy, view, before)?, meaning()])
            }),
            View::Iptables(family) => self.since_rules(policy, (view, before), telling, || {
                let meaning = meaning();
                Ok([prove::read_iptables(&meaning, family, before)?, meaning.only(family)])
            }),
            View::IptablesScript | View::Routing | View::RoutingBatch(_) | View::Teardown => {
                match self.prove(&[policy], view, before) {
                    Ok(()) => Since::Same,
                    Err(unproved) => {
                        let why =
                            unproved.diagnostics.first().map(|found| found.problem.to_string());
                        Since::unknown(why.unwrap_or_default())
                    }
                }
            }
            View::Ir => Since::unknown("nothing reads this view back"),
        }
    }

    fn since_rules(
        &self,
        policy: &Policy,
        (view, before): (View, &str),
        telling: Telling,
        both: impl FnOnce() -> Result<[Ruleset; 2], String>,
    ) -> Since {
        if self.is_proved(policy, view, before) {
            return Since::Same;
        }
        let [old, new] = match both() {
            Ok(both) => both,
            Err(why) => return Since::unknown(format!("it cannot be read exactly: {why}")),
        };
        let shared = matches!(view, View::Iptables(_));
        self.told(policy, [&old, &new], shared, telling).unwrap_or_else(|| {
            // What the proof asks beside packets: how the text replaces what is loaded.
            let unproved = self.prove(&[policy], view, before).err();
            let unproved = unproved.as_ref().and_then(|failure| failure.diagnostics.first());
            let why = unproved.map(|found| found.problem.to_string()).unwrap_or_default();
            Since::unknown(format!("every packet is treated the same, but {why}"))
        })
    }

    /// As what packets fare otherwise; `None` if none does.
    fn told(
        &self,
        policy: &Policy,
        [old, new]: [&Ruleset; 2],
        shared: bool,
        telling: Telling,
    ) -> Option<Since> {
        // What holds whether chains of others give a packet back or not holds for all that they do.
        let has_others = [old, new].iter().any(|rules| !rules.others().is_empty());
        let elsewhere = has_others.then_some(Action::Redirect { port: 0 });
        for then in std::iter::once(Action::Return).chain(elsewhere) {
            let [old, new] = [old, new].map(|rules| rules.with_others_doing(&then));
            match self.told_alone(policy, [&old, &new], shared, telling) {
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
        [old, new]: [&Ruleset; 2],
        shared: bool,
        telling: Telling,
    ) -> Result<Option<Since>, Limit> {
        if telling == Telling::OnePacket {
            let found = named::difference(old, new);
            if let Some(difference) =
                found.map_or_else(|| first_difference(old, new), |it| Ok(Some(it)))?
            {
                let ways = vec![Way::found("", difference, policy)];
                return Ok(Some(Since::Other { ways, and_more: true }));
            }
            return Self::told_beside(policy, [old, new], shared);
        }
        let before = Context { is_iptables: shared, ..Context::default() };
        let after = Context { policy: Some(policy), sources: Some(&self.sources), ..before };
        let Comparison { ways, and_more } =
            differences((old, &before), (new, &after), Question::default())?;
        if !ways.is_empty() {
            let ways = ways.into_iter().map(|way| (!way.is_ordinary(), Way::of(way)));
            let mut ways = joined(ways);
            let and_more = and_more || ways.len() > MOST;
            ways.truncate(MOST);
            return Ok(Some(Since::Other { ways, and_more }));
        }
        Self::told_beside(policy, [old, new], shared)
    }

    /// As a packet that fares otherwise beside others; `None` if none does.
    fn told_beside(
        policy: &Policy,
        [old, new]: [&Ruleset; 2],
        shared: bool,
    ) -> Result<Option<Since>, Limit> {
        let found = compare_beside(old, new, shared)?.into_iter().next();
        Ok(found.map(|(base, difference)| {
            let (hook, priority) = (base.hook.name(), base.priority);
            let place = format!("beside other chains at {hook} and priority {priority}: ");
            Since::Other { ways: vec![Way::found(&place, difference, policy)], and_more: false }
        }))
    }

    fn since_policy(&self, policy: &Policy, before: &str, telling: Telling) -> Since {
        // It was printed, so that it has numbers and no names, and includes nothing.
        let options = Options { verify: false, ..Options::default() };
        let compiled = compile("before.weir", before, &NoIncludes, &options);
        let Ok(Compilation { policies, .. }) = compiled else {
            return Since::unknown("it is no policy any longer");
        };
        let [old] = &policies[..] else {
            return Since::unknown("it is not one policy");
        };
        let (was, is) = (lower(old), lower(policy));
        if let Some(since) = self.told(policy, [&was.ruleset, &is.ruleset], false, telling) {
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
        Since::unknown(format!(
            "every packet is treated the same; it differs {}",
            others.join(" and ")
        ))
    }
}

/// Ways by what becomes of packets, each with whether it is of corners only: of several with the same words,
/// one, which tells something of each.
fn joined(all: impl Iterator<Item = (bool, Way)>) -> Vec<Way> {
    let mut ways: Vec<Way> = Vec::new();
    let mut left: Vec<std::vec::IntoIter<String>> = Vec::new();
    for (is_corner, mut way) in all {
        let mut traffic = std::mem::take(&mut way.traffic).into_iter();
        way.traffic.extend(traffic.next());
        if is_corner && let Some(known) = ways.iter_mut().find(|known| known.words == way.words) {
            // What is true of ordinary packets says enough of others.
            known.and_more = true;
            continue;
        }
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

    /// What a packet shows, at a place that is said first.
    fn found(place: &str, difference: Difference, policy: &Policy) -> Self {
        let Difference { packet, left, right, supposes } = difference;
        let ports = lower(policy).ports;
        let [was, is] = [&left, &right].map(Treatment::of);
        let (mut before, mut after) = (Ports::default().words(&was), ports.words(&is));
        if was == is {
            // They differ in marks or zones, or nothing but where the chain is left.
            (before, after) = (left.to_string(), right.to_string());
        }
        let [before, after] =
            [before, after].map(|words| words.trim_start_matches("captured: ").to_owned());
        let what = if before == after {
            "the rest of a chain that others share is left out on one side only".to_owned()
        } else {
            format!("{before} → {after}")
        };
        Self {
            words: format!("{place}{what}"),
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
    let sets = lower(policy).ruleset.tables.into_iter().flat_map(|it| it.sets);
    let filled = sets.map(|set| set.name.to_string()).collect();
    let options = reader::nft::Options { filled, ..reader::nft::Options::default() };
    let read = if view == View::Json { reader::nft::json } else { reader::nft::script };
    let ruleset = read(text, &options).map_err(|errors| first(&errors))?.ruleset;
    let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
    match chains.flat_map(|chain| &chain.rules).find(|rule| rule.is_opaque()) {
        Some(rule) => Err(format!("no policy is written so: {}", Words(rule))),
        None => Ok(ruleset),
    }
}

fn first<E: ToString>(errors: &[E]) -> String {
    errors.first().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Since, Telling};
    use crate::net::Family;
    use crate::syntax::NoIncludes;
    use crate::{Options, View, compile};

    /// What is said of the text of a policy in which `to` stands for `from`.
    fn since(view: View, from: &str, to: &str, telling: Telling) -> Since {
        let text = "sidecar s { outbound { exclude port 25 } }";
        let compilation = compile("s.weir", text, &NoIncludes, &Options::default()).unwrap();
        let policy = &compilation.policies[0];
        let text = compilation.emit(policy, view).unwrap();
        assert!(text.contains(from), "{text}");
        compilation.since(policy, view, &text.replace(from, to), telling)
    }

    #[test]
    fn a_text_is_judged_by_what_it_means() {
        let iptables = View::Iptables(Family::Ipv4);
        for telling in [Telling::Everything, Telling::OnePacket] {
            for (view, from, to) in [
                (View::Nft, "passthrough", "left alone"),
                (View::Nft, "counter ", ""),
                (View::Json, "\"counter\":null", "\"counter\":{\"packets\":1,\"bytes\":2}"),
                (iptables, "--dport 25 ", "--dport 25:25 "),
                (View::Policy, "  family ipv4, ipv6\n", "  # both\n\n"),
            ] {
                assert_eq!(since(view, from, to, telling), Since::Same, "{from} {to}");
            }
            for (view, from, to) in [
                (View::Nft, "dport 25 ", "dport 26 "),
                (View::Json, "\"right\":25}", "\"right\":26}"),
                (iptables, "--dport 25 ", "--dport 26 "),
                (View::Policy, "exclude port 25", "exclude port 26"),
            ] {
                let found = since(view, from, to, telling);
                let Since::Other { ways, .. } = found else { panic!("{from} {to}: {found:?}") };
                assert!(
                    ways[0].packet.contains(":25 ") || ways[0].packet.contains(":26 "),
                    "{ways:?}"
                );
            }
            for (view, from, to, said) in [
                (View::Nft, "delete table ip6 istio-proxy-nat\n", "\n", "is treated the same, but"),
                (View::Nft, "th dport 25", "th dport ssh", "cannot be read exactly"),
                (iptables, "-A OUTPUT", "-I OUTPUT", "cannot be read exactly"),
                (View::Policy, "sidecar", "side", "no policy any longer"),
                (View::Policy, "sidecar s", "sidecar t", "it differs in its name"),
                (View::Ir, "untouched", "left alone", "nothing reads this view back"),
            ] {
                match since(view, from, to, telling) {
                    Since::Unknown { why } => assert!(why.contains(said), "{from} {to}: {why}"),
                    other => panic!("{from} {to}: {other:?}"),
                }
            }
        }
    }
}
