//! Sidecars: a workload with a proxy beside it.

mod build;
mod clauses;
mod effects;
mod meaning;
mod print;
mod written;

pub use self::meaning::{Dns, Groups, Inbound, Interfaces, Mode, Outbound, Proxy, Sidecar, Tproxy};

use self::clauses::SidecarDraft;
use crate::net::Families;
use crate::policy::kind::PolicyKind;
use crate::policy::printer::Printer;
use crate::policy::setting::Setting;

impl PolicyKind for Sidecar {
    type Draft = SidecarDraft;

    const ALSO_CALLED: &'static [&'static str] = &["policy", "pod", "workload"];

    fn families(&self) -> Setting<Families> {
        self.families
    }

    fn print(&self, out: &mut Printer) {
        print::print(self, out);
    }
}
