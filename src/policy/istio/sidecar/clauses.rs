//! The clauses of a sidecar policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::effects as sidecar_effects;
use super::meaning::{Dns, Groups, Inbound, Interfaces, Mode, Outbound, Proxy, Sidecar, Tproxy};
use crate::diag::Problem;
use crate::net::{Families, Interface, OnMiss, PortRange};
use crate::policy::clauses::effects::{self, Port};
use crate::policy::clauses::families::Strays;
use crate::policy::clauses::form::{Draft, Ending, Form};
use crate::policy::clauses::given::{Given, Specials};
use crate::policy::clauses::lists::{List, Repeated, Visitor};
use crate::policy::clauses::numbers::MARK;
use crate::policy::clauses::per_family::PerFamilySetting;
use crate::policy::setting::Setting;
use crate::span::Span;

/// A sidecar policy while its clauses are read.
#[derive(Clone)]
pub(crate) struct SidecarDraft {
    families: Setting<Families>,
    mode: Setting<Mode>,
    users: List<u32>,
    /// `None` while it is the numbers of the users.
    groups: Option<List<u32>>,
    outbound_port: Setting<u16>,
    inbound_port: Setting<u16>,
    tunnel_port: Setting<u16>,
    passthrough: PerFamilySetting<Ipv4Addr, Ipv6Addr>,
    inbound_capture: List<PortRange>,
    inbound_exclude: List<PortRange>,
    capture_to: List<IpNet>,
    exclude_to: List<IpNet>,
    capture_ports: List<PortRange>,
    exclude_ports: List<PortRange>,
    capture_groups: List<u32>,
    exclude_groups: List<u32>,
    loopback: PerFamilySetting<Ipv4Net, Ipv6Net>,
    /// What `capture loopback` or `exclude loopback` says; `None` while `capture to` does.
    capture_loopback: Option<Setting<bool>>,
    dns_on: Setting<bool>,
    dns_servers: List<IpAddr>,
    dns_port: Setting<u16>,
    exclude_interfaces: List<Interface>,
    reroute: List<Interface>,
    drop_invalid: Setting<bool>,
}

impl Default for SidecarDraft {
    fn default() -> Self {
        let Sidecar { families, mode, proxy, outbound, drop_invalid, .. } = Sidecar::default();
        Self {
            families,
            mode,
            users: List::default_to(proxy.users.value),
            groups: None,
            outbound_port: proxy.outbound_port,
            inbound_port: proxy.inbound_port,
            tunnel_port: proxy.tunnel_port,
            passthrough: PerFamilySetting::default_to(proxy.passthrough.value),
            inbound_capture: List::everything(),
            inbound_exclude: List::default(),
            capture_to: List::everything(),
            exclude_to: List::default(),
            capture_ports: List::default(),
            exclude_ports: List::default(),
            capture_groups: List::everything(),
            exclude_groups: List::default(),
            loopback: PerFamilySetting::default_to(outbound.loopback.value),
            capture_loopback: None,
            dns_on: Setting::default_to(false),
            dns_servers: List::everything(),
            dns_port: Setting::default_to(Dns::DEFAULT_PORT),
            exclude_interfaces: List::default(),
            reroute: List::default(),
            drop_invalid,
        }
    }
}

const OUTBOUND_STAR: &str = "write `capture to *` to capture every destination on every port, or \
                             `capture to none` and the ports that are captured";

const PORTS_NO_STAR: Specials =
    Specials::no_star("write `capture port none` to capture nothing, and no `exclude port`");

impl Draft for SidecarDraft {
    type Policy = Sidecar;

    const FORMS: &'static [Form<Self>] = &[
        Form::one("", "family", "ipv4", |draft, given| given.families(&mut draft.families)),
        Form::one("", "mode", "tproxy", Self::mode),
        Form::one("mode", "mark", "1337", |draft, given| {
            let mark = given.number(&MARK);
            draft.tproxy(given.span, |tproxy| &mut tproxy.mark, mark);
        }),
        Form::one("mode", "outbound-mark", "1338", |draft, given| {
            let mark = given.number(&MARK);
            draft.tproxy(given.span, |tproxy| &mut tproxy.outbound_mark, mark);
        }),
        Form::one("mode", "table", "133", |draft, given| {
            let table = given.table();
            draft.tproxy(given.span, |tproxy| &mut tproxy.table, table);
        }),
        Form::one("mode", "on-miss", "drop", |draft, given| {
            const CHOICES: &[(&str, OnMiss)] =
                &[("drop", OnMiss::Drop), ("continue", OnMiss::Continue)];
            const HELP: &str = "while no proxy listens, `drop` drops new connections, and \
                                `continue` lets them past the proxy";
            let chosen = given.choice("answer", CHOICES, HELP);
            draft.tproxy(given.span, |tproxy| &mut tproxy.on_miss, chosen);
        }),
        Form::list("proxy", "user", "1337", |draft, given| given.users(&mut draft.users)),
        Form::list("proxy", "group", "1337", |draft, given| {
            const NO_STAR: Specials =
                Specials::no_star("write the numbers of the proxy's groups: `group 1337`");
            let users = &draft.users;
            given.groups(draft.groups.get_or_insert_with(|| users.clone()), NO_STAR);
        }),
        Form::one("proxy", "outbound-port", "15001", |draft, given| {
            given.port(&mut draft.outbound_port);
        }),
        Form::one("proxy", "inbound-port", "15006", |draft, given| {
            given.port(&mut draft.inbound_port);
        }),
        Form::one("proxy", "tunnel-port", "15008", |draft, given| {
            given.port(&mut draft.tunnel_port);
        }),
        Form::one("proxy", "passthrough", "127.0.0.6, ::6", |draft, given| {
            given.addresses(&mut draft.passthrough, Proxy::default().passthrough.value);
        }),
        Form::list("inbound", "capture port", "80, 8000-8999", |draft, given| {
            given.list(&mut draft.inbound_capture, Specials::BOTH);
        }),
        Form::list("inbound", "exclude port", "15020", |draft, given| {
            given.list(&mut draft.inbound_exclude, PORTS_NO_STAR);
        }),
        Form::list("outbound", "capture to", "10.0.0.0/8", |draft, given| {
            given.list(&mut draft.capture_to, Specials::BOTH);
        }),
        Form::list("outbound", "exclude to", "169.254.169.254", |draft, given| {
            const NO_STAR: Specials = Specials::no_star("write `capture to none`");
            given.list(&mut draft.exclude_to, NO_STAR);
        }),
        Form::list("outbound", "capture port", "25", |draft, given| {
            given.list(&mut draft.capture_ports, Specials::no_star(OUTBOUND_STAR));
        }),
        Form::list("outbound", "exclude port", "3306", |draft, given| {
            const NO_STAR: Specials =
                Specials::no_star("write `capture to none` to capture no destination");
            given.list(&mut draft.exclude_ports, NO_STAR);
        }),
        Form::list("outbound", "capture group", "1000", |draft, given| {
            const NO_NONE: Specials = Specials {
                star: None,
                none: Some("write `capture to none` to capture nobody's connections"),
            };
            given.groups(&mut draft.capture_groups, NO_NONE);
        }),
        Form::list("outbound", "exclude group", "1000", |draft, given| {
            const NO_STAR: Specials = Specials::no_star("write `capture to none`");
            given.groups(&mut draft.exclude_groups, NO_STAR);
        }),
        Form::one("outbound", "loopback", "127.0.0.1/32, ::1/128", |draft, given| {
            given.loopback(&mut draft.loopback, Outbound::default().loopback.value);
        }),
        Form::bare("outbound", "capture loopback", |draft, given| {
            draft.capture_loopback = Some(Setting::written(true, given.span));
        }),
        Form::bare("outbound", "exclude loopback", |draft, given| {
            draft.capture_loopback = Some(Setting::written(false, given.span));
        }),
        Form::one("", "dns", "none", |draft, given| {
            if given.dns_none() {
                draft.dns_on = Setting::written(false, given.span);
            }
        }),
        Form::bare("dns", "", |draft, given| draft.dns_on = Setting::written(true, given.span)),
        Form::list("dns", "capture", "10.96.0.10, fd00::a", |draft, given| {
            given.list(&mut draft.dns_servers, Specials::BOTH);
        }),
        Form::one("dns", "port", "15053", |draft, given| given.port(&mut draft.dns_port)),
        Form::list("interface", "exclude", "eth1, net*", |draft, given| {
            given.list(&mut draft.exclude_interfaces, Specials::INTERFACES);
        }),
        Form::list("interface", "reroute", "virt0", |draft, given| {
            given.list(&mut draft.reroute, Specials::INTERFACES);
        }),
        Form::one("", "drop", "invalid", |draft, given| {
            given.drop_invalid(&mut draft.drop_invalid);
        }),
    ];

    fn lists(&mut self, visitor: &mut impl Visitor) {
        let Self {
            families: _,
            mode: _,
            users,
            groups,
            outbound_port: _,
            inbound_port: _,
            tunnel_port: _,
            passthrough: _,
            inbound_capture,
            inbound_exclude,
            capture_to,
            exclude_to,
            capture_ports,
            exclude_ports,
            capture_groups,
            exclude_groups,
            loopback: _,
            capture_loopback: _,
            dns_on: _,
            dns_servers,
            dns_port: _,
            exclude_interfaces,
            reroute,
            drop_invalid: _,
        } = self;
        visitor.visit(users);
        if let Some(groups) = groups {
            visitor.visit(groups);
        }
        for ports in [inbound_capture, inbound_exclude, capture_ports, exclude_ports] {
            visitor.visit(ports);
        }
        visitor.visit(capture_to);
        visitor.visit(exclude_to);
        visitor.visit(capture_groups);
        visitor.visit(exclude_groups);
        visitor.visit(dns_servers);
        visitor.visit(exclude_interfaces);
        visitor.visit(reroute);
    }

    fn finish(mut self, ending: &mut Ending<'_>) -> Sidecar {
        self.other_family(ending);
        let groups = self.groups.clone().unwrap_or_else(|| self.users.clone());
        self.contradictions(&groups, ending);
        self.lists(&mut Repeated(ending.report));
        self.captured_and_excluded(&groups, ending);
        let sidecar = self.meaning(&groups);
        sidecar_effects::report(&sidecar, ending);
        sidecar
    }
}

impl SidecarDraft {
    fn mode(&mut self, given: &mut Given<'_, '_>) {
        const CHOICES: &[(&str, bool)] = &[("redirect", false), ("tproxy", true)];
        const HELP: &str = "`redirect` rewrites the destination (NAT), `tproxy` keeps it";
        let Some(is_tproxy) = given.choice("mode", CHOICES, HELP) else { return };
        let mode = match *self.mode {
            Mode::Tproxy(tproxy) if is_tproxy => Mode::Tproxy(tproxy),
            _ if is_tproxy => Mode::Tproxy(Tproxy::default()),
            _ => Mode::Redirect,
        };
        self.mode = Setting::written(mode, given.span);
    }

    /// Sets one of the numbers of TPROXY mode. Those of another mode are reported when the policy
    /// is complete.
    fn tproxy<T>(
        &mut self,
        clause: Span,
        place: impl FnOnce(&mut Tproxy) -> &mut T,
        value: Option<T>,
    ) {
        if let (Mode::Tproxy(tproxy), Some(value)) = (&mut self.mode.value, value) {
            *place(tproxy) = value;
            self.mode.clause.get_or_insert(clause);
        }
    }

    fn other_family(&mut self, ending: &mut Ending<'_>) {
        let Some(mut strays) = Strays::under(&self.families) else { return };
        self.lists(&mut strays);
        let own = ending.has(self.passthrough.clause);
        strays.reset(&mut self.passthrough, Proxy::default().passthrough.value, own);
        let own = ending.has(self.loopback.clause);
        strays.reset(&mut self.loopback, Outbound::default().loopback.value, own);
        strays.report(ending);
    }

    fn contradictions(&mut self, groups: &List<u32>, ending: &mut Ending<'_>) {
        if self.users.is_none() && groups.is_none() {
            let group = self.groups.as_ref().and_then(|groups| groups.clause);
            let at = self.users.clause.unwrap_or(ending.at);
            let diagnostic = Problem::NobodysProxy.at(at, "no user");
            ending.report.push(diagnostic.and(group, "no group"));
        }
        if !self.capture_groups.all && !self.exclude_groups.is_none() {
            ending.contradiction(
                ("capture group", self.capture_groups.clause),
                ("exclude group", self.exclude_groups.clause),
                "keep one: a list of captured groups leaves every other one out; an inherited one \
                 ends with `capture group *` or `exclude group none`",
            );
        }
        let seen = |block, words| ending.seen.get(&(block, words)).copied();
        let (capture, exclude) =
            (seen("outbound", "capture loopback"), seen("outbound", "exclude loopback"));
        if capture.is_some() && exclude.is_some() {
            let (first, second) = (("capture loopback", capture), ("exclude loopback", exclude));
            ending.contradiction(first, second, "keep one of the two");
        }
        ending.dns_contradiction();
        if let (Some(mode), true) = (ending.seen.get(&("", "mode")), ending.has_in_block("mode"))
            && self.mode.value == Mode::Redirect
        {
            let clause = "mode redirect".to_owned();
            ending.report.push(Problem::SurplusBlock { clause }.at(*mode, "it has no numbers"));
        }
        effects::excluded_outside(&self.inbound_capture, &mut self.inbound_exclude, ending);
    }

    fn captured_and_excluded(&self, groups: &List<u32>, ending: &mut Ending<'_>) {
        let report = &mut *ending.report;
        self.inbound_capture.excluded("port", &self.inbound_exclude, report);
        self.capture_to.excluded("destination", &self.exclude_to, report);
        self.capture_ports.excluded("port", &self.exclude_ports, report);
        effects::proxy_groups(groups, &self.capture_groups, "captured here", report);
        effects::proxy_groups(groups, &self.exclude_groups, "excluded here", report);
        effects::rerouted_and_excluded(&self.reroute, &self.exclude_interfaces, report);
        if self.capture_loopback.is_some_and(|capture| !*capture) {
            effects::loopback_excluded(&self.capture_to, ending);
        }
        let is_tproxy = matches!(*self.mode, Mode::Tproxy(_));
        if !is_tproxy && !self.inbound_capture.is_none() {
            let tunnel = self.tunnel_port;
            effects::tunnel_excluded(tunnel, &self.inbound_exclude, ending.report);
        }
        let (to, ports) = (&self.capture_to, &self.capture_ports);
        effects::excluded_beside(to, ports, &self.exclude_to, ending.report);
        let implies_nothing = self.capture_loopback.is_some();
        if implies_nothing || ports.is_none() {
            effects::captured_itself(to, &self.loopback.setting(), implies_nothing, ending);
        }
        effects::same_ports(&self.ports(), ending);
        if let Mode::Tproxy(tproxy) = *self.mode
            && tproxy.mark == tproxy.outbound_mark
        {
            effects::same_mark(tproxy.mark, ending);
        }
    }

    fn ports(&self) -> Vec<Port> {
        let mut ports = vec![
            Port::new("outbound-port", self.outbound_port),
            Port::new("inbound-port", self.inbound_port),
            Port::new("tunnel-port", self.tunnel_port),
        ];
        if *self.dns_on {
            ports.push(Port::new("the port of `dns`", self.dns_port));
        }
        ports
    }

    /// The policy that the clauses make.
    fn meaning(self, groups: &List<u32>) -> Sidecar {
        let users = self.users.setting();
        let mut groups = groups.setting();
        if self.groups.is_none() {
            groups.clause = users.clause;
        }
        let mut outbound = Outbound {
            capture_loopback: Setting::default_to(false),
            capture_to: self.capture_to.selection(),
            exclude_to: self.exclude_to.setting(),
            capture_ports: self.capture_ports.setting(),
            exclude_ports: self.exclude_ports.setting(),
            groups: if self.capture_groups.all {
                let clause = self.exclude_groups.clause.or(self.capture_groups.clause);
                Setting { value: Groups::Except(self.exclude_groups.values()), clause }
            } else {
                let only = self.capture_groups.setting();
                Setting { value: Groups::Only(only.value), clause: only.clause }
            },
            loopback: self.loopback.setting(),
        };
        let names_loopback = outbound.names_loopback();
        outbound.capture_loopback = self.capture_loopback.unwrap_or(Setting {
            value: names_loopback,
            clause: self.capture_to.clause.filter(|_| names_loopback),
        });
        let dns = || Dns { servers: self.dns_servers.selection().value, port: *self.dns_port };
        Sidecar {
            families: self.families,
            mode: self.mode,
            proxy: Proxy {
                users,
                groups,
                outbound_port: self.outbound_port,
                inbound_port: self.inbound_port,
                tunnel_port: self.tunnel_port,
                passthrough: self.passthrough.setting(),
            },
            inbound: Inbound {
                capture_ports: self.inbound_capture.selection(),
                exclude_ports: self.inbound_exclude.setting(),
            },
            outbound,
            dns: Setting { value: self.dns_on.then(dns), clause: self.dns_on.clause },
            interfaces: Interfaces {
                exclude: self.exclude_interfaces.setting(),
                reroute: self.reroute.setting(),
            },
            drop_invalid: self.drop_invalid,
        }
    }
}
