//! The clauses of ambient policies.

use super::effects::{self, Port};
use super::families::Strays;
use super::forms::{Draft, Ending, Form};
use super::given::{PerFamilySetting, Specials};
use super::lists::List;
use super::numbers::{PRIORITY, USER};
use crate::net::{Interface, Name};
use crate::policy::{AmbientHost, AmbientPod, Dns, Kind, ProbeOwner, Setting};
use std::net::{Ipv4Addr, Ipv6Addr};

/// An ambient-pod policy while its clauses are read.
#[derive(Clone)]
pub(super) struct PodDraft {
    /// What needs no more than a value. The other fields take the place of theirs in it.
    plain: AmbientPod,
    probe_from: PerFamilySetting<Ipv4Addr, Ipv6Addr>,
    dns_on: Setting<bool>,
    dns_port: Setting<u16>,
    reroute: List<Interface>,
}

impl Default for PodDraft {
    fn default() -> Self {
        let plain = AmbientPod::default();
        Self {
            probe_from: PerFamilySetting::default_to(plain.probe_from.value),
            dns_on: Setting::default_to(plain.dns.is_some()),
            dns_port: Setting::default_to(Dns::DEFAULT_PORT),
            reroute: List::default(),
            plain,
        }
    }
}

impl Draft for PodDraft {
    const KIND: &'static str = "ambient-pod";

    const FORMS: &'static [Form<Self>] = &[
        Form::one("", "family", "ipv4", |draft, given| given.families(&mut draft.plain.families)),
        Form::one("proxy", "mark", "0x539/0xfff", |draft, given| {
            given.masked(&mut draft.plain.proxy.mark);
        }),
        Form::one("proxy", "connmark", "0x111/0xfff", |draft, given| {
            given.masked(&mut draft.plain.proxy.connmark);
        }),
        Form::one("proxy", "outbound-port", "15001", |draft, given| {
            given.port(&mut draft.plain.proxy.outbound_port);
        }),
        Form::one("proxy", "inbound-port", "15006", |draft, given| {
            given.port(&mut draft.plain.proxy.inbound_port);
        }),
        Form::one("proxy", "tunnel-port", "15008", |draft, given| {
            given.port(&mut draft.plain.proxy.tunnel_port);
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
            given.set(&mut draft.plain.capture_inbound, all);
        }),
        Form::list("interface", "reroute", "virt0", |draft, given| {
            given.list(&mut draft.reroute, Specials::no_star(super::EVERY_INTERFACE));
        }),
        Form::one("route", "table", "100", |draft, given| {
            let table = given.table();
            given.set(&mut draft.plain.route.table, table);
        }),
        Form::one("route", "priority", "32764", |draft, given| {
            let priority = given.number(&PRIORITY);
            given.set(&mut draft.plain.route.priority, priority);
        }),
    ];

    fn inherit(&mut self) -> usize {
        self.reroute.inherit()
    }

    fn finish(mut self, ending: &mut Ending<'_>) -> Kind {
        if let Some(mut strays) = Strays::under(&self.plain.families) {
            let own = ending.has(self.probe_from.clause);
            strays.reset(&mut self.probe_from, AmbientPod::default().probe_from.value, own);
            strays.report(ending);
        }
        ending.dns_contradiction();
        self.reroute.repeated(ending.report);
        let proxy = &self.plain.proxy;
        let mut ports = vec![
            Port::new("outbound-port", proxy.outbound_port),
            Port::new("inbound-port", proxy.inbound_port),
            Port::new("tunnel-port", proxy.tunnel_port),
        ];
        if *self.dns_on {
            ports.push(Port::new("the port of `dns`", self.dns_port));
        }
        effects::same_ports(&ports, ending);
        Kind::AmbientPod(Box::new(AmbientPod {
            probe_from: self.probe_from.setting(),
            dns: Setting {
                value: self.dns_on.then_some(*self.dns_port),
                clause: self.dns_on.clause,
            },
            reroute: self.reroute.setting(),
            ..self.plain
        }))
    }
}

/// An ambient-host policy while its clauses are read.
#[derive(Clone)]
pub(super) struct HostDraft {
    /// What needs no more than a value. The other field takes the place of its in it.
    plain: AmbientHost,
    from: PerFamilySetting<Ipv4Addr, Ipv6Addr>,
}

impl Default for HostDraft {
    fn default() -> Self {
        let plain = AmbientHost::default();
        Self { from: PerFamilySetting::default_to(plain.probe.from.value), plain }
    }
}

impl Draft for HostDraft {
    const KIND: &'static str = "ambient-host";

    const FORMS: &'static [Form<Self>] = &[
        Form::one("", "family", "ipv4", |draft, given| given.families(&mut draft.plain.families)),
        Form::one("probe", "from", "169.254.7.127", |draft, given| {
            given.addresses(&mut draft.from, AmbientHost::default().probe.from.value);
        }),
        Form::bare("probe", "owner any", |draft, given| {
            draft.plain.probe.owner = Setting::written(ProbeOwner::Any, given.span);
        }),
        Form::one("probe", "owner user", "0", |draft, given| {
            let owner = given.number(&USER).map(ProbeOwner::User);
            given.set(&mut draft.plain.probe.owner, owner);
        }),
        Form::one("probe", "pods", "istio-inpod-probes", |draft, given| {
            // `-v4` or `-v6` follows in the names of the sets.
            let name = given.name(Name::MAX_LEN - "-v4".len());
            given.set(&mut draft.plain.probe.pods, name);
        }),
    ];

    fn inherit(&mut self) -> usize {
        0
    }

    fn finish(mut self, ending: &mut Ending<'_>) -> Kind {
        if let Some(mut strays) = Strays::under(&self.plain.families) {
            let own = ending.has(self.from.clause);
            strays.reset(&mut self.from, AmbientHost::default().probe.from.value, own);
            strays.report(ending);
        }
        let seen = |words| ending.seen.get(&("probe", words)).copied();
        let (any, user) = (seen("owner any"), seen("owner user"));
        if any.is_some() && user.is_some() {
            ending.contradiction(("owner any", any), ("owner user", user), "keep one of the two");
        }
        let mut host = self.plain;
        host.probe.from = self.from.setting();
        Kind::AmbientHost(Box::new(host))
    }
}
