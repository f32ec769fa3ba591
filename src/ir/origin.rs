//! Why a rule exists: rungs of ladders, and clauses.

use crate::span::Span;

/// Why a rule exists: the rung of the ladder, and the clause that asked for it.
///
/// Two rules that differ only in origin are equal: it is about people, not packets.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Origin {
    /// The rung.
    pub rung: Rung,
    /// The clause; `None` if a default asked for it, or the rule was read and not compiled.
    pub clause: Option<Span>,
    /// Where it stands; `None` if it was not read, or the text does not say.
    pub locator: Option<Locator>,
}

/// Where a rule stands that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Locator {
    /// The kernel knows it by this number, which `nft -a list ruleset` and JSON show, and which no other rule
    /// of its table has.
    Handle(u64),
    /// It begins on a line of a text.
    Line {
        /// Which of the texts that were read together, from 0.
        text: usize,
        /// The line, from 1.
        line: usize,
    },
}

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What a rule is for: a rung of the ladder that a kind of policy is lowered to. Each ladder
/// stands beside its lowering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rung {
    number: &'static str,
    title: &'static str,
}

impl Rung {
    /// A rule that only leads to others.
    pub const ENTRY: Self = Self::new("", "entry");
    /// A chain that only sends to the proxy.
    pub const TO_PROXY: Self = Self::new("", "to the proxy");
    /// Read from a ruleset that weir did not write.
    pub const FOREIGN: Self = Self::new("", "read from a ruleset");

    /// The rung of this number, of no other ladder, and this title: `O2` and `excluded port:
    /// untouched`.
    #[must_use]
    pub const fn new(number: &'static str, title: &'static str) -> Self {
        Self { number, title }
    }

    /// Its number in the reference: `O4b`. Empty where a rule only connects others.
    #[must_use]
    pub const fn number(self) -> &'static str {
        self.number
    }

    /// What it does, in words: `excluded port: untouched`.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.title
    }

    /// What it is about: the title up to its colon.
    #[must_use]
    pub fn subject(self) -> &'static str {
        self.title.split(':').next().unwrap_or_default()
    }
}

/// Declares the rungs of a ladder as constants, and all of them, in order, as `LADDER`.
macro_rules! ladder {
    ($($(#[doc = $doc:literal])* $rung:ident = $number:literal $title:literal;)*) => {
        $($(#[doc = $doc])* pub const $rung: $crate::ir::Rung = $crate::ir::Rung::new($number, $title);)*

        /// Every rung, in the order of the reference.
        pub const LADDER: &[$crate::ir::Rung] = &[$($rung),*];

        #[cfg(test)]
        mod tests {
            #[test]
            fn the_reference_has_every_rung_once() {
                let reference = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/language.md"));
                let word = |c: char| !c.is_ascii_alphanumeric();
                let words: std::collections::BTreeSet<&str> = reference.split(word).collect();
                let numbers: std::collections::BTreeSet<&str> =
                    super::LADDER.iter().map(|rung| rung.number()).collect();
                assert_eq!(numbers.len(), super::LADDER.len());
                assert!(numbers.is_subset(&words), "{:?}", numbers.difference(&words));
            }
        }
    };
}
pub(crate) use ladder;

impl Origin {
    /// A rule that only leads to others.
    pub const ENTRY: Self = Self::new(Rung::ENTRY, None);
    /// A rule that was read.
    pub const FOREIGN: Self = Self::new(Rung::FOREIGN, None);

    /// A rule of `rung`, asked for by `clause`.
    #[must_use]
    pub const fn new(rung: Rung, clause: Option<Span>) -> Self {
        Self { rung, clause, locator: None }
    }
}
