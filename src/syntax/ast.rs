//! What was written: words stay words, digits stay digits, and nothing is defaulted.
//!
//! Two trees are equal if they say the same with the same comments, wherever their parts stand.

use crate::span::Span;

/// A file: `include`, `let` and policies, in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// The clauses at the top level, and the comments between them.
    pub items: Vec<Item>,
}

/// One line of a file or a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// `exclude port 15020, 15021`, or `inbound { … }`.
    Clause(Box<Clause>),
    /// `# kubelet's probes`, on a line of its own.
    Comment(Comment),
}

/// `exclude port 15020, 15021`, or `inbound { … }`.
#[derive(Clone, Debug)]
pub struct Clause {
    /// Words and values. Empty only where a `{` has no name before it.
    pub terms: Vec<Term>,
    /// Comments inside the list, each with the place in `terms` of the term that it follows.
    pub comments: Vec<(usize, Comment)>,
    /// `{ … }`, for a clause that has one.
    pub block: Option<Block>,
    /// The comment behind it, on its last line.
    pub comment: Option<Comment>,
    /// From the first term to the last, or to the `}`.
    pub span: Span,
    /// Whether a problem of its text was reported, so that its terms say nothing reliable.
    pub broken: bool,
    /// Whether an empty line stands before it. Layout, not meaning: equality ignores it.
    pub after_gap: bool,
}

impl PartialEq for Clause {
    fn eq(&self, other: &Self) -> bool {
        (&self.terms, &self.comments, &self.block, &self.comment, self.broken)
            == (&other.terms, &other.comments, &other.block, &other.comment, other.broken)
    }
}

impl Eq for Clause {}

/// `{ capture port *; exclude port 15020 }`.
#[derive(Clone, Debug)]
pub struct Block {
    /// The comment behind the `{`, on its line.
    pub comment: Option<Comment>,
    /// What is between the braces.
    pub items: Vec<Item>,
    /// The `{`.
    pub open: Span,
    /// Whether it was written on one line. Layout, not meaning: equality ignores it.
    pub on_one_line: bool,
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        (&self.comment, &self.items) == (&other.comment, &other.items)
    }
}

impl Eq for Block {}

/// `15020`, and whether a comma follows.
#[derive(Clone, Debug)]
pub struct Term {
    /// What it looks like.
    pub kind: TermKind,
    /// `15020`; without the `$` of a variable and without the quotation marks of a text.
    pub text: Box<str>,
    /// Whether a comma follows.
    pub comma: bool,
    /// Where it was written, with `$` or quotation marks.
    pub span: Span,
}

impl PartialEq for Term {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.text, self.comma) == (other.kind, &other.text, other.comma)
    }
}

impl Eq for Term {}

/// What a term looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermKind {
    /// `exclude`, `8000-8999`, `*`.
    Word,
    /// `$health`.
    Variable,
    /// `"company.weir"`.
    Text,
    /// `=`.
    Equals,
    /// `=>`.
    Arrow,
}

/// `# why`.
#[derive(Clone, Debug)]
pub struct Comment {
    /// All of it from the `#`, without spaces at its end.
    pub text: Box<str>,
    /// Whether it has a line of its own.
    pub on_own_line: bool,
    /// Whether an empty line stands before it. Layout, not meaning: equality ignores it.
    pub after_gap: bool,
}

impl PartialEq for Comment {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.on_own_line) == (&other.text, other.on_own_line)
    }
}

impl Eq for Comment {}

impl File {
    /// The clauses at the top level.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        clauses(&self.items)
    }
}

impl Block {
    /// The clauses between the braces.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        clauses(&self.items)
    }
}

fn clauses(items: &[Item]) -> impl Iterator<Item = &Clause> {
    items.iter().filter_map(|item| match item {
        Item::Clause(clause) => Some(&**clause),
        Item::Comment(_) => None,
    })
}

impl Clause {
    /// A clause at `span`, of which nothing is known yet.
    pub(super) const fn empty(span: Span) -> Self {
        Self {
            terms: Vec::new(),
            comments: Vec::new(),
            block: None,
            comment: None,
            span,
            broken: false,
            after_gap: false,
        }
    }

    /// `exclude port 15020, 15021`: the clause without its block, or the `{` if it has no terms.
    #[must_use]
    pub fn head(&self) -> Span {
        match (&self.terms[..], &self.block) {
            ([first, .., last], _) => first.span.to(last.span),
            ([only], _) => only.span,
            ([], Some(block)) => block.open,
            ([], None) => self.span,
        }
    }

    /// The first word, if it begins with one.
    #[must_use]
    pub fn keyword(&self) -> Option<&str> {
        self.terms.first().filter(|term| term.kind == TermKind::Word).map(|term| &*term.text)
    }
}
