//! JSON as it stands in the text: one list of all values in their order, so that nothing is allocated
//! for each; texts are borrowed where they can be.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value of JSON, without those in it, which are the next ones of its tree.
#[derive(Debug)]
enum Node<'a> {
    Null,
    Bool(bool),
    Number(u32),
    /// A number that is none of 32 bits, as it is written.
    OtherNumber(String),
    Text(Cow<'a, str>),
    /// How many nodes and how many values are in it.
    List(usize, usize),
    /// How many nodes are in it: keys, which are texts, each with its value behind it.
    Object(usize),
}

/// A value of JSON and all that is in it.
#[derive(Debug, Default)]
pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
}

/// A value in a tree.
#[derive(Clone, Copy)]
pub(super) struct Json<'a, 'j> {
    node: &'j Node<'a>,
    /// What is in it.
    inner: &'j [Node<'a>],
}

/// What a value is.
pub(super) enum Kind<'a, 'j> {
    Null,
    Bool(bool),
    Number(u32),
    /// A number that is none of 32 bits.
    OtherNumber,
    Text(&'j Cow<'a, str>),
    List(List<'a, 'j>),
    Object(Entries<'a, 'j>),
}

/// The values of a list: their nodes, and how many values they are.
pub(super) struct List<'a, 'j>(&'j [Node<'a>], usize);

/// The keys of an object, with their values.
pub(super) struct Entries<'a, 'j>(&'j [Node<'a>]);

impl<'a> Tree<'a> {
    /// Reads a text.
    pub(super) fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        let mut tree = Self::default();
        let mut deserializer = serde_json::Deserializer::from_str(text);
        Push(&mut tree.nodes).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(tree)
    }

    /// The value.
    pub(super) fn root(&self) -> Json<'a, '_> {
        first(&self.nodes).map_or(Json { node: &Node::Null, inner: &[] }, |(root, _)| root)
    }
}

/// The first value of `nodes`, and the nodes behind it.
fn first<'a, 'j>(nodes: &'j [Node<'a>]) -> Option<(Json<'a, 'j>, &'j [Node<'a>])> {
    let (node, rest) = nodes.split_first()?;
    let (Node::List(size, _) | Node::Object(size)) = node else {
        return Some((Json { node, inner: &[] }, rest));
    };
    let (inner, rest) = rest.split_at(*size);
    Some((Json { node, inner }, rest))
}

impl<'a, 'j> Iterator for List<'a, 'j> {
    type Item = Json<'a, 'j>;

    fn next(&mut self) -> Option<Self::Item> {
        let (value, rest) = first(self.0)?;
        *self = Self(rest, self.1 - 1);
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, Some(self.1))
    }
}

impl ExactSizeIterator for List<'_, '_> {}

impl<'a, 'j> Iterator for Entries<'a, 'j> {
    type Item = (&'j str, Json<'a, 'j>);

    fn next(&mut self) -> Option<Self::Item> {
        let (Node::Text(key), rest) = self.0.split_first()? else { return None };
        let (value, rest) = first(rest)?;
        self.0 = rest;
        Some((key, value))
    }
}

impl<'a, 'j> List<'a, 'j> {
    /// The values, if they are two.
    pub(super) fn pair(mut self) -> Option<[Json<'a, 'j>; 2]> {
        if self.len() == 2 { Some([self.next()?, self.next()?]) } else { None }
    }
}

impl<'a, 'j> Entries<'a, 'j> {
    /// The key and the value, if there is one of each.
    pub(super) fn only(mut self) -> Option<(&'j str, Json<'a, 'j>)> {
        let only = self.next()?;
        self.0.is_empty().then_some(only)
    }

    /// What stands under `key`.
    pub(super) fn get(mut self, key: &str) -> Option<Json<'a, 'j>> {
        self.find(|(name, _)| *name == key).map(|(_, value)| value)
    }
}

impl<'a, 'j> Json<'a, 'j> {
    pub(super) fn kind(self) -> Kind<'a, 'j> {
        match self.node {
            Node::Null => Kind::Null,
            Node::Number(number) => Kind::Number(*number),
            Node::Text(text) => Kind::Text(text),
            Node::List(_, count) => Kind::List(List(self.inner, *count)),
            Node::Object(_) => Kind::Object(Entries(self.inner)),
            Node::Bool(value) => Kind::Bool(*value),
            Node::OtherNumber(_) => Kind::OtherNumber,
        }
    }

    pub(super) fn is_null(self) -> bool {
        matches!(self.node, Node::Null)
    }

    pub(super) fn text(self) -> Option<&'j str> {
        if let Node::Text(text) = self.node { Some(text) } else { None }
    }

    pub(super) fn list(self) -> Option<List<'a, 'j>> {
        if let Kind::List(list) = self.kind() { Some(list) } else { None }
    }

    /// Whether a text in it, keys included, is one that `is_it` holds for.
    pub(super) fn has_text(self, is_it: impl Fn(&str) -> bool) -> bool {
        self.inner.iter().any(|node| matches!(node, Node::Text(text) if is_it(text)))
    }

    /// What an object says under `key`.
    pub(super) fn get(self, key: &str) -> Option<Self> {
        if let Kind::Object(entries) = self.kind() { entries.get(key) } else { None }
    }
}

/// As a message shows it: a text alone without its quotation marks.
impl fmt::Display for Json<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => f.write_str(text),
            None => write_json(f, *self),
        }
    }
}

fn write_json(f: &mut fmt::Formatter<'_>, json: Json<'_, '_>) -> fmt::Result {
    let quoted = |f: &mut fmt::Formatter<'_>, text: &str| write!(f, "\"{}\"", text.escape_debug());
    match json.node {
        Node::Null => f.write_str("null"),
        Node::Bool(value) => write!(f, "{value}"),
        Node::Number(number) => write!(f, "{number}"),
        Node::OtherNumber(number) => f.write_str(number),
        Node::Text(text) => quoted(f, text),
        Node::List(_, count) => {
            for (at, value) in List(json.inner, *count).enumerate() {
                f.write_str(if at == 0 { "[" } else { "," })?;
                write_json(f, value)?;
            }
            f.write_str(if *count == 0 { "[]" } else { "]" })
        }
        Node::Object(size) => {
            for (at, (key, value)) in Entries(json.inner).enumerate() {
                f.write_str(if at == 0 { "{" } else { "," })?;
                quoted(f, key)?;
                f.write_str(":")?;
                write_json(f, value)?;
            }
            f.write_str(if *size == 0 { "{}" } else { "}" })
        }
    }
}

/// Puts what it reads behind the nodes that there are.
struct Push<'t, 'a>(&'t mut Vec<Node<'a>>);

impl<'de> DeserializeSeed<'de> for Push<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Push<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push(Node::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.push(Node::Bool(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        let other = |_| Node::OtherNumber(value.to_string());
        self.0.push(u32::try_from(value).map_or_else(other, Node::Number));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.push(Node::OtherNumber(value.to_string()));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        // With its point, which tells it from an integer.
        self.0.push(Node::OtherNumber(format!("{value:?}")));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<(), E> {
        self.0.push(Node::Text(Cow::Borrowed(value)));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.0.push(Node::Text(Cow::Owned(value.to_owned())));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let nodes = self.0;
        let at = nodes.len();
        nodes.push(Node::Null);
        let mut count = 0;
        while values.next_element_seed(Push(nodes))?.is_some() {
            count += 1;
        }
        nodes[at] = Node::List(nodes.len() - at - 1, count);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let nodes = self.0;
        let at = nodes.len();
        nodes.push(Node::Null);
        loop {
            let key_at = nodes.len();
            if entries.next_key_seed(Push(nodes))?.is_none() {
                break;
            }
            entries.next_value_seed(Push(nodes))?;
            // nft would take one of two, and nobody can see which.
            let (before, behind) = nodes[at + 1..].split_at(key_at - at - 1);
            if let Some(Node::Text(key)) = behind.first()
                && Entries(before).get(key).is_some()
            {
                return Err(A::Error::custom(format!("the key `{key}` stands there twice")));
            }
        }
        nodes[at] = Node::Object(nodes.len() - at - 1);
        Ok(())
    }
}

/// The values of the list of an object that has one key, `key`, each handed to `each` as soon as it
/// is read; nothing if the text is anything else, in part perhaps after some of them.
pub(super) fn stream<'de>(
    text: &'de str,
    key: &str,
    mut each: impl FnMut(Json<'de, '_>),
) -> Option<()> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let document = Document { key, each: &mut each };
    deserializer.deserialize_map(document).ok()?;
    deserializer.end().ok()
}

struct Document<'k, F> {
    key: &'k str,
    each: &'k mut F,
}

impl<'de, F: FnMut(Json<'de, '_>)> Visitor<'de> for Document<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let is_it = entries.next_key::<Cow<'de, str>>()?.is_some_and(|key| key == self.key);
        let other = || A::Error::custom("another object");
        if !is_it {
            return Err(other());
        }
        entries.next_value_seed(self)?;
        if entries.next_key::<Cow<'de, str>>()?.is_some() { Err(other()) } else { Ok(()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let mut tree = Tree::default();
        while values.next_element_seed(Push(&mut tree.nodes))?.is_some() {
            (self.each)(tree.root());
            tree.nodes.clear();
        }
        Ok(())
    }
}

impl<'de, F: FnMut(Json<'de, '_>)> DeserializeSeed<'de> for Document<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}
