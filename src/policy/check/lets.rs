//! Named lists: `let health = 15020, 15021`.

use std::collections::{BTreeMap, BTreeSet};

use super::graph;
use super::words::{shown, suggest};
use super::{MOST_EXTENDED, MOST_VALUES};
use crate::diag::{Diagnostic, Problem};
use crate::net::Name;
use crate::span::Span;
use crate::syntax::ast::{Clause, File, Item, Term, TermKind};

/// Every `let` of every file.
#[derive(Debug, Default)]
pub(super) struct Lets<'a> {
    lists: Vec<Let<'a>>,
    by_name: BTreeMap<&'a str, usize>,
    /// Whether a file was not read, so that nothing is known to be undefined or unused.
    pub(super) may_lack_some: bool,
}

#[derive(Debug)]
struct Let<'a> {
    name: &'a Term,
    values: &'a [Term],
    /// Whether its values can be had; if not, that was reported.
    is_sound: bool,
}

/// A value as a clause sees it, with every `$name` replaced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) term: &'a Term,
    /// The `$name` in the clause, if the value was written in a `let`.
    pub(super) used: Option<Span>,
}

impl<'a> Lets<'a> {
    /// No list yet.
    pub(super) fn new(may_lack_some: bool) -> Self {
        Self { may_lack_some, ..Self::default() }
    }

    /// Adds the `let` that `clause` is.
    pub(super) fn define(&mut self, clause: &'a Clause, report: &mut Vec<Diagnostic>) {
        let Some((name, values)) = parts(clause, report) else { return };
        if let Err(reason) = Name::new(&name.text) {
            let found = shown(&name.text);
            report.push(Problem::NotAName { found, reason }.at(name.span, reason.to_string()));
            return;
        }
        if let Some(&first) = self.by_name.get(&*name.text) {
            report.push(
                Problem::DefinedTwice { what: "list", name: name.text.to_string() }
                    .at(name.span, "second")
                    .also(self.lists[first].name.span, "first"),
            );
            return;
        }
        self.by_name.insert(&name.text, self.lists.len());
        self.lists.push(Let { name, values, is_sound: true });
    }

    /// Finds lists that are made of themselves, and those that nothing uses.
    pub(super) fn resolve<'f>(
        &mut self,
        files: impl Iterator<Item = &'f File>,
        report: &mut Vec<Diagnostic>,
    ) {
        let on: Vec<Vec<usize>> = self
            .lists
            .iter()
            .map(|list| {
                let names = list.values.iter().filter(|term| term.kind == TermKind::Variable);
                names.filter_map(|term| self.by_name.get(&*term.text).copied()).collect()
            })
            .collect();
        let order = graph::order(&on);
        for cycle in &order.cycles {
            let Some((&first, others)) = cycle.split_first() else { continue };
            let name = &self.lists[first].name;
            let problem = Problem::RecursiveLet { name: name.text.to_string() };
            let mut diagnostic = problem.at(name.span, "");
            for &other in others {
                diagnostic = diagnostic.also(self.lists[other].name.span, "by way of this one");
            }
            report.push(diagnostic);
            cycle.iter().for_each(|&list| self.lists[list].is_sound = false);
        }
        for &list in &order.nodes {
            if self.lists[list].is_sound && order.depth[list] > MOST_EXTENDED {
                self.lists[list].is_sound = false;
                // Those that build on it are deeper still, and wrong because of it.
                if order.depth[list] == MOST_EXTENDED + 1 {
                    let name = &self.lists[list].name;
                    let problem = Problem::TooLong { name: format!("${}", name.text) };
                    report.push(problem.at(name.span, ""));
                }
            }
            let is_sound = on[list].iter().all(|&below| self.lists[below].is_sound);
            self.lists[list].is_sound &= is_sound;
        }
        if self.may_lack_some {
            return;
        }
        let mut used = BTreeSet::new();
        for file in files {
            mentioned(&file.items, &mut used);
        }
        for list in self.lists.iter().filter(|list| !used.contains(&*list.name.text)) {
            let name = list.name.text.to_string();
            report.push(Problem::UnusedLet { name }.at(list.name.span, ""));
        }
    }

    /// The values of a clause at `head`, with every `$name` replaced by its values, and whether
    /// these are all of them: what a wrong `$name` stands for is left out.
    pub(super) fn values(
        &self,
        terms: &'a [Term],
        head: Span,
        report: &mut Vec<Diagnostic>,
    ) -> (Vec<Value<'a>>, bool) {
        let mut values = Vec::with_capacity(terms.len());
        let mut all = true;
        for term in terms {
            let used = (term.kind == TermKind::Variable).then_some(term.span);
            all &= self.expand(term, used, &mut values, report);
            if values.len() > MOST_VALUES {
                report.push(Problem::ListTooLong.at(head, ""));
                return (Vec::new(), false);
            }
        }
        (values, all)
    }

    fn expand(
        &self,
        term: &'a Term,
        used: Option<Span>,
        values: &mut Vec<Value<'a>>,
        report: &mut Vec<Diagnostic>,
    ) -> bool {
        if term.kind != TermKind::Variable {
            values.push(Value { term, used });
            return true;
        }
        let Some(&list) = self.by_name.get(&*term.text) else {
            let names: Vec<_> = self.by_name.keys().copied().collect();
            let nearest = suggest(&term.text, &names);
            let label = nearest.map_or_else(String::new, |name| format!("did you mean `${name}`?"));
            if !self.may_lack_some {
                report.push(Problem::Undefined { name: shown(&term.text) }.at(term.span, label));
            }
            return false;
        };
        let list = &self.lists[list];
        // Sound lists have no cycle and are at most `MOST_EXTENDED` deep.
        list.is_sound
            && list.values.iter().fold(true, |all, term| {
                values.len() <= MOST_VALUES && self.expand(term, used, values, report) && all
            })
    }
}

/// The name and the values of a `let`.
fn parts<'a>(clause: &'a Clause, report: &mut Vec<Diagnostic>) -> Option<(&'a Term, &'a [Term])> {
    let problem = match &clause.terms[..] {
        [_, name, equals, values @ ..]
            if equals.kind == TermKind::Equals && name.kind == TermKind::Word =>
        {
            if let Some((at, term)) = malformed(values) {
                report.push(at.at(term, ""));
                return None;
            }
            if let Some(block) = &clause.block {
                let clause = format!("let {}", shown(&name.text));
                report.push(Problem::SurplusBlock { clause }.at(block.open, ""));
            }
            if !values.is_empty() {
                return Some((name, values));
            }
            let clause = format!("let {}", shown(&name.text));
            let example = format!("`{clause} = 15020, 15021`");
            Problem::Missing { what: "value", clause, example }
        }
        [_, equals, ..] if equals.kind == TermKind::Equals => Problem::Missing {
            what: "name",
            clause: "let".to_owned(),
            example: "`let name = 15020, 15021`".to_owned(),
        },
        [_, name, ..] if name.kind == TermKind::Variable => Problem::Punctuation {
            what: "a `$` before the name of a list",
            instead: "write it only where the list is used: `let name = 15020, 15021`",
        },
        [_, _, ..] => Problem::Punctuation {
            what: "a list without `=`",
            instead: "write `let name = 15020, 15021`",
        },
        _ => Problem::Missing {
            what: "name",
            clause: "let".to_owned(),
            example: "`let name = 15020, 15021`".to_owned(),
        },
    };
    report.push(problem.at(clause.head(), ""));
    None
}

/// The first place where `values` are not values with commas between.
fn malformed(values: &[Term]) -> Option<(Problem, Span)> {
    let is_sign = |term: &&Term| matches!(term.kind, TermKind::Equals | TermKind::Arrow);
    if let Some(sign) = values.iter().find(is_sign) {
        let problem = Problem::Punctuation {
            what: "a sign where a value belongs",
            instead: "write `let name = 15020, 15021`",
        };
        return Some((problem, sign.span));
    }
    let pair = values.windows(2).find(|pair| !pair[0].comma)?;
    let problem = Problem::MissingSeparator { separator: ',', instead: None };
    Some((problem, pair[0].span.behind()))
}

/// Every name that some clause has with a `$`, whether or not the clause means something.
fn mentioned<'f>(items: &'f [Item], names: &mut BTreeSet<&'f str>) {
    for item in items {
        let Item::Clause(clause) = item else { continue };
        let variables = clause.terms.iter().filter(|term| term.kind == TermKind::Variable);
        names.extend(variables.map(|term| &*term.text));
        if let Some(block) = &clause.block {
            mentioned(&block.items, names);
        }
    }
}
