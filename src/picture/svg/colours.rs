//! The colours of pictures, light and dark: the one table.

use std::fmt::Write as _;

use crate::picture::{Becomes, Way};

/// What something is painted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    /// The ground of everything.
    Page,
    /// The title of the picture.
    Title,
    /// What begins with a part.
    Heading,
    /// Text.
    Text,
    /// The name of a box, and what it is about.
    Name,
    /// Text that says less.
    Muted,
    /// A box.
    Node,
    /// A box that no expectation reaches.
    Bare,
    /// A box on the way of the packet, which it does not fit.
    Asked,
    /// A box on the way of the packet, which it fits.
    Taken,
    /// What becomes of a packet.
    End(Becomes),
    /// A frame around boxes.
    Frame,
    /// A line from one box to another.
    Arrow,
    /// The same on the packet's way.
    WayArrow,
    /// The head of such a line.
    Head,
    /// The same on the packet's way.
    WayHead,
}

/// A row of the table: the class, the fills, the strokes, light and dark, and what does not change.
struct Row {
    class: &'static str,
    fill: [&'static str; 2],
    stroke: [&'static str; 2],
    more: &'static str,
}

const NONE: [&str; 2] = ["none", "none"];
const BOLD: &str = " font-weight=\"bold\"";
const WIDE: &str = " stroke-width=\"2.5\"";
const DASHED: &str = " stroke-dasharray=\"5 4\"";

const fn row(
    class: &'static str,
    fill: [&'static str; 2],
    stroke: [&'static str; 2],
    more: &'static str,
) -> Row {
    Row { class, fill, stroke, more }
}

impl Paint {
    const ALL: [Self; 21] = [
        Self::Page,
        Self::Title,
        Self::Heading,
        Self::Text,
        Self::Name,
        Self::Muted,
        Self::Node,
        Self::Bare,
        Self::Asked,
        Self::Taken,
        Self::Frame,
        Self::Arrow,
        Self::WayArrow,
        Self::Head,
        Self::WayHead,
        Self::End(Becomes::Captured),
        Self::End(Becomes::Dns),
        Self::End(Becomes::Untouched),
        Self::End(Becomes::Dropped),
        Self::End(Becomes::Marked),
        Self::End(Becomes::Translated),
    ];

    /// How a box is painted that is as `way` says, and that expectations reach unless it is bare.
    pub(super) const fn node(way: Way, is_bare: bool) -> Self {
        match (way, is_bare) {
            (Way::Taken, _) => Self::Taken,
            (_, true) => Self::Bare,
            (Way::Asked, false) => Self::Asked,
            (Way::Aside, false) => Self::Node,
        }
    }

    const fn row(self) -> Row {
        let ink = ["#1f2328", "#e6edf3"];
        let way = ["#bc4c00", "#f0883e"];
        match self {
            Self::Page => row("page", ["#ffffff", "#0d1117"], NONE, ""),
            Self::Title => row("title", ink, NONE, BOLD),
            Self::Heading => row("heading", ink, NONE, BOLD),
            Self::Text => row("text", ink, NONE, ""),
            Self::Name => row("name", ink, NONE, BOLD),
            Self::Muted => row("muted", ["#59636e", "#9198a1"], NONE, ""),
            Self::Node => row("node", ["#f6f8fa", "#161b22"], ["#afb8c1", "#484f58"], ""),
            Self::Bare => row("bare", ["#ffffff", "#0d1117"], ["#818b98", "#656c76"], DASHED),
            Self::Asked => row("asked", ["#f6f8fa", "#161b22"], way, ""),
            Self::Taken => row("taken", ["#fff1e5", "#2e1a0a"], way, WIDE),
            Self::Frame => row("frame", NONE, ["#d1d9e0", "#30363d"], ""),
            Self::Arrow => row("arrow", NONE, ["#818b98", "#7d8590"], " stroke-width=\"1.2\""),
            Self::WayArrow => row("way", NONE, way, WIDE),
            Self::Head => row("head", ["#818b98", "#7d8590"], NONE, ""),
            Self::WayHead => row("way-head", way, NONE, ""),
            Self::End(becomes) => match becomes {
                Becomes::Captured => {
                    row("captured", ["#ddf4ff", "#0c2d6b"], ["#0969da", "#58a6ff"], "")
                }
                Becomes::Dns => row("dns", ["#fbefff", "#3c1e70"], ["#8250df", "#bc8cff"], ""),
                Becomes::Untouched => {
                    row("untouched", ["#ffffff", "#21262d"], ["#818b98", "#7d8590"], "")
                }
                Becomes::Dropped => {
                    row("dropped", ["#ffebe9", "#490202"], ["#cf222e", "#f85149"], WIDE)
                }
                Becomes::Marked => {
                    row("marked", ["#fff8c5", "#341a00"], ["#9a6700", "#d29922"], DASHED)
                }
                Becomes::Translated => {
                    row("translated", ["#dafbe1", "#033a16"], ["#1a7f37", "#3fb950"], "")
                }
            },
        }
    }

    /// Whether its ends are round.
    pub(super) const fn is_round(self) -> bool {
        matches!(self, Self::End(_))
    }

    /// Its class and its light colours.
    pub(super) fn attributes(self) -> String {
        let Row { class, fill, stroke, more } = self.row();
        let stroke = match stroke {
            ["none", _] => String::new(),
            [light, _] => format!(" stroke=\"{light}\""),
        };
        format!(" class=\"{class}\" fill=\"{}\"{stroke}{more}", fill[0])
    }
}

/// The style sheet: the dark colours, for whom wishes them.
pub(super) fn style() -> String {
    let mut style = String::from("@media (prefers-color-scheme: dark) {\n");
    for paint in Paint::ALL {
        let Row { class, fill: [_, fill], stroke: [_, stroke], .. } = paint.row();
        let _ = write!(style, ".{class} {{ fill: {fill}");
        if stroke != "none" {
            let _ = write!(style, "; stroke: {stroke}");
        }
        style.push_str(" }\n");
    }
    style.push_str("}\n");
    style
}
