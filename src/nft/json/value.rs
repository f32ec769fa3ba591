//! Values, sets of them, and what rules compute.

use std::borrow::Cow;
use std::net::IpAddr;

use super::field::expression;
use super::object::{Object, empty, form, only, texts};
use super::tree::{Json, Kind, List};
use crate::nft::{Elements, Expr, ReadProblem, Right, Value, Verdict, bad, unknown};

/// One value, or an interval of them.
pub(super) fn value<'a>(json: Json<'a, '_>) -> Result<Value<'a>, ReadProblem> {
    Ok(match json.kind() {
        Kind::Number(number) => Value::Number(number),
        Kind::Text(text) => word(text),
        Kind::List(values) => Value::List(all(values)?),
        // Whether something is there, as a script has it.
        Kind::Bool(is_there) => {
            Value::Word(Cow::Borrowed(if is_there { "exists" } else { "missing" }))
        }
        Kind::Null | Kind::OtherNumber => Value::Word(Cow::Owned(json.to_string())),
        Kind::Object(_) => {
            let (word, body) = only(json, "value")?;
            match (word, body.list()) {
                ("prefix", _) => prefix(body)?,
                ("range", ends) => match ends.and_then(List::pair) {
                    Some([first, last]) => Value::Range(Box::new((value(first)?, value(last)?))),
                    None => return Err(bad("range", &body, "not a first and a last")),
                },
                ("|", Some(values)) => bits(values)?,
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

/// Older versions of nft have two values each, one in another.
fn bits<'a>(values: List<'a, '_>) -> Result<Value<'a>, ReadProblem> {
    let mut bits = Vec::with_capacity(values.len());
    for json in values {
        match value(json)? {
            Value::Bits(more) => bits.extend(more),
            one => bits.push(one),
        }
    }
    Ok(Value::Bits(bits))
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
    const KEYS: [&str; 9] =
        ["val", "comment", "counter", "timeout", "expires", "limit", "quota", "ct count", "last"];
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
        if let Some(pair) = one.list() {
            entry(&mut elements, one, pair)?;
        } else {
            let key = key(&mut elements, one)?;
            elements.values.push(key);
        }
        Ok(())
    };
    match json.list() {
        Some(mut list) => list.try_for_each(add)?,
        None => add(json)?,
    }
    Ok(elements)
}

/// An element, or the key of one; what is noted beside it is noted of all.
fn key<'a>(elements: &mut Elements<'a>, json: Json<'a, '_>) -> Result<Value<'a>, ReadProblem> {
    let Some(body) = form(json, "elem")? else { return value(json) };
    let (value, fleeting) = element(body)?;
    elements.fleeting |= fleeting;
    elements.limits |= ["limit", "quota", "ct count"].iter().any(|key| body.get(key).is_some());
    Ok(value)
}

fn entry<'a>(
    elements: &mut Elements<'a>,
    whole: Json<'a, '_>,
    pair: List<'a, '_>,
) -> Result<(), ReadProblem> {
    let Some([key_of, to]) = pair.pair() else {
        return Err(bad("element", &whole, "not a key and a verdict"));
    };
    let key = key(elements, key_of)?;
    if let Kind::Object(entries) = to.kind()
        && let Some((word, body)) = entries.only()
        && let Some(verdict) = verdict(word, body)?
    {
        elements.entries.push((key, verdict));
        return Ok(());
    }
    elements.pairs.push((key, value(to)?));
    Ok(())
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

/// What a set holds.
pub(super) fn set_type<'a>(json: Json<'a, '_>) -> Result<crate::nft::SetType<'a>, ReadProblem> {
    use crate::nft::SetType;
    match json.kind() {
        Kind::Text(name) => Ok(SetType::Named(name.clone())),
        Kind::List(_) => Ok(SetType::Named(Cow::Owned(texts("type", json)?.join(" . ")))),
        _ => match only(json, "type of set")? {
            ("typeof", of) => match of.list() {
                Some(fields) => {
                    let fields = fields.map(expression).collect::<Result<_, _>>()?;
                    Ok(SetType::Of(Expr::Concat(fields)))
                }
                None => expression(of).map(SetType::Of),
            },
            (word, _) => Err(unknown("type of set", word)),
        },
    }
}

/// What the keys of a map lead to.
pub(super) fn map_type<'a>(json: Json<'a, '_>) -> Result<Cow<'a, str>, ReadProblem> {
    match json.kind() {
        Kind::Text(kind) => Ok(kind.clone()),
        Kind::List(_) => texts("map", json).map(|types| Cow::Owned(types.join(" . "))),
        // Of values, nothing more has to be known.
        _ => only(json, "map").map(|_| Cow::Borrowed("typeof")),
    }
}
