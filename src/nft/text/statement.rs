//! Statements that translate, and those of which little more than their words counts.

use std::borrow::Cow;
use std::fmt::Write;

use super::lexer::Token;
use super::parser::Parser;
use crate::nft::{Expr, ReadError, Statement, Translate, Translation, Value, unknown};

/// Statements by their first words, as [`Statement::Other`] and [`Statement::Update`] have them.
const OTHERS: [&str; 19] = [
    "add", "ct", "delete", "dup", "flow", "fwd", "last", "limit", "meter", "notrack", "queue",
    "quota", "reject", "reset", "set", "synproxy", "update", "xt", "optstrip",
];

/// What a limit lets through at once unless it says otherwise; some versions of nft list it.
pub(crate) const DEFAULT_BURST: (u32, &str) = (5, "packets");

/// `reject` with a reply. One that no port is there is the usual one, which some versions of nft list.
pub(crate) fn rejected(kind: &str, code: &str) -> String {
    if kind != "tcp" && code == "port-unreachable" {
        return "reject".to_owned();
    }
    format!("reject with {kind} {code}")
}

/// The statements of a text that JSON has where it has no form of its own.
pub(crate) fn statements(text: &str) -> Option<Vec<Statement<'_>>> {
    let (statements, _) = Parser::new(text).statements().ok()?;
    Some(statements.into_iter().map(|(_, statement)| statement).collect())
}

/// Whether a statement of these begins with `word`.
pub(super) fn is_other(word: &str) -> bool {
    OTHERS.contains(&word)
}

/// `text`, as a statement that begins with `word`.
const fn other<'a>(word: &'static str, text: String) -> Statement<'a> {
    Statement::Other { word, text }
}

impl<'a> Parser<'a> {
    /// `dnat ip to 10.0.0.1:80 persistent`.
    pub(super) fn translate(&mut self, kind: Translation) -> Result<Translate<'a>, ReadError> {
        self.take();
        let family = self.family();
        // What the rest is like, which it shows itself.
        while self.word_is("prefix") || self.word_is("interval") {}
        if self.word_is("addr") {
            self.sign(".")?;
            self.word("port")?;
        }
        let (mut to, mut port) = (None, None);
        if self.word_is("to") {
            let is_port = kind == Translation::Redirect
                && matches!(self.peek(), Token::Number(_) | Token::Word(_) | Token::Digits(_));
            if self.peek() != Token::Sign(":") && !is_port {
                to = Some(self.destination()?);
            }
            if self.sign_is(":") || is_port {
                let is_computed = self.begins_field();
                port =
                    Some(if is_computed { self.expression()? } else { Expr::Value(self.port()?) });
            }
        }
        let mut flags = Vec::new();
        while let Token::Word(flag @ ("random" | "fully-random" | "persistent")) = self.peek() {
            self.take();
            flags.push(Cow::Borrowed(flag));
            self.sign_is(",");
        }
        Ok(Translate { kind, family, to, port, flags })
    }

    /// An address, a range or a prefix of them, or what says one.
    fn destination(&mut self) -> Result<Expr<'a>, ReadError> {
        if self.begins_field() {
            return self.expression();
        }
        let first = self.address()?;
        if self.sign_is("-") {
            return Ok(Expr::Value(Value::Range(Box::new((first, self.address()?)))));
        }
        match first {
            Value::Address(address) if self.sign_is("/") => {
                let at = self.unexpected("the length of a prefix");
                let len = u8::try_from(self.number("the length of a prefix")?).map_err(|_| at)?;
                Ok(Expr::Value(Value::Prefix(address, len)))
            }
            first => Ok(Expr::Value(first)),
        }
    }

    /// A statement that begins with `word`, one of [`OTHERS`].
    pub(super) fn other(&mut self, word: &'a str) -> Result<Statement<'a>, ReadError> {
        if let Some(bound) = self.bound(word)? {
            return Ok(bound);
        }
        if matches!(word, "add" | "delete" | "update" | "set" | "meter") {
            return self.update(word);
        }
        self.take();
        Ok(match word {
            "notrack" => other("notrack", word.to_owned()),
            "last" => {
                self.used()?;
                other("last", word.to_owned())
            }
            "reject" => other("reject", self.reject()?),
            "queue" => other("queue", self.queue()?),
            "dup" => {
                self.word("to")?;
                let text = format!("dup to {}", self.expression()?);
                other("dup", self.with_device(text)?)
            }
            "fwd" => {
                let mut text = "fwd".to_owned();
                if let Some(family) = self.family() {
                    text = format!("fwd {}", family.name());
                }
                self.word("to")?;
                let text = format!("{text} to {}", self.expression()?);
                other("fwd", self.with_device(text)?)
            }
            "flow" => {
                if !self.word_is("add") {
                    self.word("offload")?;
                }
                self.sign("@")?;
                other("flow", format!("flow add @{}", self.name("a flow table")?))
            }
            "synproxy" => other("synproxy", self.synproxy()?),
            "xt" => {
                let kind = self.any_word("a kind of extension")?;
                let name = self.object_name("an extension")?;
                other("xt", format!("xt {kind} {name}"))
            }
            "reset" | "optstrip" => other("reset", format!("reset {}", self.expression()?)),
            _ => return Err(self.error(unknown("statement", word))),
        })
    }

    /// A statement that ends the rule for packets above a limit, or below, if `word` begins one.
    fn bound(&mut self, word: &'a str) -> Result<Option<Statement<'a>>, ReadError> {
        let over = |parser: &mut Self| if parser.word_is("over") { " over" } else { "" };
        Ok(Some(match word {
            "limit" => {
                self.take();
                if self.word_is("name") {
                    let name = self.object_name("a limit")?;
                    return Ok(Some(other("limit", format!("limit name {name}"))));
                }
                self.word("rate")?;
                let over = over(self);
                let text = format!("limit rate{over} {}", self.rate()?);
                other("limit", text)
            }
            "quota" => {
                self.take();
                if self.word_is("name") {
                    let name = self.object_name("a quota")?;
                    return Ok(Some(other("quota", format!("quota name {name}"))));
                }
                self.word_is("until");
                let over = over(self);
                let bytes = self.number("a number")?;
                let text = format!("quota{over} {bytes} {}", self.any_word("a unit")?);
                if self.word_is("used") {
                    self.count()?;
                    self.any_word("a unit")?;
                }
                other("quota", text)
            }
            "ct" if self.peek_second() == Token::Word("count") => {
                self.take();
                self.take();
                let over = over(self);
                other("ct count", format!("ct count{over} {}", self.number("a number")?))
            }
            _ => return Ok(None),
        }))
    }

    /// `10/second burst 5 packets`, `1 mbytes/second`.
    fn rate(&mut self) -> Result<String, ReadError> {
        let mut text = self.number("a rate")?.to_string();
        if self.sign_is("/") {
            write!(text, "/{}", self.any_word("a unit of time")?)
        } else {
            write!(text, " {}", self.any_word("a unit")?)
        }
        .expect("a String takes every write");
        if self.word_is("burst") {
            let burst = self.number("a number")?;
            let unit = self.any_word("a unit")?;
            if burst != 0 && (burst, unit) != DEFAULT_BURST {
                write!(text, " burst {burst} {unit}").expect("a String takes every write");
            }
        }
        Ok(text)
    }

    /// `with icmp port-unreachable`, behind `reject`.
    fn reject(&mut self) -> Result<String, ReadError> {
        if !self.word_is("with") {
            return Ok("reject".to_owned());
        }
        let kind = self.any_word("a kind of reply")?;
        if kind != "tcp" {
            self.word_is("type");
        }
        let code = match self.take() {
            Token::Word(code) | Token::Digits(code) => code.to_owned(),
            Token::Number(code) => code.to_string(),
            _ => return Err(self.unexpected("a reply")),
        };
        Ok(rejected(kind, &code))
    }

    /// To which queue, and how, behind `queue`.
    fn queue(&mut self) -> Result<String, ReadError> {
        let (mut to, mut flags) = ("0".to_owned(), Vec::new());
        loop {
            match self.peek() {
                Token::Word("num" | "to") => {
                    self.take();
                    to = if self.begins_field() {
                        self.expression()?.to_string()
                    } else {
                        self.port()?.to_string()
                    };
                }
                Token::Word("flags") => {
                    self.take();
                }
                Token::Word(flag @ ("bypass" | "fanout")) => {
                    self.take();
                    flags.push(flag);
                    self.sign_is(",");
                }
                _ => break,
            }
        }
        let flags = if flags.is_empty() { String::new() } else { format!(" {}", flags.join(",")) };
        Ok(format!("queue to {to}{flags}"))
    }

    fn with_device(&mut self, text: String) -> Result<String, ReadError> {
        if self.word_is("device") {
            return Ok(format!("{text} device {}", self.expression()?));
        }
        Ok(text)
    }

    fn synproxy(&mut self) -> Result<String, ReadError> {
        let mut text = "synproxy".to_owned();
        if self.word_is("name") {
            return Ok(format!("synproxy name {}", self.object_name("a proxy")?));
        }
        while let Token::Word(word @ ("mss" | "wscale" | "timestamp" | "sack-perm")) = self.peek() {
            self.take();
            write!(text, " {word}").expect("a String takes every write");
            if matches!(word, "mss" | "wscale") {
                write!(text, " {}", self.number("a number")?).expect("a String takes every write");
            }
        }
        Ok(text)
    }

    /// `update @s { ip saddr limit rate 5/second }`, and older spellings of the same.
    fn update(&mut self, word: &str) -> Result<Statement<'a>, ReadError> {
        self.take();
        let (set, op) = match word {
            "set" => {
                let op = self.any_word("`add`, `update` or `delete`")?;
                let key = self.expression()?;
                self.key_options()?;
                self.sign("@")?;
                let set = self.name("a set")?;
                let text = format!("{op} @{set} {{ {key} }}");
                let deletes = op == "delete";
                return Ok(Statement::Update { set, deletes, limits: false, text });
            }
            "meter" => {
                let name = self.name("a meter")?;
                if self.word_is("size") {
                    self.number("a size")?;
                }
                (name, "update")
            }
            _ => {
                self.sign("@")?;
                (self.name("a set")?, word)
            }
        };
        self.sign("{")?;
        let mut text = format!("{op} @{set} {{ {}", self.expression()?);
        let limits = self.stateful(&mut text)?;
        if self.sign_is(":") {
            let to = match self.verdict()? {
                Some(verdict) => verdict.to_string(),
                None => self.expression()?.to_string(),
            };
            write!(text, " : {to}").expect("a String takes every write");
        }
        self.sign("}")?;
        text.push_str(" }");
        Ok(Statement::Update { set, deletes: op == "delete", limits, text })
    }

    /// What is noted with an element, or counted for it; limits are added to `text`. Whether there
    /// are any.
    pub(super) fn stateful(&mut self, text: &mut String) -> Result<bool, ReadError> {
        let mut limits = false;
        loop {
            self.key_options()?;
            let Token::Word(word) = self.peek() else { return Ok(limits) };
            match word {
                "last" => {
                    self.take();
                    self.used()?;
                }
                _ => match self.bound(word)? {
                    Some(bound) => {
                        limits = true;
                        write!(text, " {bound}").expect("a String takes every write");
                    }
                    None => return Ok(limits),
                },
            }
        }
    }

    /// What is noted with an element that means nothing to packets; whether it goes away by itself.
    pub(super) fn key_options(&mut self) -> Result<bool, ReadError> {
        let mut fleeting = false;
        loop {
            match self.peek() {
                Token::Word("timeout" | "expires") => {
                    self.take();
                    self.take();
                    fleeting = true;
                }
                Token::Word("counter") => {
                    self.take();
                    self.counts()?;
                }
                Token::Word("comment") => {
                    self.take();
                    self.text()?;
                }
                _ => return Ok(fleeting),
            }
        }
    }

    /// When something was used last: `used 5m30s`.
    fn used(&mut self) -> Result<(), ReadError> {
        if self.word_is("used") && !matches!(self.take(), Token::Word(_) | Token::Digits(_)) {
            return Err(self.unexpected("a time"));
        }
        Ok(())
    }

    /// What an object is called.
    pub(super) fn object_name(&mut self, of: &str) -> Result<String, ReadError> {
        if self.begins_field() && !matches!(self.peek_second(), Token::Newline | Token::Semicolon) {
            return self.expression().map(|expression| expression.to_string());
        }
        match self.peek() {
            Token::Word(name) | Token::Text(name) => {
                self.take();
                Ok(name.to_owned())
            }
            _ => Err(self.unexpected(&format!("the name of {of}"))),
        }
    }
}
