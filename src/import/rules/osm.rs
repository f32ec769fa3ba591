//! The ladder of Open Service Mesh, read back: see `src/lower/osm`.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::Read;
use super::leaf::{Leaf, Part, Stage, Then};
use super::values::{Ports, Prefixes, add, each, first, redirected, selection, set};
use crate::ir::{Action, Hook};
use crate::net::{Family, Interface};
use crate::policy::osm::{Inbound, LocalMode, Osm, Outbound, Proxy};

/// What the rules say.
pub(super) fn read(leaves: &[Leaf<'_>]) -> Read {
    let mut facts = Facts::default();
    let understood = leaves.iter().map(|leaf| facts.add(leaf)).collect();
    if facts.captured.is_empty() {
        // Nothing is captured but what is excluded.
        facts.captured = facts.excluded.clone();
    }
    let default = Osm::default();
    let localhost = IpNet::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let kind = Osm {
        proxy: Proxy {
            user: first(&facts.users, default.proxy.user),
            inbound_port: first(&facts.inbound_ports, default.proxy.inbound_port),
            outbound_port: first(&facts.outbound_ports, default.proxy.outbound_port),
            local_mode: facts
                .pod
                .map_or(default.proxy.local_mode, |pod| set(LocalMode::PodIp(pod))),
        },
        inbound: Inbound {
            exclude_ports: set(facts.inbound_excluded.without(Osm::OWN_PORTS).list()),
        },
        outbound: Outbound {
            capture_to: selection(
                facts.captured.list().contains(&Family::Ipv4.everywhere()),
                ipv4(&facts.captured),
            ),
            exclude_to: set(ipv4(&facts.excluded.without(&[localhost]))),
            exclude_ports: set(facts.outbound_excluded.list()),
        },
        exclude_interfaces: set(facts.interfaces),
    };
    let kinds = if leaves.is_empty() { Vec::new() } else { vec![kind.into()] };
    Read { kinds, understood }
}

fn ipv4(prefixes: &Prefixes) -> Vec<Ipv4Net> {
    let ipv4 = |net| if let IpNet::V4(net) = net { Some(net) } else { None };
    prefixes.list().into_iter().filter_map(ipv4).collect()
}

#[derive(Default)]
struct Facts {
    users: Vec<u32>,
    inbound_ports: Vec<u16>,
    outbound_ports: Vec<u16>,
    pod: Option<Ipv4Addr>,
    inbound_excluded: Ports,
    outbound_excluded: Ports,
    captured: Prefixes,
    excluded: Prefixes,
    interfaces: Vec<Interface>,
}

impl Facts {
    fn add(&mut self, leaf: &Leaf<'_>) -> bool {
        if leaf.stage() != Stage::Nat {
            return false;
        }
        let when = &leaf.when;
        match (leaf.base.hook, leaf.then, &when.parts()[..]) {
            (Hook::Prerouting, Then::Leaves, [Part::Port]) => {
                self.inbound_excluded.add(&when.ports(Part::Port));
            }
            (Hook::Prerouting, Then::Leaves, [Part::In]) => {
                add(&mut self.interfaces, when.interfaces(Part::In));
            }
            (Hook::Output, Then::Leaves, [Part::Port]) => {
                self.outbound_excluded.add(&when.ports(Part::Port));
            }
            (Hook::Output, Then::Leaves, [Part::User]) => {
                self.users.extend(each(when.ids(Part::User)));
            }
            (Hook::Output, Then::Leaves, [Part::Out, Part::NotUser]) => {}
            (Hook::Output, Then::Leaves, [Part::Out]) => {
                // The interfaces of both directions are the same, and loopback has a rung of its own.
                let names =
                    when.interfaces(Part::Out).iter().filter(|name| **name != Interface::lo());
                add(&mut self.interfaces, &names.cloned().collect::<Vec<_>>());
            }
            // All else, behind what is captured.
            (Hook::Output, Then::Leaves, []) if !self.captured.is_empty() => {}
            (Hook::Output, Then::Leaves, [Part::To] | []) => {
                self.excluded.add_of(leaf, Part::To);
            }
            (
                Hook::Output,
                Then::Does(Action::Dnat { to: IpAddr::V4(to), port: None }),
                [Part::To, Part::Out, Part::User],
            ) => self.pod = Some(*to),
            (hook, then, parts) => {
                let Some(port) = redirected(then) else { return false };
                match (hook, parts) {
                    (Hook::Prerouting, [])
                    | (Hook::Output, [Part::NotTo, Part::Out, Part::User]) => {
                        self.inbound_ports.push(port);
                    }
                    (Hook::Output, [Part::To] | []) => {
                        self.captured.add_of(leaf, Part::To);
                        self.outbound_ports.push(port);
                    }
                    _ => return false,
                }
            }
        }
        true
    }
}
