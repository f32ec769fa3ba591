//! Kuma's kind of policy: a workload with a data plane proxy beside it.

mod build;
mod clauses;
mod effects;
mod exclusion;
mod meaning;
mod print;
mod vnet;

pub use self::exclusion::UserExclusion;
pub use self::meaning::{Dns, Inbound, Kuma, Outbound, Proxy};
pub use self::vnet::VirtualNetwork;

use self::clauses::KumaDraft;
use crate::net::Families;
use crate::policy::kind::PolicyKind;
use crate::policy::printer::Printer;
use crate::policy::setting::Setting;

impl PolicyKind for Kuma {
    type Draft = KumaDraft;

    const ALSO_CALLED: &'static [&'static str] = &["kuma-dp", "kumactl", "kong-mesh"];

    fn families(&self) -> Setting<Families> {
        self.families
    }

    fn print(&self, out: &mut Printer) {
        print::print(self, out);
    }
}
