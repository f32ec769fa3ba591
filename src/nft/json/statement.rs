//! Statements that translate, and those of which little more than their words counts.

use std::borrow::Cow;
use std::fmt::Write;

use super::field::{expression, is_zero};
use super::object::{Object, only, text, texts};
use super::rule::family;
use super::tree::{Json, Kind};
use super::value::verdict;
use crate::nft::text::{DEFAULT_BURST, rejected};
use crate::nft::{Expr, ReadProblem, Statement, Translate, Translation, Value, bad, unknown};

/// A translation.
pub(super) fn translate<'a>(
    kind: Translation,
    body: Json<'a, '_>,
) -> Result<Translate<'a>, ReadProblem> {
    if body.is_null() {
        return Ok(Translate::to(kind, None, None, None));
    }
    let keys = ["family", "addr", "port", "flags", "type_flags"];
    let fields = Object::read(kind.word(), body, &keys)?;
    let [to, port] = ["addr", "port"].map(|key| fields.get(key).map(expression).transpose());
    let flags = fields.get("flags").map_or(Ok(Vec::new()), |flags| texts("flags", flags))?;
    Ok(Translate { kind, family: family(fields)?, to: to?, port: port?, flags })
}

/// A statement that `word` names, if it is known; `None` if it is not.
pub(super) fn other<'a>(
    word: &str,
    body: Json<'a, '_>,
) -> Result<Option<Statement<'a>>, ReadProblem> {
    let other = |word, text| Statement::Other { word, text };
    Ok(Some(match word {
        "notrack" => other("notrack", "notrack".to_owned()),
        "last" => other("last", "last".to_owned()),
        "limit" => other("limit", limit(body)?),
        "quota" => other("quota", quota(body)?),
        "ct count" => {
            let fields = Object::read("ct count", body, &["val", "inv"])?;
            other("ct count", format!("ct count{} {}", over(fields), fields.need("val")?))
        }
        "reject" => other("reject", reject(body)?),
        "queue" => other("queue", queue(body)?),
        "dup" => {
            let fields = Object::read("dup", body, &["addr", "dev"])?;
            let text = format!("dup to {}", expression(fields.need("addr")?)?);
            other("dup", with_device(text, fields)?)
        }
        "fwd" => {
            let fields = Object::read("fwd", body, &["dev", "family", "addr"])?;
            let text = match (family(fields)?, fields.get("addr")) {
                (Some(family), Some(to)) => {
                    let text = format!("fwd {} to {}", family.name(), expression(to)?);
                    with_device(text, fields)?
                }
                _ => format!("fwd to {}", expression(fields.need("dev")?)?),
            };
            other("fwd", text)
        }
        "flow" => {
            let fields = Object::read("flow", body, &["op", "flowtable"])?;
            other("flow", format!("flow add {}", fields.text("flowtable")?))
        }
        "synproxy" => other("synproxy", synproxy(body)?),
        "xt" => {
            if body.is_null() {
                return Ok(None);
            }
            let fields = Object::read("xt", body, &["type", "name"])?;
            let (kind, name) = (fields.text("type")?, fields.text("name")?);
            other("xt", format!("xt {kind} {name}"))
        }
        "reset" | "optstrip" => other("reset", format!("reset {}", expression(body)?)),
        // Objects by name, which a script sets.
        "secmark" => named(Expr::Meta(Cow::Borrowed("secmark")), body)?,
        "ct helper" => named(Expr::Ct(Cow::Borrowed("helper")), body)?,
        "ct timeout" => named(Expr::Ct(Cow::Borrowed("timeout")), body)?,
        "ct expectation" => named(Expr::Ct(Cow::Borrowed("expectation")), body)?,
        "set" | "map" => update(word, body)?,
        "meter" => {
            let fields = Object::read("meter", body, &["name", "size", "key", "stmt"])?;
            let (set, key) = (fields.text("name")?, fields.need("key")?);
            let (text, limits) = updated("update", &set, (key, None), Some(fields.need("stmt")?))?;
            Statement::Update { set, deletes: false, limits, text }
        }
        _ => return Ok(None),
    }))
}

fn over(fields: Object<'_, '_>) -> &'static str {
    if fields.get("inv").is_some_and(|inv| matches!(inv.kind(), Kind::Bool(true))) {
        " over"
    } else {
        ""
    }
}

fn limit(body: Json<'_, '_>) -> Result<String, ReadProblem> {
    if let Some(name) = body.text() {
        return Ok(format!("limit name {name}"));
    }
    if body.get("map").is_some() {
        return Ok(format!("limit name {}", expression(body)?));
    }
    let keys = ["rate", "burst", "per", "inv", "rate_unit", "burst_unit"];
    let fields = Object::read("limit", body, &keys)?;
    let unit = |key| fields.get(key).map_or(Ok("packets".into()), |unit| text(key, unit));
    let rate_unit = unit("rate_unit")?;
    let rate_unit = if rate_unit == "packets" { String::new() } else { format!(" {rate_unit}") };
    let per = fields.get("per").map_or(Ok("second".into()), |per| text("per", per))?;
    let mut text = format!("limit rate{} {}{rate_unit}/{per}", over(fields), fields.need("rate")?);
    if let Some(burst) = fields.get("burst").filter(|burst| !is_zero(*burst)) {
        let unit = unit("burst_unit")?;
        if !matches!(burst.kind(), Kind::Number(burst) if (burst, &*unit) == DEFAULT_BURST) {
            write!(text, " burst {burst} {unit}").expect("a String takes every write");
        }
    }
    Ok(text)
}

fn quota(body: Json<'_, '_>) -> Result<String, ReadProblem> {
    if let Some(name) = body.text() {
        return Ok(format!("quota name {name}"));
    }
    if body.get("map").is_some() {
        return Ok(format!("quota name {}", expression(body)?));
    }
    let fields = Object::read("quota", body, &["val", "val_unit", "used", "used_unit", "inv"])?;
    Ok(format!("quota{} {} {}", over(fields), fields.need("val")?, fields.text("val_unit")?))
}

fn reject(body: Json<'_, '_>) -> Result<String, ReadProblem> {
    if body.is_null() {
        return Ok("reject".to_owned());
    }
    let fields = Object::read("reject", body, &["type", "expr"])?;
    let Some(kind) = fields.get("type") else { return Ok("reject".to_owned()) };
    Ok(match fields.get("expr") {
        None => format!("reject with {kind}"),
        Some(code) => rejected(&kind.to_string(), &code.to_string()),
    })
}

fn queue(body: Json<'_, '_>) -> Result<String, ReadProblem> {
    if body.is_null() {
        return Ok("queue to 0".to_owned());
    }
    let fields = Object::read("queue", body, &["num", "flags"])?;
    let to = match fields.get("num") {
        None => "0".to_owned(),
        Some(to) => expression(to)?.to_string(),
    };
    let flags = fields.get("flags").map_or(Ok(Vec::new()), |flags| texts("flags", flags))?;
    let flags = if flags.is_empty() { String::new() } else { format!(" {}", flags.join(",")) };
    Ok(format!("queue to {to}{flags}"))
}

fn with_device(text: String, fields: Object<'_, '_>) -> Result<String, ReadProblem> {
    match fields.get("dev") {
        Some(device) => Ok(format!("{text} device {}", expression(device)?)),
        None => Ok(text),
    }
}

fn synproxy(body: Json<'_, '_>) -> Result<String, ReadProblem> {
    if body.is_null() {
        return Ok("synproxy".to_owned());
    }
    if let Some(name) = body.text() {
        return Ok(format!("synproxy name {name}"));
    }
    let fields = Object::read("synproxy", body, &["mss", "wscale", "flags"])?;
    let mut words = "synproxy".to_owned();
    for key in ["mss", "wscale"] {
        if let Some(value) = fields.get(key) {
            write!(words, " {key} {value}").expect("a String takes every write");
        }
    }
    let flags = fields.get("flags").map_or(Ok(Vec::new()), |flags| texts("flags", flags))?;
    for flag in flags {
        write!(words, " {flag}").expect("a String takes every write");
    }
    Ok(words)
}

fn named<'a>(key: Expr<'a>, body: Json<'a, '_>) -> Result<Statement<'a>, ReadProblem> {
    let value = match body.kind() {
        Kind::Text(name) => Expr::Value(Value::Word(name.clone())),
        _ => expression(body)?,
    };
    Ok(Statement::Mangle { key, value })
}

fn update<'a>(kind: &str, body: Json<'a, '_>) -> Result<Statement<'a>, ReadProblem> {
    let fields = Object::read("set", body, &["op", "elem", "set", "map", "data", "stmt"])?;
    let op = fields.text("op")?;
    let named = fields.text(if kind == "map" { "map" } else { "set" })?;
    let Some(set) = named.strip_prefix('@') else {
        return Err(bad("set", &named, "not a name behind `@`"));
    };
    let elements = (fields.need("elem")?, fields.get("data"));
    let (text, limits) = updated(&op, set, elements, fields.get("stmt"))?;
    let set = Cow::Owned(set.to_owned());
    Ok(Statement::Update { set, deletes: op == "delete", limits, text })
}

/// A change of a set in words, and whether it limits packets.
fn updated(
    op: &str,
    set: &str,
    (key, data): (Json<'_, '_>, Option<Json<'_, '_>>),
    statements: Option<Json<'_, '_>>,
) -> Result<(String, bool), ReadProblem> {
    let key = key.get("elem").and_then(|elem| elem.get("val")).unwrap_or(key);
    let mut text = format!("{op} @{set} {{ {}", expression(key)?);
    let mut limits = false;
    let mut add = |one| -> Result<(), ReadProblem> {
        let (word, body) = only(one, "statement")?;
        if matches!(word, "counter" | "last") {
            return Ok(());
        }
        let bound = matches!(word, "limit" | "quota" | "ct count")
            .then(|| other(word, body))
            .transpose()?
            .flatten();
        let bound = bound.ok_or_else(|| unknown("statement", word))?;
        write!(text, " {bound}").expect("a String takes every write");
        limits = true;
        Ok(())
    };
    match statements.map(|statements| (statements, statements.list())) {
        Some((_, Some(mut list))) => list.try_for_each(add)?,
        Some((one, None)) => add(one)?,
        None => {}
    }
    if let Some(data) = data {
        let verdict = match only(data, "value") {
            Ok((word, body)) => verdict(word, body)?,
            Err(_) => None,
        };
        let data = match verdict {
            Some(verdict) => verdict.to_string(),
            None => expression(data)?.to_string(),
        };
        write!(text, " : {data}").expect("a String takes every write");
    }
    text.push_str(" }");
    Ok((text, limits))
}
