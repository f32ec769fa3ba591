//! What a packet meets on its whole way through the host, by the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use netweir::ir::{CtState, Hook, Ruleset};
use netweir::net::Family;
use netweir::semantics::{Decided, End as PacketEnd, Packet, Run, Sender, Verdict, run};

use super::world::{LINKS, MARK_ALT, MARK_LOCAL, MARK_MASK, Place, Probe, addresses};

/// Before or behind all chains of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    Begin,
    End,
}

/// What can be seen of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) mark: u32,
    /// Empty: none.
    pub(super) input: String,
    /// Empty: none.
    pub(super) output: String,
    /// The mark of its connection and what connection tracking says; looked at behind the chains.
    pub(super) connection: Option<(u32, String)>,
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
pub(super) type Trail = BTreeMap<(Hook, Moment), Seen>;

/// How a way ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At this machine.
    Delivered(SocketAddr),
    /// It left over an interface, for this destination.
    Sent(String, SocketAddr),
    Dropped,
}

/// The way of the first packet of a connection.
pub(super) struct Way {
    pub(super) trail: Trail,
    pub(super) end: End,
    /// The source when it ends.
    pub(super) source: SocketAddr,
}

/// Where packets for `destination` go from the host: an interface, `lo` for itself.
fn route(destination: IpAddr, mark: u32) -> &'static str {
    if is_local(destination) || mark & MARK_MASK == MARK_LOCAL {
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

struct Walk<'a> {
    ruleset: &'a Ruleset,
    trail: Trail,
}

impl Walk<'_> {
    /// Takes `packet` through its hook. `None` if it is dropped.
    fn hook(&mut self, packet: &mut Packet) -> Option<u32> {
        self.note(packet, packet.mark, Moment::Begin);
        packet.local =
            [(PacketEnd::Source, packet.source), (PacketEnd::Destination, packet.destination)]
                .into_iter()
                .filter(|(_, address)| is_local(*address))
                .map(|(end, _)| end)
                .collect();
        let mut passed: Run<'_> = run(self.ruleset, packet);
        // Which address translation leads to is known only now.
        let (end, _) = packet.hook.translates().map_or((None, 0), |(end, at)| (Some(end), at));
        if end.is_some_and(|end| is_local(passed.after.address(end))) {
            packet.local.insert(PacketEnd::Translated);
            passed = run(self.ruleset, packet);
        }
        let Run { outcome, after, .. } = passed;
        if outcome.verdict == Verdict::Drop {
            return None;
        }
        *packet = after;
        self.note(packet, packet.mark, Moment::End);
        Some(outcome.routed)
    }

    fn note(&mut self, packet: &Packet, mark: u32, moment: Moment) {
        let seen = Seen {
            source: SocketAddr::new(packet.source, packet.source_port),
            destination: SocketAddr::new(packet.destination, packet.destination_port),
            mark,
            input: packet.input.clone().unwrap_or_default(),
            output: packet.output.clone().unwrap_or_default(),
            connection: (moment == Moment::End)
                .then(|| (packet.connmark, packet.state.name().to_owned())),
        };
        self.trail.insert((packet.hook, moment), seen);
    }

    fn follow(&mut self, packet: &mut Packet) -> Option<End> {
        let to = |packet: &Packet| SocketAddr::new(packet.destination, packet.destination_port);
        let mut is_looped = false;
        if packet.hook == Hook::Output {
            packet.output = Some(route(packet.destination, packet.mark).to_owned());
            let routed = self.hook(packet)?;
            packet.output = Some(route(packet.destination, routed).to_owned());
            self.leave(packet)?;
            if packet.output.as_deref() != Some("lo") {
                return Some(End::Sent(packet.output.clone()?, to(packet)));
            }
            is_looped = true;
            packet.hook = Hook::Prerouting;
            packet.input = packet.output.take();
            packet.sender = Sender::Nobody;
            packet.translation = Decided::Unchanged;
        }
        self.hook(packet)?;
        // What comes over loopback keeps the route that it was sent by.
        let next = if is_looped { "lo" } else { route(packet.destination, packet.mark) };
        if next == "lo" {
            packet.hook = Hook::Input;
            packet.translation = if is_looped { Decided::Unchanged } else { Decided::Nothing };
            self.hook(packet)?;
            return Some(End::Delivered(to(packet)));
        }
        packet.hook = Hook::Forward;
        packet.translation = Decided::Unchanged;
        packet.output = Some(next.to_owned());
        self.hook(packet)?;
        self.leave(packet)?;
        Some(End::Sent(next.to_owned(), to(packet)))
    }

    fn leave(&mut self, packet: &mut Packet) -> Option<()> {
        packet.hook = Hook::Postrouting;
        packet.translation = Decided::Nothing;
        self.hook(packet).map(|_| ())
    }
}

/// The way of `probe`, from `source_port`.
pub(super) fn follow(ruleset: &Ruleset, probe: &Probe, source_port: u16) -> Way {
    let input = match probe.from {
        Place::Host => None,
        Place::Client => Some("toc"),
        Place::Server if is_on_link(probe.source, 3) => Some("alt"),
        Place::Server => Some("tos"),
    };
    let mut packet = Packet {
        hook: if input.is_some() { Hook::Prerouting } else { Hook::Output },
        protocol: Some(probe.protocol),
        source: probe.source,
        destination: probe.destination,
        source_port,
        destination_port: probe.port,
        input: input.map(str::to_owned),
        output: None,
        sender: match input {
            None => Sender::Process { user: probe.user, group: probe.group },
            Some(_) => Sender::Nobody,
        },
        mark: probe.mark,
        connmark: 0,
        state: CtState::New,
        translation: Decided::Nothing,
        interface_address: address_of(input.unwrap_or_default(), probe.family()),
        no_listener: BTreeSet::new(),
        sets: BTreeSet::new(),
        local: BTreeSet::new(),
        transparent_socket: false,
    };
    let mut walk = Walk { ruleset, trail: Trail::new() };
    let end = walk.follow(&mut packet).unwrap_or(End::Dropped);
    let source = SocketAddr::new(packet.source, packet.source_port);
    Way { trail: walk.trail, end, source }
}
