//! Kuma's ladder, read back: see `src/lower/kuma`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Read;
use super::leaf::{Leaf, Part, Stage, Then};
use super::values::{
    Ports, Prefixes, add, address, addresses, each, families, first, is_udp, over_lo, redirected,
    selection, set,
};
use crate::ir::{Action, CtState, CtStates, Hook, Match, Protocol};
use crate::net::{Families, Family, Interface, PortRange, PortSet};
use crate::policy::kuma::{Dns, Inbound, Kuma, Outbound, Proxy, UserExclusion, VirtualNetwork};
use crate::policy::{Selection, Setting, Transport};

/// Where DNS servers listen.
const DNS: u16 = 53;

/// The chains of what leaves, and of what comes.
const OUTBOUND: &str = "kuma-mesh-outbound";
const INBOUND: &str = "kuma-mesh-inbound";

/// What the rules say.
pub(super) fn read(leaves: &[Leaf<'_>]) -> Read {
    let mut facts = Facts::default();
    let understood = leaves.iter().map(|leaf| facts.add(leaf)).collect();
    let kind = families(leaves).map(|families| facts.policy(families));
    Read { kinds: kind.into_iter().map(Into::into).collect(), understood }
}

/// Ports of one protocol that are left alone for some users.
struct Exclusion {
    protocol: Protocol,
    ports: PortSet,
    users: Option<(u32, u32)>,
}

#[derive(Default)]
struct Facts {
    users: Vec<u32>,
    inbound_ports: Vec<u16>,
    outbound_ports: Vec<u16>,
    dns_ports: Vec<u16>,
    inbound: Direction,
    /// What no source is outside of, of each family in which nothing is captured.
    everywhere: Vec<IpNet>,
    outbound: Direction,
    sources: Prefixes,
    destinations: Prefixes,
    exclusions: Vec<Exclusion>,
    interfaces: Vec<(Interface, Family)>,
    networks: Vec<VirtualNetwork>,
    drops_invalid: bool,
    /// Whether queries to every server are captured.
    has_every_server: bool,
    servers: Vec<IpAddr>,
    /// Servers in the order in which they are put into a zone: those behind one see what it has done.
    zone_servers: Vec<IpAddr>,
    /// Families in which TCP queries are left alone.
    tcp_queries_left: BTreeSet<Family>,
    /// Families in which connections to every captured port are taken by now.
    taken: BTreeSet<Family>,
    splits_zones: bool,
    docker: BTreeSet<Family>,
}

/// The servers that a rule names.
fn servers(leaf: &Leaf<'_>) -> Vec<IpAddr> {
    let nets = leaf.when.nets(Part::To).into_iter().flatten();
    nets.flat_map(addresses).collect()
}

#[derive(Default)]
struct Direction {
    captures_all: bool,
    captured: Ports,
    excluded: Ports,
}

impl Direction {
    fn captures(&self) -> Setting<Selection<PortRange>> {
        selection(self.captures_all, self.captured.list())
    }

    fn excludes(&self) -> Setting<Vec<PortRange>> {
        set(if self.captures_all { self.excluded.list() } else { Vec::new() })
    }
}

impl Facts {
    fn add(&mut self, leaf: &Leaf<'_>) -> bool {
        match (leaf.stage(), leaf.base.hook) {
            (Stage::Raw, Hook::Output | Hook::Prerouting) => self.zone(leaf),
            (Stage::Mangle, Hook::Prerouting) => {
                let invalid = CtStates::from_iter([CtState::Invalid]);
                let drops = leaf.then == Then::Does(&Action::Drop)
                    && leaf.when.parts() == [Part::State]
                    && leaf.when.state() == Some(&Match::CtState { states: invalid, not: false });
                self.drops_invalid |= drops;
                drops
            }
            (Stage::Nat, Hook::Prerouting) => self.arriving(leaf),
            (Stage::Nat, Hook::Output) if leaf.is_by(OUTBOUND) => self.leaving(leaf),
            (Stage::Nat, Hook::Output) => self.before(leaf),
            _ => false,
        }
    }

    /// Conntrack zones.
    fn zone(&mut self, leaf: &Leaf<'_>) -> bool {
        let Then::Does(Action::SetZone(zone)) = leaf.then else { return false };
        let is_rung = is_udp(leaf)
            && match (&leaf.when.parts()[..], zone) {
                ([Part::Port, Part::User], 1) | ([Part::SourcePort, Part::User], 2) => {
                    self.users.extend(each(leaf.when.ids(Part::User)));
                    let answers = leaf.when.ports(Part::SourcePort);
                    self.dns_ports.extend(answers.ranges().iter().map(|range| range.first()));
                    true
                }
                ([Part::Port, Part::To], 2) => {
                    add(&mut self.zone_servers, &servers(leaf));
                    true
                }
                ([Part::Port], 2) => {
                    self.has_every_server = true;
                    true
                }
                (
                    [Part::SourcePort] | [Part::SourcePort, Part::From] | [Part::From, Part::To],
                    1,
                ) => true,
                _ => false,
            };
        self.splits_zones |= is_rung;
        is_rung
    }

    /// What arrives.
    fn arriving(&mut self, leaf: &Leaf<'_>) -> bool {
        let when = &leaf.when;
        match (leaf.then, &when.parts()[..]) {
            (Then::Leaves, [Part::From]) => self.sources.add(when.nets(Part::From)),
            // Of everything, or of nothing at all: what follows tells.
            (Then::Leaves, []) if leaf.is_by(INBOUND) => {
                add(&mut self.everywhere, &[leaf.family.everywhere()]);
            }
            (Then::Leaves, [Part::Port]) => self.inbound.excluded.add(&when.ports(Part::Port)),
            (then, parts) => {
                let Some(port) = redirected(then) else { return false };
                match parts {
                    [Part::Port, Part::In] if is_udp(leaf) => {
                        let names = when.interfaces(Part::In).iter();
                        self.interfaces.extend(names.map(|name| (name.clone(), leaf.family)));
                        self.dns_ports.push(port);
                    }
                    [Part::NotTo, Part::In] => {
                        let Some(net) = address(leaf, Part::NotTo) else { return false };
                        let names = when.interfaces(Part::In).iter();
                        let network =
                            |name: &Interface| VirtualNetwork { interface: name.clone(), net };
                        self.networks.extend(names.map(network));
                        self.outbound_ports.push(port);
                    }
                    [] => {
                        self.inbound.captures_all = true;
                        self.inbound_ports.push(port);
                    }
                    [Part::Port] => {
                        self.inbound.captured.add(&when.ports(Part::Port));
                        self.inbound_ports.push(port);
                    }
                    _ => return false,
                }
            }
        }
        true
    }

    /// What is decided before anything is captured, and DNS.
    fn before(&mut self, leaf: &Leaf<'_>) -> bool {
        let when = &leaf.when;
        let ports = when.ports(Part::Port);
        let is_dns = ports == PortSet::from(DNS);
        let is_tcp = when.protocol == Some(Protocol::Tcp);
        match (leaf.then, &when.parts()[..]) {
            (Then::Leaves, [Part::Port, Part::NotUser]) if is_dns && is_tcp => {
                self.users.extend(each(when.ids(Part::NotUser)));
                self.leaves_tcp_queries(leaf.family);
            }
            // Whoever is the proxy has gone before.
            (Then::Leaves, [Part::Port]) if is_dns && is_tcp && !leaf.gone.is_nobody() => {
                self.users.extend(leaf.gone.users.iter().flat_map(|ids| each(ids)));
                self.leaves_tcp_queries(leaf.family);
            }
            (Then::Leaves, [Part::Port]) => self.exclude(leaf, &[]),
            (Then::Leaves, [Part::Port, Part::User]) => self.exclude(leaf, when.ids(Part::User)),
            (Then::Leaves, [Part::To] | []) => self.destinations.add_of(leaf, Part::To),
            (Then::Does(Action::Jump(chain)), [Part::Port, Part::User])
                if chain.as_str() == "docker-output" && is_udp(leaf) =>
            {
                self.users.extend(each(when.ids(Part::User)));
                self.docker.insert(leaf.family);
            }
            (then, [Part::Port]) if is_udp(leaf) && is_dns => {
                let Some(port) = redirected(then) else { return false };
                self.has_every_server = true;
                self.dns_ports.push(port);
            }
            (then, [Part::Port, Part::To]) if is_udp(leaf) && is_dns => {
                let Some(port) = redirected(then) else { return false };
                add(&mut self.servers, &servers(leaf));
                self.dns_ports.push(port);
            }
            _ => return false,
        }
        true
    }

    /// TCP queries are left alone, if they are not captured before a rule asks for them, as Kuma's option
    /// `insertRedirectInsteadOfAppend` has it.
    fn leaves_tcp_queries(&mut self, family: Family) {
        if !self.taken.contains(&family) && !self.outbound.captured.has(DNS) {
            self.tcp_queries_left.insert(family);
        }
    }

    fn exclude(&mut self, leaf: &Leaf<'_>, users: &[(u32, u32)]) {
        let ports = leaf.when.ports(Part::Port);
        let protocols = [Protocol::Tcp, Protocol::Udp].into_iter();
        for protocol in protocols.filter(|protocol| leaf.when.has(*protocol)) {
            let users = users.iter().copied().map(Some);
            let users: Vec<_> = if users.len() == 0 { vec![None] } else { users.collect() };
            let exclusion = |users| Exclusion { protocol, ports: ports.clone(), users };
            self.exclusions.extend(users.into_iter().map(exclusion));
        }
    }

    /// What leaves.
    fn leaving(&mut self, leaf: &Leaf<'_>) -> bool {
        let when = &leaf.when;
        match (leaf.then, &when.parts()[..]) {
            (Then::Leaves, [Part::Port]) => self.outbound.excluded.add(&when.ports(Part::Port)),
            (Then::Leaves, [] | [Part::From, Part::Out] | [Part::Out, Part::NotUser]) => {}
            (Then::Leaves, [Part::Out]) => return over_lo(leaf, Part::Out),
            (Then::Leaves, [Part::To]) => {
                let loopback = IpNet::from(leaf.family.loopback());
                return address(leaf, Part::To) == Some(loopback);
            }
            (Then::Leaves, [Part::User]) => self.users.extend(each(when.ids(Part::User))),
            (then, parts) => {
                let Some(port) = redirected(then) else { return false };
                match parts {
                    [Part::NotTo, Part::Out, Part::User] => {
                        self.inbound_ports.push(port);
                        return true;
                    }
                    [] => {
                        self.outbound.captures_all = true;
                        self.taken.insert(leaf.family);
                    }
                    [Part::Port] => self.outbound.captured.add(&when.ports(Part::Port)),
                    _ => return false,
                }
                self.outbound_ports.push(port);
            }
        }
        true
    }

    fn policy(mut self, families: Families) -> Kuma {
        let default = Kuma::default();
        // The rule of the proxy's queries looks like one of an excluded user.
        add(&mut self.zone_servers, &self.servers);
        if !self.has_every_server && self.zone_servers.is_empty() {
            // Where all of UDP is excluded, nothing tells one server from another.
            let loopback = |family: &Family| IpNet::from(family.loopback()).addr();
            self.zone_servers.extend(self.tcp_queries_left.iter().map(loopback));
        }
        let has_dns = self.has_every_server || !self.zone_servers.is_empty();
        let user = first(&self.users, default.proxy.user);
        let is_proxys = |it: &Exclusion| {
            let own = Some((*user, *user));
            it.users == own && it.protocol == Protocol::Udp && it.ports == PortSet::from(DNS)
        };
        if has_dns {
            self.exclusions.retain(|it| !is_proxys(it));
        }
        for (interface, family) in &self.interfaces {
            let is_known = self
                .networks
                .iter()
                .any(|known| known.interface == *interface && known.family() == *family);
            if !is_known {
                // There is no rule about what leaves a network that is everything.
                let network =
                    VirtualNetwork { interface: interface.clone(), net: family.everywhere() };
                self.networks.push(network);
            }
        }
        let mut sources = self.sources;
        if self.inbound.captures_all || !self.inbound.captured.list().is_empty() {
            self.everywhere.iter().for_each(|net| sources.add(Some(&(*net).into())));
        }
        let docker = |family| self.docker.contains(&family);
        let docker_output = match (docker(Family::Ipv4), docker(Family::Ipv6)) {
            (true, true) => Some(Families::Both),
            (true, false) => Some(Families::Ipv4),
            (false, true) => Some(Families::Ipv6),
            (false, false) => None,
        };
        let is_unsplit = |family| !(self.has_every_server && docker(family));
        let could_split = families.iter().any(is_unsplit);
        Kuma {
            families: set(families),
            proxy: Proxy {
                user,
                inbound_port: first(&self.inbound_ports, default.proxy.inbound_port),
                outbound_port: first(&self.outbound_ports, default.proxy.outbound_port),
                dns_port: first(&self.dns_ports, default.proxy.dns_port),
            },
            inbound: Inbound {
                capture_ports: self.inbound.captures(),
                exclude_ports: self.inbound.excludes(),
                exclude_from: set(sources.list()),
            },
            outbound: Outbound {
                capture_ports: self.outbound.captures(),
                exclude_ports: self.outbound.excludes(),
                exclude_to: set(self.destinations.list()),
                exclude_users: set(exclusions(&self.exclusions)),
            },
            dns: set(has_dns.then(|| Dns {
                servers: selection(self.has_every_server, self.zone_servers.clone()).value,
                captures_tcp: set(self.tcp_queries_left.is_empty()),
                splits_zones: set(self.splits_zones || !could_split),
                docker_output: set(docker_output),
            })),
            networks: set(self.networks),
            drop_invalid: set(self.drops_invalid),
        }
    }
}

/// What is excluded, of both protocols at once where it is the same.
fn exclusions(all: &[Exclusion]) -> Vec<UserExclusion> {
    let mut users: Vec<Option<(u32, u32)>> = Vec::new();
    for exclusion in all {
        add(&mut users, &[exclusion.users]);
    }
    let mut found = Vec::new();
    for users in users {
        let of = |protocol| {
            let mut ports = Ports::default();
            for it in all.iter().filter(|it| it.users == users && it.protocol == protocol) {
                ports.add(&it.ports);
            }
            ports.list()
        };
        let (tcp, udp) = (of(Protocol::Tcp), of(Protocol::Udp));
        let exclusion =
            |protocol, ports: &PortRange| UserExclusion { protocol, ports: *ports, users };
        if tcp == udp {
            found.extend(tcp.iter().map(|ports| exclusion(None, ports)));
        } else {
            found.extend(tcp.iter().map(|ports| exclusion(Some(Transport::Tcp), ports)));
            found.extend(udp.iter().map(|ports| exclusion(Some(Transport::Udp), ports)));
        }
    }
    found
}
