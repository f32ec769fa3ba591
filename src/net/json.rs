//! Numbers and ranges of them in JSON: `80`, or `"8000-8999"`.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

/// Writes the numbers `first` to `last`.
pub(crate) fn write_range<N: Copy + PartialEq + Serialize + fmt::Display, S: Serializer>(
    first: N,
    last: N,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if first == last {
        first.serialize(serializer)
    } else {
        serializer.collect_str(&format_args!("{first}-{last}"))
    }
}

/// Reads a number, or a text that `read` makes a range of. `what` says what it should be.
pub(crate) fn read_range<'de, N: Copy + TryFrom<u64> + FromStr, D: Deserializer<'de>>(
    deserializer: D,
    what: &'static str,
) -> Result<(N, N), D::Error> {
    deserializer.deserialize_any(Range { what, number: PhantomData })
}

struct Range<N> {
    what: &'static str,
    number: PhantomData<N>,
}

impl<N: Copy + TryFrom<u64> + FromStr> Visitor<'_> for Range<N> {
    type Value = (N, N);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(N, N), E> {
        let number = N::try_from(number)
            .map_err(|_| E::custom(format!("{number} is out of range; expected {}", self.what)))?;
        Ok((number, number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(N, N), E> {
        // A sign is no part of a number here.
        let number = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse().ok()).flatten()
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        number(first)
            .zip(number(last))
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}
