//! Policies to text.

use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{
    AmbientHost, AmbientPod, AmbientProxy, Groups, Inbound, Interfaces, Kind, Mode, Outbound,
    Policy, ProbeOwner, Proxy, Selection, Sidecar, Tproxy,
};
use crate::net::{Families, Family, OnMiss, PerFamily};
use crate::syntax::Page;

/// How much [`print()`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Every clause, defaults too.
    Everything,
    /// Only what differs from the defaults.
    Differences,
}

/// The policy in the language, formatted; parsing it gives the policy again.
///
/// Of a policy that [`check`](super::check) made, that is. One from elsewhere must hold to the
/// same rules: no value of a family that it does not govern but the defaults, no excluded inbound
/// port that is not captured, marks that are not 0, and so on.
#[must_use]
pub fn print(policy: &Policy, detail: Detail) -> String {
    let mut printer = Printer { page: Page::default(), block: None, detail };
    printer.page.open(&format!("{} {}", policy.kind.keyword(), policy.name));
    match &policy.kind {
        Kind::Sidecar(sidecar) => printer.sidecar(sidecar),
        Kind::AmbientPod(pod) => printer.ambient_pod(pod),
        Kind::AmbientHost(host) => printer.ambient_host(host),
    }
    printer.block(None);
    for expectation in &policy.expectations {
        printer.page.words(&expectation.words());
    }
    printer.page.close();
    printer.page.finish()
}

/// A policy while it is written.
struct Printer {
    page: Page,
    /// The open block.
    block: Option<&'static str>,
    detail: Detail,
}

impl Printer {
    /// Ends the open block, so that `block` can be opened when a clause of it comes.
    fn block(&mut self, block: Option<&'static str>) {
        if self.block.is_some() && self.block != block {
            self.page.close();
            self.block = None;
        }
    }

    /// Writes a clause, unless it says the default and only differences are wanted.
    fn clause<I>(&mut self, (block, words): (&'static str, &str), values: I, is_default: bool)
    where
        I: IntoIterator<Item: ToString>,
    {
        if is_default && self.detail == Detail::Differences {
            return;
        }
        let block = Some(block).filter(|block| !block.is_empty());
        self.block(block);
        if let (Some(head), None) = (block, self.block) {
            self.page.open(head);
            self.block = block;
        }
        self.page.clause(words, values);
    }

    /// Writes a clause with one value.
    fn one<T: Display + PartialEq>(&mut self, at: (&'static str, &str), value: &T, default: &T) {
        self.clause(at, [value], value == default);
    }

    /// Writes a clause with a list, which is `none` by default.
    fn list<T: Display>(&mut self, at: (&'static str, &str), values: &[T]) {
        self.list_unless(at, values, values.is_empty());
    }

    fn list_unless<T: Display>(
        &mut self,
        at: (&'static str, &str),
        values: &[T],
        is_default: bool,
    ) {
        if values.is_empty() {
            self.clause(at, ["none"], is_default);
        } else {
            self.clause(at, values, is_default);
        }
    }

    /// Writes a clause with a selection, which is `*` by default.
    fn selection<T: Display>(&mut self, at: (&'static str, &str), selection: &Selection<T>) {
        match selection {
            Selection::All => self.clause(at, ["*"], true),
            Selection::Only(values) => self.list_unless(at, values, false),
        }
    }

    /// Writes a clause with a value for each family, without that of a family not governed.
    fn addresses<A: Display + PartialEq, B: Display + PartialEq>(
        &mut self,
        at: (&'static str, &str),
        families: Families,
        value: &PerFamily<A, B>,
        default: &PerFamily<A, B>,
    ) {
        let values = families.iter().map(|family| match family {
            Family::Ipv4 => value.ipv4.to_string(),
            Family::Ipv6 => value.ipv6.to_string(),
        });
        self.clause(at, values, value == default);
    }

    fn families(&mut self, families: Families) {
        let words = families.iter().map(Family::keyword);
        self.clause(("", "family"), words, families == Families::Both);
    }

    fn sidecar(&mut self, sidecar: &Sidecar) {
        let default = Sidecar::default();
        self.families(*sidecar.families);
        self.mode(*sidecar.mode);
        self.proxy(&sidecar.proxy, *sidecar.families, &default.proxy);
        self.inbound(&sidecar.inbound);
        self.outbound(&sidecar.outbound, *sidecar.families, &default.outbound);
        match &*sidecar.dns {
            None => self.clause(("", "dns"), ["none"], true),
            Some(dns) => {
                match &dns.servers {
                    // Without the clause the block would be empty, and might not be written.
                    Selection::All => self.clause(("dns", "capture"), ["*"], false),
                    Selection::Only(servers) => {
                        self.list_unless(("dns", "capture"), servers, false);
                    }
                }
                self.one(("dns", "port"), &dns.port, &super::Dns::DEFAULT_PORT);
            }
        }
        self.interfaces(&sidecar.interfaces);
        let drop = if *sidecar.drop_invalid { "invalid" } else { "none" };
        self.one(("", "drop"), &drop, &"none");
    }

    fn mode(&mut self, mode: Mode) {
        let tproxy = match mode {
            Mode::Redirect => return self.clause(("", "mode"), ["redirect"], true),
            Mode::Tproxy(tproxy) => tproxy,
        };
        let default = Tproxy::default();
        if tproxy == default && self.detail == Detail::Differences {
            return self.clause(("", "mode"), ["tproxy"], false);
        }
        let on_miss = |on_miss| match on_miss {
            OnMiss::Drop => "drop",
            OnMiss::Continue => "continue",
        };
        self.one(("mode tproxy", "mark"), &tproxy.mark, &default.mark);
        self.one(("mode tproxy", "outbound-mark"), &tproxy.outbound_mark, &default.outbound_mark);
        self.one(("mode tproxy", "table"), &tproxy.table, &default.table);
        self.one(("mode tproxy", "on-miss"), &on_miss(tproxy.on_miss), &on_miss(default.on_miss));
    }

    fn proxy(&mut self, proxy: &Proxy, families: Families, default: &Proxy) {
        self.list_unless(("proxy", "user"), &proxy.users, proxy.users == default.users);
        self.list_unless(("proxy", "group"), &proxy.groups, proxy.groups == proxy.users);
        for (words, port, default) in [
            ("outbound-port", proxy.outbound_port, default.outbound_port),
            ("inbound-port", proxy.inbound_port, default.inbound_port),
            ("tunnel-port", proxy.tunnel_port, default.tunnel_port),
        ] {
            self.one(("proxy", words), &*port, &*default);
        }
        let at = ("proxy", "passthrough");
        self.addresses(at, families, &proxy.passthrough, &default.passthrough);
    }

    fn inbound(&mut self, inbound: &Inbound) {
        self.selection(("inbound", "capture port"), &inbound.capture_ports);
        self.list(("inbound", "exclude port"), &inbound.exclude_ports);
    }

    fn outbound(&mut self, outbound: &Outbound, families: Families, default: &Outbound) {
        match &*outbound.capture_to {
            Selection::All => self.clause(("outbound", "capture to"), ["*"], true),
            Selection::Only(nets) => {
                self.list_unless(("outbound", "capture to"), &written(nets), false);
            }
        }
        self.list(("outbound", "exclude to"), &written(&outbound.exclude_to));
        self.list(("outbound", "capture port"), &outbound.capture_ports);
        self.list(("outbound", "exclude port"), &outbound.exclude_ports);
        match &*outbound.groups {
            Groups::Only(groups) => {
                self.list_unless(("outbound", "capture group"), groups, false);
            }
            Groups::Except(groups) => {
                self.clause(("outbound", "capture group"), ["*"], true);
                self.list(("outbound", "exclude group"), groups);
            }
        }
        let loopback = |of: &Outbound| PerFamily {
            ipv4: written_net(of.loopback.ipv4.into()),
            ipv6: written_net(of.loopback.ipv6.into()),
        };
        let at = ("outbound", "loopback");
        self.addresses(at, families, &loopback(outbound), &loopback(default));
        let words =
            if *outbound.capture_loopback { "capture loopback" } else { "exclude loopback" };
        let is_implied = *outbound.capture_loopback == outbound.names_loopback();
        self.clause(("outbound", words), [""; 0], is_implied);
    }

    fn interfaces(&mut self, interfaces: &Interfaces) {
        self.list(("interface", "exclude"), &interfaces.exclude);
        self.list(("interface", "reroute"), &interfaces.reroute);
    }

    fn ambient_pod(&mut self, pod: &AmbientPod) {
        let default = AmbientPod::default();
        self.families(*pod.families);
        let (proxy, proxy_default) = (&pod.proxy, AmbientProxy::default());
        self.one(("proxy", "mark"), &*proxy.mark, &*proxy_default.mark);
        self.one(("proxy", "connmark"), &*proxy.connmark, &*proxy_default.connmark);
        for (words, port, default) in [
            ("outbound-port", proxy.outbound_port, proxy_default.outbound_port),
            ("inbound-port", proxy.inbound_port, proxy_default.inbound_port),
            ("tunnel-port", proxy.tunnel_port, proxy_default.tunnel_port),
        ] {
            self.one(("proxy", words), &*port, &*default);
        }
        self.probe_from(*pod.families, &pod.probe_from, &default.probe_from);
        match *pod.dns {
            None => self.clause(("", "dns"), ["none"], false),
            Some(port) => {
                let is_default = pod.dns == default.dns;
                self.clause(("dns", "capture"), ["*"], is_default);
                self.clause(("dns", "port"), [port], is_default);
            }
        }
        let inbound = if *pod.capture_inbound { "*" } else { "none" };
        self.one(("inbound", "capture"), &inbound, &"*");
        self.list(("interface", "reroute"), &pod.reroute);
        self.one(("route", "table"), &*pod.route.table, &*default.route.table);
        self.one(("route", "priority"), &*pod.route.priority, &*default.route.priority);
    }

    fn ambient_host(&mut self, host: &AmbientHost) {
        let default = AmbientHost::default();
        self.families(*host.families);
        self.probe_from(*host.families, &host.probe.from, &default.probe.from);
        match *host.probe.owner {
            ProbeOwner::Any => self.clause(("probe", "owner"), ["any"], true),
            ProbeOwner::User(user) => self.clause(("probe", "owner user"), [user], false),
        }
        self.one(("probe", "pods"), &*host.probe.pods, &*default.probe.pods);
    }

    fn probe_from(
        &mut self,
        families: Families,
        from: &PerFamily<Ipv4Addr, Ipv6Addr>,
        default: &PerFamily<Ipv4Addr, Ipv6Addr>,
    ) {
        self.addresses(("probe", "from"), families, from, default);
    }
}

fn written(nets: &[IpNet]) -> Vec<String> {
    nets.iter().copied().map(written_net).collect()
}

/// The prefix as the language writes it: that of one address is the address.
pub(super) fn written_net(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}
