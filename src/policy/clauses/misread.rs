//! Lines that are no clause where they stand, and what may have been meant.

use std::collections::BTreeSet;

use super::spelling::{EXPECT, Spelling, Spellings, article, is_word, text_of};
use super::words::{either, hint, suggest};
use super::{addresses, numbers};
use crate::diag::{Diagnostic, Hint, Problem, shown};
use crate::syntax::ast::{Term, TermKind};

/// The report on `words`, which are no clause of `block` in a policy of this kind.
pub(crate) fn misread(
    kind: &'static str,
    block: &'static str,
    words: &[Term],
    spellings: &Spellings,
) -> Diagnostic {
    Misread { kind, block, words, spellings }.diagnostic()
}

/// A line that is no clause where it stands.
struct Misread<'a> {
    kind: &'static str,
    /// The block where it stands.
    block: &'static str,
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
        if let Some(elsewhere) = self.elsewhere(all, !kinds.is_empty()) {
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
        Problem::Unknown { what: "clause", found: shown(&first.text), instead: None }
            .at(first.span, label)
    }

    /// `port 80`.
    fn without_verb(&self, first: &Term, verbs: &[&str]) -> Diagnostic {
        let rest = shown(&text_of(self.words));
        let ways: Vec<_> = verbs.iter().map(|verb| format!("`{verb} {rest}`")).collect();
        let instead = Some(format!("write {}", ways.join(" or ")));
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
                let is_interface = suggest(text, kinds).is_none()
                    && self.spellings.all().iter().any(|s| {
                        s.kind == self.kind && s.block == "interface" && s.words == &*first.text
                    });
                let instead = is_interface.then(|| {
                    let rest = shown(&text_of(&self.words[1..]));
                    format!("if it is an interface, write `interface {{ {} {rest} }}`", first.text)
                });
                return unknown(found, instead).at(second.span, label);
            }
            None
        };
        let label = format!("expected {} before it", either(kinds));
        let kind = kind.filter(|kind| kinds.contains(kind));
        let rest = shown(&text_of(&self.words[1..]));
        let instead = kind.map(|kind| format!("write `{} {kind} {rest}`", first.text));
        unknown(found, instead).at(second.span, label)
    }

    /// The report on a line that is a clause, but not here.
    ///
    /// A first word that clauses here begin with counts only together with the second.
    fn elsewhere(&self, all: &[Spelling], begins_here: bool) -> Option<Diagnostic> {
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
            let instead = format!("it is a block of {} {} policy", article(other.kind), other.kind);
            return Some(wrong(&first.text, place, instead, 1));
        }
        let fits: Vec<_> = all.iter().filter(|s| starts(s.words)).collect();
        let longest = fits.iter().map(|s| s.words.len()).max()?;
        let fits: Vec<_> = fits.into_iter().filter(|s| s.words.len() == longest).collect();
        let count = fits[0].words.split(' ').count();
        let values = if self.words.len() > count { " …" } else { "" };
        let same_kind: Vec<_> = fits.iter().filter(|s| s.kind == self.kind).collect();
        if same_kind.is_empty() {
            let kind = fits[0].kind;
            let place = format!("in {} {} policy", article(self.kind), self.kind);
            let instead = format!("it is a clause of {} {kind} policy", article(kind));
            return Some(wrong(fits[0].words, place, instead, count));
        }
        let mut ways: Vec<String> = same_kind
            .iter()
            .map(|s| match s.block {
                "" => format!("`{}{values}` outside of `{}`", s.words, self.block),
                block => format!("`{block} {{ {}{values} }}`", s.words),
            })
            .collect();
        ways.dedup();
        Some(wrong(fits[0].words, place, format!("write {}", ways.join(" or ")), count))
    }
}
