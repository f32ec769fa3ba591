//! What is laid over a picture: the way of a packet, and what expectations touch.

use std::ptr;

use super::Cover;
use super::flat::Item;
use crate::explain::{Context, Explanation, explain_way, usual};
use crate::ir::{Base, ChainKind, CtState, Hook, Rule, Ruleset, Rung, Table};
use crate::semantics::{Decided, Leg, Limit, Packet, follow};
use crate::testing::Coverage;

/// What is laid over a picture.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overlay<'a> {
    /// The packet whose way is shown.
    pub packet: Option<&'a Packet>,
    /// What the policy's expectations touch.
    pub coverage: Option<&'a Coverage>,
}

/// What is laid over the picture of one ruleset.
pub(super) struct Seen<'a> {
    legs: Vec<Leg<'a>>,
    coverage: Option<&'a Coverage>,
    /// What is to be said about it.
    pub(super) notes: Vec<String>,
}

impl<'o> Overlay<'o> {
    /// On a ruleset.
    pub(super) fn on<'a>(
        &self,
        ruleset: &'a Ruleset,
        context: &Context<'_>,
    ) -> Result<Seen<'a>, Limit>
    where
        'o: 'a,
    {
        let mut notes = Vec::new();
        let mut legs = Vec::new();
        if let Some(packet) = self.packet {
            let told = explain_way(ruleset, packet, context)?;
            legs = follow(ruleset, &usual(ruleset, packet), &context.host())?.legs;
            notes.extend(told_notes(&told));
        }
        if let Some(coverage) = self.coverage {
            notes.push(covered(coverage));
        }
        Ok(Seen { legs, coverage: self.coverage, notes })
    }
}

fn told_notes(told: &Explanation) -> Vec<String> {
    let mut notes = vec![format!("Packet: {}.", told.packet)];
    let rung = told.rung.as_ref().map_or_else(String::new, |rung| format!("By {}: ", rung.number));
    notes.push(format!("{rung}{}.", told.words()));
    for supposed in &told.supposes {
        notes.push(format!("That supposes: {supposed}."));
    }
    if !told.unless.is_empty() || told.unless_more {
        notes.push(
            "Rules ask what the packet does not tell: the usual answers are shown.".to_owned(),
        );
    }
    notes
}

fn covered(coverage: &Coverage) -> String {
    let can_be = coverage.rungs.iter().filter(|rung| rung.can_be);
    let (count, touched) = (can_be.clone().count(), can_be.filter(|rung| rung.times > 0).count());
    format!("Expectations touch {touched} of {count} rungs that expectations can be about.")
}

impl Seen<'_> {
    /// Whether the packet meets the base chain there, unless it was dropped before.
    pub(super) fn is_met(&self, table: &Table, base: Base) -> bool {
        self.legs.iter().filter(|leg| leg.packet.hook == base.hook).any(|leg| {
            let packet = &leg.packet;
            let is_first = packet.translation == Decided::Nothing
                && matches!(packet.state, CtState::New | CtState::Related)
                && !leg.run.outcome.untracked;
            table.families.has(packet.family()) && (base.kind != ChainKind::Nat || is_first)
        })
    }

    /// Whether the packet fits the rules of `item` at `hook`.
    pub(super) fn fits(&self, hook: Hook, item: &Item<'_>) -> bool {
        item.rules.iter().all(|rule| self.hits(hook, rule))
    }

    /// Whether the packet fits `rule` at `hook`.
    pub(super) fn hits(&self, hook: Hook, rule: &Rule) -> bool {
        let legs = self.legs.iter().filter(|leg| leg.packet.hook == hook);
        legs.flat_map(|leg| &leg.run.trace).any(|step| ptr::eq(step.rule, rule))
    }

    /// What expectations have to do with `rung`.
    pub(super) fn cover(&self, rung: Rung) -> Option<Cover> {
        let covered = self.coverage?.rungs.iter().find(|covered| covered.part == rung)?;
        Some(match covered.times {
            0 if covered.can_be => Cover::Nothing,
            0 => Cover::Beyond,
            times => Cover::Times(times),
        })
    }
}
