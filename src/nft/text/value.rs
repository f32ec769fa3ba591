//! Values, sets of them, and what rules compute.

use std::borrow::Cow;

use super::lexer::Token;
use super::parser::{DEEPEST, Parser, error_at};
use crate::nft::{Elements, Expr, Operator, ReadError, Right, Value, Verdict, bad, unknown};

/// Operators with their sign and their word, and how strongly each binds.
const BINDING: [(Operator, &str, &str, usize); 5] = [
    (Operator::Or, "|", "or", 0),
    (Operator::Xor, "^", "xor", 1),
    (Operator::And, "&", "and", 2),
    (Operator::ShiftLeft, "<<", "lshift", 3),
    (Operator::ShiftRight, ">>", "rshift", 3),
];

impl<'a> Parser<'a> {
    /// What a rule reads or computes, with operators.
    pub(super) fn expression(&mut self) -> Result<Expr<'a>, ReadError> {
        self.concatenation(0)
    }

    /// Values together, and what a map leads to from them.
    fn concatenation(&mut self, depth: usize) -> Result<Expr<'a>, ReadError> {
        let first = self.binary(0, depth)?;
        let key = if self.peek() == Token::Sign(".") {
            let mut parts = vec![first];
            while self.sign_is(".") {
                parts.push(self.binary(0, depth)?);
            }
            Expr::Concat(parts)
        } else {
            first
        };
        if self.word_is("map") {
            return Ok(Expr::Map(Box::new((key, self.right()?))));
        }
        Ok(key)
    }

    /// An expression of operators from `level` on, as [`BINDING`] has them.
    fn binary(&mut self, level: usize, depth: usize) -> Result<Expr<'a>, ReadError> {
        let mut left = self.primary(depth)?;
        while let Some((operator, found)) = self.operator().filter(|(_, found)| *found >= level) {
            self.take();
            let right = self.binary(found + 1, depth)?;
            left = Expr::binary(operator, left, right);
        }
        Ok(left)
    }

    /// The next token, if that is an operator, and how strongly it binds.
    fn operator(&self) -> Option<(Operator, usize)> {
        let known = match self.peek() {
            Token::Sign(sign) => BINDING.iter().find(|(_, known, ..)| *known == sign),
            Token::Word(word) => BINDING.iter().find(|(_, _, known, _)| *known == word),
            _ => None,
        };
        known.map(|(operator, .., level)| (*operator, *level))
    }

    fn primary(&mut self, depth: usize) -> Result<Expr<'a>, ReadError> {
        if depth > DEEPEST {
            return Err(self.error(bad("expression", "(", "nested too deeply")));
        }
        if self.sign_is("(") {
            let inner = self.concatenation(depth + 1)?;
            self.sign(")")?;
            return Ok(inner);
        }
        if self.begins_field() { self.field() } else { self.interval().map(Expr::Value) }
    }

    /// One value, without what may follow it.
    fn scalar(&mut self) -> Result<Value<'a>, ReadError> {
        let value = match self.peek() {
            Token::Number(number) => Value::Number(number),
            Token::Hex(number) => Value::Hex(number),
            Token::Address(address) => Value::Address(address),
            Token::Word(word) => Value::Word(Cow::Borrowed(word)),
            // A time, or too long for a number, which is said where one is wanted.
            Token::Digits(digits) if is_time(digits) => Value::Word(Cow::Borrowed(digits)),
            Token::Text(text) => Value::Text(Cow::Borrowed(text)),
            Token::Sign("*") => Value::Rest,
            _ => return Err(self.unexpected("a value")),
        };
        self.take();
        Ok(value)
    }

    /// A value with its prefix length, or a range.
    fn interval(&mut self) -> Result<Value<'a>, ReadError> {
        let value = self.scalar()?;
        let may_be_prefix = matches!(value, Value::Address(_) | Value::Number(_) | Value::Hex(_));
        if may_be_prefix && self.sign_is("/") {
            let (len_at, len_token) = (self.at(), self.peek());
            let len = self.number("the length of a prefix")?;
            let too_long = |_| error_at(len_at, bad("len", &len_token, "longer than an address"));
            let len = u8::try_from(len).map_err(too_long)?;
            return match value {
                Value::Address(address) => Ok(Value::Prefix(address, len)),
                Value::Number(number) | Value::Hex(number) => Ok(Value::NumberPrefix(number, len)),
                other => Ok(other),
            };
        }
        if self.sign_is("-") {
            return Ok(Value::Range(Box::new((value, self.scalar()?))));
        }
        Ok(value)
    }

    /// Intervals of several fields together.
    fn concatenated(&mut self) -> Result<Value<'a>, ReadError> {
        let first = self.interval()?;
        if self.peek() != Token::Sign(".") {
            return Ok(first);
        }
        let mut values = vec![first];
        while self.sign_is(".") {
            values.push(self.interval()?);
        }
        Ok(Value::Concat(values))
    }

    /// What a field is compared with.
    pub(super) fn right(&mut self) -> Result<Right<'a>, ReadError> {
        match self.peek() {
            Token::Sign("{") => self.elements().map(Right::Set),
            Token::Sign("@") => {
                self.take();
                self.name("a set").map(Right::Named)
            }
            _ => self.values().map(Right::One),
        }
    }

    /// One value, or several with commas or `|` between.
    fn values(&mut self) -> Result<Value<'a>, ReadError> {
        if self.sign_is("(") {
            let value = self.values()?;
            self.sign(")")?;
            return Ok(value);
        }
        let first = self.concatenated()?;
        let (sign, word, list): (_, _, fn(Vec<Value<'a>>) -> Value<'a>) = match self.peek() {
            Token::Sign(",") => (",", ",", Value::List),
            Token::Sign("|") | Token::Word("or") => ("|", "or", Value::Bits),
            Token::Sign(sign @ ("&" | "^" | "<<" | ">>")) => {
                return Err(self.error(unknown("operator", sign)));
            }
            _ => return Ok(first),
        };
        let mut values = vec![first];
        while self.sign_is(sign) || self.word_is(word) {
            values.push(self.interval()?);
        }
        Ok(list(values))
    }

    /// `{ 80, 443 }`, or `{ 22 : return }`.
    pub(super) fn elements(&mut self) -> Result<Elements<'a>, ReadError> {
        self.sign("{")?;
        let mut elements = Elements::default();
        loop {
            self.skip_lines();
            if self.peek() == Token::Sign("}") && !elements.is_empty() {
                break;
            }
            self.element(&mut elements)?;
            self.skip_lines();
            if !self.sign_is(",") {
                break;
            }
        }
        self.sign("}")?;
        let kinds =
            [&elements.values.is_empty(), &elements.entries.is_empty(), &elements.pairs.is_empty()];
        if kinds.into_iter().filter(|is_empty| !**is_empty).count() > 1 {
            let why = "some keys lead somewhere, and some do not";
            return Err(self.error(bad("set", "{ … }", why)));
        }
        Ok(elements)
    }

    /// Elements of a named set, which matter only if a rule looks one up.
    pub(super) fn named_elements(&mut self) -> Elements<'a> {
        let start = self.mark();
        self.elements().unwrap_or_else(|error| {
            self.back_to(start);
            self.take();
            self.skip_block();
            Elements::unread(error)
        })
    }

    fn element(&mut self, elements: &mut Elements<'a>) -> Result<(), ReadError> {
        let key = self.concatenated()?;
        loop {
            elements.fleeting |= self.key_options()?;
            let Token::Word(word) = self.peek() else { break };
            // What is counted for an element decides nothing here: it has counted it already.
            if !matches!(word, "limit" | "quota" | "ct" | "last") {
                return Err(self.error(unknown("part of an element", word)));
            }
            let mut limits = String::new();
            let before = self.mark();
            self.stateful(&mut limits)?;
            if limits.is_empty() && self.at() == before.1 {
                return Err(self.error(unknown("part of an element", word)));
            }
            elements.limits |= !limits.is_empty();
        }
        if !self.sign_is(":") {
            elements.values.push(key);
            return Ok(());
        }
        match self.verdict()? {
            Some(verdict) => elements.entries.push((key, verdict)),
            None => elements.pairs.push((key, self.concatenated()?)),
        }
        elements.fleeting |= self.key_options()?;
        Ok(())
    }

    /// A verdict, if one comes next.
    pub(super) fn verdict(&mut self) -> Result<Option<Verdict<'a>>, ReadError> {
        let Token::Word(word) = self.peek() else { return Ok(None) };
        let verdict = match word {
            "accept" => Verdict::Accept,
            "drop" => Verdict::Drop,
            "continue" => Verdict::Continue,
            "return" => Verdict::Return,
            "jump" | "goto" => {
                self.take();
                let target = self.name("a chain")?;
                let verdict = if word == "jump" { Verdict::Jump } else { Verdict::Goto };
                return Ok(Some(verdict(target)));
            }
            _ => return Ok(None),
        };
        self.take();
        Ok(Some(verdict))
    }

    /// `packets 5 bytes 300`, if a counter has them.
    pub(super) fn counts(&mut self) -> Result<(), ReadError> {
        if self.word_is("packets") {
            self.count()?;
            self.word("bytes")?;
            self.count()?;
        }
        Ok(())
    }

    /// Digits, however many.
    pub(super) fn count(&mut self) -> Result<(), ReadError> {
        match self.peek() {
            Token::Number(_) => {}
            Token::Digits(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {}
            _ => return Err(self.unexpected("a count")),
        }
        self.take();
        Ok(())
    }
}

/// Whether digits are a number, or numbers with units: `1h30m`, `0x1f`.
fn is_time(text: &str) -> bool {
    let is_hex = |hex: &str| hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.strip_prefix("0x").is_some_and(is_hex)
        || text.bytes().all(|byte| byte.is_ascii_digit() || b"dhms".contains(&byte))
}
