//! Sidecars to text.

use super::meaning::{Dns, Groups, Inbound, Interfaces, Mode, Outbound, Proxy, Sidecar, Tproxy};
use crate::net::{Families, OnMiss, PerFamily, written_net};
use crate::policy::printer::Printer;
use crate::policy::setting::Selection;

/// Writes the clauses of `sidecar`.
pub(super) fn print(sidecar: &Sidecar, out: &mut Printer) {
    let default = Sidecar::default();
    out.families(*sidecar.families);
    mode(*sidecar.mode, out);
    proxy(&sidecar.proxy, *sidecar.families, &default.proxy, out);
    inbound(&sidecar.inbound, out);
    outbound(&sidecar.outbound, *sidecar.families, &default.outbound, out);
    match &*sidecar.dns {
        None => out.clause(("", "dns"), ["none"], true),
        Some(dns) => {
            match &dns.servers {
                // Without the clause the block would be empty, and might not be written.
                Selection::All => out.clause(("dns", "capture"), ["*"], false),
                Selection::Only(servers) => {
                    out.list_unless(("dns", "capture"), servers, false);
                }
            }
            out.one(("dns", "port"), &dns.port, &Dns::DEFAULT_PORT);
        }
    }
    interfaces(&sidecar.interfaces, out);
    let drop = if *sidecar.drop_invalid { "invalid" } else { "none" };
    out.one(("", "drop"), &drop, &"none");
}

fn mode(mode: Mode, out: &mut Printer) {
    let tproxy = match mode {
        Mode::Redirect => return out.clause(("", "mode"), ["redirect"], true),
        Mode::Tproxy(tproxy) => tproxy,
    };
    let default = Tproxy::default();
    if tproxy == default && out.only_differences() {
        return out.clause(("", "mode"), ["tproxy"], false);
    }
    let on_miss = |on_miss| match on_miss {
        OnMiss::Drop => "drop",
        OnMiss::Continue => "continue",
    };
    out.one(("mode tproxy", "mark"), &tproxy.mark, &default.mark);
    out.one(("mode tproxy", "outbound-mark"), &tproxy.outbound_mark, &default.outbound_mark);
    out.one(("mode tproxy", "table"), &tproxy.table, &default.table);
    out.one(("mode tproxy", "on-miss"), &on_miss(tproxy.on_miss), &on_miss(default.on_miss));
}

fn proxy(proxy: &Proxy, families: Families, default: &Proxy, out: &mut Printer) {
    out.list_unless(("proxy", "user"), &proxy.users, proxy.users == default.users);
    out.list_unless(("proxy", "group"), &proxy.groups, proxy.groups == proxy.users);
    out.proxy_ports([
        ("outbound-port", proxy.outbound_port, default.outbound_port),
        ("inbound-port", proxy.inbound_port, default.inbound_port),
        ("tunnel-port", proxy.tunnel_port, default.tunnel_port),
    ]);
    let at = ("proxy", "passthrough");
    out.addresses(at, families, &proxy.passthrough, &default.passthrough);
}

fn inbound(inbound: &Inbound, out: &mut Printer) {
    out.selection(("inbound", "capture port"), &inbound.capture_ports);
    out.list(("inbound", "exclude port"), &inbound.exclude_ports);
}

fn outbound(outbound: &Outbound, families: Families, default: &Outbound, out: &mut Printer) {
    out.selected_nets(("outbound", "capture to"), &outbound.capture_to);
    out.nets(("outbound", "exclude to"), &outbound.exclude_to);
    out.list(("outbound", "capture port"), &outbound.capture_ports);
    out.list(("outbound", "exclude port"), &outbound.exclude_ports);
    match &*outbound.groups {
        Groups::Only(groups) => {
            out.list_unless(("outbound", "capture group"), groups, false);
        }
        Groups::Except(groups) => {
            out.clause(("outbound", "capture group"), ["*"], true);
            out.list(("outbound", "exclude group"), groups);
        }
    }
    let loopback = |of: &Outbound| PerFamily {
        ipv4: written_net(of.loopback.ipv4.into()),
        ipv6: written_net(of.loopback.ipv6.into()),
    };
    let at = ("outbound", "loopback");
    out.addresses(at, families, &loopback(outbound), &loopback(default));
    let words = if *outbound.capture_loopback { "capture loopback" } else { "exclude loopback" };
    let is_implied = *outbound.capture_loopback == outbound.names_loopback();
    out.clause(("outbound", words), [""; 0], is_implied);
}

fn interfaces(interfaces: &Interfaces, out: &mut Printer) {
    out.list(("interface", "exclude"), &interfaces.exclude);
    out.list(("interface", "reroute"), &interfaces.reroute);
}
