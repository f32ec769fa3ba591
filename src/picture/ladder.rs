//! A policy as the ladder that its packets meet, with its own values.

use super::conditions::Conditions;
use super::flat::{Item, Then, flat};
use super::overlay::{Overlay, Seen};
use super::{Becomes, End, Line, Node, Part, Picture, Subject, Way};
use crate::backend::dump::Words;
use crate::explain::{Context, Ports};
use crate::ir::{Action, ChainKind, Entry, Hook, MaskPair, Step};
use crate::net::{Destination, Family, OnMiss};
use crate::optimise::listed;
use crate::policy::Policy;
use crate::semantics::Limit;

/// The hooks in the order in which packets of each direction meet them.
const HOOKS: [(Hook, &str); 5] = [
    (Hook::Output, "outbound: a packet leaves a process"),
    (Hook::Prerouting, "inbound: a packet arrives"),
    (Hook::Input, "inbound: a packet is for a process"),
    (Hook::Forward, "forwarded: a packet is for another machine"),
    (Hook::Postrouting, "outbound: a packet is about to leave the machine"),
];

/// The ladder of `policy`: what is asked first, what becomes of a packet that fits, and what falls through.
///
/// A rung stands where its rules are asked. One that is asked in several places, as by several users of the
/// proxy, stands there several times.
///
/// # Errors
///
/// If the rules are too entangled to follow the packet, or to tell what expectations touch.
pub fn ladder(policy: &Policy, overlay: &Overlay<'_>) -> Result<Picture, Limit> {
    let lowered = listed(policy);
    let family = if lowered.families.has(Family::Ipv4) { Family::Ipv4 } else { Family::Ipv6 };
    let context = Context { policy: Some(policy), ..Context::default() };
    let seen = overlay.on(&lowered.ruleset, &context)?;
    let mut picture = Picture {
        title: format!("{} {}", policy.kind.keyword(), policy.name),
        description: String::new(),
        of: Subject::Ladder,
        parts: Vec::new(),
        nodes: Vec::new(),
        notes: Vec::new(),
    };
    for (hook, words) in HOOKS {
        let schedules = lowered.ruleset.schedules(hook, family)?;
        let steps = schedules.into_iter().next().unwrap_or_default().steps;
        let entries: Vec<Entry<'_>> = steps
            .into_iter()
            .flat_map(|step| match step {
                Step::Track => Vec::new(),
                Step::Chain(entry) => vec![entry],
                Step::Translate(entries) => entries,
            })
            .collect();
        let mut is_dropped = false;
        for (at, entry) in entries.iter().enumerate() {
            let heading = (at == 0).then(|| words.to_owned());
            let is_last = at + 1 == entries.len();
            let is_met = !is_dropped && seen.is_met(entry.table, entry.base);
            let stage = Stage { entry, is_last, is_met, ports: &lowered.ports, seen: &seen };
            is_dropped |= stage.draw(heading, &mut picture);
        }
    }
    picture.description = description(&picture);
    picture.notes = seen.notes;
    Ok(picture)
}

fn description(picture: &Picture) -> String {
    let headings = picture.parts.iter().filter_map(|part| part.heading.as_deref());
    format!(
        "The ladder of {}: what is asked of a packet, from top to bottom, and what becomes of one that fits. \
         Any other falls through to the next rung. Its parts: {}.",
        picture.title,
        headings.collect::<Vec<_>>().join(", "),
    )
}

/// A base chain.
struct Stage<'a> {
    entry: &'a Entry<'a>,
    /// Whether no other base chain of the hook is behind it.
    is_last: bool,
    /// Whether the packet that is shown meets it.
    is_met: bool,
    ports: &'a Ports,
    seen: &'a Seen<'a>,
}

impl Stage<'_> {
    /// Adds it to the picture; whether the packet that is shown is dropped here.
    fn draw(&self, heading: Option<String>, picture: &mut Picture) -> bool {
        let Entry { table, chain, base } = *self.entry;
        let items = flat(table, chain);
        let first = picture.nodes.len();
        // Neighbours of one rung that do the same are one.
        let mut groups: Vec<Vec<&Item<'_>>> = Vec::new();
        for item in &items {
            match groups.last_mut() {
                Some(group) if is_same(group[0], item) => group.push(item),
                _ => groups.push(vec![item]),
            }
        }
        let mut asked = self.is_met;
        let mut is_dropped = false;
        let mut until: Option<usize> = None;
        let mut place = 0;
        for group in &groups {
            let skipped = until.is_some_and(|until| place < until);
            place += group.len();
            let item = group[0];
            let taken =
                asked && !skipped && group.iter().any(|item| self.seen.fits(base.hook, item));
            let way = match (asked && !skipped, taken) {
                (_, true) => Way::Taken,
                (true, false) => Way::Asked,
                (false, false) => Way::Aside,
            };
            if taken {
                is_dropped |= item.actions.contains(&&Action::Drop);
                match item.then {
                    Then::Next => {}
                    Then::Past(to) => until = Some(to),
                    Then::End => asked = false,
                }
            }
            let mut conditions = Conditions::default();
            for item in group {
                conditions.add(item.families, &item.when);
            }
            let rung = item.origin.rung;
            picture.nodes.push(Node {
                name: rung.number().to_owned(),
                title: rung.subject().to_owned(),
                lines: conditions.words(table.families).into_iter().map(Line::plain).collect(),
                end: Some(self.end(item, &items)),
                way,
                cover: self.seen.cover(rung),
            });
        }
        let does_more = items.iter().any(|item| item.then == Then::Next);
        let (title, text) = match (items.is_empty(), does_more) {
            (true, _) => ("every packet", self.untouched()),
            (false, false) => ("anything else", self.untouched()),
            // What went on comes here, too.
            (false, true) => {
                ("the end of the chain", if self.is_last { "goes on" } else { "goes on below" })
            }
        };
        picture.nodes.push(Node {
            name: String::new(),
            title: title.to_owned(),
            lines: Vec::new(),
            end: Some(End { becomes: Becomes::Untouched, text: text.to_owned() }),
            way: if asked { Way::Taken } else { Way::Aside },
            cover: None,
        });
        let whom = match base.kind {
            ChainKind::Nat => "the first packet of a connection",
            ChainKind::Filter | ChainKind::Route => "every packet",
        };
        picture.parts.push(Part {
            heading,
            title: format!("table {}, chain {}: {whom}", table.name, chain.name),
            nodes: first..picture.nodes.len(),
            way: if self.is_met { Way::Asked } else { Way::Aside },
        });
        is_dropped
    }

    /// What becomes of a packet that is left as it is.
    const fn untouched(&self) -> &'static str {
        if self.is_last { "untouched" } else { "untouched here" }
    }

    /// What becomes of a packet that `item` fits.
    fn end(&self, item: &Item<'_>, items: &[Item<'_>]) -> End {
        let mut words = Vec::new();
        let mut becomes = Becomes::Untouched;
        for action in &item.actions {
            let (now, text) = self.does(action);
            if !text.is_empty() {
                becomes = now;
                words.push(text);
            }
        }
        if words.is_empty() {
            words.push(self.untouched().to_owned());
        }
        match item.then {
            Then::Next if becomes != Becomes::Untouched => words.push("goes on".to_owned()),
            Then::End if becomes == Becomes::Marked => words.push("asked no more here".to_owned()),
            Then::Next | Then::End => {}
            Then::Past(to) => {
                words.push(format!("goes on at {}", items[to].origin.rung.number()));
            }
        }
        End { becomes, text: words.join(", ") }
    }

    fn does(&self, action: &Action) -> (Becomes, String) {
        let port = |port: u16| match self.ports.name(port) {
            Some(name) => format!("{name} {port}"),
            None => format!("port {port}"),
        };
        match action {
            Action::Accept | Action::Return => (Becomes::Untouched, String::new()),
            Action::Drop => (Becomes::Dropped, "dropped".to_owned()),
            Action::Redirect { port: to } if self.ports.dns() == Some(*to) => {
                (Becomes::Dns, port(*to))
            }
            Action::Redirect { port: to } => (Becomes::Captured, port(*to)),
            Action::Tproxy { port: to, mark, on_miss } => {
                let miss = match on_miss {
                    OnMiss::Drop => "dropped",
                    OnMiss::Continue => "goes on",
                };
                let to = port(*to);
                let mark = Words(mark);
                (
                    Becomes::Captured,
                    format!("{to} by TPROXY, mark {mark}; {miss} if nobody listens"),
                )
            }
            Action::Snat { to } => (Becomes::Translated, format!("source becomes {to}")),
            Action::Dnat { to, port } => {
                let to = Destination { address: *to, port: *port };
                (Becomes::Translated, format!("destination becomes {to}"))
            }
            Action::SaveMark(MaskPair::FULL) => {
                (Becomes::Marked, "its mark becomes its connection's".to_owned())
            }
            Action::RestoreMark(MaskPair::FULL) => {
                (Becomes::Marked, "its connection's mark becomes its own".to_owned())
            }
            other => (Becomes::Marked, Words(other).to_string()),
        }
    }
}

/// Whether two items are one rung.
fn is_same(one: &Item<'_>, other: &Item<'_>) -> bool {
    one.origin.rung == other.origin.rung && one.actions == other.actions && one.then == other.then
}
