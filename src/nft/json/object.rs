//! JSON objects of which every key is known.

use std::borrow::Cow;

use super::tree::{Entries, Json, Kind};
use crate::nft::{ReadProblem, bad, unknown};

/// The key and the value of an object that has one of each; `what` the key is.
pub(super) fn only<'a, 'j>(
    value: Json<'a, 'j>,
    what: &'static str,
) -> Result<(&'j str, Json<'a, 'j>), ReadProblem> {
    let entries = if let Kind::Object(entries) = value.kind() { Some(entries) } else { None };
    entries.and_then(Entries::only).ok_or_else(|| unknown(what, &value))
}

/// What `value` says under `key`, if it is an object for that and nothing else.
pub(super) fn form<'a, 'j>(
    value: Json<'a, 'j>,
    key: &str,
) -> Result<Option<Json<'a, 'j>>, ReadProblem> {
    let Some(body) = value.get(key) else { return Ok(None) };
    only(value, "value")?;
    Ok(Some(body))
}

/// A text, as `of` wants it.
pub(super) fn text<'a>(of: &'static str, value: Json<'a, '_>) -> Result<Cow<'a, str>, ReadProblem> {
    match value.kind() {
        Kind::Text(text) => Ok(text.clone()),
        _ => Err(bad(of, &value, "not a text")),
    }
}

/// One text or a list of them: nft writes a list of one either way.
pub(super) fn texts<'a>(
    of: &'static str,
    value: Json<'a, '_>,
) -> Result<Vec<Cow<'a, str>>, ReadProblem> {
    match value.kind() {
        Kind::List(values) => values.map(|value| text(of, value)).collect(),
        _ => Ok(vec![text(of, value)?]),
    }
}

/// Something that says everything with its name.
pub(super) fn empty(of: &'static str, body: Json<'_, '_>) -> Result<(), ReadProblem> {
    if body.is_null() { Ok(()) } else { Object::read(of, body, &[]).map(|_| ()) }
}

/// An object all of whose keys are known.
#[derive(Clone, Copy)]
pub(super) struct Object<'a, 'j> {
    /// What it is: `chain`.
    of: &'static str,
    value: Json<'a, 'j>,
}

impl<'a, 'j> Object<'a, 'j> {
    pub(super) fn read(
        of: &'static str,
        value: Json<'a, 'j>,
        known: &[&str],
    ) -> Result<Self, ReadProblem> {
        let Kind::Object(mut entries) = value.kind() else {
            return Err(bad(of, &value, "not an object"));
        };
        match entries.find(|(key, _)| !known.contains(key)) {
            Some((key, _)) => Err(ReadProblem::UnknownKey { of, key: key.to_owned() }),
            None => Ok(Self { of, value }),
        }
    }

    /// The value, unless it is not there or null.
    pub(super) fn get(self, key: &str) -> Option<Json<'a, 'j>> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn need(self, key: &'static str) -> Result<Json<'a, 'j>, ReadProblem> {
        self.get(key).ok_or(ReadProblem::MissingKey { of: self.of, key })
    }

    /// The number, unless something else is there.
    pub(super) fn number(self, key: &str) -> Option<u32> {
        match self.get(key)?.kind() {
            Kind::Number(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn text(self, key: &'static str) -> Result<Cow<'a, str>, ReadProblem> {
        text(key, self.need(key)?)
    }
}
