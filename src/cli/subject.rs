//! Anything that has rules in it: a policy, what iptables-save prints, nft scripts and JSON, or the
//! namespace that weir runs in.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io;
use std::path::Path;

use clap::Args;

use super::compile::{LayoutName, Selected};
use super::files::{Includes, name, once, read_unpacked};
use super::input::{GroupFile, compile_text};
use super::report::Messages;
use super::rules::{by_family, recognised, say_ipv4};
use crate::diag::escape::on_one_line;
use crate::explain::{Context, shortened};
use crate::host::live::{Live, Unreadable};
use crate::ir::{Locator, Ruleset};
use crate::net::{Families, Family, Name};
use crate::optimise::Layout;
use crate::policy::{GroupIds, Policy};
use crate::reader::forms::{Form as TextForm, recognise};
use crate::reader::iptables::Dump;
use crate::reader::nft::Place;
use crate::reader::{Found, ReadErrors, iptables, nft};
use crate::{Compilation, Options};

/// How rules are read.
#[derive(Args)]
pub(super) struct Reading {
    #[command(flatten)]
    selected: Selected,
    /// Do not read this iptables chain or nft table, because it is someone else's. It is then assumed
    /// to take any packet, and the answer says so. A final `*` stands for any ending. May be repeated.
    #[arg(long, value_name = "NAME")]
    leave_out: Vec<String>,
    #[command(flatten)]
    groups: GroupFile,
    /// Chains of others that rules of iptables may lead to though they are not there.
    #[arg(skip)]
    others: BTreeSet<String>,
    #[command(flatten)]
    includes: Includes,
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
    /// The files that its rules are in, as lines of rules know them.
    files: Vec<String>,
    /// The tables that are iptables'.
    iptables: Vec<Name>,
    form: Form,
}

enum Form {
    /// A policy, by its place in the compilation.
    Policy(Box<Compilation>, usize),
    Iptables,
    Nft,
}

impl Subject {
    /// Rules that were found. What was to be left out must be there.
    fn read(
        name: String,
        files: Vec<String>,
        found: Found,
        families: Families,
        form: Form,
    ) -> io::Result<Self> {
        if let Some(pattern) = found.unused.first() {
            let pattern = on_one_line(pattern);
            return Err(io::Error::other(format!(
                "{name} has no table or chain `{pattern}`, which is to be left out"
            )));
        }
        let Found { ruleset, passed_over, .. } = found;
        let of_iptables = matches!(form, Form::Iptables);
        let tables = ruleset.tables.iter().filter(|_| of_iptables);
        let iptables = tables.map(|table| table.name.clone()).collect();
        Ok(Self { name, ruleset, families, passed_over, files, iptables, form })
    }

    /// Other rules of the same place.
    pub(super) fn with(&self, name: String, ruleset: Ruleset) -> Self {
        let form = match &self.form {
            Form::Iptables => Form::Iptables,
            Form::Nft | Form::Policy(..) => Form::Nft,
        };
        let (files, iptables) = (self.files.clone(), self.iptables.clone());
        let passed_over = Vec::new();
        Self { name, ruleset, families: self.families, passed_over, files, iptables, form }
    }

    /// Rules of several, loaded together; `None` of none.
    pub(super) fn together(all: Vec<Self>) -> Option<Self> {
        let mut all = all.into_iter();
        let mut first = all.next()?;
        for other in all {
            first.name = format!("{} and {}", first.name, other.name);
            let mut ruleset = other.ruleset;
            for rule in ruleset.rules_mut() {
                if let Some(Locator::Line { text, .. }) = &mut rule.origin.locator {
                    *text += first.files.len();
                }
            }
            first.ruleset.tables.extend(ruleset.tables);
            first.files.extend(other.files);
            first.iptables.extend(other.iptables);
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
                ..Context::default()
            },
            Form::Iptables => {
                Context { is_iptables: true, files: &self.files, ..Context::default() }
            }
            Form::Nft => {
                Context { files: &self.files, iptables: &self.iptables, ..Context::default() }
            }
        }
    }

    /// Whether nothing happens to any packet.
    pub(super) fn has_no_rules(&self) -> bool {
        let chains = self.ruleset.tables.iter().flat_map(|table| &table.chains);
        chains.flat_map(|chain| &chain.rules).next().is_none()
    }

    /// What it is called at the head of a column: with its file, if it is a policy.
    pub(super) fn heading(&self) -> String {
        let file = match &self.form {
            Form::Policy(compilation, _) => compilation.sources.names().next(),
            Form::Iptables | Form::Nft => None,
        };
        file.map_or_else(
            || self.name.clone(),
            |file| format!("{}: {}", on_one_line(file), self.name),
        )
    }

    /// Its policy, if it is one, and what that was compiled in.
    pub(super) fn compiled(&self) -> Option<(&Compilation, &Policy)> {
        match &self.form {
            Form::Policy(compilation, _) => Some((compilation, self.policy()?)),
            Form::Iptables | Form::Nft => None,
        }
    }

    /// Its policy, if it is one.
    pub(super) fn policy(&self) -> Option<&Policy> {
        match &self.form {
            Form::Policy(compilation, at) => compilation.policies.get(*at),
            Form::Iptables | Form::Nft => None,
        }
    }

    /// The sets that its policy leaves to others to fill.
    pub(super) fn filled(&self) -> BTreeSet<String> {
        let sets = self.ruleset.tables.iter().flat_map(|table| &table.sets);
        sets.map(|set| set.name.to_string()).collect()
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
    /// How rules are read that a policy is made of. Kuma's may lead to a chain of Docker's.
    pub(super) fn of_rules(leave_out: &[String], groups: GroupFile) -> Self {
        Self {
            selected: Selected::default(),
            leave_out: leave_out.to_vec(),
            groups,
            includes: Includes::default(),
            others: ["DOCKER_OUTPUT".to_owned()].into(),
        }
    }

    /// Reads a file of any form; `None` if it is a policy that is wrong.
    pub(super) fn file(
        &self,
        path: &Path,
        layout: LayoutName,
        filled: &BTreeSet<String>,
        messages: &Messages,
    ) -> io::Result<Option<Subject>> {
        self.text(path, &read_unpacked(path)?, layout, filled, messages)
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
        let (old_text, new_text) = (read_unpacked(old.path)?, read_unpacked(new.path)?);
        let nothing = BTreeSet::new();
        let is_new_first = is_policy(&new_text) && !is_policy(&old_text);
        // Of two names, each is that of a side.
        let own = self.selected.pair().map(|names| names.map(|name| self.selecting(name)));
        let [of_old, of_new] = own.as_ref().map_or([self, self], |[old, new]| [old, new]);
        let [first, second] = [(of_old, old, &old_text), (of_new, new, &new_text)];
        let (first, second) = if is_new_first { (second, first) } else { (first, second) };
        let (reading, side, text) = first;
        let Some(one) = reading.side(side, text, layout, &nothing, messages)? else {
            return Ok(None);
        };
        let (reading, side, text) = second;
        let Some(other) = reading.side(side, text, layout, &one.filled(), messages)? else {
            return Ok(None);
        };
        Ok(Some(if is_new_first { [other, one] } else { [one, other] }))
    }

    /// The same of a policy that is called `name`.
    fn selecting(&self, name: &str) -> Self {
        Self {
            selected: Selected::only(name),
            leave_out: self.leave_out.clone(),
            groups: self.groups.clone(),
            others: self.others.clone(),
            includes: self.includes.clone(),
        }
    }

    /// Whether two policies are named, one for each of two sides.
    pub(super) fn names_a_pair(&self) -> bool {
        self.selected.pair().is_some()
    }

    fn side(
        &self,
        side: Side<'_>,
        text: &str,
        layout: LayoutName,
        filled: &BTreeSet<String>,
        messages: &Messages,
    ) -> io::Result<Option<Subject>> {
        let Some(ip6tables) = side.ip6tables else {
            return self.text(side.path, text, layout, filled, messages);
        };
        let (v4, v6) = ((side.path, text.to_owned()), (ip6tables, read_unpacked(ip6tables)?));
        self.halves(&[Some(v4), Some(v6)], messages).map(Some)
    }

    /// The same of its text.
    pub(super) fn text(
        &self,
        path: &Path,
        text: &str,
        layout: LayoutName,
        filled: &BTreeSet<String>,
        messages: &Messages,
    ) -> io::Result<Option<Subject>> {
        let name = called(path);
        match recognised(path, text, messages)? {
            TextForm::NftJson(text) => self.nft_json(name, &text, filled).map(Some),
            TextForm::NftScript(text) => self.nft_script(name, &text, filled).map(Some),
            TextForm::Iptables(dumps) => {
                if dumps.iter().any(|dump| dump.family.is_none()) {
                    say_ipv4(path, messages);
                }
                let [v4, v6] = by_family(dumps, Family::Ipv4);
                self.iptables(vec![name], v4.as_ref(), v6.as_ref()).map(Some)
            }
            TextForm::Nothing | TextForm::Policy => self.policy(path, text, layout, messages),
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
        let Some(compilation) = compile_text((path, text), &self.includes, &options, messages)
        else {
            return Ok(None);
        };
        let policy = self.selected.one(&compilation)?;
        let at = compilation.policies.iter().position(|other| other.name == policy.name);
        Ok(Some(Subject {
            name: format!("policy `{}`", policy.name),
            ruleset: Layout::from(layout).of(policy).ruleset,
            families: Families::Both,
            passed_over: Vec::new(),
            files: Vec::new(),
            iptables: Vec::new(),
            form: Form::Policy(Box::new(compilation), at.unwrap_or_default()),
        }))
    }

    /// Reads rules of iptables. A text that is empty has no rules; one that is not there says nothing about
    /// its family. They are in one file, or in one a family.
    pub(super) fn iptables(
        &self,
        files: Vec<String>,
        v4: Option<&Dump<'_>>,
        v6: Option<&Dump<'_>>,
    ) -> io::Result<Subject> {
        let name = files.join(" and ");
        let options = self.iptables_options()?;
        let mut found = iptables::read_dumps(v4, v6, &options)
            .map_err(|errors| unreadable(&name, &errors, &chains(&errors)))?;
        let families = match (v4, v6) {
            (Some(_), None) => Families::Ipv4,
            (None, Some(_)) => Families::Ipv6,
            _ => Families::Both,
        };
        if files.len() > 1 {
            for rule in found.ruleset.rules_mut().filter(|rule| rule.families == Families::Ipv6) {
                if let Some(Locator::Line { text, .. }) = &mut rule.origin.locator {
                    *text = 1;
                }
            }
        }
        Subject::read(name, files, found, families, Form::Iptables)
    }

    /// Reads libnftables JSON.
    pub(super) fn nft_json(
        &self,
        name: String,
        text: &str,
        filled: &BTreeSet<String>,
    ) -> io::Result<Subject> {
        nft_subject(name, text, nft::json(text, &self.nft_options(filled)))
    }

    /// Reads what a script of nft leaves.
    pub(super) fn nft_script(
        &self,
        name: String,
        text: &str,
        filled: &BTreeSet<String>,
    ) -> io::Result<Subject> {
        nft_subject(name, text, nft::script(text, &self.nft_options(filled)))
    }

    fn iptables_options(&self) -> io::Result<iptables::Options> {
        Ok(iptables::Options {
            groups: self.groups.read()?,
            leave_out: self.leave_out.iter().cloned().collect(),
            others: self.others.clone(),
            ..iptables::Options::default()
        })
    }

    fn nft_options(&self, filled: &BTreeSet<String>) -> nft::Options {
        nft::Options {
            leave_out: self.leave_out.iter().cloned().collect(),
            filled: filled.clone(),
            ..nft::Options::default()
        }
    }

    /// Reads the rules of a namespace, as its tools print them.
    pub(super) fn live(
        &self,
        name: &str,
        live: &Live,
        filled: &BTreeSet<String>,
    ) -> io::Result<Subject> {
        let read = live.read(self.nft_options(filled), &self.iptables_options()?);
        let rules = read.map_err(|why| match why {
            Unreadable::Nft(errors) => unreadable("nft", &errors, &tables(&live.nft, &errors)),
            Unreadable::Iptables(errors) => unreadable("iptables-save", &errors, &chains(&errors)),
        })?;
        let form = if rules.has_only_iptables { Form::Iptables } else { Form::Nft };
        let subject =
            Subject::read(name.to_owned(), Vec::new(), rules.found, Families::Both, form)?;
        Ok(Subject { iptables: rules.of_iptables, ..subject })
    }
}

/// Rules that were read from nft.
fn nft_subject(
    name: String,
    text: &str,
    read: Result<Found, ReadErrors<nft::ReadError>>,
) -> io::Result<Subject> {
    let found = read.map_err(|errors| unreadable(&name, &errors, &tables(text, &errors)))?;
    Subject::read(name.clone(), vec![name], found, Families::Both, Form::Nft)
}

/// What a file is called, as a terminal may be shown it.
pub(super) fn called(path: &Path) -> String {
    on_one_line(&name(path))
}

/// Whether a text is a policy, and not rules in another form.
fn is_policy(text: &str) -> bool {
    recognise(text).is_ok_and(|it| matches!(it.form, TextForm::Nothing | TextForm::Policy))
}

/// Why rules cannot be read: the first few reasons. `owners` are the chains and tables that they stand in.
fn unreadable<E: Display>(
    name: &str,
    errors: &ReadErrors<E>,
    owners: &BTreeSet<String>,
) -> io::Error {
    const SHOWN: usize = 5;
    /// Longest error, and longest name that is suggested: others' words may be as long as their file.
    const LONGEST: usize = 400;
    const LONGEST_NAME: usize = 128;
    let mut lines = vec![format!("cannot read {name}:")];
    lines.extend(
        errors
            .iter()
            .take(SHOWN)
            .map(|error| format!("  {}", shortened(&error.to_string(), LONGEST))),
    );
    if errors.len() > SHOWN {
        lines.push(format!("  and {} more", errors.len() - SHOWN));
    }
    let plain = |name: &&String| {
        name.len() <= LONGEST_NAME
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let owners: Vec<_> =
        owners.iter().filter(plain).map(|it| format!("--leave-out {it}")).collect();
    let arguments =
        if owners.is_empty() { "--leave-out NAME".to_owned() } else { owners.join(" ") };
    lines.push(format!("what is someone else's can be left out: `{arguments}`"));
    io::Error::other(lines.join("\n"))
}

/// The chains in which errors of iptables stand.
fn chains(errors: &[iptables::ReadError]) -> BTreeSet<String> {
    errors.iter().filter_map(|error| error.chain.clone()).collect()
}

/// The tables in which errors of an nft script or listing stand.
fn tables(text: &str, errors: &[nft::ReadError]) -> BTreeSet<String> {
    let table = |line: &str| {
        let mut words = line.strip_prefix("table ")?.split_whitespace();
        words.nth(1).map(str::to_owned)
    };
    // The lines with which tables begin, from 1, with their names.
    let begins: Vec<(usize, String)> =
        (1..).zip(text.lines()).filter_map(|(at, line)| Some((at, table(line)?))).collect();
    let above = |error: &nft::ReadError| match &error.at {
        Place::Line { line, .. } => {
            let line = usize::try_from(*line).ok()?;
            let before = begins.partition_point(|(at, _)| *at <= line);
            begins[..before].last().map(|(_, name)| name.clone())
        }
        Place::Table(table) | Place::Chain { table, .. } | Place::Rule { table, .. } => {
            table.split(' ').next_back().map(str::to_owned)
        }
        _ => None,
    };
    errors.iter().filter_map(above).collect()
}
