//! Values, sets of them, and what rules compute.

use std::borrow::Cow;

use super::lexer::Token;
use super::parser::{DEEPEST, Parser, error_at};
use crate::nft::{Elements, Expr, Operator, ReadError, Right, Value, Verdict, bad, unknown};

/// Operators that bind one stronger than the other, the weakest first.
const BINDING: [(Operator, &str, &str); 3] =
    [(Operator::Or, "|", "or"), (Operator::Xor, "^", "xor"), (Operator::And, "&", "and")];

impl<'a> Parser<'a> {
    /// What a rule reads or computes, with operators.
    pub(super) fn expression(&mut self) -> Result<Expr<'a>, ReadError> {
        self.binary(0, 0)
    }

    /// An expression of operators from `level` on, as [`BINDING`] has them.
    fn binary(&mut self, level: usize, depth: usize) -> Result<Expr<'a>, ReadError> {
        let mut left = self.primary(depth)?;
        while let Some(found) = self.operator().filter(|found| *found >= level) {
            self.take();
            let right = self.binary(found + 1, depth)?;
            left = Expr::binary(BINDING[found].0, left, right);
        }
        if let Token::Sign(sign @ ("<<" | ">>" | ".")) = self.peek() {
            return Err(self.error(unknown("operator", sign)));
        }
        Ok(left)
    }

    /// The place in [`BINDING`] of the next token, if that is an operator.
    fn operator(&self) -> Option<usize> {
        match self.peek() {
            Token::Sign(sign) => BINDING.iter().position(|(_, known, _)| *known == sign),
            Token::Word(word) => BINDING.iter().position(|(_, _, known)| *known == word),
            _ => None,
        }
    }

    fn primary(&mut self, depth: usize) -> Result<Expr<'a>, ReadError> {
        if depth > DEEPEST {
            return Err(self.error(bad("expression", "(", "nested too deeply")));
        }
        if self.sign_is("(") {
            let inner = self.binary(0, depth + 1)?;
            self.sign(")")?;
            return Ok(inner);
        }
        if self.begins_field() { self.field() } else { self.scalar().map(Expr::Value) }
    }

    /// Whether the next token begins a field rather than a value.
    pub(super) fn begins_field(&self) -> bool {
        let Token::Word(word) = self.peek() else { return false };
        matches!(word, "meta" | "ct" | "fib" | "socket") || is_unqualified(word) || is_header(word)
    }

    /// Something of a packet.
    fn field(&mut self) -> Result<Expr<'a>, ReadError> {
        let word = self.any_word("a field")?;
        Ok(match word {
            "meta" => Expr::Meta(Cow::Borrowed(self.any_word("what of the packet")?)),
            "socket" => Expr::Socket(Cow::Borrowed(self.any_word("what of the socket")?)),
            "ct" => {
                if let Token::Word(direction @ ("original" | "reply")) = self.peek() {
                    return Err(self.error(unknown("ct key", direction)));
                }
                Expr::Ct(Cow::Borrowed(self.any_word("what of the connection")?))
            }
            "fib" => {
                let mut flags = vec![Cow::Borrowed(self.any_word("what is looked up")?)];
                while self.sign_is(".") {
                    flags.push(Cow::Borrowed(self.any_word("what is looked up")?));
                }
                Expr::Fib { result: Cow::Borrowed(self.any_word("what is asked for")?), flags }
            }
            _ if is_header(word) => Expr::Payload {
                protocol: Cow::Borrowed(word),
                field: Cow::Borrowed(self.any_word("a field of the header")?),
            },
            _ => Expr::Meta(Cow::Borrowed(word)),
        })
    }

    /// One value, without what may follow it.
    fn scalar(&mut self) -> Result<Value<'a>, ReadError> {
        let value = match self.peek() {
            Token::Number(number) => Value::Number(number),
            Token::Hex(number) => Value::Hex(number),
            Token::Address(address) => Value::Address(address),
            Token::Word(word) => Value::Word(Cow::Borrowed(word)),
            // Too long for a number, which is said where one is wanted.
            Token::Digits(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Value::Word(Cow::Borrowed(digits))
            }
            Token::Text(text) => Value::Text(Cow::Borrowed(text)),
            Token::Sign("*") => Value::Rest,
            _ => return Err(self.unexpected("a value")),
        };
        self.take();
        Ok(value)
    }

    /// A value with its prefix length, or a range.
    fn interval(&mut self) -> Result<Value<'a>, ReadError> {
        let (at, token) = (self.at(), self.peek());
        let value = self.scalar()?;
        if self.sign_is("/") {
            let (len_at, len_token) = (self.at(), self.peek());
            let len = self.number("the length of a prefix")?;
            let too_long = |_| error_at(len_at, bad("len", &len_token, "longer than an address"));
            let len = u8::try_from(len).map_err(too_long)?;
            return match value {
                Value::Address(address) => Ok(Value::Prefix(address, len)),
                Value::Number(number) | Value::Hex(number) => Ok(Value::NumberPrefix(number, len)),
                _ => Err(error_at(at, bad("prefix", &token, "not of an address"))),
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
            Token::Sign(sign @ ("&" | "^" | "/" | "<<" | ">>")) => {
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
        if !elements.values.is_empty() && !elements.entries.is_empty() {
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
        while let Token::Word(word) = self.peek() {
            match word {
                "timeout" | "expires" => {
                    self.take();
                    self.take();
                    elements.fleeting = true;
                }
                "counter" => {
                    self.take();
                    self.counts()?;
                }
                "comment" => {
                    self.take();
                    self.text()?;
                }
                _ => return Err(self.error(unknown("part of an element", word))),
            }
        }
        if !self.sign_is(":") {
            elements.values.push(key);
            return Ok(());
        }
        let Some(verdict) = self.verdict()? else {
            let word = self.peek();
            return Err(self.error(unknown("verdict", &word)));
        };
        elements.entries.push((key, verdict));
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
    fn count(&mut self) -> Result<(), ReadError> {
        match self.peek() {
            Token::Number(_) => {}
            Token::Digits(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {}
            _ => return Err(self.unexpected("a count")),
        }
        self.take();
        Ok(())
    }
}

/// Whether it is a field that may stand without `meta` (nft 1.0.1 to 1.1.6).
fn is_unqualified(word: &str) -> bool {
    matches!(
        word,
        "cgroup"
            | "cpu"
            | "day"
            | "hour"
            | "ibriport"
            | "ibrname"
            | "iif"
            | "iifgroup"
            | "iifname"
            | "iiftype"
            | "mark"
            | "nftrace"
            | "obriport"
            | "obrname"
            | "oif"
            | "oifgroup"
            | "oifname"
            | "oiftype"
            | "pkttype"
            | "rtclassid"
            | "skgid"
            | "skuid"
            | "time"
    )
}

/// Whether it is a header whose fields are two words: `tcp dport`.
fn is_header(word: &str) -> bool {
    matches!(
        word,
        "ah" | "arp"
            | "comp"
            | "dccp"
            | "dst"
            | "esp"
            | "ether"
            | "frag"
            | "gre"
            | "gretap"
            | "geneve"
            | "hbh"
            | "icmp"
            | "icmpv6"
            | "igmp"
            | "ip"
            | "ip6"
            | "mh"
            | "sctp"
            | "srh"
            | "tcp"
            | "th"
            | "udp"
            | "udplite"
            | "vlan"
    )
}
