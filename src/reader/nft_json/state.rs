//! Commands, run on an empty ruleset.

use serde_json::Value;

use super::object::{Object, bad, only, text, texts};
use super::{Options, Place, ReadError, ReadProblem};
use crate::ir::{Base, ChainKind, Hook};
use crate::net::Families;

/// A table as it is behind all commands, its rules unread.
pub(super) struct Table<'a> {
    pub(super) family: &'a str,
    pub(super) name: &'a str,
    pub(super) chains: Vec<Chain<'a>>,
    pub(super) sets: Vec<Set<'a>>,
}

pub(super) struct Chain<'a> {
    pub(super) name: &'a str,
    pub(super) base: Option<Base>,
    /// Whether a packet that comes to the end is dropped.
    pub(super) drops: bool,
    /// The statements of each rule.
    pub(super) rules: Vec<&'a Value>,
}

/// A named set, or a map.
pub(super) struct Set<'a> {
    pub(super) name: &'a str,
    /// What its elements, or keys, are.
    pub(super) of: &'a Value,
    /// What its keys lead to: nothing, in a set.
    pub(super) map: Option<&'a Value>,
    pub(super) flags: Vec<&'a str>,
    pub(super) elements: Vec<&'a Value>,
}

impl Table<'_> {
    /// As nft calls it: `inet filter`.
    pub(super) fn full_name(&self) -> String {
        format!("{} {}", self.family, self.name)
    }

    pub(super) fn families(&self) -> Families {
        match self.family {
            "ip" => Families::Ipv4,
            "ip6" => Families::Ipv6,
            _ => Families::Both,
        }
    }
}

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

/// Runs the commands; what cannot be run is in `errors`.
pub(super) fn run<'a>(
    commands: &'a [Value],
    options: &Options,
    errors: &mut Vec<ReadError>,
) -> Vec<Table<'a>> {
    let mut state = State { options, tables: Vec::new() };
    for (at, command) in commands.iter().enumerate() {
        if let Err(problem) = state.command(command) {
            errors.push(ReadError { at: Place::Command(at + 1), problem });
        }
    }
    state.tables
}

/// How an object is to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// It is listed, which makes it as `add` does; its handle is only its name.
    List,
    Add,
    Create,
    Insert,
}

struct State<'a, 'o> {
    options: &'o Options,
    tables: Vec<Table<'a>>,
}

impl<'a> State<'a, '_> {
    fn command(&mut self, command: &'a Value) -> Result<(), ReadProblem> {
        let (word, body) = only(command, "command")?;
        let verb = match word {
            "metainfo" => return metainfo(body),
            "add" => Verb::Add,
            "create" => Verb::Create,
            "insert" => Verb::Insert,
            "flush" | "delete" | "destroy" => {
                let (kind, body) = only(body, "object")?;
                return match (word, kind) {
                    ("flush", "ruleset") if body.is_null() => {
                        self.tables.clear();
                        Ok(())
                    }
                    _ if self.is_left_out(kind, body) => Ok(()),
                    ("flush", _) => self.flush(kind, body),
                    _ => self.delete(kind, body, word == "destroy"),
                };
            }
            _ => return self.put(Verb::List, word, body),
        };
        let (kind, body) = only(body, "object")?;
        self.put(verb, kind, body)
    }

    /// Whether the object is of a table that is someone else's.
    fn is_left_out(&self, kind: &str, body: &Value) -> bool {
        let key = if kind == "table" { "name" } else { "table" };
        match (body["family"].as_str(), body[key].as_str()) {
            (Some(family), Some(table)) => self.options.leaves_out(family, table),
            _ => false,
        }
    }

    fn put(&mut self, verb: Verb, kind: &'a str, body: &'a Value) -> Result<(), ReadProblem> {
        let is_object = matches!(kind, "table" | "chain" | "rule" | "set" | "map" | "element");
        if !is_object && !PASSIVE.contains(&kind) {
            let what = if verb == Verb::List { "command or object" } else { "object" };
            return Err(ReadProblem::Unknown { what, word: kind.to_owned() });
        }
        if verb == Verb::Insert && kind != "rule" {
            return Err(ReadProblem::Unknown { what: "object to insert", word: kind.to_owned() });
        }
        if !is_object || self.is_left_out(kind, body) {
            return Ok(());
        }
        match kind {
            "table" => self.put_table(verb, body),
            "chain" => self.put_chain(verb, body),
            "rule" => self.put_rule(verb, body),
            "element" => self.put_elements(body),
            _ => self.put_set(verb, kind == "map", body),
        }
    }

    fn put_table(&mut self, verb: Verb, body: &'a Value) -> Result<(), ReadProblem> {
        let fields =
            Object::read("table", body, &["family", "name", "handle", "comment", "flags"])?;
        let (family, name) = (family(fields)?, fields.text("name")?);
        for flag in fields.get("flags").map_or(Ok(Vec::new()), |flags| texts("flags", flags))? {
            match flag {
                "owner" | "persist" => {}
                "dormant" => {
                    let why = "its chains are switched off";
                    return Err(ReadProblem::Inexact { word: flag.to_owned(), why });
                }
                _ => return Err(ReadProblem::Unknown { what: "flag", word: flag.to_owned() }),
            }
        }
        match self.find(family, name) {
            Ok(_) if verb == Verb::Create => Err(exists("table", name)),
            Ok(_) => Ok(()),
            Err(_) => {
                self.tables.push(Table { family, name, chains: Vec::new(), sets: Vec::new() });
                Ok(())
            }
        }
    }

    fn put_chain(&mut self, verb: Verb, body: &'a Value) -> Result<(), ReadProblem> {
        const KEYS: [&str; 9] =
            ["family", "table", "name", "handle", "comment", "type", "hook", "prio", "policy"];
        let fields = Object::read("chain", body, &KEYS)?;
        let name = fields.text("name")?;
        let base = base(fields)?;
        let policy = fields.get("policy").map(|policy| text("policy", policy)).transpose()?;
        let drops = match policy {
            None | Some("accept") => false,
            Some("drop") if base.is_some() => true,
            Some(word) => {
                return Err(ReadProblem::Unknown { what: "policy", word: word.to_owned() });
            }
        };
        let table = self.table(fields)?;
        match table.chains.iter_mut().find(|chain| chain.name == name) {
            Some(_) if verb == Verb::Create => Err(exists("chain", name)),
            Some(chain) if base.is_some() && base != chain.base => Err(exists("chain", name)),
            Some(chain) => {
                chain.drops = if policy.is_some() { drops } else { chain.drops };
                Ok(())
            }
            None => {
                table.chains.push(Chain { name, base, drops, rules: Vec::new() });
                Ok(())
            }
        }
    }

    fn put_rule(&mut self, verb: Verb, body: &'a Value) -> Result<(), ReadProblem> {
        let fields =
            Object::read("rule", body, &["family", "table", "chain", "handle", "expr", "comment"])?;
        if verb != Verb::List && fields.get("handle").is_some() {
            let why = "it stands for a place among rules that the text does not show";
            return Err(ReadProblem::Inexact { word: "handle".to_owned(), why });
        }
        let (name, statements) = (fields.text("chain")?, fields.need("expr")?);
        let chain = self.chain(fields, name)?;
        let at = if verb == Verb::Insert { 0 } else { chain.rules.len() };
        chain.rules.insert(at, statements);
        Ok(())
    }

    fn put_set(&mut self, verb: Verb, is_map: bool, body: &'a Value) -> Result<(), ReadProblem> {
        const KEYS: [&str; 15] = [
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
            "map",
        ];
        let (of, known) = if is_map { ("map", &KEYS[..]) } else { ("set", &KEYS[..14]) };
        let fields = Object::read(of, body, known)?;
        let mut flags =
            fields.get("flags").map_or(Ok(Vec::new()), |flags| texts("flags", flags))?;
        if fields.get("timeout").is_some() {
            flags.push("timeout");
        }
        let set = Set {
            name: fields.text("name")?,
            of: fields.need("type")?,
            map: is_map.then(|| fields.need("map")).transpose()?,
            flags,
            elements: elements(fields),
        };
        let table = self.table(fields)?;
        match table.sets.iter_mut().find(|known| known.name == set.name) {
            Some(_) if verb == Verb::Create => Err(exists("set", set.name)),
            Some(known) if (known.of, known.map) != (set.of, set.map) => {
                Err(exists("set", set.name))
            }
            Some(known) => {
                known.elements.extend(set.elements);
                Ok(())
            }
            None => {
                table.sets.push(set);
                Ok(())
            }
        }
    }

    fn put_elements(&mut self, body: &'a Value) -> Result<(), ReadProblem> {
        let fields = Object::read("element", body, &["family", "table", "name", "elem"])?;
        let elements = elements(fields);
        self.set(fields)?.elements.extend(elements);
        Ok(())
    }

    fn flush(&mut self, kind: &str, body: &'a Value) -> Result<(), ReadProblem> {
        let fields = Object::read("flush", body, &["family", "table", "name", "handle"])?;
        match kind {
            "table" => {
                let at = self.find(family(fields)?, fields.text("name")?)?;
                self.tables[at].chains.iter_mut().for_each(|chain| chain.rules.clear());
            }
            "chain" => self.chain(fields, fields.text("name")?)?.rules.clear(),
            "set" | "map" => self.set(fields)?.elements.clear(),
            _ => {
                return Err(ReadProblem::Unknown {
                    what: "object to flush",
                    word: kind.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Takes an object away; `lenient`, if it may be gone already.
    fn delete(&mut self, kind: &str, body: &'a Value, lenient: bool) -> Result<(), ReadProblem> {
        // A chain or a set may be described as it is added.
        let fields = match kind {
            "table" => Object::read("table", body, &["family", "name", "handle", "comment"])?,
            "element" => Object::read("element", body, &["family", "table", "name", "elem"])?,
            "chain" | "set" | "map" => {
                Object::read("object", body, &["family", "table", "name", "handle", "type"])?
            }
            "rule" => {
                let why = "rules are taken away by handles that the text does not show";
                return Err(ReadProblem::Inexact { word: kind.to_owned(), why });
            }
            _ if PASSIVE.contains(&kind) => return Ok(()),
            _ => return Err(ReadProblem::Unknown { what: "object", word: kind.to_owned() }),
        };
        match self.delete_named(kind, fields) {
            Err(ReadProblem::Absent { .. }) if lenient => Ok(()),
            done => done,
        }
    }

    fn delete_named(&mut self, kind: &str, fields: Object<'a>) -> Result<(), ReadProblem> {
        let name = fields.text("name")?;
        match kind {
            "table" => {
                let at = self.find(family(fields)?, name)?;
                self.tables.remove(at);
            }
            "chain" => {
                self.chain(fields, name)?;
                self.table(fields)?.chains.retain(|chain| chain.name != name);
            }
            "element" => {
                let set = self.set(fields)?;
                for element in elements(fields) {
                    let at = set.elements.iter().position(|known| *known == element);
                    let at = at.ok_or_else(|| bad("elem", element, "the set does not have it"))?;
                    set.elements.remove(at);
                }
            }
            _ => {
                self.set(fields)?;
                self.table(fields)?.sets.retain(|set| set.name != name);
            }
        }
        Ok(())
    }

    fn find(&self, family: &str, name: &str) -> Result<usize, ReadProblem> {
        let is_it = |table: &Table<'_>| table.family == family && table.name == name;
        let absent = || absent("table", &format!("{family} {name}"));
        self.tables.iter().position(is_it).ok_or_else(absent)
    }

    /// The table that an object says it is of.
    fn table(&mut self, fields: Object<'a>) -> Result<&mut Table<'a>, ReadProblem> {
        let at = self.find(family(fields)?, fields.text("table")?)?;
        Ok(&mut self.tables[at])
    }

    fn chain(&mut self, fields: Object<'a>, name: &str) -> Result<&mut Chain<'a>, ReadProblem> {
        let chains = &mut self.table(fields)?.chains;
        chains.iter_mut().find(|chain| chain.name == name).ok_or_else(|| absent("chain", name))
    }

    fn set(&mut self, fields: Object<'a>) -> Result<&mut Set<'a>, ReadProblem> {
        let name = fields.text("name")?;
        let sets = &mut self.table(fields)?.sets;
        sets.iter_mut().find(|set| set.name == name).ok_or_else(|| absent("set", name))
    }
}

fn exists(what: &'static str, name: &str) -> ReadProblem {
    ReadProblem::Exists { what, name: name.to_owned() }
}

pub(super) fn absent(what: &'static str, name: &str) -> ReadProblem {
    ReadProblem::Absent { what, name: name.to_owned() }
}

fn metainfo(body: &Value) -> Result<(), ReadProblem> {
    let known = ["version", "release_name", "json_schema_version"];
    let fields = Object::read("metainfo", body, &known)?;
    match fields.get("json_schema_version") {
        Some(version) if *version != 1 => {
            Err(bad("json_schema_version", version, "only 1 is known"))
        }
        _ => Ok(()),
    }
}

fn family(fields: Object<'_>) -> Result<&str, ReadProblem> {
    match fields.text("family")? {
        family @ ("ip" | "ip6" | "inet") => Ok(family),
        word => Err(ReadProblem::Unknown { what: "family", word: word.to_owned() }),
    }
}

fn elements(fields: Object<'_>) -> Vec<&Value> {
    match fields.get("elem") {
        None => Vec::new(),
        Some(Value::Array(elements)) => elements.iter().collect(),
        Some(element) => vec![element],
    }
}

/// Where the kernel enters a chain, if it says so.
fn base(fields: Object<'_>) -> Result<Option<Base>, ReadProblem> {
    if ["type", "hook", "prio"].iter().all(|key| fields.get(key).is_none()) {
        return Ok(None);
    }
    let unknown = |what, word: &str| ReadProblem::Unknown { what, word: word.to_owned() };
    let kind = match fields.text("type")? {
        "filter" => ChainKind::Filter,
        "nat" => ChainKind::Nat,
        "route" => ChainKind::Route,
        word => return Err(unknown("type of chain", word)),
    };
    let word = fields.text("hook")?;
    let hook = Hook::ALL
        .into_iter()
        .find(|hook| hook.built_in_chain().to_ascii_lowercase() == word)
        .ok_or_else(|| unknown("hook", word))?;
    let prio = fields.need("prio")?;
    // With anything but an integer, nft 0.9.8 to 1.1.7 makes a chain that the kernel never enters.
    let priority = prio.as_i64().and_then(|number| i32::try_from(number).ok());
    let priority = priority.ok_or_else(|| bad("prio", prio, "not an integer of 32 bits"))?;
    Ok(Some(Base { kind, hook, priority }))
}
