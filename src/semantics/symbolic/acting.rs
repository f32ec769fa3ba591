//! What actions do to packets.

use std::sync::Arc;

use super::{Fates, Walk};
use crate::ir::{Action, Effect, MarkChange, Target};
use crate::net::OnMiss;
use crate::semantics::Translation;
use crate::semantics::diagram::{Diagrams, Function};
use crate::semantics::space::Bits;

impl Walk<'_> {
    /// Does `then`, which stays in the chain or ends the base chain, to `packets`; those for the
    /// next rule.
    pub(super) fn act(&mut self, then: &Action, packets: Function) -> Function {
        match then {
            Action::Accept => self.accept(packets),
            Action::Drop => self.drop(packets),
            Action::Redirect { port } => {
                self.translated(Translation::Redirect { port: *port }, packets);
            }
            Action::Snat { to } => self.translated(Translation::Snat { to: *to }, packets),
            Action::Dnat { to, port } => {
                self.translated(Translation::Dnat { to: *to, port: *port }, packets);
            }
            Action::Tproxy { port, mark, on_miss } => {
                let listener = self.space.listeners.iter().find(|(known, _)| known == port);
                let listener = listener.map_or(Function::TRUE, |(_, variable)| {
                    self.space.diagrams.variable(*variable)
                });
                let hit = self.space.diagrams.and(packets, listener);
                if hit != Function::FALSE {
                    self.version += 1;
                    for at in self.fates.proxies.values_mut() {
                        *at = self.space.diagrams.minus(*at, hit);
                    }
                    let at = self.fates.proxies.entry(*port).or_insert(Function::FALSE);
                    *at = self.space.diagrams.or(*at, hit);
                    let mark = self.space.mark_change(*mark);
                    self.set_mark(hit, |bits, shift| masked(bits[shift], mark, shift));
                    self.accept(hit);
                }
                let miss = self.space.diagrams.minus(packets, listener);
                match on_miss {
                    OnMiss::Drop => self.drop(miss),
                    OnMiss::Continue => return miss,
                }
            }
            Action::MarkAndAccept(change) => {
                let change = self.space.mark_change(*change);
                self.set_mark(packets, |bits, shift| masked(bits[shift], change, shift));
                self.accept(packets);
            }
            Action::SetMark(change) => {
                let change = self.space.mark_change(*change);
                self.set_mark(packets, |bits, shift| masked(bits[shift], change, shift));
                return packets;
            }
            Action::SetConnmark(change) => {
                let change = self.space.mark_change(*change);
                self.set_connmark(packets, |walk, shift| {
                    masked(walk.fates.connmark[shift], change, shift)
                });
                return packets;
            }
            Action::SaveMark(masks) => {
                self.set_connmark(packets, |walk, shift| {
                    let Fates { mark, connmark, .. } = walk.fates;
                    let diagrams = &mut walk.space.diagrams;
                    copied(diagrams, (connmark, masks.connection), (mark, masks.packet), shift)
                });
                return packets;
            }
            Action::RestoreMark(masks) => {
                let connected = self.connected();
                let with = self.space.diagrams.and(packets, connected);
                let Fates { mark, connmark, .. } = self.fates;
                let new: Bits = std::array::from_fn(|shift| {
                    let diagrams = &mut self.space.diagrams;
                    copied(diagrams, (mark, masks.packet), (connmark, masks.connection), shift)
                });
                self.set_mark(with, |_, shift| new[shift]);
                return packets;
            }
            Action::SetZone(zone) => {
                let zoned: Vec<_> = self.fates.zones.values().copied().collect();
                let zoned = self.space.diagrams.any(zoned);
                let free = self.space.diagrams.minus(self.untracked, zoned);
                let free = self.space.diagrams.minus(free, self.fates.exempt);
                let set = self.space.diagrams.and(packets, free);
                if set != Function::FALSE {
                    let at = self.fates.zones.entry(*zone).or_insert(Function::FALSE);
                    *at = self.space.diagrams.or(*at, set);
                    self.version += 1;
                }
                return packets;
            }
            Action::Notrack => {
                let zoned: Vec<_> = self.fates.zones.values().copied().collect();
                let zoned = self.space.diagrams.any(zoned);
                let free = self.space.diagrams.minus(self.untracked, zoned);
                let set = self.space.diagrams.and(packets, free);
                let exempt = self.space.diagrams.or(self.fates.exempt, set);
                self.version += usize::from(exempt != self.fates.exempt);
                self.fates.exempt = exempt;
                return packets;
            }
            Action::Opaque(target) => return self.opaque(target, packets),
            Action::Return | Action::Jump(_) | Action::Goto(_) | Action::Log => return packets,
        }
        Function::FALSE
    }

    /// Does to `packets` what is known of a target; those for the next rule.
    fn opaque(&mut self, Target { text, effect }: &Target, packets: Function) -> Function {
        let taken = match effect {
            Effect::Stays => return packets,
            Effect::Translates { to_this_machine } => {
                let (text, to_this_machine) = (Arc::clone(text), *to_this_machine);
                self.translated(Translation::Opaque { text, to_this_machine }, packets);
                return Function::FALSE;
            }
            Effect::Takes => Function::TRUE,
            Effect::Unknown(condition) => self.holds(condition),
        };
        let at = self.fates.targets.entry(Arc::clone(text)).or_insert(Function::FALSE);
        *at = self.space.diagrams.or(*at, packets);
        let hit = self.space.diagrams.and(packets, taken);
        self.taken.elsewhere = self.space.diagrams.or(self.taken.elsewhere, hit);
        self.space.diagrams.minus(packets, taken)
    }

    fn accept(&mut self, packets: Function) {
        self.taken.accepted = self.space.diagrams.or(self.taken.accepted, packets);
    }

    fn drop(&mut self, packets: Function) {
        self.taken.dropped = self.space.diagrams.or(self.taken.dropped, packets);
    }

    fn translated(&mut self, to: Translation, packets: Function) {
        // Nothing is translated twice but by rules that the kernel would not load.
        if self.space.diagrams.meet(self.fates.translated, packets) {
            for at in self.fates.translations.values_mut() {
                *at = self.space.diagrams.minus(*at, packets);
            }
        }
        self.fates.translated = self.space.diagrams.or(self.fates.translated, packets);
        let at = self.fates.translations.entry(to).or_insert(Function::FALSE);
        *at = self.space.diagrams.or(*at, packets);
        self.version += 1;
        self.accept(packets);
    }

    /// Gives `packets` the mark of which `new` tells each bit.
    fn set_mark(&mut self, packets: Function, new: impl Fn(&Bits, usize) -> Function) {
        let old = self.fates.mark;
        let diagrams = &mut self.space.diagrams;
        let bits =
            std::array::from_fn(|shift| diagrams.either(packets, new(&old, shift), old[shift]));
        self.version += usize::from(bits != old);
        self.fates.mark = bits;
    }

    /// Gives those of `packets` that have a connection the mark of which `new` tells each bit.
    fn set_connmark(
        &mut self,
        packets: Function,
        mut new: impl FnMut(&mut Self, usize) -> Function,
    ) {
        let connected = self.connected();
        let with = self.space.diagrams.and(packets, connected);
        let old = self.fates.connmark;
        let bits = std::array::from_fn(|shift| {
            let new = new(self, shift);
            self.space.diagrams.either(with, new, old[shift])
        });
        self.version += usize::from(bits != old);
        self.fates.connmark = bits;
    }

    /// The packets whose connection is known.
    pub(super) fn connected(&mut self) -> Function {
        let connected = self.space.connected();
        let connected = self.space.diagrams.minus(connected, self.untracked);
        self.space.diagrams.minus(connected, self.fates.exempt)
    }
}

/// A bit of a mark after `change`.
const fn masked(old: Function, change: MarkChange, shift: usize) -> Function {
    let flip = change.flip >> shift & 1 == 1;
    if change.clear >> shift & 1 == 1 {
        Function::FALSE.negated_if(flip)
    } else {
        old.negated_if(flip)
    }
}

/// A bit of a mark after bits of another were copied to it, each under its mask.
fn copied(
    diagrams: &mut Diagrams,
    (to, clear): (Bits, u32),
    (from, taken): (Bits, u32),
    shift: usize,
) -> Function {
    let bit = |mask: u32| mask >> shift & 1 == 1;
    let kept = if bit(clear) { Function::FALSE } else { to[shift] };
    let flip = if bit(taken) { from[shift] } else { Function::FALSE };
    diagrams.differ(kept, flip)
}
