//! A picture as SVG, for light and for dark, with its text as text.
//!
//! All text is set in a monospaced font of the reader's, and everything is as large as its text would be in
//! the widest of the usual ones, so that nothing overlaps. Colours stand twice: as attributes, for readers
//! that know no style sheets, and in a style sheet, which the reader's wish for dark colours switches.

mod chains;
mod colours;
mod ladder;

use std::fmt::Write as _;

use super::escape::xml;
use super::wrap::width;
use super::{Picture, Subject};
use colours::{Paint, style};

/// Height of text, in user units, as all that follows.
const FONT: f64 = 13.0;
/// Width of a column of text: 0.602 of the height in `DejaVu Sans Mono`, less in most others.
const COLUMN: f64 = 7.9;
/// From one line of text to the next.
const LINE: f64 = 18.0;
/// Around everything, and within boxes.
const MARGIN: f64 = 24.0;
const PADDING: f64 = 10.0;

/// `picture` as an SVG document.
#[must_use]
pub fn svg(picture: &Picture) -> String {
    let mut canvas = Canvas::default();
    canvas.text((MARGIN, MARGIN + FONT), Paint::Title, &picture.title);
    let mut below = MARGIN + 2.0 * LINE;
    below = match picture.of {
        Subject::Ladder => ladder::draw(picture, &mut canvas, below),
        Subject::Chains => chains::draw(picture, &mut canvas, below),
    };
    for note in &picture.notes {
        let columns = columns(canvas.width - MARGIN).max(40);
        for line in super::wrap::wrap(&super::escape::plain(note), columns) {
            canvas.text((MARGIN, below + FONT), Paint::Muted, &line);
            below += LINE;
        }
    }
    canvas.reaches((0.0, below));
    canvas.document(picture)
}

/// How many columns of text are as wide as `wide`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a width of a picture is positive and small"
)]
fn columns(wide: f64) -> usize {
    (wide / COLUMN).max(0.0) as usize
}

/// How wide `text` is as it is shown.
fn wide(text: &str) -> f64 {
    count(width(&super::escape::plain(text))) * COLUMN
}

/// A number of lines or columns, to be multiplied.
fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::from(u32::MAX), f64::from)
}

/// A coordinate or a length, in few characters.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// What was drawn, and how far it reaches.
#[derive(Default)]
struct Canvas {
    body: String,
    width: f64,
    height: f64,
}

impl Canvas {
    fn reaches(&mut self, (x, y): (f64, f64)) {
        self.width = self.width.max(x);
        self.height = self.height.max(y);
    }

    /// One line of text, from its left end on the baseline.
    fn text(&mut self, (x, y): (f64, f64), paint: Paint, text: &str) {
        let paint = paint.attributes();
        let (left, base) = (number(x), number(y));
        let _ = writeln!(self.body, "<text x=\"{left}\" y=\"{base}\"{paint}>{}</text>", xml(text));
        self.reaches((x + wide(text), y));
    }

    /// A box by its upper left corner and its size.
    fn rect(&mut self, (left, top): (f64, f64), (width, height): (f64, f64), paint: Paint) {
        self.reaches((left + width, top + height));
        let attributes = paint.attributes();
        let round = if paint.is_round() { height.min(28.0) / 2.0 } else { 6.0 };
        let [left, top, width, height, round] = [left, top, width, height, round].map(number);
        let _ = writeln!(
            self.body,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\"{attributes}/>"
        );
    }

    /// A line along `path`, the words of a path of SVG, with a head at its end.
    fn arrow(&mut self, path: &str, is_way: bool) {
        let paint = if is_way { Paint::WayArrow } else { Paint::Arrow };
        let head = if is_way { "way-head" } else { "head" };
        let paint = paint.attributes();
        let _ = writeln!(self.body, "<path d=\"{path}\"{paint} marker-end=\"url(#{head})\"/>");
    }

    fn document(&self, picture: &Picture) -> String {
        let [width, height] = [self.width, self.height].map(|it| number((it + MARGIN).ceil()));
        let heads = [("head", Paint::Head), ("way-head", Paint::WayHead)].map(|(name, paint)| {
            format!(
                "<marker id=\"{name}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" \
                 markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">\
                 <path d=\"M0 0 L8 4 L0 8 z\"{}/></marker>\n",
                paint.attributes()
            )
        });
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" \
             role=\"img\" aria-labelledby=\"title desc\" font-family=\"ui-monospace, 'DejaVu Sans Mono', \
             Menlo, Consolas, monospace\" font-size=\"{FONT}\">\n\
             <title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n<style>\n{}</style>\n\
             <defs>\n{}</defs>\n<rect width=\"{width}\" height=\"{height}\"{}/>\n{}</svg>\n",
            xml(&picture.title),
            xml(&picture.description),
            style(),
            heads.concat(),
            Paint::Page.attributes(),
            self.body,
        )
    }
}
