//! One packet, with its trace.

use std::fmt;
use std::net::IpAddr;

use super::{Packet, Sender, TRACKING, base_chains};
use crate::ir::{
    Action, Base, Chain, ChainKind, CtState, MarkChange, Match, Owner, OwnerIs, Rule, Ruleset,
    Table,
};
use crate::net::{Name, OnMiss};

/// What became of a packet at a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it goes on.
    pub verdict: Verdict,
    /// How its connection's addresses change. `None` if it was dropped.
    pub translation: Option<Translation>,
    /// The port of the transparent proxy that took it. `None` if it was dropped.
    pub tproxy: Option<u16>,
    /// Its mark; as it came, if it was dropped.
    pub mark: u32,
    /// The mark of its connection; as it came, if it was dropped and was to begin the connection.
    pub connmark: u32,
    /// The zone that its connection is tracked in, if one was set. `None` if it was dropped.
    pub zone: Option<u16>,
}

/// Whether a packet goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It does.
    Accept,
    /// It does not.
    Drop,
}

/// How the addresses of a connection change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Translation {
    /// It goes to this port of this machine.
    Redirect {
        /// The port.
        port: u16,
    },
    /// It comes from this address.
    Snat {
        /// The address.
        to: IpAddr,
    },
}

/// A packet's way through a ruleset.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// What became of it.
    pub outcome: Outcome,
    /// The rules that matched, in the order in which they ran.
    pub trace: Vec<Step<'a>>,
}

/// A rule that matched.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The table.
    pub table: &'a Name,
    /// The chain.
    pub chain: &'a Name,
    /// The place of the rule in its chain, from 0.
    pub index: usize,
    /// The rule.
    pub rule: &'a Rule,
}

/// Takes `packet` through the base chains at its hook.
#[must_use]
pub fn run<'a>(ruleset: &'a Ruleset, packet: &Packet) -> Run<'a> {
    let outcome = Outcome {
        verdict: Verdict::Accept,
        translation: None,
        tproxy: None,
        mark: packet.mark,
        connmark: packet.connmark,
        zone: None,
    };
    let mut walk = Walk { packet, run: Run { outcome, trace: Vec::new() } };
    for (table, chain, base) in base_chains(ruleset, packet.hook) {
        let again = packet.state != CtState::New || walk.run.outcome.translation.is_some();
        if !table.families.has(packet.family()) || (base.kind == ChainKind::Nat && again) {
            continue;
        }
        if walk.chain(Place { table, base, depth: 0 }, chain) == Flow::Drop {
            walk.drop();
            break;
        }
    }
    walk.run
}

/// How a chain ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Accept,
    Drop,
    Return,
}

/// Where a chain runs.
#[derive(Clone, Copy)]
struct Place<'a> {
    table: &'a Table,
    base: Base,
    /// Jumps that led here.
    depth: usize,
}

struct Walk<'a, 'p> {
    packet: &'p Packet,
    run: Run<'a>,
}

impl<'a> Walk<'a, '_> {
    fn chain(&mut self, place: Place<'a>, chain: &'a Chain) -> Flow {
        for (index, rule) in chain.rules.iter().enumerate() {
            if !rule.families.has(self.packet.family())
                || !rule.when.iter().all(|when| self.matches(place.table, when))
            {
                continue;
            }
            let (table, name) = (&place.table.name, &chain.name);
            self.run.trace.push(Step { table, chain: name, index, rule });
            if let Some(flow) = self.act(place, &rule.then) {
                return flow;
            }
        }
        Flow::Return
    }

    /// Does `then`; `None` if the next rule runs.
    fn act(&mut self, place: Place<'a>, then: &'a Action) -> Option<Flow> {
        let connection = self.packet.state.has_connection();
        let outcome = &mut self.run.outcome;
        match then {
            Action::Accept => return Some(Flow::Accept),
            Action::Drop => return Some(Flow::Drop),
            Action::Return => return Some(Flow::Return),
            Action::Jump(to) => {
                let flow = self.enter(place, to);
                return (flow != Flow::Return).then_some(flow);
            }
            Action::Goto(to) => return Some(self.enter(place, to)),
            Action::Redirect { port } => {
                outcome.translation = Some(Translation::Redirect { port: *port });
                return Some(Flow::Accept);
            }
            Action::Snat { to } => {
                outcome.translation = Some(Translation::Snat { to: *to });
                return Some(Flow::Accept);
            }
            Action::Tproxy { port, mark, on_miss } => {
                if !self.packet.no_listener.contains(port) {
                    outcome.tproxy = Some(*port);
                    outcome.mark = mark.apply(outcome.mark);
                    return Some(Flow::Accept);
                }
                return (*on_miss == OnMiss::Drop).then_some(Flow::Drop);
            }
            Action::SetMark(change) => outcome.mark = change.apply(outcome.mark),
            Action::SetConnmark(change) if connection => {
                outcome.connmark = change.apply(outcome.connmark);
            }
            Action::SaveMark(masks) if connection => {
                let flip = outcome.mark & masks.packet;
                outcome.connmark =
                    MarkChange { clear: masks.connection, flip }.apply(outcome.connmark);
            }
            Action::RestoreMark(masks) if connection => {
                let flip = outcome.connmark & masks.connection;
                outcome.mark = MarkChange { clear: masks.packet, flip }.apply(outcome.mark);
            }
            Action::SetZone(zone) if place.base.priority < TRACKING => {
                outcome.zone.get_or_insert(*zone);
            }
            Action::SetConnmark(_)
            | Action::SaveMark(_)
            | Action::RestoreMark(_)
            | Action::SetZone(_)
            | Action::Log => {}
        }
        None
    }

    fn enter(&mut self, place: Place<'a>, to: &Name) -> Flow {
        let depth = place.depth + 1;
        match place.table.chain(to) {
            Some(chain) if depth < place.table.chains.len() => {
                self.chain(Place { depth, ..place }, chain)
            }
            _ => Flow::Return,
        }
    }

    fn matches(&self, table: &Table, when: &Match) -> bool {
        let packet = self.packet;
        match when {
            Match::Protocol { protocol, not } => (packet.protocol == Some(*protocol)) != *not,
            Match::Port { of, ports, not } => {
                packet.protocol.is_some() && ports.contains(packet.port(*of)) != *not
            }
            Match::Address { of, nets, not } => {
                nets.family() == packet.family() && nets.contains(packet.address(*of)) != *not
            }
            Match::InSet { of, set, not } => {
                let declared = table.sets.iter().find(|known| known.name == *set);
                declared.is_some_and(|known| known.family == packet.family())
                    && packet.sets.contains(&(*of, set.clone())) != *not
            }
            Match::Interface { of, names, not } => {
                names.iter().any(|name| name.matches(packet.interface(*of))) != *not
            }
            Match::Owner { owner, is } => owner_is(packet.sender, *owner, is),
            Match::SocketExists { not } => (packet.sender == Sender::Nobody) == *not,
            Match::Mark { mark, not } => mark.matches(self.run.outcome.mark) != *not,
            Match::Connmark { mark, not } => {
                packet.state.has_connection() && mark.matches(self.run.outcome.connmark) != *not
            }
            Match::CtState { states, not } => states.has(packet.state) != *not,
            Match::Local { of, not } => packet.local.contains(of) != *not,
            Match::TransparentSocket => packet.transparent_socket,
        }
    }

    fn drop(&mut self) {
        let outcome = &mut self.run.outcome;
        let began = self.packet.state == CtState::New;
        *outcome = Outcome {
            verdict: Verdict::Drop,
            translation: None,
            tproxy: None,
            mark: self.packet.mark,
            connmark: if began { self.packet.connmark } else { outcome.connmark },
            zone: None,
        };
    }
}

fn owner_is(sender: Sender, owner: Owner, is: &OwnerIs) -> bool {
    let id = match (sender, owner) {
        (Sender::Process { user, .. }, Owner::User) => Some(user),
        (Sender::Process { group, .. }, Owner::Group) => Some(group),
        (Sender::Kernel | Sender::Nobody, _) => None,
    };
    let within =
        |ids: &[(u32, u32)], id| ids.iter().any(|(first, last)| (*first..=*last).contains(&id));
    match is {
        OwnerIs::In(ids) => id.is_some_and(|id| within(ids, id)),
        OwnerIs::NotIn { ids, ownerless } => id.map_or(*ownerless, |id| !within(ids, id)),
    }
}

/// `accepted, redirected to port 15001, mark 0x539`; parts that are as usual are left out.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.verdict {
            Verdict::Accept => "accepted",
            Verdict::Drop => "dropped",
        })?;
        match self.translation {
            Some(Translation::Redirect { port }) => write!(f, ", redirected to port {port}")?,
            Some(Translation::Snat { to }) => write!(f, ", source {to}")?,
            None => {}
        }
        if let Some(port) = self.tproxy {
            write!(f, ", to the transparent proxy on port {port}")?;
        }
        if let Some(zone) = self.zone {
            write!(f, ", zone {zone}")?;
        }
        write!(f, ", mark {:#x}, connmark {:#x}", self.mark, self.connmark)
    }
}
