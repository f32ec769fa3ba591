//! The rules of one family, out of the tables that stand in a text.

use super::frame::{Frame, Scan};
use crate::net::Family;
use crate::reader::forms::FormError;

/// Rules of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dump<'a> {
    /// The family, if the text says so: in a comment, by the line above, or with an address.
    pub family: Option<Family>,
    /// What `iptables-restore` would take, with the places that the lines have in the text.
    pub lines: Vec<Line<'a>>,
}

/// A line of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line<'a> {
    /// The place, from 1. What is added to the text has that of its neighbour.
    pub number: usize,
    /// Without what stands before it on each line of a log.
    pub text: &'a str,
}

impl<'a> Dump<'a> {
    /// All of a text, of a family that it does not say.
    #[must_use]
    pub fn whole(text: &'a str) -> Self {
        let lines = text.lines().enumerate();
        let lines = lines.map(|(index, text)| Line { number: index + 1, text }).collect();
        Self { family: None, lines }
    }
}

/// The rules of each family, and what is worth saying of how they stand in the text.
///
/// # Errors
///
/// If tables are of several machines, if a family has a table twice, or if nothing says which family a table
/// is of.
pub(in crate::reader) fn dumps<'a>(
    scan: &Scan<'a>,
) -> Result<(Vec<Dump<'a>>, Option<String>), FormError> {
    of_one_source(&scan.frames)?;
    let groups = families(scan)?;
    let mut used: Vec<&Frame<'a>> = Vec::new();
    let mut dumps = Vec::new();
    let mut has_added = false;
    for family in [None, Some(Family::Ipv4), Some(Family::Ipv6)] {
        let frames = groups.iter().filter(|group| group.family == family);
        let frames: Vec<_> = frames.flat_map(|group| group.frames.iter().copied()).collect();
        if frames.is_empty() {
            continue;
        }
        let frames = in_force(&frames, scan.foreign > 0, &mut has_added)?;
        let lines = frames.iter().flat_map(|frame| &frame.lines).copied().collect();
        dumps.push(Dump { family, lines });
        used.extend(frames);
    }
    used.sort_by_key(|frame| frame.first());
    let said = said(scan, &used, dumps.len() > 1, has_added);
    Ok((dumps, said))
}

/// Refuses tables behind different prefixes: two pods share no rules.
fn of_one_source(frames: &[Frame<'_>]) -> Result<(), FormError> {
    let Some(first) = frames.first() else { return Ok(()) };
    match frames.iter().find(|frame| !frame.prefix.is_like(first.prefix)) {
        Some(other) => Err(FormError::Sources { line: other.first(), first: first.first() }),
        None => Ok(()),
    }
}

/// Tables that belong together.
struct Group<'a, 'b> {
    family: Option<Family>,
    frames: Vec<&'b Frame<'a>>,
}

/// The tables by family. A table of which nothing says the family has that of the one right before it, until
/// one of the name comes again.
fn families<'a, 'b>(scan: &'b Scan<'a>) -> Result<Vec<Group<'a, 'b>>, FormError> {
    let mut groups: Vec<Group<'a, 'b>> = Vec::new();
    for frame in &scan.frames {
        match groups.last_mut() {
            Some(group) if group.takes(frame) => {
                group.family = group.family.or(frame.family);
                group.frames.push(frame);
            }
            _ => groups.push(Group { family: frame.family, frames: vec![frame] }),
        }
    }
    let unknown = groups.iter().filter(|group| group.family.is_none()).count();
    let known = groups.iter().find_map(|group| group.family);
    let family = match (groups.len(), unknown, known) {
        (_, 0, _) => None,
        // A comment behind the rules says it, too.
        (1, ..) => match scan.named {
            [true, false] => Some(Family::Ipv4),
            [false, true] => Some(Family::Ipv6),
            _ => None,
        },
        // Nobody prints a table of one family twice in a row.
        (2, 1, Some(Family::Ipv4)) if scan.foreign == 0 => Some(Family::Ipv6),
        (2, 1, Some(Family::Ipv6)) if scan.foreign == 0 => Some(Family::Ipv4),
        _ => {
            let mut frames = groups.iter().filter(|group| group.family.is_none());
            let line = frames.find_map(|group| group.frames.first()).map_or(0, |it| it.first());
            return Err(FormError::Family { line });
        }
    };
    for group in &mut groups {
        group.family = group.family.or(family);
    }
    Ok(groups)
}

impl Group<'_, '_> {
    /// Whether `frame` belongs to it, which comes next.
    fn takes(&self, frame: &Frame<'_>) -> bool {
        let is_new = self.frames.iter().all(|other| other.table != frame.table);
        let is_next = self.frames.last().map(|it| it.foreign_before) == Some(frame.foreign_before);
        is_new && (self.family == frame.family || is_next && self.may_be(frame.family))
    }

    fn may_be(&self, family: Option<Family>) -> bool {
        self.family.is_none() || family.is_none()
    }
}

/// The tables of one family of which the last state consists, in the order of the text. In a log, what is
/// loaded adds to what is there, and what is printed later is all that is there.
fn in_force<'a, 'b>(
    frames: &[&'b Frame<'a>],
    is_log: bool,
    has_added: &mut bool,
) -> Result<Vec<&'b Frame<'a>>, FormError> {
    let mut kept: Vec<&Frame<'a>> = Vec::new();
    for frame in frames {
        let before = kept.iter().rev().find(|other| other.table == frame.table).copied();
        if let Some(before) = before {
            if !is_log || before.is_state && frame.is_state {
                let (line, table) = (frame.first(), frame.table.to_owned());
                return Err(FormError::Again { line, table, first: before.first() });
            }
            if frame.is_state {
                kept.retain(|other| other.table != frame.table);
            } else {
                *has_added = true;
            }
        }
        kept.push(frame);
    }
    Ok(kept)
}

/// What is not plain about how `used` stand in the text; `None` if all is.
fn said(scan: &Scan<'_>, used: &[&Frame<'_>], has_both: bool, has_added: bool) -> Option<String> {
    let mut said = Vec::new();
    let mut tables: Vec<&str> = Vec::new();
    for frame in used.iter().filter(|frame| frame.is_listing) {
        if !tables.contains(&frame.table) {
            tables.push(frame.table);
        }
    }
    match &tables[..] {
        [] => {}
        [table] => said.push(format!("read as `iptables -S` of table {table}")),
        tables => said.push(format!("read as `iptables -S` of tables {}", tables.join(", "))),
    }
    if has_both {
        said.push("IPv4 and IPv6 in one file".to_owned());
    }
    let has_dropped = used.len() < scan.frames.len();
    if scan.foreign > 0 || has_dropped {
        let changes = scan.changes.map_or_else(String::new, |line| {
            format!(", also commands that change rules (line {line})")
        });
        said.push(format!("{}, the rest passed over{changes}", ranges(used)));
    }
    if used.iter().any(|frame| !frame.prefix.is_none()) {
        said.push("without what stands before each line".to_owned());
    }
    if has_added {
        said.push("loaded one after another, as `iptables-restore --noflush` does".to_owned());
    }
    if let Some(line) = scan.beside {
        said.push(format!("there are legacy tables beside these (line {line})"));
    }
    (!said.is_empty()).then(|| said.join("; "))
}

/// `lines 2 to 9 and 14 to 20`. Tables with nothing between are one.
fn ranges(used: &[&Frame<'_>]) -> String {
    const SHOWN: usize = 3;
    let mut ranges: Vec<(usize, usize, usize)> = Vec::new();
    for frame in used {
        match ranges.last_mut() {
            Some((_, last, foreign)) if *foreign == frame.foreign_before => *last = frame.last(),
            _ => ranges.push((frame.first(), frame.last(), frame.foreign_before)),
        }
    }
    let shown = ranges.iter().take(SHOWN).map(|(first, last, _)| format!("{first} to {last}"));
    let mut shown: Vec<String> = shown.collect();
    if ranges.len() > SHOWN {
        shown.push(format!("{} more", ranges.len() - SHOWN));
    }
    format!("lines {}", crate::reader::forms::list(&shown))
}
