//! The kind of policy of Open Service Mesh: a workload with an Envoy beside it.

mod clauses;
mod meaning;

pub use self::meaning::{Inbound, LocalMode, MOST_EXCLUDED_PORTS, Osm, Outbound, Proxy};

use ipnet::Ipv4Net;

use self::clauses::OsmDraft;
use crate::net::{Families, written_net};
use crate::policy::kind::PolicyKind;
use crate::policy::printer::Printer;
use crate::policy::setting::Selection;
use crate::span::Span;

impl PolicyKind for Osm {
    type Draft = OsmDraft;

    const ALSO_CALLED: &'static [&'static str] = &["open-service-mesh", "openservicemesh"];

    fn families(&self) -> Families {
        Families::Ipv4
    }

    fn family_clause(&self) -> Option<Span> {
        // No clause can say anything else.
        None
    }

    fn print(&self, out: &mut Printer) {
        let default = Self::default();
        let Self { proxy, inbound, outbound, exclude_interfaces } = self;
        out.one(("", "family"), &"ipv4", &"ipv4");
        out.one(("proxy", "user"), &*proxy.user, &*default.proxy.user);
        for (words, port, default) in [
            ("inbound-port", proxy.inbound_port, default.proxy.inbound_port),
            ("outbound-port", proxy.outbound_port, default.proxy.outbound_port),
        ] {
            out.one(("proxy", words), &*port, &*default);
        }
        match *proxy.local_mode {
            LocalMode::Localhost => out.clause(("proxy", "local-mode localhost"), [""; 0], true),
            LocalMode::PodIp(address) => {
                out.clause(("proxy", "local-mode pod-ip"), [address], false);
            }
        }
        out.list(("inbound", "exclude port"), &inbound.exclude_ports);
        let written = |nets: &[Ipv4Net]| -> Vec<String> {
            nets.iter().map(|net| written_net((*net).into())).collect()
        };
        match &*outbound.capture_to {
            Selection::All => out.clause(("outbound", "capture to"), ["*"], true),
            Selection::Only(nets) => {
                out.list_unless(("outbound", "capture to"), &written(nets), false);
            }
        }
        out.list(("outbound", "exclude to"), &written(&outbound.exclude_to));
        out.list(("outbound", "exclude port"), &outbound.exclude_ports);
        out.list(("interface", "exclude"), exclude_interfaces);
    }
}
