//! JSON as it stands in the text: objects keep their order, texts are borrowed where they can be.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value of JSON.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Number(u32),
    /// A number that is none of 32 bits, as it is written.
    OtherNumber(String),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl Json<'_> {
    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn list(&self) -> Option<&[Self]> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    /// What an object says under `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

/// As a message shows it: a text alone without its quotation marks.
impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            other => write_json(f, other),
        }
    }
}

fn write_json(f: &mut fmt::Formatter<'_>, json: &Json<'_>) -> fmt::Result {
    let quoted = |f: &mut fmt::Formatter<'_>, text: &str| write!(f, "\"{}\"", text.escape_debug());
    match json {
        Json::Null => f.write_str("null"),
        Json::Bool(value) => write!(f, "{value}"),
        Json::Number(number) => write!(f, "{number}"),
        Json::OtherNumber(number) => f.write_str(number),
        Json::Text(text) => quoted(f, text),
        Json::List(values) => {
            for (at, value) in values.iter().enumerate() {
                f.write_str(if at == 0 { "[" } else { "," })?;
                write_json(f, value)?;
            }
            f.write_str(if values.is_empty() { "[]" } else { "]" })
        }
        Json::Object(entries) => {
            for (at, (key, value)) in entries.iter().enumerate() {
                f.write_str(if at == 0 { "{" } else { "," })?;
                quoted(f, key)?;
                f.write_str(":")?;
                write_json(f, value)?;
            }
            f.write_str(if entries.is_empty() { "{}" } else { "}" })
        }
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        let other = |_| Json::OtherNumber(value.to_string());
        Ok(u32::try_from(value).map_or_else(other, Json::Number))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::OtherNumber(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        // With its point, which tells it from an integer.
        Ok(Json::OtherNumber(format!("{value:?}")))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element()? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let mut object: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        while let Some((Key(key), value)) = entries.next_entry()? {
            // nft would take one of them, and nobody can see which.
            if object.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(format!("the key `{key}` stands there twice")));
            }
            object.push((key, value));
        }
        Ok(Json::Object(object))
    }
}

/// A key, borrowed where it can be.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AnyKey)
    }
}

struct AnyKey;

impl<'de> Visitor<'de> for AnyKey {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(value.to_owned())))
    }
}

/// The values of the list of an object that has one key, `key`, each handed to `each` as soon as it
/// is read; nothing if the text is anything else, in part perhaps after some of them.
pub(super) fn stream<'de>(
    text: &'de str,
    key: &str,
    mut each: impl FnMut(Json<'de>),
) -> Option<()> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let document = Values { key, each: &mut each };
    deserializer.deserialize_map(document).ok()?;
    deserializer.end().ok()
}

struct Values<'k, F> {
    key: &'k str,
    each: &'k mut F,
}

impl<'de, F: FnMut(Json<'de>)> Visitor<'de> for Values<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let is_it = entries.next_key::<Key<'de>>()?.is_some_and(|Key(key)| key == self.key);
        let other = || A::Error::custom("another object");
        if !is_it {
            return Err(other());
        }
        entries.next_value_seed(self)?;
        if entries.next_key::<Key<'de>>()?.is_some() { Err(other()) } else { Ok(()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while let Some(value) = values.next_element()? {
            (self.each)(value);
        }
        Ok(())
    }
}

impl<'de, F: FnMut(Json<'de>)> DeserializeSeed<'de> for Values<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}
