//! JSON objects of which every key is known.

use std::borrow::Cow;

use super::tree::Json;
use crate::nft::{ReadProblem, bad, unknown};

/// The key and the value of an object that has one of each; `what` the key is.
pub(super) fn only<'a, 'j>(
    value: &'j Json<'a>,
    what: &'static str,
) -> Result<(&'j str, &'j Json<'a>), ReadProblem> {
    match value {
        Json::Object(entries) if entries.len() == 1 => Ok((&entries[0].0, &entries[0].1)),
        _ => Err(unknown(what, value)),
    }
}

/// What `value` says under `key`, if it is an object for that and nothing else.
pub(super) fn form<'a, 'j>(
    value: &'j Json<'a>,
    key: &str,
) -> Result<Option<&'j Json<'a>>, ReadProblem> {
    let Some(body) = value.get(key) else { return Ok(None) };
    only(value, "value")?;
    Ok(Some(body))
}

/// A text, as `of` wants it.
pub(super) fn text<'a>(of: &'static str, value: &Json<'a>) -> Result<Cow<'a, str>, ReadProblem> {
    match value {
        Json::Text(text) => Ok(text.clone()),
        _ => Err(bad(of, value, "not a text")),
    }
}

/// One text or a list of them: nft writes a list of one either way.
pub(super) fn texts<'a>(
    of: &'static str,
    value: &Json<'a>,
) -> Result<Vec<Cow<'a, str>>, ReadProblem> {
    match value {
        Json::List(values) => values.iter().map(|value| text(of, value)).collect(),
        _ => Ok(vec![text(of, value)?]),
    }
}

/// Something that says everything with its name.
pub(super) fn empty(of: &'static str, body: &Json<'_>) -> Result<(), ReadProblem> {
    if *body == Json::Null { Ok(()) } else { Object::read(of, body, &[]).map(|_| ()) }
}

/// An object all of whose keys are known.
#[derive(Clone, Copy)]
pub(super) struct Object<'a, 'j> {
    /// What it is: `chain`.
    of: &'static str,
    entries: &'j [(Cow<'a, str>, Json<'a>)],
}

impl<'a, 'j> Object<'a, 'j> {
    pub(super) fn read(
        of: &'static str,
        value: &'j Json<'a>,
        known: &[&str],
    ) -> Result<Self, ReadProblem> {
        let Json::Object(entries) = value else { return Err(bad(of, value, "not an object")) };
        match entries.iter().find(|(key, _)| !known.contains(&&**key)) {
            Some((key, _)) => Err(ReadProblem::UnknownKey { of, key: key.to_string() }),
            None => Ok(Self { of, entries }),
        }
    }

    /// The value, unless it is not there or null.
    pub(super) fn get(&self, key: &str) -> Option<&'j Json<'a>> {
        let found = self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        found.filter(|value| **value != Json::Null)
    }

    pub(super) fn need(&self, key: &'static str) -> Result<&'j Json<'a>, ReadProblem> {
        self.get(key).ok_or(ReadProblem::MissingKey { of: self.of, key })
    }

    pub(super) fn text(&self, key: &'static str) -> Result<Cow<'a, str>, ReadProblem> {
        text(key, self.need(key)?)
    }
}
