//! Rulesets that others wrote, back to the IR, exactly or as an error.

pub mod forms;
pub mod iptables;
mod lossy;
pub mod nft;
pub mod size;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::ir::{Action, Also, Chain, Condition, Effect, Origin, Rule, Ruleset, Target};
use crate::net::{Families, Name};

/// Why rules cannot be read: everything that is wrong with the text, at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadErrors<E>(Vec<E>);

impl<E> ReadErrors<E> {
    /// `value`, if nothing is wrong.
    fn unless<T>(value: T, errors: Vec<E>) -> Result<T, Self> {
        if errors.is_empty() { Ok(value) } else { Err(Self(errors)) }
    }
}

impl<E> Deref for ReadErrors<E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        &self.0
    }
}

impl<E> IntoIterator for ReadErrors<E> {
    type Item = E;
    type IntoIter = std::vec::IntoIter<E>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A line for each.
impl<E: fmt::Display> fmt::Display for ReadErrors<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for ReadErrors<E> {}

/// Rules that were read, and what was passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The rules. Where something was left out, a rule stands of which only is known that it may take
    /// packets.
    pub ruleset: Ruleset,
    /// What was left out as it was asked for: `chain DOCKER of nat`, `table ip docker`.
    pub left_out: Vec<String>,
    /// What was asked to be left out, and is not there.
    pub unused: BTreeSet<String>,
    /// What no packet of a question meets, and was not read: `table bridge filter`.
    pub passed_over: Vec<String>,
}

/// A rule that stands for what was left out, which `what` names: it may take any packet.
fn left_out(what: &str, families: Families) -> Rule {
    let text: Arc<str> = format!("{what}, left out").into();
    let condition = Condition {
        text: Arc::clone(&text),
        asked_by: Some(Arc::clone(&text)),
        is_understood: false,
        is_usual: false,
    };
    let then = Action::Opaque(Target { text, effect: Effect::Unknown(condition) });
    Rule { families, when: Vec::new(), then, origin: Origin::FOREIGN, also: Also::NOTHING }
}

/// Makes `chain`, a base chain, drop what comes to its end, also by returning. Needs another chain, for
/// which `name` makes a name, if something returns.
fn drop_at_end(
    chain: &mut Chain,
    families: Families,
    name: impl FnOnce() -> Name,
) -> Option<Chain> {
    let plain = |then| Rule {
        families,
        when: Vec::new(),
        then,
        origin: Origin::FOREIGN,
        also: Also::NOTHING,
    };
    let helper = chain.rules.iter().any(|rule| rule.then.leads_out()).then(|| {
        let name = name();
        let jump = plain(Action::Jump(name.clone()));
        Chain { name, base: None, rules: std::mem::replace(&mut chain.rules, vec![jump]) }
    });
    chain.rules.push(plain(Action::Drop));
    helper
}

/// Whether one of `patterns` is `name`, where a `*` at the end stands for any rest.
fn is_among(patterns: &BTreeSet<String>, name: &str) -> bool {
    patterns.iter().any(|pattern| {
        pattern.strip_suffix('*').map_or(pattern == name, |stem| name.starts_with(stem))
    })
}

/// A chain from which jumps never end. Chains whose jumps all end are taken away until none is
/// left, or only such.
fn circle<N: Ord + Clone>(edges: BTreeMap<N, BTreeSet<N>>) -> Option<N> {
    let mut from: BTreeMap<N, Vec<N>> = BTreeMap::new();
    // How many targets of each chain are left.
    let mut left: BTreeMap<N, usize> = BTreeMap::new();
    for (name, targets) in edges {
        left.insert(name.clone(), targets.len());
        for target in targets {
            from.entry(target).or_default().push(name.clone());
        }
    }
    let mut ends: Vec<N> =
        left.iter().filter(|(_, targets)| **targets == 0).map(|(name, _)| name.clone()).collect();
    while let Some(end) = ends.pop() {
        left.remove(&end);
        for name in from.remove(&end).into_iter().flatten() {
            if let Some(targets) = left.get_mut(&name) {
                *targets -= 1;
                if *targets == 0 {
                    ends.push(name);
                }
            }
        }
    }
    left.into_keys().next()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::circle;
    use crate::net::Name;

    fn edges(pairs: &[(&str, &[&str])]) -> BTreeMap<Name, BTreeSet<Name>> {
        let name = |text: &&str| Name::new(text).unwrap();
        pairs.iter().map(|(from, to)| (name(from), to.iter().map(name).collect())).collect()
    }

    #[test]
    fn a_circle_is_told_from_ways_that_end() {
        let ends: &[(&str, &[&str])] = &[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])];
        assert_eq!(circle(edges(ends)), None);
        assert_eq!(circle(edges(&[("a", &["b"]), ("b", &["b"])])), Name::new("a").ok());
        let beside: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a", "c"]), ("c", &["b"])];
        assert_eq!(circle(edges(beside)), Name::new("b").ok());
    }

    #[test]
    fn chains_in_a_long_row_are_no_circle() {
        let name = |index: u32| Name::new(&format!("c{index}")).unwrap();
        let mut row: BTreeMap<_, _> =
            (0..200_000).map(|index| (name(index), BTreeSet::from([name(index + 1)]))).collect();
        row.insert(name(200_000), BTreeSet::new());
        assert_eq!(circle(row), None);
    }
}
