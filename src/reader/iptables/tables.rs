//! The chains of both families' texts to tables of the IR.

use std::collections::{BTreeMap, BTreeSet};

use super::opaque;
use super::{Options, ReadError, ReadProblem};
use crate::ir::{
    Action, AddressSet, BuiltInTable, Chain, Condition, Hook, Match, Rule, Table,
    from_iptables_chain,
};
use crate::net::{Families, Family, Name};
use crate::reader::size::MOST_UNKNOWN;
use crate::reader::{Found, circle, drop_at_end, is_among};

/// One family's text.
#[derive(Default)]
pub(super) struct Text {
    pub(super) tables: BTreeMap<BuiltInTable, TableText>,
    /// `chain DOCKER of nat`.
    pub(super) left_out: Vec<String>,
}

/// What a text says of one table.
#[derive(Default)]
pub(super) struct TableText {
    pub(super) chains: Vec<ChainText>,
    /// The places of the chains in the list, by name.
    pub(super) by_name: BTreeMap<String, usize>,
}

pub(super) struct ChainText {
    /// As the text has it.
    name: String,
    /// The line that mentions it first.
    line: usize,
    /// What each line came to: several rules where the IR needs them, none where it has no effect.
    /// Positions in `-I` count lines.
    pub(super) lines: Vec<Line>,
    /// Whether what comes to its end is dropped.
    pub(super) drops: bool,
}

/// A line of a chain.
pub(super) struct Line {
    pub(super) number: usize,
    /// The chain or target that it names, as the text has it: to the kernel, names of chains are others
    /// where only case differs.
    pub(super) target: Option<String>,
    pub(super) rules: Vec<Rule>,
}

impl TableText {
    /// The chain called `name`; of a built-in one, also if this is its first mention.
    pub(super) fn chain(
        &mut self,
        table: BuiltInTable,
        name: &str,
        line: usize,
    ) -> Result<&mut ChainText, ReadProblem> {
        let at = self.by_name.get(name).copied();
        if at.is_none() && built_in(table, name).is_none() {
            return Err(ReadProblem::NoChain { chain: name.to_owned() });
        }
        Ok(match at {
            Some(at) => &mut self.chains[at],
            None => self.add(name, line),
        })
    }

    pub(super) fn add(&mut self, name: &str, line: usize) -> &mut ChainText {
        self.by_name.insert(name.to_owned(), self.chains.len());
        self.chains.push(ChainText {
            name: name.to_owned(),
            line,
            lines: Vec::new(),
            drops: false,
        });
        self.chains.last_mut().expect("one was pushed")
    }
}

/// The hook of the built-in chain called `name`.
pub(super) fn built_in(table: BuiltInTable, name: &str) -> Option<Hook> {
    Hook::ALL.into_iter().find(|hook| hook.built_in_chain() == name && table.base(*hook).is_some())
}

/// The IR's name for a chain: as it is written, but for our own and built-in ones. What is in no name of
/// ours becomes `_`.
pub(super) fn chain_name(text: &str, options: &Options) -> Result<Name, ReadProblem> {
    let wrong = |why: &dyn ToString| ReadProblem::ChainName {
        chain: text.to_owned(),
        why: why.to_string(),
    };
    if options.to_load || is_any_built_in(text) || options.is_other(text) {
        return Name::new(&from_iptables_chain(text)).map_err(|why| wrong(&why));
    }
    if text.len() > LONGEST_NAME {
        return Err(wrong(&"the longest name has 28 characters"));
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = text.chars().map(plain).collect();
    let start = if name.starts_with(|c: char| c.is_ascii_alphabetic()) { "" } else { "x" };
    Name::new(&format!("{start}{name}")).map_err(|why| wrong(&why))
}

impl Options {
    /// Whether the chain is one of someone else's.
    fn is_other(&self, chain: &str) -> bool {
        self.others.contains(chain)
    }
}

/// Longest name of a chain (iptables 1.8.9, `XT_EXTENSION_MAXNAMELEN` without its end).
const LONGEST_NAME: usize = 28;

impl TableText {
    /// Makes targets of jumps to what is no chain of the table: such a text is of a kernel that knows
    /// them. `unknown` counts them; what is returned is the line of the first that is too much.
    pub(super) fn name_targets(
        &mut self,
        table: BuiltInTable,
        options: &Options,
        unknown: &mut usize,
    ) -> Option<usize> {
        let Self { chains, by_name } = self;
        for chain in chains {
            let place = format!("{} {}", table.name(), chain.name);
            for Line { number, target, rules } in &mut chain.lines {
                let Some(target) = target else { continue };
                let is_known = by_name.contains_key(target) || options.is_other(target);
                if is_known || is_any_built_in(target) {
                    continue;
                }
                for rule in rules.iter_mut().filter(|rule| matches!(rule.then, Action::Jump(_))) {
                    rule.then = Action::Opaque(opaque::target(target, &[], &place));
                    *unknown += 1;
                    if *unknown > MOST_UNKNOWN {
                        return Some(*number);
                    }
                }
            }
        }
        None
    }

    /// Jumps to chains that the table does not have, and circles, which the kernel refuses.
    pub(super) fn loose_ends(&self, family: Family, options: &Options) -> Vec<ReadError> {
        let mut errors = Vec::new();
        let mut edges: BTreeMap<Name, BTreeSet<Name>> = BTreeMap::new();
        let declared: BTreeMap<Name, &ChainText> = self
            .chains
            .iter()
            .filter_map(|chain| Some((chain_name(&chain.name, options).ok()?, chain)))
            .collect();
        for chain in &self.chains {
            let Ok(name) = chain_name(&chain.name, options) else { continue };
            if declared.get(&name).is_some_and(|known| known.name != chain.name) {
                let why = "another chain is called so but for signs that weir does not tell apart"
                    .to_owned();
                let problem = ReadProblem::ChainName { chain: chain.name.clone(), why };
                let name = Some(chain.name.clone());
                errors.push(ReadError { family, line: chain.line, chain: name, problem });
            }
            let targets = edges.entry(name).or_default();
            for Line { number, target, rules } in &chain.lines {
                for rule in rules {
                    let (Action::Jump(to) | Action::Goto(to)) = &rule.then else { continue };
                    let target = target.as_deref().unwrap_or(to.as_str());
                    let is_there = |known: &&ChainText| {
                        let is_later = options.to_load && known.line > *number;
                        !is_later && known.name == target && !is_any_built_in(&known.name)
                    };
                    if declared.get(to).is_some_and(is_there) {
                        targets.insert(to.clone());
                    } else if !options.is_other(target) {
                        let problem = ReadProblem::NoChain { chain: target.to_owned() };
                        let chain = Some(chain.name.clone());
                        errors.push(ReadError { family, line: *number, chain, problem });
                    }
                }
            }
        }
        let circle = circle(edges);
        errors.extend(
            self.chains
                .iter()
                .find(|chain| circle.is_some() && chain_name(&chain.name, options).ok() == circle)
                .map(|chain| {
                    let problem = ReadProblem::Circle { chain: chain.name.clone() };
                    let name = Some(chain.name.clone());
                    ReadError { family, line: chain.line, chain: name, problem }
                }),
        );
        errors
    }
}

pub(super) fn is_any_built_in(name: &str) -> bool {
    Hook::ALL.iter().any(|hook| hook.built_in_chain() == name)
}

/// The rules of both texts.
pub(super) fn join(texts: [Text; 2], options: &Options, errors: &mut Vec<ReadError>) -> Found {
    let mut found = Found::default();
    let mut tables = texts.map(|text| {
        found.left_out.extend(text.left_out);
        text.tables
    });
    found.left_out.sort();
    found.left_out.dedup();
    let names = |what: &String| what.split(' ').nth(1).map(str::to_owned);
    let left_out: Vec<String> = found.left_out.iter().filter_map(names).collect();
    let is_used = |pattern: &&String| {
        let pattern = BTreeSet::from([(*pattern).clone()]);
        left_out.iter().any(|chain| is_among(&pattern, chain))
    };
    found.unused = options.leave_out.iter().filter(|pattern| !is_used(pattern)).cloned().collect();
    for kernel in BuiltInTable::ALL {
        let [v4, v6] = tables.each_mut().map(|tables| tables.remove(&kernel));
        let families = match (&v4, &v6) {
            (None, None) => continue,
            (Some(_), None) => Families::Ipv4,
            (None, Some(_)) => Families::Ipv6,
            (Some(_), Some(_)) => Families::Both,
        };
        let mut chains: Vec<Chain> = Vec::new();
        let mut by_name: BTreeMap<Name, usize> = BTreeMap::new();
        let tables: Vec<_> = v4
            .map(|table| (Family::Ipv4, table))
            .into_iter()
            .chain(v6.map(|table| (Family::Ipv6, table)))
            .collect();
        let sets = sets(&tables, errors);
        for (family, text) in tables
            .into_iter()
            .flat_map(|(family, table)| table.chains.into_iter().map(move |chain| (family, chain)))
        {
            let Ok(name) = chain_name(&text.name, options) else { continue };
            let base = built_in(kernel, &text.name).and_then(|hook| kernel.base(hook));
            let rules = text.lines.into_iter().flat_map(|line| line.rules).collect();
            let mut chain = Chain { name, base, rules };
            if text.drops {
                let helper =
                    format!("{}-rules-{}", text.name, if family == Family::Ipv4 { 4 } else { 6 });
                let helper = Name::new(&helper).expect("built-in chains have plain names");
                chains.extend(drop_at_end(&mut chain, family.into(), || helper));
            }
            if let Some(&at) = by_name.get(&chain.name) {
                chains[at].rules.extend(chain.rules);
            } else {
                by_name.insert(chain.name.clone(), chains.len());
                chains.push(chain);
            }
        }
        chains.retain(|chain| chain.base.is_none() || !chain.rules.is_empty());
        chains.sort_by_key(|chain| (chain.base.is_none(), chain.base.map(|base| base.hook)));
        let name = Name::new(kernel.name()).expect("the kernel's table names are names");
        found.ruleset.tables.push(Table { name, families, sets, chains });
    }
    tell_apart(&mut found);
    found
}

/// Gives each rule questions of its own where it could be answered otherwise than another: where
/// chance or time decides, and, if targets change what is asked for, everywhere.
fn tell_apart(found: &mut Found) {
    let targets = found.ruleset.rules_mut().filter_map(|rule| match &rule.then {
        Action::Opaque(target) if opaque::rewrites(target) => Some(opaque::name(target) == "SET"),
        _ => None,
    });
    let rewriting: Vec<bool> = targets.collect();
    let is_rewritten = !rewriting.is_empty();
    // Sets change while rules run.
    if rewriting.contains(&true) {
        let whens = found.ruleset.rules_mut().flat_map(|rule| &mut rule.when);
        whens.for_each(opaque::unsettle);
    }
    for table in &mut found.ruleset.tables {
        for chain in &mut table.chains {
            let mut asked: BTreeMap<Condition, usize> = BTreeMap::new();
            for when in chain.rules.iter_mut().flat_map(|rule| &mut rule.when) {
                let Match::Opaque { condition, .. } = when else { continue };
                if condition.asked_by.is_none() && !is_rewritten {
                    continue;
                }
                // Counted by text, so that the same rule asks the same in another ruleset.
                let count = asked.entry(condition.clone()).or_default();
                *count += 1;
                let place = format!("{} {} {count}", table.name, chain.name);
                condition.asked_by = Some(place.into());
            }
        }
    }
}

/// The sets that the rules name. A set's family is that of the rules that use it.
fn sets(tables: &[(Family, TableText)], errors: &mut Vec<ReadError>) -> Vec<AddressSet> {
    let mut sets: BTreeMap<Name, Family> = BTreeMap::new();
    for (family, table) in tables {
        let lines = table.chains.iter().flat_map(|chain| &chain.lines);
        for (line, when) in lines.flat_map(|line| {
            line.rules.iter().flat_map(|rule| &rule.when).map(|when| (line.number, when))
        }) {
            let Match::InSet { set, .. } = when else { continue };
            if *sets.entry(set.clone()).or_insert(*family) != *family {
                let problem = ReadProblem::SetFamily { set: set.to_string() };
                errors.push(ReadError { family: *family, line, chain: None, problem });
            }
        }
    }
    sets.into_iter().map(|(name, family)| AddressSet { name, family }).collect()
}
