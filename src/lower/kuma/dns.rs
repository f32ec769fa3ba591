//! DNS capture, and its conntrack zones.

use ipnet::IpNet;

use super::{DNS, Ladder, loopback, names, rungs};
use crate::ir::{Action, BuiltInTable, Hook, Origin};
use crate::lower::items;
use crate::lower::plan::{Plan, jump};
use crate::lower::when::{tcp, udp};
use crate::net::{Families, Family, Nets};
use crate::policy::Selection;
use crate::policy::kuma::Dns;
use crate::span::Span;

/// Conntrack zone of the proxy's own queries.
const ZONE_PROXY: u16 = 1;
/// Conntrack zone of the workload's queries.
const ZONE_WORKLOAD: u16 = 2;

/// DNS capture in some families.
pub(super) struct Capture<'a> {
    dns: &'a Dns,
    clause: Option<Span>,
    families: Families,
    /// The servers, one a rule; `None` for every server.
    servers: Option<Vec<Nets>>,
    /// Whether the proxy's queries go to Docker's chain.
    docker: bool,
}

/// DNS capture, of families together where they are alike.
pub(super) fn captures<'a>(ladder: &Ladder<'a>) -> Vec<Capture<'a>> {
    let Some(dns) = ladder.kuma.dns.as_ref() else { return Vec::new() };
    let of = |families: Families, servers, docker| Capture {
        dns,
        clause: ladder.kuma.dns.clause,
        families,
        servers,
        docker,
    };
    let is_docker = |family| dns.docker_output.is_some_and(|docker| docker.has(family));
    if dns.servers == Selection::All && Family::ALL.iter().all(|family| !is_docker(*family)) {
        return vec![of(ladder.families, None, false)];
    }
    let capture = |family: Family| {
        let servers = match &dns.servers {
            Selection::All => None,
            Selection::Only(addresses) => {
                let hosts: Vec<IpNet> = addresses.iter().copied().map(IpNet::from).collect();
                let servers: Vec<_> = items::nets(&hosts, family).collect();
                // Upstream does nothing for a family without a server.
                if servers.is_empty() {
                    return None;
                }
                Some(servers)
            }
        };
        Some(of(family.into(), servers, is_docker(family)))
    };
    ladder.families.iter().filter_map(capture).collect()
}

impl Capture<'_> {
    /// Sends queries to the proxy.
    pub(super) fn queries(&self, ladder: &Ladder<'_>, plan: &mut Plan) {
        let output = plan.at(BuiltInTable::Nat, Hook::Output);
        let user = ladder.kuma.proxy.user.clause;
        let (then, rung) = if self.docker {
            (jump(names::DOCKER_OUTPUT), rungs::DOCKER_DNS)
        } else {
            (Action::Return, rungs::PROXY_DNS)
        };
        let query = udp(self.families).dport(DNS);
        output.push(ladder.own(query.clone()).then(then, Origin::new(rung, user)));
        let origin = Origin::new(rungs::DNS, self.clause);
        let redirect = Action::Redirect { port: *ladder.kuma.proxy.dns_port };
        match &self.servers {
            None => output.push(query.then(redirect, origin)),
            Some(servers) => output.extend(
                servers
                    .iter()
                    .map(|nets| query.clone().to(nets.clone()).then(redirect.clone(), origin)),
            ),
        }
        if !*self.dns.captures_tcp {
            let origin = Origin::new(rungs::TCP_DNS, self.dns.captures_tcp.clause.or(self.clause));
            let over_tcp = ladder.not_own(tcp(self.families).dport(DNS));
            output.push(over_tcp.then(Action::Return, origin));
        }
    }

    /// Tracks the proxy's queries apart from the workload's.
    pub(super) fn zones(&self, ladder: &Ladder<'_>, plan: &mut Plan) {
        // Upstream does not where Docker translates what would be told apart.
        if !*self.dns.splits_zones || self.docker && self.servers.is_none() {
            return;
        }
        let output = plan.at(BuiltInTable::Raw, Hook::Output);
        let user = ladder.kuma.proxy.user.clause;
        let zone = |zone, rung, clause| (Action::SetZone(zone), Origin::new(rung, clause));
        let query = udp(self.families).dport(DNS);
        let (set, origin) = zone(ZONE_PROXY, rungs::ZONE_PROXY_QUERY, user);
        output.push(ladder.own(query.clone()).then(set, origin));
        let answer = udp(self.families).sport(*ladder.kuma.proxy.dns_port);
        let (set, origin) = zone(ZONE_WORKLOAD, rungs::ZONE_PROXY_ANSWER, user);
        output.push(ladder.own(answer).then(set, origin));
        match &self.servers {
            None => {
                let (set, origin) = zone(ZONE_WORKLOAD, rungs::ZONE_QUERY, self.clause);
                output.push(query.then(set, origin));
            }
            Some(servers) => {
                for nets in servers {
                    let (set, origin) = zone(ZONE_WORKLOAD, rungs::ZONE_QUERY, self.clause);
                    output.push(query.clone().to(nets.clone()).then(set, origin));
                    if nets.iter().all(|server| server.addr().is_loopback()) {
                        let to_itself = loopback(nets.family());
                        let answer = udp(self.families).from(nets.clone()).to(to_itself);
                        let (set, origin) = zone(ZONE_PROXY, rungs::ZONE_LOCAL_ANSWER, self.clause);
                        output.push(answer.then(set, origin));
                    }
                }
            }
        }
        let prerouting = plan.at(BuiltInTable::Raw, Hook::Prerouting);
        let answer = udp(self.families).sport(DNS);
        let (set, origin) = zone(ZONE_PROXY, rungs::ZONE_ANSWER, self.clause);
        match &self.servers {
            None => prerouting.push(answer.then(set, origin)),
            Some(servers) => prerouting.extend(
                servers
                    .iter()
                    .map(|nets| answer.clone().from(nets.clone()).then(set.clone(), origin)),
            ),
        }
    }
}
