//! Named lists: `let health = 15020, 15021`.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::between;
use super::form::Room;
use super::spelling::text_of;
use super::words::Names;
use super::{addresses, graph, numbers};
use crate::diag::{Hint, Problem, Report, shown};
use crate::net::Name;
use crate::span::{FileId, Span};
use crate::syntax::ast::{Clause, File, Item, Term, TermKind};

/// Most policies in a row of `extends`, and most lists in a row of `$names`.
pub const MOST_EXTENDED: usize = 16;

/// Most values of one list.
pub const MOST_VALUES: usize = 1_000_000;

/// Most values of all policies of a compilation, those of lists and those inherited counted wherever
/// they are used.
pub const MOST_VALUES_IN_ALL: usize = 10_000_000;

/// Most unknown names of which is looked which list they mean.
const MOST_MISSPELT: usize = 100;

/// Every `let` of every file.
#[derive(Debug, Default)]
pub(crate) struct Lets<'a> {
    lists: Vec<Let<'a>>,
    by_name: BTreeMap<&'a str, usize>,
    /// The names once more, to tell which of them was meant.
    names: Names<'a>,
    /// Whether a file was not read, so that nothing is known to be undefined or unused.
    pub(crate) may_lack_some: bool,
    /// How many values policies have of them and of one another.
    spent: Cell<usize>,
}

#[derive(Debug)]
struct Let<'a> {
    name: &'a Term,
    values: &'a [Term],
    /// How many values it has, those of its lists counted; `None` if it is wrong, which was
    /// reported once, however often it is used.
    size: Option<usize>,
}

/// A value as a clause sees it, with every `$name` replaced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    pub(crate) term: &'a Term,
    /// The `$name` in the clause, if the value was written in a `let`.
    pub(crate) used: Option<Span>,
}

impl<'a> Lets<'a> {
    /// No list yet.
    pub(crate) fn new(may_lack_some: bool) -> Self {
        Self { may_lack_some, ..Self::default() }
    }

    /// Adds the `let` that `clause` is.
    pub(crate) fn define(&mut self, clause: &'a Clause, report: &mut Report) {
        let (name, values) = parts(clause, report);
        let Some(name) = name else { return };
        let text = if values.is_none() { name.text.trim_end_matches(':') } else { &*name.text };
        if let Err(reason) = Name::new(text) {
            let (found, label) = (shown(&name.text), reason.to_string());
            let most = Name::MAX_LEN;
            report.push(Problem::NotAName { found, reason, most }.at(name.span, label));
            return;
        }
        if let Some(&first) = self.by_name.get(text) {
            report.push(
                Problem::DefinedTwice { what: "list", name: name.text.to_string() }
                    .at(name.span, "second")
                    .also(self.lists[first].name.span, "first"),
            );
            return;
        }
        self.by_name.insert(text, self.lists.len());
        let size = values.map(|_| 0);
        self.lists.push(Let { name, values: values.unwrap_or_default(), size });
    }

    /// Adds the list that `clause` is probably meant to be, which has no `let` before it.
    pub(crate) fn define_broken(&mut self, name: &'a Term) {
        if Name::new(&name.text).is_ok() && !self.has(&name.text) {
            self.by_name.insert(&name.text, self.lists.len());
            self.lists.push(Let { name, values: &[], size: None });
        }
    }

    /// Finds out how long every list is, which of them are wrong, and which of the file `main` nothing
    /// uses, if it has a policy that could.
    pub(crate) fn resolve<'f>(
        &mut self,
        files: impl Iterator<Item = &'f File>,
        (main, has_policy): (FileId, bool),
        report: &mut Report,
    ) {
        self.names = self.by_name.keys().copied().collect();
        let on: Vec<Vec<usize>> = self
            .lists
            .iter()
            .map(|list| {
                let names = list.values.iter().filter(|term| term.kind == TermKind::Variable);
                names.filter_map(|term| self.by_name.get(&*term.text).copied()).collect()
            })
            .collect();
        let order = graph::order(&on);
        for circle in &order.circles {
            let Some((&first, others)) = circle.round.split_first() else { continue };
            let name = &self.lists[first].name;
            let problem = Problem::RecursiveLet { name: name.text.to_string() };
            let label =
                if others.is_empty() { "it is among its values" } else { "leads back to it" };
            let by_way_of = others.iter().map(|other| self.lists[*other].name.span);
            report.push(problem.at(name.span, label).by_way_of(by_way_of));
            for &list in &circle.members {
                self.lists[list].size = None;
            }
        }
        for &list in &order.nodes {
            self.lists[list].size = self.lists[list].size.and_then(|_| self.size(list, report));
            // Those that build on it are deeper still, and wrong because of it.
            if self.lists[list].size.is_some() && order.depth[list] > MOST_EXTENDED {
                self.lists[list].size = None;
                let name = &self.lists[list].name;
                let problem = Problem::TooLong { name: format!("${}", name.text) };
                report.push(problem.at(name.span, ""));
            }
        }
        if self.may_lack_some {
            return;
        }
        let mut used = BTreeSet::new();
        for file in files {
            mentioned(&file.items, &mut used);
        }
        // What is misspelt is reported, and used.
        let misspelt: Vec<&str> = used.iter().copied().filter(|name| !self.has(name)).collect();
        used.extend(misspelt.into_iter().take(MOST_MISSPELT).filter_map(|name| self.nearest(name)));
        // What is included is for others, too.
        let is_unused = |list: &&Let<'_>| list.size.is_some() && !used.contains(&*list.name.text);
        for list in self.lists.iter().filter(is_unused) {
            // Those of a file without a policy are for others, and so are those that are included.
            let is_for_others = list.name.span.file != main || !has_policy;
            if misfits(list.values, report) || is_for_others {
                continue;
            }
            let name = list.name.text.to_string();
            report.push(Problem::UnusedLet { name }.at(list.name.span, ""));
        }
    }

    /// How many values a list has; those that it builds on are known.
    fn size(&self, list: usize, report: &mut Report) -> Option<usize> {
        let Let { name, values, .. } = &self.lists[list];
        let mut size = Some(0_usize);
        for term in *values {
            let more = match term.kind {
                TermKind::Variable => {
                    self.find(term, report).and_then(|list| self.lists[list].size)
                }
                _ => Some(1),
            };
            size = size.zip(more).map(|(size, more)| size.saturating_add(more));
        }
        if size.is_some_and(|size| size > MOST_VALUES) {
            report.push(Problem::ListTooLong.at(name.span, ""));
            return None;
        }
        size
    }

    /// Whether there is a list called `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The list that `found` probably means, which is the name of none.
    fn nearest(&self, found: &str) -> Option<&'a str> {
        let name = found.trim_matches(['{', '}', '(', ')']);
        let same = self.by_name.get_key_value(name).map(|(name, _)| *name);
        same.or_else(|| self.names.nearest(name, None))
    }

    /// The list that a `$name` is; without one, that is reported.
    fn find(&self, term: &Term, report: &mut Report) -> Option<usize> {
        let list = self.by_name.get(&*term.text).copied();
        if list.is_none() && !self.may_lack_some {
            report.push_error(term.span, || {
                let nearest = self.nearest(&term.text);
                let label = nearest
                    .map_or_else(Hint::default, |name| Hint::meant(format!("${name}"), false));
                let meant = nearest.map(ToOwned::to_owned);
                Problem::Undefined { name: shown(&term.text), meant }.at(term.span, label)
            });
        }
        list
    }

    /// The values of a clause at `head`, with every `$name` replaced by its values, and whether
    /// these are all of them: what a wrong `$name` stands for is left out.
    pub(crate) fn values(
        &self,
        terms: &'a [Term],
        head: Span,
        report: &mut Report,
    ) -> (Vec<Value<'a>>, bool) {
        let mut values = Vec::with_capacity(terms.len());
        let mut all = true;
        for term in terms {
            if term.kind != TermKind::Variable {
                values.push(Value { term, used: None });
                continue;
            }
            let list = self.find(term, report).map(|list| &self.lists[list]);
            match list.and_then(|list| list.size) {
                None => all = false,
                Some(size) if values.len() + size > MOST_VALUES => {
                    report.push(Problem::ListTooLong.at(head, ""));
                    return (Vec::new(), false);
                }
                Some(size) if !self.spend(size, head, report) => all = false,
                Some(_) => self.expand(term, term.span, &mut values),
            }
        }
        if values.len() > MOST_VALUES {
            report.push(Problem::ListTooLong.at(head, ""));
            return (Vec::new(), false);
        }
        (values, all)
    }

    /// Whether `values` more, at `at`, are not too many for all policies together; otherwise that is
    /// reported.
    pub(crate) fn spend(&self, values: usize, at: Span, report: &mut Report) -> bool {
        let spent = self.spent.get().saturating_add(values);
        if spent <= MOST_VALUES_IN_ALL {
            self.spent.set(spent);
            return true;
        }
        report.push_error(at, || {
            Problem::TooMuch { what: "values", most: MOST_VALUES_IN_ALL }.at(at, "")
        });
        false
    }

    /// Adds the values of a `$name` that is known to have few enough, in few enough rows.
    fn expand(&self, name: &Term, used: Span, values: &mut Vec<Value<'a>>) {
        let Some(&list) = self.by_name.get(&*name.text) else { return };
        for term in self.lists[list].values {
            match term.kind {
                TermKind::Variable => self.expand(term, used, values),
                _ => values.push(Value { term, used: Some(used) }),
            }
        }
    }
}

/// Whether something in a list that no clause reads is a value nowhere, which is reported.
fn misfits(values: &[Term], report: &mut Report) -> bool {
    let before = report.errors();
    let is_odd = |term: &&Term| {
        // What begins with a letter can be the name of a group or of an interface.
        term.kind == TermKind::Word
            && term.text.starts_with(|c: char| c.is_ascii_digit())
            && !between::is_value(&term.text)
    };
    for term in values.iter().filter(is_odd) {
        let is_address = term.text.contains(['.', ':', '/']);
        let mistake = if is_address {
            addresses::prefix(&term.text).err()
        } else {
            numbers::any_ports(&term.text).err()
        };
        report.extend(mistake.map(|mistake| mistake.problem.at(term.span, *mistake.label)));
    }
    report.errors() > before
}

/// Whether it is `let name =`, which the parser has reported.
pub(crate) fn is_without_values(clause: &Clause) -> bool {
    matches!(
        &clause.terms[..],
        [word, name, equals]
            if &*word.text == "let"
                && name.kind == TermKind::Word
                && equals.kind == TermKind::Equals
    )
}

/// The name and the values of a `let`, as far as it has them.
fn parts<'a>(clause: &'a Clause, report: &mut Report) -> (Option<&'a Term>, Option<&'a [Term]>) {
    let example = || "`let name = 15020, 15021`".to_owned();
    let no_name =
        || Problem::Missing { what: "name", clause: "let".to_owned(), example: example() };
    match &clause.terms[..] {
        [_, name, equals, values @ ..]
            if equals.kind == TermKind::Equals && name.kind == TermKind::Word =>
        {
            let words = format!("let {} =", shown(&name.text));
            if let Some(mistake) = between::mistake(&words, values, Room::Many) {
                report.push(mistake);
                return (Some(name), None);
            }
            if let Some(block) = &clause.block {
                let inside = between::braced(block).filter(|_| values.is_empty());
                report.push(if let Some(inside) = inside {
                    between::in_braces(&words, equals, clause, block, &inside)
                } else {
                    let clause = format!("let {}", shown(&name.text));
                    Problem::SurplusBlock { clause }.at(block.open, "")
                });
                return (Some(name), None);
            }
            // The parser has reported a list that ends with its `=`.
            return (Some(name), (!values.is_empty()).then_some(values));
        }
        [_, name, rest @ ..]
            if matches!(name.kind, TermKind::Variable | TermKind::Word)
                && Name::new(name.text.trim_end_matches(':')).is_ok()
                && !(rest.is_empty() && name.kind == TermKind::Word) =>
        {
            let is_sign = |term: &&Term| {
                matches!(term.kind, TermKind::Equals | TermKind::Arrow)
                    || matches!(&*term.text, ":" | ":=" | "to" | "is" | "be")
            };
            let signs = rest.iter().take_while(is_sign).count();
            let plain = name.text.trim_end_matches(':');
            let values = &rest[signs..];
            let text = format!("let {plain} = {}", shown(&text_of(values)));
            let what = match name.kind {
                TermKind::Variable => "a `$` before the name of a list",
                _ => "a list without `=`",
            };
            let instead = if values.is_empty() {
                format!("write `let {plain} = …`")
            } else {
                format!("write `{text}`")
            };
            let are_values =
                !values.is_empty() && between::mistake("", values, Room::Many).is_none();
            let last = if signs > 0 { rest[signs - 1].span } else { name.span };
            let label = match name.kind {
                TermKind::Variable if signs == 1 && rest[0].kind == TermKind::Equals => {
                    Hint::with("", plain)
                }
                _ if are_values => {
                    Hint::with("", format!("{plain} =")).replacing(name.span.to(last))
                }
                _ => Hint::default(),
            };
            report
                .push(Problem::Punctuation { what, instead: instead.into() }.at(name.span, label));
            return (Some(name), None);
        }
        [_, equals, values @ ..] if equals.kind == TermKind::Equals && !values.is_empty() => {
            let example = format!("`let NAME = {}`", shown(&text_of(values)));
            let problem = Problem::Missing { what: "name", clause: "let".to_owned(), example };
            report.push(problem.at(clause.head(), ""));
        }
        [_, name, _, ..] if name.kind == TermKind::Word => {
            let example = "write `let NAME = …`".into();
            let problem = Problem::Punctuation { what: "a list without `=`", instead: example };
            report.push(problem.at(clause.head(), ""));
        }
        [_, name] if name.kind == TermKind::Word => {
            let clause_text = format!("let {}", shown(&name.text));
            let example = format!("`let {} = 15020, 15021`", shown(&name.text));
            let problem = Problem::Missing { what: "value", clause: clause_text, example };
            report.push(problem.at(clause.head().behind(), "expected `=` and values here"));
            return (Some(name), None);
        }
        _ => report.push(no_name().at(clause.head(), "")),
    }
    (None, None)
}

/// Every name that some clause has with a `$`, or should have, whether or not the clause means something.
fn mentioned<'f>(items: &'f [Item], names: &mut BTreeSet<&'f str>) {
    for item in items {
        let Item::Clause(clause) = item else { continue };
        let variables = clause.terms.iter().filter(|term| term.kind == TermKind::Variable);
        names.extend(variables.map(|term| &*term.text));
        // A name without its `$` is a mistake where values stand.
        if clause.keyword() != Some("let") {
            let words = clause.terms.iter().skip(1).filter(|term| term.kind == TermKind::Word);
            names.extend(words.map(|term| &*term.text));
        }
        if let Some(block) = &clause.block {
            mentioned(&block.items, names);
        }
    }
}
