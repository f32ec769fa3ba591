//! Istio's ladder of a sidecar, read back: see `src/lower/istio`.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Read;
use super::leaf::{Leaf, Part, Stage, Then, When};
use super::values::{
    Ports, Prefixes, add, addresses, each, families, first, is_udp, over_lo, redirected, selection,
    set,
};
use crate::ir::{Action, CtState, Hook, MarkChange, MaskPair, Match, Protocol};
use crate::net::{Families, Family, Interface, Mark, OnMiss, PortSet};
use crate::policy::{Dns, Groups, Inbound, Interfaces, Mode, Outbound, Proxy, Sidecar, Tproxy};

/// Where DNS servers listen.
const DNS: u16 = 53;

/// What the rules say.
pub(super) fn read(leaves: &[Leaf<'_>]) -> Read {
    let mut facts = Facts { only_groups: only_groups(leaves), ..Facts::default() };
    let mut understood = Vec::new();
    for leaf in leaves {
        // Only these groups come so far; the rules behind need not ask again.
        let only = facts.only_groups.as_deref().unwrap_or_default();
        let parts = leaf.when.parts();
        let is_behind =
            parts.iter().all(|part| matches!(part, Part::Port | Part::To | Part::Group));
        let is_asked_again = leaf.is_by_owner()
            && is_behind
            && !only.is_empty()
            && leaf.when.ids(Part::Group) == only;
        let leaf = if is_asked_again {
            &Leaf { when: leaf.when.without(Part::Group), ..leaf.clone() }
        } else {
            leaf
        };
        understood.push(facts.add(leaf));
    }
    let kinds = families(leaves).map(|families| facts.policies(families));
    Read { kinds: kinds.into_iter().flatten().map(Into::into).collect(), understood }
}

/// The groups that alone come to rules about destinations, if everybody else goes by a rule before.
fn only_groups(leaves: &[Leaf<'_>]) -> Option<Vec<(u32, u32)>> {
    let mut asked = leaves.iter().filter(|leaf| {
        let parts = leaf.when.parts();
        leaf.stage() == Stage::Nat
            && parts.contains(&Part::Group)
            && (parts.len() == 1 && leaf.then != Then::Leaves || parts == [Part::To, Part::Group])
    });
    let only = asked.next().map(|leaf| leaf.when.ids(Part::Group).to_vec());
    let others_go = |leaf: &Leaf<'_>| {
        leaf.stage() == Stage::Nat
            && leaf.then == Then::Leaves
            && leaf.when.parts().is_empty()
            && leaf.gone.groups.last() == only.as_ref()
    };
    let others_go = only.is_some() && leaves.iter().any(others_go);
    only.filter(|_| others_go)
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is said by a rule of its own")]
struct Facts {
    /// Users of the proxy, in the order in which rules ask for them.
    users: Vec<u32>,
    /// Groups that something is done for besides leaving them alone.
    proxy_groups: Vec<u32>,
    /// Groups that are left alone.
    groups: Vec<u32>,
    /// Users and groups whose queries have a zone of their own, in any order.
    zone_users: Vec<u32>,
    zone_groups: Vec<u32>,
    only_groups: Option<Vec<(u32, u32)>>,
    outbound_ports: Vec<u16>,
    inbound_ports: Vec<u16>,
    /// Ports that the proxy's calls of its own workload do not go to the inbound port on.
    kept: Vec<PortSet>,
    passthrough: Prefixes,
    /// What the proxy's calls go to if they are not to its own workload.
    loopback: Prefixes,
    leaves_loopback: bool,
    outbound_excluded: Ports,
    excluded: Prefixes,
    captured: Prefixes,
    captured_ports: Ports,
    /// Families in which connections are captured by now.
    taken: Vec<Family>,
    inbound_captures_all: bool,
    inbound_captured: Ports,
    inbound_excluded: Ports,
    /// Interfaces on which nothing is captured that leaves.
    out: Vec<Interface>,
    /// Those on which what arrives is left alone, and those on which it is captured as if it left.
    arriving: Vec<Interface>,
    rerouted: Vec<Interface>,
    keeps_dns_apart: bool,
    has_every_server: bool,
    servers: Vec<IpAddr>,
    dns_ports: Vec<u16>,
    drops_invalid: bool,
    is_tproxy: bool,
    marks: Vec<u32>,
    outbound_marks: Vec<u32>,
    on_miss: Option<OnMiss>,
}

impl Facts {
    fn add(&mut self, leaf: &Leaf<'_>) -> bool {
        match (leaf.stage(), leaf.base.hook) {
            (Stage::Raw, Hook::Output | Hook::Prerouting) => self.zone(leaf),
            (Stage::Mangle, Hook::Prerouting) => self.arriving_marks(leaf),
            (Stage::Mangle, Hook::Output) => self.leaving_marks(leaf),
            (Stage::Nat, Hook::Prerouting) => self.arriving(leaf),
            (Stage::Nat, Hook::Output) => self.leaving(leaf),
            _ => false,
        }
    }

    /// Conntrack zones.
    fn zone(&mut self, leaf: &Leaf<'_>) -> bool {
        let Then::Does(Action::SetZone(zone)) = leaf.then else { return false };
        let when = &leaf.when;
        if !is_udp(leaf) {
            return false;
        }
        match (&when.parts()[..], zone) {
            ([Part::Port, Part::User], 1) => add(&mut self.zone_users, &each(when.ids(Part::User))),
            ([Part::SourcePort, Part::User], 2) => {
                self.dns_ports
                    .extend(when.ports(Part::SourcePort).ranges().iter().map(|it| it.first()));
                add(&mut self.zone_users, &each(when.ids(Part::User)));
            }
            ([Part::Port, Part::Group], 1) => {
                add(&mut self.zone_groups, &each(when.ids(Part::Group)));
            }
            ([Part::SourcePort, Part::Group], 2) => {
                self.dns_ports
                    .extend(when.ports(Part::SourcePort).ranges().iter().map(|it| it.first()));
                add(&mut self.zone_groups, &each(when.ids(Part::Group)));
            }
            ([Part::Port], 2) => self.has_every_server = true,
            ([Part::Port, Part::To], 2) => self.add_servers(when),
            ([Part::SourcePort] | [Part::SourcePort, Part::From], 1) => {}
            _ => return false,
        }
        self.keeps_dns_apart = true;
        true
    }

    fn add_servers(&mut self, when: &When) {
        let nets = when.nets(Part::To).into_iter().flatten();
        add(&mut self.servers, &nets.flat_map(addresses).collect::<Vec<_>>());
    }

    /// Before translation, of what arrives.
    fn arriving_marks(&mut self, leaf: &Leaf<'_>) -> bool {
        let when = &leaf.when;
        let is_state = |states: &[CtState]| {
            let states = states.iter().copied().collect();
            when.state() == Some(&Match::CtState { states, not: false })
        };
        let parts = &when.parts()[..];
        if let (Then::Does(Action::Drop), [Part::State]) = (leaf.then, parts) {
            let is_rung = is_state(&[CtState::Invalid]);
            self.drops_invalid |= is_rung;
            return is_rung;
        }
        match (leaf.then, parts) {
            (Then::Leaves, [Part::In]) => {
                add(&mut self.arriving, when.interfaces(Part::In));
                // In redirect mode no interface is excluded here.
                return true;
            }
            (Then::Leaves | Then::Does(Action::SaveMark(MaskPair::FULL)), [Part::Mark]) => {
                self.marks.extend(when.mark(Part::Mark).map(Mark::value));
            }
            (Then::Leaves, [Part::From, Part::In]) => {
                self.passthrough.add(when.nets(Part::From));
            }
            (Then::Leaves, [Part::In, Part::NotMark]) => {
                let mark = when.mark(Part::NotMark);
                self.outbound_marks.extend(mark.map(Mark::value));
            }
            (Then::Leaves, [Part::Port]) => self.inbound_excluded.add(&when.ports(Part::Port)),
            (
                Then::Leaves | Then::Does(Action::SetMark(_) | Action::MarkAndAccept(_)),
                [Part::State] | [Part::Port, Part::State],
            ) if is_state(&[CtState::Related, CtState::Established]) => {
                if let Then::Does(Action::SetMark(change) | Action::MarkAndAccept(change)) =
                    leaf.then
                {
                    self.marks.push(change.flip);
                }
            }
            (
                Then::Does(Action::Tproxy { port, mark, on_miss }),
                [Part::NotTo] | [Part::Port, Part::NotTo],
            ) => {
                self.loopback.add(when.nets(Part::NotTo));
                self.inbound_ports.push(*port);
                self.marks.push(mark.flip);
                self.on_miss.get_or_insert(*on_miss);
                if parts.contains(&Part::Port) {
                    self.inbound_captured.add(&when.ports(Part::Port));
                } else {
                    self.inbound_captures_all = true;
                }
            }
            // What nft does where no proxy listens.
            (Then::Does(Action::Drop), [Part::NotTo] | [Part::Port, Part::NotTo]) => {
                self.on_miss = Some(OnMiss::Drop);
            }
            _ => return false,
        }
        self.is_tproxy = true;
        true
    }

    /// Before translation, of what leaves.
    fn leaving_marks(&mut self, leaf: &Leaf<'_>) -> bool {
        let when = &leaf.when;
        match (leaf.then, &when.parts()[..]) {
            (Then::Leaves, [Part::Out]) => {
                add(&mut self.out, when.interfaces(Part::Out));
                return true;
            }
            (Then::Leaves, [Part::Out, Part::Mark]) => {
                self.marks.extend(when.mark(Part::Mark).map(Mark::value));
            }
            (
                Then::Does(Action::SetMark(MarkChange { flip, .. })),
                [Part::NotTo, Part::Out, owner @ (Part::User | Part::Group)],
            ) => {
                self.loopback.add(when.nets(Part::NotTo));
                self.outbound_marks.push(*flip);
                let owners =
                    if *owner == Part::User { &mut self.users } else { &mut self.proxy_groups };
                add(owners, &each(when.ids(*owner)));
            }
            (Then::Does(Action::RestoreMark(MaskPair::FULL)), [Part::Connmark]) => {
                self.marks.extend(when.mark(Part::Connmark).map(Mark::value));
            }
            _ => return false,
        }
        self.is_tproxy = true;
        true
    }

    /// What arrives, in address translation.
    fn arriving(&mut self, leaf: &Leaf<'_>) -> bool {
        let when = &leaf.when;
        match (leaf.then, &when.parts()[..]) {
            (Then::Leaves, [Part::In]) => add(&mut self.arriving, when.interfaces(Part::In)),
            (Then::Leaves, [Part::Port]) => self.inbound_excluded.add(&when.ports(Part::Port)),
            (then, parts) => {
                let Some(port) = redirected(then) else { return false };
                match parts {
                    [Part::In] | [Part::To, Part::In] => {
                        add(&mut self.rerouted, when.interfaces(Part::In));
                        self.captured.add_of(leaf, Part::To);
                        self.outbound_ports.push(port);
                    }
                    [] => {
                        self.inbound_captures_all = true;
                        self.inbound_ports.push(port);
                    }
                    [Part::Port] => {
                        self.inbound_captured.add(&when.ports(Part::Port));
                        self.inbound_ports.push(port);
                    }
                    _ => return false,
                }
            }
        }
        true
    }

    /// What leaves, in address translation.
    fn leaving(&mut self, leaf: &Leaf<'_>) -> bool {
        let when = &leaf.when;
        let parts = &when.parts()[..];
        if let Some(port) = redirected(leaf.then) {
            return self.captures(leaf, parts, port);
        }
        if leaf.then != Then::Leaves {
            return false;
        }
        match parts {
            // Whoever is the proxy has gone before, or goes where this leads.
            [Part::Out] | [Part::NotPort, Part::Out]
                if over_lo(leaf, Part::Out)
                    && (leaf.is_by("istio-output") || !leaf.gone.is_nobody()) =>
            {
                self.leaves_loopback = true;
                self.keeps_dns_apart |= when.ports(Part::NotPort).contains(DNS);
            }
            [Part::NotPort, Part::Out, Part::NotUser | Part::NotGroup]
            | [Part::Out, Part::NotUser | Part::NotGroup] => {
                self.leaves_loopback = true;
                self.keeps_dns_apart |= when.ports(Part::NotPort).contains(DNS);
            }
            [Part::Out] => add(&mut self.out, when.interfaces(Part::Out)),
            [Part::Port] => self.outbound_excluded.add(&when.ports(Part::Port)),
            [Part::From, Part::Out] => self.passthrough.add(when.nets(Part::From)),
            [Part::User] => add(&mut self.users, &each(when.ids(Part::User))),
            [Part::Group] => add(&mut self.groups, &each(when.ids(Part::Group))),
            [Part::NotGroup] => self.only_groups = Some(when.ids(Part::NotGroup).to_vec()),
            [] if self.only_groups.is_some()
                && leaf.gone.groups.last() == self.only_groups.as_ref() => {}
            // All else, behind what is captured.
            [] if self.taken.contains(&leaf.family) => {}
            [Part::To] | [] => self.excluded.add_of(leaf, Part::To),
            _ => return false,
        }
        true
    }

    /// What leaves and goes to a port instead.
    fn captures(&mut self, leaf: &Leaf<'_>, parts: &[Part], port: u16) -> bool {
        let when = &leaf.when;
        let is_dns = when.has(Protocol::Udp) && when.ports(Part::Port) == PortSet::from(DNS);
        match parts {
            [Part::NotPort, Part::NotTo, Part::Out, owner @ (Part::User | Part::Group)] => {
                self.loopback.add(when.nets(Part::NotTo));
                self.kept.push(when.ports(Part::NotPort));
                self.inbound_ports.push(port);
                let owners =
                    if *owner == Part::User { &mut self.users } else { &mut self.proxy_groups };
                add(owners, &each(when.ids(*owner)));
            }
            [Part::Port] if is_dns => {
                self.has_every_server = true;
                self.dns_ports.insert(0, port);
            }
            [Part::Port, Part::To] if when.ports(Part::Port) == PortSet::from(DNS) => {
                self.add_servers(when);
                self.dns_ports.insert(0, port);
            }
            // The queries over TCP, where those over UDP go there, too.
            [Part::Port]
                if when.ports(Part::Port) == PortSet::from(DNS)
                    && leaf.is_by("istio-output-dns") => {}
            [Part::Port] if when.has(Protocol::Tcp) => {
                self.captured_ports.add(&when.ports(Part::Port));
                self.outbound_ports.push(port);
            }
            [Part::To] | [] => {
                self.captured.add_of(leaf, Part::To);
                self.outbound_ports.push(port);
                self.taken.push(leaf.family);
            }
            _ => return false,
        }
        true
    }

    /// The policies that the rules may be of, the likeliest first.
    fn policies(&mut self, families: Families) -> Vec<Sidecar> {
        add(&mut self.users, &std::mem::take(&mut self.zone_users));
        add(&mut self.proxy_groups, &std::mem::take(&mut self.zone_groups));
        if self.only_groups.is_some() {
            // Others are left alone anyway.
            add(&mut self.proxy_groups, &std::mem::take(&mut self.groups));
        }
        let own = &self.proxy_groups;
        // Of a group that is only left alone, nothing tells whether it is the proxy's.
        let may_be_users = own.is_empty()
            && !self.users.is_empty()
            && self.users.iter().all(|user| self.groups.contains(user));
        let as_users = may_be_users.then_some(&self.users);
        let mut all: Vec<Sidecar> =
            as_users.into_iter().chain([own]).map(|groups| self.policy(families, groups)).collect();
        // Where all is left alone before destinations are asked for, no group but the proxy's is captured.
        let is_excluded =
            |family: Family| all[0].outbound.exclude_to.contains(&family.everywhere());
        if families.iter().all(is_excluded) && !own.is_empty() {
            let mut only = all[0].clone();
            only.outbound.exclude_to = set(Vec::new());
            only.outbound.groups = set(Groups::Only(only.proxy.groups.value.clone()));
            // What arrives on rerouted interfaces tells what is captured otherwise.
            if only.interfaces.reroute.is_empty() {
                only.outbound.capture_to = selection(true, Vec::new());
            }
            all.push(only);
        }
        all
    }

    fn policy(&self, families: Families, groups: &[u32]) -> Sidecar {
        let default = Sidecar::default();
        let has_dns = self.keeps_dns_apart || self.has_every_server || !self.servers.is_empty();
        let tunnel_port = self.tunnel_port(has_dns);
        let others = self.groups.iter().filter(|group| !groups.contains(group)).copied().collect();
        let loopback = self.loopback.list();
        let mut addresses = *default.outbound.loopback;
        for net in &loopback {
            match net {
                IpNet::V4(net) => addresses.ipv4 = *net,
                IpNet::V6(net) => addresses.ipv6 = *net,
            }
        }
        let mut passthrough = *default.proxy.passthrough;
        for net in self.passthrough.list() {
            match net.addr() {
                IpAddr::V4(address) => passthrough.ipv4 = address,
                IpAddr::V6(address) => passthrough.ipv6 = address,
            }
        }
        let mode = if self.is_tproxy { Mode::Tproxy(self.tproxy()) } else { Mode::Redirect };
        // What is left alone of them may be so among excluded interfaces.
        let is_arriving =
            |name: &&Interface| self.rerouted.contains(name) || !self.out.contains(name);
        let mut reroute: Vec<_> = self.arriving.iter().filter(is_arriving).cloned().collect();
        add(&mut reroute, &self.rerouted);
        // With TPROXY, the tunnel port is captured like others.
        let tunnel = (!self.is_tproxy).then_some(tunnel_port);
        let inbound_excluded = self.inbound_excluded.without(tunnel);
        Sidecar {
            families: set(families),
            mode: set(mode),
            proxy: Proxy {
                users: set(self.users.clone()),
                groups: set(groups.to_vec()),
                outbound_port: first(&self.outbound_ports, default.proxy.outbound_port),
                inbound_port: first(&self.inbound_ports, default.proxy.inbound_port),
                tunnel_port: set(tunnel_port),
                passthrough: set(passthrough),
            },
            inbound: Inbound {
                exclude_ports: set(if self.inbound_captures_all {
                    inbound_excluded.list()
                } else {
                    Vec::new()
                }),
                capture_ports: selection(self.inbound_captures_all, self.inbound_captured.list()),
            },
            outbound: Outbound {
                capture_to: self.captured.selection(families),
                exclude_to: set(self.excluded.without(&loopback).list()),
                capture_ports: set(self.captured_ports.list()),
                exclude_ports: set(self.outbound_excluded.list()),
                groups: set(match &self.only_groups {
                    Some(only) => Groups::Only(each(only)),
                    None => Groups::Except(others),
                }),
                loopback: set(addresses),
                capture_loopback: set(!self.leaves_loopback),
            },
            dns: set(has_dns.then(|| Dns {
                servers: selection(self.has_every_server, self.servers.clone()).value,
                port: self.dns_ports.first().copied().unwrap_or(Dns::DEFAULT_PORT),
            })),
            interfaces: Interfaces { exclude: set(self.out.clone()), reroute: set(reroute) },
            drop_invalid: set(self.drops_invalid),
        }
    }

    /// The port that is never captured.
    fn tunnel_port(&self, has_dns: bool) -> u16 {
        let default = *Sidecar::default().proxy.tunnel_port;
        let mut kept = Ports::default();
        self.kept.iter().for_each(|ports| kept.add(ports));
        let kept = if has_dns && kept.only().is_none() { kept.without([DNS]) } else { kept };
        kept.only().unwrap_or(default)
    }

    fn tproxy(&self) -> Tproxy {
        let default = Tproxy::default();
        Tproxy {
            mark: self.marks.first().copied().unwrap_or(default.mark),
            outbound_mark: self.outbound_marks.first().copied().unwrap_or(default.outbound_mark),
            table: default.table,
            on_miss: self.on_miss.unwrap_or(default.on_miss),
        }
    }
}
