//! Values of a policy that know their clause.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::span::Span;

/// A value of a policy, and the clause that set it.
///
/// Reads like the value (it dereferences to it), is equal if the value is, and serialises as the
/// value: where something was written does not change what it means.
#[derive(Clone, Copy, Debug)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// The clause; `None` if the value is the default, or came from no text.
    pub clause: Option<Span>,
}

impl<T> Setting<T> {
    /// A value that no clause set.
    pub const fn default_to(value: T) -> Self {
        Self { value, clause: None }
    }

    /// A value, and the clause that set it.
    pub const fn written(value: T, clause: Span) -> Self {
        Self { value, clause: Some(clause) }
    }
}

/// A value that code gives, and no clause.
impl<T> From<T> for Setting<T> {
    fn from(value: T) -> Self {
        Self::default_to(value)
    }
}

/// What a value is by default is so by default.
impl<T: Default> Default for Setting<T> {
    fn default() -> Self {
        Self::default_to(T::default())
    }
}

impl<T> Deref for Setting<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Setting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Setting<T> {}

impl<T: Serialize> Serialize for Setting<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Setting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::default_to)
    }
}

/// `*`, a list, or `none`.
///
/// In JSON, `"*"` or a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection<T> {
    /// `*`: everything.
    #[default]
    All,
    /// These, in the order in which they were written. Empty for `none`.
    Only(Vec<T>),
}

impl<T: Serialize> Serialize for Selection<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("*"),
            Self::Only(list) => list.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Selection<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AllOrSome(PhantomData))
    }
}

/// Reads `"*"` or a list.
struct AllOrSome<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AllOrSome<T> {
    type Value = Selection<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`*` or a list")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Selection<T>, E> {
        if word == "*" {
            Ok(Selection::All)
        } else {
            Err(E::invalid_value(Unexpected::Str(word), &self))
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Selection<T>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Selection::Only)
    }
}

/// These.
impl<T, U: Into<T>> From<Vec<U>> for Selection<T> {
    fn from(list: Vec<U>) -> Self {
        Self::Only(list.into_iter().map(Into::into).collect())
    }
}

/// These.
impl<T, U: Into<T>, const N: usize> From<[U; N]> for Selection<T> {
    fn from(list: [U; N]) -> Self {
        Self::Only(list.into_iter().map(Into::into).collect())
    }
}

impl<T> Selection<T> {
    /// Nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self::Only(Vec::new())
    }

    /// Whether nothing is selected.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::Only(list) if list.is_empty())
    }
}
