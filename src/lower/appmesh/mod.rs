//! App Mesh's ladder, with exactly the meaning of the rules of its route manager (the script
//! `envoy-networking.sh` of its guide and of the image `aws-appmesh-proxy-route-manager`, in the form that
//! has `APPMESH_ENABLE_IPV6`; a public copy of 2024).
//!
//! Chains have App Mesh's names, and rules stand in its order. A rule that leads into them is about
//! other machines only; what is between this machine and itself meets no other.

pub mod rungs;

use crate::ir::{Action, BuiltInTable, Direction, Hook, Origin, Owner};
use crate::lower::items;
use crate::lower::lowered::{Lower, Lowered, Owners, Ports};
use crate::lower::plan::{Plan, jump};
use crate::lower::when::{returns, tcp};
use crate::policy::appmesh::AppMesh;

/// Beginning of the names of the tables.
const TABLES: &str = "appmesh";
/// Beginning of the names of chains.
const CHAINS: &str = "APPMESH_";
/// What arrives.
const INGRESS: &str = "APPMESH_INGRESS";
/// What leaves.
const EGRESS: &str = "APPMESH_EGRESS";

impl Lower for AppMesh {
    fn lower(&self) -> Lowered {
        let proxy = &self.proxy;
        let mut plan = Plan::new(TABLES, CHAINS, *self.families);
        inbound(self, &mut plan);
        outbound(self, &mut plan);
        let ports = Ports::of_proxy(*proxy.outbound_port, *proxy.inbound_port, None);
        let owners = Owners::new(*proxy.user, *proxy.group);
        plan.lowered(&[BuiltInTable::Nat], ports, owners)
    }
}

fn inbound(appmesh: &AppMesh, plan: &mut Plan) {
    let (families, captured) = (*appmesh.families, &appmesh.inbound.capture_ports);
    if captured.is_empty() {
        return;
    }
    let from_others = tcp(families).not_local(Direction::Source);
    plan.at(BuiltInTable::Nat, Hook::Prerouting)
        .push(from_others.then(jump(INGRESS), Origin::ENTRY));
    let rules = plan.chain(BuiltInTable::Nat, INGRESS);
    for ports in items::ports(captured) {
        let redirect = Action::Redirect { port: *appmesh.proxy.inbound_port };
        let origin = Origin::new(rungs::INBOUND_CAPTURED, captured.clause);
        rules.push(tcp(families).dport(ports).then(redirect, origin));
    }
}

fn outbound(appmesh: &AppMesh, plan: &mut Plan) {
    let AppMesh { families, proxy, outbound, .. } = appmesh;
    let families = **families;
    let to_others = tcp(families).not_local(Direction::Destination);
    plan.at(BuiltInTable::Nat, Hook::Output).push(to_others.then(jump(EGRESS), Origin::ENTRY));
    let rules = plan.chain(BuiltInTable::Nat, EGRESS);
    rules.extend(returns(families, rungs::PROXY_USER, Owner::User, proxy.user));
    rules.extend(returns(families, rungs::PROXY_GROUP, Owner::Group, proxy.group));
    for ports in items::ports(&outbound.exclude_ports) {
        let origin = Origin::new(rungs::EXCLUDED_PORT, outbound.exclude_ports.clause);
        rules.push(tcp(families).dport(ports).then(Action::Return, origin));
    }
    for ports in items::ports(&[AppMesh::SSH]) {
        let origin = Origin::new(rungs::SSH, None);
        rules.push(tcp(families).dport(ports).then(Action::Return, origin));
    }
    for nets in families.iter().flat_map(|family| items::nets(&outbound.exclude_to, family)) {
        let origin = Origin::new(rungs::EXCLUDED_DESTINATION, outbound.exclude_to.clause);
        rules.push(tcp(families).to(nets).then(Action::Return, origin));
    }
    let redirect = Action::Redirect { port: *proxy.outbound_port };
    let origin = Origin::new(rungs::OUTBOUND_CAPTURED, proxy.outbound_port.clause);
    rules.push(tcp(families).then(redirect, origin));
}
