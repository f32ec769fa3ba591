//! Proofs that a change of sets that others fill is the one that was asked for.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Nft;
use crate::backend::nft::{MemberChange, Members};
use crate::diag::{Diagnostic, Problem};
use crate::ir::AddressSet;
use crate::net::Family;
use crate::nft::{
    At, Command, Elements, Object, Reads, Script, Set, SetState, SetType, State, Table,
    TableFamily, TableName, Target, Value, Verb, address_type,
};
use crate::reader;

/// Proves that a text for nft puts the addresses into every set of their family, or takes them out,
/// whatever the sets held before, and that it changes nothing else. The policy is loaded.
///
/// # Errors
///
/// `E402`, if it does not, or if it cannot be read back.
pub(crate) fn members(
    members: &Members<'_>,
    (spelling, text): (Nft, &str),
    target: Target,
) -> Result<(), Diagnostic> {
    let (read, name) = spelling.reader();
    let refuse = |why| Problem::NotProved { target: name, why }.of(None);
    let (script, errors) = read(text, &|_, _| Reads::All);
    if let Some(error) = errors.first() {
        return Err(refuse(error.to_string()));
    }
    let mut all = vec![IpAddr::V4(OTHER.0), IpAddr::V6(OTHER.1)];
    all.extend(members.addresses());
    for command in &script.commands {
        match &command.object {
            Object::Remark(_) => {}
            Object::Elements { elements, .. } => {
                all.extend(elements.values.iter().filter_map(address));
            }
            _ => return Err(refuse("it is about more than elements of sets".to_owned())),
        }
    }
    // An address is in a set before, or it is not, and that is all that becomes of it hangs on.
    for held in [&[][..], &all] {
        changed(members, &script, held, target).map_err(refuse)?;
    }
    Ok(())
}

/// Addresses of somebody else: of documentation (RFC 5737, RFC 3849).
const OTHER: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(192, 0, 2, 1), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// Loads the script where each set holds those of `held` that it can.
fn changed(
    members: &Members<'_>,
    script: &Script<'_>,
    held: &[IpAddr],
    target: Target,
) -> Result<(), String> {
    let loaded = loaded(members, held);
    let mut errors = Vec::new();
    let before = loaded.apply(State::default(), true, &mut errors);
    let on = if held.is_empty() { "empty sets" } else { "filled sets" };
    let after = reader::nft::loaded(script, before.clone(), target)
        .map_err(|why| format!("loaded on {on}, {why}"))?;
    for (table, after) in before.tables.iter().zip(&after.tables) {
        for (set, after) in table.sets.iter().zip(&after.sets) {
            let mut expected = addresses(set)?;
            let is_of = |address: &IpAddr| set.set.of == set_type(Family::of(*address));
            for address in members.addresses().filter(is_of) {
                match members.change() {
                    MemberChange::Add => expected.insert(address),
                    MemberChange::Delete => expected.remove(&address),
                };
            }
            let held = addresses(after)?;
            if let Some(address) = expected.symmetric_difference(&held).next() {
                let (set, table) = (&set.set.name, table.name);
                let is = if held.contains(address) { "in" } else { "not in" };
                return Err(format!("loaded on {on}, `{address}` is {is} set {set} of {table}"));
            }
        }
    }
    Ok(())
}

/// What makes the sets of the policy, each holding those of `held` that it can.
fn loaded<'m>(members: &Members<'m>, held: &[IpAddr]) -> Script<'m> {
    let set = |set: &'m AddressSet| {
        let held = held.iter().copied().filter(|address| Family::of(*address) == set.family);
        Set {
            of: set_type(set.family),
            elements: Elements::of(held.map(Value::Address).collect()),
            ..Set::named(Cow::Borrowed(set.name.as_str()))
        }
    };
    let tables = members.ruleset().tables.iter();
    let commands = tables.map(|table| Command {
        at: At::Nowhere,
        verb: Verb::Add,
        object: Object::Block(Table {
            name: TableName {
                family: TableFamily::from(table.families),
                name: Cow::Borrowed(table.name.as_str()),
            },
            flags: Vec::new(),
            sets: table.sets.iter().map(set).collect(),
            chains: Vec::new(),
        }),
    });
    Script::of(commands.collect())
}

/// What the set holds.
fn addresses(set: &SetState<'_>) -> Result<BTreeSet<IpAddr>, String> {
    let is_plain = set.entries.is_empty() && !set.fleeting && set.unread.is_none();
    let all = set.values.iter().copied().flatten().map(address);
    all.collect::<Option<_>>()
        .filter(|_| is_plain)
        .ok_or_else(|| format!("set {} holds what is no address", set.set.name))
}

const fn address(value: &Value<'_>) -> Option<IpAddr> {
    match value {
        Value::Address(address) => Some(*address),
        _ => None,
    }
}

const fn set_type(family: Family) -> SetType<'static> {
    SetType::Named(Cow::Borrowed(address_type(family)))
}
