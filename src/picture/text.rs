//! A picture for a terminal: boxes of lines.

use super::escape::plain;
use super::wrap::{padded, width, wrap};
use super::{Node, Part, Picture, Subject, Way};

/// Narrowest and widest picture, in columns.
const NARROWEST: usize = 48;
const WIDEST: usize = 110;

/// `picture` in lines of at most `columns`, but for names that are longer.
#[must_use]
pub fn text(picture: &Picture, columns: usize) -> String {
    let mut lines = vec![plain(&picture.title)];
    let frame = Frame::of(picture, columns.clamp(NARROWEST, WIDEST));
    for part in &picture.parts {
        lines.push(String::new());
        if let Some(heading) = &part.heading {
            lines.extend(wrap(&plain(heading).to_uppercase(), frame.columns));
        }
        lines.extend(wrap(&plain(&part.title), frame.columns));
        match picture.of {
            Subject::Ladder => frame.ladder(part, &picture.nodes[part.nodes.clone()], &mut lines),
            Subject::Chains => {
                for node in &picture.nodes[part.nodes.clone()] {
                    frame.chain(node, picture, &mut lines);
                }
            }
        }
    }
    if !picture.notes.is_empty() {
        lines.push(String::new());
    }
    for note in &picture.notes {
        lines.extend(wrap(&plain(note), frame.columns));
    }
    lines.iter().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// What is said of expectations.
fn covered(node: &Node) -> Option<String> {
    node.cover.map(|cover| format!("({})", cover.words()))
}

/// What leads out of a box.
const ARROW: &str = "──► ";
const THICK: &str = "━━► ";

/// How wide everything is.
struct Frame {
    columns: usize,
    /// What stands before boxes, to show a packet's way.
    gutter: usize,
    /// The names of boxes.
    name: usize,
    /// What is in a box, names aside.
    inner: usize,
    /// What is behind an arrow.
    end: usize,
}

impl Frame {
    fn of(picture: &Picture, columns: usize) -> Self {
        let gutter = if picture.has_way() { 2 } else { 0 };
        let longest = |of: &mut dyn Iterator<Item = usize>| of.max().unwrap_or_default();
        let nodes = &picture.nodes;
        let name = match picture.of {
            Subject::Ladder => longest(&mut nodes.iter().map(|node| width(&plain(&node.name)))) + 2,
            Subject::Chains => 0,
        };
        let ends = |node: &Node| {
            let end = node.end.as_ref().map_or(0, |end| width(&plain(&end.text)));
            let targets = node.lines.iter().flat_map(|line| &line.leads_to);
            let targets = targets.map(|to| width(&plain(&nodes[*to].name))).max();
            end.max(targets.unwrap_or_default())
        };
        let covers = nodes.iter().filter_map(|node| Some(width(&covered(node)?)));
        let covers = covers.max().unwrap_or_default();
        let end = longest(&mut nodes.iter().map(ends));
        // The borders, a space inside each, and the arrow.
        let fixed = gutter + 4 + width(ARROW);
        let end = match picture.of {
            Subject::Ladder => end.min((columns - fixed) * 7 / 20).max(covers),
            Subject::Chains => end.min((columns - fixed) / 2),
        };
        let lines = |node: &Node| {
            let lines = node.lines.iter().map(|line| width(&plain(&line.text)));
            let head = match picture.of {
                Subject::Ladder => 0,
                Subject::Chains => width(&plain(&node.name)) + 1,
            };
            lines.chain([width(&plain(&node.title)), head]).max().unwrap_or_default()
        };
        let inner = longest(&mut nodes.iter().map(lines));
        let inner = inner.min(columns.saturating_sub(fixed + end + name)).max(12);
        Self { columns, gutter, name, inner, end }
    }

    /// What stands before a line of a box.
    fn before(&self, way: Way, is_first: bool) -> String {
        let sign = match way {
            Way::Asked => "┃",
            Way::Taken if is_first => "┗►",
            Way::Aside | Way::Taken => "",
        };
        padded(sign, self.gutter)
    }

    fn edge(&self, corners: [&str; 2], way: Way) -> String {
        let line = "─".repeat(self.name + self.inner + 2);
        let way = if way == Way::Aside { Way::Aside } else { Way::Asked };
        format!("{}{}{line}{}", self.before(way, false), corners[0], corners[1])
    }

    /// Rungs, each below the last.
    fn ladder(&self, part: &Part, nodes: &[Node], lines: &mut Vec<String>) {
        for (at, node) in nodes.iter().enumerate() {
            let corners = if at == 0 { ["┌", "┐"] } else { ["├", "┤"] };
            let way = if at == 0 { part.way } else { node.way };
            lines.push(self.edge(corners, way));
            self.rung(node, lines);
        }
        lines.push(self.edge(["└", "┘"], Way::Aside));
    }

    fn rung(&self, node: &Node, lines: &mut Vec<String>) {
        let mut left = wrap(&plain(&node.title), self.inner);
        for line in &node.lines {
            let mut wrapped = wrap(&plain(&line.text), self.inner - 2).into_iter();
            left.extend(wrapped.next());
            left.extend(wrapped.map(|more| format!("  {more}")));
        }
        let mut right =
            node.end.iter().flat_map(|end| wrap(&plain(&end.text), self.end)).collect::<Vec<_>>();
        right.extend(covered(node));
        let side = if node.is_bare() { "┆" } else { "│" };
        let arrow = if node.way == Way::Taken { THICK } else { ARROW };
        for at in 0..left.len().max(right.len()) {
            let name = if at == 0 { plain(&node.name) } else { String::new() };
            let inside = padded(left.get(at).map_or("", String::as_str), self.inner);
            let mut line = format!(
                "{}{side} {}{inside} ",
                self.before(node.way, at == 0),
                padded(&name, self.name)
            );
            match right.get(at) {
                Some(end) if at == 0 => {
                    line.push_str(if node.way == Way::Taken { "┝" } else { "├" });
                    line.push_str(arrow);
                    line.push_str(end);
                }
                Some(end) => line.extend([side, "    ", end]),
                None => line.push_str(side),
            }
            lines.push(line);
        }
    }

    /// A chain, with its rules and where they lead.
    fn chain(&self, node: &Node, picture: &Picture, lines: &mut Vec<String>) {
        let inner = self.name + self.inner;
        let head = format!("─ {} ", plain(&node.name));
        let line = "─".repeat((inner + 2).saturating_sub(width(&head)));
        lines.push(format!("{}┌{head}{line}┐", self.before(Way::Aside, false)));
        let row = |lines: &mut Vec<String>, way: Way, text: &str, first: bool, out: &str| {
            let before = match way {
                Way::Taken if first => "┗►",
                _ => "",
            };
            let before = padded(before, self.gutter);
            let side = if out.is_empty() { "│".to_owned() } else { format!("├{out}") };
            lines.push(format!("{before}│ {} {side}", padded(text, inner)));
        };
        for (at, text) in wrap(&plain(&node.title), inner).into_iter().enumerate() {
            row(lines, node.way, &text, at == 0 && node.lines.is_empty(), "");
        }
        for line in &node.lines {
            let targets: Vec<String> =
                line.leads_to.iter().map(|to| plain(&picture.nodes[*to].name)).collect();
            let arrow = if line.way == Way::Taken { THICK } else { ARROW };
            let mut words = wrap(&plain(&line.text), inner - 2);
            words.resize(words.len().max(targets.len()), String::new());
            for (at, words) in words.into_iter().enumerate() {
                let words = if at == 0 { words } else { format!("  {words}") };
                let out = targets.get(at).map_or_else(String::new, |to| format!("{arrow}{to}"));
                row(lines, line.way, &words, at == 0, &out);
            }
        }
        lines.push(format!("{}└{}┘", self.before(Way::Aside, false), "─".repeat(inner + 2)));
    }
}
