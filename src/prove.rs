//! Proofs that a text that is about to be written means what its policy means.

use crate::backend::nft::Legal;
use crate::diag::{Diagnostic, Problem};
use crate::explain::{Ports, Treatment, origin};
use crate::ir::Ruleset;
use crate::lower::{Layout, lower, questions};
use crate::net::{Family, Name};
use crate::nft::{self, Target};
use crate::policy::{Expectation, Expected, Policy, Setting};
use crate::reader;
use crate::semantics::{Outcome, compare, find, run};

/// A spelling of nft.
#[derive(Clone, Copy)]
pub(crate) enum Nft {
    /// A script.
    Script,
    /// libnftables JSON.
    Json,
}

/// Proves that a text for nft, as a transaction, makes of the tables in `owned` what treats every
/// packet as `meaning` does, whatever was in them before, and touches no others. `legal` is what was
/// written; `target` has to load it.
///
/// # Errors
///
/// `E402`, if it does not, or if it cannot be read back.
pub(crate) fn nft(
    meaning: &Ruleset,
    legal: &Legal,
    (spelling, text): (Nft, &str),
    owned: &[Name],
    target: Target,
) -> Result<(), Diagnostic> {
    let (read, name): (reader::nft::Reader, _) = match spelling {
        Nft::Script => (nft::text::read, "the nft script"),
        Nft::Json => (nft::json::read, "the nft JSON"),
    };
    let read = reader::nft::settled(text, read, owned, target);
    // Equal rules treat all packets alike, and origins do not count.
    let read =
        read.map(|read| if read == *legal.ruleset() { legal.ruleset().clone() } else { read });
    prove(meaning, read, name)
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
    meaning: &Ruleset,
    expected: &Setting<Expectation>,
) -> Option<Diagnostic> {
    let breaks = |outcome: &Outcome| match (expected.becomes, Treatment::of(outcome)) {
        (Expected::Untouched, treatment) => treatment != Treatment::Untouched,
        (Expected::Dropped, treatment) => treatment != Treatment::Dropped,
        (Expected::Proxy(port), treatment) => treatment.port() != Some(port),
    };
    let packet = questions(policy, expected)
        .iter()
        .find_map(|question| find(meaning, question.hook, &question.when, breaks))?;
    let run = run(meaning, &packet);
    let becomes = Ports::of(policy).words(Treatment::of(&run.outcome));
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
