//! What nft means: scripts, what `nft list ruleset` prints, and libnftables JSON.
//!
//! ```text
//! script ─┐
//!         ├─nft::read──▶ commands ──apply──▶ tables as they are in the end ──table──▶ IR
//! JSON ───┘                                 └──rule, condition, concat, bits, value; opaque──┘
//! ```
//!
//! Commands are run on an empty ruleset, so a text that takes tables away and makes them anew is
//! read for what it leaves. The elements of named sets stand in the rules that name the sets; an
//! empty set of addresses is one that others fill. A rule that does several things is read as a
//! jump to a chain that does them, one after another. Handles, counts and comments are passed
//! over.
//!
//! What a word means was checked against nft 1.0.6, 1.1.3 and 1.1.7 on Linux 6.18. What the IR cannot
//! say is a question of its own ([`Match::Opaque`]), or an outcome ([`Action::Opaque`](crate::ir::Action)),
//! each with its text as nft writes it, the same from a script and from JSON; what is not known here
//! at all may take the packet, or leave it. With a [`target`](Options::target), all of that is an error, and
//! so is what nft of that version, or the kernel, would refuse.

mod bits;
mod concat;
mod condition;
mod field;
mod form;
mod loadable;
mod managed;
mod opaque;
mod rule;
mod sets;
mod table;
mod value;

use std::collections::BTreeSet;

pub use crate::nft::{Place, ReadError, ReadProblem, Target};

use crate::ir::{Base, ChainKind, Direction, Hook, Match, Protocol, Rule, Ruleset, Table};
use crate::net::Name;
use crate::nft::{Reads, Script, Selects, State, TableState, json as nft_json, text as nft_text};
use crate::reader::{Found, ReadErrors, is_among, size};

pub(super) use form::{is_script, opens_table, within};

/// What to leave out, and what the text does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The tables to read, as [`Options::leave_out`] names them; all others are someone else's.
    /// `None`: every table.
    pub tables: Option<BTreeSet<String>>,
    /// Tables that are someone else's, of which only is read where packets come to them: by name
    /// (`firewalld`), or by family and name (`ip filter`, `bridge *`). A `*` at the end stands for
    /// any rest.
    pub leave_out: BTreeSet<String>,
    /// Sets that others fill although they have elements, by name. The elements are passed over.
    pub filled: BTreeSet<String>,
    /// What other sets of addresses are that hold nothing.
    pub empty_sets: EmptySets,
    /// What is done about tables that iptables-nft keeps.
    pub of_iptables: OfIptables,
    /// The oldest nft that must load the text, if it is to be loaded: what it would refuse is an
    /// error then.
    pub target: Option<Target>,
}

/// What a named set of single addresses is that holds nothing, and that [`Options::filled`] does not
/// name. One of prefixes, or of anything else, holds what the text says in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptySets {
    /// Others fill it.
    #[default]
    Filled,
    /// It is empty: who fills sets is known.
    Empty,
}

/// What is done about tables that iptables-nft keeps, because nft does not show all that their rules
/// mean: those of family `ip` or `ip6` with a name of iptables' tables, whose base chains are all
/// iptables' own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OfIptables {
    /// They are an error that names `iptables-save`.
    #[default]
    Refuse,
    /// They are passed over, because what `iptables-save` prints is read as well.
    PassOver,
}

/// The ruleset that there is behind the commands of a script, or that `nft list ruleset` printed.
///
/// Families of the IR's tables are nft's: `inet` is both. A chain's policy `drop` is a rule at its
/// end. A table that is dormant has no base chains, and one that is left out nothing but a rule in each.
///
/// # Errors
///
/// Everything that cannot be read: what the text says in its order, then what rules say.
pub fn script(text: &str, options: &Options) -> Result<Found, ReadErrors<ReadError>> {
    is_within(size::past_nft(text), size::MOST_NFT)?;
    let (script, errors) = nft_text::read(text, &|family, table| options.reads(family, table));
    found(&script, errors, options)
}

/// The same as [`script`], of libnftables JSON.
///
/// # Errors
///
/// Everything that cannot be read: commands in the order of the text, then what rules say.
pub fn json(text: &str, options: &Options) -> Result<Found, ReadErrors<ReadError>> {
    is_within(size::past_json(text), size::MOST_JSON)?;
    let (script, errors) = nft_json::read(text, &|family, table| options.reads(family, table));
    found(&script, errors, options)
}

/// Refuses a text that has more than `most` terms, of which the first too many is in a line.
fn is_within(past: Option<u32>, most: usize) -> Result<(), ReadErrors<ReadError>> {
    let at = |line| Place::Line { line, column: 1 };
    let error = |line| ReadError { at: at(line), problem: ReadProblem::TooLarge { most } };
    ReadErrors::unless((), past.map(error).into_iter().collect())
}

fn found(
    script: &Script<'_>,
    mut errors: Vec<ReadError>,
    options: &Options,
) -> Result<Found, ReadErrors<ReadError>> {
    let state = script.apply(State::default(), options.target.is_some(), &mut errors);
    let ruleset = meaning(script, &state, options, &mut errors);
    if !errors.is_empty() {
        return Err(ReadErrors(errors));
    }
    let names = state.tables.iter().map(|table| table.name.to_string());
    let left_out = state
        .tables
        .iter()
        .filter(|table| options.reads(table.name.family.name(), &table.name.name) == Reads::Hooks);
    let left_out = left_out.map(|table| format!("table {}", table.name)).collect();
    let elsewhere = script.elsewhere.iter().filter_map(|table| table.strip_prefix("table "));
    let there: Vec<String> = names.chain(elsewhere.map(str::to_owned)).collect();
    let unused = options.leave_out.iter().filter(|pattern| {
        let pattern = BTreeSet::from([(*pattern).clone()]);
        !there.iter().any(|name| names_table(&pattern, name))
    });
    let unused = unused.cloned().collect();
    Ok(Found { ruleset, left_out, unused, passed_over: passed_over(script, &state) })
}

/// What no packet of a question meets, and was not read.
fn passed_over(script: &Script<'_>, state: &State<'_>) -> Vec<String> {
    let mut all: Vec<String> = script.elsewhere.iter().cloned().collect();
    for table in &state.tables {
        if table.dormant {
            all.push(format!("table {}, which is dormant", table.name));
        }
        let chains = table.chains.iter().filter(|chain| chain.is_elsewhere);
        all.extend(chains.map(|chain| format!("chain {} of table {}", chain.name, table.name)));
    }
    all
}

/// Whether one of `patterns` names a table, which has its family before its name.
fn names_table(patterns: &BTreeSet<String>, table: &str) -> bool {
    let name = table.split_once(' ').map_or(table, |(_, name)| name);
    is_among(patterns, name) || is_among(patterns, table)
}

/// A script, read.
pub(crate) type Reader = for<'a> fn(&'a str, &Selects<'_>) -> (Script<'a>, Vec<ReadError>);

/// The ruleset that a text leaves when it is loaded by nft from `target` on: on nothing, on itself, on
/// older versions with tables of the names in `owned`, of which it touches no others.
///
/// # Errors
///
/// What would be refused, cannot be read, or is not so.
pub(crate) fn settled(
    text: &str,
    read: Reader,
    owned: &[Name],
    target: Target,
) -> Result<Ruleset, String> {
    let first = |errors: &[ReadError]| errors.first().map(ToString::to_string);
    let (script, mut errors) = read(text, &|_, _| Reads::All);
    if let Some(error) = first(&errors) {
        return Err(error);
    }
    let state = script.settled(owned)?;
    let options = Options { target: Some(target), ..Options::default() };
    let ruleset = meaning(&script, &state, &options, &mut errors);
    first(&errors).map_or(Ok(ruleset), Err)
}

/// What nft from `target` on makes of `before` when it loads the script.
///
/// # Errors
///
/// What would be refused.
pub(crate) fn loaded<'s>(
    script: &'s Script<'s>,
    before: State<'s>,
    target: Target,
) -> Result<State<'s>, String> {
    let mut errors = Vec::new();
    let state = script.apply(before, true, &mut errors);
    loadable::check(script, &state, target, &mut errors);
    errors.first().map_or(Ok(state), |error| Err(error.to_string()))
}

/// What each rule of a table comes to, chain by chain; `None` of one that the IR has no words for.
pub(crate) fn each_rule(table: &TableState<'_>) -> Vec<Vec<Option<Vec<Rule>>>> {
    table::each_rule(table, &Options::default())
}

/// A statement that the IR has no words for.
fn unknown_statement(word: &str) -> ReadProblem {
    crate::nft::unknown("statement", word)
}

/// What the tables of `state` mean, which `script` left; what cannot be read, or would be refused, is
/// in `errors`.
fn meaning(
    script: &Script<'_>,
    state: &State<'_>,
    options: &Options,
    errors: &mut Vec<ReadError>,
) -> Ruleset {
    if let Some(target) = options.target {
        loadable::check(script, state, target, errors);
    }
    let mut ruleset = table::ruleset(state, options, errors);
    ruleset.tables.iter_mut().for_each(mend_socket_matches);
    ruleset
}

/// In postrouting nat, for TCP, a local source is read as an existing socket: that is how the nft
/// backend writes one, and there both take the same packets (Linux 6.18).
fn mend_socket_matches(table: &mut Table) {
    let is_meant = |when: &Match| matches!(when, Match::Local { of: Direction::Source, .. });
    let mut rules = table.chains.iter().flat_map(|chain| &chain.rules);
    if !rules.any(|rule| rule.when.iter().any(is_meant)) {
        return;
    }
    let is_it = |base: Base| base.kind == ChainKind::Nat && base.hook == Hook::Postrouting;
    let inside: BTreeSet<Name> = table.reached_only_from(is_it).into_iter().cloned().collect();
    let tcp = Match::Protocol { protocol: Protocol::Tcp, not: false };
    let chains = table.chains.iter_mut().filter(|chain| inside.contains(&chain.name));
    let rules = chains.flat_map(|chain| &mut chain.rules).filter(|rule| rule.when.contains(&tcp));
    for when in rules.flat_map(|rule| &mut rule.when) {
        if let Match::Local { of: Direction::Source, not } = *when {
            *when = Match::SocketExists { not };
        }
    }
}

impl Options {
    /// What is read of a table.
    fn reads(&self, family: &str, table: &str) -> Reads {
        let table = format!("{family} {table}");
        if self.tables.as_ref().is_some_and(|tables| !names_table(tables, &table)) {
            return Reads::Nothing;
        }
        if names_table(&self.leave_out, &table) { Reads::Hooks } else { Reads::All }
    }
}

#[cfg(test)]
mod tests;
