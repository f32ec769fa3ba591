//! Proofs that a text that is about to be written means what its policy means.

use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::nft::Legal;
use crate::diag::{Diagnostic, Problem};
use crate::explain::{Ports, Treatment, origin};
use crate::ir::{AddressSet, Base, Ruleset, Table};
use crate::lower::{Layout, lower, questions};
use crate::net::{Families, Family, Name};
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

/// What a text for nft has to be.
pub(crate) struct Wanted<'a> {
    /// What the policies mean.
    pub(crate) meaning: Ruleset,
    /// The rules as they were to be written.
    pub(crate) legal: &'a Legal,
    /// Every table that may be touched.
    pub(crate) owned: &'a [Name],
    /// The oldest nft that has to load it.
    pub(crate) target: Target,
}

/// The rulesets that were last proved to treat all packets alike: script and JSON of a policy are the
/// same rules, and equal rules need no second proof.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proved(Arc<Mutex<Option<(Ruleset, Ruleset)>>>);

impl Proved {
    fn has(&self, meaning: &Ruleset, written: &Ruleset) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().is_some_and(|(left, right)| left == meaning && right == written)
    }

    fn keep(&self, meaning: Ruleset, written: Ruleset) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((meaning, written));
    }
}

/// Proves that a text for nft, as a transaction, leaves what treats every packet as the policies mean,
/// in the same base chains as it was to be written, whatever was in their tables before, and that it
/// touches no other tables.
///
/// # Errors
///
/// `E402`, if it does not, or if it cannot be read back.
pub(crate) fn nft(
    wanted: Wanted<'_>,
    (spelling, text): (Nft, &str),
    proved: &Proved,
) -> Result<(), Diagnostic> {
    let (read, target): (reader::nft::Reader, _) = match spelling {
        Nft::Script => (nft::text::read, "the nft script"),
        Nft::Json => (nft::json::read, "the nft JSON"),
    };
    let refuse = |why| Problem::NotProved { target, why }.of(None);
    let written = reader::nft::settled(text, read, wanted.owned, wanted.target).map_err(refuse)?;
    let legal = wanted.legal.ruleset();
    if written != *legal && frame(&written) != frame(legal) {
        let why = "its tables, sets or base chains are not those of the policy".to_owned();
        return Err(refuse(why));
    }
    if !proved.has(&wanted.meaning, &written) {
        prove(&wanted.meaning, &written, target)?;
        proved.keep(wanted.meaning, written);
    }
    Ok(())
}

/// Tables and sets, and where the kernel enters: what others meet of a ruleset.
type Frame<'r> = Vec<(&'r Name, Families, &'r [AddressSet], Vec<(&'r Name, Base)>)>;

fn frame(ruleset: &Ruleset) -> Frame<'_> {
    let tables = ruleset.tables.iter();
    tables.map(|table| (&table.name, table.families, &*table.sets, bases(table))).collect()
}

fn bases(table: &Table) -> Vec<(&Name, Base)> {
    table.chains.iter().filter_map(|chain| Some((&chain.name, chain.base?))).collect()
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
    let read = reader::iptables::read(v4, v6, &options).map_err(|errors| {
        let why = errors.first().map_or_else(String::new, ToString::to_string);
        Problem::NotProved { target, why }.of(None)
    })?;
    prove(&meaning.only(family), &read, target)
}

fn prove(meaning: &Ruleset, written: &Ruleset, target: &'static str) -> Result<(), Diagnostic> {
    let Some(difference) = compare(meaning, written).into_iter().next() else { return Ok(()) };
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
