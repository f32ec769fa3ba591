//! Whether a script makes the same of its tables whatever was there before, and touches no others.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    At, Chain, ChainState, Command, Elements, Object, Rule, Script, Set, SetState, SetType, State,
    Statement, Table, TableFamily, TableName, TableState, Value, Verb, Verdict,
};
use crate::ir::{Base, ChainKind, Hook};
use crate::net::Name;

impl Script<'_> {
    /// What the script leaves when it is loaded on nothing, if it leaves the same when it is loaded on
    /// itself, on older versions of itself, and on sets that others have filled, which stay filled.
    ///
    /// An older version has tables of the names in `owned`, of any family, with any chains, rules and
    /// sets. What such a version had of a table that stays, because others fill its sets, and what is
    /// not in the table now, may be left behind if it does nothing: chains without rules that accept,
    /// sets that no rule looks anything up in.
    ///
    /// # Errors
    ///
    /// What it touches or leaves instead, or what would be refused.
    pub(crate) fn settled(&self, owned: &[Name]) -> Result<State<'_>, String> {
        self.spares_others(owned)?;
        let after = self.loaded(State::default(), "nothing")?;
        same(&after, &self.loaded(after.clone(), "itself")?, None)
            .map_err(|why| format!("loaded on itself, {why}"))?;
        let older = older(self, &after, owned);
        let before = older.loaded(State::default(), "nothing")?;
        let again = self.loaded(before.clone(), "an older version")?;
        same(&after, &again, Some(&before))
            .map_err(|why| format!("loaded on an older version, {why}"))?;
        Ok(after)
    }

    /// That every command is about a table of a name in `owned`.
    ///
    /// # Errors
    ///
    /// What the first other one is about.
    pub(crate) fn spares_others(&self, owned: &[Name]) -> Result<(), String> {
        let foreign = self.commands.iter().find_map(|command| foreign(command, owned));
        match foreign.or_else(|| self.elsewhere.first().cloned()) {
            Some(touched) => Err(format!("it touches {touched}, which is not the policy's")),
            None => Ok(()),
        }
    }

    /// A script that makes every table of a name in `owned` that there could be, in every family.
    pub(crate) fn all_of(owned: &[Name]) -> Script<'_> {
        older(&Script::default(), &State::default(), owned)
    }

    /// What is there behind the commands when `before` was there, which is `on` in words.
    fn loaded<'s>(&'s self, before: State<'s>, on: &str) -> Result<State<'s>, String> {
        let mut errors = Vec::new();
        let after = self.apply(before, true, &mut errors);
        match errors.first() {
            Some(error) => Err(format!("loaded on {on}, {error}")),
            None => Ok(after),
        }
    }
}

/// What the command is about, if that is no table of a name in `owned`.
fn foreign(command: &Command<'_>, owned: &[Name]) -> Option<String> {
    let table = match &command.object {
        Object::Ruleset(_) => return Some("every table".to_owned()),
        Object::Passive => return Some("an object without a table".to_owned()),
        object => table_of(object)?,
    };
    let is_owned = owned.iter().any(|name| name.as_str() == table.name);
    (!is_owned).then(|| format!("table {table}"))
}

/// The table that an object is of, or is.
fn table_of<'o>(object: &'o Object<'_>) -> Option<&'o TableName<'o>> {
    match object {
        Object::Remark(_) | Object::Ruleset(_) | Object::Passive => None,
        Object::Block(table) | Object::Table(table) => Some(&table.name),
        Object::Chain { table, .. }
        | Object::Set { table, .. }
        | Object::Elements { table, .. }
        | Object::Rule { table, .. }
        | Object::Handle { table, .. } => Some(table),
    }
}

/// An older version of what leaves `after`: every table that there could be of it, with a chain of
/// every name and one more, each with a rule that leads to a chain or drops, and with filled sets. Of
/// a table that `script` takes away before it does anything else with it, it does not matter what was
/// in there: one chain tells whether it has gone.
fn older<'s>(script: &Script<'_>, after: &State<'s>, owned: &'s [Name]) -> Script<'s> {
    let mut commands = Vec::new();
    let mut add = |object| commands.push(Command { at: At::Nowhere, verb: Verb::Add, object });
    let mut names: Vec<&'s str> =
        after.tables.iter().flat_map(|table| &table.chains).map(|chain| chain.name).collect();
    names.sort_unstable();
    names.dedup();
    names.push(STALE);
    for name in owned {
        for family in TableFamily::ALL {
            let name = TableName { family, name: Cow::Borrowed(name.as_str()) };
            let now = after.tables.iter().find(|table| *table.name == name);
            let chain = |name: &&'s str| {
                let now = now.and_then(|now| now.chains.iter().find(|chain| chain.name == *name));
                older_chain(name, now)
            };
            let goes = goes_first(script, &name);
            let sets = now.into_iter().filter(|_| !goes).flat_map(|now| &now.sets);
            let sets = sets.map(|set| filled(set.set)).collect();
            let names = if goes { &[STALE] } else { names.as_slice() };
            let chains = names.iter().map(chain).collect();
            add(Object::Block(Table { name, flags: Vec::new(), sets, chains }));
        }
    }
    Script::of(commands)
}

/// Whether the first thing that the script does with a table that is there is to take it away.
fn goes_first(script: &Script<'_>, name: &TableName<'_>) -> bool {
    let on_table = |command: &&Command<'_>| match &command.object {
        Object::Ruleset(_) => true,
        object => table_of(object).is_some_and(|table| table == name),
    };
    let mut first = script.commands.iter().filter(on_table).skip_while(|command| {
        matches!((&command.object, command.verb), (Object::Table(_), Verb::Add))
    });
    first.next().is_some_and(|command| {
        matches!((&command.object, command.verb), (Object::Table(_), Verb::Delete | Verb::Destroy))
    })
}

/// A chain that older versions have and this one has not.
const STALE: &str = "stale";

/// What is a base chain now was none, and the other way round: no other place is farther from this
/// version than that.
fn older_chain<'s>(name: &'s str, now: Option<&ChainState<'s>>) -> Chain<'s> {
    const ELSEWHERE: Base = Base { kind: ChainKind::Filter, hook: Hook::Forward, priority: -1 };
    let is_base_now = now.is_some_and(|now| now.base.is_some());
    let base = (!is_base_now && name != STALE).then_some(ELSEWHERE);
    let verdict = if name == STALE { Verdict::Drop } else { Verdict::Goto(Cow::Borrowed(STALE)) };
    let rule = Rule::read(Ok(vec![(At::Nowhere, Statement::Verdict(verdict))]), None, None);
    let name = Cow::Borrowed(name);
    Chain { base, rules: vec![rule], ..Chain::named(At::Nowhere, name) }
}

/// The set as others have filled it.
fn filled<'s>(set: &'s Set<'s>) -> Set<'s> {
    let value = match &set.of {
        SetType::Named(name) if name == "ipv4_addr" => {
            Value::Address(IpAddr::V4(Ipv4Addr::LOCALHOST))
        }
        SetType::Named(name) if name == "ipv6_addr" => {
            Value::Address(IpAddr::V6(Ipv6Addr::LOCALHOST))
        }
        _ => Value::Number(1),
    };
    Set {
        name: Cow::Borrowed(&set.name),
        of: match &set.of {
            SetType::Named(name) => SetType::Named(Cow::Borrowed(name)),
            SetType::Of(field) => SetType::Of(field.clone()),
        },
        map: set.map.as_deref().map(Cow::Borrowed),
        flags: set.flags.iter().map(|flag| Cow::Borrowed(&**flag)).collect(),
        auto_merge: set.auto_merge,
        size: set.size,
        elements: Elements::of(vec![value]),
    }
}

/// Whether `again` is what `after` is; of a table that was there `before` and has sets that others
/// fill, but for what they hold and for what does nothing.
fn same(after: &State<'_>, again: &State<'_>, before: Option<&State<'_>>) -> Result<(), String> {
    let find = |state: &'_ State<'_>, name: &TableName<'_>| {
        state.tables.iter().position(|table| table.name == name)
    };
    for table in &again.tables {
        if find(after, table.name).is_none() {
            return Err(format!("table {} is left", table.name));
        }
    }
    for table in &after.tables {
        let Some(at) = find(again, table.name) else {
            return Err(format!("table {} is missing", table.name));
        };
        let before = before.and_then(|before| before.tables.get(find(before, table.name)?));
        same_table(table, &again.tables[at], before)
            .map_err(|why| format!("table {} is another: {why}", table.name))?;
    }
    Ok(())
}

fn same_table(
    after: &TableState<'_>,
    again: &TableState<'_>,
    before: Option<&TableState<'_>>,
) -> Result<(), String> {
    if after.dormant != again.dormant {
        return Err("it is dormant in one".to_owned());
    }
    let is_kept = after.sets.iter().any(SetState::is_empty);
    let left = |name: &str| {
        is_kept
            .then_some(before)
            .flatten()
            .is_some_and(|before| before.chains.iter().any(|chain| chain.name == name))
    };
    let does_nothing = |chain: &&ChainState<'_>| {
        chain.rules.is_empty()
            && !chain.drops
            && left(chain.name)
            && !after.chains.iter().any(|known| known.name == chain.name)
    };
    let chains: Vec<_> = again.chains.iter().filter(|chain| !does_nothing(chain)).collect();
    if chains.len() != after.chains.len() {
        return Err("it has other chains".to_owned());
    }
    for (chain, again) in after.chains.iter().zip(chains) {
        if !is_same_chain(chain, again) {
            return Err(format!("chain {} differs from {}", chain.name, again.name));
        }
    }
    if after.sets.len() != again.sets.len() {
        return Err("it has other sets".to_owned());
    }
    for (set, again) in after.sets.iter().zip(&again.sets) {
        let filled = before
            .and_then(|before| before.sets.iter().find(|known| known.set.name == set.set.name));
        // What others have filled stays as they have, also if they have not.
        let expected = if set.is_empty() { filled.unwrap_or(set) } else { set };
        if set.set.name != again.set.name || !is_same_contents(expected, again) {
            return Err(format!("set {} holds something else", set.set.name));
        }
    }
    Ok(())
}

fn is_same_chain(one: &ChainState<'_>, other: &ChainState<'_>) -> bool {
    one.name == other.name
        && one.base == other.base
        && one.drops == other.drops
        && one.rules.len() == other.rules.len()
        && one.rules.iter().zip(&other.rules).all(|(one, other)| std::ptr::eq(*one, *other))
}

fn is_same_contents(one: &SetState<'_>, other: &SetState<'_>) -> bool {
    let is_same = |(one, other): (&&[_], &&[_])| std::ptr::eq(*one, *other);
    one.unread.is_none()
        && other.unread.is_none()
        && one.values.len() == other.values.len()
        && one.values.iter().zip(&other.values).all(is_same)
        && one.entries.len() == other.entries.len()
        && one.entries.iter().zip(&other.entries).all(|(one, other)| std::ptr::eq(*one, *other))
        && one.pairs.is_empty()
        && other.pairs.is_empty()
}

#[cfg(test)]
mod tests {
    use crate::net::Name;
    use crate::nft::{Reads, text};

    /// Why the script does not leave the same whatever was there; empty if it does.
    fn unsettled(script: &str) -> String {
        let owned = ["t", "u"].map(|name| Name::new(name).unwrap());
        let (script, errors) = text::read(script, &|_, _| Reads::All);
        assert_eq!(errors, []);
        script.settled(&owned).map_or_else(|why| why, |_| String::new())
    }

    /// What takes away every table that is owned, but for `kept`.
    fn replaced(kept: &str) -> String {
        let families = ["inet", "ip", "ip6"].into_iter();
        let tables = families.flat_map(|family| ["t", "u"].map(|name| format!("{family} {name}")));
        let gone = tables.filter(|table| table != kept);
        gone.fold(String::new(), |script, table| {
            script + &format!("add table {table}; delete table {table}\n")
        })
    }

    const CHAIN: &str = "chain c {\ntype filter hook output priority 0; policy accept;\njump d\n}\nchain d {\naccept\n}\n";

    #[test]
    fn what_replaces_all_that_is_owned_leaves_the_same() {
        let block = format!("table inet t {{\n{CHAIN}}}\n");
        assert_eq!(unsettled(&(replaced("") + &block)), "");
        assert_eq!(unsettled(&replaced("")), "");
        for (script, why) in [
            (block.clone(), "loaded on itself, table inet t is another: chain c differs from c"),
            (
                format!("flush table inet t\n{block}"),
                "loaded on nothing, line 1, column 1: no table `inet t`",
            ),
            (
                format!("delete table inet t\n{block}"),
                "loaded on nothing, line 1, column 1: no table `inet t`",
            ),
            (
                format!("add table inet t; flush table inet t\n{block}"),
                "loaded on an older version, line 2, column 1: chain `c` is there already",
            ),
            (
                format!("add table inet t; delete table inet t\n{block}"),
                "loaded on an older version, table ip t is left",
            ),
            (replaced("ip6 u") + &block, "loaded on an older version, table ip6 u is left"),
            (
                format!("flush ruleset\n{block}"),
                "it touches every table, which is not the policy's",
            ),
            (
                replaced("") + &block + "add table ip filter; delete table ip filter\n",
                "it touches table ip filter, which is not the policy's",
            ),
            (
                replaced("") + &block + "add counter ip filter x\n",
                "it touches an object without a table, which is not the policy's",
            ),
        ] {
            assert_eq!(unsettled(&script), why, "{script}");
        }
    }

    #[test]
    fn a_table_that_stays_keeps_what_others_have_filled_and_nothing_else() {
        let add = "add table inet t\n";
        let flush = "flush table inet t\n";
        let set = "add set inet t s { type ipv4_addr; }\n";
        let chains = "add chain inet t c; delete chain inet t c\nadd chain inet t d; delete chain inet t d\n";
        let block = format!("table inet t {{\n{CHAIN}}}\n");
        let all = |parts: &[&str]| replaced("inet t") + &parts.concat() + &block;
        assert_eq!(unsettled(&all(&[add, flush, set, chains])), "");
        for (parts, why) in [
            (&[add, set, chains][..], "it has other chains"),
            (&[add, flush, set], "chain `c` is there already"),
            (&[add, flush, set, "flush set inet t s\n", chains], "set s holds something else"),
            (
                // It is no set that others fill, so that nothing may be left beside it.
                &[add, flush, set, "add element inet t s { 10.0.0.9 }\n", chains],
                "it has other chains",
            ),
            (
                &[add, flush, "create set inet t s { type ipv4_addr; }\n", chains],
                "set `s` is there already",
            ),
        ] {
            let said = unsettled(&all(parts));
            assert!(said.contains(why), "{}{said}", all(parts));
        }
    }
}
