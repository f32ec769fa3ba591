//! What a packet meets on its whole way through the host, by the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use netweir::ir::{CtState, Hook, Protocol, Ruleset};
use netweir::net::Family;
use netweir::semantics::{Decided, End as PacketEnd, Packet, Run, Sender, Verdict, run};

use super::world::{
    LINKS, MARK_ALT, MARK_LOCAL, MARK_MASK, PORTS, PROXY, Place, Probe, addresses, owner_of,
};

/// Before or behind all chains of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    Begin,
    End,
}

/// What can be seen of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) mark: u32,
    /// Empty: none.
    pub(crate) input: String,
    /// Empty: none.
    pub(crate) output: String,
    /// The mark of its connection and what connection tracking says; looked at behind the chains.
    pub(crate) connection: Option<(u32, String)>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, destination, mark, input, output, connection } = self;
        write!(f, "{source} > {destination} mark {mark:#x} in `{input}` out `{output}`")?;
        if let Some((connmark, state)) = connection {
            write!(f, " connmark {connmark:#x} {state}")?;
        }
        Ok(())
    }
}

/// Where a packet was, in the order of the hooks.
pub(crate) type Trail = BTreeMap<(Hook, Moment), Seen>;

/// How a way ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At this machine.
    Delivered,
    /// It left over an interface.
    Sent(String),
    Dropped,
}

/// The way of a packet.
pub(super) struct Way {
    pub(super) trail: Trail,
    pub(super) end: End,
    /// What it is when it ends.
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    /// Whether the transparent proxy took it.
    pub(super) is_taken: bool,
    connmark: u32,
}

impl Way {
    /// Where it ends.
    pub(super) fn place(&self) -> Option<Place> {
        match &self.end {
            End::Delivered => Some(Place::Host),
            End::Sent(link) => Some(LINKS.iter().find(|(name, ..)| name == link)?.2),
            End::Dropped => None,
        }
    }
}

/// Where packets for `destination` go from the host: an interface, `lo` for itself.
fn route(destination: IpAddr, mark: u32) -> &'static str {
    if is_local(destination) { "lo" } else { route_elsewhere(destination, mark) }
}

/// The same for what is not the host's.
fn route_elsewhere(destination: IpAddr, mark: u32) -> &'static str {
    if mark & MARK_MASK == MARK_LOCAL {
        return "lo";
    }
    if mark & MARK_MASK == MARK_ALT {
        return "alt";
    }
    LINKS.iter().find(|(_, net, _)| is_on_link(destination, *net)).map_or("tos", |(link, ..)| link)
}

fn is_on_link(address: IpAddr, net: u8) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[..3] == [10, net, 0],
        IpAddr::V6(address) => address.segments()[..4] == [0xfd00 + u16::from(net), 0, 0, 0],
    }
}

fn is_local(address: IpAddr) -> bool {
    let all = Family::ALL.map(|family| addresses(Place::Host, family)).concat();
    address.is_loopback() || all.iter().any(|own| own.parse() == Ok(address))
}

/// The host's address on an interface.
fn address_of(link: &str, family: Family) -> IpAddr {
    let at = LINKS.iter().position(|(name, ..)| *name == link).map_or(0, |at| at + 1);
    addresses(Place::Host, family)[at].parse().unwrap()
}

/// Ports of proxies that take nothing: nobody listens there, or not transparently.
const NO_PROXIES: [u16; 2] = [15_001, 15_009];

struct Walk<'a> {
    ruleset: &'a Ruleset,
    trail: Trail,
    /// What is decided of the destination and of the source.
    decided: [Decided; 2],
    /// Whose socket a packet that comes in on a link has at input.
    receiver: Sender,
    is_taken: bool,
}

impl Walk<'_> {
    /// Takes `packet` through its hook; the mark that it was routed by at last. `None` if it is
    /// dropped.
    fn hook(&mut self, packet: &mut Packet) -> Option<u32> {
        let [destination, source] = self.decided;
        packet.translation = match packet.hook {
            Hook::Prerouting | Hook::Output => destination,
            Hook::Input | Hook::Postrouting => source,
            Hook::Forward => Decided::Unchanged,
        };
        self.note(packet, Moment::Begin);
        let ends =
            [(PacketEnd::Source, packet.source), (PacketEnd::Destination, packet.destination)];
        let local = ends.into_iter().filter(|(_, address)| is_local(*address));
        packet.local = local.map(|(end, _)| end).collect();
        let mut passed: Run<'_> = run(self.ruleset, packet);
        // Which address a translation leads to is known only now.
        let translated = packet.hook.translates().map(|(end, _)| passed.after.address(end));
        if translated.is_some_and(is_local) {
            packet.local.insert(PacketEnd::Translated);
            passed = run(self.ruleset, packet);
        }
        let Run { outcome, after, .. } = passed;
        if outcome.verdict == Verdict::Drop {
            return None;
        }
        self.is_taken |= outcome.tproxy.is_some();
        *packet = after;
        self.note(packet, Moment::End);
        Some(outcome.routed)
    }

    fn note(&mut self, packet: &Packet, moment: Moment) {
        let connection = (packet.connmark, packet.state.name().to_owned());
        let seen = Seen {
            source: SocketAddr::new(packet.source, packet.source_port),
            destination: SocketAddr::new(packet.destination, packet.destination_port),
            mark: packet.mark,
            input: packet.input.clone().unwrap_or_default(),
            output: packet.output.clone().unwrap_or_default(),
            connection: (moment == Moment::End).then_some(connection),
        };
        self.trail.insert((packet.hook, moment), seen);
    }

    fn walk(&mut self, packet: &mut Packet) -> Option<End> {
        let mut is_looped = false;
        if packet.hook == Hook::Output {
            packet.output = Some(route(packet.destination, packet.mark).to_owned());
            let routed = self.hook(packet)?;
            packet.output = Some(route(packet.destination, routed).to_owned());
            packet.hook = Hook::Postrouting;
            self.hook(packet)?;
            if packet.output.as_deref() != Some("lo") {
                return Some(End::Sent(packet.output.clone()?));
            }
            // Its connection is translated by now.
            self.decided = [Decided::Unchanged; 2];
            is_looped = true;
            packet.hook = Hook::Prerouting;
            packet.input = packet.output.take();
        }
        let user = owner_of(PROXY);
        packet.sender = Sender::Process { user, group: user };
        self.hook(packet)?;
        if !self.is_taken {
            packet.sender = Sender::Nobody;
        }
        // Nothing gets from outside to a loopback address: one of IPv4 is a forgery, and one of IPv6 is
        // routed as if it were elsewhere.
        let is_astray = !is_looped && packet.destination.is_loopback();
        if is_astray && packet.destination.is_ipv4() {
            return None;
        }
        // What comes over loopback keeps the route that it was sent by.
        let next = match (is_looped, is_astray) {
            (true, _) => "lo",
            (_, true) => route_elsewhere(packet.destination, packet.mark),
            _ => route(packet.destination, packet.mark),
        };
        if next == "lo" {
            packet.hook = Hook::Input;
            if !is_looped && !self.is_taken {
                packet.sender = self.receiver;
            }
            self.hook(packet)?;
            return Some(End::Delivered);
        }
        // What has a socket is not forwarded.
        if self.is_taken {
            return None;
        }
        packet.output = Some(next.to_owned());
        packet.hook = Hook::Forward;
        self.hook(packet)?;
        packet.hook = Hook::Postrouting;
        self.hook(packet)?;
        Some(End::Sent(next.to_owned()))
    }
}

/// A packet as it comes to the host, or as the host sends it.
struct Start {
    /// `None`: the host sends it.
    input: Option<&'static str>,
    /// Whose it is, if the host sends it.
    sender: Sender,
    /// Whose socket it meets early at input.
    receiver: Sender,
    mark: u32,
    connmark: u32,
    state: CtState,
    ends: [SocketAddr; 2],
    decided: [Decided; 2],
}

fn follow(ruleset: &Ruleset, probe: &Probe, start: &Start) -> Way {
    let [source, destination] = start.ends;
    let is_sent = start.input.is_none();
    let mut packet = Packet {
        hook: if is_sent { Hook::Output } else { Hook::Prerouting },
        protocol: Some(probe.protocol),
        source: source.ip(),
        destination: destination.ip(),
        source_port: source.port(),
        destination_port: destination.port(),
        input: start.input.map(str::to_owned),
        output: None,
        sender: if is_sent { start.sender } else { Sender::Nobody },
        mark: if is_sent { start.mark } else { 0 },
        connmark: start.connmark,
        state: start.state,
        translation: Decided::Nothing,
        interface_address: address_of(start.input.unwrap_or_default(), probe.family()),
        translated_port: 0,
        no_listener: NO_PROXIES.into(),
        sets: BTreeSet::new(),
        local: BTreeSet::new(),
        transparent_socket: false,
        holds: BTreeSet::new(),
    };
    let Start { decided, receiver, .. } = *start;
    let mut walk = Walk { ruleset, trail: Trail::new(), decided, receiver, is_taken: false };
    let end = walk.walk(&mut packet).unwrap_or(End::Dropped);
    Way {
        trail: walk.trail,
        end,
        source: SocketAddr::new(packet.source, packet.source_port),
        destination: SocketAddr::new(packet.destination, packet.destination_port),
        is_taken: walk.is_taken,
        connmark: packet.connmark,
    }
}

/// Where a packet of `place` comes in that it sends from `source` to `destination`.
fn input(place: Place, destination: IpAddr) -> Option<&'static str> {
    match place {
        Place::Host => None,
        Place::Client => Some("toc"),
        Place::Server if is_on_link(destination, 3) => Some("alt"),
        Place::Server => Some("tos"),
    }
}

/// What becomes of `now` by the translation of a connection.
fn becomes(now: SocketAddr, then: SocketAddr) -> Decided {
    if now == then { Decided::Unchanged } else { Decided::Becomes(then.ip(), then.port()) }
}

/// The ways of a connection's packets: there, back, and there again. The later ones only if the
/// ones before got where they should.
pub(super) fn ways(ruleset: &Ruleset, probe: &Probe, source_port: u16) -> Vec<Way> {
    let source = SocketAddr::new(probe.source, source_port);
    let destination = SocketAddr::new(probe.destination, probe.port);
    let process = Sender::Process { user: probe.user, group: probe.group };
    let is_tcp = probe.protocol == Protocol::Tcp;
    let there = Start {
        input: input(probe.from, probe.destination),
        sender: process,
        receiver: Sender::Nobody,
        mark: probe.mark,
        connmark: 0,
        state: CtState::New,
        ends: [source, destination],
        decided: [Decided::Nothing; 2],
    };
    let first = follow(ruleset, probe, &there);
    if first.is_taken {
        return vec![first];
    }
    let listener = listener(&first);
    let Some((place, owner)) = listener.or_else(|| refuses(&first, is_tcp)) else {
        return vec![first];
    };
    let back = Start {
        input: input(place, first.source.ip()),
        sender: owner,
        // A connected socket is found early, but by the source as it is before input.
        receiver: if (is_tcp || probe.is_connected) && first.destination == destination {
            process
        } else {
            Sender::Nobody
        },
        mark: 0,
        connmark: first.connmark,
        state: CtState::Established,
        ends: [first.destination, first.source],
        decided: [becomes(first.source, source), becomes(first.destination, destination)],
    };
    let reply = follow(ruleset, probe, &back);
    let is_back = reply.place() == Some(probe.from) && reply.destination == source;
    if listener.is_none() || !is_back {
        return vec![first, reply];
    }
    assert_eq!(reply.source, destination, "a reply that was not translated back");
    // What waits for the third packet of a handshake is found early by the source, too.
    let is_found = is_tcp
        && first
            .trail
            .get(&(Hook::Input, Moment::Begin))
            .is_some_and(|seen| seen.source == first.source);
    let again = Start {
        input: input(probe.from, probe.destination),
        sender: process,
        receiver: if is_found { owner } else { Sender::Nobody },
        mark: probe.mark,
        connmark: reply.connmark,
        state: CtState::Established,
        ends: [source, destination],
        decided: [becomes(destination, first.destination), becomes(source, first.source)],
    };
    let again = follow(ruleset, probe, &again);
    vec![first, reply, again]
}

/// The place that refuses a TCP connection because nobody listens there. The kernel does that.
fn refuses(way: &Way, is_tcp: bool) -> Option<(Place, Sender)> {
    let place = way.place().filter(|_| is_tcp)?;
    let to = way.destination.ip();
    let family = if to.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
    let is_own = addresses(place, family).iter().any(|own| own.parse() == Ok(to));
    // Over IPv4 it answers from addresses of its own only.
    let is_answered = is_own || (place == Place::Host && family == Family::Ipv6);
    // Over IPv4 through a socket of its own, over IPv6 through none (Linux 6.18).
    let sender = if family == Family::Ipv4 { Sender::Kernel } else { Sender::Nobody };
    is_answered.then_some((place, sender))
}

/// Who listens where a way ends.
pub(super) fn listener(way: &Way) -> Option<(Place, Sender)> {
    let place = way.place()?;
    let to = way.destination;
    let family = if to.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
    let is_own = addresses(place, family).iter().any(|own| own.parse() == Ok(to.ip()));
    // A loopback address as the source is taken for a forgery elsewhere.
    if place != Place::Host && way.source.ip().is_loopback() {
        return None;
    }
    let user = owner_of(to.port());
    (is_own && PORTS.contains(&to.port())).then_some((place, Sender::Process { user, group: user }))
}
