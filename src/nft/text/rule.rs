//! Statements of rules.

use std::borrow::Cow;

use super::lexer::Token;
use super::parser::{Parser, error_at};
use super::statement::is_other;
use crate::nft::{
    At, Comparison, Expr, Operator, ReadError, Right, Statement, TableFamily, Translation, Value,
    needs, unknown,
};

/// A rule, and the comment that the kernel keeps with it.
type Statements<'a> = (Vec<(At, Statement<'a>)>, Option<&'a str>);

impl<'a> Parser<'a> {
    /// The statements of a rule, up to its end.
    pub(super) fn statements(&mut self) -> Result<Statements<'a>, ReadError> {
        let mut statements = Vec::new();
        let start = self.at();
        let mut comment = None;
        while !self.is_end() {
            let (at, begin) = (self.at(), self.mark());
            let read = match self.comment() {
                Ok(Some(text)) => {
                    comment = Some(text);
                    break;
                }
                Ok(None) => self.statement(),
                Err(error) => Err(error),
            };
            match read {
                Ok(statement) => statements.push((at, statement)),
                Err(error) => {
                    self.back_to(begin);
                    let Some(text) = self.rest_of_rule() else { return Err(error) };
                    let at = error.at.in_script();
                    let text = Cow::Borrowed(text);
                    statements.push((at, Statement::Unknown { text, problem: error.problem }));
                }
            }
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
            if matches!(self.peek(), Token::Sign("(" | "@")) {
                return self.match_or_change();
            }
            return Err(self.unexpected("a statement"));
        };
        match word {
            "counter" => {
                self.take();
                if self.word_is("name") {
                    self.object_name("a counter")?;
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
            "ct" if self.peek_second() == Token::Word("count") => self.other(word),
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
            _ => match Translation::ALL.into_iter().find(|kind| kind.word() == word) {
                Some(kind) => self.translate(kind).map(Statement::Translate),
                None if is_other(word) => self.other(word),
                None => Err(error_at(at, unknown("statement", word))),
            },
        }
    }

    /// A comparison, a look-up of a verdict, or a new value.
    fn match_or_change(&mut self) -> Result<Statement<'a>, ReadError> {
        let left = self.expression()?;
        let is_class = matches!(&left, Expr::Meta(key) if key == "priority");
        if self.word_is("set") {
            let value = match self.class() {
                Some(class) if is_class => Expr::Value(class),
                _ => match self.expression()? {
                    Expr::Value(first) if self.peek() == Token::Sign(",") => {
                        let mut all = vec![first];
                        while self.sign_is(",") {
                            all.push(Value::Word(Cow::Borrowed(self.any_word("a bit")?)));
                        }
                        Expr::Value(Value::List(all))
                    }
                    value => value,
                },
            };
            return Ok(Statement::Mangle { key: left, value });
        }
        if self.word_is("vmap") {
            return Ok(Statement::Vmap { key: left, to: self.right()? });
        }
        let op = self.comparison();
        if is_class && let Some(class) = self.class() {
            return Ok(Statement::Match { left, op, right: Right::One(class) });
        }
        let right = self.right()?;
        // `tcp flags syn / syn,ack` is `tcp flags & (syn | ack) == syn`.
        match right {
            Right::One(value) if self.sign_is("/") => {
                let Right::One(mask) = self.right()? else {
                    return Err(self.unexpected("a mask"));
                };
                let mask = Expr::Value(mask.into_mask());
                let op = if op == Comparison::In { Comparison::Equal } else { op };
                let left = Expr::binary(Operator::And, left, mask);
                Ok(Statement::Match { left, op, right: Right::One(value.into_mask()) })
            }
            right => Ok(Statement::Match { left, op, right }),
        }
    }

    /// `1:2`, a class of traffic, if one comes next.
    fn class(&mut self) -> Option<Value<'a>> {
        let (Token::Number(major), Token::Sign(":")) = (self.peek(), self.peek_second()) else {
            return None;
        };
        let start = self.mark();
        self.take();
        self.take();
        let Token::Number(minor) = self.peek() else {
            self.back_to(start);
            return None;
        };
        self.take();
        Some(Value::Word(Cow::Owned(format!("{major}:{minor}"))))
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

    pub(super) fn family(&mut self) -> Option<TableFamily> {
        let Token::Word(word @ ("ip" | "ip6")) = self.peek() else { return None };
        self.take();
        TableFamily::named(word)
    }

    pub(super) fn port(&mut self) -> Result<Value<'a>, ReadError> {
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
    pub(super) fn address(&mut self) -> Result<Value<'a>, ReadError> {
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

    /// The comment of a rule, if it comes next; the rule ends behind it.
    fn comment(&mut self) -> Result<Option<&'a str>, ReadError> {
        if !self.word_is("comment") {
            return Ok(None);
        }
        let text = self.text()?;
        if !self.is_end() {
            return Err(self.unexpected("the end of the rule, behind its comment,"));
        }
        Ok(Some(text))
    }
}
