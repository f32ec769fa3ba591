//! Which packets people think of first, and why others are not among them.

use serde::Serialize;

use super::diagram::Function;
use super::space::{NOBODY, NOTHING, PROCESS, Space, loopback};
use crate::ir::{CtState, Direction, Hook, Owner};
use crate::net::Interface;

/// Whose processes are no part of the workload: the proxy's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Users.
    pub users: Vec<u32>,
    /// Groups.
    pub groups: Vec<u32>,
    /// Whether they are only what rules name, of which nobody says that they are the proxy's.
    pub are_named: bool,
}

/// Of which packets something is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Among {
    /// Of all that are in its words.
    All,
    /// Of the ordinary ones. They begin a connection, have no marks, and neither come nor go over
    /// loopback nor from or to its addresses; no transparent proxy has taken them, and those that
    /// listen do. If they are sent from here, a process sends them, of a user and a group that are not
    /// the proxy's, and not to this machine.
    Ordinary,
    /// Of all, of which the ordinary ones are told elsewhere, or there are none: each other one is not
    /// ordinary for one of these reasons. The packet that shows it is such a one.
    Corners(Vec<Corner>),
}

/// Why a packet is not ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Corner {
    /// It comes or goes over loopback, or is from or to one of its addresses, or is sent from this machine
    /// to itself.
    Loopback,
    /// The proxy sends it.
    Proxy,
    /// A user or group sends it that rules name, which may be the proxy's: no policy says who that is.
    Named,
    /// No process sends it.
    NoProcess,
    /// Its connection is invalid.
    Invalid,
    /// Its connection is not tracked.
    Untracked,
    /// It does not begin a connection, or one that is translated already.
    Connected,
    /// It, or its connection, has a mark.
    Marked,
    /// A transparent proxy has taken it, or one that is to listen does not.
    Transparent,
}

impl Corner {
    /// What is said of packets: `over loopback`.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Loopback => "over loopback",
            Self::Proxy => "of the proxy itself",
            Self::Named => "of users or groups that rules name",
            Self::NoProcess => "of no process",
            Self::Invalid => "that are invalid",
            Self::Untracked => "that are not tracked",
            Self::Connected => "within connections",
            Self::Marked => "with marks",
            Self::Transparent => "of transparent proxies",
        }
    }
}

/// Where there are ordinary packets: where packets begin their way.
pub(super) const fn is_known(hook: Hook) -> bool {
    matches!(hook, Hook::Prerouting | Hook::Output)
}

/// The packets that are not ordinary, by each reason.
pub(super) fn corners(space: &mut Space, proxies: &Proxies) -> Vec<(Corner, Function)> {
    let is_sent = space.hook == Hook::Output;
    let mut all = Vec::new();
    let over = if is_sent { Direction::Destination } else { Direction::Source };
    let mut looped = vec![space.interface(over, &[Interface::lo()])];
    for end in [Direction::Source, Direction::Destination] {
        let field = space.address(end);
        looped.push(space.within(field, &[loopback(space.family)]));
    }
    if is_sent {
        looped.push(space.is_local(Direction::Destination.into()));
    }
    all.push((Corner::Loopback, space.diagrams.any(looped)));
    if is_sent {
        let owned = [(Owner::User, &proxies.users), (Owner::Group, &proxies.groups)];
        let owned = owned.map(|(owner, ids)| {
            let mut ranges: Vec<_> =
                ids.iter().map(|id| (u128::from(*id), u128::from(*id))).collect();
            ranges.sort_unstable();
            ranges.dedup();
            space.owned(owner, &ranges)
        });
        let who = if proxies.are_named { Corner::Named } else { Corner::Proxy };
        all.push((who, space.diagrams.any(owned.to_vec())));
        all.push((Corner::NoProcess, space.is(space.sender, PROCESS).not()));
    } else {
        all.push((Corner::Transparent, space.is(space.sender, NOBODY).not()));
    }
    let state = |space: &mut Space, state| space.states([state].into_iter().collect());
    all.push((Corner::Invalid, state(space, CtState::Invalid)));
    all.push((Corner::Untracked, state(space, CtState::Untracked)));
    let begins = space.states([CtState::New, CtState::Related].into_iter().collect());
    let asks = space.is(space.decided, NOTHING);
    all.push((Corner::Connected, space.diagrams.and(begins, asks).not()));
    let marks = [space.mark, space.connmark].map(|mark| space.is(mark, 0).not());
    all.push((Corner::Marked, space.diagrams.any(marks.to_vec())));
    let mut taken = vec![space.diagrams.variable(space.transparent_socket)];
    for (_, variable) in space.listeners.clone() {
        taken.push(space.diagrams.variable(variable).not());
    }
    all.push((Corner::Transparent, space.diagrams.any(taken)));
    all
}
