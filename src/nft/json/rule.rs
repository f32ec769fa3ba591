//! Statements of rules.

use super::object::{Object, only};
use super::tree::Json;
use super::value::{expression, right, value, verdict};
use crate::nft::{At, Comparison, ReadProblem, Statement, TableFamily, bad, unknown};

/// The statements of a rule, which stands `at` its command.
pub(super) fn statements<'a>(
    json: Json<'a, '_>,
    at: At,
) -> Result<Vec<(At, Statement<'a>)>, ReadProblem> {
    let list = json.list().ok_or_else(|| bad("expr", &json, "not a list of statements"))?;
    list.map(|one| Ok((at, statement(one)?))).collect()
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
            Statement::Match { left, op, right: right(fields.need("right")?)? }
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
        "redirect" if body.is_null() => Statement::Redirect { port: None },
        "redirect" => {
            let fields = Object::read("redirect", body, &["port"])?;
            Statement::Redirect { port: fields.get("port").map(value).transpose()? }
        }
        "snat" => {
            let fields = Object::read("snat", body, &["family", "addr"])?;
            Statement::Snat { family: family(fields)?, to: value(fields.need("addr")?)? }
        }
        "dnat" => {
            let fields = Object::read("dnat", body, &["family", "addr", "port"])?;
            Statement::Dnat {
                family: family(fields)?,
                to: value(fields.need("addr")?)?,
                port: fields.get("port").map(value).transpose()?,
            }
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
        _ => return Err(unknown("statement", word)),
    })
}

fn family(fields: Object<'_, '_>) -> Result<Option<TableFamily>, ReadProblem> {
    let Some(named) = fields.get("family") else { return Ok(None) };
    match named.text() {
        Some(word @ ("ip" | "ip6")) => Ok(TableFamily::named(word)),
        _ => Err(unknown("family", &named)),
    }
}
