//! Rules that are given as such: of iptables in one file or two, of nft, or in files of any form.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::compile::LayoutName;
use super::files::{read_rules, read_unpacked};
use super::report::Messages;
use super::subject::{Reading, Subject, called};
use crate::diag::refusal;
use crate::net::Family;
use crate::reader::forms::{Form, Recognised, recognise};
use crate::reader::iptables::Dump;

/// Rules in other forms than a policy.
#[derive(Args)]
pub(super) struct Rules {
    /// IPv4 rules, as `iptables-save` prints them.
    #[arg(long, value_name = "FILE")]
    iptables: Option<PathBuf>,
    /// IPv6 rules, as `ip6tables-save` prints them.
    #[arg(long, value_name = "FILE")]
    ip6tables: Option<PathBuf>,
    /// Rules as `nft list ruleset` prints them, with or without `-j`, or as weir writes them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["iptables", "ip6tables"])]
    nft_json: Option<PathBuf>,
    /// Rules in any form, which is recognised by content: the output of `iptables-save`, `iptables -S`
    /// or `nft list ruleset`, of one family or both, in a log, or packed with gzip. May be repeated: all
    /// files are then taken to be loaded together.
    #[arg(
        id = "rules",
        long,
        value_name = "FILE",
        conflicts_with_all = ["iptables", "ip6tables", "nft_json"]
    )]
    of_any_form: Vec<PathBuf>,
}

impl Rules {
    /// Whether there are any.
    pub(super) fn is_given(&self) -> bool {
        self.paths().next().is_some()
    }

    /// The files that they are in.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let all = [&self.iptables, &self.ip6tables, &self.nft_json];
        all.into_iter().flatten().chain(&self.of_any_form).map(PathBuf::as_path)
    }

    /// The same with `others` in any form, which are loaded together with those.
    pub(super) fn read_with(
        &self,
        others: &[PathBuf],
        reading: &Reading,
        filled: &BTreeSet<String>,
        messages: &Messages,
    ) -> io::Result<Option<Subject>> {
        if others.is_empty() {
            return self.read(reading, filled, messages);
        }
        let all: Vec<_> = self.of_any_form.iter().chain(others).cloned().collect();
        reading.files(&all, filled, messages)
    }

    /// Reads them; `None` if one is a policy that is wrong. Sets that `filled` has are others' to fill.
    pub(super) fn read(
        &self,
        reading: &Reading,
        filled: &BTreeSet<String>,
        messages: &Messages,
    ) -> io::Result<Option<Subject>> {
        if let Some(path) = &self.nft_json {
            let text = read_rules(path)?;
            return match recognised(path, &text, messages)? {
                Form::NftJson(text) => reading.nft_json(called(path), &text, filled),
                Form::NftScript(text) => reading.nft_script(called(path), &text, filled),
                _ => Err(io::Error::other(format!(
                    "{} has no rules of nft; `--rules` takes any form",
                    called(path)
                ))),
            }
            .map(Some);
        }
        if !self.of_any_form.is_empty() {
            return reading.files(&self.of_any_form, filled, messages);
        }
        let halves = [half(self.iptables.as_deref())?, half(self.ip6tables.as_deref())?];
        reading.halves(&halves, messages).map(Some)
    }
}

impl Reading {
    /// Reads rules that are loaded together; `None` if one is a policy that is wrong.
    fn files(
        &self,
        paths: &[PathBuf],
        filled: &BTreeSet<String>,
        messages: &Messages,
    ) -> io::Result<Option<Subject>> {
        let texts: Vec<String> =
            paths.iter().map(|path| read_unpacked(path)).collect::<io::Result<_>>()?;
        self.texts(paths, &texts, filled, messages)
    }

    /// The same, of files that were read already.
    pub(super) fn texts(
        &self,
        paths: &[PathBuf],
        texts: &[String],
        filled: &BTreeSet<String>,
        messages: &Messages,
    ) -> io::Result<Option<Subject>> {
        let mut subjects = Vec::new();
        let mut dumps: Vec<(&Path, Dump<'_>)> = Vec::new();
        for (path, text) in paths.iter().zip(texts) {
            let name = called(path);
            match recognised(path, text, messages)? {
                Form::Iptables(found) => {
                    dumps.extend(found.into_iter().map(|dump| (path.as_path(), dump)));
                }
                Form::NftJson(text) => subjects.push(self.nft_json(name, &text, filled)?),
                Form::NftScript(text) => subjects.push(self.nft_script(name, &text, filled)?),
                Form::Nothing => return Err(nothing(path)),
                Form::Policy => {
                    let read = self.policy(path, text, LayoutName::default(), messages)?;
                    let Some(subject) = read else { return Ok(None) };
                    subjects.push(subject);
                }
            }
        }
        if let [(path, dump)] = &dumps[..]
            && dump.family.is_none()
        {
            say_ipv4(path, messages);
        }
        if !dumps.is_empty() {
            subjects.push(self.dumps(&dumps)?);
        }
        Ok(Subject::together(subjects))
    }

    /// Reads rules of iptables out of several files, one of each family.
    fn dumps(&self, dumps: &[(&Path, Dump<'_>)]) -> io::Result<Subject> {
        let mut slots: [Option<&(&Path, Dump<'_>)>; 2] = [None, None];
        for found in dumps {
            let (path, dump) = found;
            let family = match dump.family {
                Some(family) => family,
                None if dumps.len() == 1 => Family::Ipv4,
                None => {
                    return Err(io::Error::other(format!(
                        "nothing says which family the rules in {} are of: give them with `--iptables` \
                         or `--ip6tables`",
                        called(path)
                    )));
                }
            };
            let slot = &mut slots[usize::from(family == Family::Ipv6)];
            if let Some((other, _)) = slot.replace(found) {
                let (other, path) = (called(other), called(path));
                return Err(io::Error::other(format!(
                    "{other} and {path} both have {family} rules of iptables: leave the one that is meant"
                )));
            }
        }
        let mut files: Vec<String> = slots.iter().flatten().map(|(path, _)| called(path)).collect();
        files.dedup();
        let [v4, v6] = slots.map(|slot| slot.map(|(_, dump)| dump));
        self.iptables(files, v4, v6)
    }

    /// Reads rules of iptables, those of IPv4 and those of IPv6, each if it is there. One file may have
    /// both.
    pub(super) fn halves(
        &self,
        halves: &[Option<(&Path, String)>; 2],
        messages: &Messages,
    ) -> io::Result<Subject> {
        let is_alone = halves.iter().flatten().count() == 1;
        let mut slots = [None, None];
        for ((half, expected), at) in halves.iter().zip(Family::ALL).zip(0..) {
            let Some((path, text)) = half else { continue };
            let wrong = match recognised(path, text, messages)? {
                Form::Nothing => {
                    slots[at] = Some(Dump::whole(text));
                    continue;
                }
                Form::Iptables(dumps) => {
                    let found = by_family(dumps, expected);
                    let has_other = found[1 - at].is_some();
                    if found[at].is_some() && (is_alone || !has_other) {
                        let found = found.into_iter().zip(&mut slots);
                        found.for_each(|(dump, slot)| *slot = dump.or(slot.take()));
                        continue;
                    }
                    if found[at].is_some() {
                        "has rules of both families: give it alone".to_owned()
                    } else {
                        format!("has rules of another family than {expected}")
                    }
                }
                _ => "is not what iptables-save prints; `--rules` takes any form".to_owned(),
            };
            return Err(io::Error::other(format!("{} {wrong}", called(path))));
        }
        let files = halves.iter().flatten().map(|(path, _)| called(path)).collect();
        let [v4, v6] = slots;
        self.iptables(files, v4.as_ref(), v6.as_ref())
    }
}

/// Why a file without rules is none of rules.
pub(super) fn nothing(path: &Path) -> io::Error {
    io::Error::other(format!(
        "{} has nothing in it: no rules and no policy; that a family has no rules is said by an empty \
         file behind `--iptables` or `--ip6tables`",
        called(path)
    ))
}

/// A file and its text, if there is one.
fn half(path: Option<&Path>) -> io::Result<Option<(&Path, String)>> {
    path.map(|path| Ok((path, read_rules(path)?))).transpose()
}

/// The form of a file; what is not plain about it is said.
pub(super) fn recognised<'a>(
    path: &Path,
    text: &'a str,
    messages: &Messages,
) -> io::Result<Form<'a>> {
    // What a command left that failed is for the reader of policies to tell.
    if refusal(text).is_some() {
        return Ok(Form::Policy);
    }
    let Recognised { form, said } = recognise(text)
        .map_err(|error| io::Error::other(format!("cannot read {}: {error}", called(path))))?;
    if let Some(said) = said {
        messages.note(&format!("{}: {said}", called(path)));
    }
    Ok(form)
}

/// Says that rules are read as those of IPv4 though nothing says that they are.
pub(super) fn say_ipv4(path: &Path, messages: &Messages) {
    messages.note(&format!("{}: read as IPv4, for nothing says that it is IPv6", called(path)));
}

/// Rules of IPv4 and of IPv6. Those of which nothing says the family are of `expected`.
pub(super) fn by_family(dumps: Vec<Dump<'_>>, expected: Family) -> [Option<Dump<'_>>; 2] {
    let mut slots = [None, None];
    for dump in dumps {
        let is_ipv6 = dump.family.unwrap_or(expected) == Family::Ipv6;
        slots[usize::from(is_ipv6)] = Some(dump);
    }
    slots
}
