//! Values out of JSON, where a field or a word that is not known is refused with its place.

use std::fmt::{self, Write as _};

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::quoted;
use crate::import::nearest;

/// Why a value in JSON is not what it should be.
#[derive(Debug)]
pub(crate) struct Wrong {
    /// Where it is, the last step first.
    path: Vec<Step>,
    /// What is wrong.
    pub(super) why: String,
    /// What to write instead, if that is known.
    pub(super) instead: Option<String>,
}

/// A step into a value.
#[derive(Debug)]
pub(super) enum Step {
    /// To a field of an object.
    Field(String),
    /// To an item of a list, from 0.
    Index(usize),
}

impl Wrong {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { path: Vec::new(), why: why.into(), instead: None }
    }

    /// A word for a `what` that is none of `known`.
    pub(super) fn unknown<'k>(
        what: &str,
        word: &str,
        meant: Option<&str>,
        known: impl Iterator<Item = &'k str>,
    ) -> Self {
        let instead = if let Some(meant) = meant {
            format!("did you mean `{meant}`?")
        } else {
            let known: Vec<_> = known.map(quoted).collect();
            format!("known are {}", known.join(", "))
        };
        let why = format!("unknown {what} {}", quoted(word));
        Self { path: Vec::new(), why, instead: Some(instead) }
    }

    /// The same, seen from outside.
    pub(super) fn under(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }

    /// The steps that lead to it.
    pub(super) fn path(&self) -> impl Iterator<Item = &Step> {
        self.path.iter().rev()
    }

    /// The same as one word: `outbound.exclude-to[0]`.
    pub(super) fn field(&self) -> String {
        let mut field = String::new();
        for step in self.path() {
            let _ = match step {
                Step::Field(name) if field.is_empty() => field.write_str(name),
                Step::Field(name) => write!(field, ".{name}"),
                Step::Index(at) => write!(field, "[{at}]"),
            };
        }
        field
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field();
        if !field.is_empty() {
            write!(f, "{}: ", quoted(&field))?;
        }
        f.write_str(&self.why)?;
        self.instead.iter().try_for_each(|instead| write!(f, "; {instead}"))
    }
}

impl std::error::Error for Wrong {}

impl Error for Wrong {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self::new(why.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        match found {
            Unexpected::Unit => Self::new(format!("invalid type: null, expected {wanted}")),
            found => Self::new(format!("invalid type: {found}, expected {wanted}")),
        }
    }
}

/// `value` as a `T`.
pub(super) fn strictly<T: DeserializeOwned>(value: Value) -> Result<T, Wrong> {
    T::deserialize(Json(value))
}

/// A value that is read.
struct Json(Value);

impl<'de> Deserializer<'de> for Json {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(is) => visitor.visit_bool(is),
            Value::Number(number) => number.deserialize_any(visitor).map_err(Wrong::custom),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => visitor.visit_seq(Items { items: items.into_iter(), next: 0 }),
            Value::Object(fields) => fields_of(fields, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let Value::Object(given) = self.0 else {
            return Err(Wrong::new("expected an object"));
        };
        match given.keys().find(|field| !fields.contains(&field.as_str())) {
            None => fields_of(given, visitor),
            Some(field) => {
                let known = || fields.iter().copied();
                let wrong = Wrong::unknown("field", field, nearest(field, known()), known());
                Err(wrong.under(Step::Field(field.clone())))
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let known = || variants.iter().copied();
        let (variant, value) = match self.0 {
            Value::String(variant) => (variant, None),
            Value::Object(fields) if fields.len() == 1 => {
                let (variant, value) = fields.into_iter().next().unwrap_or_default();
                (variant, Some(value))
            }
            _ => {
                let known: Vec<_> = known().map(quoted).collect();
                return Err(Wrong::new(format!("expected one of {}", known.join(", "))));
            }
        };
        if !variants.contains(&variant.as_str()) {
            return Err(Wrong::unknown("word", &variant, nearest(&variant, known()), known()));
        }
        visitor.visit_enum(Variant { variant, value })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

fn fields_of<'de, V: Visitor<'de>>(
    fields: Map<String, Value>,
    visitor: V,
) -> Result<V::Value, Wrong> {
    visitor.visit_map(Fields { fields: fields.into_iter(), value: None })
}

/// The items of a list.
struct Items {
    items: std::vec::IntoIter<Value>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Wrong> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let at = self.next;
        self.next += 1;
        seed.deserialize(Json(item)).map(Some).map_err(|wrong| wrong.under(Step::Index(at)))
    }
}

/// The fields of an object.
struct Fields {
    fields: serde_json::map::IntoIter,
    /// The value of the field that was last.
    value: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Fields {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Wrong> {
        let Some((field, value)) = self.fields.next() else { return Ok(None) };
        self.value = Some((field.clone(), value));
        seed.deserialize(field.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let (field, value) = self.value.take().unwrap_or_default();
        seed.deserialize(Json(value)).map_err(|wrong| wrong.under(Step::Field(field)))
    }
}

/// A word, perhaps with a value.
struct Variant {
    variant: String,
    value: Option<Value>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = Wrong;
    type Variant = Content;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), Wrong> {
        let variant = seed.deserialize(self.variant.clone().into_deserializer())?;
        Ok((variant, Content(self)))
    }
}

/// The value behind a word.
struct Content(Variant);

impl Content {
    fn read<T>(self, read: impl FnOnce(Json) -> Result<T, Wrong>) -> Result<T, Wrong> {
        let Variant { variant, value } = self.0;
        let Some(value) = value else {
            return Err(Wrong::new(format!("expected an object with {}", quoted(&variant))));
        };
        read(Json(value)).map_err(|wrong| wrong.under(Step::Field(variant)))
    }
}

impl<'de> VariantAccess<'de> for Content {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        match self.0.value {
            None => Ok(()),
            Some(_) => Err(Wrong::new(format!("expected {} alone", quoted(&self.0.variant)))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        self.read(|json| seed.deserialize(json))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.read(|json| json.deserialize_any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.read(|json| json.deserialize_struct("", fields, visitor))
    }
}
