//! What is loaded, out of what nft lists. Nothing of it is trusted: what goes on into an update is numbers, and
//! names that a policy could have.

use crate::diag::Problem;
use crate::diag::escape::on_one_line;
use crate::net::{Interface, Name};
use crate::nft::keywords::is_keyword;
use crate::nft::{
    ChainState, ReadError, Reads, Script, SetState, State, TableState, Target, Value, json, text,
};

/// The tables of names in `owned` in a listing, as text or as JSON.
pub(super) fn read<'a>(listing: &'a str, owned: &[Name]) -> Result<Script<'a>, Problem> {
    let reads = |_: &str, table: &str| {
        let is_owned = owned.iter().any(|name| name.as_str() == table);
        if is_owned { Reads::All } else { Reads::Nothing }
    };
    let read = if listing.trim_start().starts_with('{') { json::read } else { text::read };
    let (script, errors) = read(listing, &reads);
    match errors.first() {
        Some(error) => Err(unreadable(error)),
        None => Ok(script),
    }
}

fn unreadable(error: &ReadError) -> Problem {
    other(format!("what is loaded cannot be read: {}", on_one_line(&error.to_string())))
}

/// What is loaded where that was listed.
pub(super) fn loaded<'s>(script: &'s Script<'s>) -> Result<State<'s>, Problem> {
    let mut errors = Vec::new();
    // nft before 1.0.3 lists sets behind the rules that name them.
    let state = script.apply(State::default(), false, &mut errors);
    if let Some(error) = errors.first() {
        return Err(unreadable(error));
    }
    if state.tables.is_empty() {
        let why = "the listing has no table of this kind of policy".to_owned();
        let instead = "load the policy with `weir compile --emit nft`";
        return Err(Problem::NoUpdate { why, instead });
    }
    let mut rules = state.tables.iter().flat_map(|table| &table.chains).flat_map(|it| &it.rules);
    if rules.any(|rule| rule.handle.is_none()) {
        let why = "the listing does not show the handles of rules".to_owned();
        let instead = "give what `nft -a list ruleset` or `nft -j list ruleset` prints";
        return Err(Problem::NoUpdate { why, instead });
    }
    state.tables.iter().try_for_each(check)?;
    Ok(state)
}

/// That a policy could have made the table, but for its rules.
fn check(table: &TableState<'_>) -> Result<(), Problem> {
    let name = table.name;
    if table.dormant {
        return Err(other(format!("table {name} is dormant")));
    }
    for chain in &table.chains {
        check_name(chain.name)?;
        check_chain(chain).map_err(|why| other(format!("chain {} {why}", chain.name)))?;
    }
    for set in &table.sets {
        check_name(&set.set.name)?;
        check_set(set).map_err(|why| other(format!("set {} {why}", set.set.name)))?;
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Problem> {
    if Name::new(name).is_ok() && !is_keyword(name, Target::OLDEST) {
        return Ok(());
    }
    Err(other(format!("`{}` is no name of a policy's", on_one_line(name))))
}

fn check_chain(chain: &ChainState<'_>) -> Result<(), &'static str> {
    match chain {
        _ if chain.is_elsewhere => Err("is entered at ingress or egress"),
        _ if chain.drops => Err("drops what comes to its end"),
        _ => Ok(()),
    }
}

fn check_set(set: &SetState<'_>) -> Result<(), &'static str> {
    let values = || set.values.iter().copied().flatten();
    let is_plain = set.set.map.is_none() && set.pairs.is_empty() && set.entries.is_empty();
    match set {
        _ if !is_plain => Err("is a map"),
        _ if set.fleeting || set.limits || set.set.flags.iter().any(|flag| flag != "interval") => {
            Err("has elements that come and go by themselves")
        }
        _ if set.unread.is_some() => Err("has elements that cannot be read"),
        _ if !values().all(is_plain_value) => Err("holds what no policy writes"),
        _ => Ok(()),
    }
}

/// Whether the value is a number, an address, or the name of an interface, or goes from one to another.
fn is_plain_value(value: &Value<'_>) -> bool {
    match value {
        Value::Number(_) | Value::Hex(_) | Value::Address(_) | Value::Prefix(..) => true,
        Value::Range(ends) => value.ends().is_some() && !matches!(ends.0, Value::Range(_)),
        Value::Text(text) | Value::Word(text) => Interface::new(text).is_ok(),
        _ => false,
    }
}

/// What is loaded is not what a policy makes.
fn other(why: String) -> Problem {
    let instead = "replace whatever is loaded with `weir compile --emit nft`";
    Problem::NoUpdate { why, instead }
}
