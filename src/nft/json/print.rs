//! How scripts are written as JSON, one command a line.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::ir::Base;
use crate::nft::ast::TableName;
use crate::nft::{
    Beside, Chain, Elements, Expr, Object, Right, Rule, Script, Set, SetType, Statement,
    TableFamily, Translate, Value, Verb, Verdict, hook_name, kind_name,
};

/// `script` as JSON.
///
/// What nft accepts and means otherwise is avoided: a priority is an integer, flags are an array,
/// a prefix is an object, `elem` is left out rather than empty, and nothing is named before it is
/// there.
pub(crate) fn print(script: &Script<'_>) -> String {
    let mut out = Vec::with_capacity(16 * 1024);
    out.extend_from_slice(b"{\"nftables\": [\n");
    out.extend_from_slice(b"{\"metainfo\":{\"json_schema_version\":1}}");
    for command in &script.commands {
        let verb = verb(command.verb);
        match &command.object {
            Object::Remark(_) | Object::Passive => {}
            Object::Ruleset(_) => write(&mut out, &One(verb, One("ruleset", ()))),
            Object::Table(table) => write_table(&mut out, verb, &table.name),
            Object::Chain { table, chain } => {
                write(&mut out, &One(verb, One("chain", ChainBody { table, chain })));
            }
            Object::Set { table, set } => {
                write(&mut out, &One(verb, One("set", SetBody { table, set })));
            }
            Object::Elements { table, set, elements } => {
                let body = ElementsBody { of: Within(table), name: set, elem: elements };
                write(&mut out, &One(verb, One("element", body)));
            }
            Object::Rule { table, chain, beside, rule } => {
                let body = RuleBody { table, chain, beside: *beside, rule: Some(rule) };
                write(&mut out, &One(verb, One("rule", body)));
            }
            Object::Handle { table, chain, handle } => {
                let beside = Some(Beside::Handle(*handle));
                let body = RuleBody { table, chain, beside, rule: None };
                write(&mut out, &One(verb, One("rule", body)));
            }
            Object::Block(table) => {
                let name = &table.name;
                write_table(&mut out, verb, name);
                for set in &table.sets {
                    write(&mut out, &One(verb, One("set", SetBody { table: name, set })));
                }
                for chain in &table.chains {
                    write(&mut out, &One(verb, One("chain", ChainBody { table: name, chain })));
                }
                for chain in &table.chains {
                    for rule in &chain.rules {
                        let (chain, rule) = (&chain.name, Some(rule));
                        let body = RuleBody { table: name, chain, beside: None, rule };
                        write(&mut out, &One(verb, One("rule", body)));
                    }
                }
            }
        }
    }
    out.extend_from_slice(b"\n]}\n");
    String::from_utf8(out).expect("JSON is UTF-8")
}

const fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Add => "add",
        Verb::Create => "create",
        Verb::Insert => "insert",
        Verb::Delete => "delete",
        Verb::Destroy => "destroy",
        Verb::Flush => "flush",
    }
}

/// Appends a command to those before it.
fn write(out: &mut Vec<u8>, command: &impl Serialize) {
    out.extend_from_slice(b",\n");
    serde_json::to_writer(out, command).expect("a Vec takes every write, and keys are strings");
}

fn write_table(out: &mut Vec<u8>, verb: &str, table: &TableName<'_>) {
    let body = TableBody { family: table.family, name: &table.name };
    write(out, &One(verb, One("table", body)));
}

/// An object with one key.
struct One<'k, T>(&'k str, T);

impl<T: Serialize> Serialize for One<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.0, &self.1)?;
        map.end()
    }
}

#[derive(Serialize)]
struct TableBody<'t> {
    family: TableFamily,
    name: &'t str,
}

/// The keys that say which table an object is of.
struct Within<'t>(&'t TableName<'t>);

impl Serialize for Within<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("family", &self.0.family)?;
        map.serialize_entry("table", &self.0.name)?;
        map.end()
    }
}

struct ChainBody<'t> {
    table: &'t TableName<'t>,
    chain: &'t Chain<'t>,
}

impl Serialize for ChainBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("family", &self.table.family)?;
        map.serialize_entry("table", &self.table.name)?;
        map.serialize_entry("name", &self.chain.name)?;
        if let Some(Base { kind, hook, priority }) = self.chain.base {
            map.serialize_entry("type", kind_name(kind))?;
            map.serialize_entry("hook", hook_name(hook))?;
            map.serialize_entry("prio", &priority)?;
            map.serialize_entry("policy", "accept")?;
        }
        map.end()
    }
}

struct SetBody<'t> {
    table: &'t TableName<'t>,
    set: &'t Set<'t>,
}

impl Serialize for SetBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("family", &self.table.family)?;
        map.serialize_entry("table", &self.table.name)?;
        map.serialize_entry("name", &self.set.name)?;
        match &self.set.of {
            SetType::Named(name) => map.serialize_entry("type", name)?,
            SetType::Of(field) => map.serialize_entry("type", &One("typeof", field))?,
        }
        if let Some(size) = self.set.size {
            map.serialize_entry("size", &size)?;
        }
        if !self.set.flags.is_empty() {
            map.serialize_entry("flags", &self.set.flags)?;
        }
        if !self.set.elements.is_empty() {
            map.serialize_entry("elem", &self.set.elements)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct ElementsBody<'t> {
    #[serde(flatten)]
    of: Within<'t>,
    name: &'t str,
    elem: &'t Elements<'t>,
}

struct RuleBody<'t> {
    table: &'t TableName<'t>,
    chain: &'t str,
    beside: Option<Beside>,
    rule: Option<&'t Rule<'t>>,
}

impl Serialize for RuleBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("family", &self.table.family)?;
        map.serialize_entry("table", &self.table.name)?;
        map.serialize_entry("chain", self.chain)?;
        match self.beside {
            Some(Beside::Handle(handle)) => map.serialize_entry("handle", &handle)?,
            Some(Beside::Index(index)) => map.serialize_entry("index", &index)?,
            None => {}
        }
        if let Some(rule) = self.rule {
            map.serialize_entry("expr", &Statements(rule))?;
            if let Some(comment) = &rule.comment {
                map.serialize_entry("comment", comment)?;
            }
        }
        map.end()
    }
}

struct Statements<'t>(&'t Rule<'t>);

impl Serialize for Statements<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let statements = self.0.statements.iter().flatten();
        serializer.collect_seq(statements.map(|(_, statement)| statement))
    }
}

/// Where a statement sends packets.
#[derive(Serialize)]
struct To<'t, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<TableFamily>,
    #[serde(skip_serializing_if = "Option::is_none")]
    addr: Option<&'t T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<&'t T>,
}

impl Serialize for Statement<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Match<'t> {
            op: &'static str,
            left: &'t Expr<'t>,
            right: &'t Right<'t>,
        }
        #[derive(Serialize)]
        struct Mangle<'t> {
            key: &'t Expr<'t>,
            value: &'t Expr<'t>,
        }
        #[derive(Serialize)]
        struct Vmap<'t> {
            key: &'t Expr<'t>,
            data: &'t Right<'t>,
        }
        match self {
            Self::Match { left, op, right } => {
                One("match", Match { op: op.word(), left, right }).serialize(serializer)
            }
            Self::Counter => One("counter", ()).serialize(serializer),
            Self::Verdict(verdict) => verdict.serialize(serializer),
            Self::Translate(Translate { kind, to: None, port: None, .. }) => {
                One(kind.word(), ()).serialize(serializer)
            }
            Self::Translate(Translate { kind, family, to, port, .. }) => {
                let to = To { family: *family, addr: to.as_ref(), port: port.as_ref() };
                One(kind.word(), to).serialize(serializer)
            }
            Self::Tproxy { family, address, port } => {
                let to = To { family: *family, addr: address.as_ref(), port: port.as_ref() };
                One("tproxy", to).serialize(serializer)
            }
            Self::Mangle { key, value } => {
                One("mangle", Mangle { key, value }).serialize(serializer)
            }
            Self::Log => One("log", ()).serialize(serializer),
            Self::Vmap { key, to } => One("vmap", Vmap { key, data: to }).serialize(serializer),
            // Nothing that is written has them.
            Self::Update { text, .. } | Self::Other { text, .. } => {
                One(self.word(), text).serialize(serializer)
            }
            Self::Unknown { text, .. } => One(self.word(), text).serialize(serializer),
        }
    }
}

impl Serialize for Verdict<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Jump(target) | Self::Goto(target) => {
                One(self.word(), One("target", target)).serialize(serializer)
            }
            _ => One(self.word(), ()).serialize(serializer),
        }
    }
}

impl Serialize for Expr<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Payload<'t> {
            protocol: &'t str,
            field: &'t str,
        }
        #[derive(Serialize)]
        struct Fib<'t> {
            result: &'t str,
            flags: &'t [std::borrow::Cow<'t, str>],
        }
        match self {
            Self::Meta(key) => One("meta", One("key", key)).serialize(serializer),
            Self::Ct(key) => One("ct", One("key", key)).serialize(serializer),
            Self::Socket(key) => One("socket", One("key", key)).serialize(serializer),
            Self::Payload { protocol, field } => {
                One("payload", Payload { protocol, field }).serialize(serializer)
            }
            Self::Fib { result, flags } => One("fib", Fib { result, flags }).serialize(serializer),
            Self::Binary(operator, both) => {
                One(operator.word(), [&both.0, &both.1]).serialize(serializer)
            }
            Self::Concat(parts) => One("concat", parts).serialize(serializer),
            Self::Map(both) => {
                #[derive(Serialize)]
                struct Map<'t> {
                    key: &'t Expr<'t>,
                    data: &'t Right<'t>,
                }
                One("map", Map { key: &both.0, data: &both.1 }).serialize(serializer)
            }
            Self::Other(text) => serializer.serialize_str(text),
            Self::Value(value) => value.serialize(serializer),
        }
    }
}

impl Serialize for Right<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Set(elements) => One("set", elements).serialize(serializer),
            Self::One(value) => value.serialize(serializer),
            Self::Named(name) => serializer.collect_str(&format_args!("@{name}")),
        }
    }
}

impl Serialize for Elements<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.entries.is_empty() {
            return serializer.collect_seq(&self.entries);
        }
        if !self.pairs.is_empty() {
            return serializer.collect_seq(&self.pairs);
        }
        serializer.collect_seq(&self.values)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Prefix<T> {
            addr: T,
            len: u8,
        }
        match self {
            Self::Number(number) | Self::Hex(number) => serializer.serialize_u32(*number),
            Self::Address(address) => serializer.collect_str(address),
            Self::Prefix(addr, len) => {
                One("prefix", Prefix { addr, len: *len }).serialize(serializer)
            }
            Self::NumberPrefix(addr, len) => {
                One("prefix", Prefix { addr, len: *len }).serialize(serializer)
            }
            Self::Range(ends) => One("range", [&ends.0, &ends.1]).serialize(serializer),
            Self::Word(word) | Self::Text(word) => serializer.serialize_str(word),
            Self::List(values) => serializer.collect_seq(values),
            Self::Bits(values) => One("|", values).serialize(serializer),
            Self::Concat(values) => One("concat", values).serialize(serializer),
            Self::Rest => serializer.serialize_str("*"),
        }
    }
}
