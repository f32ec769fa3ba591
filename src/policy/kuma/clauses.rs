//! The clauses of a Kuma policy.

use std::net::IpAddr;

use ipnet::IpNet;

use super::effects;
use super::meaning::{Dns, Inbound, Kuma, Outbound, Proxy};
use super::{UserExclusion, VirtualNetwork};
use crate::net::{Families, PortRange};
use crate::policy::clauses::effects::{self as shared_effects, Port};
use crate::policy::clauses::families::Strays;
use crate::policy::clauses::form::{Draft, Ending, Form};
use crate::policy::clauses::given::{Given, Specials};
use crate::policy::clauses::lists::{List, Repeated, Visitor};
use crate::policy::clauses::numbers::USER;
use crate::policy::setting::Setting;

/// A Kuma policy while its clauses are read.
#[derive(Clone)]
pub(crate) struct KumaDraft {
    families: Setting<Families>,
    proxy: Proxy,
    inbound_capture: List<PortRange>,
    inbound_exclude: List<PortRange>,
    exclude_from: List<IpNet>,
    outbound_capture: List<PortRange>,
    outbound_exclude: List<PortRange>,
    exclude_to: List<IpNet>,
    exclude_users: List<UserExclusion>,
    dns_on: Setting<bool>,
    dns_servers: List<IpAddr>,
    /// But for the servers.
    dns: Dns,
    networks: List<VirtualNetwork>,
    drop_invalid: Setting<bool>,
}

impl Default for KumaDraft {
    fn default() -> Self {
        let Kuma { families, proxy, drop_invalid, .. } = Kuma::default();
        Self {
            families,
            proxy,
            inbound_capture: List::everything(),
            inbound_exclude: List::default(),
            exclude_from: List::default(),
            outbound_capture: List::everything(),
            outbound_exclude: List::default(),
            exclude_to: List::default(),
            exclude_users: List::default(),
            dns_on: Setting::default_to(false),
            dns_servers: List::everything(),
            dns: Dns::default(),
            networks: List::default(),
            drop_invalid,
        }
    }
}

const PORTS_NO_STAR: Specials = Specials::no_star("write `capture port none` to capture nothing");

impl Draft for KumaDraft {
    type Policy = Kuma;

    const FORMS: &'static [Form<Self>] = &[
        Form::one("", "family", "ipv4", |draft, given| given.families(&mut draft.families)),
        Form::one("proxy", "user", "5678", |draft, given| {
            let user = given.number(&USER);
            given.set(&mut draft.proxy.user, user);
        }),
        Form::one("proxy", "inbound-port", "15006", |draft, given| {
            given.port(&mut draft.proxy.inbound_port);
        }),
        Form::one("proxy", "outbound-port", "15001", |draft, given| {
            given.port(&mut draft.proxy.outbound_port);
        }),
        Form::one("proxy", "dns-port", "15053", |draft, given| {
            given.port(&mut draft.proxy.dns_port);
        }),
        Form::list("inbound", "capture port", "80, 443", |draft, given| {
            given.list(&mut draft.inbound_capture, Specials::BOTH);
        }),
        Form::list("inbound", "exclude port", "9901", |draft, given| {
            given.list(&mut draft.inbound_exclude, PORTS_NO_STAR);
        }),
        Form::list("inbound", "exclude from", "10.0.0.1", |draft, given| {
            given.list(&mut draft.exclude_from, PORTS_NO_STAR);
        }),
        Form::list("outbound", "capture port", "80, 443", |draft, given| {
            given.list(&mut draft.outbound_capture, Specials::BOTH);
        }),
        Form::list("outbound", "exclude port", "3306", |draft, given| {
            given.list(&mut draft.outbound_exclude, PORTS_NO_STAR);
        }),
        Form::list("outbound", "exclude to", "169.254.169.254", |draft, given| {
            given.list(&mut draft.exclude_to, PORTS_NO_STAR);
        }),
        Form::list("outbound", "exclude user", "tcp:3000-5000:106-108", |draft, given| {
            given.list(&mut draft.exclude_users, PORTS_NO_STAR);
        }),
        Form::one("", "dns", "none", |draft, given| {
            if given.dns_none() {
                draft.dns_on = Setting::written(false, given.span);
            }
        }),
        Form::bare("dns", "", |draft, given| draft.dns_on = Setting::written(true, given.span)),
        Form::list("dns", "capture", "10.96.0.10, fd00::a", |draft, given| {
            const NO_NONE: Specials =
                Specials { star: None, none: Some("write `dns none` outside of the block") };
            given.list(&mut draft.dns_servers, NO_NONE);
        }),
        Form::one("dns", "tcp", "untouched", |draft, given| {
            const CHOICES: &[(&str, bool)] = &[("untouched", false), ("captured", true)];
            const HELP: &str = "`tcp untouched` leaves the workload's TCP to port 53 alone, \
                                `tcp captured` treats it like other TCP";
            let chosen = given.choice("treatment", CHOICES, HELP);
            given.set(&mut draft.dns.captures_tcp, chosen);
        }),
        Form::one("dns", "zones", "split", |draft, given| {
            const CHOICES: &[(&str, bool)] = &[("split", true), ("none", false)];
            const HELP: &str = "`zones split` tracks the proxy's queries apart from the \
                                workload's, `zones none` does not";
            let chosen = given.choice("choice of zones", CHOICES, HELP);
            given.set(&mut draft.dns.splits_zones, chosen);
        }),
        Form::one("dns", "docker-output", "ipv4", Self::docker_output),
        Form::list("", "vnet", "docker0:172.17.0.0/16, br*:fd00:17::/64", |draft, given| {
            const NO_STAR: Specials =
                Specials::no_star("name the interfaces, or their beginnings: `br*:172.18.0.0/16`");
            given.list(&mut draft.networks, NO_STAR);
        }),
        Form::one("", "drop", "invalid", |draft, given| {
            given.drop_invalid(&mut draft.drop_invalid);
        }),
    ];

    fn lists(&mut self, visitor: &mut impl Visitor) {
        let Self {
            families: _,
            proxy: _,
            inbound_capture,
            inbound_exclude,
            exclude_from,
            outbound_capture,
            outbound_exclude,
            exclude_to,
            exclude_users,
            dns_on: _,
            dns_servers,
            dns: _,
            networks,
            drop_invalid: _,
        } = self;
        for ports in [inbound_capture, inbound_exclude, outbound_capture, outbound_exclude] {
            visitor.visit(ports);
        }
        visitor.visit(exclude_from);
        visitor.visit(exclude_to);
        visitor.visit(exclude_users);
        visitor.visit(dns_servers);
        visitor.visit(networks);
    }

    fn finish(mut self, ending: &mut Ending<'_>) -> Kuma {
        if let Some(mut strays) = Strays::under(&self.families) {
            self.lists(&mut strays);
            strays.report(ending);
        }
        ending.dns_contradiction();
        self.lists(&mut Repeated(ending.report));
        effects::networks(&self.networks, ending.report);
        let proxy = &self.proxy;
        let mut ports = Vec::from(Port::of_proxy(proxy.inbound_port, proxy.outbound_port));
        if *self.dns_on || !self.networks.is_none() {
            ports.push(Port::new("dns-port", proxy.dns_port));
        }
        shared_effects::same_ports(&ports, ending);
        let kuma = self.meaning();
        effects::report(&kuma, ending);
        kuma
    }
}

impl KumaDraft {
    fn docker_output(&mut self, given: &mut Given<'_, '_>) {
        let setting = &mut self.dns.docker_output;
        if let [only] = given.values[..]
            && &*only.term.text == "none"
        {
            *setting = Setting::written(None, given.span);
            return;
        }
        let mut families = Setting::default_to(Families::Both);
        given.families(&mut families);
        if families.clause.is_some() {
            *setting = Setting::written(Some(families.value), given.span);
        }
    }

    /// The policy that the clauses make.
    fn meaning(self) -> Kuma {
        let Setting { value: on, clause } = self.dns_on;
        // A list of which everything was of a family that is not governed captures nothing.
        let on = on && !self.dns_servers.is_none();
        let servers = self.dns_servers.selection().value;
        Kuma {
            families: self.families,
            proxy: self.proxy,
            inbound: Inbound {
                capture_ports: self.inbound_capture.selection(),
                exclude_ports: self.inbound_exclude.setting(),
                exclude_from: self.exclude_from.setting(),
            },
            outbound: Outbound {
                capture_ports: self.outbound_capture.selection(),
                exclude_ports: self.outbound_exclude.setting(),
                exclude_to: self.exclude_to.setting(),
                exclude_users: self.exclude_users.setting(),
            },
            dns: Setting { value: on.then_some(Dns { servers, ..self.dns }), clause },
            networks: self.networks.setting(),
            drop_invalid: self.drop_invalid,
        }
    }
}
