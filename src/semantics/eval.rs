//! One packet, with its trace.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::symbolic::DEEPEST;
use super::{Decided, End, Holds, InSet, Limit, Outcome, Packet, Sender, Translation, Verdict};
use crate::ir::{
    self, Action, Chain, ChainKind, CtState, Direction, Effect, Entry, Hook, MarkChange, Match,
    Owner, OwnerIs, Rule, Ruleset, Schedule, Table,
};
use crate::net::{Name, OnMiss};

/// A packet's way through a ruleset.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Run<'a> {
    /// What became of it.
    pub outcome: Outcome,
    /// The rules that matched, in the order in which they ran.
    pub trace: Vec<Step<'a>>,
    /// The rules that it met and of which questions that the model leaves open decide whether they
    /// match or what they do, in the order in which they were asked.
    pub open: Vec<Step<'a>>,
    /// The packet as the next hook sees it, but for its place and interfaces. If it was dropped,
    /// as it was then.
    pub after: Packet,
    /// Why the run was broken off before its end, if it was; then nothing of it can be relied on.
    pub cut: Option<Limit>,
}

/// A rule that matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

/// Takes `packet` through the base chains at its hook, in the first order that is possible.
/// [`runs`] tells of all.
///
/// A run that takes too long, or in which chains tie in too many ways to tell, is broken off
/// ([`Run::cut`]). A chain that comes back without having changed anything stands in the trace once.
#[must_use]
pub fn run<'a>(ruleset: &'a Ruleset, packet: &Packet) -> Run<'a> {
    match ruleset.schedules(packet.hook, packet.family()) {
        Ok(schedules) => run_in_order(ruleset, packet, &schedules[0]),
        Err(ties) => {
            let nothing = run_in_order(ruleset, packet, &Schedule::default());
            Run { cut: Some(ties.into()), ..nothing }
        }
    }
}

/// Takes `packet` through the base chains at its hook in every order that is possible: with what
/// each order supposes, of those that lead to the same only the first.
///
/// # Errors
///
/// If chains tie in too many ways, or it takes too long.
pub fn runs<'a>(
    ruleset: &'a Ruleset,
    packet: &Packet,
) -> Result<Vec<(Run<'a>, Vec<String>)>, Limit> {
    let mut runs: Vec<(Run<'a>, Vec<String>)> = Vec::new();
    for schedule in ruleset.schedules(packet.hook, packet.family())? {
        let mut run = run_in_order(ruleset, packet, &schedule);
        if let Some(limit) = run.cut.take() {
            return Err(limit);
        }
        if runs.iter().all(|(known, _)| known.outcome != run.outcome) {
            runs.push((run, schedule.supposes));
        }
    }
    Ok(runs)
}

/// Takes `packet` through the steps of `schedule`, which is one of `ruleset`'s.
pub(super) fn run_in_order<'a>(
    ruleset: &'a Ruleset,
    packet: &Packet,
    schedule: &Schedule<'a>,
) -> Run<'a> {
    let outcome = Outcome {
        mark: packet.mark,
        routed: packet.mark,
        connmark: packet.connmark,
        ..Outcome::of(Verdict::Accept)
    };
    let after = packet.clone();
    let is_tracked = !packet.hook.tracks() || is_looped(packet);
    let run = Run { outcome, trace: Vec::new(), open: Vec::new(), after, cut: None };
    let mut walk = Walk {
        ruleset,
        packet,
        is_tracked,
        is_translated: false,
        run,
        version: 0,
        idle: HashMap::new(),
        visits: 0,
    };
    for step in &schedule.steps {
        walk.version += 1;
        let flow = match step {
            ir::Step::Track => {
                walk.is_tracked = true;
                continue;
            }
            ir::Step::Chain(entry) => walk.base_chain(*entry),
            ir::Step::Translate(entries) => walk.translate(entries),
        };
        match flow {
            Flow::Drop => walk.drop(),
            Flow::Taken => walk.run.outcome.verdict = Verdict::Taken,
            Flow::Accept | Flow::Return => continue,
        }
        break;
    }
    walk.finish()
}

/// Whether a packet comes in again over loopback, where it keeps its connection.
pub(super) fn is_looped(packet: &Packet) -> bool {
    packet.hook == Hook::Prerouting && packet.input.as_deref() == Some("lo")
}

/// Most rules that a packet is held against.
const MOST_VISITS: usize = 2_000_000;

/// How a chain ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Accept,
    Drop,
    Taken,
    Return,
}

/// Where a chain runs.
#[derive(Clone, Copy)]
struct Place<'a> {
    table: &'a Table,
    /// Jumps that led here.
    depth: usize,
}

struct Walk<'a, 'p> {
    ruleset: &'a Ruleset,
    packet: &'p Packet,
    /// Whether the packet's connection is known.
    is_tracked: bool,
    /// Whether one of the packet's ends has become another.
    is_translated: bool,
    run: Run<'a>,
    /// Counts changes of what matches see.
    version: usize,
    /// Chains that came back without having changed anything, each with the version then.
    idle: HashMap<*const Chain, usize>,
    visits: usize,
}

impl<'a> Walk<'a, '_> {
    fn base_chain(&mut self, Entry { table, chain, base }: Entry<'a>) -> Flow {
        let before = self.run.outcome.mark;
        let flow = self.chain(Place { table, depth: 0 }, chain);
        let outcome = &mut self.run.outcome;
        if base.kind == ChainKind::Route && base.hook == Hook::Output && outcome.mark != before {
            outcome.routed = outcome.mark;
        }
        flow
    }

    /// Translates the packet: as was decided, or as the first of `entries` says that translates.
    fn translate(&mut self, entries: &[Entry<'a>]) -> Flow {
        if self.run.outcome.untracked {
            return Flow::Accept;
        }
        let becomes = match self.packet.translation {
            Decided::Becomes(address, port) => Some((address, Some(port))),
            Decided::Unchanged => None,
            Decided::Nothing => {
                for entry in entries {
                    if self.run.outcome.translation.is_some() {
                        break;
                    }
                    let flow = self.base_chain(*entry);
                    if matches!(flow, Flow::Drop | Flow::Taken) {
                        return flow;
                    }
                }
                self.run.outcome.translation.as_ref().map(|translation| match *translation {
                    Translation::Redirect { port } => {
                        let is_sent = self.packet.hook == Hook::Output;
                        let family = self.packet.family();
                        let address =
                            if is_sent { family.loopback() } else { self.packet.interface_address };
                        (address, Some(port))
                    }
                    Translation::Snat { to } => (to, None),
                    Translation::Dnat { to, port } => (to, port),
                    Translation::Opaque { .. } => {
                        (self.packet.interface_address, Some(self.packet.translated_port))
                    }
                })
            }
        };
        if let Some((address, port)) = becomes {
            self.becomes(address, port);
        }
        Flow::Accept
    }

    /// Gives the end that the hook translates another address, and perhaps another port.
    fn becomes(&mut self, address: IpAddr, port: Option<u16>) {
        let Some((end, _)) = self.packet.hook.translates() else { return };
        let (outcome, after) = (&mut self.run.outcome, &mut self.run.after);
        // Where it is not known which address it becomes, it counts as another.
        let is_another = matches!(self.packet.translation, Decided::Becomes(..))
            || matches!(outcome.translation, Some(Translation::Opaque { .. }));
        let (old, old_port) = match end {
            Direction::Source => (&mut after.source, &mut after.source_port),
            Direction::Destination => (&mut after.destination, &mut after.destination_port),
        };
        if self.packet.hook == Hook::Output && (is_another || *old != address) {
            outcome.routed = outcome.mark;
        }
        *old = address;
        if let (Some(port), true) = (port, self.packet.has_ports()) {
            *old_port = port;
        }
        self.is_translated = true;
    }

    fn chain(&mut self, place: Place<'a>, chain: &'a Chain) -> Flow {
        // The same packet in the same condition comes back again.
        if self.idle.get(&std::ptr::from_ref(chain)) == Some(&self.version) {
            return Flow::Return;
        }
        if place.depth > DEEPEST {
            self.run.cut = Some(Limit::Depth { chain: chain.name.to_string() });
            return Flow::Accept;
        }
        let before = self.version;
        let flow = self.rules(place, chain);
        if flow == Flow::Return && before == self.version {
            self.idle.insert(chain, before);
        }
        flow
    }

    fn rules(&mut self, place: Place<'a>, chain: &'a Chain) -> Flow {
        for (index, rule) in chain.rules.iter().enumerate() {
            self.visits += 1;
            if self.visits > MOST_VISITS {
                self.run.cut = Some(Limit::Rules);
            }
            if self.run.cut.is_some() {
                return Flow::Accept;
            }
            let fits = |when: &Match| self.matches(place.table, when);
            let mut known = rule.when.iter().filter(|when| !matches!(when, Match::Opaque { .. }));
            if !rule.families.has(self.packet.family()) || !known.all(fits) {
                continue;
            }
            let does_match = rule.when.iter().all(fits);
            let step = Step { table: &place.table.name, chain: &chain.name, index, rule };
            if rule.is_open() {
                self.run.open.push(step);
            }
            if !does_match {
                continue;
            }
            self.run.trace.push(step);
            let before = self.run.outcome.so_far();
            let flow = self.act(place, &rule.then);
            self.version += usize::from(self.run.outcome.so_far() != before);
            if let Some(flow) = flow {
                return flow;
            }
        }
        Flow::Return
    }

    /// Does `then`; `None` if the next rule runs.
    fn act(&mut self, place: Place<'a>, then: &'a Action) -> Option<Flow> {
        let connection = self.state().has_connection();
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
            Action::Dnat { to, port } => {
                outcome.translation = Some(Translation::Dnat { to: *to, port: *port });
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
            Action::MarkAndAccept(change) => {
                outcome.mark = change.apply(outcome.mark);
                return Some(Flow::Accept);
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
            Action::Notrack if !self.is_tracked && outcome.zone.is_none() => {
                outcome.untracked = true;
            }
            Action::SetZone(zone) if !self.is_tracked && !outcome.untracked => {
                outcome.zone.get_or_insert(*zone);
            }
            Action::SetConnmark(_)
            | Action::SaveMark(_)
            | Action::RestoreMark(_)
            | Action::SetZone(_)
            | Action::Notrack
            | Action::Log => {}
            Action::Opaque(ir::Target { text, effect }) => match effect {
                Effect::Stays => {}
                Effect::Takes => {
                    outcome.targets.insert(Arc::clone(text));
                    return Some(Flow::Taken);
                }
                Effect::Translates { to_this_machine } => {
                    outcome.translation = Some(Translation::Opaque {
                        text: Arc::clone(text),
                        to_this_machine: *to_this_machine,
                    });
                    return Some(Flow::Accept);
                }
                Effect::Unknown(condition) => {
                    outcome.targets.insert(Arc::clone(text));
                    return self.holds(condition).then_some(Flow::Taken);
                }
            },
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

    /// What matches see of the connection.
    const fn state(&self) -> CtState {
        match (self.run.outcome.untracked, self.is_tracked) {
            (true, _) => CtState::Untracked,
            (false, true) => self.packet.state,
            (false, false) => CtState::Invalid,
        }
    }

    /// The end of the packet that `of` means by now.
    fn end(&self, of: Direction) -> End {
        let is_other = self.packet.hook.translates().is_some_and(|(end, _)| end == of);
        if self.is_translated && is_other { End::Translated } else { of.into() }
    }

    fn is_local(&self, of: Direction) -> bool {
        let end = self.end(of);
        match &self.run.outcome.translation {
            Some(to) if end == End::Translated && to.is_local() => true,
            _ => self.packet.local.contains(&end),
        }
    }

    /// Whose socket the packet has. At prerouting it is that of a proxy that took it, if any.
    fn sender(&self) -> Sender {
        let is_taken = self.packet.hook == Hook::Prerouting && self.run.outcome.tproxy.is_some();
        if self.packet.hook.has_socket() || is_taken { self.packet.sender } else { Sender::Nobody }
    }

    fn matches(&self, table: &Table, when: &Match) -> bool {
        let (packet, seen) = (self.packet, &self.run.after);
        match when {
            Match::Protocol { protocol, not } => (packet.protocol == Some(*protocol)) != *not,
            Match::Port { of, ports, not } => {
                packet.has_ports() && ports.contains(seen.port(*of)) != *not
            }
            Match::Address { of, nets, not } => {
                nets.family() == packet.family() && nets.contains(seen.address(*of)) != *not
            }
            Match::InSet { of, set, not } => {
                let declared = table.sets.iter().find(|known| known.name == *set);
                let name = InSet::table_name(self.ruleset, table);
                declared.is_some_and(|known| known.family == packet.family())
                    && packet.is_in(self.end(*of), &name, set) != *not
            }
            Match::Interface { of, names, not } => {
                names.iter().any(|name| name.matches(packet.interface(*of))) != *not
            }
            Match::Owner { owner, is } => owner_is(self.sender(), *owner, is),
            Match::SocketExists { not } => (self.sender() == Sender::Nobody) == *not,
            Match::Mark { mark, not } => mark.matches(self.run.outcome.mark) != *not,
            Match::Connmark { mark, not } => {
                self.state().has_connection() && mark.matches(self.run.outcome.connmark) != *not
            }
            Match::CtState { states, not } => states.has(self.state()) != *not,
            Match::Local { of, not } => self.is_local(*of) != *not,
            Match::TransparentSocket => packet.transparent_socket,
            Match::Opaque { condition, not } => self.holds(condition) != *not,
        }
    }

    /// The answer to a question that the model leaves open.
    fn holds(&self, condition: &ir::Condition) -> bool {
        self.packet.holds.contains(&Holds::asked(condition, self.is_translated))
    }

    fn drop(&mut self) {
        let outcome = &mut self.run.outcome;
        let began = self.packet.state == CtState::New;
        *outcome = Outcome {
            mark: self.packet.mark,
            routed: self.packet.mark,
            connmark: if began { self.packet.connmark } else { outcome.connmark },
            ..Outcome::of(Verdict::Drop)
        };
    }

    fn finish(mut self) -> Run<'a> {
        let Outcome { mark, connmark, .. } = self.run.outcome;
        if self.packet.hook != Hook::Output {
            self.run.outcome.routed = mark;
        }
        if self.run.outcome.untracked {
            self.run.after.state = CtState::Untracked;
        }
        self.run.after.mark = mark;
        self.run.after.connmark = connmark;
        self.run
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
