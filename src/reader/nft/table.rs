//! Tables, chains and sets as they are in the end, to the IR.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::loadable::{check_actions, check_depth};
use super::managed::is_of_iptables;
use super::opaque::{Asker, Changed};
use super::rule::{self, Spec};
use super::sets::{Sets, filled};
use super::{OfIptables, Options, Place, ReadError, ReadProblem};
use crate::ir::{Action, AddressSet, Base, Chain, Hook, Locator, Rule, Ruleset, TRACKING, Table};
use crate::net::Name;
use crate::nft::{At, ChainState, Names, Reads, Rule as NftRule, State, TableState, bad};
use crate::reader::{circle, drop_at_end, left_out};

/// The IR of the tables; what cannot be read is in `errors`.
pub(super) fn ruleset(
    state: &State<'_>,
    options: &Options,
    errors: &mut Vec<ReadError>,
) -> Ruleset {
    let changed = Changed::of(state);
    let mut read = Vec::new();
    for table in &state.tables {
        let mut reader = Reader { table, options, changed: &changed, errors };
        let is_left_out = options.reads(table.name.family.name(), &table.name.name) != Reads::All;
        match (is_of_iptables(table), options.of_iptables) {
            _ if is_left_out => read.extend(reader.hooks()),
            (true, OfIptables::PassOver) => {}
            (true, OfIptables::Refuse) => reader.report(ReadProblem::OfIptables),
            (false, _) => read.extend(reader.read()),
        }
    }
    Ruleset { tables: read }
}

/// What each rule of the table comes to, chain by chain; `None` of one that cannot be read, or needs a chain
/// of its own.
pub(super) fn each_rule(table: &TableState<'_>, options: &Options) -> Vec<Vec<Option<Vec<Rule>>>> {
    let changed = Changed::of(&State { tables: vec![table.clone()] });
    let mut errors = Vec::new();
    let sets = Reader { table, options, changed: &changed, errors: &mut errors }.sets();
    let names = table.chains.iter().map(|chain| Some((Name::foreign(chain.name).ok()?, chain)));
    let names: Vec<_> = names.collect::<Option<_>>().unwrap_or_default();
    let (targets, known) = (targets_of(&names), Sets::of(table, &sets, options));
    let place = rule::Place {
        families: table.name.family.families(),
        sets: &known,
        targets: &targets,
        target: options.target,
        of: table.name.to_string(),
        changed: &changed,
    };
    let fresh = Names::of(table.chains.iter().map(|chain| chain.name));
    let mut found = Found { names: fresh, chains: Vec::new(), connections: Vec::new() };
    let mut each = |chain: &ChainState<'_>, index: usize, rule| {
        let mut helpers = Vec::new();
        let asker = place.asker(chain.name, index + 1);
        let (rules, _) = read_rule(rule, &place, &asker, &mut found, &mut helpers).ok()?;
        helpers.is_empty().then_some(rules)
    };
    let chains = table.chains.iter().map(|chain| {
        let rules = chain.rules.iter().enumerate();
        rules.map(|(index, rule)| each(chain, index, *rule)).collect()
    });
    chains.collect()
}

/// The chains that rules may jump to.
fn targets_of<'a>(names: &[(Name, &ChainState<'a>)]) -> HashMap<&'a str, Name> {
    names
        .iter()
        .filter(|(_, chain)| chain.base.is_none() && !chain.is_elsewhere)
        .map(|(name, chain)| (chain.name, name.clone()))
        .collect()
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
    /// What rules of the text change.
    changed: &'t Changed,
    errors: &'t mut Vec<ReadError>,
}

impl Reader<'_, '_> {
    /// The table as one of which only is known where packets come to it.
    fn hooks(mut self) -> Option<Table> {
        let families = self.table.name.family.families();
        let what = format!("table {}", self.table.name);
        let mut chains = Vec::new();
        for chain in self.table.chains.iter().filter(|_| !self.table.dormant) {
            let Some(base) = chain.base else { continue };
            let name = Name::foreign(chain.name).ok()?;
            chains.push(Chain { name, base: Some(base), rules: vec![left_out(&what, families)] });
        }
        let name = self.name("table", &self.table.name.name)?;
        Some(Table { name, families, sets: Vec::new(), chains })
    }

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
        let targets = targets_of(&names);
        let fresh = Names::of(self.table.chains.iter().map(|chain| chain.name));
        let families = self.table.name.family.families();
        let known = Sets::of(self.table, &sets, self.options);
        let target = self.options.target;
        let of = self.table.name.to_string();
        let changed = self.changed;
        let place = rule::Place { families, sets: &known, targets: &targets, target, of, changed };
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
        if self.options.target.is_some() {
            self.check_connections(&table, found.connections);
        }
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
            let asker = place.asker(chain.name, index + 1);
            let made = helpers.len();
            match read_rule(rule, place, &asker, found, &mut helpers) {
                Ok((mut read, connection)) => {
                    let locator = locator(rule);
                    let helped = helpers[made..].iter_mut().flat_map(|helper| &mut helper.rules);
                    for rule in read.iter_mut().chain(helped) {
                        rule.origin.locator = locator;
                    }
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
        let is_ours = self.options.target.is_some();
        let name = if is_ours { Name::new(text) } else { Name::foreign(text) };
        name.map_err(|why| self.report(bad(of, text, &why))).ok()
    }

    /// The sets that others fill. One of prefixes cannot be said, and matters if a rule names it.
    fn sets(&mut self) -> Vec<AddressSet> {
        let mut sets = Vec::new();
        for set in &self.table.sets {
            let Some(family) = filled(set, self.options) else { continue };
            if !set.is_interval()
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
    asker: &Asker<'_>,
    found: &mut Found<'_>,
    helpers: &mut Vec<Chain>,
) -> Result<Read, (At, ReadProblem)> {
    let statements =
        rule.statements.as_ref().map_err(|error| (error.at.in_script(), error.problem.clone()))?;
    let start = statements.first().map_or_else(At::default, |(at, _)| *at);
    let spec = Spec::read(statements, place, asker)?;
    let connection = spec.connection;
    let made = helpers.len();
    match spec.rules(asker.chain, &mut found.names, helpers) {
        Ok(rules) => Ok((rules, connection)),
        Err(problem) if place.target.is_some() => Err((start, problem)),
        Err(_) => {
            helpers.truncate(made);
            Ok((vec![rule::unknown(statements, place, asker)], None))
        }
    }
}

/// Where a rule stands.
fn locator(rule: &NftRule<'_>) -> Option<Locator> {
    let line = || match rule.statements.as_ref().ok()?.first()?.0 {
        At::Line { line, .. } => Some(Locator::Line { text: 0, line: line as usize }),
        At::Nowhere | At::Command(_) => None,
    };
    rule.handle.map(Locator::Handle).or_else(line)
}

/// The chains that the rules jump or go to.
fn targets(chain: &Chain) -> impl Iterator<Item = &Name> {
    chain.rules.iter().filter_map(|rule| match &rule.then {
        Action::Jump(name) | Action::Goto(name) => Some(name),
        _ => None,
    })
}
