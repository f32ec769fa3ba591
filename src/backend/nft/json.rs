//! libnftables JSON, schema version 1.

use serde::Serialize;

use super::program::{Chain, Element, Program, Rule, Set, SetOf, Statement, Table, TableFamily};
use super::text::{hook_name, kind_name};

/// `program` as JSON, one command a line.
///
/// What nft accepts and means otherwise is avoided: a priority is an integer, flags are an array,
/// a prefix is an object, `elem` is left out rather than empty, and nothing is named before it is
/// there.
pub(super) fn print(program: &Program<'_>) -> String {
    let mut text = Vec::with_capacity(16 * 1024);
    text.extend_from_slice(b"{\"nftables\": [\n");
    write(&mut text, &Command::Metainfo { json_schema_version: 1 });
    for &(family, name) in &program.replaced {
        let name = name.as_str();
        next(&mut text, &Command::Add(Object::Table { family, name }));
        next(&mut text, &Command::Delete(Object::Table { family, name }));
    }
    for table in &program.tables {
        write_table(&mut text, table);
    }
    text.extend_from_slice(b"\n]}\n");
    String::from_utf8(text).expect("JSON is UTF-8")
}

fn write_table(text: &mut Vec<u8>, table: &Table<'_>) {
    let (family, name) = (table.family, table.name.as_str());
    next(text, &Command::Add(Object::Table { family, name }));
    if table.kept {
        next(text, &Command::Flush(Object::Table { family, name }));
        for chain in &table.chains {
            let bare =
                || Object::chain(family, name, &Chain { base: None, rules: Vec::new(), ..*chain });
            next(text, &Command::Add(bare()));
            next(text, &Command::Delete(bare()));
        }
    }
    for set in &table.sets {
        next(text, &Command::Add(Object::set(family, name, set)));
    }
    for chain in &table.chains {
        next(text, &Command::Add(Object::chain(family, name, chain)));
    }
    for chain in &table.chains {
        for rule in &chain.rules {
            next(text, &Command::Add(Object::rule(family, name, chain.name.as_str(), rule)));
        }
    }
}

/// Appends a command to those before it.
fn next(text: &mut Vec<u8>, command: &Command<'_>) {
    text.extend_from_slice(b",\n");
    write(text, command);
}

fn write(text: &mut Vec<u8>, command: &Command<'_>) {
    serde_json::to_writer(text, command).expect("a Vec takes every write, and keys are strings");
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Command<'a> {
    Metainfo { json_schema_version: u8 },
    Add(Object<'a>),
    Delete(Object<'a>),
    Flush(Object<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Object<'a> {
    Table {
        family: TableFamily,
        name: &'a str,
    },
    Set {
        family: TableFamily,
        table: &'a str,
        name: &'a str,
        #[serde(rename = "type")]
        of: SetOf,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        flags: &'static [&'static str],
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        elem: &'a [Element<'a>],
    },
    Chain {
        family: TableFamily,
        table: &'a str,
        name: &'a str,
        #[serde(flatten)]
        base: Option<Base>,
    },
    Rule {
        family: TableFamily,
        table: &'a str,
        chain: &'a str,
        expr: &'a [Statement<'a>],
        #[serde(skip_serializing_if = "Option::is_none")]
        comment: Option<&'a str>,
    },
}

#[derive(Serialize)]
struct Base {
    #[serde(rename = "type")]
    kind: &'static str,
    hook: &'static str,
    prio: i32,
    policy: &'static str,
}

impl<'a> Object<'a> {
    fn set(family: TableFamily, table: &'a str, set: &'a Set<'_>) -> Self {
        let flags: &[_] = if set.interval { &["interval"] } else { &[] };
        Self::Set { family, table, name: &set.name, of: set.of, flags, elem: &set.elements }
    }

    fn chain(family: TableFamily, table: &'a str, chain: &Chain<'a>) -> Self {
        let base = chain.base.map(|base| Base {
            kind: kind_name(base.kind),
            hook: hook_name(base.hook),
            prio: base.priority,
            policy: "accept",
        });
        Self::Chain { family, table, name: chain.name.as_str(), base }
    }

    fn rule(family: TableFamily, table: &'a str, chain: &'a str, rule: &'a Rule<'_>) -> Self {
        let comment = rule.comment.as_deref();
        Self::Rule { family, table, chain, expr: &rule.statements, comment }
    }
}
