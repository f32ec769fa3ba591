//! Names that are not taken yet.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::net::Name;

/// The names taken in a table, so that a new one is unique.
pub(crate) struct Names<'a>(BTreeSet<Cow<'a, str>>);

impl<'a> Names<'a> {
    /// `taken` are the names there are.
    pub(crate) fn of(taken: impl Iterator<Item = &'a str>) -> Self {
        Self(taken.map(Cow::Borrowed).collect())
    }

    /// `<base>-<what>`, or with a number behind it if that is taken. `base` is cut where the name
    /// would be too long.
    pub(crate) fn fresh(&mut self, base: &str, what: &str) -> Name {
        let mut count = 1;
        loop {
            let tail = if count == 1 { format!("-{what}") } else { format!("-{what}-{count}") };
            let stem = &base[..base.len().min(Name::MAX_LEN - tail.len())];
            let name = format!("{stem}{tail}");
            if self.0.insert(Cow::Owned(name.clone())) {
                return Name::new(&name).expect("the beginning of a name, and words of ours");
            }
            count += 1;
        }
    }
}
