//! The ladder of an ambient host.

use super::{names, rungs};
use crate::ir::{Action, AddressSet, BuiltInTable, Hook, Origin, Owner};
use crate::lower::lowered::{Lower, Lowered, Owners, Ports};
use crate::lower::plan::{Plan, name};
use crate::lower::when::tcp;
use crate::net::{Family, Name};
use crate::policy::{AmbientHost, ProbeOwner};

impl Lower for AmbientHost {
    fn lower(&self) -> Lowered {
        plan(self).lowered(&[BuiltInTable::Nat], Ports::default(), Owners::default())
    }
}

fn plan(host: &AmbientHost) -> Plan {
    let families = *host.families;
    let mut plan = Plan::new(names::AMBIENT, names::CHAINS, families);
    plan.enter(BuiltInTable::Nat, Hook::Postrouting, names::POSTROUTING);
    for family in families.iter() {
        let set = pod_set(host, family);
        plan.declare(AddressSet { name: set.clone(), family });
        let from_here = match *host.probe.owner {
            ProbeOwner::Any => tcp(family.into()).local_socket(),
            ProbeOwner::User(id) => tcp(family.into()).owner(Owner::User, vec![(id, id)]),
        };
        let to = match family {
            Family::Ipv4 => host.probe.from.ipv4.into(),
            Family::Ipv6 => host.probe.from.ipv6.into(),
        };
        let origin = Origin::new(rungs::HOST_PROBE, host.probe.from.clause);
        plan.chain(BuiltInTable::Nat, names::POSTROUTING)
            .push(from_here.in_set(set).then(Action::Snat { to }, origin));
    }
    plan
}

/// The set of the pods' addresses, with upstream's name.
fn pod_set(host: &AmbientHost, family: Family) -> Name {
    let suffix = match family {
        Family::Ipv4 => "v4",
        Family::Ipv6 => "v6",
    };
    name(&format!("{}-{suffix}", *host.probe.pods))
}
