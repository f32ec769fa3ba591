//! Matches up braces, and puts every comment where it belongs.

use std::collections::BTreeMap;

use super::ast::{Block, Clause, Comment, File, Item, Term, TermKind};
use crate::diag::{Diagnostic, Hint, Problem, Report, shown};
use crate::span::Span;

/// Most blocks in one another. The language needs 2; the limit is for hostile texts.
pub const MOST_NESTED: usize = 8;

/// Most pieces of which two trees are made, to take the better one.
const MOST_GUESSED: usize = 100_000;

/// What a file is made of, in the order of the text.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Newline(Span),
    Comment(Box<Comment>),
    Clause(Box<Clause>),
    Semicolon,
    Comma(Span),
    Open(Span),
    Close(Span),
}

/// Makes a tree of `pieces`.
///
/// Where braces do not match up, the indentation tells which of them is missing, unless the file is
/// longer than anybody writes by hand.
pub(super) fn build(pieces: Vec<Piece>, report: &mut Report) -> File {
    let left_open = left_open(&pieces);
    let built = if left_open == 0 || pieces.len() > MOST_GUESSED {
        Builder::new(false, 0).run(pieces)
    } else {
        let plain = Builder::new(false, left_open).run(pieces.clone());
        let guessed = Builder::new(true, left_open).run(pieces);
        if guessed.report.errors() <= plain.report.errors() { guessed } else { plain }
    };
    report.absorb(built.report);
    File { items: built.items }
}

/// Whether it is a clause of words alone and without a block, as those are that open one.
fn could_open(item: &Item) -> bool {
    let is_word = |term: &Term| term.kind == TermKind::Word && !term.comma;
    matches!(item, Item::Clause(clause) if clause.block.is_none() && clause.terms.iter().all(is_word))
}

/// How many more `{` there are than `}`.
fn left_open(pieces: &[Piece]) -> isize {
    let count = |piece: &Piece| match piece {
        Piece::Open(_) => 1,
        Piece::Close(_) => -1,
        _ => 0,
    };
    pieces.iter().map(count).sum()
}

/// Whether `clause` ends with what is hardly a value.
fn has_no_value(clause: &Clause) -> bool {
    let is_word = |word: &str| word.bytes().all(|byte| byte.is_ascii_lowercase());
    clause.terms.last().is_none_or(|last| is_word(&last.text))
}

/// The report on a comma behind `clause` that no value follows.
pub(super) fn comma_without_value(clause: &Clause, comma: Span) -> Diagnostic {
    let label = Hint::with("a list goes on after it", "");
    let label = if has_no_value(clause) { label.said() } else { label };
    Problem::Punctuation {
        what: "a comma without a value behind it",
        instead: "write the value, or remove the comma".into(),
    }
    .at(comma, label)
}

/// Of a clause that ends with `=`.
pub(super) fn sign_without_value(clause: &Clause) -> Diagnostic {
    match &clause.terms[..] {
        [word, name, _] if &*word.text == "let" && name.kind == TermKind::Word => {
            let clause = format!("let {}", shown(&name.text));
            let example = format!("`{clause} = 15020, 15021`");
            Problem::Missing { what: "value", clause, example }
        }
        _ => Problem::Punctuation {
            what: "a `=` without a value behind it",
            instead: "remove it; only a list has one: `let name = 15020, 15021`".into(),
        },
    }
    .at(clause.span, "")
}

/// A tree, or as much of it as is built.
#[derive(Default)]
struct Builder {
    /// Whether a line that is indented less than a block is behind that block.
    by_indent: bool,
    /// How many more `{` there are than `}`.
    left_open: isize,
    /// How far the clauses are indented that begin a line, by where they begin; only where that counts.
    indents: BTreeMap<u32, u32>,
    /// What is complete at the top level, or in the innermost open block.
    items: Vec<Item>,
    /// A clause that a `{` or a comment may still follow.
    pending: Option<Box<Clause>>,
    /// The clause that is being added, if it may stand in the place of a `}`.
    in_place: Option<Span>,
    /// The open blocks, outermost first.
    open: Vec<Open>,
    /// How many open blocks are too deep to be kept.
    too_deep: usize,
    /// Whether something stands on this line already.
    line_begun: bool,
    /// Whether the line before was empty.
    after_gap: bool,
    /// Where this line begins.
    line_start: u32,
    /// How far the clause at the beginning of this line is indented.
    indent: u32,
    report: Report,
}

/// A block whose `}` has not come yet.
struct Open {
    header: Box<Clause>,
    block: Block,
    /// The items around it.
    around: Vec<Item>,
    /// How far the line of its header is indented.
    indent: u32,
    /// Where the line of its `{` begins.
    line_start: u32,
}

impl Builder {
    fn new(by_indent: bool, left_open: isize) -> Self {
        Self { by_indent, left_open, ..Self::default() }
    }

    fn run(mut self, pieces: Vec<Piece>) -> Self {
        let mut pieces = pieces.into_iter().peekable();
        while let Some(piece) = pieces.next() {
            self.in_place = match &piece {
                // A word alone, without a block, stands in the place of a `}`.
                Piece::Clause(clause) if !matches!(pieces.peek(), Some(Piece::Open(_))) => {
                    Some(clause.span).filter(|_| clause.terms.len() == 1 && !clause.broken)
                }
                _ => None,
            };
            self.piece(piece);
        }
        self.settle();
        self.unclosed_at_end();
        while let Some(open) = self.open.pop() {
            self.end_unclosed(open);
        }
        self
    }

    fn piece(&mut self, piece: Piece) {
        match piece {
            Piece::Newline(span) => {
                self.after_gap |= !self.line_begun;
                self.line_begun = false;
                self.line_start = span.end;
            }
            Piece::Comment(comment) => self.comment(*comment),
            Piece::Clause(mut clause) => {
                self.settle();
                let (unclosed, is_alone) = (self.report.errors(), self.in_place.is_some());
                self.begin_line(clause.span, clause.keyword(), false);
                clause.after_gap = self.take_gap();
                clause.broken |= is_alone && self.report.errors() > unclosed;
                self.pending = Some(clause);
            }
            Piece::Semicolon => self.settle(),
            Piece::Comma(span) => {
                self.begin_line(span, Some(","), false);
                self.comma(span);
            }
            Piece::Open(span) => {
                self.begin_line(span, Some("{"), false);
                self.open(span);
            }
            Piece::Close(span) => {
                self.settle();
                let begins_line = !self.line_begun;
                self.begin_line(span, Some("}"), true);
                self.close(span, begins_line);
            }
        }
    }

    /// A piece at `at`, which begins with `word`, stands on this line.
    fn begin_line(&mut self, at: Span, word: Option<&str>, closes: bool) {
        if std::mem::replace(&mut self.line_begun, true) {
            return;
        }
        self.indent = at.start - self.line_start;
        if self.by_indent {
            self.indents.insert(at.start, self.indent);
        }
        let word = word.map(ToOwned::to_owned);
        while self.by_indent
            && let Some(innermost) = self.open.last()
            && (innermost.indent > self.indent || innermost.indent == self.indent && !closes)
            && self.pending.is_none()
            && let Some(open) = self.open.pop()
        {
            self.never_closed(open, word.clone());
        }
    }

    /// Whether an empty line was before, unless nothing was before that.
    fn take_gap(&mut self) -> bool {
        std::mem::take(&mut self.after_gap) && !self.items.is_empty()
    }

    /// Nothing more belongs to the pending clause.
    fn settle(&mut self) {
        self.items.extend(self.pending.take().map(Item::Clause));
    }

    fn comment(&mut self, mut comment: Comment) {
        let behind = if !self.line_begun {
            None
        } else if let Some(clause) = &mut self.pending {
            Some(&mut clause.comment)
        } else if let Some(Item::Clause(clause)) = self.items.last_mut() {
            Some(&mut clause.comment)
        } else {
            self.open.last_mut().map(|open| &mut open.block.comment)
        };
        if let Some(place @ None) = behind {
            comment.on_own_line = false;
            *place = Some(comment);
        } else {
            self.settle();
            comment.after_gap = self.take_gap();
            self.items.push(Item::Comment(comment));
            self.line_begun = true;
        }
    }

    fn comma(&mut self, span: Span) {
        let problem = if let Some(pending) = &mut self.pending {
            // Without any value, that is the same mistake.
            let found = comma_without_value(pending, span);
            pending.broken |= has_no_value(pending);
            found
        } else {
            Problem::Punctuation {
                what: "a comma without a value before it",
                instead: "write the value, or remove the comma".into(),
            }
            .at(span, "it parts the values of a list")
        };
        self.report.push(problem);
    }

    fn open(&mut self, span: Span) {
        if self.too_deep > 0 || self.open.len() == MOST_NESTED {
            if self.too_deep == 0 {
                self.report.push(Problem::TooDeep.at(span, "this block is not read"));
                // What is around it is hardly what was meant.
                self.open.iter_mut().for_each(|around| around.header.broken = true);
            }
            self.too_deep += 1;
            self.settle();
            return;
        }
        let follows_open = self.line_begun && self.items.is_empty() && !self.open.is_empty();
        if self.pending.is_none() && follows_open && self.left_open > 0 {
            self.left_open -= 1;
            let problem = Problem::Punctuation {
                what: "a second `{`",
                instead: "remove it: a block has one, behind its name".into(),
            };
            self.report.push(problem.at(span, Hint::with("", "")));
            return;
        }
        let mut header = self.pending.take().unwrap_or_else(|| {
            // One in another is part of the same mistake.
            if self.open.last().is_none_or(|around| !around.header.terms.is_empty()) {
                let problem = Problem::Punctuation {
                    what: "a block without a name",
                    instead: "write what it is about before the `{`: `outbound {`".into(),
                };
                self.report.push(problem.at(span, "opened here"));
            }
            Box::new(Clause { broken: true, ..Clause::empty(span) })
        });
        let comment = header.comment.take();
        let block = Block { comment, items: Vec::new(), open: span, on_one_line: true };
        let around = std::mem::take(&mut self.items);
        let (indent, line_start) = (self.indent, self.line_start);
        self.open.push(Open { header, block, around, indent, line_start });
        self.after_gap = false;
    }

    fn close(&mut self, span: Span, begins_line: bool) {
        self.after_gap = false;
        let is_surplus =
            |open: &Open| open.line_start != self.line_start && self.indent > open.indent;
        if self.too_deep > 0 {
            self.too_deep -= 1;
            self.items.clear();
        } else if self.by_indent && self.left_open <= 0 && self.open.last().is_some_and(is_surplus)
        {
            if !begins_line || !self.adopt(span) {
                self.surplus(span);
            }
        } else if let Some(open) = self.open.pop() {
            self.end_block(open, span);
        } else if !self.adopt(span) {
            self.report.push(Problem::StrayBrace.at(span, ""));
        }
    }

    /// Reports a `}` on a line behind which the block goes on. What begins the line may lack its `{`.
    fn surplus(&mut self, span: Span) {
        let line_start = self.line_start;
        let on_this_line = |item: &Item| match item {
            Item::Clause(clause) => clause.span.start >= line_start,
            Item::Comment(_) => false,
        };
        let first = self.items.iter().find(|item| on_this_line(item));
        let Some(Item::Clause(first)) = first.filter(|_| span.start > line_start + self.indent)
        else {
            return self.report.push(Problem::StrayBrace.at(span, Hint::with("", "")));
        };
        if first.block.is_some() {
            return self.report.push(Problem::StrayBrace.at(span, Hint::with("", "")));
        }
        let word = first.terms.first().map_or_else(String::new, |word| shown(&word.text));
        let at = first.terms.first().map_or(span, |word| word.span.behind());
        let instead = Some(format!("write `{word} {{`, or remove the `}}`"));
        // What else is on the line belongs in the block.
        for item in self.items.iter_mut().filter(|item| on_this_line(item)) {
            if let Item::Clause(clause) = item {
                clause.broken = true;
            }
        }
        let problem = Problem::MissingSeparator { separator: '{', instead };
        self.report.push(problem.at(at, "expected `{` here").also(span, "this would close it"));
    }

    /// `sidecar a`, indented clauses, `}`: the clause before them lacks its `{`.
    fn adopt(&mut self, close: Span) -> bool {
        let is_level = |item: &Item| match item {
            Item::Clause(clause) if self.by_indent => {
                self.indents.get(&clause.span.start) == Some(&self.indent)
            }
            _ => true,
        };
        let Some(at) = self.items.iter().rposition(|item| could_open(item) && is_level(item))
        else {
            return false;
        };
        // Without anything behind it to adopt, it is a clause like others.
        if at + 1 == self.items.len() {
            return false;
        }
        let around: Vec<_> = self.items.drain(..at).collect();
        let inside: Vec<_> = self.items.drain(1..).collect();
        let Some(Item::Clause(header)) = self.items.pop() else {
            return false;
        };
        let words: Vec<_> = header.terms.iter().map(|term| shown(&term.text)).collect();
        let instead = Some(format!("write `{} {{`", words.join(" ")));
        self.report.push(
            Problem::MissingSeparator { separator: '{', instead }
                .at(header.span.behind(), "expected `{` here")
                .also(close, "this would close it"),
        );
        let open = header.span.behind();
        let block = Block { comment: None, items: Vec::new(), open, on_one_line: false };
        self.items = inside;
        self.end_block(Open { header, block, around, indent: 0, line_start: 0 }, close);
        true
    }

    fn end_block(&mut self, open: Open, close: Span) {
        let Open { mut header, mut block, around, .. } = open;
        block.items = std::mem::replace(&mut self.items, around);
        block.on_one_line = self.line_start <= block.open.start;
        header.span = header.span.to(close);
        header.block = Some(block);
        self.items.push(Item::Clause(header));
    }

    /// Reports a block that ends before a line that begins with `word`.
    fn never_closed(&mut self, open: Open, word: Option<String>) {
        // Blocks that are too deep were reported, and so are those around them.
        if self.too_deep == 0 {
            let word = word.unwrap_or_default();
            if let Some(at) = self.in_place.take() {
                let problem =
                    Problem::UnclosedBlock { place: format!("in the place of `{word}`"), count: 1 };
                let label = Hint::with("opened here", "}").replacing(at);
                self.report.push(problem.at(open.block.open, label).also(at, "expected `}` here"));
                return self.end_unclosed(open);
            }
            let problem = Problem::UnclosedBlock { place: format!("before `{word}`"), count: 1 };
            let end = self.last_said().unwrap_or(open.block.open).behind();
            let brace = if self.line_start <= open.block.open.start {
                " }".to_owned()
            } else {
                format!("\n{}}}", " ".repeat(open.indent as usize))
            };
            let label = Hint::with("opened here", brace).replacing(end);
            self.report.push(problem.at(open.block.open, label));
        }
        self.end_unclosed(open);
    }

    /// Reports the blocks that are open at the end of the file, of which one is mostly the reason.
    fn unclosed_at_end(&mut self) {
        let Some(innermost) = self.open.last().filter(|_| self.too_deep == 0) else { return };
        let count = self.open.len();
        let end = self.last_said().unwrap_or(innermost.block.open).behind();
        let braces = " }".repeat(count);
        let label = Hint::with("opened here", braces).replacing(end);
        let problem = Problem::UnclosedBlock { place: "at the end".to_owned(), count };
        let mut diagnostic = problem.at(innermost.block.open, label);
        for around in self.open.iter().rev().skip(1) {
            diagnostic = diagnostic.also(around.block.open, "opened here");
        }
        self.report.push(diagnostic);
    }

    /// The last clause of the innermost block, without a block of its own that is still open.
    fn last_said(&self) -> Option<Span> {
        self.items.iter().rev().find_map(|item| match item {
            Item::Clause(clause) => Some(clause.span),
            Item::Comment(_) => None,
        })
    }

    /// Ends a block without its `}`.
    fn end_unclosed(&mut self, open: Open) {
        let end = self.last_said().unwrap_or(open.block.open);
        self.end_block(open, end);
    }
}
