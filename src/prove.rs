//! Proofs that a text that is about to be written means what its policy means.

pub(crate) mod host;
mod members;
mod needs;
pub(crate) mod update;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::nft::Legal;
use crate::diag::{Diagnostic, Problem};
use crate::explain::{Treatment, origin};
use crate::ip::iptables::replaced;
use crate::ir::{Action, AddressSet, Base, Ruleset, Table, to_iptables_chain};
use crate::lower::{Lowered, questions};
use crate::net::{Families, Family, Name};
use crate::nft::{self, Target};
use crate::policy::{Expectation, Expected, Policy, Setting};
use crate::reader;
use crate::semantics::{
    Difference, Limit, Outcome, Packet, Run, Translation, are_alike, compare_beside, find,
    first_difference, order_dependent, run,
};

pub(crate) use members::members;

/// A spelling of nft.
#[derive(Clone, Copy)]
pub(crate) enum Nft {
    /// A script.
    Script,
    /// libnftables JSON.
    Json,
}

impl Nft {
    /// What reads it, and what messages call it.
    fn reader(self) -> (reader::nft::Reader, &'static str) {
        match self {
            Self::Script => (nft::text::read, "the nft script"),
            Self::Json => (nft::json::read, "the nft JSON"),
        }
    }
}

/// What a text for nft has to be.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The policies.
    pub(crate) policies: &'a [&'a Policy],
    /// What they mean where all of them are loaded.
    pub(crate) meaning: fn(&[&Policy]) -> Ruleset,
    /// The rules as they were to be written.
    pub(crate) legal: &'a Legal,
    /// Every table that may be touched.
    pub(crate) owned: &'a [Name],
    /// The oldest nft that has to load it.
    pub(crate) target: Target,
}

/// What was last proved to treat all packets as policies mean: script and JSON of a policy are the
/// same rules, and equal rules need no second proof.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proved(Arc<Mutex<Option<Last>>>);

/// What was proved last.
#[derive(Debug)]
struct Last {
    policies: Vec<Policy>,
    written: Ruleset,
}

impl Proved {
    fn has(&self, policies: &[&Policy], written: &Ruleset) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().is_some_and(|last| {
            last.policies.iter().eq(policies.iter().copied()) && last.written == *written
        })
    }

    fn keep(&self, policies: &[&Policy], written: Ruleset) {
        let policies = policies.iter().copied().cloned().collect();
        let last = Last { policies, written };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
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
    let (_, target) = spelling.reader();
    let refuse = |why| Problem::NotProved { target, why }.of(None);
    let written = framed(&wanted, (spelling, text)).map_err(refuse)?;
    if !proved.has(wanted.policies, &written) {
        prove(&(wanted.meaning)(wanted.policies), &written, target, false)?;
        proved.keep(wanted.policies, written);
    }
    Ok(())
}

/// Whether [`nft`] proves the text, which is known earlier than why it does not.
pub(crate) fn is_nft(wanted: Wanted<'_>, text: (Nft, &str), proved: &Proved) -> bool {
    framed(&wanted, text).is_ok_and(|written| {
        proved.has(wanted.policies, &written)
            || holds(&(wanted.meaning)(wanted.policies), &written, false)
    })
}

/// What a text for nft leaves, if that has the tables, sets and base chains that it was to have.
fn framed(wanted: &Wanted<'_>, (spelling, text): (Nft, &str)) -> Result<Ruleset, String> {
    let (read, _) = spelling.reader();
    let written = reader::nft::settled(text, read, wanted.owned, wanted.target)?;
    let legal = wanted.legal.ruleset();
    if written != *legal && frame(&written) != frame(legal) {
        return Err("its tables, sets or base chains are not those of the policy".to_owned());
    }
    Ok(written)
}

/// Whether two rulesets have the same tables, sets and base chains, in whatever order of tables.
#[cfg(feature = "host")]
pub(crate) fn have_one_frame(one: &Ruleset, other: &Ruleset) -> bool {
    let sorted = |ruleset| {
        let mut frame = frame(ruleset);
        frame.sort_by_key(|(name, families, ..)| (*name, Family::ALL.map(|it| families.has(it))));
        frame
    };
    sorted(one) == sorted(other)
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
    let target = match family {
        Family::Ipv4 => "the text for iptables-restore",
        Family::Ipv6 => "the text for ip6tables-restore",
    };
    let read = read_iptables(meaning, family, text)
        .map_err(|why| Problem::NotProved { target, why }.of(None))?;
    prove(&meaning.only(family), &read, target, true)
}

/// Whether [`iptables`] proves the text.
pub(crate) fn is_iptables(meaning: &Ruleset, family: Family, text: &str) -> bool {
    read_iptables(meaning, family, text).is_ok_and(|read| holds(&meaning.only(family), &read, true))
}

/// What text for iptables-restore that was made of `meaning` says.
///
/// # Errors
///
/// The first thing in it that cannot be read.
pub(crate) fn read_iptables(
    meaning: &Ruleset,
    family: Family,
    text: &str,
) -> Result<Ruleset, String> {
    let others = meaning.others().into_iter().map(|chain| to_iptables_chain(chain.as_str()));
    let options = reader::iptables::Options {
        to_load: true,
        others: others.collect(),
        ..reader::iptables::Options::default()
    };
    let text = on_nothing(text)?;
    let (v4, v6) = match family {
        Family::Ipv4 => (Some(&*text), None),
        Family::Ipv6 => (None, Some(&*text)),
    };
    let found = reader::iptables::read(v4, v6, &options)
        .map_err(|errors| errors.first().map_or_else(String::new, ToString::to_string))?;
    Ok(found.ruleset)
}

/// Whether [`prove`] proves it.
pub(crate) fn holds(meaning: &Ruleset, written: &Ruleset, shared: bool) -> bool {
    let alike = |then: &Action| {
        let (meaning, written) = (meaning.with_others_doing(then), written.with_others_doing(then));
        are_alike(&meaning, &written, shared) == Ok(true)
    };
    if meaning.others().is_empty() {
        return are_alike(meaning, written, shared) == Ok(true);
    }
    [&ELSEWHERE, &Action::Return].into_iter().all(alike)
}

/// The text for iptables-restore that does what `text` does where none of its chains are there. Where one of
/// its first table is, `text` fails before it changes anything.
///
/// # Errors
///
/// If it does not fail there.
fn on_nothing(text: &str) -> Result<String, String> {
    if text.contains('\r') {
        return Err("a carriage return is part of a word to iptables-restore".to_owned());
    }
    let (mut tables, mut guards) = (0, 0);
    let (mut made, mut names) = (Vec::new(), BTreeSet::new());
    for line in text.split('\n') {
        if line.starts_with('*') {
            tables += 1;
            names.clear();
        }
        match line.strip_prefix("-N ") {
            Some(name) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
                if !names.insert(name) {
                    return Err(format!("it makes the chain {name} twice"));
                }
                guards += usize::from(tables == 1);
                made.push(Cow::Owned(format!(":{name} - [0:0]")));
            }
            _ if line.starts_with(':') => {
                return Err(format!("`{line}` empties a chain that is there"));
            }
            _ => made.push(Cow::Borrowed(line)),
        }
    }
    if tables > 0 && guards == 0 {
        return Err("over another version, it changes rules before it fails".to_owned());
    }
    Ok(made.join("\n"))
}

/// Proves that a shell script puts what means `meaning` in the place of every version of the policy that
/// iptables has, whose chains and comments these are: it is the one frame around two texts that are proved.
///
/// # Errors
///
/// `E402`, if it does not, or if it cannot be read back.
pub(crate) fn iptables_script(
    meaning: &Ruleset,
    (chains, owned): (&str, &[Name]),
    script: &str,
) -> Result<(), Diagnostic> {
    let Some(texts) = replaced(script, chains, owned) else {
        let why = "it is not the frame that replaces another version".to_owned();
        return Err(Problem::NotProved { target: "the script for iptables", why }.of(None));
    };
    for (family, text) in Family::ALL.into_iter().zip(texts) {
        iptables(meaning, family, text)?;
    }
    Ok(())
}

/// Proves that what was read back does as is meant, alone and beside anything else. `shared` says
/// that its base chains are iptables' own.
fn prove(
    meaning: &Ruleset,
    written: &Ruleset,
    target: &'static str,
    shared: bool,
) -> Result<(), Diagnostic> {
    if meaning.others().is_empty() {
        return prove_alike(meaning, written, target, shared);
    }
    // A chain of others gives each packet back or does not, in both alike, and changes no mark that
    // is asked for. What holds for all that do either holds for every mixture.
    for then in [&ELSEWHERE, &Action::Return] {
        let (meaning, written) = (meaning.with_others_doing(then), written.with_others_doing(then));
        prove_alike(&meaning, &written, target, shared)?;
    }
    Ok(())
}

/// A translation that no ruleset has, for what a chain of others does.
const ELSEWHERE: Action = Action::Redirect { port: 0 };

fn prove_alike(
    meaning: &Ruleset,
    written: &Ruleset,
    target: &'static str,
    shared: bool,
) -> Result<(), Diagnostic> {
    let entangled = |limit| too_entangled(target, &limit);
    if are_alike(meaning, written, shared).map_err(entangled)? {
        return Ok(());
    }
    if let Some(difference) = first_difference(meaning, written).map_err(entangled)? {
        return Err(refuted(meaning, target, &difference, ""));
    }
    let beside = compare_beside(meaning, written, shared).map_err(entangled)?;
    let Some((base, difference)) = beside.first() else { return Ok(()) };
    let (hook, priority) = (base.hook.built_in_chain(), base.priority);
    let place = format!(" by chains at {hook} and priority {priority}, which others share");
    Err(refuted(meaning, target, difference, &place))
}

fn refuted(
    meaning: &Ruleset,
    target: &'static str,
    difference: &Difference,
    place: &str,
) -> Diagnostic {
    let Difference { packet, left, right, .. } = difference;
    let why = format!("`{packet}` must be {left}{place}, and would be {right}");
    let way = run(meaning, packet).trace;
    let clause = way.iter().rev().find_map(|step| step.rule.origin.clause);
    Problem::NotProved { target, why }.of(clause)
}

fn too_entangled(subject: &'static str, limit: &Limit) -> Diagnostic {
    Problem::TooEntangled { subject, why: limit.to_string() }.of(None)
}

/// Says where the order of chains that tie decides what becomes of packets, once for each hook and
/// family.
pub(crate) fn ties(loaded: &Ruleset) -> Vec<Diagnostic> {
    let found = match order_dependent(loaded) {
        Ok(found) => found,
        Err(limit) => return vec![too_entangled("policies that are loaded together", &limit)],
    };
    let tie = |difference: &Difference| {
        let Difference { packet, left, right, supposes } = difference;
        Problem::Tie {
            supposes: supposes.join(" and ").into(),
            packet: packet.to_string().into(),
            then: right.to_string().into(),
            otherwise: left.to_string().into(),
        }
        .of(None)
    };
    found.iter().map(tie).collect()
}

/// Proves what `policy` expects, for all packets that meet what is `loaded`; what does not hold.
/// `lowered` is the policy's own part of that.
pub(crate) fn expectations(
    policy: &Policy,
    lowered: &Lowered,
    loaded: &Ruleset,
) -> Vec<Diagnostic> {
    let expectations = policy.expectations.iter();
    expectations.filter_map(|expected| expectation(policy, lowered, loaded, expected)).collect()
}

/// What is wrong with one expectation of `policy`; `None` if it holds.
pub(crate) fn expectation(
    policy: &Policy,
    lowered: &Lowered,
    loaded: &Ruleset,
    expected: &Setting<Expectation>,
) -> Option<Diagnostic> {
    broken(policy, lowered, loaded, expected)
        .unwrap_or_else(|limit| Some(too_entangled("what is expected", &limit)))
}

fn broken(
    policy: &Policy,
    lowered: &Lowered,
    loaded: &Ruleset,
    expected: &Setting<Expectation>,
) -> Result<Option<Diagnostic>, Limit> {
    let becomes = |outcome: &Outcome| match (expected.becomes, Treatment::of(outcome)) {
        (Expected::Untouched, treatment) => treatment == Treatment::Untouched,
        (Expected::Dropped, treatment) => treatment == Treatment::Dropped,
        (Expected::Proxy(port), treatment) => {
            treatment.is_captured() && treatment.port() == Some(port)
        }
        (Expected::To(to, port), treatment) => {
            treatment == Treatment::DestinationTranslated { to, port }
        }
    };
    let breaks = |outcome: &Outcome| becomes(outcome) == expected.not;
    let others = loaded.others().into_iter().next();
    for question in &questions(lowered, expected) {
        if let Some(chain) = others {
            let loaded = loaded.with_others_doing(&ELSEWHERE);
            let is_theirs =
                |outcome: &Outcome| outcome.translation == Some(Translation::Redirect { port: 0 });
            if let Some((packet, _)) = find(&loaded, question.hook, &question.when, is_theirs)? {
                let why = format!("`{packet}` goes through the chain `{chain}`, which is others'");
                let problem = Problem::TooEntangled { subject: "what is expected", why };
                return Ok(Some(problem.of(expected.clause)));
            }
        }
        if let Some((packet, run)) = find(loaded, question.hook, &question.when, breaks)? {
            return Ok(Some(unmet(policy, lowered, expected, &packet, &run)));
        }
    }
    Ok(None)
}

/// What is wrong where `packet` does not become what is expected.
fn unmet(
    policy: &Policy,
    lowered: &Lowered,
    expected: &Setting<Expectation>,
    packet: &Packet,
    run: &Run<'_>,
) -> Diagnostic {
    let becomes = lowered.ports.words(&Treatment::of(&run.outcome));
    let problem = Problem::Unmet {
        policy: policy.name.as_str().into(),
        expected: expected.outcome().into(),
        packet: packet.to_string().into(),
        becomes: becomes.trim_start_matches("captured: ").into(),
    };
    let origin = origin(run);
    let rung = origin.map(|origin| format!("{} {}", origin.rung.number(), origin.rung.title()));
    let rung = rung.unwrap_or_else(|| "no rung fits".to_owned());
    match (expected.clause, origin.and_then(|origin| origin.clause)) {
        (Some(at), Some(clause)) => problem.at(at, "").also(clause, rung),
        (Some(at), None) => problem.at(at, format!("by default: {rung}")),
        (None, clause) => problem.of(clause),
    }
}

#[cfg(test)]
mod tests {
    use super::iptables;
    use crate::lower::lower;
    use crate::net::Family;
    use crate::syntax::NoIncludes;
    use crate::{Options, View, compile};

    /// What is wrong with the text for iptables if `old` stands as `new` in it.
    fn changed(old: &str, new: &str) -> Option<&'static str> {
        let text = "sidecar s { mode tproxy }";
        let compilation = compile("s.weir", text, &NoIncludes, &Options::default()).unwrap();
        let policy = &compilation.policies[0];
        let text = compilation.emit(policy, View::Iptables(Family::Ipv4)).unwrap();
        let meaning = lower(policy).ruleset;
        assert!(text.contains(old), "{text}");
        let wrong = iptables(&meaning, Family::Ipv4, &text.replacen(old, new, 1));
        wrong.err().map(|problem| problem.problem.code())
    }

    #[test]
    fn what_must_not_become_of_any_is_proved_too() {
        let wrong = |expected: &str| {
            let text = format!(
                "sidecar s {{ outbound {{ exclude port 25 }}; expect outbound {expected} }}"
            );
            let compiled = compile("s.weir", &text, &NoIncludes, &Options::default());
            compiled.err().map(|failure| failure.diagnostics[0].problem.to_string())
        };
        assert_eq!(wrong("tcp port 25 => not proxy 15001"), None);
        assert_eq!(wrong("tcp port 26 => not untouched"), None);
        assert_eq!(wrong("tcp => not dropped"), None);
        let broken = wrong("tcp port 25, 26 => not proxy 15001").unwrap();
        assert!(broken.starts_with("expected not proxy 15001, but `outbound tcp"), "{broken}");
        assert!(broken.ends_with("is redirected to the outbound proxy port 15001"), "{broken}");
        let broken = wrong("tcp port 25, 26 => not untouched").unwrap();
        assert!(broken.contains(":25 "), "{broken}");
    }

    #[test]
    fn how_chains_that_others_share_are_left_is_proved_too() {
        assert_eq!(changed("COMMIT", "COMMIT"), None);
        assert_eq!(changed("-A OUTPUT -j ISTIO", "-A OUTPUT -g ISTIO"), Some("E402"));
        assert_eq!(changed("-A OUTPUT", "-I OUTPUT"), Some("E402"));
        assert_eq!(changed("-A OUTPUT -j ISTIO_OUTPUT", "-A OUTPUT -j ACCEPT"), Some("E402"));
    }
}
