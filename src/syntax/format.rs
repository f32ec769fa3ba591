//! Syntax trees to text, in one way.

use super::ast::{Block, Clause, Comment, File, Item, TermKind};
use super::parse::could_begin_clause;

/// The tree as text: two spaces a level, one clause a line, at most one empty line between two,
/// and lists broken behind a comma at 100 columns.
///
/// A block that was written on one line stays there, if it fits and has neither blocks nor
/// comments in it. Parsing the text gives the tree again, provided that the tree was parsed
/// without a problem; formatting that gives the text again.
#[must_use]
pub fn format(file: &File) -> String {
    let mut page = Page::default();
    page.items(&file.items);
    page.text
}

/// A formatted text, as far as it is written.
#[derive(Default)]
pub(crate) struct Page {
    text: String,
    depth: usize,
    column: usize,
}

impl Page {
    /// Longest line in characters, where a list can be broken.
    const WIDTH: usize = 100;
    const INDENT: usize = 2;
    /// How much deeper a list goes on.
    const HANGING: usize = 4;

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Writes an empty line.
    pub(crate) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// Writes a comment on a line of its own.
    pub(crate) fn comment(&mut self, text: &str) {
        self.begin(0);
        self.push("# ");
        self.push(text);
        self.end();
    }

    /// Writes `words` and then `values` with commas.
    pub(crate) fn clause<I>(&mut self, words: &str, values: I)
    where
        I: IntoIterator<Item: ToString>,
    {
        self.begin(0);
        self.push(words);
        let mut values = values.into_iter().map(|value| value.to_string()).peekable();
        let mut in_list = false;
        while let Some(mut value) = values.next() {
            if values.peek().is_some() {
                value.push(',');
            }
            self.push_wrapped(&value, in_list);
            in_list = true;
        }
        self.end();
    }

    /// Writes a clause, word for word.
    pub(crate) fn words(&mut self, words: &[String]) {
        self.begin(0);
        for (at, word) in words.iter().enumerate() {
            match at.checked_sub(1) {
                None => self.push(word),
                Some(before) => self.push_wrapped(word, words[before].ends_with(',')),
            }
        }
        self.end();
    }

    /// Writes `head {` and goes one level deeper.
    pub(crate) fn open(&mut self, head: &str) {
        self.begin(0);
        self.push(head);
        self.push(" {");
        self.end();
        self.depth += 1;
    }

    /// Ends what [`Page::open`] began; on the same line, if nothing came between.
    pub(crate) fn close(&mut self) {
        self.depth -= 1;
        if self.text.ends_with("{\n") {
            self.text.pop();
            self.push("}");
            return self.end();
        }
        self.begin(0);
        self.push("}");
        self.end();
    }

    fn items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Clause(clause) => {
                    if clause.after_gap {
                        self.gap();
                    }
                    self.begin(0);
                    self.whole(clause);
                }
                Item::Comment(comment) => {
                    if comment.after_gap {
                        self.gap();
                    }
                    self.begin(0);
                    self.push(&comment.text);
                }
            }
            self.end();
        }
    }

    fn whole(&mut self, clause: &Clause) {
        self.terms(clause);
        if let Some(block) = &clause.block {
            match on_one_line(block) {
                Some(line) if self.column + line.chars().count() <= Self::WIDTH => self.push(&line),
                _ => self.block(block),
            }
        }
        self.trailing(clause.comment.as_ref());
    }

    fn terms(&mut self, clause: &Clause) {
        let mut comments = clause.comments.iter().peekable();
        // Whether the next term must begin a line, because a comment ended this one.
        let mut line_ended = false;
        for (at, term) in clause.terms.iter().enumerate() {
            let token = written(term);
            if std::mem::take(&mut line_ended) {
                self.end();
                self.begin(Self::HANGING);
                self.push(&token);
            } else if at == 0 {
                self.push(&token);
            } else {
                self.push_wrapped(&token, may_begin_line(clause, at));
            }
            while let Some((_, comment)) = comments.next_if(|(behind, _)| *behind == at) {
                if comment.on_own_line {
                    self.end();
                    self.begin(Self::HANGING);
                    self.push(&comment.text);
                } else {
                    self.trailing(Some(comment));
                }
                line_ended = true;
            }
        }
    }

    fn block(&mut self, block: &Block) {
        self.push(" {");
        self.trailing(block.comment.as_ref());
        self.end();
        self.depth += 1;
        self.items(&block.items);
        self.depth -= 1;
        self.begin(0);
        self.push("}");
    }

    fn trailing(&mut self, comment: Option<&Comment>) {
        if let Some(comment) = comment {
            self.push("  ");
            self.push(&comment.text);
        }
    }

    fn push_wrapped(&mut self, token: &str, breakable: bool) {
        if breakable && self.column + 1 + token.chars().count() > Self::WIDTH {
            self.end();
            self.begin(Self::HANGING);
        } else {
            self.push(" ");
        }
        self.push(token);
    }

    fn begin(&mut self, hanging: usize) {
        let indent = self.depth * Self::INDENT + hanging;
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.column = indent;
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.chars().count();
    }

    fn end(&mut self) {
        self.text.push('\n');
    }
}

/// Whether a line may begin with the term at `at`: it follows a comma, and is not taken for the
/// first word of another clause there.
fn may_begin_line(clause: &Clause, at: usize) -> bool {
    let term = &clause.terms[at];
    let is_followed = at + 1 < clause.terms.len() || clause.block.is_some();
    clause.terms[at - 1].comma && !(could_begin_clause(term) && !term.comma && is_followed)
}

fn written(term: &super::ast::Term) -> String {
    let comma = if term.comma { "," } else { "" };
    match term.kind {
        TermKind::Word | TermKind::Equals | TermKind::Arrow => format!("{}{comma}", term.text),
        TermKind::Variable => format!("${}{comma}", term.text),
        TermKind::Text => format!("\"{}\"{comma}", term.text),
    }
}

/// ` { capture port *; exclude port 15020 }`, if the block may stand on one line.
fn on_one_line(block: &Block) -> Option<String> {
    if block.items.is_empty() && block.comment.is_none() {
        return Some(" {}".to_owned());
    }
    if !block.on_one_line || block.comment.is_some() {
        return None;
    }
    let mut line = " {".to_owned();
    for (at, item) in block.items.iter().enumerate() {
        let Item::Clause(clause) = item else { return None };
        if clause.block.is_some() || clause.comment.is_some() || !clause.comments.is_empty() {
            return None;
        }
        if at > 0 {
            line.push(';');
        }
        for term in &clause.terms {
            line.push(' ');
            line.push_str(&written(term));
        }
    }
    line.push_str(" }");
    Some(line)
}
