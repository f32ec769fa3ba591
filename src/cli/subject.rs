//! Anything that has rules in it: a policy, what iptables-save prints, nft scripts and JSON, or the
//! namespace that weir runs in.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::compile::{LayoutName, Selected};
use super::files::{name, once, read, read_rules};
use super::input::{GroupFile, compile_text};
use super::live::Live;
use super::report::Messages;
use super::script;
use crate::diag::escape::on_one_line;
use crate::explain::Context;
use crate::ir::Ruleset;
use crate::lower::lower;
use crate::net::{Families, Family, Name};
use crate::policy::{GroupIds, Policy};
use crate::reader::{Found, iptables, nft};
use crate::{Compilation, Layout, Options};

/// How rules are read.
#[derive(Args)]
pub(super) struct Reading {
    #[command(flatten)]
    selected: Selected,
    /// Pass over what is someone else's: a chain of iptables with every jump to it, or a table of
    /// nft. A `*` at the end stands for any rest. May be repeated.
    #[arg(long, value_name = "NAME")]
    leave_out: Vec<String>,
    #[command(flatten)]
    groups: GroupFile,
}

/// Rules in other forms than a policy.
#[derive(Args)]
pub(super) struct Rules {
    /// IPv4 rules, as `iptables-save` prints them.
    #[arg(long, value_name = "FILE")]
    iptables: Option<PathBuf>,
    /// IPv6 rules, as `ip6tables-save` prints them.
    #[arg(long, value_name = "FILE")]
    ip6tables: Option<PathBuf>,
    /// Rules as `nft list ruleset` prints them, with `-j` or without, or as weir writes them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["iptables", "ip6tables"])]
    nft_json: Option<PathBuf>,
}

/// One of two sides that are compared.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    /// A file of any form.
    pub(super) path: &'a Path,
    /// What ip6tables-save prints, if the file is what iptables-save prints.
    pub(super) ip6tables: Option<&'a Path>,
}

/// Rules, and what they can be told with.
pub(super) struct Subject {
    /// What it is called.
    pub(super) name: String,
    pub(super) ruleset: Ruleset,
    /// The families that it says something about.
    pub(super) families: Families,
    /// What was not read because no packet of a question meets it.
    pub(super) passed_over: Vec<String>,
    form: Form,
}

/// What a policy says of the tables that it has.
#[derive(Default)]
pub(super) struct Own {
    /// The sets that it leaves to others to fill.
    filled: BTreeSet<String>,
    /// The tables. Of a set of theirs that others do not fill, the elements are known.
    tables: BTreeSet<String>,
}

enum Form {
    /// A policy, by its place in the compilation.
    Policy(Box<Compilation>, usize),
    Iptables,
    Nft,
}

impl Rules {
    /// Whether there are any.
    pub(super) const fn is_given(&self) -> bool {
        self.iptables.is_some() || self.ip6tables.is_some() || self.nft_json.is_some()
    }

    /// The files that they are in.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let all = [&self.iptables, &self.ip6tables, &self.nft_json];
        all.into_iter().flatten().map(PathBuf::as_path)
    }

    /// Reads them. `own` is what a policy says of its tables.
    pub(super) fn read(&self, reading: &Reading, own: &Own) -> io::Result<Subject> {
        if let Some(path) = &self.nft_json {
            return reading.nft(called(path), &read_rules(path)?, own);
        }
        reading.halves(&[half(self.iptables.as_deref())?, half(self.ip6tables.as_deref())?])
    }
}

impl Subject {
    /// Rules that were found. What was to be left out must be there.
    fn read(name: String, found: Found, families: Families, form: Form) -> io::Result<Self> {
        if let Some(pattern) = found.unused.first() {
            let pattern = on_one_line(pattern);
            return Err(io::Error::other(format!(
                "{name} has no table or chain `{pattern}`, which is to be left out"
            )));
        }
        let Found { ruleset, passed_over, .. } = found;
        Ok(Self { name, ruleset, families, passed_over, form })
    }

    /// Other rules of the same place.
    pub(super) fn with(&self, name: String, ruleset: Ruleset) -> Self {
        let form = match &self.form {
            Form::Iptables => Form::Iptables,
            Form::Nft | Form::Policy(..) => Form::Nft,
        };
        Self { name, ruleset, families: self.families, passed_over: Vec::new(), form }
    }

    /// Rules of several, loaded together; `None` of none.
    pub(super) fn together(all: Vec<Self>) -> Option<Self> {
        let mut all = all.into_iter();
        let mut first = all.next()?;
        for other in all {
            first.name = format!("{} and {}", first.name, other.name);
            first.ruleset.tables.extend(other.ruleset.tables);
            if first.families != other.families {
                first.families = Families::Both;
            }
            first.passed_over.extend(other.passed_over);
            if !matches!((&first.form, &other.form), (Form::Iptables, Form::Iptables)) {
                first.form = Form::Nft;
            }
        }
        Some(first)
    }

    /// What its rules are told with.
    pub(super) fn context(&self) -> Context<'_> {
        match &self.form {
            Form::Policy(compilation, _) => Context {
                policy: self.policy(),
                sources: Some(&compilation.sources),
                is_iptables: false,
            },
            Form::Iptables => Context { is_iptables: true, ..Context::default() },
            Form::Nft => Context::default(),
        }
    }

    /// Its policy, if it is one.
    pub(super) fn policy(&self) -> Option<&Policy> {
        match &self.form {
            Form::Policy(compilation, at) => compilation.policies.get(*at),
            Form::Iptables | Form::Nft => None,
        }
    }

    /// What its policy says of the tables that it has.
    pub(super) fn own(&self) -> Own {
        let sets = self.ruleset.tables.iter().flat_map(|table| &table.sets);
        let filled = sets.map(|set| set.name.to_string()).collect();
        let owned = self.policy().map(|policy| lower(policy, Layout::default()).owned);
        let tables = owned.into_iter().flatten().map(|table| table.to_string()).collect();
        Own { filled, tables }
    }

    /// Its rules for `families` only.
    pub(super) fn only(&self, families: Families) -> Ruleset {
        match families {
            Families::Both => self.ruleset.clone(),
            Families::Ipv4 => self.ruleset.only(Family::Ipv4),
            Families::Ipv6 => self.ruleset.only(Family::Ipv6),
        }
    }
}

impl Reading {
    /// Reads a file of any form; `None` if it is a policy that is wrong.
    pub(super) fn file(
        &self,
        path: &Path,
        layout: LayoutName,
        own: &Own,
        messages: &Messages,
    ) -> io::Result<Option<Subject>> {
        self.text(path, &read(path)?, layout, own, messages)
    }

    /// Reads two sides; `None` if one is a policy that is wrong. Sets that a policy on either side leaves
    /// to others are so on both.
    pub(super) fn pair(
        &self,
        [old, new]: [Side<'_>; 2],
        layout: LayoutName,
        messages: &Messages,
    ) -> io::Result<Option<[Subject; 2]>> {
        once([old, new].iter().flat_map(|side| [Some(side.path), side.ip6tables]).flatten())?;
        let (old_text, new_text) = (read(old.path)?, read(new.path)?);
        let nothing = Own::default();
        let is_new_first = is_policy(&new_text) && !is_policy(&old_text);
        let [first, second] = [(old, &old_text), (new, &new_text)];
        let (first, second) = if is_new_first { (second, first) } else { (first, second) };
        let Some(one) = self.side(first.0, first.1, layout, &nothing, messages)? else {
            return Ok(None);
        };
        let Some(other) = self.side(second.0, second.1, layout, &one.own(), messages)? else {
            return Ok(None);
        };
        Ok(Some(if is_new_first { [other, one] } else { [one, other] }))
    }

    fn side(
        &self,
        side: Side<'_>,
        text: &str,
        layout: LayoutName,
        own: &Own,
        messages: &Messages,
    ) -> io::Result<Option<Subject>> {
        let Some(ip6tables) = side.ip6tables else {
            return self.text(side.path, text, layout, own, messages);
        };
        let (v4, v6) = ((side.path, text.to_owned()), (ip6tables, read_rules(ip6tables)?));
        self.halves(&[Some(v4), Some(v6)]).map(Some)
    }

    fn text(
        &self,
        path: &Path,
        text: &str,
        layout: LayoutName,
        own: &Own,
        messages: &Messages,
    ) -> io::Result<Option<Subject>> {
        let called = called(path);
        match first_sign(text) {
            Some('{') => self.nft(called, text, own).map(Some),
            Some('*') if family(text) == Some(Family::Ipv6) => {
                self.iptables(called, None, Some(text)).map(Some)
            }
            Some('*') => self.iptables(called, Some(text), None).map(Some),
            _ if script::is_script(text) => self.nft(called, text, own).map(Some),
            _ => self.policy(path, text, layout, messages),
        }
    }

    /// Compiles a policy; `None` if it is wrong.
    pub(super) fn policy(
        &self,
        path: &Path,
        text: &str,
        layout: LayoutName,
        messages: &Messages,
    ) -> io::Result<Option<Subject>> {
        let groups: GroupIds = self.groups.read()?;
        let options = Options { groups, ..Options::default() };
        let Some(compilation) = compile_text(path, text, &options, messages) else {
            return Ok(None);
        };
        let policy = self.selected.one(&compilation)?;
        let at = compilation.policies.iter().position(|other| other.name == policy.name);
        Ok(Some(Subject {
            name: format!("policy `{}`", policy.name),
            ruleset: lower(policy, layout.into()).ruleset,
            families: Families::Both,
            passed_over: Vec::new(),
            form: Form::Policy(Box::new(compilation), at.unwrap_or_default()),
        }))
    }

    /// Reads what iptables-save and ip6tables-save print, each if it is there.
    fn halves(&self, halves: &[Option<(&Path, String)>; 2]) -> io::Result<Subject> {
        for (half, expected) in halves.iter().zip(Family::ALL) {
            let Some((path, text)) = half else { continue };
            let wrong = match (first_sign(text), family(text)) {
                (Some('*') | None, found) if found.is_none_or(|found| found == expected) => {
                    continue;
                }
                (Some('*') | None, _) => format!("has rules of another family than {expected}"),
                _ => "is not what iptables-save prints".to_owned(),
            };
            return Err(io::Error::other(format!("{} {wrong}", name(path))));
        }
        let names: Vec<_> = halves.iter().flatten().map(|(path, _)| name(path)).collect();
        let [v4, v6] = halves.each_ref().map(|half| half.as_ref().map(|(_, text)| text.as_str()));
        self.iptables(names.join(" and "), v4, v6)
    }

    /// Reads what iptables-save and ip6tables-save print. A text that is empty has no rules; one
    /// that is not there says nothing about its family.
    fn iptables(&self, name: String, v4: Option<&str>, v6: Option<&str>) -> io::Result<Subject> {
        let options = self.iptables_options()?;
        let found =
            iptables::read(v4, v6, &options).map_err(|errors| unreadable(&name, &errors))?;
        let families = match (v4, v6) {
            (Some(_), None) => Families::Ipv4,
            (None, Some(_)) => Families::Ipv6,
            _ => Families::Both,
        };
        Subject::read(name, found, families, Form::Iptables)
    }

    /// Reads libnftables JSON, or what a script of nft leaves.
    fn nft(&self, name: String, text: &str, own: &Own) -> io::Result<Subject> {
        let options = self.nft_options(own);
        let read = if first_sign(text) == Some('{') { nft::json } else { nft::script };
        let ruleset = read(text, &options).map_err(|errors| unreadable(&name, &errors))?;
        let found = Found { ruleset, ..Found::default() };
        Subject::read(name, found, Families::Both, Form::Nft)
    }

    fn iptables_options(&self) -> io::Result<iptables::Options> {
        Ok(iptables::Options {
            groups: self.groups.read()?,
            leave_out: self.leave_out.iter().cloned().collect(),
            ..iptables::Options::default()
        })
    }

    fn nft_options(&self, own: &Own) -> nft::Options {
        nft::Options {
            leave_out: self.leave_out.iter().cloned().collect(),
            filled: own.filled.clone(),
            own: own.tables.clone(),
            ..nft::Options::default()
        }
    }

    /// Reads the rules of a namespace, as its tools print them.
    pub(super) fn live(&self, name: &str, live: &Live, own: &Own) -> io::Result<Subject> {
        let mut options = self.nft_options(own);
        if live.has_iptables_nft {
            // What iptables-nft keeps in nft is read from iptables-save, which can say it.
            options.of_iptables = nft::OfIptables::PassOver;
        }
        let ruleset =
            nft::script(&live.nft, &options).map_err(|errors| unreadable("nft", &errors))?;
        let mut found = Found { ruleset, ..Found::default() };
        let mut form = Form::Nft;
        let has_several = live.iptables.len() > 1;
        for (variant, [v4, v6]) in &live.iptables {
            let options = self.iptables_options()?;
            let saved = iptables::read(Some(v4), Some(v6), &options);
            let mut saved = saved.map_err(|errors| unreadable("iptables-save", &errors))?;
            // Both variants can have a table of one name.
            for table in saved.ruleset.tables.iter_mut().filter(|_| has_several) {
                let called = Name::new(&format!("{variant}-{}", table.name));
                table.name = called.map_err(io::Error::other)?;
            }
            if found.ruleset.tables.is_empty() && !saved.ruleset.tables.is_empty() {
                form = Form::Iptables;
            }
            found.ruleset.tables.extend(saved.ruleset.tables);
            found.left_out.extend(saved.left_out);
            found.passed_over.extend(saved.passed_over);
            found.unused.retain(|pattern| saved.unused.contains(pattern));
        }
        Subject::read(name.to_owned(), found, Families::Both, form)
    }
}

/// A file and its text, if there is one.
fn half(path: Option<&Path>) -> io::Result<Option<(&Path, String)>> {
    path.map(|path| Ok((path, read_rules(path)?))).transpose()
}

/// What a file is called, as a terminal may be shown it.
fn called(path: &Path) -> String {
    on_one_line(&name(path))
}

/// The first character that is not in a comment, which tells the forms apart: JSON begins with a
/// brace, what iptables-save prints with the name of a table, a policy with a word.
fn first_sign(text: &str) -> Option<char> {
    let lines = text.lines().map(str::trim_start);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.next()?.chars().next()
}

/// Whether a text is a policy, and not rules in another form.
fn is_policy(text: &str) -> bool {
    !matches!(first_sign(text), Some('{' | '*')) && !script::is_script(text)
}

/// The family that what iptables-save printed is about: it says so, or has an address of it. `None` if it
/// could be of either.
fn family(text: &str) -> Option<Family> {
    let by_header = |line: &str| {
        let comment = line.strip_prefix('#')?;
        let is_ipv6 = comment.contains("ip6tables-save");
        let is_ipv4 = !is_ipv6 && comment.contains("iptables-save");
        is_ipv6.then_some(Family::Ipv6).or(is_ipv4.then_some(Family::Ipv4))
    };
    let by_address = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.windows(2).filter(|words| ADDRESSED.contains(&words[0])).find_map(|words| {
            let address = words[1].split('/').next().unwrap_or_default();
            address.parse().ok().map(Family::of)
        })
    };
    text.lines().find_map(by_header).or_else(|| text.lines().find_map(by_address))
}

/// Options of iptables with an address behind them.
const ADDRESSED: &[&str] =
    &["-s", "--source", "-d", "--destination", "--to-source", "--to-destination", "--on-ip"];

/// Why rules cannot be read exactly: the first few reasons.
fn unreadable<E: Display>(name: &str, errors: &[E]) -> io::Error {
    const SHOWN: usize = 5;
    let mut lines = vec![format!("cannot read {name} exactly:")];
    lines.extend(errors.iter().take(SHOWN).map(|error| format!("  {error}")));
    if errors.len() > SHOWN {
        lines.push(format!("  and {} more", errors.len() - SHOWN));
    }
    lines.push("what is someone else's can be left out: `--leave-out NAME`".to_owned());
    io::Error::other(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::{family, first_sign};
    use crate::net::Family;

    #[test]
    fn forms_and_families_are_told_apart_by_content() {
        assert_eq!(first_sign("# Generated\n\n*nat\nCOMMIT\n"), Some('*'));
        assert_eq!(first_sign("  {\"nftables\": []}"), Some('{'));
        assert_eq!(first_sign("# a policy\nsidecar s {}"), Some('s'));
        assert_eq!(first_sign("# nothing\n"), None);
        for (text, expected) in [
            ("# Generated by ip6tables-save v1.8.9\n*nat\nCOMMIT\n", Some(Family::Ipv6)),
            ("# Generated by iptables-save v1.8.9\n*nat\nCOMMIT\n", Some(Family::Ipv4)),
            ("*nat\n-A OUTPUT -d ::1/128 -j RETURN\nCOMMIT\n", Some(Family::Ipv6)),
            ("*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -d 10.0.0.1 -j RETURN\n", Some(Family::Ipv4)),
            ("*nat\n-A OUTPUT -m comment --comment \"a :: b\" -j RETURN\nCOMMIT\n", None),
        ] {
            assert_eq!(family(text), expected, "{text}");
        }
    }
}
