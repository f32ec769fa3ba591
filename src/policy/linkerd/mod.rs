//! Linkerd's kind of policy: a workload with `linkerd-proxy` beside it.

mod build;
mod clauses;
mod meaning;

pub use self::meaning::{Inbound, Linkerd, Outbound, Proxy};

use self::clauses::LinkerdDraft;
use crate::net::{Families, PortSet};
use crate::policy::kind::PolicyKind;
use crate::policy::printer::Printer;
use crate::policy::setting::{Selection, Setting};

impl PolicyKind for Linkerd {
    type Draft = LinkerdDraft;

    const ALSO_CALLED: &'static [&'static str] = &["linkerd2", "linkerd-proxy", "proxy-init"];

    fn families(&self) -> Setting<Families> {
        self.families
    }

    fn print(&self, out: &mut Printer) {
        let default = Self::default();
        let Self { families, proxy, inbound, outbound } = self;
        out.families(**families);
        out.one_or_none(("proxy", "user"), *proxy.user, *default.proxy.user);
        out.one_or_none(("proxy", "group"), *proxy.group, *default.proxy.group);
        out.proxy_ports([
            ("inbound-port", proxy.inbound_port, default.proxy.inbound_port),
            ("outbound-port", proxy.outbound_port, default.proxy.outbound_port),
        ]);
        out.selection(("inbound", "capture port"), &inbound.capture_ports);
        let mut ports = default.inbound.exclude_ports.value;
        // What is excluded by default goes silently where it is not captured.
        if let Selection::Only(captured) = &*inbound.capture_ports {
            let captured: PortSet = captured.iter().copied().collect();
            ports.retain(|port| captured.contains(port.first()));
        }
        let at = ("inbound", "exclude port");
        out.list_unless(at, &inbound.exclude_ports, *inbound.exclude_ports == ports);
        out.nets(("inbound", "exclude from"), &inbound.exclude_from);
        let (at, default) = (("outbound", "exclude port"), default.outbound);
        out.list_unless(at, &outbound.exclude_ports, outbound == &default);
    }
}
