//! What stands between the braces of tables, chains and sets.

use std::borrow::Cow;

use super::command::PASSIVE;
use super::lexer::Token;
use super::parser::Parser;
use crate::ir::{Base, Hook};
use crate::nft::{Chain, Newer, ReadError, Set, SetType, Table, Target, bad, hook, kind, unknown};

/// Names of priorities, which nft lists instead of numbers: what they stand for, and the hooks at
/// which they do (nft 1.1.7; `dstnat` at output and `srcnat` at input since 1.0.9).
const PRIORITIES: [(&str, i32, &[Hook]); 6] = [
    ("raw", -300, &Hook::ALL),
    ("mangle", -150, &Hook::ALL),
    ("dstnat", -100, &[Hook::Prerouting, Hook::Output]),
    ("filter", 0, &Hook::ALL),
    ("security", 50, &Hook::ALL),
    ("srcnat", 100, &[Hook::Postrouting, Hook::Input]),
];

impl<'a> Parser<'a> {
    /// What is in a table, behind its `{`. A part that cannot be read is passed over.
    pub(super) fn table_block(&mut self, table: &mut Table<'a>) -> Result<(), ReadError> {
        loop {
            self.skip_ends();
            if self.sign_is("}") {
                return Ok(());
            }
            if self.peek() == Token::Eof {
                return Err(self.unexpected("`}`"));
            }
            let start = self.mark();
            let part = self.table_part(table);
            if let Err(error) = part.and_then(|()| self.end()) {
                self.errors.push(error);
                self.back_to(start);
                self.skip_statement();
            }
        }
    }

    fn table_part(&mut self, table: &mut Table<'a>) -> Result<(), ReadError> {
        let at = self.at();
        match self.any_word("what is in a table")? {
            "chain" => {
                let at = self.at();
                let name = self.name("a chain")?;
                let mut chain = Chain::named(at, name);
                self.sign("{")?;
                let read = self.chain_block(&mut chain);
                table.chains.push(chain);
                read
            }
            word @ ("set" | "map") => {
                let name = self.name("a set")?;
                table.sets.push(self.set_block(name, word == "map")?);
                Ok(())
            }
            "flags" => {
                table.flags.extend(self.words("a flag")?);
                Ok(())
            }
            "comment" => self.text().map(drop),
            word if PASSIVE.contains(&word) => {
                if word == "ct" {
                    self.any_word("a kind of object")?;
                }
                self.name("an object")?;
                if self.peek() != Token::Sign("{") {
                    return Err(self.unexpected("`{`"));
                }
                self.skip_statement();
                Ok(())
            }
            word => Err(super::parser::error_at(at, unknown("part of a table", word))),
        }
    }

    /// Words with commas between.
    fn words(&mut self, wanted: &str) -> Result<Vec<Cow<'a, str>>, ReadError> {
        let mut words = vec![Cow::Borrowed(self.any_word(wanted)?)];
        while self.sign_is(",") {
            words.push(Cow::Borrowed(self.any_word(wanted)?));
        }
        Ok(words)
    }

    /// What is in a chain, behind its `{`.
    pub(super) fn chain_block(&mut self, chain: &mut Chain<'a>) -> Result<(), ReadError> {
        let mut hooked = false;
        let mut said = false;
        loop {
            self.skip_ends();
            if self.sign_is("}") {
                return Ok(());
            }
            let read = match self.peek() {
                Token::Eof => return Err(self.unexpected("`}`")),
                Token::Word("type") => {
                    hooked = true;
                    self.base(chain)
                }
                Token::Word("policy") if !hooked => {
                    Err(error_behind(self, crate::nft::needs("policy", "a hook")))
                }
                Token::Word("policy") => self.policy(chain),
                Token::Word("comment") if matches!(self.peek_second(), Token::Text(_)) => {
                    self.take();
                    match self.text() {
                        Ok(text) if std::mem::replace(&mut said, true) => {
                            Err(self.error(bad("comment", &text, "the chain has one already")))
                        }
                        read => read.map(drop),
                    }
                }
                _ => {
                    let rule = self.rule();
                    chain.rules.push(rule);
                    Ok(())
                }
            };
            if let Err(error) = read.and_then(|()| self.end()) {
                self.errors.push(error);
                self.skip_statement();
            }
        }
    }

    /// `type nat hook output priority -100`.
    fn base(&mut self, chain: &mut Chain<'a>) -> Result<(), ReadError> {
        self.word("type")?;
        let kind = self.known("a type of chain", "type of chain", kind)?;
        self.word("hook")?;
        if self.word_is("ingress") || self.word_is("egress") {
            chain.is_elsewhere = true;
            self.skip_statement();
            return Ok(());
        }
        let hook = self.known("a hook", "hook", hook)?;
        self.word("priority")?;
        let priority = self.priority(hook)?;
        chain.base = Some(Base { kind, hook, priority });
        Ok(())
    }

    /// A word that must be one of some.
    fn known<T>(
        &mut self,
        wanted: &str,
        what: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ReadError> {
        match self.peek() {
            Token::Word(word) => match read(word) {
                Some(known) => {
                    self.take();
                    Ok(known)
                }
                None => Err(self.error(unknown(what, word))),
            },
            _ => Err(self.unexpected(wanted)),
        }
    }

    /// A number, or a name with a number more or less.
    fn priority(&mut self, at: Hook) -> Result<i32, ReadError> {
        let (start, token) = (self.at(), self.peek());
        let mut base = 0;
        if let Token::Word(word) = self.peek() {
            let is_it =
                |(name, _, hooks): &&(&str, i32, &[Hook])| *name == word && hooks.contains(&at);
            let known = PRIORITIES.iter().find(is_it);
            base = known.ok_or_else(|| self.error(unknown("priority at this hook", word)))?.1;
            if matches!((word, at), ("dstnat", Hook::Output) | ("srcnat", Hook::Input)) {
                let since = Target::new(1, 0, 9);
                self.newer.push(Newer { at: self.at(), word: "priority", since });
            }
            self.take();
            if self.is_end() {
                return Ok(base);
            }
            if self.peek() != Token::Sign("-") {
                self.sign("+")?;
            }
        }
        let minus = self.sign_is("-");
        let number = i64::from(self.number("a priority")?);
        let number = i64::from(base) + if minus { -number } else { number };
        let too_long = |_| bad("priority", &token, "not an integer of 32 bits");
        i32::try_from(number).map_err(|error| super::parser::error_at(start, too_long(error)))
    }

    fn policy(&mut self, chain: &mut Chain<'a>) -> Result<(), ReadError> {
        self.word("policy")?;
        if let (Some(_), Token::Word(word)) = (chain.drops, self.peek()) {
            return Err(self.error(bad("policy", word, "the chain has one already")));
        }
        let known = |word: &str| match word {
            "accept" => Some(false),
            "drop" => Some(true),
            _ => None,
        };
        chain.drops = Some(self.known("a policy", "policy", known)?);
        Ok(())
    }

    /// A set or a map with what is in its braces.
    pub(super) fn set_block(
        &mut self,
        name: Cow<'a, str>,
        is_map: bool,
    ) -> Result<Set<'a>, ReadError> {
        let at = self.at();
        self.sign("{")?;
        let mut of = None;
        let mut set = Set::named(name);
        loop {
            self.skip_ends();
            if self.sign_is("}") {
                break;
            }
            self.set_part(&mut set, &mut of, is_map)?;
            self.end()?;
        }
        let missing = || super::parser::error_at(at, crate::nft::needs("set", "a type"));
        set.of = of.ok_or_else(missing)?;
        Ok(set)
    }

    fn set_part(
        &mut self,
        set: &mut Set<'a>,
        of: &mut Option<SetType<'a>>,
        is_map: bool,
    ) -> Result<(), ReadError> {
        let at = self.at();
        match self.any_word("what is in a set")? {
            "type" => {
                let mut words = vec![self.any_word("a type")?];
                while self.sign_is(".") {
                    words.push(self.any_word("a type")?);
                }
                let name = match words[..] {
                    [word] => Cow::Borrowed(word),
                    _ => Cow::Owned(words.join(" . ")),
                };
                *of = Some(SetType::Named(name));
                self.map_type(set, is_map)?;
            }
            "typeof" => {
                let field = self.expression()?;
                *of = Some(SetType::Of(field));
                self.map_type(set, is_map)?;
            }
            "flags" => set.flags.extend(self.words("a flag")?),
            "timeout" => {
                self.take();
                set.flags.push(Cow::Borrowed("timeout"));
            }
            "size" => set.size = Some(self.number("a number of elements")?),
            "gc-interval" | "policy" => {
                self.take();
            }
            "auto-merge" => set.auto_merge = true,
            "comment" => self.text().map(drop)?,
            "counter" => self.counts()?,
            "limit" | "quota" | "ct" | "last" => {
                self.skip_statement();
                set.elements.limits = true;
            }
            "elements" => {
                self.sign("=")?;
                let limits = set.elements.limits;
                set.elements = self.named_elements();
                set.elements.limits |= limits;
            }
            word => return Err(super::parser::error_at(at, unknown("part of a set", word))),
        }
        Ok(())
    }

    fn map_type(&mut self, set: &mut Set<'a>, is_map: bool) -> Result<(), ReadError> {
        if is_map {
            self.sign(":")?;
            // `verdict` is a word; of values, nothing more has to be known.
            let first = self.any_word("what the keys lead to")?;
            set.map = Some(Cow::Borrowed(first));
            if !self.is_end() {
                self.skip_statement();
            }
        }
        Ok(())
    }
}

/// What is wrong with the token behind the next one.
fn error_behind(parser: &mut Parser<'_>, problem: crate::nft::ReadProblem) -> ReadError {
    parser.take();
    parser.error(problem)
}
