//! Sets of packets that were computed in classes of numbers, with every number.

use std::collections::HashMap;

use super::diagram::Function;
use super::field::Field;
use super::space::Space;
use crate::ir::Ruleset;

/// A space of classes, and one in which its sets of packets can be told.
pub(super) struct Exact<'a> {
    /// The one in which is computed what becomes of packets.
    pub(super) space: Space,
    rulesets: [&'a Ruleset; 2],
    /// The other, once something was to be told.
    told: Option<Told>,
}

struct Told {
    space: Space,
    /// For each variable in classes: the field, the field with every number, and which bit it is.
    fields: HashMap<u32, (Field, Field, u32)>,
    /// What sets of packets in classes are here.
    known: HashMap<Function, Function>,
}

impl<'a> Exact<'a> {
    /// `space` is one of `rulesets`.
    pub(super) fn new(space: Space, rulesets: [&'a Ruleset; 2]) -> Self {
        Self { space, rulesets, told: None }
    }

    /// The same packets where every number is known, and that space.
    pub(super) fn packets(&mut self, packets: Function) -> (&mut Space, Function) {
        if !self.space.has_classes() {
            return (&mut self.space, packets);
        }
        let told = self.told.get_or_insert_with(|| Told::of(&self.space, &self.rulesets));
        let packets = told.packets(&self.space, packets);
        (&mut told.space, packets)
    }
}

impl Told {
    fn of(classes: &Space, rulesets: &[&Ruleset]) -> Self {
        let space = Space::new(classes.hook, classes.family, rulesets, &[]);
        let pairs = classes.fields().into_iter().zip(space.fields());
        let fields = pairs.flat_map(|(field, exact)| {
            (0..field.bits()).map(move |bit| (field.variable(bit), (field, exact, bit)))
        });
        Self { fields: fields.collect(), space, known: HashMap::new() }
    }

    /// `packets` of the space with `classes`, here.
    fn packets(&mut self, classes: &Space, packets: Function) -> Function {
        let Some(variable) = classes.diagrams.root(packets) else { return packets };
        if let Some(known) = self.known.get(&packets) {
            return *known;
        }
        let (field, exact, bit) = self.fields[&variable];
        let result = if let Some(of) = classes.classes(field) {
            let mut parts = Vec::new();
            spread(classes, field, (0, 0), packets, &mut parts);
            let parts: Vec<_> = parts
                .into_iter()
                .map(|(place, part)| (of.start(place), self.packets(classes, part)))
                .collect();
            self.joined(exact, 0, (0, exact.highest()), &parts)
        } else {
            let (low, high) = classes.diagrams.halves(packets, variable);
            let (low, high) = (self.packets(classes, low), self.packets(classes, high));
            self.space.diagrams.choose(exact.variable(bit), low, high)
        };
        self.known.insert(packets, result);
        result
    }

    /// The packets of each of `parts` from its number in `field` up to that of the next. The bits before
    /// `bit` lead to the numbers of `span`, in which the second part begins, if there is one.
    fn joined(
        &mut self,
        field: Field,
        bit: u32,
        (low, high): (u128, u128),
        parts: &[(u128, Function)],
    ) -> Function {
        let [(_, first), rest @ ..] = parts else { return Function::FALSE };
        if rest.is_empty() {
            return *first;
        }
        let middle = low + (high - low) / 2;
        let until = parts.partition_point(|(start, _)| *start <= middle);
        let from = parts.partition_point(|(start, _)| *start <= middle + 1) - 1;
        let zero = self.joined(field, bit + 1, (low, middle), &parts[..until]);
        let one = self.joined(field, bit + 1, (middle + 1, high), &parts[from..]);
        self.space.diagrams.choose(field.variable(bit), zero, one)
    }
}

/// What `packets` are for each class of `field`, from the class at `place` on, which `bit` of its bits
/// lead to. Neighbours that are the same are one part.
fn spread(
    classes: &Space,
    field: Field,
    (bit, place): (u32, u128),
    packets: Function,
    parts: &mut Vec<(u128, Function)>,
) {
    let behind = field.variable(field.bits() - 1);
    if classes.diagrams.root(packets).is_none_or(|root| root > behind) {
        if parts.last().is_none_or(|(_, last)| *last != packets) {
            parts.push((place << (field.bits() - bit), packets));
        }
        return;
    }
    let (low, high) = classes.diagrams.halves(packets, field.variable(bit));
    spread(classes, field, (bit + 1, place << 1), low, parts);
    spread(classes, field, (bit + 1, place << 1 | 1), high, parts);
}
