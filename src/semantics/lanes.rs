//! Bits of marks that rules treat as one.

use std::collections::BTreeSet;

use crate::ir::{Action, MarkChange, MaskPair, Match, Rule};

/// Marks by their lanes. The bits of a lane stand under the same masks everywhere, so that only whole
/// values of it are compared, set and copied: they can be numbered, with two numbers left for values
/// that no rule names, one that came with the packet and one with its connection.
pub(super) struct Lanes(Vec<Lane>);

struct Lane {
    mask: u32,
    /// What rules name of it; its number is its place. `None`: the values are too many or the lane
    /// is too narrow, and the number of a value is the value.
    values: Option<BTreeSet<u32>>,
    /// The bits that hold numbers.
    numbered: u32,
}

/// A value that was not noted.
pub(super) struct Unnoted;

impl Lanes {
    /// The bits that numbers need. The others are 0 in every number.
    pub(super) fn numbered(&self) -> u32 {
        self.0.iter().fold(0, |bits, lane| bits | lane.numbered)
    }

    /// The number for the bits of `value` under `mask`.
    ///
    /// # Errors
    ///
    /// If the mask cuts a lane in two, or the value was not noted.
    pub(super) fn number(&self, value: u32, mask: u32) -> Result<u32, Unnoted> {
        self.0.iter().filter(|lane| lane.mask & mask != 0).try_fold(0, |number, lane| {
            if lane.mask & !mask != 0 {
                return Err(Unnoted);
            }
            let value = value & lane.mask;
            let Some(values) = &lane.values else { return Ok(number | value) };
            let place = values.iter().position(|known| *known == value).ok_or(Unnoted)?;
            Ok(number | deposit(place, lane.numbered))
        })
    }
}

/// Puts the lowest bits of `number` where `bits` has ones.
fn deposit(number: usize, bits: u32) -> u32 {
    let places = (0..u32::BITS).filter(|bit| bits >> bit & 1 == 1);
    let set = places.enumerate().filter(|(at, _)| number >> at & 1 == 1);
    set.fold(0, |all, (_, bit)| all | 1 << bit)
}

/// What rules do with marks.
#[derive(Default)]
pub(super) struct Marks {
    masks: BTreeSet<u32>,
    /// Bits that are inverted or mixed, each for itself.
    single: u32,
    /// Values and the masks under which they are named.
    values: BTreeSet<(u32, u32)>,
}

impl Marks {
    /// Notes what is asked of marks.
    pub(super) fn note_match(&mut self, when: &Match) {
        if let Match::Mark { mark, .. } | Match::Connmark { mark, .. } = when {
            self.note_value(mark.value(), mark.mask());
        }
    }

    /// Notes what `rule` does with marks.
    pub(super) fn note(&mut self, rule: &Rule) {
        rule.when.iter().for_each(|when| self.note_match(when));
        match rule.then {
            Action::SetMark(change)
            | Action::MarkAndAccept(change)
            | Action::SetConnmark(change) => self.note_change(change),
            Action::Tproxy { mark, .. } => self.note_change(mark),
            Action::SaveMark(MaskPair { packet: from, connection: to })
            | Action::RestoreMark(MaskPair { connection: from, packet: to }) => {
                self.masks.extend([from, to]);
                self.single |= from & !to;
                self.values.insert((0, to));
            }
            _ => {}
        }
    }

    fn note_change(&mut self, MarkChange { clear, flip }: MarkChange) {
        self.note_value(flip & clear, clear);
        self.single |= flip & !clear;
    }

    fn note_value(&mut self, value: u32, mask: u32) {
        self.masks.insert(mask);
        self.values.insert((value, mask));
    }

    /// The lanes in which all that was noted can be said.
    pub(super) fn lanes(self) -> Lanes {
        let bits = (0..u32::BITS).map(|bit| self.single & 1 << bit);
        let masks = self.masks.into_iter().chain(bits);
        let masks = masks.fold(vec![u32::MAX], |lanes, mask| {
            let halves = lanes.into_iter().flat_map(|lane| [lane & mask, lane & !mask]);
            halves.filter(|lane| *lane != 0).collect()
        });
        let lane = |mask: u32| {
            let values: BTreeSet<u32> = self
                .values
                .iter()
                .filter(|(_, under)| mask & under != 0)
                .map(|(value, _)| value & mask)
                .collect();
            let needed = usize::BITS - (values.len() + 1).leading_zeros();
            if needed >= mask.count_ones() {
                return Lane { mask, values: None, numbered: mask };
            }
            let places = (0..u32::BITS).filter(|bit| mask >> bit & 1 == 1);
            let numbered = places.take(needed as usize).fold(0, |bits, bit| bits | 1 << bit);
            Lane { mask, values: Some(values), numbered }
        };
        Lanes(masks.into_iter().map(lane).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(noted: &[(u32, u32)], single: u32) -> Lanes {
        let mut marks = Marks { single, ..Marks::default() };
        for (value, mask) in noted {
            marks.note_value(*value, *mask);
        }
        marks.lanes()
    }

    #[test]
    fn values_of_a_lane_have_numbers_of_their_own_and_two_are_left() {
        let lanes = lanes(&[(0x539, 0xfff), (0x111, 0xfff)], 0);
        let numbers = [0x539, 0x111].map(|value| lanes.number(value, 0xfff).ok().unwrap());
        assert_eq!(numbers, [1, 0]);
        // Four numbers for the lane of two values, two for that of none.
        assert_eq!(lanes.numbered(), 0b1_0000_0000_0011);
        assert!(lanes.number(0x540, 0xfff).is_err());
        assert!(lanes.number(0x539, 0xff).is_err());
    }

    #[test]
    fn what_is_inverted_is_a_lane_of_its_own() {
        let lanes = lanes(&[(7, 0xffff_ffff)], 0b100);
        assert_eq!(lanes.number(0b100, 0b100).ok(), Some(0b100));
        assert_eq!(lanes.numbered().count_ones(), 3);
    }
}
