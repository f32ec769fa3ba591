//! Clauses as outputs name them: by their words, wherever they stand.

use super::ast::{Block, Clause, File, Term, TermKind};
use crate::ir::ClauseText;
use crate::net::Name;
use crate::span::Span;

/// Longest list of values in bytes, after which they are counted.
const MOST_BYTES: usize = 40;

/// Every clause of the policies of `files`, and what it says. One that is spoiled is among them,
/// and says what is left of it.
pub fn clauses<'a>(
    files: impl IntoIterator<Item = &'a File>,
) -> impl Iterator<Item = (Span, ClauseText)> {
    let policies = files.into_iter().flat_map(File::clauses);
    let named = policies.filter_map(|policy| Some((policy, safe(policy.terms.get(1)?)?)));
    named.flat_map(|(policy, name)| {
        let of = move |block: &str, clause: &Clause| {
            (
                said_at(clause),
                ClauseText { policy: name.clone(), words: words(block, said(clause)) },
            )
        };
        inside(policy).flat_map(move |clause| {
            let block = clause.keyword().unwrap_or_default();
            let within: Vec<_> = inside(clause).map(|clause| of(block, clause)).collect();
            std::iter::once(of("", clause)).chain(within)
        })
    })
}

fn inside(clause: &Clause) -> impl Iterator<Item = &Clause> {
    clause.block.iter().flat_map(Block::clauses)
}

/// `outbound exclude port 3306, 5432 and 10 more`: what a clause in `block` says.
pub(crate) fn words(block: &str, said: &[Term]) -> String {
    let (words, values) = said.split_at(said.len() - values(said));
    let mut parts: Vec<String> = Vec::new();
    parts.extend(Some(block.to_owned()).filter(|block| !block.is_empty()));
    parts.extend(words.iter().map_while(safe));
    let mut shown: Vec<String> = Vec::new();
    let mut bytes = 0;
    for value in values.iter().map_while(safe) {
        bytes += value.len();
        if !shown.is_empty() && bytes > MOST_BYTES {
            break;
        }
        shown.push(value);
    }
    let left = values.len() - shown.len();
    match (shown.is_empty(), left) {
        (false, 0) => parts.push(shown.join(", ")),
        (false, left) => parts.push(format!("{} and {left} more", shown.join(", "))),
        (true, 1) => parts.push("with 1 value".to_owned()),
        (true, left) => parts.push(format!("with {left} values")),
    }
    parts.join(" ")
}

/// The word that says which warnings are no news.
pub(crate) const ALLOW: &str = "allow";

/// Where an `allow` behind a clause begins, on its line: `exclude port 25 allow W501 "why"`.
pub(crate) fn trailing_allow(terms: &[Term]) -> Option<usize> {
    let is_allow = |at: &usize| {
        let term = &terms[*at];
        term.kind == TermKind::Word && &*term.text == ALLOW && !terms[at - 1].comma
    };
    (1..terms.len()).find(is_allow)
}

/// The terms of `clause`, without an `allow` behind it.
pub(crate) fn said(clause: &Clause) -> &[Term] {
    &clause.terms[..trailing_allow(&clause.terms).unwrap_or(clause.terms.len())]
}

/// The place of those.
pub(crate) fn said_at(clause: &Clause) -> Span {
    match said(clause) {
        [first, .., last] => first.span.to(last.span),
        [only] => only.span,
        [] => clause.head(),
    }
}

/// How many of the terms at the end are values: the last, and those with a comma behind them.
pub(crate) fn values(terms: &[Term]) -> usize {
    let before = terms.iter().rev().skip(1);
    (1 + before.take_while(|term| term.comma).count()).min(terms.len())
}

/// The text of `term`, if it is short and each of its characters is safe wherever it is written.
fn safe(term: &Term) -> Option<String> {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"%*+-./:_".contains(&byte);
    let sign = if term.kind == TermKind::Variable { "$" } else { "" };
    let is_shown = term.text.len() <= Name::MAX_LEN && term.text.bytes().all(is_safe);
    is_shown.then(|| format!("{sign}{}", term.text))
}

#[cfg(test)]
mod tests {
    use super::clauses;
    use crate::span::Sources;
    use crate::syntax::parse;

    fn said(text: &str) -> Vec<String> {
        let mut sources = Sources::default();
        let file = sources.add("x", text);
        let tree = parse(&sources, file).tree;
        clauses([&tree]).map(|(_, clause)| clause.to_string()).collect()
    }

    #[test]
    fn a_clause_is_told_by_its_words() {
        assert_eq!(
            said(
                "let p = 1\nsidecar s { mode tproxy { mark 5 }; drop invalid }\nsidecar t extends s \
                  { inbound { # why\n also  exclude port 1,\n # no\n $p , 2-3 ; capture port * }\n\
                  outbound { exclude loopback }; dns {} }"
            ),
            [
                "s: mode tproxy",
                "s: mode mark 5",
                "s: drop invalid",
                "t: inbound",
                "t: inbound also exclude port 1, $p, 2-3",
                "t: inbound capture port *",
                "t: outbound",
                "t: outbound exclude loopback",
                "t: dns",
            ]
        );
    }

    #[test]
    fn long_lists_are_counted_and_odd_words_left_out() {
        let list = |values: &[&str]| said(&format!("s s {{ exclude to {} }}", values.join(", ")));
        assert_eq!(
            list(&["2001:db8:1:2:3::/80", "2001:db8:1:2:4::/80", "10.0.0.0/8", "10.0.0.1"]),
            ["s: exclude to 2001:db8:1:2:3::/80, 2001:db8:1:2:4::/80 and 2 more"]
        );
        let long = "1".repeat(64);
        for odd in ["grün", "a'b", "\"a;flush\"", "a\\b", "\"\u{1b}[31m\"", "a$b", &long] {
            assert_eq!(list(&[odd]), ["s: exclude to with 1 value"]);
            assert_eq!(list(&["1", odd, "2"]), ["s: exclude to 1 and 2 more"]);
        }
    }
}
