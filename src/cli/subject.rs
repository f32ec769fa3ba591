//! Anything that has rules in it: a policy, what iptables-save prints, nft scripts and JSON, or the
//! namespace that weir runs in.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::compile::{LayoutName, Selected};
use super::files::{name, read};
use super::input::{GroupFile, compile_text};
use super::live;
use super::report::Messages;
use super::script;
use crate::diag::escape::on_one_line;
use crate::explain::Context;
use crate::ir::Ruleset;
use crate::lower::lower;
use crate::net::{Families, Family, Name};
use crate::policy::GroupIds;
use crate::reader::{iptables, nft};
use crate::{Compilation, Options};

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

/// Rules, and what they can be told with.
pub(super) struct Subject {
    /// What it is called.
    pub(super) name: String,
    pub(super) ruleset: Ruleset,
    /// The families that it says something about.
    pub(super) families: Families,
    form: Form,
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

    /// Reads them. Sets that `filled` has are others' to fill.
    pub(super) fn read(&self, reading: &Reading, filled: &BTreeSet<String>) -> io::Result<Subject> {
        if let Some(path) = &self.nft_json {
            return reading.nft(called(path), &read(path)?, filled);
        }
        let text = |path: &Option<PathBuf>| path.as_deref().map(read).transpose();
        let names: Vec<_> = [&self.iptables, &self.ip6tables]
            .into_iter()
            .flatten()
            .map(|path| called(path))
            .collect();
        reading.iptables(
            names.join(" and "),
            text(&self.iptables)?.as_deref(),
            text(&self.ip6tables)?.as_deref(),
        )
    }
}

impl Subject {
    /// What its rules are told with.
    pub(super) fn context(&self) -> Context<'_> {
        match &self.form {
            Form::Policy(compilation, at) => Context {
                policy: compilation.policies.get(*at),
                sources: Some(&compilation.sources),
                is_iptables: false,
            },
            Form::Iptables => Context { is_iptables: true, ..Context::default() },
            Form::Nft => Context::default(),
        }
    }

    /// Whether its base chains are iptables' own.
    pub(super) const fn is_iptables(&self) -> bool {
        matches!(self.form, Form::Iptables)
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
    /// Reads a file of any form; `None` if it is a policy that is wrong.
    pub(super) fn file(
        &self,
        path: &Path,
        layout: LayoutName,
        filled: &BTreeSet<String>,
        messages: &Messages,
    ) -> io::Result<Option<Subject>> {
        self.text(path, &read(path)?, layout, filled, messages)
    }

    /// Reads two files of any form; `None` if one is a policy that is wrong. Sets that a policy on
    /// either side leaves to others are so on both.
    pub(super) fn pair(
        &self,
        [old, new]: [&Path; 2],
        layout: LayoutName,
        messages: &Messages,
    ) -> io::Result<Option<[Subject; 2]>> {
        let (old_text, new_text) = (read(old)?, read(new)?);
        let nothing = BTreeSet::new();
        let is_new_first = is_policy(&new_text) && !is_policy(&old_text);
        let [first, second] = [(old, &old_text), (new, &new_text)];
        let (first, second) = if is_new_first { (second, first) } else { (first, second) };
        let Some(one) = self.text(first.0, first.1, layout, &nothing, messages)? else {
            return Ok(None);
        };
        let Some(other) = self.text(second.0, second.1, layout, &one.filled(), messages)? else {
            return Ok(None);
        };
        Ok(Some(if is_new_first { [other, one] } else { [one, other] }))
    }

    fn text(
        &self,
        path: &Path,
        text: &str,
        layout: LayoutName,
        filled: &BTreeSet<String>,
        messages: &Messages,
    ) -> io::Result<Option<Subject>> {
        let called = called(path);
        match first_sign(text) {
            Some('{') => self.nft(called, text, filled).map(Some),
            Some('*') if is_ipv6(text) => self.iptables(called, None, Some(text)).map(Some),
            Some('*') => self.iptables(called, Some(text), None).map(Some),
            _ if script::is_script(text) => self.nft(called, text, filled).map(Some),
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
            form: Form::Policy(Box::new(compilation), at.unwrap_or_default()),
        }))
    }

    /// Reads what iptables-save and ip6tables-save print. A text that is empty has no rules; one
    /// that is not there says nothing about its family.
    fn iptables(&self, name: String, v4: Option<&str>, v6: Option<&str>) -> io::Result<Subject> {
        let options = iptables::Options {
            groups: self.groups.read()?,
            leave_out: self.leave_out.iter().cloned().collect(),
            ..iptables::Options::default()
        };
        let ruleset =
            iptables::read(v4, v6, &options).map_err(|errors| unreadable(&name, &errors))?;
        let families = match (v4, v6) {
            (Some(_), None) => Families::Ipv4,
            (None, Some(_)) => Families::Ipv6,
            _ => Families::Both,
        };
        Ok(Subject { name, ruleset, families, form: Form::Iptables })
    }

    /// Reads libnftables JSON, or what a script of nft leaves.
    fn nft(&self, name: String, text: &str, filled: &BTreeSet<String>) -> io::Result<Subject> {
        let options = self.nft_options(filled);
        let read = if first_sign(text) == Some('{') { nft::json } else { nft::script };
        let ruleset = read(text, &options).map_err(|errors| unreadable(&name, &errors))?;
        Ok(Subject { name, ruleset, families: Families::Both, form: Form::Nft })
    }

    fn nft_options(&self, filled: &BTreeSet<String>) -> nft::Options {
        nft::Options {
            leave_out: self.leave_out.iter().cloned().collect(),
            filled: filled.clone(),
            ..nft::Options::default()
        }
    }

    /// Reads the rules of the namespace that weir runs in.
    pub(super) fn live(&self, filled: &BTreeSet<String>) -> io::Result<Subject> {
        let live = live::ask()?;
        let name = "this namespace".to_owned();
        let mut options = self.nft_options(filled);
        if live.has_iptables_nft {
            // What iptables-nft keeps in nft is read from iptables-save, which can say it.
            options.of_iptables = nft::OfIptables::PassOver;
        }
        let mut ruleset =
            nft::json(&live.nft, &options).map_err(|errors| unreadable("nft", &errors))?;
        let mut form = Form::Nft;
        let has_several = live.iptables.len() > 1;
        for (variant, [v4, v6]) in &live.iptables {
            let saved = self.iptables("iptables-save".to_owned(), Some(v4), Some(v6))?;
            let mut saved = saved.ruleset;
            // Both variants can have a table of one name.
            for table in saved.tables.iter_mut().filter(|_| has_several) {
                let called = Name::new(&format!("{variant}-{}", table.name));
                table.name = called.map_err(io::Error::other)?;
            }
            if ruleset.tables.is_empty() && !saved.tables.is_empty() {
                form = Form::Iptables;
            }
            ruleset.tables.extend(saved.tables);
        }
        Ok(Subject { name, ruleset, families: Families::Both, form })
    }
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

/// Whether what iptables-save printed is about IPv6: it says so, or has an address of it.
fn is_ipv6(text: &str) -> bool {
    let is_address = |word: &str| {
        let address = word.split('/').next().unwrap_or_default();
        address.parse::<std::net::Ipv6Addr>().is_ok()
    };
    text.lines().any(|line| {
        if line.starts_with('#') {
            line.contains("ip6tables-save")
        } else {
            line.split_whitespace().any(is_address)
        }
    })
}

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
    use super::{first_sign, is_ipv6};

    #[test]
    fn forms_and_families_are_told_apart_by_content() {
        assert_eq!(first_sign("# Generated\n\n*nat\nCOMMIT\n"), Some('*'));
        assert_eq!(first_sign("  {\"nftables\": []}"), Some('{'));
        assert_eq!(first_sign("# a policy\nsidecar s {}"), Some('s'));
        assert_eq!(first_sign("# nothing\n"), None);
        assert!(is_ipv6("# Generated by ip6tables-save v1.8.9\n*nat\nCOMMIT\n"));
        assert!(is_ipv6("*nat\n-A OUTPUT -d ::1/128 -j RETURN\nCOMMIT\n"));
        assert!(!is_ipv6("*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -d 10.0.0.1 -j RETURN\n"));
    }
}
