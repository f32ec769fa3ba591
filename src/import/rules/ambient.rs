//! Istio's ladders of ambient pods and of ambient hosts, read back: see `src/lower/istio`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Read;
use super::leaf::{Leaf, Part, Stage, Then};
use super::values::{add, address, families, first, is_udp, over_lo, redirected, set};
use crate::ir::{Action, Hook, MaskPair};
use crate::net::{Interface, Mark, Name, PerFamily};
use crate::policy::{AmbientHost, AmbientPod, AmbientProxy, HostProbe, ProbeOwner};

/// What the rules of a pod say.
pub(super) fn read_pod(leaves: &[Leaf<'_>]) -> Read {
    let mut facts = Pod::default();
    let understood = leaves.iter().map(|leaf| facts.add(leaf)).collect();
    let default = AmbientPod::default();
    let kind = families(leaves).map(|families| AmbientPod {
        families: set(families),
        proxy: AmbientProxy {
            mark: first(&facts.marks, default.proxy.mark),
            connmark: first(&facts.connmarks, default.proxy.connmark),
            outbound_port: first(&facts.outbound_ports, default.proxy.outbound_port),
            inbound_port: first(&facts.inbound_ports, default.proxy.inbound_port),
            tunnel_port: first(&facts.tunnel_ports, default.proxy.tunnel_port),
        },
        probe_from: set(of_both(facts.probe, *default.probe_from)),
        dns: set(facts.dns_ports.first().copied()),
        capture_inbound: set(!facts.inbound_ports.is_empty()),
        reroute: set(facts.reroute),
        route: default.route,
    });
    Read { kinds: kind.into_iter().map(Into::into).collect(), understood }
}

/// An address of each family.
type Addresses = (Option<Ipv4Addr>, Option<Ipv6Addr>);

fn note(addresses: &mut Addresses, address: IpAddr) {
    match address {
        IpAddr::V4(address) => addresses.0 = Some(address),
        IpAddr::V6(address) => addresses.1 = Some(address),
    }
}

/// What was read, and of what was not, the default.
fn of_both(
    (ipv4, ipv6): Addresses,
    default: PerFamily<Ipv4Addr, Ipv6Addr>,
) -> PerFamily<Ipv4Addr, Ipv6Addr> {
    PerFamily { ipv4: ipv4.unwrap_or(default.ipv4), ipv6: ipv6.unwrap_or(default.ipv6) }
}

#[derive(Default)]
struct Pod {
    marks: Vec<Mark>,
    connmarks: Vec<Mark>,
    outbound_ports: Vec<u16>,
    inbound_ports: Vec<u16>,
    tunnel_ports: Vec<u16>,
    dns_ports: Vec<u16>,
    probe: Addresses,
    reroute: Vec<Interface>,
}

impl Pod {
    fn add(&mut self, leaf: &Leaf<'_>) -> bool {
        let when = &leaf.when;
        let marked = when.mark(Part::NotMark);
        match (leaf.stage(), leaf.base.hook, leaf.then, &when.parts()[..]) {
            (
                Stage::Mangle,
                Hook::Prerouting,
                Then::Does(Action::SetConnmark(change)),
                [Part::Mark],
            ) => {
                self.marks.extend(when.mark(Part::Mark));
                self.connmarks.extend(Mark::new(change.flip, change.clear));
            }
            (
                Stage::Mangle,
                Hook::Output,
                Then::Does(Action::RestoreMark(MaskPair::FULL)),
                [Part::Connmark],
            ) => self.connmarks.extend(when.mark(Part::Connmark)),
            (Stage::Nat, Hook::Prerouting, Then::Leaves, [Part::In]) => {
                add(&mut self.reroute, when.interfaces(Part::In));
            }
            (Stage::Nat, Hook::Prerouting, Then::Leaves, [Part::From]) => {
                let Some(net) = address(leaf, Part::From) else { return false };
                note(&mut self.probe, net.addr());
            }
            (Stage::Nat, Hook::Output, Then::Leaves, [Part::To]) => {
                let Some(net) = address(leaf, Part::To) else { return false };
                note(&mut self.probe, net.addr());
            }
            (Stage::Nat, Hook::Output, Then::Leaves, [Part::Mark]) => {
                self.connmarks.extend(when.mark(Part::Mark));
            }
            (Stage::Nat, Hook::Output, Then::Leaves, [Part::NotTo, Part::Out]) => {
                return over_lo(leaf, Part::Out);
            }
            (
                Stage::Raw,
                Hook::Output,
                Then::Does(Action::SetZone(1)),
                [Part::Port, Part::Mark],
            )
            | (
                Stage::Raw,
                Hook::Prerouting,
                Then::Does(Action::SetZone(1)),
                [Part::SourcePort, Part::NotMark],
            ) => return is_udp(leaf),
            (Stage::Nat, hook, then, parts) => {
                let Some(port) = redirected(then) else { return false };
                match (hook, parts) {
                    (Hook::Prerouting, [Part::In]) => {
                        add(&mut self.reroute, when.interfaces(Part::In));
                        self.outbound_ports.push(port);
                    }
                    (Hook::Prerouting, [Part::NotPort, Part::NotTo, Part::NotMark]) => {
                        let tunnel = when.ports(Part::NotPort);
                        self.tunnel_ports.extend(tunnel.ranges().iter().map(|range| range.first()));
                        self.inbound_ports.push(port);
                        self.marks.extend(marked);
                    }
                    (Hook::Output, [Part::Port, Part::NotOut | Part::NotTo, Part::NotMark]) => {
                        self.dns_ports.push(port);
                        self.marks.extend(marked);
                    }
                    (Hook::Output, [Part::NotTo, Part::NotMark]) => {
                        self.outbound_ports.push(port);
                        self.marks.extend(marked);
                    }
                    _ => return false,
                }
            }
            _ => return false,
        }
        true
    }
}

/// What the rules of a host say.
pub(super) fn read_host(leaves: &[Leaf<'_>]) -> Read {
    let mut facts = Host::default();
    let understood = leaves.iter().map(|leaf| facts.add(leaf)).collect();
    let default = AmbientHost::default();
    let kind = families(leaves).map(|families| AmbientHost {
        families: set(families),
        probe: HostProbe {
            from: set(of_both(facts.from, *default.probe.from)),
            owner: first(&facts.owners, default.probe.owner),
            pods: facts.pods.into_iter().next().map_or(default.probe.pods, set),
        },
    });
    Read { kinds: kind.into_iter().map(Into::into).collect(), understood }
}

#[derive(Default)]
struct Host {
    from: Addresses,
    owners: Vec<ProbeOwner>,
    pods: Vec<Name>,
}

impl Host {
    fn add(&mut self, leaf: &Leaf<'_>) -> bool {
        let when = &leaf.when;
        let (Hook::Postrouting, Then::Does(Action::Snat { to })) = (leaf.base.hook, leaf.then)
        else {
            return false;
        };
        let owner = match (&when.parts()[..], when.ids(Part::User)) {
            ([Part::InSet, Part::Socket], _) => ProbeOwner::Any,
            ([Part::User, Part::InSet], [(user, last)]) if user == last => ProbeOwner::User(*user),
            _ => return false,
        };
        let suffix = if to.is_ipv4() { "-v4" } else { "-v6" };
        let pods = when.set().and_then(|set| set.as_str().strip_suffix(suffix));
        let Some(pods) = pods.and_then(|pods| Name::new(pods).ok()) else { return false };
        note(&mut self.from, *to);
        self.owners.push(owner);
        self.pods.push(pods);
        true
    }
}
