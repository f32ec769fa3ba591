//! Pictures of what packets meet: the ladder of a policy, or the chains of any ruleset.
//!
//! [`ladder()`] and [`chains()`] make a [`Picture`], a plain value of boxes and of what leads from one to
//! another. Each form of it is a file with one total function: [`text()`], [`svg()`], [`dot()`],
//! [`mermaid()`]. The same picture is the same text, and names of others mean nothing to any form
//! (`escape.rs`).

mod chains;
mod conditions;
mod dot;
mod escape;
mod flat;
mod ladder;
mod mermaid;
mod overlay;
mod svg;
mod text;
mod wrap;

use std::ops::Range;

pub use chains::chains;
pub use dot::dot;
pub use ladder::ladder;
pub use mermaid::mermaid;
pub use overlay::Overlay;
pub use svg::svg;
pub use text::text;

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// What it is of: `sidecar istio`.
    pub title: String,
    /// What it shows, for those who do not see it.
    pub description: String,
    /// What its boxes are.
    pub of: Subject,
    /// Its parts, in the order in which packets meet them.
    pub parts: Vec<Part>,
    /// The boxes of all parts.
    pub nodes: Vec<Node>,
    /// What is to be known beside it, each a sentence.
    pub notes: Vec<String>,
}

/// What the boxes of a picture are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Rungs: a packet that one does not fit falls through to the next.
    Ladder,
    /// Chains: each is entered by the kernel, or by what leads there.
    Chains,
}

/// Boxes that belong together: what one base chain asks, or all base chains of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What begins with it, if something does: `outbound: a packet leaves a process`.
    pub heading: Option<String>,
    /// What it is.
    pub title: String,
    /// Its boxes.
    pub nodes: Range<usize>,
    /// How far the packet that is shown gets here.
    pub way: Way,
}

/// A box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The number of a rung, or the name of a chain. Empty where a rung has no number.
    pub name: String,
    /// What it is about: `excluded port`, `nat, priority -100`.
    pub title: String,
    /// What is asked, or the rules.
    pub lines: Vec<Line>,
    /// What becomes of a packet that the rung fits; `None` of a chain.
    pub end: Option<End>,
    /// What it has to do with the packet that is shown.
    pub way: Way,
    /// What expectations have to do with it; `None` if that is not shown, or they are about something else.
    pub cover: Option<Cover>,
}

/// A line of a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The words.
    pub text: String,
    /// The chains that it leads to, by their places among the boxes.
    pub leads_to: Vec<usize>,
    /// What it has to do with the packet that is shown.
    pub way: Way,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// In one word.
    pub becomes: Becomes,
    /// In words: `outbound proxy port 15001`.
    pub text: String,
}

/// What becomes of a packet, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Becomes {
    /// It goes to the proxy.
    Captured,
    /// It goes to where the proxy answers queries.
    Dns,
    /// It goes where it wanted to.
    Untouched,
    /// Nobody gets it.
    Dropped,
    /// It is marked, or its connection is, or put into a zone, and goes on.
    Marked,
    /// One of its addresses becomes another.
    Translated,
}

/// What a box has to do with the packet that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Nothing, or no packet is shown.
    #[default]
    Aside,
    /// It is asked, and does not fit.
    Asked,
    /// It fits.
    Taken,
}

/// What expectations have to do with a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cover {
    /// So many touch it, at least one.
    Times(usize),
    /// None does, and one could.
    Nothing,
    /// None can: they are about the first packets of connections, without marks.
    Beyond,
}

impl Line {
    /// Words that lead nowhere.
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), leads_to: Vec::new(), way: Way::Aside }
    }
}

impl Cover {
    /// `2 expectations`.
    fn words(self) -> String {
        match self {
            Self::Times(1) => "1 expectation".to_owned(),
            Self::Times(times) => format!("{times} expectations"),
            Self::Nothing => "no expectation".to_owned(),
            Self::Beyond => "beyond expectations".to_owned(),
        }
    }

    /// Whether it looks different because of it.
    const fn is_bare(self) -> bool {
        matches!(self, Self::Nothing | Self::Beyond)
    }
}

impl Node {
    /// Whether no expectation reaches it, if that is shown.
    fn is_bare(&self) -> bool {
        self.cover.is_some_and(Cover::is_bare)
    }
}

impl Picture {
    /// Whether the way of a packet is shown.
    fn has_way(&self) -> bool {
        self.nodes.iter().any(|node| node.way != Way::Aside)
    }
}
