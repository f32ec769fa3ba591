//! Values that a number of packets may have, out of a function of its bits.

use super::diagram::Function;
use super::field::Field;
use super::space::Space;

/// Values of a field.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Values {
    /// Inclusive, sorted, apart.
    Ranges(Vec<(u128, u128)>),
    /// Those that have, or have not, `value` in the bits of `mask`.
    Bits { not: bool, value: u128, mask: u128 },
}

/// Most ranges that are told one by one.
const MOST_RANGES: usize = 256;

impl Values {
    /// The one.
    pub(super) fn one(value: u128) -> Self {
        Self::Ranges(vec![(value, value)])
    }

    /// Whatever a field can be.
    pub(super) fn all(field: Field) -> Self {
        Self::Ranges(vec![(0, field.highest())])
    }

    /// How many items a list of them has, or of those that they are not.
    pub(super) fn length(&self, field: Field, of_addresses: bool) -> usize {
        let Self::Ranges(ranges) = self else { return 1 };
        let others = others(ranges, field.highest());
        let count = |ranges: &[(u128, u128)]| {
            if of_addresses { prefixes(ranges, field.bits()).len() } else { ranges.len() }
        };
        let lacking = if others.is_empty() { 0 } else { count(&others) };
        lacking.min(count(ranges))
    }

    /// The packets whose `field` is one of them.
    pub(super) fn holds(&self, space: &mut Space, field: Field) -> Function {
        match self {
            Self::Ranges(ranges) => space.within(field, ranges),
            Self::Bits { not, value, mask } => {
                let bits = (0..field.bits()).rev();
                let holds = bits.fold(Function::TRUE, |all, bit| {
                    let place = field.bits() - 1 - bit;
                    if mask >> place & 1 == 0 {
                        return all;
                    }
                    let variable = space.diagrams.variable(field.variable(bit));
                    space.diagrams.and(variable.negated_if(value >> place & 1 == 0), all)
                });
                holds.negated_if(*not)
            }
        }
    }
}

/// The values of `field` for which `good` holds, which asks nothing else, in ranges; `None` of too many.
pub(super) fn ranges(space: &Space, field: Field, good: Function) -> Option<Vec<(u128, u128)>> {
    let mut ranges = Vec::new();
    add(space, field, (0, 0), good, &mut ranges)?;
    Some(ranges)
}

/// Adds the values of `good` that `bit` bits of `value` lead to.
fn add(
    space: &Space,
    field: Field,
    (bit, value): (u32, u128),
    good: Function,
    ranges: &mut Vec<(u128, u128)>,
) -> Option<()> {
    if good == Function::FALSE {
        return Some(());
    }
    if good == Function::TRUE {
        let left = field.bits() - bit;
        let first = value.checked_shl(left).unwrap_or_default();
        let last = first | u128::MAX.checked_shr(128 - left).unwrap_or_default();
        let count = ranges.len();
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == first => *end = last,
            _ if count == MOST_RANGES => return None,
            _ => ranges.push((first, last)),
        }
        return Some(());
    }
    let (low, high) = space.diagrams.halves(good, field.variable(bit));
    add(space, field, (bit + 1, value << 1), low, ranges)?;
    add(space, field, (bit + 1, value << 1 | 1), high, ranges)
}

/// The bits of `field` that `good` asks for, if it, or its opposite, is that they have one value each.
pub(super) fn bits(space: &Space, field: Field, good: Function) -> Option<Values> {
    [false, true].into_iter().find_map(|not| {
        let (mut left, mut value, mut mask) = (good.negated_if(not), 0, 0);
        for bit in 0..field.bits() {
            let (low, high) = space.diagrams.halves(left, field.variable(bit));
            let place = field.bits() - 1 - bit;
            left = match (low, high) {
                _ if low == high => low,
                (Function::FALSE, one) => {
                    (value, mask) = (value | 1 << place, mask | 1 << place);
                    one
                }
                (zero, Function::FALSE) => {
                    mask |= 1 << place;
                    zero
                }
                _ => return None,
            };
        }
        (left == Function::TRUE && mask != 0).then_some(Values::Bits { not, value, mask })
    })
}

/// The shortest prefix around `value`, which is `good`, of which all are.
pub(super) fn prefix(space: &Space, field: Field, good: Function, value: u128) -> Values {
    let mut left = good;
    for bit in 0..field.bits() {
        let host = u128::MAX >> (128 - (field.bits() - bit));
        if left == Function::TRUE {
            return Values::Ranges(vec![(value & !host, value | host)]);
        }
        let (low, high) = space.diagrams.halves(left, field.variable(bit));
        let is_one = value >> (field.bits() - 1 - bit) & 1 == 1;
        left = if is_one { high } else { low };
    }
    Values::one(value)
}

/// The longest range around `value`, which is `good`, of which all are.
pub(super) fn range(space: &mut Space, field: Field, good: Function, value: u128) -> Values {
    let mut fits = |range| {
        let within = space.within(field, &[range]);
        !space.diagrams.meet(good.not(), within)
    };
    let last = furthest(value, field.highest(), |last| fits((value, last)));
    let first = value - furthest(0, value, |down| fits((value - down, value)));
    Values::Ranges(vec![(first, last)])
}

/// The highest number from `low` to `high` for which `fits` holds; it holds for `low` and, from
/// some number on, for none.
fn furthest(low: u128, high: u128, mut fits: impl FnMut(u128) -> bool) -> u128 {
    let (mut good, mut bad) = (low, high);
    if fits(high) {
        return high;
    }
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) { good = middle } else { bad = middle }
    }
    good
}

/// What lies between `ranges` in the numbers up to `highest`.
pub(super) fn others(ranges: &[(u128, u128)], highest: u128) -> Vec<(u128, u128)> {
    let mut others = Vec::new();
    let mut next = Some(0);
    for (first, last) in ranges {
        if let Some(next) = next.filter(|next| next < first) {
            others.push((next, first - 1));
        }
        next = last.checked_add(1);
    }
    if let Some(next) = next.filter(|next| *next <= highest) {
        others.push((next, highest));
    }
    others
}

/// `ranges` of numbers of `bits` bits as prefixes, each its first number and how many bits it has.
pub(super) fn prefixes(ranges: &[(u128, u128)], bits: u32) -> Vec<(u128, u32)> {
    let mut prefixes = Vec::new();
    for (first, last) in ranges {
        let mut at = *first;
        loop {
            // The widest that begins here and ends in the range.
            let widest = at.trailing_zeros().min(bits);
            let host = |free: u32| u128::MAX.checked_shr(128 - free).unwrap_or_default();
            let fits = |free: &u32| at | host(*free) <= *last;
            let free = (0..=widest).rev().find(fits).unwrap_or_default();
            prefixes.push((at, bits - free));
            match (at | host(free)).checked_add(1).filter(|next| next <= last) {
                Some(next) => at = next,
                None => break,
            }
        }
    }
    prefixes
}
