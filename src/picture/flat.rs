//! A base chain as a ladder: its rules and those of the chains that it leads to, in the order in which a
//! packet meets them.

use crate::ir::{Action, Chain, Match, Origin, Rule, Table};
use crate::net::Families;

/// A rung in the making: one rule, with what is asked on the way to it.
pub(super) struct Item<'a> {
    pub(super) origin: Origin,
    pub(super) families: Families,
    pub(super) when: Vec<&'a Match>,
    /// What is done, in order.
    pub(super) actions: Vec<&'a Action>,
    /// The rules that lead there, and the one that does it: by these a packet's trace finds it.
    pub(super) rules: Vec<&'a Rule>,
    pub(super) then: Then,
}

/// What is asked next of a packet that an item fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The next item.
    Next,
    /// The item at this place, which is behind the next.
    Past(usize),
    /// Nothing more of this base chain.
    End,
}

/// What is asked on the way to a chain.
#[derive(Clone)]
struct Prefix<'a> {
    families: Families,
    when: Vec<&'a Match>,
    /// The jumps.
    rules: Vec<&'a Rule>,
    /// What the last of them with a rung is for.
    origin: Option<Origin>,
}

/// The items of `chain`, a base chain of `table`.
pub(super) fn flat<'a>(table: &'a Table, chain: &'a Chain) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    let (when, rules) = (Vec::new(), Vec::new());
    let prefix = Prefix { families: table.families, when, rules, origin: None };
    walk(table, chain, &prefix, &mut vec![chain], &mut items);
    let count = items.len();
    for item in &mut items {
        // Behind the last item is the end of the chain.
        if item.then == Then::Past(count) {
            item.then = Then::End;
        }
    }
    items
}

fn walk<'a>(
    table: &'a Table,
    chain: &'a Chain,
    prefix: &Prefix<'a>,
    open: &mut Vec<&'a Chain>,
    items: &mut Vec<Item<'a>>,
) {
    let first = items.len();
    for rule in &chain.rules {
        let reached = prefix.past(rule);
        let to = match &rule.then {
            Action::Jump(to) => {
                table.chain(to).filter(|to| !open.iter().any(|it| it.name == to.name))
            }
            _ => None,
        };
        match to {
            Some(to) if serves(to, rule) => leaf(to, rule, &reached, items),
            Some(to) => {
                open.push(to);
                walk(table, to, &reached, open, items);
                open.pop();
            }
            None => {
                let then = if ends(&rule.then) { Then::End } else { Then::Next };
                items.push(Item {
                    origin: reached.origin.unwrap_or(rule.origin),
                    families: reached.families,
                    when: reached.when,
                    actions: vec![&rule.then],
                    rules: reached.rules,
                    then: if matches!(rule.then, Action::Return) { RETURNS } else { then },
                });
            }
        }
    }
    let behind = items.len();
    for item in &mut items[first..] {
        if item.then == RETURNS {
            item.then = Then::Past(behind);
        }
    }
}

/// Goes back to behind a jump, which is not known yet.
const RETURNS: Then = Then::Past(usize::MAX);

/// Whether `chain` only does what `rule`, which leads there, is for.
fn serves(chain: &Chain, rule: &Rule) -> bool {
    let own = rule.origin.rung;
    let is_of = |other: &Rule| other.origin.rung.number().is_empty() || other.origin.rung == own;
    let is_simple =
        |other: &Rule| !matches!(other.then, Action::Jump(_) | Action::Goto(_) | Action::Return);
    let rest = chain.rules.get(1..).unwrap_or_default();
    !own.number().is_empty()
        && !chain.rules.is_empty()
        && chain.rules.iter().all(|rule| is_of(rule) && is_simple(rule))
        && rest
            .iter()
            .all(|other| other.when.is_empty() && other.families == chain.rules[0].families)
        && (rest.is_empty() || chain.rules[0].when.is_empty())
}

/// What `rule`, past which `reached` is, does by way of `chain`, of which [`serves`] holds.
fn leaf<'a>(chain: &'a Chain, rule: &'a Rule, reached: &Prefix<'a>, items: &mut Vec<Item<'a>>) {
    let within = reached.past(&chain.rules[0]);
    let does_end = chain.rules.iter().any(|rule| ends(&rule.then));
    items.push(Item {
        origin: rule.origin,
        families: within.families,
        when: within.when,
        actions: chain.rules.iter().map(|rule| &rule.then).collect(),
        rules: within.rules,
        then: if does_end { Then::End } else { Then::Next },
    });
}

impl<'a> Prefix<'a> {
    /// What is asked on the way past `rule`.
    fn past(&self, rule: &'a Rule) -> Self {
        let has_rung = !rule.origin.rung.number().is_empty();
        Self {
            families: both(self.families, rule.families),
            when: self.when.iter().copied().chain(&rule.when).collect(),
            rules: self.rules.iter().copied().chain([rule]).collect(),
            origin: if has_rung { Some(rule.origin) } else { self.origin },
        }
    }
}

/// Whether no other rule of the base chain is asked after the action.
fn ends(action: &Action) -> bool {
    action.ends_base_chain() || matches!(action, Action::Goto(_))
}

/// The families of both; there is one, or no packet gets there.
const fn both(one: Families, other: Families) -> Families {
    match (one, other) {
        (Families::Both, other) => other,
        (one, _) => one,
    }
}
