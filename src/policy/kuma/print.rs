//! A Kuma policy as text.

use super::meaning::{Dns, Inbound, Kuma, Outbound, Proxy};
use crate::net::Family;
use crate::policy::printer::Printer;
use crate::policy::setting::Selection;

/// Writes the clauses.
pub(super) fn print(kuma: &Kuma, out: &mut Printer) {
    out.families(*kuma.families);
    proxy(&kuma.proxy, out);
    inbound(&kuma.inbound, out);
    outbound(&kuma.outbound, out);
    match &*kuma.dns {
        None => out.clause(("", "dns"), ["none"], true),
        Some(dns) => self::dns(dns, out),
    }
    out.list(("", "vnet"), &kuma.networks);
    let drop = if *kuma.drop_invalid { "invalid" } else { "none" };
    out.one(("", "drop"), &drop, &"none");
}

fn proxy(proxy: &Proxy, out: &mut Printer) {
    let default = Proxy::default();
    out.one(("proxy", "user"), &*proxy.user, &*default.user);
    out.proxy_ports([
        ("inbound-port", proxy.inbound_port, default.inbound_port),
        ("outbound-port", proxy.outbound_port, default.outbound_port),
        ("dns-port", proxy.dns_port, default.dns_port),
    ]);
}

fn inbound(inbound: &Inbound, out: &mut Printer) {
    out.selection(("inbound", "capture port"), &inbound.capture_ports);
    out.list(("inbound", "exclude port"), &inbound.exclude_ports);
    out.nets(("inbound", "exclude from"), &inbound.exclude_from);
}

fn outbound(outbound: &Outbound, out: &mut Printer) {
    out.selection(("outbound", "capture port"), &outbound.capture_ports);
    out.list(("outbound", "exclude port"), &outbound.exclude_ports);
    out.nets(("outbound", "exclude to"), &outbound.exclude_to);
    out.list(("outbound", "exclude user"), &outbound.exclude_users);
}

fn dns(dns: &Dns, out: &mut Printer) {
    match &dns.servers {
        // Without the clause the block would be empty, and might not be written.
        Selection::All => out.clause(("dns", "capture"), ["*"], false),
        Selection::Only(servers) => out.list_unless(("dns", "capture"), servers, false),
    }
    let tcp = if *dns.captures_tcp { "captured" } else { "untouched" };
    out.one(("dns", "tcp"), &tcp, &"untouched");
    let zones = if *dns.splits_zones { "split" } else { "none" };
    out.one(("dns", "zones"), &zones, &"split");
    let docker: Vec<&str> = dns
        .docker_output
        .iter()
        .flat_map(|families| families.iter().map(Family::keyword))
        .collect();
    out.list(("dns", "docker-output"), &docker);
}
