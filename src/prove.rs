//! Proofs that a text that is about to be written means what its policy means.

use crate::diag::{Diagnostic, Problem};
use crate::ir::Ruleset;
use crate::net::Family;
use crate::reader;
use crate::semantics::{compare, run};

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
