//! What rules ask, in few words: rules that differ in one list, or in the family alone, are told together.

use std::fmt::Display;

use crate::backend::dump::Words;
use crate::ir::{Direction, Match, Protocol, Rule};
use crate::net::{Families, Family};

/// Most items of a list that are told.
const MOST_ITEMS: usize = 8;

/// Longest condition of others, in characters.
const LONGEST: usize = 120;

/// Rules that do the same, in as few conjunctions as easily found.
#[derive(Default)]
pub(super) struct Conditions {
    alternatives: Vec<Alternative>,
}

#[derive(Clone, PartialEq, Eq)]
struct Alternative {
    families: Families,
    terms: Vec<Term>,
}

/// A condition, with its list apart where lists may be joined.
#[derive(Clone, PartialEq, Eq)]
enum Term {
    /// `to 10.0.0.0/8`: the words before the list, the list, and whether it is of the one family only and
    /// of the packets that are not in it.
    Address { head: String, items: Vec<String>, not: bool },
    /// `tcp`.
    Protocols(Vec<Protocol>),
    /// Any other.
    Words(String),
}

impl Conditions {
    /// Adds a rule that asks `when` of packets of `families`.
    pub(super) fn add(&mut self, families: Families, when: &[&Match]) {
        let mut terms: Vec<Term> = Vec::new();
        let mut families = families;
        for when in when {
            if let Match::Address { nets, .. } = when {
                families = one(families, nets.family());
            }
            let term = Term::of(when);
            if !terms.contains(&term) {
                terms.push(term);
            }
        }
        let mut added = Alternative { families, terms };
        // What was joined may be joined with another.
        while let Some(at) = self.alternatives.iter().position(|it| it.joined(&added).is_some()) {
            let known = self.alternatives.remove(at);
            added = known.joined(&added).unwrap_or(added);
        }
        self.alternatives.push(added);
    }

    /// In words, each alternative a line. `governed` are the families that go without saying.
    pub(super) fn words(&self, governed: Families) -> Vec<String> {
        let words = self.alternatives.iter().map(|it| it.words(governed));
        words
            .enumerate()
            .map(|(at, words)| if at == 0 { words } else { format!("or {words}") })
            .collect()
    }
}

/// What `rule` asks, in one line.
pub(super) fn of_rule(rule: &Rule, governed: Families) -> String {
    let mut conditions = Conditions::default();
    conditions.add(rule.families, &rule.when.iter().collect::<Vec<_>>());
    conditions.words(governed).concat()
}

fn one(families: Families, family: Family) -> Families {
    if families.has(family) { family.into() } else { families }
}

impl Alternative {
    /// Both as one, if that says the same.
    fn joined(&self, other: &Self) -> Option<Self> {
        if self.terms.len() != other.terms.len() {
            return None;
        }
        let differing: Vec<usize> =
            (0..self.terms.len()).filter(|at| self.terms[*at] != other.terms[*at]).collect();
        let joined = |families, terms: Vec<Option<Term>>| {
            Some(Self { families, terms: terms.into_iter().collect::<Option<_>>()? })
        };
        let pairs = self.terms.iter().zip(&other.terms);
        if self.families == other.families {
            let [_] = differing[..] else { return None };
            let terms = pairs.map(|(one, other)| one.with_protocol(other));
            return joined(self.families, terms.collect());
        }
        let are_apart =
            !matches!((self.families, other.families), (Families::Both, _) | (_, Families::Both));
        if !are_apart {
            return None;
        }
        joined(Families::Both, pairs.map(|(one, other)| one.of_both(other)).collect())
    }

    fn words(&self, governed: Families) -> String {
        let tells = |term: &Term| matches!(term, Term::Address { not: false, .. });
        let mut words = Vec::new();
        if self.families != governed && !self.terms.iter().any(tells) {
            words.push(Words(&self.families).to_string());
        }
        words.extend(self.terms.iter().map(Term::words));
        if words.is_empty() { "every packet".to_owned() } else { words.join(", ") }
    }
}

impl Term {
    fn of(when: &Match) -> Self {
        let end = |of: Direction| match of {
            Direction::Source => "from",
            Direction::Destination => "to",
        };
        match when {
            Match::Address { of, nets, not } => {
                let items = nets.iter().map(|net| bare(&net.to_string())).collect();
                Self::Address { head: end(*of).to_owned(), items, not: *not }
            }
            // Of a set, either sense is of its family only.
            Match::InSet { of, set, not } => {
                let items = vec![format!("set {set}")];
                Self::Address { head: end(*of).to_owned(), items, not: *not }
            }
            Match::Protocol { protocol, not: false } => Self::Protocols(vec![*protocol]),
            Match::Port { of, ports, not } => {
                let not = if *not { "not " } else { "" };
                Self::Words(format!("{not}{} port {}", end(*of), set(ports.ranges())))
            }
            Match::Interface { of, names, not } => {
                let way = match of {
                    Direction::Source => "in",
                    Direction::Destination => "out",
                };
                let not = if *not { "not " } else { "" };
                Self::Words(format!("{not}{way} {}", set(names)))
            }
            other => Self::Words(shortened(&Words(other).to_string())),
        }
    }

    /// Both as one, of packets of one family.
    fn with_protocol(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (one, other) if one == other => Some(one.clone()),
            (Self::Protocols(one), Self::Protocols(other)) => {
                Some(Self::Protocols(one.iter().chain(other).copied().collect()))
            }
            _ => None,
        }
    }

    /// Both as one, each of another family.
    fn of_both(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (
                Self::Address { head, items, not },
                Self::Address { head: other, items: others, not: opposite },
            ) if head == other && not == opposite => {
                let items = items.iter().chain(others).cloned().collect();
                Some(Self::Address { head: head.clone(), items, not: *not })
            }
            (one @ (Self::Protocols(_) | Self::Words(_)), other) if one == other => {
                Some(one.clone())
            }
            _ => None,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Address { head, items, not } => {
                format!("{}{head} {}", if *not { "not " } else { "" }, set(items))
            }
            Self::Protocols(protocols) => {
                let names: Vec<_> = protocols.iter().map(|protocol| protocol.name()).collect();
                list(&names, " or ")
            }
            Self::Words(words) => words.clone(),
        }
    }
}

/// `text`, or as much of its beginning as is bearable.
pub(super) fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(LONGEST - 1).collect::<String>())
}

/// `10.0.0.1` for `10.0.0.1/32`.
fn bare(net: &str) -> String {
    let host = net.strip_suffix("/32").filter(|address| !address.contains(':'));
    host.or_else(|| net.strip_suffix("/128")).unwrap_or(net).to_owned()
}

/// `a`, or `{ a, b, c }`, as the rules of a policy are told in words.
fn set<T: Display>(items: &[T]) -> String {
    let list = list(items, ", ");
    if items.len() == 1 { list } else { format!("{{ {list} }}") }
}

/// The items of a list, or some of them and how many there are beside.
fn list<T: Display>(items: &[T], separator: &str) -> String {
    let shown = items.len().min(MOST_ITEMS);
    let mut words: Vec<String> = items[..shown].iter().map(ToString::to_string).collect();
    if items.len() > shown {
        words.push(format!("… {} more", items.len() - shown));
    }
    words.join(separator)
}
