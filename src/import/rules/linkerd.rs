//! Linkerd's ladder, read back: see `src/lower/linkerd`.

use super::Read;
use super::leaf::{Leaf, Part, Stage, Then};
use super::values::{Ports, Prefixes, each, families, first, over_lo, redirected, selection, set};
use crate::ir::Hook;
use crate::policy::linkerd::{Inbound, Linkerd, Outbound, Proxy};

/// What the rules say.
pub(super) fn read(leaves: &[Leaf<'_>]) -> Read {
    let mut facts = Facts::default();
    let understood = leaves.iter().map(|leaf| facts.add(leaf)).collect();
    let default = Linkerd::default();
    if !facts.captures_all && facts.captured.is_empty() {
        // Nothing is captured but what is excluded.
        facts.captured = facts.inbound_excluded.clone();
    }
    let kind = families(leaves).map(|families| {
        let inbound = Inbound {
            capture_ports: selection(facts.captures_all, facts.captured.list()),
            // Nothing else can be said to be excluded than what is captured.
            exclude_ports: if facts.captures_all {
                facts.inbound_excluded.list_or(&default.inbound.exclude_ports)
            } else {
                set(facts.inbound_excluded.within(&facts.captured))
            },
            exclude_from: set(facts.sources.list()),
        };
        Linkerd {
            families: set(families),
            proxy: Proxy {
                user: set(facts.users.first().copied()),
                group: set(facts.groups.first().copied()),
                inbound_port: first(&facts.inbound_ports, default.proxy.inbound_port),
                outbound_port: first(&facts.outbound_ports, default.proxy.outbound_port),
            },
            inbound,
            outbound: Outbound {
                exclude_ports: facts.outbound_excluded.list_or(&default.outbound.exclude_ports),
            },
        }
    });
    Read { kinds: kind.into_iter().map(Into::into).collect(), understood }
}

#[derive(Default)]
struct Facts {
    captures_all: bool,
    captured: Ports,
    inbound_excluded: Ports,
    sources: Prefixes,
    users: Vec<u32>,
    groups: Vec<u32>,
    inbound_ports: Vec<u16>,
    outbound_ports: Vec<u16>,
    outbound_excluded: Ports,
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
            (Hook::Prerouting, Then::Leaves, [Part::From] | []) => {
                self.sources.add_of(leaf, Part::From);
            }
            (Hook::Output, Then::Leaves, [Part::User]) => {
                self.users.extend(each(when.ids(Part::User)));
            }
            (Hook::Output, Then::Leaves, [Part::Group]) => {
                self.groups.extend(each(when.ids(Part::Group)));
            }
            (Hook::Output, Then::Leaves, [Part::Out]) => return over_lo(leaf, Part::Out),
            (Hook::Output, Then::Leaves, [Part::Port]) => {
                self.outbound_excluded.add(&when.ports(Part::Port));
            }
            (hook, then, parts) => {
                let Some(port) = redirected(then) else { return false };
                match (hook, parts) {
                    (Hook::Prerouting, []) => self.captures_all = true,
                    (Hook::Prerouting, [Part::Port]) => {
                        self.captured.add(&when.ports(Part::Port));
                    }
                    (Hook::Output, []) => {
                        self.outbound_ports.push(port);
                        return true;
                    }
                    _ => return false,
                }
                self.inbound_ports.push(port);
            }
        }
        true
    }
}
