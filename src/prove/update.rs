//! Proofs that an update leaves just what it is to leave.

use std::collections::HashSet;

use crate::diag::{Diagnostic, Problem};
use crate::nft::{Elements, SetState, State, TableState, Value, text};
use crate::reader;
use crate::update::{By, Same, Versions, ties};

/// Proves that a script for nft makes what is to be loaded of what is: the same tables and chains, entered in the same
/// places and order, with the same rules, comments and counters among them, and the same sets; that sets that
/// others fill hold what they held; and that it touches nothing else.
///
/// # Errors
///
/// `E402`, if it does not, or if it cannot be read back.
pub(crate) fn update(versions: &Versions<'_, '_>, text: &str) -> Result<(), Diagnostic> {
    let Versions { old, new, by, owned, target, .. } = *versions;
    let refuse = |why| Problem::NotProved { target: "the update", why }.of(None);
    let (script, errors) = text::read_update(text);
    if let Some(error) = errors.first() {
        return Err(refuse(error.to_string()));
    }
    script.spares_others(owned).map_err(refuse)?;
    // A set that others fill holds one thing that nobody else has.
    let theirs = Elements::of(vec![Value::Number(1)]);
    let on_old = [("what is loaded", old)];
    let on_new = [("what is to be loaded", new)];
    let on_new = on_new.iter().filter(|_| by == By::Chain);
    for (on, before) in on_old.iter().chain(on_new) {
        let before = filled(before, new, &theirs);
        let after = reader::nft::loaded(&script, before.clone(), target);
        let same = after.and_then(|after| is_same(&after, new, &before));
        same.map_err(|why| refuse(format!("loaded on {on}, {why}")))?;
    }
    Ok(())
}

/// `state`, where others have filled those sets that are theirs in `new`.
fn filled<'s>(state: &State<'s>, new: &State<'s>, theirs: &'s Elements<'s>) -> State<'s> {
    let mut state = state.clone();
    for table in &mut state.tables {
        let now = new.tables.iter().find(|now| now.name == table.name);
        for set in &mut table.sets {
            let now = now.and_then(|now| now.set(&set.set.name));
            if now.is_some_and(SetState::is_empty) {
                set.values.push(&theirs.values);
            }
        }
    }
    state
}

/// Whether `after` is `new`, with what others have filled `before`.
fn is_same(after: &State<'_>, new: &State<'_>, before: &State<'_>) -> Result<(), String> {
    if let Some(left) = after.tables.iter().find(|table| find(new, table).is_none()) {
        return Err(format!("table {} is left", left.name));
    }
    for table in &new.tables {
        let Some(after) = find(after, table) else {
            return Err(format!("table {} is missing", table.name));
        };
        is_same_table(after, table, find(before, table))
            .map_err(|why| format!("in table {}, {why}", table.name))?;
    }
    if ties(after) != ties(new) {
        return Err("chains that are entered in one place run in another order".to_owned());
    }
    Ok(())
}

fn find<'t, 's>(state: &'t State<'s>, of: &TableState<'_>) -> Option<&'t TableState<'s>> {
    state.tables.iter().find(|table| table.name == of.name)
}

fn is_same_table(
    after: &TableState<'_>,
    new: &TableState<'_>,
    before: Option<&TableState<'_>>,
) -> Result<(), String> {
    if after.dormant != new.dormant {
        return Err("no chain is entered".to_owned());
    }
    if let Some(set) = after.sets.iter().find(|set| new.set(&set.set.name).is_none()) {
        return Err(format!("set {} is left", set.set.name));
    }
    for set in &new.sets {
        let name = &set.set.name;
        let Some(after) = after.set(name) else { return Err(format!("set {name} is missing")) };
        if !after.set.is_like(set.set) {
            return Err(format!("set {name} is of another type"));
        }
        let theirs = before.and_then(|before| before.set(name)).filter(|_| set.is_empty());
        if held(after) != held(theirs.unwrap_or(set)) {
            return Err(format!("set {name} holds something else"));
        }
    }
    let chain = |table: &TableState<'_>, name: &str| {
        table.chains.iter().position(|chain| chain.name == name)
    };
    if let Some(left) = after.chains.iter().find(|it| chain(new, it.name).is_none()) {
        return Err(format!("chain {} is left", left.name));
    }
    let mut same = Same::default();
    // What sets hold has been compared, and what others have filled is no rule's matter.
    let (is, wanted) = (same.of(&after.with_sets_of(new)), same.of(new));
    for (at, one) in new.chains.iter().enumerate() {
        let name = one.name;
        let Some(found) = chain(after, name) else {
            return Err(format!("chain {name} is missing"));
        };
        let other = &after.chains[found];
        if (other.base, other.drops) != (one.base, one.drops) {
            return Err(format!("chain {name} is entered elsewhere, or drops"));
        }
        if is[found] != wanted[at] {
            return Err(format!("chain {name} has other rules"));
        }
    }
    Ok(())
}

/// What a set holds.
fn held(set: &SetState<'_>) -> HashSet<String> {
    set.values.iter().copied().flatten().map(Value::key).collect()
}
