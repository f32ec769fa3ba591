//! Commands of JSON.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::field::operator;
use super::object::{Object, only, text, texts};
use super::tree::{Json, Kind, Tree, stream};
use super::{rule, value};
use crate::ir::Base;
use crate::nft::ast::TableName;
use crate::nft::problem::{self, brief};
use crate::nft::{
    At, Beside, Chain, Command, Elements, Newer, Object as Subject, Place, ReadError, ReadProblem,
    Reads, Rule, Script, Selects, Set, Table, TableFamily, Target, Verb, bad, hook, kind, unknown,
};

/// Objects that do nothing unless a rule names them.
const PASSIVE: [&str; 11] = [
    "counter",
    "quota",
    "limit",
    "secmark",
    "synproxy",
    "flowtable",
    "tunnel",
    "ct helper",
    "ct timeout",
    "ct expectation",
    "ct count",
];

/// Reads a text, and what of it cannot be: of each table what `selects` says.
pub(crate) fn read<'a>(text: &'a str, selects: &Selects<'_>) -> (Script<'a>, Vec<ReadError>) {
    let (mut script, mut errors) = (Script::default(), Vec::new());
    let mut number = 0;
    let read = stream(text, DOCUMENT, |json| {
        number += 1;
        let at = At::Command(number);
        let Script { commands, newer: spellings, listed, elsewhere } = &mut script;
        match (Reader { selects, at, elsewhere }).command(json) {
            Ok(Some((verb, object))) => {
                commands.push(Command { at, verb, object });
                listed.extend(has_text(json).then_some(at));
                spellings.extend(newer(json).map(|(word, since)| Newer { at, word, since }));
            }
            Ok(None) => {}
            Err(problem) => errors.push(ReadError { at: at.into(), problem }),
        }
    });
    match read {
        Some(()) => (script, errors),
        None => {
            (Script::default(), vec![ReadError { at: Place::Text, problem: no_document(text) }])
        }
    }
}

/// The key under which a document has its commands.
const DOCUMENT: &str = "nftables";

/// Why a text is no document.
fn no_document(text: &str) -> ReadProblem {
    let tree = match Tree::read(text) {
        Ok(tree) => tree,
        Err(error) => return ReadProblem::NotJson { why: error.to_string() },
    };
    let json = tree.root();
    match only(json, "document") {
        Ok((DOCUMENT, list)) => bad(DOCUMENT, &list, "not a list of commands"),
        Ok(_) => ReadProblem::Unknown { what: "document", word: brief(json.to_string()) },
        Err(problem) => problem,
    }
}

/// What of a command not every nft takes, and which does.
fn newer(command: Json<'_, '_>) -> Option<(&'static str, Target)> {
    let object = ["add", "create", "insert"].iter().find_map(|verb| command.get(verb));
    let object = object.unwrap_or(command);
    let set = object.get("set").or_else(|| object.get("map"));
    if set.and_then(|set| set.get("flags")).is_some_and(|flags| flags.text().is_some()) {
        // Older ones pass over what is no list.
        return Some(("flags", Target::new(1, 1, 4)));
    }
    let rule = object.get("rule").and_then(|rule| rule.get("expr"))?;
    let is_any = rule.has_text(|text| operator(text).is_some()) && combines_three(rule);
    is_any.then_some(("operands", Target::new(1, 1, 0)))
}

/// Whether a statement of a rule stands there as a script has it.
fn has_text(command: Json<'_, '_>) -> bool {
    let object = ["add", "create", "insert"].iter().find_map(|verb| command.get(verb));
    let statements = object.unwrap_or(command).get("rule").and_then(|rule| rule.get("expr"));
    let mut statements = statements.and_then(Json::list).into_iter().flatten();
    statements.any(|statement| statement.text().is_some())
}

/// Whether an operator has more than two operands somewhere.
fn combines_three(json: Json<'_, '_>) -> bool {
    match json.kind() {
        Kind::List(mut list) => list.any(combines_three),
        Kind::Object(mut entries) => entries.any(|(key, value)| {
            let is_longer = value.list().is_some_and(|operands| operands.len() > 2);
            is_longer && operator(key).is_some() || combines_three(value)
        }),
        _ => false,
    }
}

struct Reader<'l, 's> {
    selects: &'l Selects<'l>,
    at: At,
    /// What no IP packet meets at a hook that can be read.
    elsewhere: &'s mut BTreeSet<String>,
}

type Read<'a> = Result<Option<(Verb, Subject<'a>)>, ReadProblem>;

impl Reader<'_, '_> {
    /// A command; `None` if nothing of it is to be read.
    fn command<'a>(&mut self, command: Json<'a, '_>) -> Read<'a> {
        let (word, body) = only(command, "command")?;
        let verb = match word {
            "metainfo" => return metainfo(body).map(|()| None),
            "add" => Verb::Add,
            "create" => Verb::Create,
            "insert" => Verb::Insert,
            "delete" => Verb::Delete,
            "destroy" => Verb::Destroy,
            "flush" => Verb::Flush,
            // What is listed, and an object alone, is there afterwards.
            _ => return self.object(Verb::Add, true, word, body),
        };
        let (kind, body) = only(body, "object")?;
        self.object(verb, false, kind, body)
    }

    fn object<'a>(
        &mut self,
        verb: Verb,
        is_listed: bool,
        kind: &str,
        body: Json<'a, '_>,
    ) -> Read<'a> {
        if kind == "ruleset" && verb == Verb::Flush {
            let family = if body.is_null() {
                None
            } else {
                Some(Object::read("ruleset", body, &["family"])?.text("family")?)
            };
            return Ok(Some((verb, Subject::Ruleset(family))));
        }
        if PASSIVE.contains(&kind) {
            return Ok(Some((verb, Subject::Passive)));
        }
        if !matches!(kind, "table" | "chain" | "rule" | "set" | "map" | "element") {
            let what = match verb {
                Verb::Flush => "object to flush",
                _ if is_listed => "command or object",
                _ => "object",
            };
            return Err(unknown(what, kind));
        }
        if verb == Verb::Insert && kind != "rule" {
            return Err(unknown("object to insert", kind));
        }
        let key = if kind == "table" { "name" } else { "table" };
        let (family, table) = (body.get("family"), body.get(key));
        let (Some(family), Some(table)) = (family.and_then(Json::text), table.and_then(Json::text))
        else {
            return self.whole(verb, is_listed, kind, body);
        };
        if problem::is_elsewhere(family)? {
            self.elsewhere.insert(format!("table {family} {table}"));
            return Ok(None);
        }
        match (self.selects)(family, table) {
            Reads::All => self.whole(verb, is_listed, kind, body),
            Reads::Nothing => Ok(None),
            // Nobody has to know what is wrong with what is left out.
            Reads::Hooks => {
                let read = self.whole(verb, is_listed, kind, body).ok().flatten();
                Ok(read.and_then(|(verb, object)| Some((verb, object.hooks()?))))
            }
        }
    }

    /// What a command about a table says, all of it.
    fn whole<'a>(
        &mut self,
        verb: Verb,
        is_listed: bool,
        kind: &str,
        body: Json<'a, '_>,
    ) -> Read<'a> {
        let removes = matches!(verb, Verb::Delete | Verb::Destroy | Verb::Flush);
        let object = match kind {
            "table" => table(body)?,
            "chain" if removes => named_chain(body)?,
            "chain" => self.chain(body)?,
            "rule" if removes => {
                let why = "rules are taken away by handles that the text does not show";
                return Err(ReadProblem::Inexact { word: kind.to_owned(), why });
            }
            "rule" => self.rule(body, is_listed)?,
            "element" if verb == Verb::Flush => return Err(unknown("object to flush", kind)),
            "element" => element(body)?,
            _ if removes => named_set(body)?,
            _ => self.set(kind == "map", body)?,
        };
        Ok(Some((verb, object)))
    }

    fn chain<'a>(&self, body: Json<'a, '_>) -> Result<Subject<'a>, ReadProblem> {
        const KEYS: [&str; 10] = [
            "family", "table", "name", "handle", "comment", "type", "hook", "prio", "policy", "dev",
        ];
        let fields = Object::read("chain", body, &KEYS)?;
        let name = fields.text("name")?;
        let is_elsewhere = ["ingress", "egress"]
            .iter()
            .any(|hook| fields.get("hook").and_then(Json::text) == Some(*hook));
        if is_elsewhere {
            let chain = Chain { is_elsewhere, ..Chain::named(self.at, name) };
            return Ok(Subject::Chain { table: within(fields)?, chain });
        }
        if fields.get("dev").is_some() {
            return Err(ReadProblem::UnknownKey { of: "chain", key: "dev".to_owned() });
        }
        let base = base(fields)?;
        let policy = fields.get("policy").map(|policy| text("policy", policy)).transpose()?;
        let drops = match policy.as_deref() {
            None => None,
            Some("accept") => Some(false),
            Some("drop") if base.is_some() => Some(true),
            Some(word) => return Err(unknown("policy", word)),
        };
        let chain = Chain { base, drops, ..Chain::named(self.at, name) };
        Ok(Subject::Chain { table: within(fields)?, chain })
    }

    fn rule<'a>(&self, body: Json<'a, '_>, is_listed: bool) -> Result<Subject<'a>, ReadProblem> {
        const KEYS: [&str; 7] = ["family", "table", "chain", "handle", "index", "expr", "comment"];
        let fields = Object::read("rule", body, &KEYS)?;
        if !is_listed && fields.get("handle").is_some() {
            let why = "it stands for a place among rules that the text does not show";
            return Err(ReadProblem::Inexact { word: "handle".to_owned(), why });
        }
        let index = match fields.get("index").map(|index| (index, index.kind())) {
            None => None,
            Some((_, Kind::Number(index))) => Some(index as usize),
            Some((other, _)) => {
                return Err(bad("index", &other, "not a number of at most 32 bits"));
            }
        };
        let beside = index.map(Beside::Index);
        let (chain, statements) = (fields.text("chain")?, fields.need("expr")?);
        let comment = fields.get("comment").map(|comment| text("comment", comment)).transpose()?;
        let statements = rule::statements(statements, self.at)
            .map_err(|problem| ReadError { at: self.at.into(), problem });
        let rule = Rule::read(statements, comment, fields.number("handle").map(u64::from));
        Ok(Subject::Rule { table: within(fields)?, chain, beside, rule })
    }

    fn set<'a>(&self, is_map: bool, body: Json<'a, '_>) -> Result<Subject<'a>, ReadProblem> {
        const KEYS: [&str; 16] = [
            "family",
            "table",
            "name",
            "handle",
            "comment",
            "type",
            "flags",
            "elem",
            "policy",
            "size",
            "gc-interval",
            "timeout",
            "auto-merge",
            "stmt",
            "count",
            "map",
        ];
        let (of, known) = if is_map { ("map", &KEYS[..]) } else { ("set", &KEYS[..15]) };
        let fields = Object::read(of, body, known)?;
        let mut flags =
            fields.get("flags").map_or(Ok(Vec::new()), |flags| texts("flags", flags))?;
        if fields.get("timeout").is_some() {
            flags.push(Cow::Borrowed("timeout"));
        }
        let map = is_map.then(|| value::map_type(fields.need("map")?)).transpose()?;
        let elements = fields.get("elem").map(value::elements).transpose();
        let unread = |problem| Elements::unread(ReadError { at: self.at.into(), problem });
        let mut elements = elements.map_or_else(unread, Option::unwrap_or_default);
        let limits = ["limit", "quota", "ct count"];
        elements.limits |= fields.get("stmt").and_then(Json::list).is_some_and(|mut statements| {
            statements.any(|one| limits.iter().any(|limit| one.get(limit).is_some()))
        });
        let set = Set {
            name: fields.text("name")?,
            of: value::set_type(fields.need("type")?)?,
            map,
            flags,
            auto_merge: fields.get("auto-merge").is_some(),
            size: fields.number("size"),
            elements,
        };
        Ok(Subject::Set { table: within(fields)?, set })
    }
}

fn metainfo(body: Json<'_, '_>) -> Result<(), ReadProblem> {
    let known = ["version", "release_name", "json_schema_version"];
    let fields = Object::read("metainfo", body, &known)?;
    match fields.get("json_schema_version") {
        Some(version) if !matches!(version.kind(), Kind::Number(1)) => {
            Err(bad("json_schema_version", &version, "only 1 is known"))
        }
        _ => Ok(()),
    }
}

/// The table that an object is of, or is.
fn table_name<'a>(fields: Object<'a, '_>, key: &'static str) -> Result<TableName<'a>, ReadProblem> {
    let (family, name) = (fields.text("family")?, fields.text(key)?);
    let family = TableFamily::named(&family).ok_or_else(|| unknown("family", &family))?;
    Ok(TableName { family, name })
}

fn within<'a>(fields: Object<'a, '_>) -> Result<TableName<'a>, ReadProblem> {
    table_name(fields, "table")
}

fn table<'a>(body: Json<'a, '_>) -> Result<Subject<'a>, ReadProblem> {
    let fields = Object::read("table", body, &["family", "name", "handle", "comment", "flags"])?;
    let flags = fields.get("flags").map_or(Ok(Vec::new()), |flags| texts("flags", flags))?;
    let name = table_name(fields, "name")?;
    Ok(Subject::Table(Table { name, flags, sets: Vec::new(), chains: Vec::new() }))
}

/// A chain that goes, or is emptied: it may be described as it is added.
fn named_chain<'a>(body: Json<'a, '_>) -> Result<Subject<'a>, ReadProblem> {
    let fields = Object::read("object", body, &["family", "table", "name", "handle", "type"])?;
    let chain = Chain::named(At::Nowhere, fields.text("name")?);
    Ok(Subject::Chain { table: within(fields)?, chain })
}

fn named_set<'a>(body: Json<'a, '_>) -> Result<Subject<'a>, ReadProblem> {
    let fields = Object::read("object", body, &["family", "table", "name", "handle", "type"])?;
    let set = Set::named(fields.text("name")?);
    Ok(Subject::Set { table: within(fields)?, set })
}

fn element<'a>(body: Json<'a, '_>) -> Result<Subject<'a>, ReadProblem> {
    let fields = Object::read("element", body, &["family", "table", "name", "elem"])?;
    let set = fields.text("name")?;
    let elements = fields.get("elem").map(value::elements).transpose()?.unwrap_or_default();
    Ok(Subject::Elements { table: within(fields)?, set, elements })
}

/// Where the kernel enters a chain, if it says so.
fn base(fields: Object<'_, '_>) -> Result<Option<Base>, ReadProblem> {
    if ["type", "hook", "prio"].iter().all(|key| fields.get(key).is_none()) {
        return Ok(None);
    }
    let word = fields.text("type")?;
    let kind = kind(&word).ok_or_else(|| unknown("type of chain", &word))?;
    let word = fields.text("hook")?;
    let hook = hook(&word).ok_or_else(|| unknown("hook", &word))?;
    let prio = fields.need("prio")?;
    // With anything but an integer, nft 0.9.8 to 1.1.7 makes a chain that the kernel never enters.
    let priority = match prio.kind() {
        Kind::Number(number) => i32::try_from(number).ok(),
        Kind::OtherNumber => prio.to_string().parse().ok(),
        _ => None,
    };
    let priority = priority.ok_or_else(|| bad("prio", &prio, "not an integer of 32 bits"))?;
    Ok(Some(Base { kind, hook, priority }))
}
