//! Proofs that a text that is about to be written means what its policy means.

use crate::diag::{Diagnostic, Problem};
use crate::explain::{Treatment, origin};
use crate::ir::Ruleset;
use crate::lower::{Layout, Lowered, lower, questions};
use crate::net::Family;
use crate::policy::{Expectation, Expected, Policy, Setting};
use crate::reader;
use crate::semantics::{Outcome, compare, find, run};

/// Proves that libnftables JSON treats every packet as `meaning` does. `target` is what the
/// diagnostic calls the text.
///
/// # Errors
///
/// `E402`, if it does not, or if it cannot be read back.
pub(crate) fn json(meaning: &Ruleset, text: &str, target: &'static str) -> Result<(), Diagnostic> {
    let options = reader::nft_json::Options::default();
    let read = reader::nft_json::read(text, &options).map_err(|errors| first(&errors));
    prove(meaning, read, target)
}

/// Proves that text for iptables-restore treats every packet of `family` as `meaning` does.
///
/// # Errors
///
/// `E402`, if it does not, or if it cannot be read back.
pub(crate) fn iptables(meaning: &Ruleset, family: Family, text: &str) -> Result<(), Diagnostic> {
    let options = reader::iptables::Options::default();
    let (v4, v6, target) = match family {
        Family::Ipv4 => (Some(text), None, "the text for iptables-restore"),
        Family::Ipv6 => (None, Some(text), "the text for ip6tables-restore"),
    };
    let read = reader::iptables::read(v4, v6, &options).map_err(|errors| first(&errors));
    prove(&meaning.only(family), read, target)
}

fn first<E: ToString>(errors: &[E]) -> String {
    errors.first().map_or_else(String::new, E::to_string)
}

fn prove(
    meaning: &Ruleset,
    read: Result<Ruleset, String>,
    target: &'static str,
) -> Result<(), Diagnostic> {
    let written = read.map_err(|why| Problem::NotProved { target, why }.of(None))?;
    let Some(difference) = compare(meaning, &written).into_iter().next() else { return Ok(()) };
    let packet = &difference.packet;
    let why = format!("`{packet}` must be {}, and would be {}", difference.left, difference.right);
    let way = run(meaning, packet).trace;
    let clause = way.iter().rev().find_map(|step| step.rule.origin.clause);
    Err(Problem::NotProved { target, why }.of(clause))
}

/// Proves what `policy` expects, for all packets; what does not hold.
pub(crate) fn expectations(policy: &Policy) -> Vec<Diagnostic> {
    if policy.expectations.is_empty() {
        return Vec::new();
    }
    let meaning = lower(policy, Layout::Upstream);
    let broken = |expected| broken(policy, &meaning, expected);
    policy.expectations.iter().filter_map(broken).collect()
}

fn broken(
    policy: &Policy,
    lowered: &Lowered,
    expected: &Setting<Expectation>,
) -> Option<Diagnostic> {
    let meaning = &lowered.ruleset;
    let breaks = |outcome: &Outcome| match (expected.becomes, Treatment::of(outcome)) {
        (Expected::Untouched, treatment) => treatment != Treatment::Untouched,
        (Expected::Dropped, treatment) => treatment != Treatment::Dropped,
        (Expected::Proxy(port), treatment) => treatment.port() != Some(port),
    };
    let packet = questions(lowered, expected)
        .iter()
        .find_map(|question| find(meaning, question.hook, &question.when, breaks))?;
    let run = run(meaning, &packet);
    let becomes = lowered.ports.words(Treatment::of(&run.outcome));
    let problem = Problem::Unmet {
        policy: policy.name.as_str().into(),
        expected: expected.becomes.to_string().into(),
        packet: packet.to_string().into(),
        becomes: becomes.trim_start_matches("captured: ").into(),
    };
    let origin = origin(&run);
    let rung = origin.map(|origin| format!("{} {}", origin.rung.number(), origin.rung.title()));
    let rung = rung.unwrap_or_else(|| "no rung fits".to_owned());
    Some(match (expected.clause, origin.and_then(|origin| origin.clause)) {
        (Some(at), Some(clause)) => problem.at(at, "").also(clause, rung),
        (Some(at), None) => problem.at(at, format!("by default: {rung}")),
        (None, clause) => problem.of(clause),
    })
}
