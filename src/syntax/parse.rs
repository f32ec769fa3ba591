//! Text to what a tree is built of; nothing else knows pest.

use std::collections::BTreeSet;

use pest::Parser;
use pest::iterators::Pair;

use super::ast::{Clause, Comment, File, Term, TermKind};
use super::tree::{self, MOST_NESTED, Piece};
use super::{lookalike, size};
use crate::diag::{Diagnostic, Hint, Problem, Report, refusal, shown};
use crate::span::{FileId, Sources, Span};

/// The grammar, kept in a module so that pest's public types stay private.
mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "grammar/weir.pest"]
    pub(super) struct Grammar;
}

use grammar::{Grammar, Rule};

/// What [`parse`] made of one file.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What was understood.
    pub tree: File,
    /// What was not, in source order. Without any, the tree is the whole text.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads one file. Includes stay clauses of it; [`load`](super::load) follows them.
///
/// Never fails: a mistake spoils its own clause, and everything else is in the tree.
#[must_use]
pub fn parse(sources: &Sources, file: FileId) -> Parsed {
    let mut reading = Reading {
        file,
        text: &sources.file(file).text,
        base: 0,
        pieces: Vec::new(),
        depth: 0,
        report: Report::default(),
        on_this_line: BTreeSet::new(),
        lookalikes: None,
    };
    let mut rest = &*sources.file(file).text;
    if let Some(line) = refusal(rest) {
        let at = Span { file, start: offset(line.start), end: offset(line.end) };
        reading.report.push(Problem::Refused.at(at, ""));
        return Parsed { tree: File::default(), diagnostics: reading.report.finish(sources) };
    }
    if let Some(at) = size::past_limit(rest) {
        let start = offset(at);
        let at = Span { file, start, end: start };
        reading.report.push(Problem::TooManyTerms.at(at, "this one and the rest are not read"));
        return Parsed { tree: File::default(), diagnostics: reading.report.finish(sources) };
    }
    // One by one, because what pest makes of a text is many times as large.
    while !rest.is_empty() {
        let pairs = Grammar::parse(Rule::piece, rest);
        // `stray` takes every character that nothing else does.
        let piece = pairs.ok().and_then(|mut pairs| pairs.next()).expect("every text is pieces");
        let behind = &rest[piece.as_span().end()..];
        let before_block = behind.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{');
        for pair in piece.into_inner() {
            reading.piece(pair, before_block);
        }
        reading.base += rest.len() - behind.len();
        rest = behind;
    }
    let Reading { pieces, mut report, .. } = reading;
    let tree = tree::build(pieces, &mut report);
    Parsed { tree, diagnostics: report.finish(sources) }
}

/// A file while its pieces are read.
struct Reading<'a> {
    file: FileId,
    /// All of it.
    text: &'a str,
    /// Where the piece that is being read begins.
    base: usize,
    pieces: Vec<Piece>,
    /// How many blocks are open.
    depth: usize,
    report: Report,
    /// The invisible characters that were reported on this line.
    on_this_line: BTreeSet<char>,
    /// From the first word of the clause with a lookalike to the last.
    lookalikes: Option<Span>,
}

impl Reading<'_> {
    fn piece(&mut self, pair: Pair<'_, Rule>, before_block: bool) {
        let span = self.span(&pair);
        let piece = match pair.as_rule() {
            Rule::clause => return self.clause(pair, before_block),
            Rule::newline => {
                self.on_this_line.clear();
                Piece::Newline(span)
            }
            Rule::gap => {
                self.on_this_line.clear();
                self.push(Piece::Newline(span));
                Piece::Newline(span)
            }
            Rule::comment => Piece::Comment(Box::new(self.comment(&pair, true))),
            Rule::remark => return self.remark(pair.as_str(), span),
            Rule::semicolon => Piece::Semicolon,
            Rule::comma => Piece::Comma(span),
            Rule::open => Piece::Open(span),
            Rule::close => Piece::Close(span),
            _ => return,
        };
        self.push(piece);
    }

    /// Keeps `piece`, unless it is in a block that is too deep to be read.
    fn push(&mut self, piece: Piece) {
        let around = match piece {
            Piece::Open(_) => {
                self.depth += 1;
                self.depth - 1
            }
            Piece::Close(_) => {
                self.depth = self.depth.saturating_sub(1);
                self.depth
            }
            _ => self.depth,
        };
        if around <= MOST_NESTED {
            self.pieces.push(piece);
        } else if let (Piece::Newline(_), Some(last @ Piece::Newline(_))) =
            (&piece, self.pieces.last_mut())
        {
            *last = piece;
        } else if matches!(piece, Piece::Newline(_)) {
            self.pieces.push(piece);
        }
    }

    fn clause(&mut self, pair: Pair<'_, Rule>, before_block: bool) {
        let mut clause = Clause::empty(self.span(&pair));
        let mut pairs = pair.into_inner().peekable();
        let mut comma: Option<Span> = None;
        let mut comma_first: Option<[Span; 2]> = None;
        let mut line_ended = false;
        let mut after_comma = false;
        let mut swallowed = Vec::new();
        while let Some(pair) = pairs.next() {
            let span = self.span(&pair);
            let kind = match pair.as_rule() {
                Rule::comma => {
                    if let Some(last) = clause.terms.last_mut() {
                        last.comma = true;
                        let last = last.span;
                        if comma.is_some() {
                            self.report.push(surplus_comma(span));
                        } else if line_ended {
                            comma_first = Some([last, span]);
                        }
                    }
                    comma = Some(span);
                    continue;
                }
                Rule::newline => {
                    line_ended = true;
                    self.on_this_line.clear();
                    continue;
                }
                Rule::comment => {
                    let comment = self.comment(&pair, line_ended);
                    clause.comments.push((clause.terms.len().saturating_sub(1), comment));
                    continue;
                }
                Rule::remark => {
                    self.remark(pair.as_str(), span);
                    continue;
                }
                Rule::word => TermKind::Word,
                Rule::variable => TermKind::Variable,
                Rule::text => TermKind::Text,
                Rule::equals => TermKind::Equals,
                Rule::arrow => TermKind::Arrow,
                Rule::unclosed => {
                    let opened = Span { end: span.start + 1, ..span };
                    self.report.push(Problem::UnclosedText.at(opened, "opened here"));
                    clause.broken = true;
                    swallowed = self.closing(pair.as_str(), span);
                    continue;
                }
                _ => {
                    self.invisible(pair.as_str(), span);
                    clause.broken = true;
                    continue;
                }
            };
            let text = match kind {
                TermKind::Variable => &pair.as_str()[1..],
                TermKind::Text => pair.as_str().trim_matches('"'),
                _ => pair.as_str(),
            };
            // A list has a comma between its values. Where the next line begins with two words
            // without one, or one and a block, the comma before it, or the `=`, is the mistake.
            let term = Term { kind, text: text.into(), comma: false, span };
            let begins_clause = line_ended
                && could_begin_clause(&term)
                && pairs.peek().map_or(before_block, |next| next.as_rule() != Rule::comma);
            if let Some([last, comma]) = comma_first.take()
                && !begins_clause
            {
                self.comma_first(last, comma);
            }
            if begins_clause {
                after_comma = comma.is_some();
                let surplus = comma.map(|comma| tree::comma_without_value(&clause, comma));
                let hides = before_block && pairs.peek().is_none();
                self.report
                    .extend(surplus.map(|it| if hides { it.without_suggestion() } else { it }));
                self.finish(&mut clause, span, false);
            }
            if kind == TermKind::Text {
                clause.broken |= self.hidden(text, Span { start: span.start + 1, ..span });
            }
            if kind == TermKind::Word && lookalike::plain(&term.text).is_some() {
                self.lookalikes = Some(self.lookalikes.map_or(span, |first| first.to(span)));
            }
            clause.terms.push(term);
            (comma, line_ended) = (None, false);
        }
        // What stands behind a surplus comma may lack a `}` before it, too.
        clause.broken |= after_comma && before_block && self.depth > 0;
        let behind = clause.span.behind();
        if self.bracket(&mut clause, before_block) {
            return;
        }
        self.finish(&mut clause, behind, before_block);
        for brace in swallowed {
            self.push(brace);
        }
    }

    /// Whether `clause` is, or ends with, a bracket where a brace belongs: then it is added so.
    fn bracket(&mut self, clause: &mut Clause, before_block: bool) -> bool {
        let is = |term: &Term, signs: [&str; 2]| {
            term.kind == TermKind::Word && signs.contains(&&*term.text)
        };
        match &clause.terms[..] {
            [only] if is(only, [")", "]"]) && self.depth > 0 => {
                let at = only.span;
                self.report.push(other_brace(at, "}"));
                self.push(Piece::Close(at));
                true
            }
            [.., before, last] if is(last, ["(", "["]) && !before.comma && !before_block => {
                let at = last.span;
                self.report.push(other_brace(at, "{"));
                clause.terms.pop();
                self.finish(clause, at.behind(), true);
                self.push(Piece::Open(at));
                true
            }
            _ => false,
        }
    }

    /// The braces at the end of a text that is not closed, which are probably not meant to be in
    /// it.
    fn closing(&self, text: &str, span: Span) -> Vec<Piece> {
        let ends = text.trim_end_matches(|c: char| c == '}' || c.is_whitespace()).len();
        let brace = |(at, _): (usize, &str)| {
            let start = span.start + offset(ends + at);
            Piece::Close(Span { file: self.file, start, end: start + 1 })
        };
        text[ends..].match_indices('}').map(brace).collect()
    }

    /// Reports a comma at the beginning of a line, where it should be behind `last`.
    fn comma_first(&mut self, last: Span, comma: Span) {
        let between = Span { start: last.end, end: comma.start, ..comma };
        let replacement = format!(",{}", &self.text[range(between)]);
        let label = Hint::with("expected behind the value before it", replacement)
            .replacing(Span { end: comma.end, ..between });
        let instead = format!("write `{},` on the line before", shown(&self.text[range(last)]));
        let what = "a line that begins with a comma";
        self.report.push(Problem::Punctuation { what, instead: instead.into() }.at(comma, label));
    }

    /// Reports a comment as other languages have it.
    fn remark(&mut self, text: &str, span: Span) {
        let opening = &text[..2];
        let inside = text[2..].trim_end_matches("*/").trim();
        let is_alone = text.lines().count() < 2
            && (opening != "/*"
                || self.text[span.end as usize..]
                    .trim_start_matches([' ', '\t', '\r'])
                    .starts_with('\n'));
        let braces = if opening == "/*" || text.contains('{') {
            Vec::new()
        } else {
            self.closing(text, span)
        };
        let at = Span { end: span.start + 2, ..span };
        let ends = braces.first().map_or(span.end, |brace| match brace {
            Piece::Close(at) => at.start,
            _ => span.end,
        });
        let what = match opening {
            "/*" => "a comment that begins with `/*`",
            "--" => "a comment that begins with `--`",
            _ => "a comment that begins with `//`",
        };
        let (label, instead) = if !is_alone {
            (Hint::default(), "write `#` before each line of it".to_owned())
        } else if opening == "/*" {
            let plain = format!("# {inside}").trim_end().to_owned();
            let instead = format!("write `{}`", shown(&plain));
            (Hint::with("", plain).surely().replacing(span), instead)
        } else if braces.is_empty() {
            let instead = format!("write `{}`", shown(format!("# {inside}").trim_end()));
            (Hint::with("", "#").surely(), instead)
        } else {
            let plain = text[2..(ends - span.start) as usize].trim();
            let instead = format!("write `# {}` at the end of a line", shown(plain));
            (Hint::default(), instead)
        };
        self.report.push(Problem::Punctuation { what, instead: instead.into() }.at(at, label));
        for brace in braces {
            self.push(brace);
        }
    }

    /// Ends the clause before `next`, where another one begins.
    fn finish(&mut self, clause: &mut Clause, next: Span, before_block: bool) {
        let mut done = std::mem::replace(clause, Clause::empty(next));
        if let Some(last) = done.terms.last_mut() {
            last.comma = false;
        }
        // A file can have millions of clauses.
        done.terms.shrink_to_fit();
        clause.span = Span { end: done.span.end.max(next.end), ..next };
        if let ([first, ..], [.., last]) = (&done.terms[..], &done.terms[..]) {
            done.span = first.span.to(last.span);
        }
        if let Some(words) = self.lookalikes.take() {
            let includes = done.terms.first().is_some_and(|first| &*first.text == "include");
            self.report.push(lookalike::found(words, &self.text[range(words)], includes));
            done.broken = true;
        } else if done.terms.last().is_some_and(|last| last.kind == TermKind::Equals)
            && !before_block
        {
            self.report.push(tree::sign_without_value(&done));
            done.broken = true;
        }
        self.push(Piece::Clause(Box::new(done)));
    }

    fn comment(&mut self, pair: &Pair<'_, Rule>, on_own_line: bool) -> Comment {
        let text = pair.as_str().trim_end();
        let span = self.span(pair);
        self.hidden(text, span);
        Comment { text: text.into(), on_own_line, after_gap: false }
    }

    /// Reports what a reader of `text`, which begins at `span`, would not see.
    fn hidden(&mut self, text: &str, span: Span) -> bool {
        let Some((at, character)) = text.char_indices().find(|(_, c)| is_deceptive(*c)) else {
            return false;
        };
        let start = span.start + offset(at);
        let found = Span { start, end: start + offset(character.len_utf8()), ..span };
        self.invisible(&text[at..at + character.len_utf8()], found);
        true
    }

    /// Reports the one character `text`, once on a line.
    fn invisible(&mut self, text: &str, span: Span) {
        let character = text.chars().next().unwrap_or_default();
        if self.on_this_line.insert(character) {
            self.report.push(Problem::Invisible { character }.at(span, ""));
        }
    }

    fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        let span = pair.as_span();
        let [start, end] = [span.start(), span.end()].map(|at| offset(self.base + at));
        Span { file: self.file, start, end }
    }
}

/// A bracket in the place of `brace`.
fn other_brace(at: Span, brace: &str) -> Diagnostic {
    let instead = format!("write `{brace}`").into();
    Problem::Punctuation { what: "a bracket in the place of a brace", instead }
        .at(at, Hint::with("", brace))
}

/// Of two commas, the second.
fn surplus_comma(comma: Span) -> Diagnostic {
    let what = "two commas between two values";
    Problem::Punctuation { what, instead: "remove one, or write the value between them".into() }
        .at(comma, Hint::with("the second", ""))
}

fn range(span: Span) -> std::ops::Range<usize> {
    span.start as usize..span.end as usize
}

fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a source has at most `Sources::MAX_BYTES` bytes")
}

/// Whether it is a word as clauses begin with, and no number or address.
pub(super) fn could_begin_clause(term: &Term) -> bool {
    term.kind == TermKind::Word && is_plain(&term.text)
}

fn is_plain(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Control characters but tabs, and those that change the order in which text is shown, so that
/// a line does something else than it seems to (CVE-2021-42574).
fn is_deceptive(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
