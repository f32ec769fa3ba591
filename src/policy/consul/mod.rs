//! Consul's kind of policy: a workload with `consul-dataplane` beside it.

mod build;
mod clauses;
mod meaning;
mod users;

pub use self::meaning::{Consul, Dns, Inbound, Outbound, Proxy};
pub use self::users::UserRange;

use self::clauses::ConsulDraft;
use crate::net::Families;
use crate::policy::kind::PolicyKind;
use crate::policy::printer::Printer;
use crate::policy::setting::Setting;

impl PolicyKind for Consul {
    type Draft = ConsulDraft;

    const ALSO_CALLED: &'static [&'static str] = &["consul-connect", "consul-dataplane"];

    fn families(&self) -> Setting<Families> {
        self.families
    }

    fn print(&self, out: &mut Printer) {
        let default = Self::default();
        let Self { families, proxy, dns, inbound, outbound } = self;
        out.families_unless(**families, families == &default.families);
        out.one(("proxy", "user"), &*proxy.user, &*default.proxy.user);
        out.proxy_ports([
            ("inbound-port", proxy.inbound_port, default.proxy.inbound_port),
            ("outbound-port", proxy.outbound_port, default.proxy.outbound_port),
        ]);
        match **dns {
            None => out.clause(("", "dns"), ["none"], true),
            Some(Dns { to, port }) => {
                out.clause(("dns", "to"), [to], false);
                out.one_or_none(("dns", "port"), port, None);
            }
        }
        out.list(("inbound", "exclude port"), &inbound.exclude_ports);
        out.list(("outbound", "exclude port"), &outbound.exclude_ports);
        out.nets(("outbound", "exclude to"), &outbound.exclude_to);
        let is_default = outbound.exclude_users == default.outbound.exclude_users;
        out.list_unless(("outbound", "exclude user"), &outbound.exclude_users, is_default);
    }
}
