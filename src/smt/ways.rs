//! The ways of packets through chains: each has a name, and is made of the one before.

use std::fmt::Write;

use super::NoQuestion;
use super::rules::{Side, action};
use crate::backend::dump::Words;
use crate::ir::{Action, Chain, ChainKind, Entry, Schedule, Step, Table};

/// Most rules that are written, each as often as it is led to.
const MOST_RULES: usize = 200_000;

/// Deepest nesting of jumps.
const DEEPEST: usize = 512;

/// Most characters of a rule that a comment repeats.
const MOST_WORDS: usize = 96;

/// Writes ways, and counts them.
#[derive(Default)]
pub(super) struct Ways {
    /// What is written: as many `let` as there are ways, none of them closed.
    pub(super) text: String,
    /// How many ways there are.
    pub(super) count: usize,
    rules: usize,
}

/// A chain that is being written: where its rules are.
#[derive(Clone, Copy)]
struct Place<'a> {
    side: Side<'a>,
    table: &'a Table,
    chain: &'a Chain,
}

impl Ways {
    /// The way through the steps of a hook, from `start`.
    pub(super) fn schedule<'a>(
        &mut self,
        side: Side<'a>,
        schedule: &Schedule<'a>,
    ) -> Result<String, NoQuestion> {
        let mut way = "start".to_owned();
        for step in &schedule.steps {
            way = match step {
                Step::Track => self.way(&format!("(track {way})")),
                Step::Chain(entry) => {
                    let behind = self.base_chain(side, entry, &way)?;
                    match entry.base.kind {
                        ChainKind::Route => self.way(&format!("(left-route {way} {behind})")),
                        ChainKind::Filter | ChainKind::Nat => {
                            self.way(&format!("(left-base {behind})"))
                        }
                    }
                }
                Step::Translate(entries) => {
                    for entry in entries {
                        let behind = self.base_chain(side, entry, &way)?;
                        let asked = format!("(ite (asks {way}) (left-base {behind}) {way})");
                        way = self.way(&asked);
                    }
                    self.way(&format!("(translate {way})"))
                }
            };
        }
        Ok(way)
    }

    fn base_chain<'a>(
        &mut self,
        side: Side<'a>,
        entry: &Entry<'a>,
        from: &str,
    ) -> Result<String, NoQuestion> {
        let Entry { table, chain, .. } = *entry;
        self.chain(Place { side, table, chain }, from, &mut Vec::new())
    }

    /// The way through a chain. `open` are the chains that lead there.
    fn chain<'a>(
        &mut self,
        place: Place<'a>,
        from: &str,
        open: &mut Vec<&'a Chain>,
    ) -> Result<String, NoQuestion> {
        let Place { side, table, chain } = place;
        if open.iter().any(|other| std::ptr::eq(*other, chain)) {
            return Err(NoQuestion::Circle { chain: chain.name.to_string() });
        }
        if open.len() == DEEPEST {
            return Err(NoQuestion::Depth { chain: chain.name.to_string() });
        }
        self.rules += chain.rules.len();
        if self.rules > MOST_RULES {
            return Err(NoQuestion::Rules);
        }
        open.push(chain);
        let called = format!("{}: chain {} of table {}", side.word, chain.name, table.name);
        let mut part = Part::new(from);
        for (number, rule) in (1..).zip(&chain.rules) {
            let target = match &rule.then {
                Action::Jump(to) | Action::Goto(to) => table.chain(to),
                _ => None,
            };
            let mut then = action(&rule.then);
            if let Some(chain) = target {
                let before = self.part(&called, part);
                let behind = self.chain(Place { chain, ..place }, &before, open)?;
                part = Part::new(&before);
                let is_goto = matches!(rule.then, Action::Goto(_));
                then = if is_goto { format!("(gone {behind})") } else { behind };
            }
            part.comment(number, &Words(rule).to_string());
            part.step(&format!("(ite {} {then} w)", side.acts(table, rule)));
        }
        open.pop();
        part.step("(jumped w)");
        Ok(self.part(&called, part))
    }

    /// Gives the steps of a part a name; `from`, if there are none.
    fn part(&mut self, called: &str, part: Part) -> String {
        if part.steps == 0 {
            return part.from;
        }
        let _ = writeln!(self.text, "\n; {called}");
        let ends = ")".repeat(part.steps + 1);
        self.way(&format!("(let ((w {}))\n{}  w{ends}", part.from, part.text))
    }

    /// A name for a way that is `value`.
    fn way(&mut self, value: &str) -> String {
        self.count += 1;
        let name = format!("w{}", self.count);
        let _ = writeln!(self.text, "(let (({name} {value}))");
        name
    }
}

/// Rules of a chain between jumps.
struct Part {
    from: String,
    text: String,
    steps: usize,
}

impl Part {
    fn new(from: &str) -> Self {
        Self { from: from.to_owned(), text: String::new(), steps: 0 }
    }

    fn comment(&mut self, number: usize, words: &str) {
        let short: String = words.chars().take(MOST_WORDS).collect();
        let more = if short.len() < words.len() { "…" } else { "" };
        let _ = writeln!(self.text, "  ; {number}  {short}{more}");
    }

    fn step(&mut self, way: &str) {
        self.steps += 1;
        let _ = writeln!(self.text, "  (let ((w {way}))");
    }
}
