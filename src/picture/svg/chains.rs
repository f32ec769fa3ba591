//! Chains in columns: the base chains from top to bottom as the kernel enters them, and each other chain one
//! column further right than the last that leads to it.
//!
//! A line to a chain that is more than one column further passes between the boxes of the columns on its
//! way, where it has a place of its own, as in the layered drawings of Sugiyama. It passes over none.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::colours::Paint;
use super::{COLUMN, Canvas, FONT, LINE, MARGIN, PADDING, count, number};
use crate::picture::escape::plain;
use crate::picture::wrap::{width, wrap};
use crate::picture::{Node, Picture, Way};

/// Most columns of text in a box.
const TEXT: usize = 64;
/// Between boxes of a column, and between columns.
const GAP: f64 = 22.0;
const GUTTER: f64 = 84.0;

/// Draws the boxes below `top`; the bottom of the lowest.
pub(super) fn draw(picture: &Picture, canvas: &mut Canvas, top: f64) -> f64 {
    let layout = Layout::of(picture, top);
    for (box_, node) in layout.boxes.iter().zip(&picture.nodes) {
        box_.draw(node, canvas);
    }
    for (part, heading) in
        picture.parts.iter().filter_map(|part| Some((part, part.heading.as_ref()?)))
    {
        if let Some(first) = layout.boxes.get(part.nodes.start) {
            let words = format!("{heading}: {}", part.title);
            canvas.text((first.x, first.y - PADDING), Paint::Heading, &words);
        }
    }
    layout.arrows(picture, canvas);
    layout.bottom + GAP
}

/// A chain that is ready to be drawn.
struct Box {
    /// From the left, 0 where the kernel enters.
    column: usize,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    /// Its lines, each with the rule that it is the first of.
    lines: Vec<(Option<usize>, String)>,
}

impl Box {
    fn of(node: &Node) -> Self {
        let mut lines = Vec::new();
        for (at, line) in node.lines.iter().enumerate() {
            for (part, words) in wrap(&plain(&line.text), TEXT).into_iter().enumerate() {
                let first = (part == 0).then_some(at);
                let words = if part == 0 { words } else { format!("\u{a0}\u{a0}{words}") };
                lines.push((first, words));
            }
        }
        let texts = lines.iter().map(|(_, words)| width(words));
        let heads = [&node.name, &node.title].map(|text| width(&plain(text)));
        let widest = texts.chain(heads).max().unwrap_or_default();
        let height = count(lines.len() + 2) * LINE + 1.5 * PADDING;
        Self {
            column: 0,
            x: 0.0,
            y: 0.0,
            width: count(widest) * COLUMN + 2.0 * PADDING,
            height,
            lines,
        }
    }

    /// The baseline of a line, from 0; the name and the title are before.
    fn base(&self, line: usize) -> f64 {
        self.y + PADDING / 2.0 + FONT + count(line + 2) * LINE
    }

    /// Where a line to it ends.
    fn entry(&self) -> f64 {
        self.y + PADDING / 2.0 + LINE / 2.0
    }

    /// Where a line from a rule of it begins.
    fn exit(&self, rule: usize) -> f64 {
        let line = self.lines.iter().position(|(first, _)| *first == Some(rule));
        self.base(line.unwrap_or_default()) - FONT / 3.0
    }

    fn draw(&self, node: &Node, canvas: &mut Canvas) {
        canvas.rect((self.x, self.y), (self.width, self.height), Paint::node(node.way, false));
        let left = self.x + PADDING;
        let base = self.y + PADDING / 2.0 + FONT;
        canvas.text((left, base), Paint::Name, &node.name);
        canvas.text((left, base + LINE), Paint::Muted, &node.title);
        let mut is_way = false;
        for (at, (first, words)) in self.lines.iter().enumerate() {
            is_way = first.map_or(is_way, |rule| node.lines[rule].way == Way::Taken);
            let paint = if is_way { Paint::Name } else { Paint::Text };
            canvas.text((left, self.base(at)), paint, words);
        }
    }
}

/// Where all boxes are, and all places of lines between them.
struct Layout {
    boxes: Vec<Box>,
    /// For the target of a line and a column on its way: the height at which it passes.
    lanes: HashMap<(usize, usize), f64>,
    /// The left and right end of each column.
    columns: Vec<(f64, f64)>,
    bottom: f64,
}

/// What a column has, from top to bottom.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Chain(usize),
    /// Where lines to a chain pass.
    Lane(usize),
}

impl Layout {
    fn of(picture: &Picture, top: f64) -> Self {
        let mut boxes: Vec<Box> = picture.nodes.iter().map(Box::of).collect();
        let entered: Vec<usize> = picture
            .parts
            .iter()
            .filter(|part| part.heading.is_some())
            .flat_map(|part| part.nodes.clone())
            .collect();
        place_in_columns(picture, &mut boxes);
        let mut places: Vec<Vec<Place>> = vec![entered.iter().copied().map(Place::Chain).collect()];
        let alone = (0..boxes.len()).filter(|at| boxes[*at].column == 0 && !entered.contains(at));
        places[0].extend(alone.map(Place::Chain));
        let last = boxes.iter().map(|it| it.column).max().unwrap_or_default();
        for column in 1..=last {
            let mut next: Vec<Place> = Vec::new();
            for place in &places[column - 1] {
                let targets: Vec<usize> = match place {
                    Place::Chain(at) => picture.nodes[*at]
                        .lines
                        .iter()
                        .flat_map(|line| line.leads_to.clone())
                        .collect(),
                    Place::Lane(to) => vec![*to],
                };
                for to in targets {
                    let place = match boxes[to].column {
                        at if at == column => Place::Chain(to),
                        at if at > column => Place::Lane(to),
                        _ => continue,
                    };
                    if !next.contains(&place) {
                        next.push(place);
                    }
                }
            }
            places.push(next);
        }
        let mut layout = Self { boxes, lanes: HashMap::new(), columns: Vec::new(), bottom: top };
        let mut left = MARGIN;
        for (column, places) in places.iter().enumerate() {
            left = layout.stack(picture, column, places, (left, top));
        }
        layout
    }

    /// Puts `places` below each other, each no higher than what leads there; where the next column begins.
    fn stack(
        &mut self,
        picture: &Picture,
        column: usize,
        places: &[Place],
        (left, top): (f64, f64),
    ) -> f64 {
        let headed: Vec<usize> = picture
            .parts
            .iter()
            .filter(|part| part.heading.is_some())
            .map(|part| part.nodes.start)
            .collect();
        let mut y = top;
        let mut right = left;
        for place in places {
            match *place {
                Place::Chain(at) => {
                    if column == 0 && headed.contains(&at) {
                        y += LINE;
                    }
                    let from = self.leads(picture, at).unwrap_or(top) - LINE;
                    let shown = &mut self.boxes[at];
                    (shown.x, shown.y) = (left, if column == 0 { y } else { y.max(from) });
                    y = shown.y + shown.height + GAP;
                    right = right.max(left + shown.width);
                }
                Place::Lane(to) => {
                    self.lanes.insert((to, column), y + GAP / 2.0);
                    y += GAP;
                }
            }
        }
        self.bottom = self.bottom.max(y);
        self.columns.push((left, right));
        right + GUTTER
    }

    /// The height of the first line that leads to a chain out of the column before.
    fn leads(&self, picture: &Picture, to: usize) -> Option<f64> {
        let column = self.boxes[to].column.checked_sub(1)?;
        let lane = self.lanes.get(&(to, column)).copied();
        let before = self.boxes.iter().zip(&picture.nodes).filter(|(it, _)| it.column == column);
        let exits = before.flat_map(|(it, node)| {
            let lines = node.lines.iter().enumerate();
            lines.filter(|(_, line)| line.leads_to.contains(&to)).map(|(at, _)| it.exit(at))
        });
        exits.chain(lane).min_by(f64::total_cmp)
    }

    fn arrows(&self, picture: &Picture, canvas: &mut Canvas) {
        // Those of the packet's way above the others.
        let mut drawn: Vec<(bool, String)> = Vec::new();
        for (from, node) in self.boxes.iter().zip(&picture.nodes) {
            for (rule, line) in node.lines.iter().enumerate() {
                for to in &line.leads_to {
                    if let Some(path) = self.path(from, rule, *to) {
                        drawn.push((line.way == Way::Taken, path));
                    }
                }
            }
        }
        drawn.sort_by_key(|(is_way, _)| *is_way);
        for (is_way, path) in &drawn {
            canvas.arrow(path, *is_way);
        }
    }

    /// The way of a line; `None` back to a chain that led here, which the kernel would not take.
    fn path(&self, from: &Box, rule: usize, to: usize) -> Option<String> {
        let target = &self.boxes[to];
        if target.column <= from.column {
            return None;
        }
        let (mut x, mut y) = (from.x + from.width, from.exit(rule));
        let mut path = format!("M{} {}", number(x), number(y));
        // Boxes are narrower than their column.
        let mut run = |x: &mut f64, y: &mut f64, (to_x, to_y): (f64, f64)| {
            let start = to_x - GUTTER;
            if *x < start {
                let _ = write!(path, " H{}", number(start));
            }
            let middle = number(to_x - GUTTER / 2.0);
            let _ = write!(
                path,
                " C{middle} {} {middle} {} {} {}",
                number(*y),
                number(to_y),
                number(to_x),
                number(to_y)
            );
            (*x, *y) = (to_x, to_y);
        };
        for column in from.column + 1..target.column {
            let lane = self.lanes.get(&(to, column))?;
            run(&mut x, &mut y, (self.columns[column].0, *lane));
        }
        run(&mut x, &mut y, (target.x, target.entry()));
        Some(path)
    }
}

/// Says in which column each box is: one further than the last that leads there.
fn place_in_columns(picture: &Picture, boxes: &mut [Box]) {
    let mut pending: Vec<usize> = vec![0; boxes.len()];
    let targets =
        |at: usize| picture.nodes[at].lines.iter().flat_map(|line| line.leads_to.iter().copied());
    for at in 0..boxes.len() {
        targets(at).for_each(|to| pending[to] += 1);
    }
    // Chains that lead to each other in a circle stay in the first column.
    let mut ready: Vec<usize> = (0..boxes.len()).filter(|at| pending[*at] == 0).collect();
    while let Some(at) = ready.pop() {
        for to in targets(at) {
            boxes[to].column = boxes[to].column.max(boxes[at].column + 1);
            pending[to] -= 1;
            if pending[to] == 0 {
                ready.push(to);
            }
        }
    }
}
