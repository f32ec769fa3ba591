//! The clauses of a policy for Consul.

use std::net::IpAddr;

use ipnet::IpNet;

use super::meaning::{Consul, Dns, Inbound, Outbound, Proxy, dns_family};
use super::users::UserRange;
use crate::diag::Problem;
use crate::net::{Families, Family, PortRange};
use crate::policy::clauses::addresses;
use crate::policy::clauses::effects::{self, Port, is_every_port, is_everywhere};
use crate::policy::clauses::families::{self, Strays};
use crate::policy::clauses::form::{Draft, Ending, Form};
use crate::policy::clauses::given::{Given, Specials};
use crate::policy::clauses::lists::{List, Repeated, Visitor};
use crate::policy::clauses::numbers::{self, USER};
use crate::policy::setting::Setting;

/// What messages call the mesh.
const MESH: &str = "Consul";

/// A policy for Consul while its clauses are read.
#[derive(Clone)]
pub(crate) struct ConsulDraft {
    families: Setting<Families>,
    proxy: Proxy,
    dns_on: Setting<bool>,
    dns_to: Setting<Option<IpAddr>>,
    dns_port: Setting<Option<u16>>,
    inbound_exclude: List<PortRange>,
    outbound_exclude: List<PortRange>,
    exclude_to: List<IpNet>,
    exclude_users: List<UserRange>,
}

impl Default for ConsulDraft {
    fn default() -> Self {
        let Consul { families, proxy, dns, inbound, outbound } = Consul::default();
        Self {
            families,
            proxy,
            dns_on: Setting::default_to(dns.is_some()),
            dns_to: Setting::default_to(None),
            dns_port: Setting::default_to(None),
            inbound_exclude: List::default_to(inbound.exclude_ports.value),
            outbound_exclude: List::default_to(outbound.exclude_ports.value),
            exclude_to: List::default_to(outbound.exclude_to.value),
            exclude_users: List::default_to(outbound.exclude_users.value),
        }
    }
}

const EXCLUDED_STAR: Specials = Specials::no_star("write `exclude port 0-65535`");

/// Refuses a clause that would capture some connections only.
fn captures_everything(_: &mut ConsulDraft, given: &mut Given<'_, '_>) {
    given.cannot(
        MESH,
        "it captures every TCP connection that is not excluded",
        "exclude the others: `exclude port 0-79, 81-65535`",
    );
}

impl Draft for ConsulDraft {
    type Policy = Consul;

    const FORMS: &'static [Form<Self>] = &[
        Form::one("", "family", "ipv4", |draft, given| given.families(&mut draft.families)),
        Form::one("proxy", "user", "5995", |draft, given| {
            let user = given.number(&USER);
            given.set(&mut draft.proxy.user, user);
        }),
        Form::one("proxy", "inbound-port", "20000", |draft, given| {
            given.port(&mut draft.proxy.inbound_port);
        }),
        Form::one("proxy", "outbound-port", "15001", |draft, given| {
            given.port(&mut draft.proxy.outbound_port);
        }),
        Form::one("", "dns", "none", |draft, given| {
            if given.dns_none() {
                draft.dns_on = Setting::written(false, given.span);
            }
        }),
        Form::bare("dns", "", |draft, given| draft.dns_on = Setting::written(true, given.span)),
        Form::one("dns", "to", "127.0.0.1", |draft, given| {
            let to = given.scalar(addresses::address);
            given.set(&mut draft.dns_to, to.map(Some));
        }),
        Form::one("dns", "port", "8600", |draft, given| {
            let port = given.scalar(|text| match text {
                "none" => Ok(None),
                _ => numbers::port(text).map(Some),
            });
            given.set(&mut draft.dns_port, port);
        }),
        Form::list("inbound", "exclude port", "21000", |draft, given| {
            given.any_ports(&mut draft.inbound_exclude, EXCLUDED_STAR);
        }),
        Form::list("inbound", "capture port", "80", captures_everything),
        Form::list("outbound", "exclude port", "5432", |draft, given| {
            given.any_ports(&mut draft.outbound_exclude, EXCLUDED_STAR);
        }),
        Form::list("outbound", "exclude to", "10.0.0.0/8", |draft, given| {
            const NO_STAR: Specials = Specials::no_star("write `exclude to 0.0.0.0/0`");
            given.list(&mut draft.exclude_to, NO_STAR);
        }),
        Form::list("outbound", "exclude user", "5996, 1000-2000", |draft, given| {
            const NO_STAR: Specials = Specials::no_star("write `exclude user 0-4294967294`");
            given.list(&mut draft.exclude_users, NO_STAR);
        }),
        Form::list("outbound", "capture to", "10.0.0.0/8", captures_everything),
        Form::list("outbound", "capture port", "80", captures_everything),
    ];

    fn lists(&mut self, visitor: &mut impl Visitor) {
        let Self {
            families: _,
            proxy: _,
            dns_on: _,
            dns_to: _,
            dns_port: _,
            inbound_exclude,
            outbound_exclude,
            exclude_to,
            exclude_users,
        } = self;
        visitor.visit(inbound_exclude);
        visitor.visit(outbound_exclude);
        visitor.visit(exclude_to);
        visitor.visit(exclude_users);
    }

    fn finish(mut self, ending: &mut Ending<'_>) -> Consul {
        let why = "it always sets up IPv4, and IPv6 beside it in dual stack";
        families::ipv4_is_always_set_up(MESH, why, self.families, ending);
        if let Some(mut strays) = Strays::under(&self.families) {
            self.lists(&mut strays);
            strays.report(ending);
        }
        ending.dns_contradiction();
        let dns = self.dns(ending);
        self.lists(&mut Repeated(ending.report));
        let ports = Port::of_proxy(self.proxy.inbound_port, self.proxy.outbound_port);
        effects::same_ports(&ports, ending);
        let consul = Consul {
            families: self.families,
            proxy: self.proxy,
            dns: Setting { value: dns, clause: self.dns_on.clause },
            inbound: Inbound { exclude_ports: self.inbound_exclude.setting() },
            outbound: Outbound {
                exclude_ports: self.outbound_exclude.setting(),
                exclude_to: self.exclude_to.setting(),
                exclude_users: self.exclude_users.setting(),
            },
        };
        let Outbound { exclude_ports, exclude_to, .. } = &consul.outbound;
        let is_nothing_sent =
            is_every_port(exclude_ports) || is_everywhere(exclude_to, *consul.families);
        if consul.dns.is_none() && is_every_port(&consul.inbound.exclude_ports) && is_nothing_sent {
            let name = ending.name.to_owned();
            ending.report.push(Problem::CapturesNothing { name }.at(ending.at, ""));
        }
        consul
    }
}

impl ConsulDraft {
    /// Where DNS goes; reports what Consul has no rules for, and what it does otherwise than one
    /// would think.
    fn dns(&self, ending: &mut Ending<'_>) -> Option<Dns> {
        if !*self.dns_on {
            return None;
        }
        let own = [self.dns_on.clause, self.dns_to.clause, self.families.clause]
            .map(|clause| clause.filter(|_| ending.has(clause)));
        let [on, to_clause, families] = own;
        let at = on.or(families).unwrap_or(ending.at);
        let cannot = |why, instead| Problem::MeshCannot { mesh: MESH, why, instead };
        if self.dns_to.is_none() && self.dns_port.is_none() {
            let problem = cannot(
                "it sends DNS to an address or to a port, and there is neither",
                "write `dns { port 8600 }`, `dns { to 10.0.34.16 }`, or `dns none`",
            );
            ending.report.push(problem.at(at, ""));
        }
        let family = dns_family(*self.families);
        let to = self.dns_to.unwrap_or(family.loopback());
        if Family::of(to) != family {
            let problem = match family {
                Family::Ipv4 => cannot(
                    "with IPv4 alone, it gives the address to iptables, which refuses one of IPv6",
                    "write an IPv4 address, or `family ipv4, ipv6`",
                ),
                Family::Ipv6 => cannot(
                    "in dual stack, it gives the address to ip6tables, which refuses one of IPv4",
                    "write an IPv6 address, or `family ipv4`",
                ),
            };
            let at = to_clause.unwrap_or(at);
            let evidence = self.families.clause.filter(|clause| *clause != at);
            ending.report.push(problem.at(at, "").and(evidence, "the families"));
        } else if family == Family::Ipv6 {
            let problem = Problem::MeshFault {
                mesh: MESH,
                what: "in dual stack, its rules for IPv4 leave DNS out, so that only queries over \
                       IPv6 go to Consul",
                instead: "have the resolver ask over IPv6 alone, or write `family ipv4`",
            };
            let evidence = families.filter(|clause| *clause != at);
            ending.report.push(problem.at(at, "").and(evidence, "dual stack"));
        }
        Some(Dns { to, port: *self.dns_port })
    }
}
