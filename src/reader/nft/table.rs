//! Tables, chains and sets as they are in the end, to the IR.

use std::collections::{BTreeMap, BTreeSet};

use super::field::address_family;
use super::loadable::{check_actions, check_depth};
use super::managed::is_of_iptables;
use super::rule::{self, Spec};
use super::{OfIptables, Options, Place, ReadError, ReadProblem};
use crate::ir::{Action, AddressSet, Base, Chain, Hook, Rule, Ruleset, TRACKING, Table};
use crate::net::{Family, Name};
use crate::nft::{
    At, ChainState, Names, Right, Rule as NftRule, SetState, TableState, Value, Verdict, absent,
    bad,
};
use crate::reader::{circle, drop_at_end};

/// The named sets and maps of a table.
pub(super) struct Sets<'v, 't> {
    table: &'t TableState<'v>,
    /// Those that others fill.
    pub(super) declared: &'t [AddressSet],
    options: &'t Options,
}

impl<'v> Sets<'v, '_> {
    pub(super) fn get(&self, name: &str) -> Option<&SetState<'v>> {
        self.table.sets.iter().find(|set| set.set.name == name)
    }

    /// The family of the addresses, if others fill the set.
    pub(super) fn filled(&self, set: &SetState<'_>) -> Option<Family> {
        filled(self.table, set, self.options)
    }

    /// The elements of a map of verdicts, by its name or as they are.
    pub(super) fn entries(
        &self,
        to: &'v Right<'v>,
    ) -> Result<Vec<&'v (Value<'v>, Verdict<'v>)>, ReadProblem> {
        match to {
            Right::Named(name) => {
                let is_it = |map: &&SetState<'_>| map.set.map.as_deref() == Some("verdict");
                let map = self.get(name).filter(is_it);
                let map = map.ok_or_else(|| absent("map of verdicts", to))?;
                if let Some(error) = map.unread {
                    return Err(error.problem.clone());
                }
                let is_plain = map.set.flags.iter().all(|flag| is_plain_flag(flag));
                if map.entries.is_empty() || !map.values.is_empty() || map.fleeting || !is_plain {
                    let why = "others fill it";
                    return Err(ReadProblem::Inexact { word: to.to_string(), why });
                }
                Ok(map.entries.iter().copied().flatten().collect())
            }
            Right::Set(elements) if elements.values.is_empty() && !elements.fleeting => {
                Ok(elements.entries.iter().collect())
            }
            _ => Err(bad("data", to, "not a map of verdicts")),
        }
    }
}

fn is_plain_flag(flag: &str) -> bool {
    matches!(flag, "constant" | "interval")
}

fn filled(table: &TableState<'_>, set: &SetState<'_>, options: &Options) -> Option<Family> {
    let is_known = options.own.contains(&*table.name.name);
    let is_filled = set.is_empty() && !is_known || options.filled.contains(&*set.set.name);
    if is_filled && set.set.map.is_none() { address_family(&set.set.of) } else { None }
}

/// The IR of the tables; what cannot be read is in `errors`.
pub(super) fn ruleset(
    tables: &[TableState<'_>],
    options: &Options,
    errors: &mut Vec<ReadError>,
) -> Ruleset {
    let mut read = Vec::new();
    for table in tables {
        let mut reader = Reader { table, options, errors };
        match (is_of_iptables(table), options.of_iptables) {
            (true, OfIptables::PassOver) => {}
            (true, OfIptables::Refuse) => reader.report(ReadProblem::OfIptables),
            (false, _) => read.extend(reader.read()),
        }
    }
    Ruleset { tables: read }
}

/// What chains come to.
struct Found<'t> {
    names: Names<'t>,
    chains: Vec<Chain>,
    /// Words that are about connections, each with its chain.
    connections: Vec<(Name, &'static str, Place)>,
}

struct Reader<'a, 't> {
    table: &'t TableState<'a>,
    options: &'t Options,
    errors: &'t mut Vec<ReadError>,
}

impl Reader<'_, '_> {
    fn read(mut self) -> Option<Table> {
        let name = self.name("table", &self.table.name.name);
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
        let fresh = Names::of(self.table.chains.iter().map(|chain| chain.name));
        let families = self.table.name.family.families();
        let known = Sets { table: self.table, declared: &sets, options: self.options };
        let target = self.options.target;
        let place = rule::Place { families, sets: &known, targets: &targets, target };
        let mut found = Found { names: fresh, chains: Vec::new(), connections: Vec::new() };
        for (name, chain) in names {
            self.chain(name, chain, &place, &mut found);
        }
        let table = Table { name, families, sets, chains: found.chains };
        let is_circular = self.check_circles(&table);
        if self.options.target.is_some() {
            let depth = if is_circular { Ok(()) } else { check_depth(self.table) };
            if let Err(problem) = check_actions(&table).and(depth) {
                self.report(problem);
            }
        }
        self.check_connections(&table, found.connections);
        Some(table)
    }

    fn chain<'a>(
        &mut self,
        name: Name,
        chain: &ChainState<'a>,
        place: &rule::Place<'a, '_>,
        found: &mut Found<'_>,
    ) {
        let mut helpers = Vec::new();
        let mut rules = Vec::new();
        for (index, rule) in chain.rules.iter().enumerate() {
            let named = || Place::Rule {
                table: self.table.name.to_string(),
                chain: chain.name.to_owned(),
                index: index + 1,
            };
            match read_rule(rule, place, chain.name, found, &mut helpers) {
                Ok((read, connection)) => {
                    rules.extend(read);
                    let at = rule
                        .statements
                        .iter()
                        .flatten()
                        .next()
                        .map_or_else(At::default, |(at, _)| *at);
                    let at = || Place::or(at, named);
                    found.connections.extend(connection.map(|word| (name.clone(), word, at())));
                }
                Err((at, problem)) => {
                    self.errors.push(ReadError { at: Place::or(at, named), problem });
                }
            }
        }
        let base = chain.base.filter(|_| !self.table.dormant);
        let mut read = Chain { name, base, rules };
        if chain.drops && base.is_some() {
            let name = || found.names.fresh(chain.name, "rules");
            helpers.extend(drop_at_end(&mut read, place.families, name));
        }
        found.chains.push(read);
        found.chains.append(&mut helpers);
    }

    fn report(&mut self, problem: ReadProblem) {
        self.errors.push(ReadError { at: Place::Table(self.table.name.to_string()), problem });
    }

    fn name(&mut self, of: &'static str, text: &str) -> Option<Name> {
        let name = Name::new(text);
        name.map_err(|why| self.report(bad(of, text, &why))).ok()
    }

    /// The sets that others fill. One of prefixes cannot be said, and matters if a rule names it.
    fn sets(&mut self) -> Vec<AddressSet> {
        let mut sets = Vec::new();
        for set in &self.table.sets {
            let Some(family) = filled(self.table, set, self.options) else { continue };
            if !set.set.flags.iter().any(|flag| flag == "interval")
                && let Some(name) = self.name("set", &set.set.name)
            {
                sets.push(AddressSet { name, family });
            }
        }
        sets
    }

    /// Whether there is a circle, which is an error.
    fn check_circles(&mut self, table: &Table) -> bool {
        let edges: BTreeMap<&Name, BTreeSet<&Name>> =
            table.chains.iter().map(|chain| (&chain.name, targets(chain).collect())).collect();
        let found = circle(edges);
        let is_circular = found.is_some();
        if let Some(chain) = found {
            self.report(ReadProblem::Circle { chain: chain.to_string() });
        }
        is_circular
    }

    /// What is about connections, where the kernel has not found them yet.
    fn check_connections(&mut self, table: &Table, used: Vec<(Name, &'static str, Place)>) {
        let is_before = |base: Base| {
            base.priority <= TRACKING && matches!(base.hook, Hook::Prerouting | Hook::Output)
        };
        if used.is_empty() {
            return;
        }
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

/// What reading a rule comes to: the IR's rules, and the first word that is about connections.
type Read = (Vec<Rule>, Option<&'static str>);

fn read_rule<'a>(
    rule: &'a NftRule<'a>,
    place: &rule::Place<'a, '_>,
    chain: &str,
    found: &mut Found<'_>,
    helpers: &mut Vec<Chain>,
) -> Result<Read, (At, ReadProblem)> {
    let statements = rule.statements.as_ref().map_err(|error| {
        let at = match error.at {
            Place::Line { line, column } => At::Line { line, column },
            _ => At::Nowhere,
        };
        (at, error.problem.clone())
    })?;
    let start = statements.first().map_or_else(At::default, |(at, _)| *at);
    let spec = Spec::read(statements, place)?;
    let connection = spec.connection;
    let rules = spec.rules(chain, &mut found.names, helpers);
    rules.map(|rules| (rules, connection)).map_err(|problem| (start, problem))
}

/// The chains that the rules jump or go to.
fn targets(chain: &Chain) -> impl Iterator<Item = &Name> {
    chain.rules.iter().filter_map(|rule| match &rule.then {
        Action::Jump(name) | Action::Goto(name) => Some(name),
        _ => None,
    })
}
