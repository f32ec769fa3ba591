//! The kind of policy of Open Service Mesh: a workload with an Envoy beside it.

mod build;
mod clauses;
mod meaning;

pub use self::meaning::{Inbound, LocalMode, MOST_EXCLUDED_PORTS, Osm, Outbound, Proxy};

use self::clauses::OsmDraft;
use crate::net::Families;
use crate::policy::kind::PolicyKind;
use crate::policy::printer::Printer;
use crate::policy::setting::Setting;

impl PolicyKind for Osm {
    type Draft = OsmDraft;

    const ALSO_CALLED: &'static [&'static str] = &["open-service-mesh", "openservicemesh"];

    fn families(&self) -> Setting<Families> {
        // No clause can say anything else.
        Setting::default_to(Families::Ipv4)
    }

    fn print(&self, out: &mut Printer) {
        let default = Self::default();
        let Self { proxy, inbound, outbound, exclude_interfaces } = self;
        out.one(("", "family"), &"ipv4", &"ipv4");
        out.one(("proxy", "user"), &*proxy.user, &*default.proxy.user);
        out.proxy_ports([
            ("inbound-port", proxy.inbound_port, default.proxy.inbound_port),
            ("outbound-port", proxy.outbound_port, default.proxy.outbound_port),
        ]);
        match *proxy.local_mode {
            LocalMode::Localhost => out.clause(("proxy", "local-mode localhost"), [""; 0], true),
            LocalMode::PodIp(address) => {
                out.clause(("proxy", "local-mode pod-ip"), [address], false);
            }
        }
        out.list(("inbound", "exclude port"), &inbound.exclude_ports);
        out.selected_nets(("outbound", "capture to"), &outbound.capture_to);
        out.nets(("outbound", "exclude to"), &outbound.exclude_to);
        out.list(("outbound", "exclude port"), &outbound.exclude_ports);
        out.list(("interface", "exclude"), exclude_interfaces);
    }
}
