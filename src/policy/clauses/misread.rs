//! Lines that are no clause where they stand, and what may have been meant.

use std::collections::BTreeSet;

use super::between;
use super::form::Room;
use super::spelling::{EXPECT, Spelling, Spellings, article, is_word, term_text, text_of};
use super::words::{alternatives, either, hint, suggest};
use super::{addresses, numbers};
use crate::diag::{Diagnostic, Hint, Problem, shown};
use crate::syntax::ast::{Term, TermKind};

/// Where a line stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The kind of the policy.
    pub(crate) kind: &'static str,
    /// The name of the policy.
    pub(crate) name: &'a str,
    /// The block; empty for the policy itself.
    pub(crate) block: &'static str,
    /// Whether the line has a block of its own.
    pub(crate) has_block: bool,
}

/// The report on `words`, which are no clause at `place`.
pub(crate) fn misread(place: Place<'_>, words: &[Term], spellings: &Spellings) -> Diagnostic {
    let Place { kind, name, block, has_block } = place;
    Misread { kind, name, block, has_block, words, spellings }.diagnostic()
}

/// A line that is no clause where it stands.
struct Misread<'a> {
    kind: &'static str,
    name: &'a str,
    /// The block where it stands.
    block: &'static str,
    has_block: bool,
    words: &'a [Term],
    /// Every clause of every kind.
    spellings: &'a Spellings,
}

impl Misread<'_> {
    fn diagnostic(&self) -> Diagnostic {
        let all = self.spellings.all();
        let here: Vec<_> =
            all.iter().filter(|s| s.kind == self.kind && s.block == self.block).collect();
        let first = &self.words[0];
        let second = self.words.get(1).filter(|_| !first.comma);
        let kinds: Vec<&str> = here
            .iter()
            .filter_map(|s| s.words.strip_prefix(&*first.text)?.strip_prefix(' '))
            .collect();
        let verbs: Vec<&str> = here
            .iter()
            .filter_map(|s| s.words.strip_suffix(&*first.text)?.strip_suffix(' '))
            .collect();
        if !verbs.is_empty() && second.is_none_or(|second| !verbs.contains(&&*second.text)) {
            return self.without_verb(first, &verbs);
        }
        if let Some(second) = second {
            let turned = format!("{} {}", second.text, first.text);
            if here.iter().any(|s| s.words == turned) {
                let found = shown(&format!("{} {}", first.text, second.text));
                return Problem::Unknown { what: "clause", found, instead: None }
                    .at(first.span.to(second.span), Hint::meant(turned, true));
            }
        }
        if let Some(found) = self.extends(first).or_else(|| self.part_of(&here)) {
            return found;
        }
        if let Some(elsewhere) = self.elsewhere(all, &kinds) {
            return elsewhere;
        }
        if !kinds.is_empty() {
            return self.without_kind(first, second, &kinds);
        }
        let mut candidates: Vec<&str> =
            here.iter().filter_map(|s| s.words.split(' ').next()).collect();
        if self.block.is_empty() {
            candidates.extend(all.iter().filter(|s| s.kind == self.kind).map(|s| s.block));
            candidates.push(EXPECT);
        }
        let mut seen = BTreeSet::new();
        candidates.retain(|word| !word.is_empty() && seen.insert(*word));
        let label = hint(&first.text, &candidates);
        // Where the next word begins a clause, or a block has no braces, more is to change.
        let is_first = |word: &&str| second.is_some_and(|second| *second.text == **word);
        let meant = suggest(&first.text, &candidates);
        let opens = meant.is_some_and(|word| {
            all.iter().any(|s| s.kind == self.kind && s.block == word)
                && !here.iter().any(|s| s.words == word)
        });
        let is_all = !candidates.iter().any(is_first) && opens <= self.has_block;
        let label = if is_all { label } else { label.said() };
        let instead = self.called_elsewhere(first, &candidates);
        Problem::Unknown { what: "clause", found: shown(&first.text), instead }
            .at(first.span, label)
    }

    /// What to write for a word under which other tools, and people, know a clause of another block.
    fn called_elsewhere(&self, first: &Term, here: &[&str]) -> Option<String> {
        let own =
            self.spellings.all().iter().filter(|s| s.kind == self.kind && !s.block.is_empty());
        let own: Vec<_> = own.filter(|s| !s.words.is_empty()).collect();
        let words: Vec<_> = own.iter().map(|s| s.words).collect();
        let meant =
            suggest(&first.text, &words).filter(|_| suggest(&first.text, here).is_none())?;
        let values = match meant {
            "user" | "group" => number_of(&self.words[1..]),
            _ => shown(&text_of(&self.words[1..])),
        };
        let fits = own.iter().filter(|s| s.words == meant);
        let ways: Vec<_> = fits
            .map(|s| format!("`{} {{ {} }}`", s.block, format!("{meant} {values}").trim_end()))
            .collect();
        Some(format!("write {}", alternatives(&ways)))
    }

    /// `extends istio`, which stands before the `{`.
    fn extends(&self, first: &Term) -> Option<Diagnostic> {
        if !is_word(first, "extends") || !self.block.is_empty() || self.name.is_empty() {
            return None;
        }
        let parent = self.words.get(1).map_or_else(|| "NAME".to_owned(), |name| shown(&name.text));
        let instead = format!("write `{} {} extends {parent} {{`", self.kind, self.name);
        let place = "inside of the policy".to_owned();
        let problem = Problem::WrongPlace { clause: "extends".to_owned(), place, instead };
        Some(problem.at(first.span, ""))
    }

    /// `port 15001`, where there are `outbound-port` and others.
    fn part_of(&self, here: &[&Spelling]) -> Option<Diagnostic> {
        let first = &*self.words[0].text;
        let is_part = |words: &str| words.split('-').skip(1).any(|part| part == first);
        let whole: Vec<&str> =
            here.iter().map(|s| s.words).filter(|words| is_part(words)).collect();
        if whole.is_empty() || first.len() < 3 {
            return None;
        }
        let values = shown(&text_of(&self.words[1..]));
        let ways: Vec<_> = whole
            .iter()
            .map(|words| format!("`{}`", format!("{words} {values}").trim_end()))
            .collect();
        let instead = Some(format!("write {}", alternatives(&ways)));
        let label = format!("expected {}", either(&whole));
        let problem = Problem::Unknown { what: "clause", found: shown(first), instead };
        Some(problem.at(self.words[0].span, label))
    }

    /// `port 80`.
    fn without_verb(&self, first: &Term, verbs: &[&str]) -> Diagnostic {
        let rest = shown(&text_of(self.words));
        let ways: Vec<_> = verbs.iter().map(|verb| format!("`{verb} {rest}`")).collect();
        let instead = Some(format!("write {}", alternatives(&ways)));
        Problem::Unknown { what: "clause", found: first.text.to_string(), instead }
            .at(first.span, format!("expected {} before it", either(verbs)))
    }

    /// `exclude 80`, `exclude ports 80`.
    fn without_kind(&self, first: &Term, second: Option<&Term>, kinds: &[&str]) -> Diagnostic {
        let unknown = |found, instead| Problem::Unknown { what: "clause", found, instead };
        let Some(second) = second else {
            let label = format!("expected {} behind it", either(kinds));
            return unknown(first.text.to_string(), None).at(first.span, label);
        };
        let text = &*second.text;
        let found = format!("{} {}", first.text, shown(&text_of(std::slice::from_ref(second))));
        let found = found.trim_end_matches(',').to_owned();
        if let Some(kind) =
            self.words.get(2).filter(|kind| kinds.contains(&&*kind.text) && !second.comma)
        {
            let turned = format!("{} {}", kind.text, shown(&term_text(second)));
            let instead = Some(format!("write `{} {turned}`", first.text));
            let is_last = self.words.len() == 3;
            let label = Hint::meant(turned, false).replacing(second.span.to(kind.span));
            let label = if is_last && !kind.comma { label } else { label.said() };
            return unknown(found, instead).at(second.span, label);
        }
        let kind = if second.kind == TermKind::Variable {
            None
        } else if numbers::ports(text).is_ok() {
            Some("port")
        } else if addresses::prefix(text).is_ok() {
            Some("to")
        } else if matches!(text, "*" | "none") {
            kinds.first().copied()
        } else {
            let word = text.starts_with(|c: char| c.is_ascii_alphabetic());
            if word {
                let label = hint(text, kinds);
                let values = &self.words[2..];
                if let Some(kind) = suggest(text, kinds)
                    && !second.comma
                    && !values.is_empty()
                {
                    let rest = shown(&text_of(values));
                    let instead = Some(format!("write `{} {kind} {rest}`", first.text));
                    return unknown(found, instead).at(second.span, label);
                }
                let is_interface = values.is_empty()
                    && suggest(text, kinds).is_none()
                    && self.spellings.all().iter().any(|s| {
                        s.kind == self.kind && s.block == "interface" && s.words == &*first.text
                    });
                let instead = if is_interface {
                    let rest = shown(&text_of(&self.words[1..]));
                    Some(format!(
                        "if it is an interface, write `interface {{ {} {rest} }}`",
                        first.text
                    ))
                } else if text == "owner" && kinds.contains(&"group") {
                    let there_is = what_there_is(first, kinds).unwrap_or_default();
                    let group = format!("{} group {}", first.text, number_of(&self.words[2..]));
                    Some(format!("{there_is}; for processes, write `{}`", group.trim_end()))
                } else {
                    what_there_is(first, kinds).filter(|_| suggest(text, kinds).is_none())
                };
                return unknown(found, instead).at(second.span, label);
            }
            None
        };
        let label = format!("expected {} before it", either(kinds));
        let kind = kind.filter(|kind| kinds.contains(kind));
        let rest = shown(&text_of(&self.words[1..]));
        let instead = kind.map(|kind| format!("write `{} {kind} {rest}`", first.text));
        let is_all = between::mistake("", &self.words[1..], Room::Many).is_none();
        let label = match kind.filter(|_| is_all) {
            Some(kind) => Hint::with(label, format!("{kind} ")).replacing(second.span.before()),
            None => label.into(),
        };
        unknown(found, instead).at(second.span, label)
    }

    /// The report on a line that is a clause, but not here.
    ///
    /// A first word that clauses here begin with counts only together with the second.
    fn elsewhere(&self, all: &[Spelling], kinds: &[&str]) -> Option<Diagnostic> {
        let begins_here = !kinds.is_empty();
        let starts = |words: &str| {
            let count = words.split(' ').count();
            !words.is_empty()
                && (count > 1 || !begins_here)
                && self.words.len() >= count
                && self.words.iter().zip(words.split(' ')).all(|(term, word)| is_word(term, word))
        };
        let first = &self.words[0];
        let place = if self.block.is_empty() {
            format!("in {} {} policy", article(self.kind), self.kind)
        } else {
            format!("in `{}`", self.block)
        };
        let wrong = |clause: &str, place: String, instead: String, count: usize| {
            let at = first.span.to(self.words[count - 1].span);
            Problem::WrongPlace { clause: clause.to_owned(), place, instead }.at(at, "")
        };
        if !self.block.is_empty()
            && all.iter().any(|s| s.kind == self.kind && *s.block == *first.text)
        {
            let instead = format!("close `{}` before it with a `}}`", self.block);
            return Some(wrong(&first.text, place, instead, 1));
        }
        if self.block.is_empty() && self.spellings.is_top_level(&first.text) {
            let instead = "write it at the top level, outside of every policy".to_owned();
            return Some(wrong(&first.text, place, instead, 1));
        }
        if let Some(other) = all.iter().find(|s| self.block.is_empty() && *s.block == *first.text) {
            let is_clause = all.iter().any(|s| s.block.is_empty() && *s.words == *first.text);
            let what = if is_clause { "clause" } else { "block" };
            let instead =
                format!("it is a {what} of {} {} policy", article(other.kind), other.kind);
            return Some(wrong(&first.text, place, instead, 1));
        }
        let fits: Vec<_> = all.iter().filter(|s| starts(s.words)).collect();
        let longest = fits.iter().map(|s| s.words.len()).max()?;
        let fits: Vec<_> = fits.into_iter().filter(|s| s.words.len() == longest).collect();
        let count = fits[0].words.split(' ').count();
        let values = shown(&text_of(&self.words[count..]));
        let with_values = |words: &str| format!("{words} {values}").trim_end().to_owned();
        let same_kind: Vec<_> = fits.iter().filter(|s| s.kind == self.kind).collect();
        if same_kind.is_empty() {
            let kind = fits[0].kind;
            if begins_here {
                let found = format!("{} {}", first.text, self.words[1].text);
                let whose = format!("`{found}` is a clause of {} {kind} policy", article(kind));
                let here = what_there_is(first, kinds).unwrap_or_default();
                let instead = Some(format!("{here}; {whose}"));
                let label = format!("expected {}", either(kinds));
                let problem = Problem::Unknown { what: "clause", found, instead };
                return Some(problem.at(self.words[1].span, label));
            }
            let place = format!("in {} {} policy", article(self.kind), self.kind);
            let instead = format!("it is a clause of {} {kind} policy", article(kind));
            return Some(wrong(fits[0].words, place, instead, count));
        }
        let mut ways: Vec<String> = same_kind
            .iter()
            .map(|s| match s.block {
                "" => format!("`{}` outside of `{}`", with_values(s.words), self.block),
                block => {
                    // A block that stands behind a value has none without it.
                    let opening = all
                        .iter()
                        .find(|o| o.kind == s.kind && o.block.is_empty() && o.words == block);
                    let has_own = all
                        .iter()
                        .any(|o| o.kind == s.kind && o.block == block && o.words.is_empty());
                    let value = opening.filter(|_| !has_own).map_or("", |opening| opening.example);
                    let opening = format!("{block} {value}");
                    format!("`{} {{ {} }}`", opening.trim_end(), with_values(s.words))
                }
            })
            .collect();
        ways.dedup();
        Some(wrong(fits[0].words, place, format!("write {}", alternatives(&ways)), count))
    }
}

/// `values`, users or groups, with the number that `root` has everywhere.
fn number_of(values: &[Term]) -> String {
    match shown(&text_of(values)) {
        name if name == "root" => "0".to_owned(),
        values => values,
    }
}

/// The clauses that begin with `first` here.
fn what_there_is(first: &Term, kinds: &[&str]) -> Option<String> {
    let here: Vec<_> = kinds.iter().map(|kind| format!("`{} {kind}`", first.text)).collect();
    (!here.is_empty()).then(|| format!("here there is {}", alternatives(&here)))
}
