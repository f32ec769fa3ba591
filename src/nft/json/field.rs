//! What rules read and compute.

use std::borrow::Cow;
use std::fmt::Write;

use super::object::{Object, only, text, texts};
use super::tree::{Json, Kind};
use super::value::{right, value};
use crate::nft::{Expr, Operator, ReadProblem, bad, unknown};

/// What a rule reads or computes.
pub(super) fn expression<'a>(json: Json<'a, '_>) -> Result<Expr<'a>, ReadProblem> {
    if !matches!(json.kind(), Kind::Object(_)) {
        return value(json).map(Expr::Value);
    }
    let (word, body) = only(json, "expression")?;
    Ok(match word {
        "meta" => Expr::Meta(Object::read("meta", body, &["key"])?.text("key")?),
        "ct" => connection(body)?,
        "socket" => {
            let fields = Object::read("socket", body, &["key", "level"])?;
            let key = fields.text("key")?;
            match fields.get("level") {
                None => Expr::Socket(key),
                Some(level) => Expr::Socket(Cow::Owned(format!("{key} level {level}"))),
            }
        }
        "payload" => payload(body)?,
        "exthdr" => {
            let fields = Object::read("exthdr", body, &["name", "field", "offset"])?;
            match (fields.text("name")?, fields.get("field")) {
                (name, None) => other(format!("exthdr {name}")),
                (protocol, Some(field)) => Expr::Payload { protocol, field: text("field", field)? },
            }
        }
        "tcp option" | "ip option" | "dccp option" | "sctp chunk" => header_part(word, body)?,
        "fib" => {
            let fields = Object::read("fib", body, &["result", "flags"])?;
            let flags = texts("flags", fields.need("flags")?)?;
            Expr::Fib { result: fields.text("result")?, flags }
        }
        "rt" => {
            let fields = Object::read("rt", body, &["key", "family"])?;
            let family = optional(fields, "family", "")?;
            other(format!("rt{family} {}", fields.text("key")?))
        }
        "osf" => {
            let fields = Object::read("osf", body, &["key", "ttl"])?;
            let ttl = optional(fields, "ttl", " ttl")?;
            other(format!("osf{ttl} {}", fields.text("key")?))
        }
        "ipsec" => {
            let fields = Object::read("ipsec", body, &["key", "dir", "spnum", "family"])?;
            let spnum = fields.get("spnum").filter(|number| !is_zero(*number));
            let spnum = spnum.map_or_else(String::new, |number| format!(" spnum {number}"));
            let family = optional(fields, "family", "")?;
            let (dir, key) = (fields.text("dir")?, fields.text("key")?);
            other(format!("ipsec {dir}{spnum}{family} {key}"))
        }
        "numgen" => {
            let fields = Object::read("numgen", body, &["mode", "mod", "offset"])?;
            other(format!("numgen {}{}", fields.text("mode")?, modulus(fields)?))
        }
        "symhash" => {
            let fields = Object::read("symhash", body, &["mod", "offset"])?;
            other(format!("symhash{}", modulus(fields)?))
        }
        "jhash" => {
            let fields = Object::read("jhash", body, &["mod", "offset", "seed", "expr"])?;
            other(format!("jhash {}{}", expression(fields.need("expr")?)?, modulus(fields)?))
        }
        "map" => {
            let fields = Object::read("map", body, &["key", "data"])?;
            let both = (expression(fields.need("key")?)?, right(fields.need("data")?)?);
            Expr::Map(Box::new(both))
        }
        "concat" => {
            let parts = body.list().filter(|parts| parts.len() > 0);
            let parts = parts.ok_or_else(|| bad("concat", &body, "not a list of values"))?;
            let parts = parts.map(expression).collect::<Result<Vec<_>, _>>()?;
            Expr::value_or_concat(parts)
        }
        "prefix" | "range" | "elem" => Expr::Value(value(json)?),
        _ => binary(word, body)?,
    })
}

impl Expr<'_> {
    /// The parts together: one value, if all of them are values.
    fn value_or_concat(parts: Vec<Self>) -> Self {
        if parts.iter().any(|part| !matches!(part, Self::Value(_))) {
            return Self::Concat(parts);
        }
        let value = |part| if let Self::Value(value) = part { Some(value) } else { None };
        Self::Value(crate::nft::Value::Concat(parts.into_iter().filter_map(value).collect()))
    }
}

/// The operator that `word` is.
pub(super) fn operator(word: &str) -> Option<Operator> {
    Operator::ALL.into_iter().find(|operator| operator.word() == word)
}

fn binary<'a>(word: &str, body: Json<'a, '_>) -> Result<Expr<'a>, ReadProblem> {
    let operator = operator(word).ok_or_else(|| unknown("expression", word))?;
    let mut operands = body.list().into_iter().flatten();
    let (Some(first), Some(second)) = (operands.next(), operands.next()) else {
        return Err(bad("operands", &body, "not two values or more"));
    };
    let mut result = operand(first)?;
    for next in std::iter::once(second).chain(operands) {
        result = Expr::binary(operator, result, operand(next)?);
    }
    Ok(result)
}

/// A list of bits is one value.
fn operand<'a>(json: Json<'a, '_>) -> Result<Expr<'a>, ReadProblem> {
    Ok(match expression(json)? {
        Expr::Value(value) => Expr::Value(value.into_mask()),
        other => other,
    })
}

fn connection<'a>(body: Json<'a, '_>) -> Result<Expr<'a>, ReadProblem> {
    let fields = Object::read("ct", body, &["key", "dir", "family"])?;
    let key = fields.text("key")?;
    let Some(direction) = fields.get("dir") else { return Ok(Expr::Ct(key)) };
    let family = optional(fields, "family", "")?;
    Ok(Expr::Ct(Cow::Owned(format!("{}{family} {key}", text("dir", direction)?))))
}

fn payload<'a>(body: Json<'a, '_>) -> Result<Expr<'a>, ReadProblem> {
    const KEYS: [&str; 6] = ["protocol", "field", "base", "offset", "len", "tunnel"];
    let fields = Object::read("payload", body, &KEYS)?;
    if fields.get("base").is_some() {
        let (offset, len) = (fields.need("offset")?, fields.need("len")?);
        return Ok(other(format!("@{},{offset},{len}", fields.text("base")?)));
    }
    let (protocol, field) = (fields.text("protocol")?, fields.text("field")?);
    Ok(match fields.get("tunnel") {
        None => Expr::Payload { protocol, field },
        Some(tunnel) => other(format!("{tunnel} {protocol} {field}")),
    })
}

fn header_part<'a>(what: &str, body: Json<'a, '_>) -> Result<Expr<'a>, ReadProblem> {
    let fields = Object::read("option", body, &["name", "field", "base", "offset", "len"])?;
    if let Some(base) = fields.get("base") {
        let (offset, len) = (fields.need("offset")?, fields.need("len")?);
        return Ok(other(format!("{what} @{base},{offset},{len}")));
    }
    let field = optional(fields, "field", "")?;
    Ok(other(format!("{what} {}{field}", fields.need("name")?)))
}

/// `mod 3 seed 5 offset 1`, with a space before it.
fn modulus(fields: Object<'_, '_>) -> Result<String, ReadProblem> {
    let mut text = format!(" mod {}", fields.need("mod")?);
    for key in ["seed", "offset"] {
        if let Some(number) = fields.get(key).filter(|number| !is_zero(*number)) {
            write!(text, " {key} {number}").expect("a String takes every write");
        }
    }
    Ok(text)
}

/// Whether it is the number 0.
pub(super) fn is_zero(json: Json<'_, '_>) -> bool {
    matches!(json.kind(), Kind::Number(0))
}

/// What a key says, with `before` and a space before it; nothing if it is not there.
fn optional(
    fields: Object<'_, '_>,
    key: &'static str,
    before: &str,
) -> Result<String, ReadProblem> {
    let Some(value) = fields.get(key) else { return Ok(String::new()) };
    Ok(format!("{before} {}", text(key, value)?))
}

const fn other<'a>(text: String) -> Expr<'a> {
    Expr::Other(Cow::Owned(text))
}
