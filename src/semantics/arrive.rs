//! Packets that really get to where two rulesets differ.

use std::net::IpAddr;

use super::{Decided, Difference, End, Host, Packet, Sender, follow};
use crate::ir::{Hook, Ruleset};
use crate::net::Interface;

/// Whether a packet gets to where two rulesets treat it differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It begins its way there.
    Begins,
    /// It gets there from where this one begins, by both rulesets.
    From(Box<Packet>),
    /// None was found that does. That is certain where packets begin their way; behind that, only
    /// the likely ones were tried.
    NotFound,
}

/// Where packets that both rulesets take to the hook of `difference`, and that they treat differently
/// there, begin their way. `hosts` are the two sides' own.
#[must_use]
pub fn reached(rulesets: [&Ruleset; 2], hosts: [&Host; 2], difference: &Difference) -> Reached {
    let packet = &difference.packet;
    let is_looped = packet.input.as_deref() == Some(Interface::lo().stem());
    let begins = match packet.hook {
        Hook::Output => true,
        Hook::Prerouting => !is_looped,
        Hook::Input | Hook::Forward | Hook::Postrouting => false,
    };
    if begins {
        return if packet.check().is_ok() { Reached::Begins } else { Reached::NotFound };
    }
    let found = beginnings(packet, is_looped)
        .into_iter()
        .filter(|beginning| beginning.check().is_ok())
        .find(|beginning| differs_there(rulesets, hosts, beginning, packet.hook));
    found.map_or(Reached::NotFound, |found| Reached::From(Box::new(found)))
}

/// Whether both rulesets take the packet to `hook` alike, and treat it differently there.
fn differs_there(rulesets: [&Ruleset; 2], hosts: [&Host; 2], packet: &Packet, hook: Hook) -> bool {
    let [left, right] = [0, 1].map(|side| follow(rulesets[side], packet, hosts[side]));
    let (Ok(left), Ok(right)) = (left, right) else { return false };
    left.legs.iter().zip(&right.legs).any(|(left, right)| {
        left.packet.hook == hook
            && left.packet == right.packet
            && left.run.outcome != right.run.outcome
    })
}

/// Packets that may come to a later hook as `packet`.
fn beginnings(packet: &Packet, is_looped: bool) -> Vec<Packet> {
    let is_sent = is_looped || packet.hook == Hook::Postrouting && packet.input.is_none();
    let hook = if is_sent { Hook::Output } else { Hook::Prerouting };
    let usual = |address: IpAddr| match address {
        IpAddr::V4(_) => [10, 96, 0, 1].into(),
        IpAddr::V6(_) => IpAddr::from([0xfd00, 0x96, 0, 0, 0, 0, 0, 1]),
    };
    let mut destinations = vec![(packet.destination, packet.destination_port)];
    // Where a redirect led here.
    for port in [443, 80, 8080, 53] {
        destinations.push((usual(packet.destination), port));
        destinations.push((packet.destination, port));
    }
    let mut all = Vec::new();
    for mark in [packet.mark, 0] {
        for (destination, port) in &destinations {
            let mut beginning = Packet {
                hook,
                destination: *destination,
                destination_port: if packet.protocol.is_some() { *port } else { 0 },
                input: if is_sent { None } else { packet.input.clone() },
                output: is_sent.then(|| packet.output.clone().unwrap_or_else(usual_interface)),
                mark,
                interface_address: *destination,
                ..packet.clone()
            };
            beginning.sender = match (is_sent, packet.sender) {
                (true, Sender::Nobody) if is_looped => Sender::Process { user: 1000, group: 1000 },
                (true, sender) => sender,
                (false, _) => Sender::Nobody,
            };
            beginning.local = Packet::usual_locals(hook, packet.source, *destination);
            if packet.hook == Hook::Forward || packet.hook == Hook::Postrouting && !is_sent {
                beginning.local.clear();
            }
            if is_sent && beginning.local.contains(&End::Destination) {
                beginning.output = Some(Interface::lo().to_string());
            }
            let input = beginning.input.as_deref();
            beginning.translation = Decided::usual(hook, input, beginning.state);
            all.push(beginning);
        }
    }
    all
}

fn usual_interface() -> String {
    "eth0".to_owned()
}
