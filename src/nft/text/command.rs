//! Commands.

use std::borrow::Cow;

use super::lexer::Token;
use super::parser::{Parser, error_at};
use crate::nft::ast::TableName;
use crate::nft::{
    At, Beside, Chain, Command, Object, ReadError, ReadProblem, Reads, Rule, Script, Selects, Set,
    Table, TableFamily, Verb, refused, unknown,
};

/// Kinds of objects that do nothing unless a rule names them.
pub(super) const PASSIVE: [&str; 8] =
    ["counter", "quota", "limit", "secmark", "synproxy", "flowtable", "tunnel", "ct"];

/// Reads a script, and what of it cannot be: of each table what `selects` says.
pub(crate) fn read<'a>(text: &'a str, selects: &Selects<'_>) -> (Script<'a>, Vec<ReadError>) {
    commands(Parser::new(text), selects)
}

/// Reads a script all of which is for what is loaded, so that it may name rules by their handles.
pub(crate) fn read_update(text: &str) -> (Script<'_>, Vec<ReadError>) {
    let mut parser = Parser::new(text);
    parser.knows_handles = true;
    commands(parser, &|_, _| Reads::All)
}

fn commands<'a>(mut parser: Parser<'a>, selects: &Selects<'_>) -> (Script<'a>, Vec<ReadError>) {
    let mut commands = Vec::new();
    loop {
        parser.skip_ends();
        if parser.peek() == Token::Eof {
            let Parser { newer, elsewhere, errors, .. } = parser;
            return (Script { commands, newer, listed: Vec::new(), elsewhere }, errors);
        }
        let (at, start) = (parser.at(), parser.mark());
        match parser.command(selects) {
            Ok(Some((verb, object))) => commands.push(Command { at, verb, object }),
            Ok(None) => {}
            Err(error) => {
                parser.errors.push(error);
                parser.back_to(start);
                parser.skip_statement();
                // What closes no block would stay here.
                if parser.peek() == Token::Sign("}") {
                    parser.take();
                }
            }
        }
    }
}

/// What a word for a command does; a script may leave out `add`.
const fn verb(word: &str) -> Option<Verb> {
    Some(match word.as_bytes() {
        b"add" => Verb::Add,
        b"create" => Verb::Create,
        b"insert" => Verb::Insert,
        b"delete" => Verb::Delete,
        b"destroy" => Verb::Destroy,
        b"flush" => Verb::Flush,
        _ => return None,
    })
}

impl<'a> Parser<'a> {
    /// A command; `None` if nothing of it is to be read.
    fn command(&mut self, selects: &Selects<'_>) -> Result<Option<(Verb, Object<'a>)>, ReadError> {
        let at = self.at();
        let mut word = self.any_word("a command")?;
        let verb = verb(word);
        let mut kind_at = at;
        if verb.is_some() {
            kind_at = self.at();
            word = self.any_word("what the command is about")?;
        }
        let kind = word;
        let verb = verb.unwrap_or(Verb::Add);
        let unknown_kind = || error_at(kind_at, unknown("command or object", kind));
        if kind == "ruleset" && verb == Verb::Flush {
            let family = if self.is_end() { None } else { Some(self.any_word("a family")?) };
            self.end()?;
            return Ok(Some((verb, Object::Ruleset(family.map(Cow::Borrowed)))));
        }
        if PASSIVE.contains(&kind) {
            self.skip_statement();
            return Ok(Some((verb, Object::Passive)));
        }
        if !matches!(kind, "table" | "chain" | "rule" | "set" | "map" | "element") {
            return Err(unknown_kind());
        }
        let (start, errors) = (self.mark(), self.errors.len());
        let Some((table, reads)) = self.table_name(selects)? else {
            self.skip_statement();
            return Ok(None);
        };
        let object = self.object(kind_at, (verb, kind), table);
        if reads == Reads::All {
            return object.map(|object| Some((verb, object)));
        }
        // Nobody has to know what is wrong with what is left out.
        self.errors.truncate(errors);
        if object.is_err() {
            self.back_to(start);
            self.skip_statement();
        }
        Ok(object.ok().and_then(Object::hooks).map(|object| (verb, object)))
    }

    /// What a command is about that says the table.
    fn object(
        &mut self,
        kind_at: At,
        (verb, kind): (Verb, &str),
        table: TableName<'a>,
    ) -> Result<Object<'a>, ReadError> {
        let unknown_kind = || error_at(kind_at, unknown("command or object", kind));
        let object = match (kind, verb) {
            ("rule", Verb::Add | Verb::Insert) => self.rule_command(table)?,
            ("rule", Verb::Delete) if self.knows_handles => {
                let chain = self.name("a chain")?;
                self.word("handle")?;
                let handle = self.number("a handle")?.into();
                Object::Handle { table, chain, handle }
            }
            ("rule", _) => {
                let why = "rules are taken away by handles that the text does not show";
                let word = kind.to_owned();
                return Err(error_at(kind_at, ReadProblem::Inexact { word, why }));
            }
            (_, Verb::Insert) | ("element", Verb::Flush) => {
                return Err(unknown_kind());
            }
            ("table", _) => self.table_command(verb, table)?,
            ("chain", _) => self.chain_command(table)?,
            ("element", _) => {
                let set = self.name("a set")?;
                let elements = self.elements()?;
                Object::Elements { table, set, elements }
            }
            _ => self.set_command(verb, kind == "map", table)?,
        };
        self.end()?;
        Ok(object)
    }

    /// Family and name of a table, and what is to be read of it; `None` if nothing is.
    fn table_name(
        &mut self,
        selects: &Selects<'_>,
    ) -> Result<Option<(TableName<'a>, Reads)>, ReadError> {
        let family = match self.peek() {
            Token::Word(word @ ("ip" | "ip6" | "inet" | "arp" | "bridge" | "netdev")) => {
                self.take();
                word
            }
            _ => "ip",
        };
        let name = self.name("a table")?;
        let reads = selects(family, &name);
        let Some(family) = TableFamily::named(family) else {
            self.elsewhere.insert(format!("table {family} {name}"));
            return Ok(None);
        };
        Ok((reads != Reads::Nothing).then_some((TableName { family, name }, reads)))
    }

    /// The name of a table, a chain or a set. One that is a word of nft's own is listed, and cannot be
    /// loaded.
    pub(super) fn name(&mut self, of: &str) -> Result<Cow<'a, str>, ReadError> {
        match self.peek() {
            Token::Word(word) if word.contains(['*', '\\']) => {
                Err(self.error(refused(word, "it has what no name has")))
            }
            Token::Word(word) => {
                self.take();
                Ok(Cow::Borrowed(word))
            }
            _ => Err(self.unexpected(&format!("the name of {of}"))),
        }
    }

    fn table_command(&mut self, verb: Verb, name: TableName<'a>) -> Result<Object<'a>, ReadError> {
        let mut table = Table { name, flags: Vec::new(), sets: Vec::new(), chains: Vec::new() };
        if matches!(verb, Verb::Add | Verb::Create) && self.sign_is("{") {
            self.table_block(&mut table)?;
            return Ok(Object::Block(table));
        }
        Ok(Object::Table(table))
    }

    fn chain_command(&mut self, table: TableName<'a>) -> Result<Object<'a>, ReadError> {
        let at = self.at();
        let name = self.name("a chain")?;
        let mut chain = Chain::named(at, name);
        if self.sign_is("{") {
            self.chain_block(&mut chain)?;
        }
        if chain.rules.is_empty() {
            return Ok(Object::Chain { table, chain });
        }
        Ok(Object::Block(Table {
            name: table,
            flags: Vec::new(),
            sets: Vec::new(),
            chains: vec![chain],
        }))
    }

    fn set_command(
        &mut self,
        verb: Verb,
        is_map: bool,
        table: TableName<'a>,
    ) -> Result<Object<'a>, ReadError> {
        let name = self.name("a set")?;
        let set = if matches!(verb, Verb::Add | Verb::Create) {
            self.set_block(name, is_map)?
        } else {
            Set::named(name)
        };
        Ok(Object::Set { table, set })
    }

    fn rule_command(&mut self, table: TableName<'a>) -> Result<Object<'a>, ReadError> {
        let chain = self.name("a chain")?;
        let mut beside = None;
        match self.peek() {
            Token::Word("index") => {
                self.take();
                beside = Some(Beside::Index(self.number("the place of a rule")? as usize));
            }
            Token::Word("handle") if self.knows_handles => {
                self.take();
                beside = Some(Beside::Handle(self.number("a handle")?.into()));
            }
            Token::Word(word @ ("handle" | "position")) => {
                let why = "it stands for a place among rules that the text does not show";
                return Err(self.error(ReadProblem::Inexact { word: word.to_owned(), why }));
            }
            _ => {}
        }
        let rule = self.rule();
        Ok(Object::Rule { table, chain, beside, rule })
    }

    /// A rule, up to its end. One that cannot be read is passed over.
    pub(super) fn rule(&mut self) -> Rule<'a> {
        let start = self.mark();
        match self.statements() {
            Ok((statements, comment)) => {
                Rule::read(Ok(statements), comment.map(Cow::Borrowed), self.handle())
            }
            Err(error) => {
                // From its beginning, so that no brace of it is taken for one of a block.
                self.back_to(start);
                self.skip_statement();
                Rule::read(Err(error), None, None)
            }
        }
    }
}
