//! Lists of values that know where each was written, and what covers what in them.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::diag::{Problem, Report};
use crate::net::{Family, Interface, PortRange, written_net};
use crate::policy::setting::{Selection, Setting};
use crate::span::Span;

/// `*`, or values.
#[derive(Clone, Debug)]
pub(crate) struct List<T> {
    /// Whether it is `*`.
    pub(crate) all: bool,
    /// Shared with the policies that extend the one that has them, until one changes them.
    pub(crate) items: Arc<Vec<Item<T>>>,
    /// The clause that set it or added to it last.
    pub(crate) clause: Option<Span>,
}

/// A value of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<T> {
    pub(crate) value: T,
    /// Where it was written, perhaps in a `let`; `None` for a default.
    pub(crate) at: Option<Span>,
    /// Whether the policy itself has it, and not one that it extends.
    pub(crate) own: bool,
}

/// A value that can cover another one of its list.
pub(crate) trait Covers: Clone + Display {
    /// An order in which whatever covers a value stands before it.
    fn order(&self, other: &Self) -> Ordering;
    /// Whether `other` says nothing that this does not say.
    fn covers(&self, other: &Self) -> bool;
    /// The family that it is of; `None` if it is of neither.
    fn family(&self) -> Option<Family> {
        None
    }
    /// How a policy says it.
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Covers for PortRange {
    fn order(&self, other: &Self) -> Ordering {
        (self.first(), Reverse(self.last())).cmp(&(other.first(), Reverse(other.last())))
    }

    fn covers(&self, other: &Self) -> bool {
        self.first() <= other.first() && other.last() <= self.last()
    }
}

impl Covers for IpNet {
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }

    fn covers(&self, other: &Self) -> bool {
        self.contains(other)
    }

    fn family(&self) -> Option<Family> {
        Some(Family::of(self.addr()))
    }

    fn written(&self) -> String {
        written_net(*self)
    }
}

impl Covers for Interface {
    fn order(&self, other: &Self) -> Ordering {
        (self.stem(), Reverse(self.is_wildcard()))
            .cmp(&(other.stem(), Reverse(other.is_wildcard())))
    }

    fn covers(&self, other: &Self) -> bool {
        Self::covers(self, other)
    }
}

impl Covers for IpAddr {
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }

    fn covers(&self, other: &Self) -> bool {
        self == other
    }

    fn family(&self) -> Option<Family> {
        Some(Family::of(*self))
    }
}

impl Covers for u32 {
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }

    fn covers(&self, other: &Self) -> bool {
        self == other
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { all: false, items: Arc::default(), clause: None }
    }
}

impl<T: Clone> List<T> {
    /// `values`, by default.
    pub(crate) fn default_to(values: Vec<T>) -> Self {
        let item = |value| Item { value, at: None, own: false };
        Self { items: Arc::new(values.into_iter().map(item).collect()), ..Self::default() }
    }

    /// `*`, by default.
    pub(crate) fn everything() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// Whether nothing is selected.
    pub(crate) fn is_none(&self) -> bool {
        !self.all && self.items.is_empty()
    }

    /// The values, of a list that cannot be `*`.
    pub(crate) fn setting(&self) -> Setting<Vec<T>> {
        Setting { value: self.values(), clause: self.clause }
    }

    /// `*` or the values.
    pub(crate) fn selection(&self) -> Setting<Selection<T>> {
        let value = if self.all { Selection::All } else { Selection::Only(self.values()) };
        Setting { value, clause: self.clause }
    }

    /// The values.
    pub(crate) fn values(&self) -> Vec<T> {
        self.items.iter().map(|item| item.value.clone()).collect()
    }

    /// The same for the policies that extend the one that has it; how many values they inherit.
    fn inherit(&mut self) -> usize {
        if self.items.iter().any(|item| item.own) {
            for item in Arc::make_mut(&mut self.items) {
                item.own = false;
            }
        }
        self.items.len()
    }

    /// Keeps the values of which `keep` says so; it sees each of them once, in order.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Item<T>) -> bool) {
        let kept: Vec<bool> = self.items.iter().map(keep).collect();
        if kept.contains(&false) {
            let mut kept = kept.into_iter();
            Arc::make_mut(&mut self.items).retain(|_| kept.next().unwrap_or(true));
        }
    }
}

impl<T: Covers> List<T> {
    /// Reports every value that another one of the list covers, if the policy itself has one of
    /// the two.
    fn repeated(&self, report: &mut Report) {
        // A value of a `let` can be in the list a million times.
        let mut seen = BTreeSet::new();
        for (covered, by) in covered(&self.items) {
            let Some(at) = covered.at.filter(|_| covered.own || by.own) else { continue };
            if !seen.insert(at) {
                continue;
            }
            let value = covered.value.written();
            let label = match by.value.written() {
                same if same == value => "first".to_owned(),
                wider => format!("`{wider}` covers it"),
            };
            let diagnostic = Problem::Repeated { value }.at(at, "again");
            report.push(diagnostic.and(by.at, label));
        }
    }

    /// Reports every value that some value of `exclude` covers, if the policy itself has one of
    /// the two.
    pub(crate) fn excluded(&self, what: &'static str, exclude: &Self, report: &mut Report) {
        let excludes = widest(&exclude.items);
        for item in self.items.iter() {
            let Some(by) = covering(&excludes, &item.value) else { continue };
            if let Some(at) = item.at.filter(|_| item.own || by.own) {
                let value = item.value.written();
                let label = match by.value.written() {
                    same if same == value => "excluded here".to_owned(),
                    wider => format!("`{wider}` excludes all of it"),
                };
                let problem = Problem::CapturedAndExcluded { what, value };
                report.push(problem.at(at, "captured here").and(by.at, label));
            }
        }
    }
}

/// Something that is done with every list of a policy, whatever its values are.
pub(crate) trait Visitor {
    /// Does it with one.
    fn visit<T: Covers>(&mut self, list: &mut List<T>);
}

/// Makes every list that of the policies that extend the one that has it.
#[derive(Default)]
pub(crate) struct Inherit {
    /// How many values they inherit.
    pub(crate) values: usize,
}

impl Visitor for Inherit {
    fn visit<T: Covers>(&mut self, list: &mut List<T>) {
        self.values += list.inherit();
    }
}

/// Reports what is repeated in each list.
pub(crate) struct Repeated<'r>(pub(crate) &'r mut Report);

impl Visitor for Repeated<'_> {
    fn visit<T: Covers>(&mut self, list: &mut List<T>) {
        list.repeated(self.0);
    }
}

/// Pairs of a value and one that covers it. Of two that say the same, the later one is covered.
fn covered<T: Covers>(items: &[Item<T>]) -> Vec<(&Item<T>, &Item<T>)> {
    let mut pairs = Vec::new();
    sweep(items, |item, by| pairs.extend(by.map(|by| (item, by))));
    pairs
}

/// The values that no other one covers, in order.
pub(crate) fn widest<T: Covers>(items: &[Item<T>]) -> Vec<&Item<T>> {
    let mut widest = Vec::new();
    sweep(items, |item, by| {
        if by.is_none() {
            widest.push(item);
        }
    });
    widest
}

/// The one of `widest` that covers `value`.
pub(crate) fn covering<'i, T: Covers>(widest: &[&'i Item<T>], value: &T) -> Option<&'i Item<T>> {
    // None of them covers another one, so the last that does not begin behind the value reaches
    // furthest.
    let at = widest.partition_point(|item| item.value.order(value) != Ordering::Greater);
    widest[..at].last().copied().filter(|item| item.value.covers(value))
}

/// Shows every value to `see`, in order, with one that covers it.
fn sweep<'i, T: Covers>(
    items: &'i [Item<T>],
    mut see: impl FnMut(&'i Item<T>, Option<&'i Item<T>>),
) {
    let mut sorted: Vec<&Item<T>> = items.iter().collect();
    // Stable, so that of two equal ones the first that was written stays the first.
    sorted.sort_by(|a, b| a.value.order(&b.value));
    let mut widest: Option<&Item<T>> = None;
    for item in sorted {
        let by = widest.filter(|widest| widest.value.covers(&item.value));
        if by.is_none() {
            widest = Some(item);
        }
        see(item, by);
    }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::{Covers, Item, covered, covering, widest};
    use crate::net::{Interface, PortRange};
    use crate::span::{Sources, Span};

    fn items<T: Clone>(values: &[T]) -> Vec<Item<T>> {
        let file = Sources::default().add("x", "");
        let at = |n: usize| Span { file, start: u32::try_from(n).unwrap(), end: 0 };
        let item =
            |(n, value): (usize, &T)| Item { value: value.clone(), at: Some(at(n)), own: true };
        values.iter().enumerate().map(item).collect()
    }

    fn pairs<T: Covers>(values: &[T]) -> Vec<(String, String)> {
        let items = items(values);
        let written = |item: &Item<T>| format!("{}@{}", item.value, item.at.unwrap().start);
        covered(&items).into_iter().map(|(a, b)| (written(a), written(b))).collect()
    }

    #[test]
    fn wider_values_cover_narrower_ones() {
        let nets = ["10.1.0.0/16", "10.0.0.0/8", "::/0", "10.0.0.0/8"];
        let nets: Vec<IpNet> = nets.iter().map(|net| net.parse().unwrap()).collect();
        assert_eq!(
            pairs(&nets),
            [
                ("10.0.0.0/8@3".to_owned(), "10.0.0.0/8@1".to_owned()),
                ("10.1.0.0/16@0".to_owned(), "10.0.0.0/8@1".to_owned()),
            ]
        );
        let names = ["eth", "eth*", "eth0", "lo"];
        let names: Vec<_> = names.iter().map(|name| Interface::new(name).unwrap()).collect();
        assert_eq!(pairs(&names).len(), 2);
    }

    proptest! {
        #[test]
        fn the_sweep_finds_what_comparing_all_pairs_finds(
            ranges in prop::collection::vec((1_u16..40, 0_u16..9), 0..12),
            probe in (1_u16..40, 0_u16..9),
        ) {
            let range = |(first, more): (u16, u16)| PortRange::new(first, first + more).unwrap();
            let ranges: Vec<_> = ranges.into_iter().map(range).collect();
            let items = items(&ranges);
            let found: Vec<u32> = covered(&items).iter().map(|(item, _)| item.at.unwrap().start).collect();
            for (n, item) in items.iter().enumerate() {
                let by_other = items.iter().enumerate().any(|(m, other)| {
                    m != n && other.value.covers(&item.value) && (other.value != item.value || m < n)
                });
                prop_assert_eq!(found.contains(&item.at.unwrap().start), by_other);
            }
            let probe = range(probe);
            prop_assert_eq!(
                covering(&widest(&items), &probe).is_some(),
                items.iter().any(|item| item.value.covers(&probe))
            );
        }
    }
}
