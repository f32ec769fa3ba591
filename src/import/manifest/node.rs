//! YAML, of which JSON is a part, with the place of everything in it.

use std::fmt;
use std::ops::Index;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::{Location, Spanned};

use crate::import::GeneralReason;

/// The documents of a text, with their places.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, GeneralReason> {
    let documents: Vec<Spanned<Content>> = read(text)?;
    Ok(documents.into_iter().map(Node::from).collect())
}

/// The documents of a text.
pub(crate) fn values(text: &str) -> Result<Vec<Value>, GeneralReason> {
    read(text)
}

/// Most values of a text: what is made of them takes less than 1 GiB.
const MOST_NODES: usize = 5_000_000;

fn read<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, GeneralReason> {
    // Room for every pod of a large cluster, but little for what aliases repeat.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 100_000,
            max_nodes: MOST_NODES,
            max_events: 2 * MOST_NODES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
        },
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let place = error.location();
        let said = error.without_snippet().to_string();
        GeneralReason::Unreadable {
            form: "YAML",
            why: if said.contains("budget breached") {
                format!("it has more than {MOST_NODES} values, or aliases repeat too much")
            } else {
                said.split(" at line ").next().unwrap_or_default().to_owned()
            },
            line: place.map_or(1, |place| place.line()),
            column: place.map_or(1, |place| place.column()),
        }
    })
}

/// A part of a document.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its bytes in the text. Of a list or of an object only where it begins.
    pub(crate) at: Bytes,
    content: Content,
}

/// The first byte of a text, and the one behind the last.
pub(crate) type Bytes = (u32, u32);

/// What is at a place.
#[derive(Debug)]
enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Object(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key is.
    pub(crate) key_at: Bytes,
    /// Its value.
    pub(crate) value: Node,
}

/// What is not there.
pub(crate) static NOTHING: Node = Node { at: (0, 0), content: Content::Null };

impl Node {
    /// The text, if it is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one without a sign and a fraction.
    pub(crate) fn as_u64(&self) -> Option<u64> {
        match &self.content {
            Content::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    /// The entries of an object; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Object(entries) => entries,
            _ => &[],
        }
    }

    /// The entry of that key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// Whether there is nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.content, Content::Null)
    }

    /// Whether it is a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.content, Content::List(_))
    }

    /// Whether it is an object.
    pub(crate) fn is_object(&self) -> bool {
        matches!(self.content, Content::Object(_))
    }

    /// The same without its places.
    pub(crate) fn value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(bool) => Value::Bool(*bool),
            Content::Number(number) => Value::Number(number.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Self::value).collect(),
            Content::Object(entries) => {
                let entries = entries.iter();
                entries.map(|entry| (entry.key.clone(), entry.value.value())).collect()
            }
        }
    }
}

impl Index<&str> for Node {
    type Output = Self;

    /// The value of the key; nothing if it is not there.
    fn index(&self, key: &str) -> &Self {
        self.entry(key).map_or(&NOTHING, |entry| &entry.value)
    }
}

impl Index<usize> for Node {
    type Output = Self;

    /// The item at that place; nothing if it is not there.
    fn index(&self, at: usize) -> &Self {
        self.items().get(at).unwrap_or(&NOTHING)
    }
}

impl PartialEq<str> for Node {
    fn eq(&self, text: &str) -> bool {
        self.as_str() == Some(text)
    }
}

impl PartialEq<&str> for Node {
    fn eq(&self, text: &&str) -> bool {
        *self == **text
    }
}

impl PartialEq<bool> for Node {
    fn eq(&self, bool: &bool) -> bool {
        matches!(&self.content, Content::Bool(own) if own == bool)
    }
}

impl From<Spanned<Content>> for Node {
    fn from(Spanned { value, referenced, .. }: Spanned<Content>) -> Self {
        Self { at: bytes(referenced), content: value }
    }
}

fn bytes(place: Location) -> Bytes {
    let span = place.span();
    let start = span.byte_offset().and_then(|at| u32::try_from(at).ok()).unwrap_or_default();
    let length = span.byte_len().and_then(|length| u32::try_from(length).ok()).unwrap_or_default();
    (start, start.saturating_add(length))
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

/// Takes whatever is there.
struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_bool<E: de::Error>(self, bool: bool) -> Result<Content, E> {
        Ok(Content::Bool(bool))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Content, E> {
        Ok(Content::Number(number.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Content, E> {
        Ok(Content::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Content, E> {
        // Infinities have no form in JSON; nothing here asks for one.
        Ok(Number::from_f64(number).map_or(Content::Null, Content::Number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Content, E> {
        Ok(Content::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Content>>()? {
            list.push(item.into());
        }
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let mut object = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Content>>()? {
            let Spanned { value: key, referenced, .. } = key;
            object.push(Entry { key, key_at: bytes(referenced), value: value.into() });
        }
        Ok(Content::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::documents;

    #[test]
    fn everything_knows_its_place() {
        let text = "é: {b: 'q é', c: [1, true]}\n---\n{\"x\": \"y\"}\n";
        let documents = documents(text).unwrap();
        let inner = documents[0].entry("é").unwrap();
        let part = |(start, end): (u32, u32)| &text[start as usize..end as usize];
        assert_eq!(part(inner.key_at), "é");
        assert_eq!(part(inner.value["b"].at), "'q é'");
        assert_eq!(part(inner.value["c"][1].at), "true");
        assert_eq!(part(documents[1].entry("x").unwrap().key_at), "\"x\"");
        assert_eq!(documents[1]["x"], "y");
        assert!(documents[1]["z"]["z"][7].is_null());
        assert_eq!(inner.value.value().to_string(), r#"{"b":"q é","c":[1,true]}"#);
    }
}
