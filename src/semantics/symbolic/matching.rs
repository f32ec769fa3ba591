//! Which packets a match holds for, at a place where rules have changed them.

use std::collections::BTreeMap;

use super::{Landing, Port, Walk};
use crate::ir::{Condition, CtState, Direction, Hook, Match, Rule, Ruleset, Table};
use crate::net::PortSet;
use crate::semantics::diagram::Function;
use crate::semantics::pool::{List, Pool};
use crate::semantics::space::{NOBODY, Space, address_ranges, number};
use crate::semantics::{End, Holds};

/// The packets that all of `when` hold for as they arrive. A set is one of any of the tables of
/// `ruleset`.
pub(in crate::semantics) fn arriving(
    space: &mut Space,
    ruleset: &Ruleset,
    when: &[Match],
) -> Function {
    let mut walk = Walk::new(space, ruleset);
    walk.untracked = Function::FALSE;
    let all = walk.space.all();
    when.iter().fold(all, |all, when| {
        let tables = ruleset.tables.iter();
        let holds = tables.map(|table| walk.matches(table, when)).collect();
        let holds = walk.space.diagrams.any(holds);
        walk.space.diagrams.and(all, holds)
    })
}

impl Walk<'_> {
    /// The packets that one of `rules` matches.
    pub(super) fn union(&mut self, table: &Table, mut rules: &[Rule]) -> Function {
        let mut parts = Vec::new();
        while let Some(first) = rules.first() {
            let pool = Pool::of(rules);
            rules = &rules[pool.rules..];
            parts.push(self.matching(table, first, &pool));
        }
        self.space.diagrams.any(parts)
    }

    fn matching(&mut self, table: &Table, rule: &Rule, pool: &Pool) -> Function {
        if !rule.families.has(self.space.family) {
            return Function::FALSE;
        }
        let mut all = Function::TRUE;
        for (place, when) in rule.when.iter().enumerate() {
            let part = match &pool.list {
                Some((at, list)) if *at == place => self.listed(when, list),
                _ => self.matches(table, when),
            };
            all = self.space.diagrams.and(all, part);
        }
        all
    }

    /// The packets that `when` would hold for by now if it had this list.
    fn listed(&mut self, when: &Match, list: &List) -> Function {
        match (when, list) {
            (Match::Address { of, nets, .. }, List::Ranges(ranges))
                if nets.family() == self.space.family =>
            {
                self.address(*of, ranges)
            }
            (Match::Interface { of, .. }, List::Names(names)) => self.space.interface(*of, names),
            (Match::Port { of, .. }, List::Ranges(ranges)) => {
                let among = self.port(*of, ranges);
                let has_ports = self.space.has_ports();
                self.space.diagrams.and(has_ports, among)
            }
            (Match::Owner { owner, .. }, List::Ranges(ranges)) => {
                let owned = self.space.owned(*owner, ranges);
                let visible = self.sockets();
                self.space.diagrams.and(visible, owned)
            }
            _ => Function::FALSE,
        }
    }

    /// The packets that `when` holds for by now.
    fn matches(&mut self, table: &Table, when: &Match) -> Function {
        match when {
            Match::Protocol { protocol, not } => self.space.protocol(*protocol).negated_if(*not),
            Match::Port { of, ports, not } => {
                let among = self.port(*of, &port_ranges(ports)).negated_if(*not);
                let has_ports = self.space.has_ports();
                self.space.diagrams.and(has_ports, among)
            }
            Match::Address { of, nets, not } => {
                if nets.family() != self.space.family {
                    return Function::FALSE;
                }
                let ranges: Vec<_> = address_ranges(nets).collect();
                self.address(*of, &ranges).negated_if(*not)
            }
            Match::InSet { of, set, not } => {
                let declared = table.sets.iter().find(|known| known.name == *set);
                if declared.is_none_or(|known| known.family != self.space.family) {
                    return Function::FALSE;
                }
                let ruleset = self.ruleset;
                let came = self.space.set_of(ruleset, table, (*of).into(), set);
                let came = self.space.in_set(&came);
                let now = |walk: &mut Self, _| {
                    let set = walk.space.set_of(ruleset, table, End::Translated, set);
                    walk.space.in_set(&set)
                };
                self.seen(*of, came, now).negated_if(*not)
            }
            Match::Interface { of, names, not } => {
                self.space.interface(*of, names).negated_if(*not)
            }
            Match::Owner { owner, is } => {
                let ownerless = matches!(is, crate::ir::OwnerIs::NotIn { ownerless: true, .. });
                let owned = self.space.owner(*owner, is);
                let visible = self.sockets();
                let hidden = Function::FALSE.negated_if(ownerless);
                self.space.diagrams.either(visible, owned, hidden)
            }
            Match::SocketExists { not } => {
                let has = self.space.is(self.space.sender, NOBODY).not();
                let visible = self.sockets();
                self.space.diagrams.and(visible, has).negated_if(*not)
            }
            Match::Mark { mark, not } => {
                self.space.has_bits(&self.fates.mark, *mark).negated_if(*not)
            }
            Match::Connmark { mark, not } => {
                let has = self.space.has_bits(&self.fates.connmark, *mark).negated_if(*not);
                let connected = self.connected();
                self.space.diagrams.and(connected, has)
            }
            Match::CtState { states, not } => {
                let within = self.space.states(*states);
                let invalid = Function::FALSE.negated_if(states.has(CtState::Invalid));
                let seen = self.space.diagrams.either(self.untracked, invalid, within);
                let untracked = Function::FALSE.negated_if(states.has(CtState::Untracked));
                let seen = self.space.diagrams.either(self.fates.exempt, untracked, seen);
                seen.negated_if(*not)
            }
            Match::Local { of, not } => {
                let came = self.space.is_local((*of).into());
                let to_self: Vec<_> = self
                    .fates
                    .translations
                    .iter()
                    .filter(|(to, _)| to.is_local())
                    .map(|(_, packets)| *packets)
                    .collect();
                let to_self = self.space.diagrams.any(to_self);
                let now = |walk: &mut Self, _| {
                    let local = walk.space.is_local(End::Translated);
                    walk.space.diagrams.or(to_self, local)
                };
                self.seen(*of, came, now).negated_if(*not)
            }
            Match::TransparentSocket => self.space.diagrams.variable(self.space.transparent_socket),
            Match::Opaque { condition, not } => self.holds(condition).negated_if(*not),
        }
    }

    /// The packets that answer a question with yes by now.
    pub(super) fn holds(&mut self, condition: &Condition) -> Function {
        let came = self.space.holds(&Holds::asked(condition, false));
        if condition.asked_by.is_some() {
            return came;
        }
        let landed: Vec<_> = self.landed.iter().map(|(_, packets)| *packets).collect();
        let landed = self.space.diagrams.any(landed);
        let now = self.space.holds(&Holds::asked(condition, true));
        self.space.diagrams.either(landed, now, came)
    }

    /// The packets whose socket, if they have one, rules see.
    fn sockets(&mut self) -> Function {
        if self.space.hook.has_socket() {
            return Function::TRUE;
        }
        if self.space.hook != Hook::Prerouting {
            return Function::FALSE;
        }
        let taken: Vec<_> = self.fates.proxies.values().copied().collect();
        self.space.diagrams.any(taken)
    }

    /// The packets whose port, if they have ports, is in `ranges`.
    fn port(&mut self, of: Direction, ranges: &[(u128, u128)]) -> Function {
        let field = match of {
            Direction::Source => self.space.source_port,
            Direction::Destination => self.space.destination_port,
        };
        let came = self.space.within(field, ranges);
        self.seen(of, came, |walk, landing| match landing.port {
            Port::Same => came,
            Port::Decided => walk.space.within(walk.space.translated_port, ranges),
            Port::This(port) => Function::FALSE.negated_if(has(ranges, port.into())),
        })
    }

    /// The packets whose address is in `ranges`.
    fn address(&mut self, of: Direction, ranges: &[(u128, u128)]) -> Function {
        let came = self.space.within(self.space.address(of), ranges);
        self.seen(of, came, |walk, landing| match landing.address {
            None => walk.space.within(walk.space.translated, ranges),
            Some(address) => Function::FALSE.negated_if(has(ranges, number(address))),
        })
    }

    /// What holds of an end by now: `came`, where it is as it came, elsewhere what `now` says.
    fn seen(
        &mut self,
        of: Direction,
        came: Function,
        now: impl Fn(&mut Self, Landing) -> Function,
    ) -> Function {
        if self.space.hook.translates().is_none_or(|(end, _)| end != of) {
            return came;
        }
        // No packet lands twice. Where they do alike, all are taken at once: there may be very many.
        let mut alike: BTreeMap<Function, Vec<Function>> = BTreeMap::new();
        for at in 0..self.landed.len() {
            let (landing, packets) = self.landed[at];
            let then = now(self, landing);
            alike.entry(then).or_default().push(packets);
        }
        alike.into_iter().fold(came, |seen, (then, packets)| {
            let packets = self.space.diagrams.any(packets);
            self.space.diagrams.either(packets, then, seen)
        })
    }
}

/// Whether `number` is in one of `ranges`.
fn has(ranges: &[(u128, u128)], number: u128) -> bool {
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&number))
}

fn port_ranges(ports: &PortSet) -> Vec<(u128, u128)> {
    let ranges = ports.ranges().iter();
    ranges.map(|range| (range.first().into(), range.last().into())).collect()
}
