//! Whether two rulesets are alike, which is known much earlier than how they differ.
//!
//! What is built the same is not computed at all, nor what follows chain by chain; of the rest, numbers are
//! only known as one of those that no rule tells apart.

use super::Limit;
use super::chained::are_same_in_a_row;
use super::compare::{Scope, bases, pairs, places};
use super::diagram::Function;
use super::space::Space;
use super::structure::Structure;
use crate::ir::{Base, Hook, Ruleset};
use crate::net::Family;

/// Whether the two do the same, alone and, chain by chain, beside any other chains: neither
/// [`compare`](super::compare()) nor [`compare_beside`](super::compare_beside), which says what `shared`
/// is, finds a difference.
///
/// # Errors
///
/// If the rulesets are too entangled to tell.
pub fn are_alike(left: &Ruleset, right: &Ruleset, shared: bool) -> Result<bool, Limit> {
    let sides = [left, right];
    let bases = bases(&sides);
    for (hook, family) in places(&sides) {
        let mut equality = Equality::at(sides, (hook, family), shared);
        // What is built the same as a whole is so chain by chain.
        if equality.is_built_the_same(Scope::Alone)? {
            continue;
        }
        let here: Vec<Base> = bases.iter().filter(|base| base.hook == hook).copied().collect();
        let is_compared = here.len() > 1 || shared;
        let mut computed = Vec::new();
        for base in here.into_iter().filter(|_| is_compared) {
            let scope = Scope::Chain { base, shared };
            if equality.is_built_the_same(scope)? {
                continue;
            }
            if !equality.does_the_same(scope)? {
                return Ok(false);
            }
            computed.push(base);
        }
        if is_compared && equality.is_same_in_a_row(&computed)? {
            continue;
        }
        if !equality.does_the_same(Scope::Alone)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the two are built the same for packets of a family at a hook, as far as `scope` has it.
///
/// # Errors
///
/// If chains tie in too many ways.
pub(super) fn are_built_the_same(
    sides: [&Ruleset; 2],
    place: (Hook, Family),
    scope: Scope,
) -> Result<bool, Limit> {
    let is_shared = matches!(scope, Scope::Chain { shared: true, .. });
    Equality::at(sides, place, is_shared).is_built_the_same(scope)
}

/// Two rulesets for packets of a family at a hook.
struct Equality<'a> {
    sides: [&'a Ruleset; 2],
    place: (Hook, Family),
    structure: Structure<'a>,
    /// The packets in classes, once they are asked for.
    space: Option<Space>,
}

impl<'a> Equality<'a> {
    fn at(sides: [&'a Ruleset; 2], place: (Hook, Family), is_shared: bool) -> Self {
        Self { sides, place, structure: Structure::of(place.1, is_shared), space: None }
    }

    /// Whether what is compared is computed to do the same in both to every packet.
    fn does_the_same(&mut self, scope: Scope) -> Result<bool, Limit> {
        let ((hook, family), sides) = (self.place, self.sides);
        let space = self.space.get_or_insert_with(|| Space::of_classes(hook, family, &sides, &[]));
        let mut pairs = pairs(space, sides, scope)?;
        if space.is_blurred() {
            // Something was asked that classes of numbers cannot answer.
            *space = Space::new(hook, family, &sides, &[]);
            pairs = super::compare::pairs(space, sides, scope)?;
        }
        Ok(pairs.iter().all(|pair| pair.differ == Function::FALSE))
    }

    fn is_built_the_same(&mut self, scope: Scope) -> Result<bool, Limit> {
        let (hook, family) = self.place;
        let [left, right] = self.sides.map(|side| scope.schedules(side, hook, family));
        Ok(self.structure.is_same([&left?, &right?]))
    }

    /// Whether all chains do the same in a row, because each does by itself.
    fn is_same_in_a_row(&self, computed: &[Base]) -> Result<bool, Limit> {
        let (hook, family) = self.place;
        let [left, right] = self.sides.map(|side| side.schedules(hook, family));
        Ok(are_same_in_a_row([&left?, &right?], computed))
    }
}
