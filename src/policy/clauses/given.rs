//! One clause, read into the setting that it is about.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::lets::{Lets, Value};
use super::lists::{Item, List};
use super::numbers::{self, Mistake, Number};
use super::spelling::Spellings;
use super::values::{AnyPorts, Group, GroupIds, Read, User};
use super::words::{hint, suggest};
use crate::diag::{Diagnostic, Hint, Problem, Report, shown};
use crate::net::{BadName, Families, Family, Mark, Name, PortRange};
use crate::policy::setting::Setting;
use crate::span::Span;
use crate::syntax::ast::TermKind;

/// What clauses are read with.
pub(crate) struct Context<'a> {
    pub(crate) lets: Lets<'a>,
    pub(crate) groups: &'a GroupIds,
    /// Every clause of every kind of policy, to say what was meant.
    pub(crate) spellings: &'a Spellings,
    pub(crate) report: Report,
    /// Values of lists that were reported, by their problem: one that is used a million times is
    /// wrong once.
    pub(crate) reported: BTreeSet<(Span, &'static str)>,
    /// Whether an error was not reported because it had been.
    pub(crate) repeats_error: bool,
}

/// One clause that was given, with its values.
pub(crate) struct Given<'c, 'a> {
    pub(crate) context: &'c mut Context<'a>,
    /// `exclude port`.
    pub(crate) clause: &'static str,
    /// `15020`.
    pub(crate) example: &'static str,
    pub(crate) values: Vec<Value<'a>>,
    /// Whether these are all of the values, and not only those that could be had.
    pub(crate) is_whole: bool,
    /// Whether it adds to what there is.
    pub(crate) also: bool,
    /// All of it.
    pub(crate) span: Span,
}

/// What `*` and `none` are in a list: a value, or nothing, with what to write instead.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Specials {
    pub(crate) star: Option<&'static str>,
    pub(crate) none: Option<&'static str>,
}

impl Specials {
    /// Neither is refused.
    pub(crate) const BOTH: Self = Self { star: None, none: None };
    /// `none`, but not `*`.
    pub(crate) const fn no_star(instead: &'static str) -> Self {
        Self { star: Some(instead), none: None }
    }
    /// `none`, but not `*`, in a list of interfaces.
    pub(crate) const INTERFACES: Self =
        Self::no_star("name the interfaces, or their beginnings: `eth*`");
}

impl<'a> Given<'_, 'a> {
    /// Reads a list.
    pub(crate) fn list<T: Read + Clone>(&mut self, list: &mut List<T>, specials: Specials) {
        self.list_of(list, specials, |value: T| value);
    }

    /// Reads a list of ports, 0 among them.
    pub(crate) fn any_ports(&mut self, list: &mut List<PortRange>, specials: Specials) {
        self.list_of(list, specials, |ports: AnyPorts| ports.0);
    }

    /// Reads a list of users.
    pub(crate) fn users(&mut self, list: &mut List<u32>) {
        const NO_STAR: &str = "write the numbers of the proxy's users: `user 1337`";
        self.list_of(list, Specials::no_star(NO_STAR), |user: User| user.0);
    }

    /// Reads a list of groups.
    pub(crate) fn groups(&mut self, list: &mut List<u32>, specials: Specials) {
        self.list_of(list, specials, |group: Group| group.0);
    }

    pub(crate) fn list_of<R: Read, T: Clone>(
        &mut self,
        list: &mut List<T>,
        specials: Specials,
        value: impl Fn(R) -> T,
    ) {
        if self.is_missing() {
            return;
        }
        let alone = self.values.len() == 1;
        let mut is_whole = self.is_whole;
        let mut is_refused = false;
        let mut items = Vec::with_capacity(self.values.len());
        for at in 0..self.values.len() {
            let given = self.values[at];
            let special = match &*given.term.text {
                _ if given.term.kind != TermKind::Word => None,
                "*" => Some(("*", specials.star)),
                "none" => Some(("none", specials.none)),
                _ => None,
            };
            match special {
                None => {
                    let read = self.value(given);
                    is_whole &= read.is_some();
                    let at = Some(given.term.span);
                    items.extend(read.map(|read| Item { value: value(read), at, own: true }));
                }
                Some((found, None)) if alone && !self.also => {
                    list.all = found == "*";
                    list.items = Arc::default();
                    list.clause = Some(self.span);
                    return;
                }
                Some((found, refused)) => {
                    self.refuse(given, found, refused, alone);
                    is_refused = true;
                }
            }
        }
        if is_refused {
            return;
        }
        if self.also && list.all {
            let instead = format!("leave out `also` for only these: `{} …`", self.clause);
            let problem = Problem::AddsNothing { clause: self.clause.to_owned(), instead };
            let label = if list.clause.is_some() { "" } else { "the default is `*`" };
            let diagnostic = problem.at(self.span, label);
            self.context.report.push(diagnostic.and(list.clause, "everything already"));
            return;
        }
        // What is made of a list in which something is wrong would be wrong again.
        if !is_whole {
            return;
        }
        if !self.also {
            list.items = Arc::default();
        }
        list.all = false;
        Arc::make_mut(&mut list.items).extend(items);
        list.clause = Some(self.span);
    }

    /// Reports `*` or `none` where it says nothing.
    fn refuse(
        &mut self,
        given: Value<'a>,
        found: &'static str,
        refused: Option<&'static str>,
        alone: bool,
    ) {
        let clause = self.clause.to_owned();
        let problem = match refused {
            Some(instead) => {
                Problem::NotAList { clause, found, alone: false, instead: instead.to_owned() }
            }
            None if alone => Problem::AddsNothing {
                instead: format!("write `{clause} {found}`, or remove the clause"),
                clause,
            },
            None => {
                let instead = match found {
                    "*" => "write `*` alone, or only the others",
                    _ => "write `none` alone, or only the others",
                };
                Problem::NotAList { clause, found, alone: true, instead: instead.to_owned() }
            }
        };
        self.report(problem, given, "");
    }

    /// Changes `setting` to what was read, if it could be.
    pub(crate) fn set<T>(&self, setting: &mut Setting<T>, read: Option<T>) {
        if let Some(value) = read {
            *setting = Setting::written(value, self.span);
        }
    }

    /// Reads one port.
    pub(crate) fn port(&mut self, setting: &mut Setting<u16>) {
        let port = self.scalar(numbers::port);
        self.set(setting, port);
    }

    /// Reads one number.
    pub(crate) fn number(&mut self, kind: &Number) -> Option<u32> {
        self.scalar(|text| numbers::number(text, kind))
    }

    /// Reads one number, or `none`.
    pub(crate) fn number_or_none(&mut self, setting: &mut Setting<Option<u32>>, kind: &Number) {
        let read = self.scalar(|text| match text {
            "none" => Ok(None),
            _ => numbers::number(text, kind).map(Some),
        });
        self.set(setting, read);
    }

    /// Refuses the clause, which the mesh has no rule for.
    pub(crate) fn cannot(&mut self, mesh: &'static str, why: &'static str, instead: &'static str) {
        self.context.report.push(Problem::MeshCannot { mesh, why, instead }.at(self.span, ""));
    }

    /// Reads one routing table.
    pub(crate) fn table(&mut self) -> Option<u32> {
        self.scalar(numbers::table)
    }

    /// Reads one mark, perhaps with a mask.
    pub(crate) fn masked(&mut self, setting: &mut Setting<Mark>) {
        let mark = self.scalar(numbers::masked);
        self.set(setting, mark);
    }

    /// Reads one name of at most so many bytes.
    pub(crate) fn name(&mut self, most: usize) -> Option<Name> {
        let value = self.one()?;
        let text = &*value.term.text;
        let name = Name::new(text).map_err(|reason| (reason, reason.to_string()));
        let short = name.and_then(|name| match text.len() {
            len if len > most => {
                Err((BadName::TooLong { len }, format!("{len} bytes, and the most is {most}")))
            }
            _ => Ok(name),
        });
        match short {
            Ok(name) => Some(name),
            Err((reason, label)) => {
                self.report(Problem::NotAName { found: shown(text), reason, most }, value, label);
                None
            }
        }
    }

    pub(crate) fn scalar<T>(&mut self, read: impl Fn(&str) -> Result<T, Mistake>) -> Option<T> {
        let value = self.one()?;
        self.read(value, false, read)
    }

    /// Reads one of `choices`; `help` says what they do.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        what: &'static str,
        choices: &[(&'static str, T)],
        help: &'static str,
    ) -> Option<T> {
        let value = self.one()?;
        self.chosen(value, what, choices, help)
    }

    /// Reads a first word out of `choices`, whatever stands behind it.
    pub(crate) fn chosen<T: Copy>(
        &mut self,
        value: Value<'a>,
        what: &'static str,
        choices: &[(&'static str, T)],
        help: &'static str,
    ) -> Option<T> {
        let found = &*value.term.text;
        let is_word = value.term.kind == TermKind::Word;
        let choice = choices.iter().find(|(word, _)| is_word && *word == found);
        if choice.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            let problem = Problem::UnknownChoice { what, found: shown(found), choices: help };
            self.report(problem, value, hint(found, &words));
        }
        choice.map(|(_, choice)| *choice)
    }

    /// Reads `ipv4`, `ipv6`, or both.
    pub(crate) fn families(&mut self, setting: &mut Setting<Families>) {
        const CHOICES: &[(&str, Family)] = &[("ipv4", Family::Ipv4), ("ipv6", Family::Ipv6)];
        const HELP: &str = "write `family ipv4, ipv6` for both; one that is left out is untouched";
        const AT_LEAST: &str = "a policy is about one family at least: `family ipv4`, `family ipv6`, or both, \
                                `family ipv4, ipv6`";
        if self.is_missing() {
            return;
        }
        if let [only] = self.values[..]
            && let Some(word) = suggest(&only.term.text, &["*", "none"])
        {
            let is_none = word == "none";
            let choices = if is_none { AT_LEAST } else { HELP };
            let found = shown(&only.term.text);
            let label = if is_none { Hint::default() } else { Hint::meant("ipv4, ipv6", false) };
            self.report(Problem::UnknownChoice { what: "family", found, choices }, only, label);
            return;
        }
        let mut found: Option<Families> = None;
        let mut is_whole = true;
        for value in std::mem::take(&mut self.values) {
            let Some(family) = self.chosen(value, "family", CHOICES, HELP) else {
                is_whole = false;
                continue;
            };
            if found.is_some_and(|found| found.has(family)) {
                let problem = Problem::Repeated { value: family.keyword().to_owned() };
                self.report(problem, value, "again");
            }
            found = Some(found.map_or(Families::from(family), |found| {
                if found.has(family) { found } else { Families::Both }
            }));
        }
        if let Some(found) = found.filter(|_| is_whole) {
            *setting = Setting::written(found, self.span);
        }
    }

    /// Whether there is no value, as there must not be; otherwise that is reported.
    pub(crate) fn has_no_value(&mut self) -> bool {
        if let Some(&first) = self.values.first() {
            let clause = self.clause.to_owned();
            self.report(Problem::TooManyValues { clause, most: "no value" }, first, "");
        }
        self.values.is_empty()
    }

    /// Whether the value is `none`, the only one that `dns` has without a block.
    pub(crate) fn dns_none(&mut self) -> bool {
        const HELP: &str = "write `dns none` for no DNS capture, or `dns { capture * }`";
        self.choice("DNS capture", &[("none", ())], HELP).is_some()
    }

    /// Whether packets that connection tracking calls invalid are dropped.
    pub(crate) fn drop_invalid(&mut self, setting: &mut Setting<bool>) {
        const CHOICES: &[(&str, bool)] = &[("invalid", true), ("none", false)];
        const HELP: &str = "`drop invalid` drops what connection tracking calls invalid, \
                            `drop none` nothing";
        let drop = self.choice("kind of packet", CHOICES, HELP);
        self.set(setting, drop);
    }

    /// The only value, if there is exactly one.
    pub(crate) fn one(&mut self) -> Option<Value<'a>> {
        match self.values[..] {
            [] => {
                self.is_missing();
                None
            }
            [only] => Some(only),
            [_, second, ..] => {
                let clause = self.clause.to_owned();
                self.report(Problem::TooManyValues { clause, most: "one value" }, second, "");
                None
            }
        }
    }

    /// Whether there is no value, which is reported.
    pub(super) fn is_missing(&mut self) -> bool {
        if self.values.is_empty() {
            let clause = self.clause.to_owned();
            let example = format!("`{} {}`", self.clause, self.example);
            self.context.report.push(
                Problem::Missing { what: "value", clause, example }
                    .at(self.span.behind(), "expected a value here"),
            );
        }
        self.values.is_empty()
    }

    pub(super) fn value<T: Read>(&mut self, value: Value<'a>) -> Option<T> {
        let groups = self.context.groups;
        let is_list = value.used.is_none()
            && value.term.kind == TermKind::Word
            && self.context.lets.has(&value.term.text);
        self.read(value, T::QUOTED, |text| {
            T::read(text, groups).map_err(|mut mistake| {
                if is_list {
                    *mistake.label = Hint::meant(format!("${text}"), false);
                    mistake.part = 0..0;
                    mistake.problem = mistake.problem.instead_of(format!("write `${text}`"));
                } else if let Some(word) =
                    suggest(text, &["*", "none"]).filter(|word| *word != text)
                    && mistake.label.is_empty()
                {
                    *mistake.label = Hint::meant(word, false);
                }
                mistake
            })
        })
    }

    pub(super) fn read<T>(
        &mut self,
        value: Value<'a>,
        quoted: bool,
        read: impl Fn(&str) -> Result<T, Mistake>,
    ) -> Option<T> {
        let text = &*value.term.text;
        let sign = match value.term.kind {
            TermKind::Text if !quoted => Some("a value in quotation marks"),
            TermKind::Equals | TermKind::Arrow => Some("a sign where a value belongs"),
            _ => None,
        };
        if let Some(what) = sign {
            let plain = if text.is_empty() { self.example } else { text };
            let instead = format!("write `{} {}`", self.clause, shown(plain));
            let label = if read(text).is_ok() { Hint::with("", text) } else { Hint::default() };
            self.report(Problem::Punctuation { what, instead: instead.into() }, value, label);
            return None;
        }
        match read(text) {
            Ok(read) => Some(read),
            Err(mistake) => {
                let inside = u32::from(value.term.kind == TermKind::Text);
                let at = value.term.span;
                let place = if mistake.part.is_empty() {
                    at
                } else {
                    let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
                    Span {
                        start: at.start + inside + byte(mistake.part.start),
                        end: at.start + inside + byte(mistake.part.end),
                        ..at
                    }
                };
                self.push(mistake.problem.at(place, *mistake.label), value);
                None
            }
        }
    }

    fn report(&mut self, problem: Problem, value: Value<'a>, label: impl Into<Hint>) {
        self.push(problem.at(value.term.span, label), value);
    }

    fn push(&mut self, diagnostic: Diagnostic, value: Value<'a>) {
        let Some(used) = value.used else { return self.context.report.push(diagnostic) };
        let diagnostic = diagnostic.or_label(|| format!("used by `{}`", self.clause));
        if self.context.reported.insert((value.term.span, diagnostic.problem.code())) {
            self.context.report.push(diagnostic.also(used, "used here"));
        } else {
            self.context.repeats_error |= diagnostic.is_error();
        }
    }
}
