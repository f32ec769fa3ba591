//! Values, sets of them, and what rules compute.

use std::borrow::Cow;
use std::net::IpAddr;

use super::object::{Object, empty, form, only, text, texts};
use super::tree::{Json, Kind, List};
use crate::nft::{Elements, Expr, Operator, ReadProblem, Right, Value, Verdict, bad, unknown};

/// One value, or an interval of them.
pub(super) fn value<'a>(json: Json<'a, '_>) -> Result<Value<'a>, ReadProblem> {
    Ok(match json.kind() {
        Kind::Number(number) => Value::Number(number),
        Kind::Text(text) => word(text),
        Kind::List(values) => Value::List(all(values)?),
        Kind::Null | Kind::Other => Value::Word(Cow::Owned(json.to_string())),
        Kind::Object(_) => {
            let (word, body) = only(json, "value")?;
            match (word, body.list()) {
                ("prefix", _) => prefix(body)?,
                ("range", ends) => match ends.and_then(List::pair) {
                    Some([first, last]) => Value::Range(Box::new((value(first)?, value(last)?))),
                    None => return Err(bad("range", &body, "not a first and a last")),
                },
                ("|", Some(values)) => Value::Bits(all(values)?),
                ("concat", Some(values)) => Value::Concat(all(values)?),
                ("elem", _) => return element(body).map(|(value, _)| value),
                _ => return Err(unknown("value", word)),
            }
        }
    })
}

fn all<'a>(values: List<'a, '_>) -> Result<Vec<Value<'a>>, ReadProblem> {
    values.map(value).collect()
}

/// A text is a number or an address too, if it looks like one.
fn word<'a>(text: &Cow<'a, str>) -> Value<'a> {
    if text == "*" {
        return Value::Rest;
    }
    if !text.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':') {
        return Value::Word(text.clone());
    }
    let hex = text.strip_prefix("0x");
    // A 0 in front means octal to some versions of nft, and nobody means that.
    let digits = Some(&**text).filter(|text| {
        text.bytes().all(|byte| byte.is_ascii_digit()) && (*text == "0" || !text.starts_with('0'))
    });
    let is_hex = |hex: &&str| hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hex = hex.filter(is_hex).and_then(|hex| u32::from_str_radix(hex, 16).ok()).map(Value::Hex);
    let number = || digits.and_then(|digits| digits.parse().ok()).map(Value::Number);
    let address = || text.parse::<IpAddr>().ok().map(Value::Address);
    hex.or_else(number).or_else(address).unwrap_or_else(|| Value::Word(text.clone()))
}

fn prefix<'a>(body: Json<'a, '_>) -> Result<Value<'a>, ReadProblem> {
    let fields = Object::read("prefix", body, &["addr", "len"])?;
    let (address, len) = (fields.need("addr")?, fields.need("len")?);
    let Value::Number(number) = value(len)? else {
        return Err(bad("len", &len, "not a number of at most 32 bits"));
    };
    let bits = u8::try_from(number).map_err(|_| bad("len", &len, "longer than an address"))?;
    match value(address)? {
        Value::Address(address) => Ok(Value::Prefix(address, bits)),
        Value::Number(number) | Value::Hex(number) => Ok(Value::NumberPrefix(number, bits)),
        other => Err(bad("address", &other, "not an address")),
    }
}

/// A value with what is noted beside it, and whether it goes away by itself.
fn element<'a>(body: Json<'a, '_>) -> Result<(Value<'a>, bool), ReadProblem> {
    const KEYS: [&str; 5] = ["val", "comment", "counter", "timeout", "expires"];
    let fields = Object::read("elem", body, &KEYS)?;
    let fleeting = fields.get("timeout").or(fields.get("expires")).is_some();
    Ok((value(fields.need("val")?)?, fleeting))
}

/// What a field is compared with.
pub(super) fn right<'a>(json: Json<'a, '_>) -> Result<Right<'a>, ReadProblem> {
    if let Some(name) = json.text().and_then(|text| text.strip_prefix('@')) {
        return Ok(Right::Named(Cow::Owned(name.to_owned())));
    }
    let Some(set) = form(json, "set")? else { return value(json).map(Right::One) };
    match set.list() {
        Some(list) if list.len() > 0 => elements(set).map(Right::Set),
        _ => Err(bad("set", &json, "not a list of elements")),
    }
}

/// The elements of a set or of a map.
pub(super) fn elements<'a>(json: Json<'a, '_>) -> Result<Elements<'a>, ReadProblem> {
    let mut elements = Elements::default();
    let mut add = |one: Json<'a, '_>| {
        if let Some(body) = form(one, "elem")? {
            let (value, fleeting) = element(body)?;
            elements.values.push(value);
            elements.fleeting |= fleeting;
        } else if let Some(list) = one.list() {
            elements.entries.push(entry(one, list)?);
        } else {
            elements.values.push(value(one)?);
        }
        Ok(())
    };
    match json.list() {
        Some(mut list) => list.try_for_each(add)?,
        None => add(json)?,
    }
    Ok(elements)
}

fn entry<'a>(
    whole: Json<'a, '_>,
    list: List<'a, '_>,
) -> Result<(Value<'a>, Verdict<'a>), ReadProblem> {
    let Some([key, to]) = list.pair() else {
        return Err(bad("element", &whole, "not a key and a verdict"));
    };
    let (word, body) = only(to, "verdict")?;
    let verdict = verdict(word, body)?.ok_or_else(|| unknown("verdict", word))?;
    Ok((value(key)?, verdict))
}

/// The verdict, if `word` is one.
pub(super) fn verdict<'a>(
    word: &str,
    body: Json<'a, '_>,
) -> Result<Option<Verdict<'a>>, ReadProblem> {
    let verdict = match word {
        "accept" => Verdict::Accept,
        "drop" => Verdict::Drop,
        "continue" => Verdict::Continue,
        "return" => Verdict::Return,
        "jump" => {
            return Ok(Some(Verdict::Jump(
                Object::read("jump", body, &["target"])?.text("target")?,
            )));
        }
        "goto" => {
            return Ok(Some(Verdict::Goto(
                Object::read("goto", body, &["target"])?.text("target")?,
            )));
        }
        _ => return Ok(None),
    };
    empty("verdict", body)?;
    Ok(Some(verdict))
}

/// The operator that `word` is.
pub(super) fn operator(word: &str) -> Option<Operator> {
    Operator::ALL.into_iter().find(|operator| operator.word() == word)
}

/// What a rule reads or computes.
pub(super) fn expression<'a>(json: Json<'a, '_>) -> Result<Expr<'a>, ReadProblem> {
    if !matches!(json.kind(), Kind::Object(_)) {
        return value(json).map(Expr::Value);
    }
    let (word, body) = only(json, "expression")?;
    let key = |of| Object::read(of, body, &["key"])?.text("key");
    Ok(match word {
        "meta" => Expr::Meta(key("meta")?),
        "ct" => Expr::Ct(key("ct")?),
        "socket" => Expr::Socket(key("socket")?),
        "payload" => {
            let fields = Object::read("payload", body, &["protocol", "field"])?;
            Expr::Payload { protocol: fields.text("protocol")?, field: fields.text("field")? }
        }
        "fib" => {
            let fields = Object::read("fib", body, &["result", "flags"])?;
            let flags = texts("flags", fields.need("flags")?)?;
            Expr::Fib { result: fields.text("result")?, flags }
        }
        _ => {
            let operator = operator(word).ok_or_else(|| unknown("expression", word))?;
            let mut operands = body.list().into_iter().flatten();
            let (Some(first), Some(second)) = (operands.next(), operands.next()) else {
                return Err(bad("operands", &body, "not two values or more"));
            };
            let mut result = expression(first)?;
            for operand in std::iter::once(second).chain(operands) {
                result = Expr::binary(operator, result, expression(operand)?);
            }
            result
        }
    })
}

/// What a set holds.
pub(super) fn set_type<'a>(json: Json<'a, '_>) -> Result<crate::nft::SetType<'a>, ReadProblem> {
    use crate::nft::SetType;
    match json.kind() {
        Kind::Text(name) => Ok(SetType::Named(name.clone())),
        Kind::List(_) => Ok(SetType::Named(Cow::Owned(texts("type", json)?.join(" . ")))),
        _ => match only(json, "type of set")? {
            ("typeof", field) => expression(field).map(SetType::Of),
            (word, _) => Err(unknown("type of set", word)),
        },
    }
}

/// What the keys of a map lead to.
pub(super) fn map_type<'a>(json: Json<'a, '_>) -> Result<Cow<'a, str>, ReadProblem> {
    match json.kind() {
        Kind::List(_) => texts("map", json).map(|types| Cow::Owned(types.join(" . "))),
        _ => text("map", json),
    }
}
