//! Where rules of iptables stand in a text: tables between `*nat` and `COMMIT`, and what `iptables -S`
//! prints, with other lines around them and something before each of theirs.

use std::str::Lines;

use super::dump::Line;
use super::prefix::Prefix;
use super::words::Words;
use crate::ir::{BuiltInTable, Hook};
use crate::net::Family;
use crate::reader::forms::FormError;
use crate::reader::{nft, size};

/// What stands in a text.
#[derive(Default)]
pub(in crate::reader) struct Scan<'a> {
    pub(super) frames: Vec<Frame<'a>>,
    /// How many lines are no rules, no comments and not empty.
    pub(super) foreign: usize,
    /// The first of them that says that a command changed rules.
    pub(super) changes: Option<usize>,
    /// The first of them with which a table of nft begins.
    pub(in crate::reader) nft: Option<usize>,
    /// The first comment that says that legacy tables are there, too.
    pub(super) beside: Option<usize>,
    /// The families that comments name, IPv4 first.
    pub(super) named: [bool; 2],
}

/// The rules of one table.
pub(super) struct Frame<'a> {
    pub(super) table: &'a str,
    /// With the lines that say where the table begins and ends.
    pub(super) lines: Vec<Line<'a>>,
    /// The family, if the frame or what stands above it says so.
    pub(super) family: Option<Family>,
    /// Whether these are all the rules that the table has, and none that are added to it.
    pub(super) is_state: bool,
    /// Whether `iptables -S` printed it.
    pub(super) is_listing: bool,
    /// What stands before each line.
    pub(super) prefix: Prefix<'a>,
    /// How many foreign lines are before it.
    pub(super) foreign_before: usize,
}

impl Frame<'_> {
    /// Its first line in the text.
    pub(super) fn first(&self) -> usize {
        self.lines.first().map_or(0, |line| line.number)
    }

    /// Its last line in the text.
    pub(super) fn last(&self) -> usize {
        self.lines.last().map_or(0, |line| line.number)
    }
}

/// Finds the rules of iptables in `text`.
///
/// # Errors
///
/// A rule that no table has, or that is of another program.
pub(in crate::reader) fn scan(text: &str) -> Result<Scan<'_>, FormError> {
    let mut scanner = Scanner {
        rest: text.lines(),
        at: 0,
        prefix: Prefix::NONE,
        heading: Vec::new(),
        has_foreign_heading: false,
        terms: 0,
        found: Scan::default(),
    };
    while let Some(line) = scanner.peek() {
        scanner.step(line)?;
    }
    Ok(scanner.found)
}

struct Scanner<'a> {
    /// The lines that are left.
    rest: Lines<'a>,
    /// How many are not.
    at: usize,
    /// What stood before each line of the last frame.
    prefix: Prefix<'a>,
    /// Lines above the next frame that may say what it is: comments, and the last line of others.
    heading: Vec<&'a str>,
    /// Whether the first of them was counted as one of others.
    has_foreign_heading: bool,
    /// How many terms the frames have.
    terms: usize,
    found: Scan<'a>,
}

impl<'a> Scanner<'a> {
    /// The next line, without blanks around it.
    fn peek(&self) -> Option<&'a str> {
        self.rest.clone().next().map(str::trim)
    }

    fn advance(&mut self) {
        self.rest.next();
        self.at += 1;
    }

    fn step(&mut self, line: &'a str) -> Result<(), FormError> {
        if let Some((prefix, table)) = self.opens_table(line) {
            return self.table(prefix, table);
        }
        if let Some(prefix) = self.opens_listing(line) {
            return self.listing(prefix);
        }
        self.advance();
        let rest = self.prefix.cut(line).unwrap_or(line);
        if line.is_empty() || rest.is_empty() {
            return Ok(());
        }
        if [line, rest].iter().any(|text| is_rule(text) || *text == "COMMIT") {
            return Err(FormError::NoTable { line: self.at });
        }
        if line.starts_with('#') || rest.starts_with('#') {
            return self.comment(line, rest);
        }
        self.found.foreign += 1;
        if self.found.changes.is_none() && changes_rules(rest) {
            self.found.changes = Some(self.at);
        }
        if self.found.nft.is_none() && nft::opens_table(rest) {
            self.found.nft = Some(self.at);
        }
        self.heading = vec![line];
        self.has_foreign_heading = true;
        Ok(())
    }

    /// Reads a comment: `line`, of which `rest` is behind the prefix.
    fn comment(&mut self, line: &'a str, rest: &str) -> Result<(), FormError> {
        // So iptables-save of nft says that there is more than it prints (iptables 1.8.9).
        if rest.contains("incompatible") && rest.contains("use 'nft' tool") {
            return Err(FormError::Incomplete { line: self.at });
        }
        if rest.contains("-legacy tables present") {
            self.found.beside.get_or_insert(self.at);
        }
        let family = mentioned(rest);
        if let Some(family) = family {
            self.found.named[usize::from(family == Family::Ipv6)] = true;
        }
        if family.is_some() || rest.contains("Generated by") {
            self.heading.push(line);
        }
        Ok(())
    }

    /// Whether what comes next behind the prefix is as it should be if that is one. Lines of others may stand
    /// between.
    fn goes_on(&self, prefix: Prefix<'_>) -> bool {
        const FAR: usize = 100;
        let behind = self.rest.clone().skip(1).take(FAR).map(str::trim);
        let mut said = behind.filter_map(|line| prefix.cut(line)).filter(|rest| !rest.is_empty());
        said.next().is_some_and(|rest| is_rule(rest) || rest.starts_with('#') || rest == "COMMIT")
    }

    /// The table that `line` opens, and what stands before it.
    fn opens_table(&self, line: &'a str) -> Option<(Prefix<'a>, &'a str)> {
        let at = line.rfind('*')?;
        let table = line[at + 1..].trim();
        let is_known = BuiltInTable::ALL.iter().any(|known| known.name() == table);
        let is_word = !table.is_empty() && table.bytes().all(|byte| byte.is_ascii_lowercase());
        let prefix = Prefix::new(&line[..at])?;
        let is_table = if prefix.is_none() {
            is_known || is_word && self.goes_on(prefix)
        } else {
            is_known && self.goes_on(prefix)
        };
        is_table.then_some((prefix, table))
    }

    /// Whether `line` is the first that `iptables -S` prints; then what stands before it.
    fn opens_listing(&self, line: &'a str) -> Option<Prefix<'a>> {
        let at = line.find("-P ")?;
        policy(&line[at..])?;
        let prefix = Prefix::new(&line[..at])?;
        let is_listing = prefix.is_none() || !line[..at].contains("tables") && self.goes_on(prefix);
        is_listing.then_some(prefix)
    }

    /// Reads a table to its `COMMIT`, or to the end of the text: then the reader of rules says so.
    fn table(&mut self, prefix: Prefix<'a>, table: &'a str) -> Result<(), FormError> {
        let mut lines = Vec::new();
        while let Some(line) = self.peek() {
            self.advance();
            // What is not behind the prefix is left as it is, for the reader of rules to refuse.
            let text = prefix.cut(line).unwrap_or(line);
            self.count(text)?;
            lines.push(Line { number: self.at, text });
            if text == "COMMIT" {
                break;
            }
        }
        self.close(prefix, table, lines, false)
    }

    /// Reads what `iptables -S` prints of one table.
    fn listing(&mut self, prefix: Prefix<'a>) -> Result<(), FormError> {
        let first = self.at + 1;
        let mut chains = Vec::new();
        let mut lines = Vec::new();
        while let Some(line) = self.peek() {
            let Some(text) = prefix.cut(line) else { break };
            match policy(text) {
                Some(chain) if lines.len() == chains.len() => chains.push(chain),
                None if is_listed(text) => {}
                _ if text.is_empty() => {
                    self.advance();
                    continue;
                }
                _ => break,
            }
            self.advance();
            self.count(text)?;
            lines.push(Line { number: self.at, text });
        }
        let table = table_of(&chains).ok_or(FormError::NoTable { line: first })?;
        let last = lines.last().map_or(first, |line| line.number);
        lines.insert(0, Line { number: first, text: opening(table) });
        lines.push(Line { number: last, text: "COMMIT" });
        self.close(prefix, table.name(), lines, true)
    }

    /// Counts a line of a frame, which has to fit.
    fn count(&mut self, text: &str) -> Result<(), FormError> {
        self.terms += size::of_line(text);
        if self.terms > size::MOST_IPTABLES {
            return Err(FormError::TooLarge { line: self.at });
        }
        Ok(())
    }

    fn close(
        &mut self,
        prefix: Prefix<'a>,
        table: &'a str,
        lines: Vec<Line<'a>>,
        is_listing: bool,
    ) -> Result<(), FormError> {
        let heading = std::mem::take(&mut self.heading);
        // Before the prefix was known, a comment behind it was a foreign line.
        let first = heading.first().and_then(|line| prefix.cut(line));
        if self.has_foreign_heading && first.is_some_and(|line| line.starts_with('#')) {
            self.found.foreign -= 1;
        }
        let heading = || heading.iter().map(|line| prefix.cut(line).unwrap_or(line)).rev();
        let mut generated = heading().filter(|line| line.contains("Generated by"));
        if generated.clone().any(|line| line.contains("ebtables") || line.contains("arptables")) {
            return Err(FormError::NoPackets { line: lines.first().map_or(0, |line| line.number) });
        }
        let family = heading().find_map(mentioned).or_else(|| lines.iter().find_map(addressed));
        self.found.frames.push(Frame {
            table,
            family,
            is_state: is_listing || generated.next().is_some(),
            is_listing,
            prefix,
            foreign_before: self.found.foreign,
            lines,
        });
        self.prefix = prefix;
        self.has_foreign_heading = false;
        Ok(())
    }
}

/// The line with which a table begins.
const fn opening(table: BuiltInTable) -> &'static str {
    match table {
        BuiltInTable::Raw => "*raw",
        BuiltInTable::Mangle => "*mangle",
        BuiltInTable::Nat => "*nat",
        BuiltInTable::Filter => "*filter",
        BuiltInTable::Security => "*security",
    }
}

/// The table that has these built-in chains and no others. `security` has the same as `filter`, which is
/// the one that is listed where no other is asked for.
fn table_of(chains: &[&str]) -> Option<BuiltInTable> {
    BuiltInTable::ALL.into_iter().find(|table| {
        let mut hooks = Hook::ALL.into_iter().filter(|hook| table.base(*hook).is_some());
        let count = hooks.clone().count();
        count == chains.len() && hooks.all(|hook| chains.contains(&hook.built_in_chain()))
    })
}

/// The built-in chain of a line that sets a policy, as `iptables -S` prints it.
fn policy(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace();
    let chain = words.next().filter(|word| *word == "-P").and_then(|_| words.next())?;
    let is_built_in = Hook::ALL.iter().any(|hook| hook.built_in_chain() == chain);
    let is_policy = matches!(words.next(), Some("ACCEPT" | "DROP"));
    let is_end = matches!(words.next(), None | Some("-c"));
    (is_built_in && is_policy && is_end).then_some(chain)
}

/// Whether the line makes a chain or a rule, as `iptables -S` prints them.
fn is_listed(text: &str) -> bool {
    let mut words = text.split_whitespace();
    matches!(words.next(), Some("-N" | "-A")) && words.next().is_some()
}

/// Whether the line is one of a table, as `iptables-restore` takes it.
fn is_rule(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let Some(first) = words.next() else { return false };
    let Some(second) = words.next() else { return false };
    let is_counter = |text: &str| {
        let counts =
            text.strip_prefix('[').and_then(|text| text.strip_suffix(']')?.split_once(':'));
        counts.is_some_and(|(packets, bytes)| {
            [packets, bytes].iter().all(|count| count.parse::<u64>().is_ok())
        })
    };
    match first {
        "-A" | "-I" | "-N" | "-P" | "--append" | "--insert" | "--new-chain" | "--policy" => true,
        _ if first.len() > 1 && first.starts_with(':') => {
            matches!(second, "-" | "ACCEPT" | "DROP" | "QUEUE" | "RETURN")
                && words.next().is_none_or(is_counter)
        }
        _ => is_counter(first) && matches!(second, "-A" | "-I"),
    }
}

/// The family that a line names by the programs of iptables. What is called `iptables-save` or
/// `/tmp/iptables-rules` says more than a mere `iptables`.
fn mentioned(line: &str) -> Option<Family> {
    let has = |name: &str, endings: &[&str]| {
        let mut ends = line.match_indices(name).map(|(at, _)| &line[at + name.len()..]);
        ends.any(|rest| endings.iter().any(|ending| rest.starts_with(ending)))
    };
    let narrow: &[&str] = &["-save", "-restore", "-rules", "-nft", "-legacy"];
    for endings in [narrow, &[""]] {
        match (has("ip6tables", endings), has("iptables", endings)) {
            (true, false) => return Some(Family::Ipv6),
            (false, true) => return Some(Family::Ipv4),
            _ => {}
        }
    }
    None
}

/// Options with an address behind them.
const ADDRESSED: [&str; 7] =
    ["-s", "--source", "-d", "--destination", "--to-source", "--to-destination", "--on-ip"];

/// The family of the first address in a rule.
fn addressed(line: &Line<'_>) -> Option<Family> {
    let words = Words::split(line.text).ok()?;
    words.rest().windows(2).filter(|pair| ADDRESSED.contains(&pair[0].as_str())).find_map(|pair| {
        let address = pair[1].split('/').next().unwrap_or_default();
        address.parse().ok().map(Family::of)
    })
}

/// Whether the line is a command of iptables that changes rules.
pub(in crate::reader) fn changes_rules(line: &str) -> bool {
    let mut words = line.split_whitespace().map(|word| word.trim_matches(['"', '\'', '`']));
    let is_program = |word: &str| {
        let name = word.rsplit('/').next().unwrap_or_default();
        matches!(name.split('-').next(), Some("iptables" | "ip6tables"))
            && !name.contains("save")
            && !name.contains("restore")
    };
    words.any(is_program) && words.any(|word| CHANGING.contains(&word))
}

/// Commands of iptables that change rules.
const CHANGING: [&str; 16] = [
    "-A",
    "--append",
    "-D",
    "--delete",
    "-I",
    "--insert",
    "-R",
    "--replace",
    "-F",
    "--flush",
    "-N",
    "--new-chain",
    "-X",
    "--delete-chain",
    "-P",
    "--policy",
];
