//! Linkerd's ladder, with exactly the meaning of the rules of proxy-init and of the CNI plugin
//! (linkerd2-proxy-init 183e791 of 2026-07-23, `pkg/iptables/iptables.go`).
//!
//! Chains have Linkerd's names, and rules stand in its order.

pub mod rungs;

use crate::ir::{Action, BuiltInTable, Hook, Origin, Owner};
use crate::lower::items;
use crate::lower::lowered::{Lower, Lowered, Owners, Ports};
use crate::lower::plan::Plan;
use crate::lower::when::{any, returns, tcp};
use crate::net::Interface;
use crate::policy::Selection;
use crate::policy::linkerd::Linkerd;

/// Beginning of the names of the tables.
const TABLES: &str = "linkerd";
/// Beginning of the names of chains.
const CHAINS: &str = "PROXY_INIT_";
/// What arrives.
const INBOUND: &str = "PROXY_INIT_REDIRECT";
/// What leaves.
const OUTBOUND: &str = "PROXY_INIT_OUTPUT";

impl Lower for Linkerd {
    fn lower(&self) -> Lowered {
        let Self { families, proxy, .. } = self;
        let mut plan = Plan::new(TABLES, CHAINS, **families);
        inbound(self, &mut plan);
        outbound(self, &mut plan);
        let ports = Ports::of_proxy(*proxy.outbound_port, *proxy.inbound_port, None);
        let owners = Owners::new(*proxy.user, *proxy.group);
        plan.lowered(&[BuiltInTable::Nat], ports, owners)
    }
}

fn inbound(linkerd: &Linkerd, plan: &mut Plan) {
    let (families, inbound) = (*linkerd.families, &linkerd.inbound);
    plan.enter(BuiltInTable::Nat, Hook::Prerouting, INBOUND);
    let rules = plan.chain(BuiltInTable::Nat, INBOUND);
    for ports in items::ports(&inbound.exclude_ports) {
        let origin = Origin::new(rungs::INBOUND_EXCLUDED_PORT, inbound.exclude_ports.clause);
        rules.push(tcp(families).dport(ports).then(Action::Return, origin));
    }
    for nets in families.iter().flat_map(|family| items::nets(&inbound.exclude_from, family)) {
        let origin = Origin::new(rungs::EXCLUDED_SOURCE, inbound.exclude_from.clause);
        rules.push(any(families).from(nets).then(Action::Return, origin));
    }
    let captured = match &*inbound.capture_ports {
        Selection::All => vec![tcp(families)],
        Selection::Only(ports) => {
            items::ports(ports).map(|ports| tcp(families).dport(ports)).collect()
        }
    };
    let redirect = Action::Redirect { port: *linkerd.proxy.inbound_port };
    let origin = Origin::new(rungs::INBOUND_CAPTURED, inbound.capture_ports.clause);
    rules.extend(captured.into_iter().map(|when| when.then(redirect.clone(), origin)));
}

fn outbound(linkerd: &Linkerd, plan: &mut Plan) {
    let Linkerd { families, proxy, outbound, .. } = linkerd;
    let families = **families;
    plan.enter(BuiltInTable::Nat, Hook::Output, OUTBOUND);
    let rules = plan.chain(BuiltInTable::Nat, OUTBOUND);
    rules.extend(returns(families, rungs::PROXY_USER, Owner::User, proxy.user));
    rules.extend(returns(families, rungs::PROXY_GROUP, Owner::Group, proxy.group));
    let over_lo = any(families).leaves_on(vec![Interface::lo()]);
    rules.push(over_lo.then(Action::Return, Origin::new(rungs::LOOPBACK, None)));
    for ports in items::ports(&outbound.exclude_ports) {
        let origin = Origin::new(rungs::OUTBOUND_EXCLUDED_PORT, outbound.exclude_ports.clause);
        rules.push(tcp(families).dport(ports).then(Action::Return, origin));
    }
    let redirect = Action::Redirect { port: *proxy.outbound_port };
    let origin = Origin::new(rungs::OUTBOUND_CAPTURED, proxy.outbound_port.clause);
    rules.push(tcp(families).then(redirect, origin));
}
