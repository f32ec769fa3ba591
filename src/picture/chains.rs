//! The chains of a ruleset, as the kernel enters them and as they lead to each other.

use std::collections::{HashMap, HashSet};

use super::conditions::{of_rule, shortened};
use super::overlay::{Overlay, Seen};
use super::{Line, Node, Part, Picture, Subject, Way};
use crate::backend::dump::Words;
use crate::explain::Context;
use crate::ir::{Action, Base, Chain, Hook, Rule, Ruleset, Step, Table};
use crate::net::{Families, Family, Name};
use crate::semantics::Limit;

/// Most rules of a chain that are told one by one.
const MOST_RULES: usize = 24;

/// The chains of `ruleset`, which is called `name`: by hook in the order in which a packet can meet those, and
/// within a hook in the order in which the kernel enters them; then those that only rules lead to.
///
/// Of chains that tie, one order that is possible is drawn, and a note says so. Rules of long chains are
/// told together, with all chains that they lead to.
///
/// # Errors
///
/// If chains tie in too many ways, or the rules are too entangled to follow the packet.
pub fn chains(
    name: &str,
    ruleset: &Ruleset,
    context: &Context<'_>,
    overlay: &Overlay<'_>,
) -> Result<Picture, Limit> {
    let seen = overlay.on(ruleset, context)?;
    let mut supposed = Vec::new();
    let mut hooks = Vec::new();
    for hook in Hook::ALL {
        let entries = entries(ruleset, hook, &mut supposed)?;
        if !entries.is_empty() {
            hooks.push((hook, entries));
        }
    }
    let entered: Vec<Shown<'_>> = hooks.iter().flat_map(|(_, entries)| entries.clone()).collect();
    let mut shown = entered.clone();
    let mut groups: Vec<(&Table, usize)> = Vec::new();
    for table in &ruleset.tables {
        let others = table.chains.iter().filter(|chain| chain.base.is_none());
        let others: Vec<_> = others.map(|chain| Shown { table, chain, base: None }).collect();
        if !others.is_empty() {
            groups.push((table, others.len()));
            shown.extend(others);
        }
    }
    let places: HashMap<(*const Table, &Name), usize> = shown
        .iter()
        .enumerate()
        .map(|(at, it)| ((std::ptr::from_ref(it.table), &it.chain.name), at))
        .collect();
    let drawing = Drawing { places, context, seen: &seen };
    let mut parts = Vec::new();
    let mut first = 0;
    for (hook, entries) in &hooks {
        let places = first..first + entries.len();
        first = places.end;
        parts.push(Part {
            heading: Some(hook.name().to_owned()),
            title: words(*hook).to_owned(),
            nodes: places,
            way: Way::Aside,
        });
    }
    for (table, count) in groups {
        parts.push(Part {
            heading: None,
            title: format!("table {}: chains that only rules lead to", table.name),
            nodes: first..first + count,
            way: Way::Aside,
        });
        first += count;
    }
    let nodes: Vec<Node> = shown.iter().map(|it| drawing.node(it)).collect();
    Ok(Picture {
        title: name.to_owned(),
        description: description(name, &hooks, nodes.len()),
        of: Subject::Chains,
        parts,
        nodes,
        notes: supposed.into_iter().chain(seen.notes.iter().cloned()).collect(),
    })
}

fn description(name: &str, hooks: &[(Hook, Vec<Shown<'_>>)], count: usize) -> String {
    let hooks: Vec<&str> = hooks.iter().map(|(hook, _)| hook.name()).collect();
    format!(
        "The chains of {name}, {count} in all, their rules, and which chains these lead to. The kernel \
         enters chains at {}.",
        if hooks.is_empty() { "no hook".to_owned() } else { hooks.join(", ") }
    )
}

/// What packets are at a hook.
const fn words(hook: Hook) -> &'static str {
    match hook {
        Hook::Prerouting => "a packet arrives",
        Hook::Input => "a packet is for a process",
        Hook::Forward => "a packet is for another machine",
        Hook::Output => "a packet leaves a process",
        Hook::Postrouting => "a packet is about to leave the machine",
    }
}

/// A chain that is drawn.
#[derive(Clone, Copy)]
struct Shown<'a> {
    table: &'a Table,
    chain: &'a Chain,
    base: Option<Base>,
}

/// The base chains of a hook, in one order in which packets can meet them. What only one family meets stands
/// where that family meets it.
fn entries<'a>(
    ruleset: &'a Ruleset,
    hook: Hook,
    notes: &mut Vec<String>,
) -> Result<Vec<Shown<'a>>, Limit> {
    let mut entries: Vec<Shown<'a>> = Vec::new();
    for family in Family::ALL {
        let schedules = ruleset.schedules(hook, family)?;
        let Some(schedule) = schedules.into_iter().next() else { continue };
        if !schedule.supposes.is_empty() {
            let supposes = schedule.supposes.join("; ");
            let note =
                format!("At {} the order supposes what no text tells: {supposes}.", hook.name());
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        let met = schedule.steps.into_iter().flat_map(|step| match step {
            Step::Track => Vec::new(),
            Step::Chain(entry) => vec![entry],
            Step::Translate(entries) => entries,
        });
        for entry in met {
            let shown = Shown { table: entry.table, chain: entry.chain, base: Some(entry.base) };
            if entries.iter().all(|known| !std::ptr::eq(known.chain, shown.chain)) {
                entries.push(shown);
            }
        }
    }
    entries.sort_by_key(|entry| entry.base.map(Base::place));
    Ok(entries)
}

struct Drawing<'a> {
    /// Where the chains of each table are among the boxes.
    places: HashMap<(*const Table, &'a Name), usize>,
    context: &'a Context<'a>,
    seen: &'a Seen<'a>,
}

impl Drawing<'_> {
    fn node(&self, Shown { table, chain, base }: &Shown<'_>) -> Node {
        let name = self.context.chain(&table.name, &chain.name);
        let families = match table.families {
            Families::Both => String::new(),
            one => format!(", {}", Words(&one)),
        };
        let (name, title) = match base {
            Some(Base { kind, priority, .. }) => {
                let title = format!("{}, priority {priority}{families}", kind.name());
                (format!("table {}, chain {name}", table.name), title)
            }
            None => (name, format!("table {}{families}", table.name)),
        };
        let told = match chain.rules.len() {
            many if many > MOST_RULES => MOST_RULES - 1,
            few => few,
        };
        let (first, rest) = chain.rules.split_at(told);
        let mut lines: Vec<Line> = first.iter().map(|rule| self.line(table, chain, rule)).collect();
        if !rest.is_empty() {
            let all: Vec<Line> = rest.iter().map(|rule| self.line(table, chain, rule)).collect();
            let mut known = HashSet::new();
            let targets = all.iter().flat_map(|line| &line.leads_to).copied();
            lines.push(Line {
                text: format!("… {} more rules", rest.len()),
                leads_to: targets.filter(|to| known.insert(*to)).collect(),
                way: all.iter().map(|line| line.way).max().unwrap_or_default(),
            });
        }
        if lines.is_empty() {
            lines.push(Line::plain("no rules"));
        }
        let taken = lines.iter().any(|line| line.way == Way::Taken);
        let way = if taken { Way::Taken } else { Way::Aside };
        Node { name, title, lines, end: None, way, cover: None }
    }

    fn line(&self, table: &Table, chain: &Chain, rule: &Rule) -> Line {
        let asks = of_rule(rule, table.families);
        let (does, to) = match &rule.then {
            Action::Jump(to) => (format!("jump {}", self.context.chain(&table.name, to)), Some(to)),
            Action::Goto(to) => {
                (format!("go to {}", self.context.chain(&table.name, to)), Some(to))
            }
            action => (shortened(&Words(action).to_string()), None),
        };
        let rungs: Vec<&str> = rule.origins().map(|origin| origin.rung.number()).collect();
        let mut rungs: Vec<&str> = rungs.into_iter().filter(|number| !number.is_empty()).collect();
        rungs.dedup();
        let rungs =
            if rungs.is_empty() { String::new() } else { format!(" [{}]", rungs.join(", ")) };
        let place = |to| self.places.get(&(std::ptr::from_ref(table), to)).copied();
        let is_hit = match chain.base {
            Some(base) => self.seen.hits(base.hook, rule),
            None => Hook::ALL.iter().any(|hook| self.seen.hits(*hook, rule)),
        };
        Line {
            text: format!("{asks}: {does}{rungs}"),
            leads_to: to.and_then(place).into_iter().collect(),
            way: if is_hit { Way::Taken } else { Way::Aside },
        }
    }
}
