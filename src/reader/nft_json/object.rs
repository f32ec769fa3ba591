//! JSON objects of which every key is known.

use serde_json::{Map, Value};

use super::ReadProblem;

/// Most characters of a value in a message.
const MOST_SHOWN: usize = 60;

/// `value` as a message shows it: a text without its quotation marks, anything long cut.
pub(super) fn brief(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() <= MOST_SHOWN {
        return text;
    }
    text.chars().take(MOST_SHOWN).chain(['…']).collect()
}

/// `value` cannot be what `of` wants.
pub(super) fn bad(of: &'static str, value: &Value, why: &(impl ToString + ?Sized)) -> ReadProblem {
    ReadProblem::BadValue { of, value: brief(value), why: why.to_string() }
}

/// The key and the value of an object that has one of each; `what` the key is.
pub(super) fn only<'a>(
    value: &'a Value,
    what: &'static str,
) -> Result<(&'a str, &'a Value), ReadProblem> {
    let entry = value.as_object().and_then(|object| {
        let mut entries = object.iter();
        entries.next().filter(|_| entries.next().is_none())
    });
    entry
        .map(|(key, value)| (key.as_str(), value))
        .ok_or_else(|| ReadProblem::Unknown { what, word: brief(value) })
}

/// What `value` says under `key`, if it is an object for that and nothing else.
pub(super) fn form<'a>(value: &'a Value, key: &str) -> Result<Option<&'a Value>, ReadProblem> {
    let Some(body) = value.get(key) else { return Ok(None) };
    only(value, "value")?;
    Ok(Some(body))
}

/// A text, as `of` wants it.
pub(super) fn text<'a>(of: &'static str, value: &'a Value) -> Result<&'a str, ReadProblem> {
    value.as_str().ok_or_else(|| bad(of, value, "not a text"))
}

/// One text or a list of them: nft writes a list of one either way.
pub(super) fn texts<'a>(of: &'static str, value: &'a Value) -> Result<Vec<&'a str>, ReadProblem> {
    match value {
        Value::Array(values) => values.iter().map(|value| text(of, value)).collect(),
        _ => Ok(vec![text(of, value)?]),
    }
}

/// An object all of whose keys are known.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    /// What it is: `chain`.
    of: &'static str,
    map: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    pub(super) fn read(
        of: &'static str,
        value: &'a Value,
        known: &[&str],
    ) -> Result<Self, ReadProblem> {
        let map = value.as_object().ok_or_else(|| bad(of, value, "not an object"))?;
        match map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(ReadProblem::UnknownKey { of, key: key.clone() }),
            None => Ok(Self { of, map }),
        }
    }

    /// The value, unless it is not there or null.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn need(&self, key: &'static str) -> Result<&'a Value, ReadProblem> {
        self.get(key).ok_or(ReadProblem::MissingKey { of: self.of, key })
    }

    pub(super) fn text(&self, key: &'static str) -> Result<&'a str, ReadProblem> {
        text(key, self.need(key)?)
    }
}
