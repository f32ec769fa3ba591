//! Tables, chains, sets and rules, as commands make and unmake them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::action::Actions;
use super::matching::Matches;
use super::value::elements;
use super::{Options, ReadError, ReadProblem, part, single, text, unknown};
use crate::ir::{
    Action, AddressSet, Base, Chain, ChainKind, Direction, Hook, Match, Origin, Protocol, Rule,
    Ruleset, Table,
};
use crate::net::{Families, Family, Name};
use crate::reader::circle;

/// The sets of a table.
pub(super) type Sets<'a> = BTreeMap<&'a str, SetText<'a>>;

/// A named set.
pub(super) struct SetText<'a> {
    /// What it holds: `ipv4_addr`.
    pub(super) kind: &'a str,
    pub(super) elements: Vec<&'a Value>,
    others: bool,
}

impl SetText<'_> {
    /// Whether the rules cannot know its elements.
    pub(super) const fn is_filled_by_others(&self) -> bool {
        self.others || self.elements.is_empty()
    }

    /// The family of its addresses.
    pub(super) fn family(&self) -> Option<Family> {
        match self.kind {
            "ipv4_addr" => Some(Family::Ipv4),
            "ipv6_addr" => Some(Family::Ipv6),
            _ => None,
        }
    }
}

struct TableText<'a> {
    family: &'a str,
    name: &'a str,
    families: Families,
    sets: Sets<'a>,
    chains: Vec<ChainText<'a>>,
}

struct ChainText<'a> {
    name: Name,
    base: Option<Base>,
    /// Each with the place of its object.
    rules: Vec<(usize, &'a Value)>,
}

/// Runs the commands and reads what is there in the end.
pub(super) fn run(objects: &[Value], options: &Options) -> Result<Ruleset, Vec<ReadError>> {
    let mut reader = Reader { options, tables: Vec::new() };
    let mut errors = Vec::new();
    for (object, json) in objects.iter().enumerate() {
        if let Err(problem) = reader.object(object, json) {
            errors.push(ReadError { object, problem });
        }
    }
    let mut ruleset = Ruleset::default();
    for table in &reader.tables {
        match table.read(&mut errors) {
            Ok(table) => ruleset.tables.push(table),
            Err(problem) => errors.push(ReadError { object: 0, problem }),
        }
    }
    errors.sort_by_key(|error| error.object);
    if errors.is_empty() { Ok(ruleset) } else { Err(errors) }
}

struct Reader<'a, 'o> {
    options: &'o Options,
    tables: Vec<TableText<'a>>,
}

impl<'a> Reader<'a, '_> {
    fn object(&mut self, at: usize, json: &'a Value) -> Result<(), ReadProblem> {
        let (key, value) = single("command", json)?;
        let (command, (kind, object)) = match key {
            "metainfo" => return Ok(()),
            "add" | "create" | "delete" | "flush" => (key, single("command", value)?),
            _ => ("add", (key, value)),
        };
        let family = object.get("family").and_then(Value::as_str);
        let table = if kind == "table" { "name" } else { "table" };
        let name = object.get(table).and_then(Value::as_str);
        let (Some(family), Some(name)) = (family, name) else {
            return Err(unknown("command", json));
        };
        if self.options.tables.as_ref().is_some_and(|tables| !tables.contains(name)) {
            return Ok(());
        }
        match (command, kind) {
            ("add" | "create", "table") => self.add_table(family, name, object),
            ("delete", "table") => {
                self.tables.retain(|table| (table.family, table.name) != (family, name));
                Ok(())
            }
            ("flush", "table") => {
                let table = self.table(family, name)?;
                table.chains.iter_mut().for_each(|chain| chain.rules.clear());
                Ok(())
            }
            ("add" | "create", "set") => {
                let others = self.options.filled.contains(text(object, "name")?);
                self.table(family, name)?.add_set(object, others)
            }
            ("add" | "create", "element") => {
                let set = text(object, "name")?;
                let known = self.table(family, name)?.sets.get_mut(set);
                let known = known.ok_or_else(|| no_such("set", set))?;
                known.elements.extend(elements(part(object, "elem")?));
                Ok(())
            }
            ("add" | "create", "chain") => self.table(family, name)?.add_chain(object),
            ("delete", "chain") => {
                let chain = text(object, "name")?;
                self.table(family, name)?.chains.retain(|known| known.name.as_str() != chain);
                Ok(())
            }
            ("add" | "create", "rule") => {
                let chain = text(object, "chain")?;
                let chains = &mut self.table(family, name)?.chains;
                let known = chains.iter_mut().find(|known| known.name.as_str() == chain);
                known.ok_or_else(|| no_such("chain", chain))?.rules.push((at, object));
                Ok(())
            }
            // A counter by name counts, and no more.
            ("add" | "create", "counter") => Ok(()),
            _ => Err(unknown("command", json)),
        }
    }

    fn add_table(
        &mut self,
        family: &'a str,
        name: &'a str,
        json: &'a Value,
    ) -> Result<(), ReadProblem> {
        let families = match family {
            "inet" => Families::Both,
            "ip" => Families::Ipv4,
            "ip6" => Families::Ipv6,
            _ => return Err(unknown("family", json)),
        };
        if json
            .get("flags")
            .is_some_and(|flags| elements(flags).iter().any(|flag| *flag == "dormant"))
        {
            return Err(unknown("table", json));
        }
        if self.table(family, name).is_err() {
            let (sets, chains) = (Sets::new(), Vec::new());
            self.tables.push(TableText { family, name, families, sets, chains });
        }
        Ok(())
    }

    fn table(&mut self, family: &str, name: &str) -> Result<&mut TableText<'a>, ReadProblem> {
        let mut tables = self.tables.iter_mut();
        let known = tables.find(|table| (table.family, table.name) == (family, name));
        known.ok_or_else(|| no_such("table", name))
    }
}

fn no_such(what: &'static str, name: &str) -> ReadProblem {
    ReadProblem::NoSuch { what, name: name.to_owned() }
}

impl<'a> TableText<'a> {
    fn add_set(&mut self, json: &'a Value, others: bool) -> Result<(), ReadProblem> {
        let (name, kind) = (text(json, "name")?, text(json, "type")?);
        // Elements that come and go with packets or time are nobody's to know.
        let comes_and_goes = json.get("timeout").is_some()
            || json.get("flags").is_some_and(|flags| {
                elements(flags).iter().any(|flag| *flag == "dynamic" || *flag == "timeout")
            });
        let elements = json.get("elem").map(elements).unwrap_or_default();
        let set = SetText { kind, elements, others: others || comes_and_goes };
        self.sets.entry(name).or_insert(set);
        Ok(())
    }

    fn add_chain(&mut self, json: &'a Value) -> Result<(), ReadProblem> {
        let name = Name::new(text(json, "name")?).map_err(|_| unknown("chain", json))?;
        let keys = ["type", "hook", "prio"].map(|key| json.get(key));
        let base = match keys {
            [None, None, None] => None,
            [Some(kind), Some(hook), Some(priority)] => {
                Some(base(kind, hook, priority).ok_or_else(|| unknown("chain", json))?)
            }
            // nft makes a chain without a hook of it, which nobody can have meant.
            _ => return Err(unknown("chain", json)),
        };
        let accepts = json.get("policy").is_none_or(|policy| policy == "accept");
        if !accepts || json.get("dev").is_some() {
            return Err(unknown("chain", json));
        }
        if !self.chains.iter().any(|chain| chain.name == name) {
            self.chains.push(ChainText { name, base, rules: Vec::new() });
        }
        Ok(())
    }

    fn read(&self, errors: &mut Vec<ReadError>) -> Result<Table, ReadProblem> {
        let name =
            Name::new(self.name).map_err(|_| no_such("table name that can be read:", self.name))?;
        let mut chains: Vec<Chain> = Vec::with_capacity(self.chains.len());
        let mut helpers = Vec::new();
        for chain in &self.chains {
            let mut rules = Vec::with_capacity(chain.rules.len());
            for &(object, json) in &chain.rules {
                match self.rule(chain, json, &mut helpers) {
                    Ok(rule) => rules.extend(rule),
                    Err(problem) => errors.push(ReadError { object, problem }),
                }
            }
            chains.push(Chain { name: chain.name.clone(), base: chain.base, rules });
        }
        chains.append(&mut helpers);
        let sets = self.sets.iter().filter(|(_, set)| set.is_filled_by_others());
        let sets = sets.filter_map(|(name, set)| {
            Some(AddressSet { name: Name::new(name).ok()?, family: set.family()? })
        });
        if let Some(chain) = circle(jumps(&chains)) {
            return Err(ReadProblem::Circle { chain: chain.to_string() });
        }
        let mut table = Table { name, families: self.families, sets: sets.collect(), chains };
        mend_socket_matches(&mut table);
        Ok(table)
    }

    /// The rule of `json`; none if it does nothing. A rule that does several things leads to a
    /// chain of its own, which is added to `helpers`.
    fn rule(
        &self,
        chain: &ChainText<'_>,
        json: &Value,
        helpers: &mut Vec<Chain>,
    ) -> Result<Option<Rule>, ReadProblem> {
        let statements = part(json, "expr")?.as_array().ok_or_else(|| unknown("rule", json))?;
        let mut matches = Matches::all(self.families);
        let mut actions = Actions::default();
        for statement in statements {
            let (key, value) = single("statement", statement)?;
            if key != "match" {
                if matches!(key, "redirect" | "tproxy") && !matches.has_ports() {
                    return Err(unknown("rule without a protocol", json));
                }
                if let Some(families) = actions.add(key, value)? {
                    matches.narrow(families);
                }
            } else if actions.done.is_empty() && actions.is_complete() {
                matches.add(value, &self.sets)?;
            } else {
                return Err(unknown("match behind a statement", json));
            }
        }
        if !actions.is_complete() {
            return Err(unknown("tproxy without accept", json));
        }
        for action in &actions.done {
            if let Action::Jump(to) | Action::Goto(to) = action
                && !self.chains.iter().any(|chain| chain.name == *to && chain.base.is_none())
            {
                return Err(no_such("chain", to.as_str()));
            }
        }
        let Some(families) = matches.families else { return Ok(None) };
        let rule = |when, then| Rule { families, when, then, origin: Origin::FOREIGN };
        let mut actions = match (actions.done, actions.logs) {
            (actions, false) if actions.is_empty() => return Ok(None),
            (actions, true) if actions.is_empty() => vec![Action::Log],
            (actions, _) => actions,
        };
        if actions.len() == 1 {
            return Ok(actions.pop().map(|then| rule(matches.when, then)));
        }
        // What leaves the chain must leave this one, not only the helper.
        let leaves = matches!(actions.last(), Some(Action::Return | Action::Goto(_)));
        let name = self.fresh(chain, helpers);
        let rules = actions.into_iter().map(|then| rule(Vec::new(), then)).collect();
        helpers.push(Chain { name: name.clone(), base: None, rules });
        let then = if leaves { Action::Goto(name) } else { Action::Jump(name) };
        Ok(Some(rule(matches.when, then)))
    }

    /// A name that no chain has.
    fn fresh(&self, chain: &ChainText<'_>, helpers: &[Chain]) -> Name {
        let taken = |name: &Name| {
            self.chains.iter().any(|chain| chain.name == *name)
                || helpers.iter().any(|chain| chain.name == *name)
        };
        let stem: String = chain.name.as_str().chars().take(Name::MAX_LEN - 12).collect();
        (1..=helpers.len() + self.chains.len() + 1)
            .filter_map(|number| Name::new(&format!("{stem}-then-{number}")).ok())
            .find(|name| !taken(name))
            .unwrap_or_else(|| chain.name.clone())
    }
}

fn base(kind: &Value, hook: &Value, priority: &Value) -> Option<Base> {
    let kind = match kind.as_str()? {
        "filter" => ChainKind::Filter,
        "nat" => ChainKind::Nat,
        "route" => ChainKind::Route,
        _ => return None,
    };
    let hook = match hook.as_str()? {
        "prerouting" => Hook::Prerouting,
        "input" => Hook::Input,
        "forward" => Hook::Forward,
        "output" => Hook::Output,
        "postrouting" => Hook::Postrouting,
        _ => return None,
    };
    let priority = i32::try_from(priority.as_i64()?).ok()?;
    Some(Base { kind, hook, priority })
}

/// Where the rules of each chain lead.
fn jumps(chains: &[Chain]) -> BTreeMap<Name, BTreeSet<Name>> {
    let target = |rule: &Rule| match &rule.then {
        Action::Jump(to) | Action::Goto(to) => Some(to.clone()),
        _ => None,
    };
    let targets = |chain: &Chain| chain.rules.iter().filter_map(target).collect();
    chains.iter().map(|chain| (chain.name.clone(), targets(chain))).collect()
}

/// In postrouting nat, for TCP, a local source is read as an existing socket: that is how the nft
/// backend writes one, and there both take the same packets (Linux 6.18).
fn mend_socket_matches(table: &mut Table) {
    let is_it = |base: Base| base.kind == ChainKind::Nat && base.hook == Hook::Postrouting;
    let reached = |from: &dyn Fn(Base) -> bool| -> BTreeSet<Name> {
        let mut open: Vec<_> =
            table.chains.iter().filter(|chain| chain.base.is_some_and(from)).collect();
        let mut reached = BTreeSet::new();
        while let Some(chain) = open.pop() {
            if reached.insert(chain.name.clone()) {
                open.extend(chain.rules.iter().filter_map(|rule| match &rule.then {
                    Action::Jump(to) | Action::Goto(to) => table.chain(to),
                    _ => None,
                }));
            }
        }
        reached
    };
    let (inside, outside) = (reached(&is_it), reached(&|base| !is_it(base)));
    let tcp = Match::Protocol { protocol: Protocol::Tcp, not: false };
    for chain in &mut table.chains {
        if !inside.contains(&chain.name) || outside.contains(&chain.name) {
            continue;
        }
        for rule in chain.rules.iter_mut().filter(|rule| rule.when.contains(&tcp)) {
            for when in &mut rule.when {
                if let Match::Local { of: Direction::Source, not } = *when {
                    *when = Match::SocketExists { not };
                }
            }
        }
    }
}
