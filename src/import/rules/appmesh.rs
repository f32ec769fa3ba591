//! App Mesh's ladder, read back: see `src/lower/appmesh`.

use super::Read;
use super::leaf::{Leaf, Part, Stage, Then};
use super::values::{Ports, Prefixes, each, families, first, redirected, set};
use crate::ir::Hook;
use crate::policy::appmesh::{AppMesh, Inbound, Outbound, Proxy};

/// What the rules say.
pub(super) fn read(leaves: &[Leaf<'_>]) -> Read {
    let mut facts = Facts::default();
    let understood = leaves.iter().map(|leaf| facts.add(leaf)).collect();
    let default = AppMesh::default();
    let ssh = AppMesh::SSH.first();
    let kind = families(leaves).map(|families| AppMesh {
        families: set(families),
        proxy: Proxy {
            user: set(facts.users.first().copied()),
            group: set(facts.groups.first().copied()),
            inbound_port: first(&facts.inbound_ports, default.proxy.inbound_port),
            outbound_port: first(&facts.outbound_ports, default.proxy.outbound_port),
        },
        inbound: Inbound { capture_ports: set(facts.captured.list()) },
        outbound: Outbound {
            exclude_ports: set(facts.excluded.without([ssh]).list()),
            exclude_to: set(facts.destinations.list()),
        },
    });
    Read { kinds: kind.into_iter().map(Into::into).collect(), understood }
}

#[derive(Default)]
struct Facts {
    users: Vec<u32>,
    groups: Vec<u32>,
    inbound_ports: Vec<u16>,
    outbound_ports: Vec<u16>,
    captured: Ports,
    excluded: Ports,
    destinations: Prefixes,
}

impl Facts {
    fn add(&mut self, leaf: &Leaf<'_>) -> bool {
        if leaf.stage() != Stage::Nat {
            return false;
        }
        let when = &leaf.when;
        match (leaf.base.hook, leaf.then, &when.parts()[..]) {
            (Hook::Output, Then::Leaves, [Part::User, Part::ToElsewhere]) => {
                self.users.extend(each(when.ids(Part::User)));
            }
            (Hook::Output, Then::Leaves, [Part::Group, Part::ToElsewhere]) => {
                self.groups.extend(each(when.ids(Part::Group)));
            }
            (Hook::Output, Then::Leaves, [Part::Port, Part::ToElsewhere]) => {
                self.excluded.add(&when.ports(Part::Port));
            }
            (Hook::Output, Then::Leaves, [Part::To, Part::ToElsewhere] | [Part::ToElsewhere]) => {
                self.destinations.add_of(leaf, Part::To);
            }
            (hook, then, parts) => {
                let Some(port) = redirected(then) else { return false };
                match (hook, parts) {
                    (Hook::Prerouting, [Part::Port, Part::FromElsewhere]) => {
                        self.captured.add(&when.ports(Part::Port));
                        self.inbound_ports.push(port);
                    }
                    (Hook::Output, [Part::ToElsewhere]) => self.outbound_ports.push(port),
                    _ => return false,
                }
            }
        }
        true
    }
}
