//! What every part of the parser needs: tokens, one ahead, and errors with places.

use std::collections::BTreeSet;

use super::lexer::{Lexer, Token};
use crate::nft::{At, Newer, Place, ReadError, ReadProblem};

/// Tokens, and what is to be said about them.
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The next token.
    at: At,
    token: Token<'a>,
    pub(super) errors: Vec<ReadError>,
    /// Spellings that not every nft takes.
    pub(super) newer: Vec<Newer>,
    /// What no IP packet meets at a hook that can be read.
    pub(super) elsewhere: BTreeSet<String>,
    /// Whether rules may be named by their handles: it is known what is loaded.
    pub(super) knows_handles: bool,
}

/// Deepest nesting of parentheses and brackets in a rule.
pub(super) const DEEPEST: usize = 32;

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut lexer = Lexer::new(text);
        let (at, token) = lexer.next();
        Self {
            lexer,
            at,
            token,
            errors: Vec::new(),
            newer: Vec::new(),
            elsewhere: BTreeSet::new(),
            knows_handles: false,
        }
    }

    /// Where the next token stands.
    pub(super) const fn at(&self) -> At {
        self.at
    }

    /// The next token, which stays.
    pub(super) const fn peek(&self) -> Token<'a> {
        self.token
    }

    /// The token behind the next one, which stays.
    pub(super) fn peek_second(&self) -> Token<'a> {
        self.lexer.clone().next().1
    }

    /// Takes the next token.
    pub(super) fn take(&mut self) -> Token<'a> {
        let token = self.token;
        (self.at, self.token) = self.lexer.next();
        token
    }

    /// Takes the next token if it is this word.
    pub(super) fn word_is(&mut self, word: &str) -> bool {
        self.take_if(|token| token == Token::Word(word))
    }

    /// Takes the next token if it is this sign.
    pub(super) fn sign_is(&mut self, sign: &str) -> bool {
        self.take_if(|token| token == Token::Sign(sign))
    }

    fn take_if(&mut self, wanted: impl Fn(Token<'a>) -> bool) -> bool {
        let is_it = wanted(self.token);
        if is_it {
            self.take();
        }
        is_it
    }

    /// Takes this sign.
    pub(super) fn sign(&mut self, sign: &str) -> Result<(), ReadError> {
        if self.sign_is(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    /// Takes this word.
    pub(super) fn word(&mut self, word: &str) -> Result<(), ReadError> {
        if self.word_is(word) { Ok(()) } else { Err(self.unexpected(&format!("`{word}`"))) }
    }

    /// Takes a word, whatever it is.
    pub(super) fn any_word(&mut self, wanted: &str) -> Result<&'a str, ReadError> {
        match self.token {
            Token::Word(word) => {
                self.take();
                Ok(word)
            }
            _ => Err(self.unexpected(wanted)),
        }
    }

    /// Takes a number.
    pub(super) fn number(&mut self, wanted: &str) -> Result<u32, ReadError> {
        match self.token {
            Token::Number(number) | Token::Hex(number) => {
                self.take();
                Ok(number)
            }
            _ => Err(self.unexpected(wanted)),
        }
    }

    /// Takes a text between quotation marks.
    pub(super) fn text(&mut self) -> Result<&'a str, ReadError> {
        match self.token {
            Token::Text(text) => {
                self.take();
                Ok(text)
            }
            _ => Err(self.unexpected("a text in `\"`")),
        }
    }

    /// The handle of what ends here, as `nft -a` writes it: `# handle 5`.
    pub(super) fn handle(&self) -> Option<u64> {
        // Within quotation marks, more would come.
        self.lexer.line().rsplit_once("# handle ")?.1.parse().ok()
    }

    /// Whether a line, a block or the script ends here.
    pub(super) fn is_end(&self) -> bool {
        matches!(self.token, Token::Newline | Token::Semicolon | Token::Eof | Token::Sign("}"))
    }

    /// Takes ends of lines and `;`.
    pub(super) fn skip_ends(&mut self) {
        while matches!(self.token, Token::Newline | Token::Semicolon) {
            self.take();
        }
    }

    /// Takes ends of lines only.
    pub(super) fn skip_lines(&mut self) {
        while self.token == Token::Newline {
            self.take();
        }
    }

    /// Takes the end of a line or a `;`, which must be there unless the script ends.
    pub(super) fn end(&mut self) -> Result<(), ReadError> {
        match self.token {
            Token::Newline | Token::Semicolon => {
                self.take();
                Ok(())
            }
            Token::Eof => Ok(()),
            _ => Err(self.unexpected("an end of line or `;`")),
        }
    }

    /// Passes over what is left of a statement, a block in it included.
    pub(super) fn skip_statement(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.token {
                Token::Eof => return,
                Token::Newline | Token::Semicolon | Token::Sign("}") if depth == 0 => return,
                Token::Sign("{") => depth += 1,
                Token::Sign("}") => depth -= 1,
                _ => {}
            }
            self.take();
        }
    }

    /// Passes over what is left of a block, and its `}`.
    pub(super) fn skip_block(&mut self) {
        let mut depth = 1_usize;
        while depth > 0 && self.token != Token::Eof {
            match self.take() {
                Token::Sign("{") => depth += 1,
                Token::Sign("}") => depth -= 1,
                _ => {}
            }
        }
    }

    /// Passes over what is left of a rule: its text; `None` if not even its words can be told apart.
    pub(super) fn rest_of_rule(&mut self) -> Option<&'a str> {
        let start = self.lexer.start();
        let mut depth = 0_usize;
        loop {
            match self.token {
                Token::Stray(_) => return None,
                Token::Eof => break,
                Token::Newline | Token::Semicolon | Token::Sign("}") if depth == 0 => break,
                Token::Sign("{") => depth += 1,
                Token::Sign("}") => depth -= 1,
                _ => {}
            }
            self.take();
        }
        Some(self.lexer.since(start))
    }

    /// This place, to come back to.
    pub(super) fn mark(&self) -> (Lexer<'a>, At, Token<'a>) {
        (self.lexer.clone(), self.at, self.token)
    }

    /// Goes back to a place.
    pub(super) fn back_to(&mut self, (lexer, at, token): (Lexer<'a>, At, Token<'a>)) {
        (self.lexer, self.at, self.token) = (lexer, at, token);
    }

    /// What is wrong with the next token.
    pub(super) fn unexpected(&self, wanted: &str) -> ReadError {
        let found = self.token.to_string();
        self.error(ReadProblem::Unexpected { found, wanted: wanted.to_owned() })
    }

    /// What is wrong here.
    pub(super) fn error(&self, problem: ReadProblem) -> ReadError {
        error_at(self.at, problem)
    }
}

pub(super) fn error_at(at: At, problem: ReadProblem) -> ReadError {
    ReadError { at: Place::from(at), problem }
}
