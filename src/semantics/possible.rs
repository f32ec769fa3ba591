//! Which values of the variables of a space stand for packets, and which of those can really come.

use super::End;
use super::diagram::Function;
use super::space::{BECOMES, NOBODY, NOTHING, PROCESS, Space, UNCHANGED, loopback};
use crate::ir::{CtState, Direction, Hook};
use crate::net::Interface;

impl Space {
    /// The values of the variables that stand for a packet.
    pub(super) fn all(&mut self) -> Function {
        if let Some(all) = self.all {
            return all;
        }
        let all = self.packets();
        self.all = Some(all);
        all
    }

    fn packets(&mut self) -> Function {
        let interfaces = self.interfaces.count() as u128 - 1;
        let interface = |exists| if exists { (1, interfaces) } else { (0, 0) };
        let inputs = match (self.hook.has_input(), self.hook.may_have_input()) {
            (false, true) => (0, interfaces),
            (exists, _) => interface(exists),
        };
        let senders: &[(u128, u128)] = match self.hook {
            Hook::Input | Hook::Output | Hook::Postrouting => &[(PROCESS, NOBODY)],
            Hook::Prerouting => &[(PROCESS, PROCESS), (NOBODY, NOBODY)],
            Hook::Forward => &[(NOBODY, NOBODY)],
        };
        let decided = if self.hook.translates().is_some() {
            (NOTHING, BECOMES)
        } else {
            (UNCHANGED, UNCHANGED)
        };
        // The kernel has no owner with the highest number: it stands for "none".
        let owners = (0, u128::from(u32::MAX) - 1);
        let ranges = [
            (self.protocol, (0, self.protocols.len() as u128 - 1)),
            (self.state, (0, CtState::ALL.len() as u128 - 1)),
            (self.decided, decided),
            (self.input, inputs),
            (self.output, interface(self.hook.has_output())),
            (self.user, owners),
            (self.group, owners),
        ];
        let mut parts: Vec<_> =
            ranges.into_iter().map(|(field, range)| self.within(field, &[range])).collect();
        parts.push(self.within(self.sender, senders));
        // Only connections that begin ask, and only connections have been translated.
        let begins = self.states([CtState::New, CtState::Related].into_iter().collect());
        let asks = self.is(self.decided, NOTHING);
        parts.push(self.diagrams.or(asks.not(), begins));
        let becomes = self.is(self.decided, BECOMES);
        let connected = self.connected();
        parts.push(self.diagrams.or(becomes.not(), connected));
        parts.into_iter().fold(Function::TRUE, |all, part| self.diagrams.and(all, part))
    }

    /// The packets that can really be at the hook: see [`Packet::check`](super::Packet::check).
    pub(super) fn possible(&mut self) -> Function {
        let lo = |space: &mut Self, of| space.interface(of, &[Interface::lo()]);
        let possible = match self.hook {
            Hook::Output => {
                let out = lo(self, Direction::Destination);
                let is_local = self.is_local(End::Destination);
                let loopback = self.loopback(Direction::Destination);
                let to_self = self.diagrams.or(is_local, loopback);
                let unmarked = self.is(self.mark, 0);
                let astray = self.diagrams.minus(to_self, out);
                let others = self.diagrams.minus(out, to_self);
                let others = self.diagrams.and(others, unmarked);
                self.diagrams.or(astray, others).not()
            }
            Hook::Prerouting | Hook::Input => {
                let looped = lo(self, Direction::Source);
                let asks = self.is(self.decided, NOTHING);
                self.diagrams.and(looped, asks).not()
            }
            Hook::Forward | Hook::Postrouting => Function::TRUE,
        };
        // Loopback is this machine's everywhere.
        [Direction::Source, Direction::Destination].into_iter().fold(possible, |possible, of| {
            let loopback = self.loopback(of);
            let is_local = self.is_local(of.into());
            let wrong = self.diagrams.minus(loopback, is_local);
            self.diagrams.minus(possible, wrong)
        })
    }

    /// The packets of which an end is a loopback address.
    fn loopback(&mut self, of: Direction) -> Function {
        self.within(self.address(of), &[loopback(self.family)])
    }
}
