//! A ladder: a column of rungs, and beside each what becomes of a packet that fits.

use super::colours::Paint;
use super::{COLUMN, Canvas, FONT, LINE, MARGIN, PADDING, count, wide};
use crate::picture::escape::plain;
use crate::picture::wrap::{width, wrap};
use crate::picture::{Becomes, Node, Picture, Way};

/// Most columns of text in a rung, and in what becomes of a packet.
const RUNG: usize = 58;
const END: usize = 30;
/// From one rung to the next, and from a rung to its end.
const GAP: f64 = 16.0;
const REACH: f64 = 56.0;

/// Draws the parts below `top`; the bottom of the last.
pub(super) fn draw(picture: &Picture, canvas: &mut Canvas, top: f64) -> f64 {
    let size = Size::of(picture);
    let mut y = top;
    for part in &picture.parts {
        if let Some(heading) = &part.heading {
            y += PADDING;
            canvas.text((MARGIN, y + FONT), Paint::Heading, heading);
            y += LINE;
        }
        canvas.text((MARGIN, y + FONT), Paint::Muted, &part.title);
        y += LINE + PADDING;
        let nodes = &picture.nodes[part.nodes.clone()];
        for (at, node) in nodes.iter().enumerate() {
            let rung = Rung::of(node);
            rung.draw(canvas, y, &size);
            let bottom = y + rung.height;
            if at + 1 < nodes.len() {
                let x = super::number(MARGIN + size.fall());
                let [from, to] = [bottom, bottom + GAP].map(super::number);
                let falls = node.way != Way::Aside && nodes[at + 1].way != Way::Aside;
                canvas.arrow(&format!("M{x} {from} V{to}"), falls);
            }
            y = bottom + GAP;
        }
        y += PADDING;
    }
    y
}

/// How wide everything is.
struct Size {
    /// The numbers of rungs.
    name: f64,
    /// The rungs.
    rung: f64,
    /// The ends.
    end: f64,
}

impl Size {
    fn of(picture: &Picture) -> Self {
        let longest = |of: &dyn Fn(&Node) -> usize| {
            count(picture.nodes.iter().map(of).max().unwrap_or_default()) * COLUMN
        };
        let widest =
            |lines: Vec<String>| lines.iter().map(|line| width(line)).max().unwrap_or_default();
        let name = longest(&|node| width(&plain(&node.name)) + 2);
        let text = longest(&|node| widest(words(node)));
        let end = longest(&|node| widest(end(node)));
        Self { name, rung: name + text + 2.0 * PADDING, end: end + 3.0 * PADDING }
    }

    /// Where packets fall through, from the left of the rungs.
    fn fall(&self) -> f64 {
        PADDING + self.name / 2.0 - COLUMN
    }
}

/// What is said of a rung, in lines.
fn words(node: &Node) -> Vec<String> {
    let mut words = wrap(&plain(&node.title), RUNG);
    for line in &node.lines {
        let mut wrapped = wrap(&plain(&line.text), RUNG - 2).into_iter();
        words.extend(wrapped.next());
        words.extend(wrapped.map(|more| format!("\u{a0}\u{a0}{more}")));
    }
    words
}

/// What is said of what becomes of a packet, in lines.
fn end(node: &Node) -> Vec<String> {
    node.end.iter().flat_map(|end| wrap(&plain(&end.text), END)).collect()
}

/// A rung that is ready to be drawn.
struct Rung<'a> {
    node: &'a Node,
    words: Vec<String>,
    end: Vec<String>,
    height: f64,
}

impl<'a> Rung<'a> {
    fn of(node: &'a Node) -> Self {
        let (words, end) = (words(node), end(node));
        let below = usize::from(node.cover.is_some());
        let lines = words.len().max(end.len() + below);
        let height = count(lines) * LINE + 1.5 * PADDING;
        Self { node, words, end, height }
    }

    fn draw(&self, canvas: &mut Canvas, y: f64, size: &Size) {
        let node = self.node;
        let is_taken = node.way == Way::Taken;
        canvas.rect((MARGIN, y), (size.rung, self.height), Paint::node(node.way, node.is_bare()));
        let base = y + PADDING / 2.0 + FONT;
        canvas.text((MARGIN + PADDING, base), Paint::Name, &node.name);
        let left = MARGIN + PADDING + size.name;
        let titles = wrap(&plain(&node.title), RUNG).len();
        for (at, words) in self.words.iter().enumerate() {
            let paint = if at < titles { Paint::Name } else { Paint::Muted };
            canvas.text((left, base + count(at) * LINE), paint, words);
        }
        let height = count(self.end.len()) * LINE + PADDING;
        let middle = y + PADDING / 4.0 + height / 2.0;
        let right = MARGIN + size.rung;
        let becomes = node.end.as_ref().map_or(Becomes::Untouched, |end| end.becomes);
        let [from, to, across] = [right, right + REACH, middle].map(super::number);
        canvas.arrow(&format!("M{from} {across} H{to}"), is_taken);
        let top = middle - height / 2.0;
        canvas.rect((right + REACH, top), (size.end, height), Paint::End(becomes));
        for (at, words) in self.end.iter().enumerate() {
            let inset = (size.end - wide(words)) / 2.0;
            let base = top + PADDING / 2.0 + FONT + count(at) * LINE;
            canvas.text((right + REACH + inset, base), Paint::Text, words);
        }
        if let Some(cover) = node.cover {
            let base = top + height + FONT + 2.0;
            let words = cover.words();
            let inset = (size.end - wide(&words)) / 2.0;
            canvas.text((right + REACH + inset, base), Paint::Muted, &words);
        }
    }
}
