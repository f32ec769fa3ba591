//! Lines of iptables to chains.

use super::dump;
use super::rule::{Place, Spec};
use super::tables::{Line, Text, built_in, chain_name};
use super::words::Words;
use super::{Options, ReadError, ReadProblem};
use crate::ir::{BuiltInTable, Hook, Locator};
use crate::net::Family;
use crate::reader::size::MOST_UNKNOWN;
use crate::reader::{is_among, left_out};

/// Checks the name of a chain that is about to be made.
fn check_new(text: &str, options: &Options) -> Result<(), ReadProblem> {
    chain_name(text, options)?;
    if Hook::ALL.iter().any(|hook| hook.built_in_chain().eq_ignore_ascii_case(text)) {
        let why = "a built-in chain has this name".to_owned();
        return Err(ReadProblem::ChainName { chain: text.to_owned(), why });
    }
    Ok(())
}

/// Reads one family's lines; what cannot be read is in `errors`.
pub(super) fn parse(
    lines: &[dump::Line<'_>],
    family: Family,
    options: &Options,
    errors: &mut Vec<ReadError>,
) -> Text {
    let mut parser =
        Parser { family, options, text: Text::default(), table: None, skipping: false, line: 0 };
    for line in lines {
        parser.line = line.number;
        if let Err(problem) = parser.read(line.text.trim()) {
            let chain = chain_of(line.text);
            errors.push(ReadError { family, line: parser.line, chain, problem });
        }
    }
    if parser.table.is_some() || parser.skipping {
        let problem = ReadProblem::NoCommit;
        errors.push(ReadError { family, line: parser.line, chain: None, problem });
    }
    let mut unknown = 0;
    for (table, text) in &mut parser.text.tables {
        if !options.to_load
            && let Some(line) = text.name_targets(*table, options, &mut unknown)
        {
            let problem = ReadProblem::TooManyUnknown { most: MOST_UNKNOWN };
            errors.push(ReadError { family, line, chain: None, problem });
            return Text::default();
        }
        errors.extend(text.loose_ends(family, options));
    }
    parser.text
}

/// The chain that a line is about, as it stands there.
fn chain_of(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with('['));
    let name = match words.next()? {
        "-A" | "-I" | "-N" | "--append" | "--insert" | "--new-chain" => words.next()?,
        word => word.strip_prefix(':')?,
    };
    Some(name.to_owned())
}

struct Parser<'a> {
    family: Family,
    options: &'a Options,
    text: Text,
    table: Option<BuiltInTable>,
    /// Within a table that is not known, which is one error and not one a line.
    skipping: bool,
    line: usize,
}

impl Parser<'_> {
    fn read(&mut self, line: &str) -> Result<(), ReadProblem> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if self.skipping {
            self.skipping = line != "COMMIT";
            return Ok(());
        }
        if let Some(name) = line.strip_prefix('*') {
            if self.table.is_some() {
                return Err(ReadProblem::NoCommit);
            }
            let table = BuiltInTable::ALL.into_iter().find(|table| table.name() == name.trim());
            self.table = table;
            self.skipping = table.is_none();
            let unknown = || ReadProblem::Unknown { what: "table", word: name.trim().to_owned() };
            self.text.tables.entry(table.ok_or_else(unknown)?).or_default();
            return Ok(());
        }
        if line == "COMMIT" {
            return self.table.take().map(|_| ()).ok_or(ReadProblem::NoTable);
        }
        let table = self.table.ok_or(ReadProblem::NoTable)?;
        match line.strip_prefix(':') {
            Some(declaration) => self.declare(table, declaration),
            None => self.command(table, Words::split(line)?),
        }
    }

    /// `:ISTIO_OUTPUT - [0:0]`, which makes a chain or empties the one that is there, or
    /// `:OUTPUT ACCEPT [0:0]`.
    fn declare(&mut self, table: BuiltInTable, declaration: &str) -> Result<(), ReadProblem> {
        let mut words = Words::split(declaration)?;
        let name = words.value(":")?;
        let policy = words.value(&name)?;
        if self.leave_out(table, &name)? {
            return Ok(());
        }
        if policy != "-" || built_in(table, &name).is_some() {
            self.set_policy(table, &name, policy)?;
        } else {
            let chains = self.text.tables.entry(table).or_default();
            if let Ok(chain) = chains.chain(table, &name, self.line) {
                chain.lines.clear();
            } else {
                check_new(&name, self.options)?;
                chains.add(&name, self.line);
            }
        }
        if let Some(counters) = words.next() {
            check_counters(&counters)?;
        }
        end(&mut words)
    }

    /// Says what becomes of packets that come to the end of a built-in chain.
    fn set_policy(
        &mut self,
        table: BuiltInTable,
        name: &str,
        policy: String,
    ) -> Result<(), ReadProblem> {
        let chains = self.text.tables.entry(table).or_default();
        match (built_in(table, name), policy.as_str()) {
            (Some(_), _) if self.options.to_load => {
                let why = "its policy is for others, too".to_owned();
                Err(ReadProblem::ChainName { chain: name.to_owned(), why })
            }
            (Some(_), "-") => Ok(()),
            (Some(_), "ACCEPT") => {
                if let Some(&at) = chains.by_name.get(name) {
                    chains.chains[at].drops = false;
                }
                Ok(())
            }
            (Some(_), "DROP") => {
                chains.chain(table, name, self.line)?.drops = true;
                Ok(())
            }
            (Some(_), _) => Err(ReadProblem::Policy { policy }),
            (None, _) => Err(ReadProblem::Unknown { what: "policy", word: policy }),
        }
    }

    fn command(&mut self, table: BuiltInTable, mut words: Words) -> Result<(), ReadProblem> {
        let mut command = words.value("")?;
        if command.starts_with('[') {
            check_counters(&command)?;
            command = words.value(&command)?;
        }
        match command.as_str() {
            "-N" | "--new-chain" if self.options.to_load => {
                let needs = "a chain that is not there yet; use `:`";
                Err(ReadProblem::Needs { word: command, needs })
            }
            "-N" | "--new-chain" => {
                let name = words.value(&command)?;
                if !self.leave_out(table, &name)? {
                    let chains = self.text.tables.entry(table).or_default();
                    if chains.chain(table, &name, self.line).is_ok() {
                        return Err(ReadProblem::Twice { word: name });
                    }
                    check_new(&name, self.options)?;
                    chains.add(&name, self.line);
                }
                end(&mut words)
            }
            "-P" | "--policy" => {
                let name = words.value(&command)?;
                let policy = words.value(&name)?;
                if !self.leave_out(table, &name)? {
                    self.set_policy(table, &name, policy)?;
                }
                if let Some(counters) = words.next() {
                    check_counters_apart(&counters, &mut words)?;
                }
                end(&mut words)
            }
            "-A" | "--append" | "-I" | "--insert" => {
                let insert = matches!(command.as_str(), "-I" | "--insert");
                if insert && self.options.to_load {
                    let needs = "a chain that no others share; use `-A`";
                    return Err(ReadProblem::Needs { word: command, needs });
                }
                let name = words.value(&command)?;
                if self.leave_out(table, &name)? {
                    return Ok(());
                }
                let at = if insert { Some(words.number().unwrap_or(1)) } else { None };
                let target = target(words.rest()).map(str::to_owned);
                // iptables refuses it there (1.8.9, both variants).
                if self.options.to_load
                    && table == BuiltInTable::Nat
                    && target.as_deref() == Some("DROP")
                {
                    let needs = "another table than nat, which iptables does not filter in";
                    return Err(ReadProblem::Needs { word: "DROP".to_owned(), needs });
                }
                if let Some(to) = &target {
                    self.leave_out(table, to)?;
                }
                let place = Place { table, family: self.family, named: &name };
                let mut rules = Spec::read(words, self.family, self.options)?.rules(place)?;
                let locator = Some(Locator::Line { text: 0, line: self.line });
                for rule in &mut rules {
                    rule.origin.locator = locator;
                }
                let line = Line { number: self.line, target, rules };
                let lines = &mut self
                    .text
                    .tables
                    .entry(table)
                    .or_default()
                    .chain(table, &name, self.line)?
                    .lines;
                match at {
                    None => lines.push(line),
                    Some(at) if (1..=lines.len() + 1).contains(&at) => lines.insert(at - 1, line),
                    Some(at) => {
                        return Err(ReadProblem::BadValue {
                            option: format!("-I {name}"),
                            value: at.to_string(),
                            why: format!("the chain has {} rules", lines.len()),
                        });
                    }
                }
                Ok(())
            }
            _ => Err(ReadProblem::Unknown { what: "command", word: command }),
        }
    }

    /// Whether a chain is left out. Then it is there, with a rule of which nothing is known.
    fn leave_out(&mut self, table: BuiltInTable, chain: &str) -> Result<bool, ReadProblem> {
        if !is_among(&self.options.leave_out, chain) {
            return Ok(false);
        }
        let what = format!("chain {chain} of {}", table.name());
        if !self.text.left_out.contains(&what) {
            if built_in(table, chain).is_none() {
                check_new(chain, self.options)?;
            }
            let rule = left_out(&what, self.family.into());
            let text = self.text.tables.entry(table).or_default().add(chain, self.line);
            text.lines.push(Line { number: self.line, target: None, rules: vec![rule] });
            self.text.left_out.push(what);
        }
        Ok(true)
    }
}

/// What the rule of these words leads to, or does.
fn target(words: &[String]) -> Option<&str> {
    let names_target =
        |pair: &&[String]| matches!(pair[0].as_str(), "-j" | "--jump" | "-g" | "--goto");
    words.windows(2).find(names_target).map(|pair| pair[1].as_str())
}

/// `[packets:bytes]`.
fn check_counters(text: &str) -> Result<(), ReadProblem> {
    let number = |text: &str| text.parse::<u64>().is_ok();
    text.strip_prefix('[')
        .and_then(|text| text.strip_suffix(']')?.split_once(':'))
        .filter(|(packets, bytes)| number(packets) && number(bytes))
        .map(|_| ())
        .ok_or_else(|| ReadProblem::Unknown { what: "counter", word: text.to_owned() })
}

/// `-c packets bytes`.
fn check_counters_apart(option: &str, words: &mut Words) -> Result<(), ReadProblem> {
    if !matches!(option, "-c" | "--set-counters") {
        return Err(ReadProblem::Unknown { what: "word", word: option.to_owned() });
    }
    for _ in 0..2 {
        let count = words.value(option)?;
        if count.parse::<u64>().is_err() {
            return Err(ReadProblem::Unknown { what: "counter", word: count });
        }
    }
    Ok(())
}

fn end(words: &mut Words) -> Result<(), ReadProblem> {
    words.next().map_or(Ok(()), |word| Err(ReadProblem::Unknown { what: "word", word }))
}
