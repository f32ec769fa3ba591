//! Statements of rules.

use std::borrow::Cow;

use super::field::expression;
use super::object::{Object, only};
use super::statement::{other, translate};
use super::tree::{Json, Kind};
use super::value::{right, value, verdict};
use crate::nft::{
    At, Comparison, Expr, ReadProblem, Right, Statement, TableFamily, Translation, bad, unknown,
};

/// The statements of a rule, which stands `at` its command.
pub(super) fn statements<'a>(
    json: Json<'a, '_>,
    at: At,
) -> Result<Vec<(At, Statement<'a>)>, ReadProblem> {
    let list = json.list().ok_or_else(|| bad("expr", &json, "not a list of statements"))?;
    let mut statements = Vec::with_capacity(list.len());
    for json in list {
        // What has no form in JSON stands there as a script has it.
        if let Kind::Text(Cow::Borrowed(text)) = json.kind()
            && let Some(read) = crate::nft::text::statements(text)
        {
            statements.extend(read.into_iter().map(|statement| (at, statement)));
            continue;
        }
        let unknown = |problem| Statement::Unknown { text: Cow::Owned(json.to_string()), problem };
        statements.push((at, statement(json).unwrap_or_else(unknown)));
    }
    Ok(statements)
}

fn statement<'a>(json: Json<'a, '_>) -> Result<Statement<'a>, ReadProblem> {
    let (word, body) = only(json, "statement")?;
    if let Some(verdict) = verdict(word, body)? {
        return Ok(Statement::Verdict(verdict));
    }
    Ok(match word {
        "match" => {
            let fields = Object::read("match", body, &["op", "left", "right"])?;
            let left = expression(fields.need("left")?)?;
            let word = fields.text("op")?;
            let op = Comparison::ALL.into_iter().find(|op| op.word() == word);
            let op = op.ok_or_else(|| unknown("operator", &word))?;
            let right = match (&left, right(fields.need("right")?)?) {
                // Bits that are picked out are compared with bits, which is one value.
                (Expr::Binary(..), Right::One(value)) => Right::One(value.into_mask()),
                (_, right) => right,
            };
            Statement::Match { left, op, right }
        }
        // What it has counted is a number or nothing, or it has a name.
        "counter" => Statement::Counter,
        "log" => {
            const KEYS: [&str; 6] =
                ["prefix", "group", "snaplen", "queue-threshold", "level", "flags"];
            if !body.is_null() {
                Object::read("log", body, &KEYS)?;
            }
            Statement::Log
        }
        "tproxy" => {
            let fields = Object::read("tproxy", body, &["family", "addr", "port"])?;
            Statement::Tproxy {
                family: family(fields)?,
                address: fields.get("addr").map(value).transpose()?,
                port: fields.get("port").map(value).transpose()?,
            }
        }
        "mangle" => {
            let fields = Object::read("mangle", body, &["key", "value"])?;
            Statement::Mangle {
                key: expression(fields.need("key")?)?,
                value: expression(fields.need("value")?)?,
            }
        }
        "vmap" => {
            let fields = Object::read("vmap", body, &["key", "data"])?;
            let key = expression(fields.need("key")?)?;
            Statement::Vmap { key, to: right(fields.need("data")?)? }
        }
        _ => match Translation::ALL.into_iter().find(|kind| kind.word() == word) {
            Some(kind) => Statement::Translate(translate(kind, body)?),
            None => other(word, body)?.ok_or_else(|| unknown("statement", word))?,
        },
    })
}

/// The family that a statement names.
pub(super) fn family(fields: Object<'_, '_>) -> Result<Option<TableFamily>, ReadProblem> {
    let Some(named) = fields.get("family") else { return Ok(None) };
    match named.text() {
        Some(word @ ("ip" | "ip6")) => Ok(TableFamily::named(word)),
        _ => Err(unknown("family", &named)),
    }
}
