//! The ladder of an ambient host.

use super::istio::rungs;
use super::plan::{self, Plan, name};
use super::when::tcp;
use crate::ir::{Action, AddressSet, BuiltInTable, Hook, Origin, Owner};
use crate::net::{Family, Name};
use crate::policy::{AmbientHost, ProbeOwner};

pub(super) fn plan(host: &AmbientHost) -> Plan {
    let families = *host.families;
    let mut plan = Plan::new(plan::AMBIENT, families);
    plan.enter(BuiltInTable::Nat, Hook::Postrouting, plan::POSTROUTING);
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
        plan.chain(BuiltInTable::Nat, plan::POSTROUTING)
            .push(from_here.in_set(set).then(Action::Snat { to }, origin));
    }
    plan
}

/// The set of the pods' addresses, with upstream's name.
pub(super) fn pod_set(host: &AmbientHost, family: Family) -> Name {
    let suffix = match family {
        Family::Ipv4 => "v4",
        Family::Ipv6 => "v6",
    };
    name(&format!("{}-{suffix}", *host.probe.pods))
}
