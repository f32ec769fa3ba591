//! The conditions of a rule, as they are read aloud.

use crate::ir::{
    Action, Also, CtState, Direction, Match, Origin, Owner, OwnerIs, Protocol, Rule, Rung,
};
use crate::net::{Families, Interface, Mark, Name, Nets, PortSet};
use crate::policy::Setting;

/// The conditions of a rule, in the order in which they are read aloud.
#[derive(Clone, Debug)]
pub(super) struct When {
    families: Families,
    matches: Vec<Match>,
}

/// Every packet of `families`.
pub(super) fn any(families: Families) -> When {
    When { families, matches: Vec::new() }
}

/// TCP packets of `families`.
pub(super) fn tcp(families: Families) -> When {
    any(families).protocol(Protocol::Tcp)
}

/// UDP packets of `families`.
pub(super) fn udp(families: Families) -> When {
    any(families).protocol(Protocol::Udp)
}

/// Leaves alone what the user or group sends that a setting has, if it has one.
pub(super) fn returns(
    families: Families,
    rung: Rung,
    owner: Owner,
    id: Setting<Option<u32>>,
) -> Option<Rule> {
    let from = any(families).owner(owner, vec![((*id)?, (*id)?)]);
    Some(from.then(Action::Return, Origin::new(rung, id.clause)))
}

impl When {
    fn and(mut self, condition: Match) -> Self {
        // A ladder has a rule for each item of its lists, most with one match.
        self.matches.reserve_exact(1);
        self.matches.push(condition);
        self
    }

    pub(super) fn protocol(self, protocol: Protocol) -> Self {
        self.and(Match::Protocol { protocol, not: false })
    }

    pub(super) fn dport(self, ports: impl Into<PortSet>) -> Self {
        self.and(Match::Port { of: Direction::Destination, ports: ports.into(), not: false })
    }

    pub(super) fn not_dport(self, ports: impl Into<PortSet>) -> Self {
        self.and(Match::Port { of: Direction::Destination, ports: ports.into(), not: true })
    }

    pub(super) fn sport(self, ports: impl Into<PortSet>) -> Self {
        self.and(Match::Port { of: Direction::Source, ports: ports.into(), not: false })
    }

    fn address(mut self, of: Direction, nets: Nets, not: bool) -> Self {
        self.families = nets.family().into();
        self.and(Match::Address { of, nets, not })
    }

    pub(super) fn to(self, nets: impl Into<Nets>) -> Self {
        self.address(Direction::Destination, nets.into(), false)
    }

    pub(super) fn not_to(self, nets: impl Into<Nets>) -> Self {
        self.address(Direction::Destination, nets.into(), true)
    }

    pub(super) fn from(self, nets: impl Into<Nets>) -> Self {
        self.address(Direction::Source, nets.into(), false)
    }

    pub(super) fn in_set(self, set: Name) -> Self {
        self.and(Match::InSet { of: Direction::Destination, set, not: false })
    }

    pub(super) fn arrives_on(self, names: Vec<Interface>) -> Self {
        self.and(Match::Interface { of: Direction::Source, names, not: false })
    }

    pub(super) fn leaves_on(self, names: Vec<Interface>) -> Self {
        self.and(Match::Interface { of: Direction::Destination, names, not: false })
    }

    pub(super) fn not_leaves_on(self, names: Vec<Interface>) -> Self {
        self.and(Match::Interface { of: Direction::Destination, names, not: true })
    }

    pub(super) fn owner(self, owner: Owner, ids: Vec<(u32, u32)>) -> Self {
        self.and(Match::Owner { owner, is: OwnerIs::In(ids) })
    }

    /// As iptables has it: a packet without an owner is not owned by anyone named here.
    pub(super) fn not_owner(self, owner: Owner, ids: Vec<(u32, u32)>) -> Self {
        self.and(Match::Owner { owner, is: OwnerIs::NotIn { ids, ownerless: true } })
    }

    /// The address is none of this machine's.
    pub(super) fn not_local(self, of: Direction) -> Self {
        self.and(Match::Local { of, not: true })
    }

    pub(super) fn local_socket(self) -> Self {
        self.and(Match::SocketExists { not: false })
    }

    pub(super) fn marked(self, mark: Mark) -> Self {
        self.and(Match::Mark { mark, not: false })
    }

    pub(super) fn not_marked(self, mark: Mark) -> Self {
        self.and(Match::Mark { mark, not: true })
    }

    pub(super) fn connmarked(self, mark: Mark) -> Self {
        self.and(Match::Connmark { mark, not: false })
    }

    pub(super) fn state<const N: usize>(self, states: [CtState; N]) -> Self {
        self.and(Match::CtState { states: states.into_iter().collect(), not: false })
    }

    pub(super) fn then(self, action: Action, origin: Origin) -> Rule {
        Rule {
            families: self.families,
            when: self.matches,
            then: action,
            origin,
            also: Also::NOTHING,
        }
    }
}
