//! Names that are not taken yet.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::net::Name;
use crate::span::beginning;

/// The names taken in a table, so that a new one is unique.
pub(crate) struct Names<'a> {
    taken: BTreeSet<Cow<'a, str>>,
    /// How often a name was made of a beginning and an end.
    made: BTreeMap<(String, String), usize>,
}

impl<'a> Names<'a> {
    /// `taken` are the names there are.
    pub(crate) fn of(taken: impl Iterator<Item = &'a str>) -> Self {
        Self { taken: taken.map(Cow::Borrowed).collect(), made: BTreeMap::new() }
    }

    /// `<base>-<what>`, or with a number behind it if that is taken. `base` is cut where the name
    /// would be too long.
    pub(crate) fn fresh(&mut self, base: &str, what: &str) -> Name {
        let count = self.made.entry((base.to_owned(), what.to_owned())).or_default();
        loop {
            *count += 1;
            let tail = if *count == 1 { format!("-{what}") } else { format!("-{what}-{count}") };
            let stem = beginning(base, Name::MAX_LEN - tail.len());
            let name = format!("{stem}{tail}");
            if self.taken.insert(Cow::Owned(name.clone())) {
                return Name::foreign(&name).expect("the beginning of a name, and words of ours");
            }
        }
    }
}
