//! Pods of the ambient mesh: a workload whose proxy runs on the node.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::PROBE_SOURCE;
use super::sidecar::Dns;
use crate::net::{Families, Interface, Mark, PerFamily};
use crate::policy::clauses::effects::{self, Port};
use crate::policy::clauses::families::Strays;
use crate::policy::clauses::form::{Draft, Ending, Form};
use crate::policy::clauses::given::Specials;
use crate::policy::clauses::lists::{List, Repeated, Visitor};
use crate::policy::clauses::numbers::PRIORITY;
use crate::policy::clauses::per_family::PerFamilySetting;
use crate::policy::kind::PolicyKind;
use crate::policy::printer::Printer;
use crate::policy::setting::Setting;

/// The traffic of a workload whose proxy runs on the node.
///
/// [`AmbientPod::default`] is what Istio 1.29 applies to a pod when nothing is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct AmbientPod {
    /// The families governed. `family`; default: both.
    pub families: Setting<Families>,
    /// Where the proxy is and how its packets are known.
    pub proxy: AmbientProxy,
    /// The source of kubelet's probes, never captured. `probe { from }`.
    pub probe_from: Setting<PerFamily<Ipv4Addr, Ipv6Addr>>,
    /// The port that takes DNS; `None` is off. `dns`; default: 15053.
    pub dns: Setting<Option<u16>>,
    /// Whether inbound connections are captured. `inbound { capture none }` says no.
    pub capture_inbound: Setting<bool>,
    /// What arrives on these is treated as outbound (virtual machines). `interface { reroute }`.
    pub reroute: Setting<Vec<Interface>>,
    /// The route that delivers the proxy's replies locally.
    pub route: PodRoute,
}

/// Where the node's proxy is reached, and how its packets are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct AmbientProxy {
    /// Packet mark that the proxy sets on its own. `mark`; default: 0x539/0xfff.
    pub mark: Setting<Mark>,
    /// Connection mark of connections that the proxy opened. `connmark`; default: 0x111/0xfff.
    pub connmark: Setting<Mark>,
    /// Where outbound connections go. `outbound-port`; default: 15001.
    pub outbound_port: Setting<u16>,
    /// Where inbound plaintext goes. `inbound-port`; default: 15006.
    pub inbound_port: Setting<u16>,
    /// Where the proxy takes tunnels (HBONE), never captured. `tunnel-port`; default: 15008.
    pub tunnel_port: Setting<u16>,
}

/// The route that delivers the proxy's replies locally.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PodRoute {
    /// The routing table. `route { table }`; default: 100.
    pub table: Setting<u32>,
    /// Priority of the rule that selects it. `route { priority }`; default: 32764.
    pub priority: Setting<u32>,
}

impl Default for AmbientPod {
    fn default() -> Self {
        Self {
            families: Setting::default_to(Families::Both),
            proxy: AmbientProxy::default(),
            probe_from: Setting::default_to(PROBE_SOURCE),
            dns: Setting::default_to(Some(Dns::DEFAULT_PORT)),
            capture_inbound: Setting::default_to(true),
            reroute: Setting::default_to(Vec::new()),
            route: PodRoute {
                table: Setting::default_to(100),
                priority: Setting::default_to(32764),
            },
        }
    }
}

impl Default for AmbientProxy {
    fn default() -> Self {
        let mark = |value| Mark::new(value, 0xfff).expect("the value lies within the mask");
        Self {
            mark: Setting::default_to(mark(0x539)),
            connmark: Setting::default_to(mark(0x111)),
            outbound_port: Setting::default_to(15001),
            inbound_port: Setting::default_to(15006),
            tunnel_port: Setting::default_to(15008),
        }
    }
}

impl Default for PodRoute {
    fn default() -> Self {
        AmbientPod::default().route
    }
}

/// An ambient-pod policy while its clauses are read.
#[derive(Clone)]
pub(crate) struct PodDraft {
    families: Setting<Families>,
    proxy: AmbientProxy,
    probe_from: PerFamilySetting<Ipv4Addr, Ipv6Addr>,
    dns_on: Setting<bool>,
    dns_port: Setting<u16>,
    capture_inbound: Setting<bool>,
    reroute: List<Interface>,
    route: PodRoute,
}

impl Default for PodDraft {
    fn default() -> Self {
        let AmbientPod { families, proxy, probe_from, dns, capture_inbound, route, .. } =
            AmbientPod::default();
        Self {
            families,
            proxy,
            probe_from: PerFamilySetting::default_to(probe_from.value),
            dns_on: Setting::default_to(dns.is_some()),
            dns_port: Setting::default_to(Dns::DEFAULT_PORT),
            capture_inbound,
            reroute: List::default(),
            route,
        }
    }
}

impl Draft for PodDraft {
    type Policy = AmbientPod;

    const FORMS: &'static [Form<Self>] = &[
        Form::one("", "family", "ipv4", |draft, given| given.families(&mut draft.families)),
        Form::one("proxy", "mark", "0x539/0xfff", |draft, given| {
            given.masked(&mut draft.proxy.mark);
        }),
        Form::one("proxy", "connmark", "0x111/0xfff", |draft, given| {
            given.masked(&mut draft.proxy.connmark);
        }),
        Form::one("proxy", "outbound-port", "15001", |draft, given| {
            given.port(&mut draft.proxy.outbound_port);
        }),
        Form::one("proxy", "inbound-port", "15006", |draft, given| {
            given.port(&mut draft.proxy.inbound_port);
        }),
        Form::one("proxy", "tunnel-port", "15008", |draft, given| {
            given.port(&mut draft.proxy.tunnel_port);
        }),
        Form::one("probe", "from", "169.254.7.127", |draft, given| {
            given.addresses(&mut draft.probe_from, AmbientPod::default().probe_from.value);
        }),
        Form::one("", "dns", "none", |draft, given| {
            if given.dns_none() {
                draft.dns_on = Setting::written(false, given.span);
            }
        }),
        Form::bare("dns", "", |draft, given| draft.dns_on = Setting::written(true, given.span)),
        Form::one("dns", "capture", "*", |_, given| {
            const HELP: &str = "write `*`, or `dns none` outside of the block: the proxy of the \
                                node takes the queries to every server";
            given.choice("DNS server", &[("*", ())], HELP);
        }),
        Form::one("dns", "port", "15053", |draft, given| given.port(&mut draft.dns_port)),
        Form::one("inbound", "capture", "none", |draft, given| {
            const CHOICES: &[(&str, bool)] = &[("*", true), ("none", false)];
            const HELP: &str = "`capture *` captures every inbound connection, `capture none` none";
            let all = given.choice("selection", CHOICES, HELP);
            given.set(&mut draft.capture_inbound, all);
        }),
        Form::list("interface", "reroute", "virt0", |draft, given| {
            given.list(&mut draft.reroute, Specials::INTERFACES);
        }),
        Form::one("route", "table", "100", |draft, given| {
            let table = given.table();
            given.set(&mut draft.route.table, table);
        }),
        Form::one("route", "priority", "32764", |draft, given| {
            let priority = given.number(&PRIORITY);
            given.set(&mut draft.route.priority, priority);
        }),
    ];

    fn lists(&mut self, visitor: &mut impl Visitor) {
        let Self {
            families: _,
            proxy: _,
            probe_from: _,
            dns_on: _,
            dns_port: _,
            capture_inbound: _,
            reroute,
            route: _,
        } = self;
        visitor.visit(reroute);
    }

    fn finish(mut self, ending: &mut Ending<'_>) -> AmbientPod {
        if let Some(mut strays) = Strays::under(&self.families) {
            let own = ending.has(self.probe_from.clause);
            strays.reset(&mut self.probe_from, AmbientPod::default().probe_from.value, own);
            strays.report(ending);
        }
        ending.dns_contradiction();
        self.lists(&mut Repeated(ending.report));
        let proxy = &self.proxy;
        let mut ports = vec![
            Port::new("outbound-port", proxy.outbound_port),
            Port::new("inbound-port", proxy.inbound_port),
            Port::new("tunnel-port", proxy.tunnel_port),
        ];
        if *self.dns_on {
            ports.push(Port::new("the port of `dns`", self.dns_port));
        }
        effects::same_ports(&ports, ending);
        AmbientPod {
            families: self.families,
            probe_from: self.probe_from.setting(),
            dns: Setting {
                value: self.dns_on.then_some(*self.dns_port),
                clause: self.dns_on.clause,
            },
            capture_inbound: self.capture_inbound,
            reroute: self.reroute.setting(),
            route: self.route,
            proxy: self.proxy,
        }
    }
}

impl PolicyKind for AmbientPod {
    type Draft = PodDraft;

    const ALSO_CALLED: &'static [&'static str] = &["ambient", "ztunnel"];

    fn families(&self) -> Setting<Families> {
        self.families
    }

    fn print(&self, out: &mut Printer) {
        let default = Self::default();
        out.families(*self.families);
        let (proxy, proxy_default) = (&self.proxy, AmbientProxy::default());
        out.one(("proxy", "mark"), &*proxy.mark, &*proxy_default.mark);
        out.one(("proxy", "connmark"), &*proxy.connmark, &*proxy_default.connmark);
        out.proxy_ports([
            ("outbound-port", proxy.outbound_port, proxy_default.outbound_port),
            ("inbound-port", proxy.inbound_port, proxy_default.inbound_port),
            ("tunnel-port", proxy.tunnel_port, proxy_default.tunnel_port),
        ]);
        let at = ("probe", "from");
        out.addresses(at, *self.families, &self.probe_from, &default.probe_from);
        match *self.dns {
            None => out.clause(("", "dns"), ["none"], false),
            Some(port) => {
                let is_default = self.dns == default.dns;
                out.clause(("dns", "capture"), ["*"], is_default);
                out.clause(("dns", "port"), [port], is_default);
            }
        }
        let inbound = if *self.capture_inbound { "*" } else { "none" };
        out.one(("inbound", "capture"), &inbound, &"*");
        out.list(("interface", "reroute"), &self.reroute);
        out.one(("route", "table"), &*self.route.table, &*default.route.table);
        out.one(("route", "priority"), &*self.route.priority, &*default.route.priority);
    }
}
