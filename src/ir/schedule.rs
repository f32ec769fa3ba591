//! In which order the kernel runs the base chains of a hook.
//!
//! All of it was observed on Linux 6.18, with nft 1.0.6 and both variants of iptables 1.8.9.

use super::{Base, Chain, ChainKind, Direction, Hook, Ruleset, Table};
use crate::net::Family;

/// The priority at which the kernel finds a packet's connection, at prerouting and output:
/// `NF_IP_PRI_CONNTRACK`. Before it, a packet has none, and is invalid to matches.
pub const TRACKING: i32 = -200;

/// Most orders of one hook that [`Ruleset::schedules`] tells: those of four chains that tie.
const MOST_ORDERS: usize = 24;

impl Hook {
    /// Which end of a packet is translated at this hook, and at which priority: that of
    /// `NF_IP_PRI_NAT_DST` or `NF_IP_PRI_NAT_SRC`, whatever the nat chains say. `None` at forward.
    #[must_use]
    pub const fn translates(self) -> Option<(Direction, i32)> {
        match self {
            Self::Prerouting | Self::Output => Some((Direction::Destination, -100)),
            Self::Input | Self::Postrouting => Some((Direction::Source, 100)),
            Self::Forward => None,
        }
    }

    /// Whether connections are looked up at this hook. At the others they are known already.
    #[must_use]
    pub const fn tracks(self) -> bool {
        matches!(self, Self::Prerouting | Self::Output)
    }

    /// Whether packets here came in on an interface. At postrouting, those have that are forwarded
    /// ([`Hook::may_have_input`]).
    #[must_use]
    pub const fn has_input(self) -> bool {
        matches!(self, Self::Prerouting | Self::Input | Self::Forward)
    }

    /// Whether packets here can have come in on an interface.
    #[must_use]
    pub const fn may_have_input(self) -> bool {
        self.has_input() || matches!(self, Self::Postrouting)
    }

    /// Whether packets here go out on an interface.
    #[must_use]
    pub const fn has_output(self) -> bool {
        matches!(self, Self::Forward | Self::Output | Self::Postrouting)
    }

    /// Whether packets here can have a socket: that of their sender at output and postrouting, at
    /// input that of the receiver, which the kernel often finds early (`tcp_early_demux`).
    #[must_use]
    pub const fn has_socket(self) -> bool {
        matches!(self, Self::Input | Self::Output | Self::Postrouting)
    }
}

impl Base {
    /// The priority at which the chain really runs: its own, but for a nat chain, which has the
    /// hook's.
    #[must_use]
    pub const fn place(self) -> i32 {
        match (self.kind, self.hook.translates()) {
            (ChainKind::Nat, Some((_, place))) => place,
            _ => self.priority,
        }
    }
}

/// A base chain, with its table.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The table.
    pub table: &'a Table,
    /// The chain.
    pub chain: &'a Chain,
    /// Where the kernel enters it.
    pub base: Base,
}

impl Entry<'_> {
    /// `chain output of table istio-proxy-nat`.
    #[must_use]
    pub fn words(&self) -> String {
        format!("chain {} of table {}", self.chain.name, self.table.name)
    }
}

/// Something that happens to packets at a hook.
#[derive(Clone, Debug)]
pub enum Step<'a> {
    /// The packet's connection is looked up.
    Track,
    /// A chain runs.
    Chain(Entry<'a>),
    /// The connection is translated: as was decided, or, for one that is not decided yet, as the
    /// first of the nat chains says that translates.
    Translate(Vec<Entry<'a>>),
}

/// The steps of one hook, in one order that is possible.
#[derive(Clone, Debug, Default)]
pub struct Schedule<'a> {
    /// The steps.
    pub steps: Vec<Step<'a>>,
    /// What this order supposes: `chain a of table x was registered after chain b of table y`.
    /// Empty if the ruleset leaves no choice.
    pub supposes: Vec<String>,
    /// What ties, in this order.
    tied: Vec<String>,
}

impl<'a> Schedule<'a> {
    /// Leaves out the base chains that `keep` does not hold for.
    pub fn retain(&mut self, keep: impl Fn(&Entry<'a>) -> bool) {
        self.steps.retain_mut(|step| match step {
            Step::Track => true,
            Step::Chain(entry) => keep(entry),
            Step::Translate(entries) => {
                entries.retain(&keep);
                true
            }
        });
    }

    /// Whether what ties in both, by name, does so in the same order.
    fn agrees_with(&self, other: &Self) -> bool {
        let common = |one: &Self, other: &Self| -> Vec<String> {
            one.tied.iter().filter(|unit| other.tied.contains(unit)).cloned().collect()
        };
        common(self, other) == common(other, self)
    }

    /// Which orders of one ruleset, by place, go with which of another: where the same chains tie,
    /// the same.
    #[must_use]
    pub fn pairs(left: &[Self], right: &[Self]) -> Vec<(usize, usize)> {
        if left.iter().map(|one| &one.supposes).eq(right.iter().map(|other| &other.supposes)) {
            return (0..left.len()).map(|at| (at, at)).collect();
        }
        let all = (0..left.len()).flat_map(|one| (0..right.len()).map(move |other| (one, other)));
        let agreeing = |(one, other): &(usize, usize)| left[*one].agrees_with(&right[*other]);
        let pairs: Vec<_> = all.clone().filter(agreeing).collect();
        // Two chains of one table may stand in one order here and in the other there.
        if pairs.is_empty() { all.collect() } else { pairs }
    }

    /// Whether the same chains run in the same order.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let alike = |(one, other): (&Entry<'_>, &Entry<'_>)| std::ptr::eq(one.chain, other.chain);
        self.steps.len() == other.steps.len()
            && self.steps.iter().zip(&other.steps).all(|pair| match pair {
                (Step::Track, Step::Track) => true,
                (Step::Chain(one), Step::Chain(other)) => alike((one, other)),
                (Step::Translate(one), Step::Translate(other)) => {
                    one.len() == other.len() && one.iter().zip(other).all(alike)
                }
                _ => false,
            })
    }
}

/// So many chains tie that their orders are too many to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("base chains at {} tie in more than {MOST_ORDERS} ways", .hook.built_in_chain())]
pub struct TooManyTies {
    /// Where.
    pub hook: Hook,
}

impl Ruleset {
    /// The orders in which packets of `family` can meet the base chains of `hook`; at least one.
    ///
    /// Of chains that tie, the one that was registered last runs first. Within a table that is the
    /// last one, as chains are registered when they are made. Between tables no text tells, nor
    /// between a chain at -100 or 100 and the translations, nor between one at -200 and tracking;
    /// so each order of those is one of the answers. Two rulesets whose chains tie by the same
    /// names have the same [`Schedule::supposes`] in the same order.
    ///
    /// # Errors
    ///
    /// If there are more than 24.
    pub fn schedules(&self, hook: Hook, family: Family) -> Result<Vec<Schedule<'_>>, TooManyTies> {
        let (mut chains, nat) = units(self, hook, family);
        if hook.tracks() {
            chains.push(Unit { kind: UnitKind::Track, at: (usize::MAX, 0) });
        }
        let priority = |unit: &Unit<'_>| match &unit.kind {
            UnitKind::Chain(entry) => entry.base.priority,
            UnitKind::Track => TRACKING,
            UnitKind::Translate => hook.translates().map_or(0, |(_, place)| place),
        };
        let mut schedules = Vec::new();
        for translation in sequences(hook, &nat, priority)? {
            let mut all = chains.clone();
            if hook.translates().is_some() {
                all.push(Unit { kind: UnitKind::Translate, at: (usize::MAX, 1) });
            }
            for sequence in sequences(hook, &all, priority)? {
                let supposes = translation.supposes.iter().chain(&sequence.supposes).cloned();
                let tied = translation.tied.iter().chain(&sequence.tied).cloned().collect();
                let steps = sequence.units.iter().map(|unit| match &unit.kind {
                    UnitKind::Chain(entry) => Step::Chain(*entry),
                    UnitKind::Track => Step::Track,
                    UnitKind::Translate => {
                        let entries = translation.units.iter().filter_map(Unit::entry);
                        Step::Translate(entries.collect())
                    }
                });
                let (steps, supposes) = (steps.collect(), supposes.collect());
                schedules.push(Schedule { steps, supposes, tied });
            }
        }
        if schedules.len() > MOST_ORDERS {
            return Err(TooManyTies { hook });
        }
        Ok(schedules)
    }
}

/// A step that has a place among others.
#[derive(Clone)]
struct Unit<'a> {
    kind: UnitKind<'a>,
    /// The place of its table and chain in the ruleset.
    at: (usize, usize),
}

#[derive(Clone)]
enum UnitKind<'a> {
    Track,
    Chain(Entry<'a>),
    Translate,
}

impl<'a> Unit<'a> {
    const fn entry(&self) -> Option<Entry<'a>> {
        match self.kind {
            UnitKind::Chain(entry) => Some(entry),
            UnitKind::Track | UnitKind::Translate => None,
        }
    }

    fn words(&self) -> String {
        match &self.kind {
            UnitKind::Chain(entry) => entry.words(),
            UnitKind::Track => "connection tracking".to_owned(),
            UnitKind::Translate => "the kernel's translation".to_owned(),
        }
    }
}

/// The base chains at `hook`, those of nat apart. A chain without rules is none.
fn units(ruleset: &Ruleset, hook: Hook, family: Family) -> (Vec<Unit<'_>>, Vec<Unit<'_>>) {
    let tables = ruleset.tables.iter().enumerate();
    tables
        .filter(|(_, table)| table.families.has(family))
        .flat_map(|(table_at, table)| {
            table.chains.iter().enumerate().filter_map(move |(chain_at, chain)| {
                let base = chain.base.filter(|base| base.hook == hook)?;
                let kind = UnitKind::Chain(Entry { table, chain, base });
                let unit = Unit { kind, at: (table_at, chain_at) };
                (!chain.rules.is_empty()).then_some((base.kind, unit))
            })
        })
        .fold((Vec::new(), Vec::new()), |(mut chains, mut nat), (kind, unit)| {
            let is_nat = kind == ChainKind::Nat && hook.translates().is_some();
            if is_nat {
                nat.push(unit);
            } else {
                chains.push(unit);
            }
            (chains, nat)
        })
}

/// Units in an order that is possible.
#[derive(Clone, Default)]
struct Sequence<'a> {
    units: Vec<Unit<'a>>,
    supposes: Vec<String>,
    tied: Vec<String>,
}

/// The possible orders of `units` by priority.
fn sequences<'a>(
    hook: Hook,
    units: &[Unit<'a>],
    priority: impl Fn(&Unit<'a>) -> i32,
) -> Result<Vec<Sequence<'a>>, TooManyTies> {
    let mut units = units.to_vec();
    // By name within a priority, so that equal names give equal orders. Of one table, the last
    // chain comes first.
    units.sort_by_key(|unit| {
        let table = unit.entry().map(|entry| (&entry.table.name, entry.table.families));
        (priority(unit), table, unit.at.0, std::cmp::Reverse(unit.at.1))
    });
    let mut sequences = vec![Sequence::default()];
    for tied in units.chunk_by(|one, other| priority(one) == priority(other)) {
        let mut longer = Vec::new();
        for sequence in sequences {
            extend(hook, sequence, tied, &mut longer)?;
        }
        if tied.len() > 1 {
            for sequence in &mut longer {
                let last = &sequence.units[sequence.units.len() - tied.len()..];
                let words: Vec<_> = last.iter().map(Unit::words).collect();
                sequence.tied.extend(words);
            }
        }
        sequences = longer;
    }
    Ok(sequences)
}

/// Adds `sequence` with every possible order of `tied` behind it to `all`.
fn extend<'a>(
    hook: Hook,
    sequence: Sequence<'a>,
    tied: &[Unit<'a>],
    all: &mut Vec<Sequence<'a>>,
) -> Result<(), TooManyTies> {
    if tied.is_empty() {
        all.push(sequence);
        return if all.len() > MOST_ORDERS { Err(TooManyTies { hook }) } else { Ok(()) };
    }
    if let [only] = tied {
        let mut sequence = sequence;
        sequence.units.push(only.clone());
        return extend(hook, sequence, &[], all);
    }
    for (at, next) in tied.iter().enumerate() {
        if tied[..at].iter().any(|earlier| earlier.at.0 == next.at.0) {
            continue;
        }
        let mut rest = tied.to_vec();
        rest.remove(at);
        let mut longer = sequence.clone();
        if let Some(second) = rest.iter().find(|unit| unit.at.0 != next.at.0) {
            longer.supposes.push(format!(
                "{} was registered after {}",
                next.words(),
                second.words()
            ));
        }
        longer.units.push(next.clone());
        extend(hook, longer, &rest, all)?;
    }
    Ok(())
}
