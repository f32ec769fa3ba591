//! One packet out of many, as natural as they allow.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::diagram::Function;
use super::field::Field;
use super::space::{BECOMES, KERNEL, NOBODY, NOTHING, PROCESS, Space, UNCHANGED, number};
use super::text::{DEFAULT_ID, DEFAULT_SOURCE_PORT};
use super::{Decided, Packet, Sender};
use crate::ir::{CtState, Direction, Hook, Protocol};
use crate::net::Family;

/// A packet of `packets`, which are some. Common values are tried first: TCP, well-known ports,
/// private addresses, no marks; where none fits, the lowest.
///
/// It is one that can really be at the hook, if there is such a one.
pub(super) fn packet(space: &mut Space, packets: Function) -> Packet {
    let possible = space.possible();
    let possible = space.diagrams.and(packets, possible);
    let packets = if possible == Function::FALSE { packets } else { possible };
    let mut choice = Choice { space, packets };
    let protocol = choice.place(choice.space.protocol);
    let protocol = choice.space.protocols[protocol];
    // New first: it is what translations see.
    let new = CtState::ALL.iter().position(|state| *state == CtState::New).unwrap_or_default();
    let state = choice.pick(choice.space.state, &[new as u128]);
    let state = usize::try_from(state).map_or(CtState::New, |place| CtState::ALL[place]);
    // Packets are asked for by what is usual of them.
    let usual = match Decided::usual(choice.space.hook, None, state) {
        Decided::Nothing => NOTHING,
        Decided::Unchanged | Decided::Becomes(..) => UNCHANGED,
    };
    let decided = choice.pick(choice.space.decided, &[usual, UNCHANGED]);
    let senders = match choice.space.hook {
        Hook::Output | Hook::Postrouting => [PROCESS, NOBODY, KERNEL],
        Hook::Prerouting | Hook::Input | Hook::Forward => [NOBODY, PROCESS, KERNEL],
    };
    let sender = choice.pick(choice.space.sender, &senders);
    let input = choice.interface(choice.space.input);
    let output = choice.interface(choice.space.output);
    let (source_port, destination_port) = choice.ports(protocol);
    let is_looped = [&input, &output].into_iter().any(|name| name.as_deref() == Some("lo"));
    let source = choice.address(Direction::Source, is_looped);
    let destination = choice.address(Direction::Destination, is_looped);
    let usual_locals = Packet::usual_locals(choice.space.hook, source, destination);
    let ids = [u128::from(DEFAULT_ID)];
    let user = narrow(choice.pick(choice.space.user, &ids));
    let group = narrow(choice.pick(choice.space.group, &ids));
    let mark = narrow(choice.pick(choice.space.mark, &[0]));
    let connmark = narrow(choice.pick(choice.space.connmark, &[0]));
    let wish = if decided == BECOMES {
        number(choice.space.family.loopback())
    } else {
        number(destination)
    };
    let translated = choice.pick(choice.space.translated, &[wish]);
    let translated = address(choice.space.family, translated);
    let translated_port = choice.pick(choice.space.translated_port, &[DECIDED_PORT.into()]);
    let translated_port = u16::try_from(translated_port).unwrap_or_default();
    let listeners = choice.space.listeners.clone();
    let sets = choice.space.sets.clone();
    let local = choice.space.local;
    let holds = choice.space.holds.clone();
    // A host's rules ask very many questions, and few of them of one packet.
    let asked = choice.space.diagrams.variables(choice.packets);
    Packet {
        hook: choice.space.hook,
        protocol,
        source,
        destination,
        source_port,
        destination_port,
        input,
        output,
        sender: match sender {
            PROCESS => Sender::Process { user, group },
            KERNEL => Sender::Kernel,
            _ => Sender::Nobody,
        },
        mark,
        connmark,
        state,
        translation: match decided {
            NOTHING => Decided::Nothing,
            BECOMES => Decided::Becomes(translated, translated_port),
            _ => Decided::Unchanged,
        },
        interface_address: if decided == BECOMES { destination } else { translated },
        translated_port: if decided == BECOMES { DECIDED_PORT } else { translated_port },
        no_listener: listeners
            .into_iter()
            .filter(|(_, variable)| !choice.is_set(*variable, true))
            .map(|(port, _)| port)
            .collect(),
        sets: sets
            .into_iter()
            .filter(|(_, variable)| choice.is_set(*variable, false))
            .map(|(set, _)| set)
            .collect(),
        local: local
            .into_iter()
            .filter(|(end, variable)| choice.is_set(*variable, usual_locals.contains(end)))
            .map(|(end, _)| end)
            .collect(),
        transparent_socket: choice.is_set(choice.space.transparent_socket, false),
        holds: holds
            .into_iter()
            .filter(|(holds, variable)| {
                let is_usual = holds.condition.is_usual;
                if asked.contains(variable) { choice.is_set(*variable, is_usual) } else { is_usual }
            })
            .map(|(holds, _)| holds)
            .collect(),
    }
}

/// The port to which a connection is translated if any will do.
pub(crate) const DECIDED_PORT: u16 = 15001;

/// The packets that are left after the choices so far. There is always one.
struct Choice<'a> {
    space: &'a mut Space,
    packets: Function,
}

impl Choice<'_> {
    /// The first of `wishes` that a packet has in `field`, or else the lowest number.
    fn pick(&mut self, field: Field, wishes: &[u128]) -> u128 {
        for wish in wishes {
            if self.take(field, *wish) {
                return *wish;
            }
        }
        let lowest = self.lowest(field);
        self.take(field, lowest);
        lowest
    }

    /// Keeps the packets that have `value` in `field`, if there are any.
    fn take(&mut self, field: Field, value: u128) -> bool {
        let with = self.space.around(field, value);
        let left = self.space.diagrams.and(self.packets, with);
        if left == Function::FALSE {
            return false;
        }
        self.packets = left;
        true
    }

    fn lowest(&mut self, field: Field) -> u128 {
        lowest(self.space, field, self.packets)
    }

    /// Whether a variable is true, which it is as wished if both can be.
    fn is_set(&mut self, variable: u32, wish: bool) -> bool {
        let one = self.space.diagrams.variable(variable);
        let wished = self.space.diagrams.and(self.packets, one.negated_if(!wish));
        if wished == Function::FALSE {
            return !wish;
        }
        self.packets = wished;
        wish
    }

    fn place(&mut self, field: Field) -> usize {
        usize::try_from(self.pick(field, &[])).unwrap_or_default()
    }

    fn interface(&mut self, field: Field) -> Option<String> {
        let place = self.place(field);
        (place != 0).then(|| self.space.interfaces.names()[place].clone())
    }

    /// Source and destination port.
    fn ports(&mut self, protocol: Option<Protocol>) -> (u16, u16) {
        let (source, destination) = match (protocol, self.space.hook) {
            (None | Some(Protocol::Other(_)), _) => (0, [0, 0, 0]),
            (Some(Protocol::Udp), _) => (DEFAULT_SOURCE_PORT, [53, 443, 80]),
            (_, Hook::Prerouting | Hook::Input) => (DEFAULT_SOURCE_PORT, [8080, 80, 443]),
            _ => (DEFAULT_SOURCE_PORT, [443, 80, 8080]),
        };
        let destination = self.pick(self.space.destination_port, &destination);
        let source = self.pick(self.space.source_port, &[u128::from(source)]);
        let port = |number| u16::try_from(number).unwrap_or_default();
        (port(source), port(destination))
    }

    fn address(&mut self, of: Direction, is_looped: bool) -> IpAddr {
        let incoming = matches!(self.space.hook, Hook::Prerouting | Hook::Input);
        let ours = (Ipv4Addr::new(10, 0, 0, 7), "fd00::7");
        let theirs = if incoming {
            (Ipv4Addr::new(10, 0, 0, 9), "fd00::9")
        } else {
            (Ipv4Addr::new(10, 96, 0, 1), "fd00:96::1")
        };
        let is_ours = is_looped || incoming == matches!(of, Direction::Destination);
        let (v4, v6) = if is_ours { ours } else { theirs };
        let wish = match self.space.family {
            Family::Ipv4 => IpAddr::V4(v4),
            Family::Ipv6 => IpAddr::V6(v6.parse().unwrap_or(Ipv6Addr::LOCALHOST)),
        };
        let field = self.space.address(of);
        // The first address of a network is rarely a host's, so the second is wished for.
        let second = self.lowest(field) | 1;
        let number = self.pick(field, &[number(wish), second]);
        address(self.space.family, number)
    }
}

/// The lowest number that one of `packets`, which are some, has in `field`. In classes, it is the lowest of
/// its class.
pub(super) fn lowest(space: &mut Space, field: Field, packets: Function) -> u128 {
    let mut known = Function::TRUE;
    let place = (0..field.bits()).fold(0, |number, bit| {
        let one = space.diagrams.variable(field.variable(bit));
        let zero = space.diagrams.minus(known, one);
        let is_one = !space.diagrams.meet(packets, zero);
        known = if is_one { space.diagrams.and(known, one) } else { zero };
        number << 1 | u128::from(is_one)
    });
    space.classes(field).map_or(place, |classes| classes.start(place))
}

/// The address of a number.
pub(super) fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::from_bits(narrow(number))),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

/// A number of a field of 32 bits.
fn narrow(number: u128) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
