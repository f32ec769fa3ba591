//! Tables, chains and sets as they are in the end, to the IR.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::field::address_family;
use super::object::{bad, form};
use super::rule::{self, Spec};
use super::state::{self, Set, absent};
use super::{Options, Place, ReadError, ReadProblem};
use crate::backend::nft::Names;
use crate::ir::{Action, AddressSet, Base, Chain, Hook, Origin, Rule, Ruleset, TRACKING, Table};
use crate::net::{Families, Family, Name};
use crate::reader::circle;

/// The named sets and maps of a table.
pub(super) struct Sets<'a, 't> {
    all: &'t [Set<'a>],
    /// Those that others fill.
    pub(super) declared: &'t [AddressSet],
    options: &'t Options,
}

impl<'a> Sets<'a, '_> {
    pub(super) fn get(&self, name: &str) -> Option<&Set<'a>> {
        self.all.iter().find(|set| set.name == name)
    }

    /// The family of the addresses, if others fill the set.
    pub(super) fn filled(&self, set: &Set<'_>) -> Option<Family> {
        filled(set, self.options)
    }

    /// The elements of a map, by its name or as they are.
    pub(super) fn entries(&self, data: &'a Value) -> Result<Vec<&'a Value>, ReadProblem> {
        if let Some(name) = data.as_str() {
            let map = name.strip_prefix('@').and_then(|name| self.get(name));
            let map = map.filter(|map| map.map.is_some_and(|to| to == "verdict"));
            let map = map.ok_or_else(|| absent("map of verdicts", name))?;
            if map.elements.is_empty() || !map.flags.iter().all(|flag| is_plain_flag(flag)) {
                let why = "others fill it";
                return Err(ReadProblem::Inexact { word: name.to_owned(), why });
            }
            return Ok(map.elements.clone());
        }
        let elements = form(data, "set")?.and_then(Value::as_array);
        Ok(elements.ok_or_else(|| bad("data", data, "not a map of verdicts"))?.iter().collect())
    }
}

fn is_plain_flag(flag: &str) -> bool {
    matches!(flag, "constant" | "interval")
}

fn filled(set: &Set<'_>, options: &Options) -> Option<Family> {
    let is_filled = set.elements.is_empty() || options.filled.contains(set.name);
    if is_filled && set.map.is_none() { address_family(set.of) } else { None }
}

/// The IR of the tables; what cannot be read is in `errors`.
pub(super) fn ruleset(
    tables: &[state::Table<'_>],
    options: &Options,
    errors: &mut Vec<ReadError>,
) -> Ruleset {
    let tables = tables.iter().filter_map(|table| Reader { table, options, errors }.read());
    Ruleset { tables: tables.collect() }
}

/// What chains come to.
struct Found {
    names: Names,
    chains: Vec<Chain>,
    /// Words that are about connections, each with its chain.
    connections: Vec<(Name, &'static str, Place)>,
}

struct Reader<'a, 't> {
    table: &'t state::Table<'a>,
    options: &'t Options,
    errors: &'t mut Vec<ReadError>,
}

impl Reader<'_, '_> {
    fn read(mut self) -> Option<Table> {
        let name = self.name("table", self.table.name);
        let sets = self.sets();
        let names: Vec<_> = self
            .table
            .chains
            .iter()
            .map(|chain| Some((self.name("chain", chain.name)?, chain)))
            .collect();
        let name = name?;
        let names = names.into_iter().collect::<Option<Vec<_>>>()?;
        let targets: Vec<_> = names
            .iter()
            .filter(|(_, chain)| chain.base.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        let fresh = Names::of(names.iter().map(|(name, _)| name.as_str()));
        let families = self.table.families();
        let known = Sets { all: &self.table.sets, declared: &sets, options: self.options };
        let place = rule::Place { families, sets: &known, targets: &targets };
        let mut found = Found { names: fresh, chains: Vec::new(), connections: Vec::new() };
        for (name, chain) in names {
            self.chain(name, chain, &place, &mut found);
        }
        let table = Table { name, families, sets, chains: found.chains };
        self.check_circles(&table);
        self.check_connections(&table, found.connections);
        Some(table)
    }

    fn chain<'a>(
        &mut self,
        name: Name,
        chain: &state::Chain<'a>,
        place: &rule::Place<'a, '_>,
        found: &mut Found,
    ) {
        let mut helpers = Vec::new();
        let mut rules = Vec::new();
        for (index, statements) in chain.rules.iter().enumerate() {
            let at = Place::Rule {
                table: self.table.full_name(),
                chain: chain.name.to_owned(),
                index: index + 1,
            };
            let mut connection = None;
            let read = Spec::read(statements, place).and_then(|spec| {
                connection = spec.connection;
                spec.rules(chain.name, &mut found.names, &mut helpers)
            });
            match read {
                Ok(read) => {
                    rules.extend(read);
                    found.connections.extend(connection.map(|word| (name.clone(), word, at)));
                }
                Err(problem) => self.errors.push(ReadError { at, problem }),
            }
        }
        let mut read = Chain { name, base: chain.base, rules };
        if chain.drops {
            helpers.extend(drop_at_end(&mut read, place.families, &mut found.names));
        }
        found.chains.push(read);
        found.chains.append(&mut helpers);
    }

    fn report(&mut self, problem: ReadProblem) {
        self.errors.push(ReadError { at: Place::Table(self.table.full_name()), problem });
    }

    fn name(&mut self, of: &'static str, text: &str) -> Option<Name> {
        let name = Name::new(text);
        name.map_err(|why| self.report(bad(of, &text.into(), &why))).ok()
    }

    /// The sets that others fill. One of prefixes cannot be said, and matters if a rule names it.
    fn sets(&mut self) -> Vec<AddressSet> {
        let mut sets = Vec::new();
        for set in &self.table.sets {
            let Some(family) = filled(set, self.options) else { continue };
            if !set.flags.contains(&"interval")
                && let Some(name) = self.name("set", set.name)
            {
                sets.push(AddressSet { name, family });
            }
        }
        sets
    }

    fn check_circles(&mut self, table: &Table) {
        let edges: BTreeMap<Name, BTreeSet<Name>> = table
            .chains
            .iter()
            .map(|chain| (chain.name.clone(), targets(chain).cloned().collect()))
            .collect();
        if let Some(chain) = circle(edges) {
            self.report(ReadProblem::Circle { chain: chain.to_string() });
        }
    }

    /// What is about connections, where the kernel has not found them yet.
    fn check_connections(&mut self, table: &Table, used: Vec<(Name, &'static str, Place)>) {
        let is_before = |base: Base| {
            base.priority <= TRACKING && matches!(base.hook, Hook::Prerouting | Hook::Output)
        };
        let mut open: Vec<&Chain> =
            table.chains.iter().filter(|chain| chain.base.is_some_and(is_before)).collect();
        let mut before = BTreeSet::new();
        while let Some(chain) = open.pop() {
            if before.insert(&chain.name) {
                open.extend(targets(chain).filter_map(|name| table.chain(name)));
            }
        }
        for (chain, word, at) in used {
            if before.contains(&chain) {
                let needs = "a priority above -200";
                let problem = ReadProblem::Needs { word: word.to_owned(), needs };
                self.errors.push(ReadError { at, problem });
            }
        }
    }
}

/// The chains that the rules jump or go to.
fn targets(chain: &Chain) -> impl Iterator<Item = &Name> {
    chain.rules.iter().filter_map(|rule| match &rule.then {
        Action::Jump(name) | Action::Goto(name) => Some(name),
        _ => None,
    })
}

/// Makes `chain`, a base chain, drop what comes to its end, also by returning. Needs another chain
/// if something returns.
fn drop_at_end(chain: &mut Chain, families: Families, names: &mut Names) -> Option<Chain> {
    let plain = |then| Rule { families, when: Vec::new(), then, origin: Origin::FOREIGN };
    let returns = |rule: &Rule| matches!(rule.then, Action::Return | Action::Goto(_));
    let helper = chain.rules.iter().any(returns).then(|| {
        let name = names.fresh(chain.name.as_str(), "rules");
        let jump = plain(Action::Jump(name.clone()));
        Chain { name, base: None, rules: std::mem::replace(&mut chain.rules, vec![jump]) }
    });
    chain.rules.push(plain(Action::Drop));
    helper
}
