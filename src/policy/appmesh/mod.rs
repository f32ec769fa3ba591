//! The kind of policy of AWS App Mesh: a workload with an Envoy beside it.

mod build;
mod clauses;
mod meaning;

pub use self::meaning::{AppMesh, Inbound, MOST_CAPTURED_PORTS, Outbound, Proxy};

use self::clauses::AppMeshDraft;
use crate::net::Families;
use crate::policy::kind::PolicyKind;
use crate::policy::printer::Printer;
use crate::policy::setting::Setting;

impl PolicyKind for AppMesh {
    type Draft = AppMeshDraft;

    const ALSO_CALLED: &'static [&'static str] = &["app-mesh", "aws-app-mesh", "aws-appmesh"];

    fn families(&self) -> Setting<Families> {
        self.families
    }

    fn print(&self, out: &mut Printer) {
        let default = Self::default();
        let Self { families, proxy, inbound, outbound } = self;
        out.families_unless(**families, families == &default.families);
        out.one_or_none(("proxy", "user"), *proxy.user, *default.proxy.user);
        out.one_or_none(("proxy", "group"), *proxy.group, *default.proxy.group);
        out.proxy_ports([
            ("inbound-port", proxy.inbound_port, default.proxy.inbound_port),
            ("outbound-port", proxy.outbound_port, default.proxy.outbound_port),
        ]);
        out.list(("inbound", "capture port"), &inbound.capture_ports);
        let is_default = outbound.exclude_to == default.outbound.exclude_to;
        out.nets_unless(("outbound", "exclude to"), &outbound.exclude_to, is_default);
        out.list(("outbound", "exclude port"), &outbound.exclude_ports);
    }
}
