//! Statements of rules.

use std::borrow::Cow;

use super::lexer::Token;
use super::parser::{Parser, error_at};
use crate::nft::{
    At, Comparison, ReadError, Statement, TableFamily, Value, needs, refused, unknown,
};

/// A rule, and the comment that the kernel keeps with it.
type Statements<'a> = (Vec<(At, Statement<'a>)>, Option<&'a str>);

/// Most bytes of a comment on a rule: nft 1.0.1 to 1.1.7 refuse more.
const MAX_COMMENT: usize = 128;

impl<'a> Parser<'a> {
    /// The statements of a rule, up to its end.
    pub(super) fn statements(&mut self) -> Result<Statements<'a>, ReadError> {
        let mut statements = Vec::new();
        let start = self.at();
        let mut comment = None;
        while !self.is_end() {
            let at = self.at();
            if let Some(text) = comment_text(self)? {
                comment = Some(text);
                if !self.is_end() {
                    return Err(self.unexpected("the end of the rule, behind its comment,"));
                }
                break;
            }
            let statement = self.statement()?;
            statements.push((at, statement));
        }
        if statements.is_empty() {
            return Err(error_at(start, needs("rule", "a statement")));
        }
        Ok((statements, comment))
    }

    fn statement(&mut self) -> Result<Statement<'a>, ReadError> {
        if let Some(verdict) = self.verdict()? {
            return Ok(Statement::Verdict(verdict));
        }
        let at = self.at();
        let Token::Word(word) = self.peek() else {
            if self.peek() == Token::Sign("(") {
                return self.match_or_change();
            }
            return Err(self.unexpected("a statement"));
        };
        match word {
            "counter" => {
                self.take();
                if self.word_is("name") {
                    if !matches!(self.peek(), Token::Word(_) | Token::Text(_)) {
                        return Err(self.unexpected("the name of a counter"));
                    }
                    self.take();
                } else {
                    self.counts()?;
                }
                Ok(Statement::Counter)
            }
            "log" => {
                self.take();
                self.log()?;
                Ok(Statement::Log)
            }
            "redirect" => {
                self.take();
                let port = if self.word_is("to") {
                    self.sign_is(":");
                    Some(self.port()?)
                } else {
                    None
                };
                Ok(Statement::Redirect { port })
            }
            "snat" => {
                self.take();
                let family = self.family();
                self.word("to")?;
                let to = self.address()?;
                if let Token::Sign(sign @ (":" | "-")) = self.peek() {
                    return Err(self.error(unknown("part of `snat`", sign)));
                }
                Ok(Statement::Snat { family, to })
            }
            "tproxy" => {
                self.take();
                let family = self.family();
                self.word("to")?;
                let address =
                    if self.peek() == Token::Sign(":") { None } else { Some(self.address()?) };
                let port = if self.sign_is(":") { Some(self.port()?) } else { None };
                Ok(Statement::Tproxy { family, address, port })
            }
            _ if self.begins_field() => self.match_or_change(),
            _ => Err(error_at(at, unknown("statement", word))),
        }
    }

    /// A comparison, a look-up of a verdict, or a new value.
    fn match_or_change(&mut self) -> Result<Statement<'a>, ReadError> {
        let left = self.expression()?;
        if self.word_is("set") {
            let value = self.expression()?;
            if let Token::Word(word @ "map") = self.peek() {
                return Err(self.error(unknown("expression", word)));
            }
            return Ok(Statement::Mangle { key: left, value });
        }
        if self.word_is("vmap") {
            return Ok(Statement::Vmap { key: left, to: self.right()? });
        }
        let op = self.comparison();
        let right = self.right()?;
        Ok(Statement::Match { left, op, right })
    }

    fn comparison(&mut self) -> Comparison {
        let op = match self.peek() {
            Token::Sign(sign) => Comparison::ALL.into_iter().find(|op| op.word() == sign),
            Token::Word("eq") => Some(Comparison::Equal),
            Token::Word("ne") => Some(Comparison::Unequal),
            Token::Word("lt") => Some(Comparison::Less),
            Token::Word("le") => Some(Comparison::LessOrEqual),
            Token::Word("gt") => Some(Comparison::Greater),
            Token::Word("ge") => Some(Comparison::GreaterOrEqual),
            _ => None,
        };
        if op.is_some() {
            self.take();
        }
        op.unwrap_or(Comparison::In)
    }

    fn family(&mut self) -> Option<TableFamily> {
        let Token::Word(word @ ("ip" | "ip6")) = self.peek() else { return None };
        self.take();
        TableFamily::named(word)
    }

    fn port(&mut self) -> Result<Value<'a>, ReadError> {
        let port = match self.peek() {
            Token::Number(port) => Value::Number(port),
            Token::Hex(port) => Value::Hex(port),
            Token::Word(word) | Token::Digits(word) => Value::Word(Cow::Borrowed(word)),
            _ => return Err(self.unexpected("a port")),
        };
        self.take();
        if self.sign_is("-") {
            return Ok(Value::Range(Box::new((port, Value::Number(self.number("a port")?)))));
        }
        Ok(port)
    }

    /// An address, an IPv6 one in brackets where a port may follow.
    fn address(&mut self) -> Result<Value<'a>, ReadError> {
        let in_brackets = self.sign_is("[");
        let value = match self.peek() {
            Token::Address(address) => Value::Address(address),
            Token::Word(word) if !in_brackets => Value::Word(Cow::Borrowed(word)),
            _ => return Err(self.unexpected("an address")),
        };
        self.take();
        if in_brackets {
            self.sign("]")?;
        }
        Ok(value)
    }

    /// What is logged, which nothing depends on.
    fn log(&mut self) -> Result<(), ReadError> {
        loop {
            let Token::Word(word) = self.peek() else { return Ok(()) };
            match word {
                "prefix" => {
                    self.take();
                    self.text()?;
                }
                "level" => {
                    self.take();
                    self.any_word("a level")?;
                }
                "group" | "snaplen" | "queue-threshold" => {
                    self.take();
                    self.number("a number")?;
                }
                "flags" => {
                    self.take();
                    loop {
                        // `tcp sequence,options`, `ip options`: two words are one flag.
                        let flag = self.any_word("a flag")?;
                        if matches!(flag, "tcp" | "ip") {
                            self.any_word("a flag")?;
                        }
                        if !self.sign_is(",") {
                            break;
                        }
                    }
                }
                _ => return Ok(()),
            }
        }
    }
}

/// The comment of a rule, if it comes next.
fn comment_text<'a>(parser: &mut Parser<'a>) -> Result<Option<&'a str>, ReadError> {
    if !parser.word_is("comment") {
        return Ok(None);
    }
    let at = parser.at();
    let text = parser.text()?;
    if text.len() > MAX_COMMENT {
        return Err(error_at(at, refused("comment", "nft takes 128 bytes at most")));
    }
    Ok(Some(text))
}
