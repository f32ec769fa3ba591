//! The whole way of one packet through the kernel.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::eval::run_in_order;
use super::{Decided, End, Holds, InSet, Limit, Packet, Run, Sender, Translation, Verdict};
use crate::ir::{CtState, Direction, Hook, HostPart, HostStep, Ruleset, Schedule};
use crate::net::{Interface, Mark};

/// What decides beside rules where packets go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Packets with these marks are for this machine, whatever their destination: what `ip rule`
    /// with a `local` route over lo does for transparent proxies.
    pub delivered: Vec<Mark>,
}

impl Host {
    /// A host on which all of `steps` were made.
    #[must_use]
    pub fn with(steps: &[HostStep]) -> Self {
        let delivered = steps.iter().filter_map(|step| match step.adds {
            HostPart::MarkRule { mark, .. } => Some(mark),
            HostPart::Address(_) | HostPart::LocalRoute { .. } => None,
        });
        Self { delivered: delivered.collect() }
    }
}

/// A packet's way: the hooks that it passes, and its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Way<'a> {
    /// The hooks, in order; at least one.
    pub legs: Vec<Leg<'a>>,
    /// Where it ends.
    pub arrival: Arrival,
}

/// A packet at a hook.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Leg<'a> {
    /// The packet as it comes to the hook.
    pub packet: Packet,
    /// What becomes of it there.
    pub run: Run<'a>,
    /// What that supposes about the order of chains that tie: empty if the others lead to the same.
    pub supposes: Vec<String>,
}

/// Where a packet's way ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// At a socket of this machine with this address, if there is one.
    Delivered {
        /// The address.
        address: IpAddr,
        /// The port; 0 for a packet without ports.
        port: u16,
    },
    /// At the transparent proxy on this port.
    Proxy {
        /// The port.
        port: u16,
    },
    /// Out of this machine.
    Sent {
        /// The interface.
        interface: String,
    },
    /// Nowhere: it was dropped at the last hook.
    Dropped,
    /// Where a target sends it that is not followed.
    Taken,
    /// Where a translation leads that does not say where.
    Translated {
        /// The target, as it was written.
        by: Arc<str>,
    },
    /// Nowhere: it came in on a link and is for a loopback address of IPv4. The kernel takes such a
    /// packet only if `route_localnet` is set. One for `::1` is no packet for this machine, and is
    /// forwarded (Linux 6.18).
    Martian {
        /// The address.
        address: IpAddr,
    },
    /// Nowhere that is known: a transparent proxy took it, but no rule of routing delivers its mark.
    Astray {
        /// The port of the proxy.
        port: u16,
        /// The mark.
        mark: u32,
    },
}

/// `at 127.0.0.1:15001`, `out of eth0`.
impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered { address, port: 0 } => write!(f, "at {address}"),
            Self::Delivered { address, port } => {
                write!(f, "at {}", SocketAddr::new(*address, *port))
            }
            Self::Proxy { port } => write!(f, "at the transparent proxy on port {port}"),
            Self::Sent { interface } => write!(f, "out of {interface}"),
            Self::Dropped => f.write_str("nowhere"),
            Self::Taken => f.write_str("where that target sends it"),
            Self::Translated { by } => write!(f, "where `{by}` sends it"),
            Self::Martian { address } => {
                write!(f, "nowhere, unless `route_localnet` is set: from outside to {address}")
            }
            Self::Astray { port, mark } => write!(
                f,
                "at the transparent proxy on port {port}, if routing delivers mark {mark:#x} to \
                 this machine"
            ),
        }
    }
}

/// A packet that cannot exist, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such packet: {0}")]
pub struct Impossible(&'static str);

/// Follows a packet from its hook to where it ends, as the kernel sends it: prerouting, and input
/// or forward and postrouting; output and postrouting, and over loopback prerouting and input.
///
/// Where chains tie, the first order that is possible is followed; a leg says so if another would
/// lead elsewhere.
///
/// # Errors
///
/// If chains tie in too many ways, or it takes too long.
pub fn follow<'a>(ruleset: &'a Ruleset, packet: &Packet, host: &Host) -> Result<Way<'a>, Limit> {
    let mut traveller = Traveller { host, locals: local_addresses(packet), tproxy: None };
    let mut legs: Vec<Leg<'a>> = Vec::new();
    let mut packet = packet.clone();
    loop {
        let (run, supposes) = at(ruleset, &packet)?;
        let next = traveller.next(&packet, &run);
        legs.push(Leg { packet, run, supposes });
        match next {
            Ok(next) => packet = next,
            Err(arrival) => return Ok(Way { legs, arrival }),
        }
    }
}

/// What becomes of the packet at its hook, and what that supposes.
fn at<'a>(ruleset: &'a Ruleset, packet: &Packet) -> Result<(Run<'a>, Vec<String>), Limit> {
    let schedules = ruleset.schedules(packet.hook, packet.family())?;
    let of = |schedule: &Schedule<'a>| {
        let mut run = run_in_order(ruleset, packet, schedule);
        run.cut.take().map_or(Ok(run), Err)
    };
    let first = of(&schedules[0])?;
    let mut differs = false;
    for other in &schedules[1..] {
        differs |= of(other)?.outcome != first.outcome;
    }
    let supposes = if differs { schedules[0].supposes.clone() } else { Vec::new() };
    Ok((first, supposes))
}

/// The addresses of this machine, as far as the packet tells.
fn local_addresses(packet: &Packet) -> BTreeSet<IpAddr> {
    let translated = match packet.translation {
        Decided::Becomes(address, _) => address,
        Decided::Nothing | Decided::Unchanged => packet.interface_address,
    };
    let mut locals = BTreeSet::from([packet.family().loopback()]);
    for (end, address) in [
        (End::Source, packet.source),
        (End::Destination, packet.destination),
        (End::Translated, translated),
    ] {
        if packet.local.contains(&end) {
            locals.insert(address);
        }
    }
    locals
}

/// What stays the same on the way.
struct Traveller<'a> {
    host: &'a Host,
    locals: BTreeSet<IpAddr>,
    /// The port of the transparent proxy that took the packet.
    tproxy: Option<u16>,
}

impl Traveller<'_> {
    /// The packet at the next hook, or where its way ends.
    fn next(&mut self, packet: &Packet, run: &Run<'_>) -> Result<Packet, Arrival> {
        match run.outcome.verdict {
            Verdict::Accept => {}
            Verdict::Drop => return Err(Arrival::Dropped),
            Verdict::Taken => return Err(Arrival::Taken),
        }
        let mut next = Self::carried(packet, run);
        let is_destination = matches!(packet.hook, Hook::Prerouting | Hook::Output);
        match &run.outcome.translation {
            Some(Translation::Opaque { text, to_this_machine: false }) if is_destination => {
                return Err(Arrival::Translated { by: Arc::clone(text) });
            }
            Some(to) if to.is_local() => {
                self.locals.insert(next.destination);
            }
            _ => {}
        }
        match packet.hook {
            Hook::Prerouting => {
                self.tproxy = run.outcome.tproxy;
                let is_astray = !is_from_loopback(packet) && next.destination.is_loopback();
                if is_astray && next.destination.is_ipv4() {
                    return Err(Arrival::Martian { address: next.destination });
                }
                // What came over loopback has its route already.
                let is_delivered = is_from_loopback(packet)
                    || self.is_local(next.destination) && !is_astray
                    || self.delivers(next.mark);
                if let (false, Some(port)) = (is_delivered, self.tproxy) {
                    return Err(Arrival::Astray { port, mark: next.mark });
                }
                next.hook = if is_delivered { Hook::Input } else { Hook::Forward };
                if !is_delivered {
                    next.output = Some(other_interface(packet.input.as_deref()).to_owned());
                }
            }
            Hook::Input => {
                let (address, port) = (next.destination, next.destination_port);
                return Err(match self.tproxy {
                    Some(port) => Arrival::Proxy { port },
                    None => Arrival::Delivered { address, port },
                });
            }
            Hook::Forward => next.hook = Hook::Postrouting,
            Hook::Output => {
                let is_rerouted = run.outcome.routed != packet.mark;
                let is_moved = next.destination != packet.destination;
                let is_looped = packet.output.as_deref() == Some(Interface::lo().stem());
                if self.is_local(next.destination)
                    || is_rerouted && self.delivers(run.outcome.routed)
                {
                    next.output = Some(Interface::lo().to_string());
                } else if is_moved && is_looped && !self.delivers(run.outcome.routed) {
                    next.output = Some(other_interface(None).to_owned());
                }
                next.hook = Hook::Postrouting;
            }
            Hook::Postrouting => {
                let output = next.output.take().unwrap_or_default();
                if output != Interface::lo().stem() {
                    return Err(Arrival::Sent { interface: output });
                }
                next.hook = Hook::Prerouting;
                next.input = Some(output);
                next.sender = Sender::Nobody;
            }
        }
        // Over loopback everything is decided; elsewhere the source of what begins is not yet.
        let is_looped = packet.hook == Hook::Postrouting || is_from_loopback(&next);
        next.translation = match next.state {
            CtState::New | CtState::Related if !is_looped && next.hook.translates().is_some() => {
                Decided::Nothing
            }
            _ => Decided::Unchanged,
        };
        // A source that becomes another one of which nothing is known is taken to stay.
        next.interface_address =
            if next.hook == Hook::Postrouting { next.source } else { next.destination };
        self.say_local(&mut next);
        Ok(next)
    }

    /// The packet as it leaves a hook.
    fn carried(packet: &Packet, run: &Run<'_>) -> Packet {
        let mut next = run.after.clone();
        if let Some((translated, _)) = packet.hook.translates()
            && next.address(translated) != packet.address(translated)
        {
            let end = End::from(translated);
            next.sets.retain(|set| set.end != end);
            let moved: Vec<InSet> = packet
                .sets
                .iter()
                .filter(|set| set.end == End::Translated)
                .map(|set| InSet { end, ..set.clone() })
                .collect();
            next.sets.extend(moved);
        }
        next.sets.retain(|set| set.end != End::Translated);
        if run.outcome.translation.is_some() || matches!(packet.translation, Decided::Becomes(..)) {
            next.holds.retain(|holds| holds.translated || holds.condition.asked_by.is_some());
            let behind = std::mem::take(&mut next.holds).into_iter();
            next.holds = behind.map(|holds| Holds { translated: false, ..holds }).collect();
        } else {
            next.holds.retain(|holds| !holds.translated);
        }
        next
    }

    fn say_local(&self, packet: &mut Packet) {
        packet.local = [Direction::Source, Direction::Destination]
            .into_iter()
            .filter(|of| self.is_local(packet.address(*of)))
            .map(End::from)
            .collect();
    }

    fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.locals.contains(&address)
    }

    fn delivers(&self, mark: u32) -> bool {
        self.host.delivered.iter().any(|delivered| delivered.matches(mark))
    }
}

/// Whether the packet came over loopback.
fn is_from_loopback(packet: &Packet) -> bool {
    packet.input.as_deref() == Some(Interface::lo().stem())
}

/// The interface by which a packet is forwarded, of which nothing is known but that it is usually
/// another.
fn other_interface(input: Option<&str>) -> &'static str {
    if input == Some("eth0") { "eth1" } else { "eth0" }
}

impl Packet {
    /// Which addresses are usually this machine's: the source of what it sends, the destination of
    /// what it receives, loopback, and one that is an end with such a one.
    #[must_use]
    pub fn usual_locals(hook: Hook, source: IpAddr, destination: IpAddr) -> BTreeSet<End> {
        let sends = hook == Hook::Output;
        let receives = matches!(hook, Hook::Prerouting | Hook::Input);
        let is_local = |address: IpAddr| {
            address.is_loopback()
                || sends && address == source
                || receives && address == destination
        };
        let ends = [(End::Source, source), (End::Destination, destination)];
        ends.into_iter().filter(|(_, address)| is_local(*address)).map(|(end, _)| end).collect()
    }

    /// Refuses a packet that cannot exist.
    ///
    /// # Errors
    ///
    /// If there is no such packet, with the reason.
    pub fn check(&self) -> Result<(), Impossible> {
        let is_to_self = self.local.contains(&End::Destination) || self.destination.is_loopback();
        let leaves_over_lo = self.output.as_deref() == Some(Interface::lo().stem());
        let begins = matches!(self.state, CtState::New | CtState::Related);
        let refused = [
            (
                self.hook == Hook::Output && is_to_self && !leaves_over_lo,
                "what is to an address of this machine leaves over lo; write `out lo`",
            ),
            (
                self.hook == Hook::Output && !is_to_self && leaves_over_lo && self.mark == 0,
                "what leaves over lo is to an address of this machine, unless its mark is routed \
                 there; add `to-local`",
            ),
            (
                self.translation == Decided::Nothing && !begins,
                "only in state new or related a connection asks for its translation",
            ),
            (
                matches!(self.translation, Decided::Becomes(..)) && !self.state.has_connection(),
                "a packet without a connection is not translated",
            ),
            (
                self.translation == Decided::Nothing && is_looped_in(self),
                "what comes in over lo was asked for its translation when it was sent",
            ),
        ];
        match refused.into_iter().find(|(is_so, _)| *is_so) {
            Some((_, why)) => Err(Impossible(why)),
            None => Ok(()),
        }
    }
}

/// Whether the packet is at prerouting or input, and came over loopback.
fn is_looped_in(packet: &Packet) -> bool {
    matches!(packet.hook, Hook::Prerouting | Hook::Input) && is_from_loopback(packet)
}
