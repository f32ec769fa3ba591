//! Consul's ladder, read back: see `src/lower/consul`.

use super::Read;
use super::leaf::{Leaf, Part, Stage, Then};
use super::values::{Ports, Prefixes, add, families, first, redirected, set};
use crate::ir::{Action, Hook};
use crate::policy::consul::{Consul, Dns, Inbound, Outbound, Proxy, UserRange};

/// What the rules say.
pub(super) fn read(leaves: &[Leaf<'_>]) -> Read {
    let mut facts = Facts::default();
    let understood = leaves.iter().map(|leaf| facts.add(leaf)).collect();
    let kind = families(leaves).map(|families| {
        let default = Consul::default();
        let loopback = families.iter().map(|family| family.loopback().into());
        // All of them go where they want to, and the proxy's is the last to be asked for, if it is not one
        // of a range.
        let user = match facts.users.iter().rposition(|(first, last)| first == last) {
            Some(at) => set(facts.users.remove(at).0),
            None => facts.users.last().map_or(default.proxy.user, |(first, _)| set(*first)),
        };
        let ranges = facts.users.iter().filter_map(|(first, last)| UserRange::new(*first, *last));
        Consul {
            families: set(families),
            proxy: Proxy {
                user,
                inbound_port: first(&facts.inbound_ports, default.proxy.inbound_port),
                outbound_port: first(&facts.outbound_ports, default.proxy.outbound_port),
            },
            dns: set(facts.dns),
            inbound: Inbound { exclude_ports: set(facts.inbound_excluded.list()) },
            outbound: Outbound {
                exclude_ports: set(facts.outbound_excluded.list()),
                exclude_to: set(facts.destinations.without(&loopback.collect::<Vec<_>>()).list()),
                exclude_users: set(ranges.collect()),
            },
        }
    });
    Read { kinds: kind.into_iter().map(Into::into).collect(), understood }
}

#[derive(Default)]
struct Facts {
    inbound_ports: Vec<u16>,
    outbound_ports: Vec<u16>,
    inbound_excluded: Ports,
    outbound_excluded: Ports,
    destinations: Prefixes,
    users: Vec<(u32, u32)>,
    dns: Option<Dns>,
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
            (Hook::Output, Then::Leaves, [Part::Port]) => {
                self.outbound_excluded.add(&when.ports(Part::Port));
            }
            (Hook::Output, Then::Leaves, [Part::To] | []) => {
                self.destinations.add_of(leaf, Part::To);
            }
            (Hook::Output, Then::Leaves, [Part::User]) => {
                add(&mut self.users, when.ids(Part::User));
            }
            (
                Hook::Output,
                Then::Does(Action::Dnat { to, port }),
                [Part::Port] | [Part::Port, Part::To],
            ) => self.dns = Some(Dns { to: *to, port: *port }),
            (hook, then, []) => match (hook, redirected(then)) {
                (Hook::Prerouting, Some(port)) => self.inbound_ports.push(port),
                (Hook::Output, Some(port)) => self.outbound_ports.push(port),
                _ => return false,
            },
            _ => return false,
        }
        true
    }
}
