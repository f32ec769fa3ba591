//! What every part of a sidecar's ladder needs.

use crate::ir::Owner;
use crate::lower::items;
use crate::net::{Families, Family, Nets, PortSet};
use crate::policy::{Selection, Setting, Sidecar};
use crate::span::Span;

/// What every part of the ladder needs.
pub(super) struct Context<'a> {
    pub(super) sidecar: &'a Sidecar,
    pub(super) families: Families,
}

/// A user or a group of the proxy.
#[derive(Clone, Copy)]
pub(super) struct ProxyOwner {
    pub(super) owner: Owner,
    pub(super) id: u32,
    pub(super) clause: Option<Span>,
}

impl ProxyOwner {
    pub(super) fn ids(self) -> Vec<(u32, u32)> {
        vec![(self.id, self.id)]
    }
}

impl Context<'_> {
    /// Every user of the proxy, then every group.
    pub(super) fn proxy_owners(&self) -> impl Iterator<Item = ProxyOwner> {
        let proxy = &self.sidecar.proxy;
        let numbers = |owner, ids: &Setting<Vec<u32>>| {
            let clause = ids.clause;
            ids.value.clone().into_iter().map(move |id| ProxyOwner { owner, id, clause })
        };
        numbers(Owner::User, &proxy.users).chain(numbers(Owner::Group, &proxy.groups))
    }

    /// The destination that counts as this workload itself.
    pub(super) fn loopback(&self, family: Family) -> Nets {
        match family {
            Family::Ipv4 => Nets::Ipv4(vec![self.sidecar.outbound.loopback.ipv4.trunc()]),
            Family::Ipv6 => Nets::Ipv6(vec![self.sidecar.outbound.loopback.ipv6.trunc()]),
        }
    }

    /// The source of the connections that the proxy passes through.
    pub(super) fn passthrough(&self, family: Family) -> Nets {
        match family {
            Family::Ipv4 => Nets::Ipv4(vec![self.sidecar.proxy.passthrough.ipv4.into()]),
            Family::Ipv6 => Nets::Ipv6(vec![self.sidecar.proxy.passthrough.ipv6.into()]),
        }
    }

    /// Captured inbound ports less the excluded ones, one set a rule; `None` for all ports.
    pub(super) fn inbound_ports(&self) -> Option<Vec<PortSet>> {
        let inbound = &self.sidecar.inbound;
        let Selection::Only(captured) = &*inbound.capture_ports else { return None };
        if inbound.exclude_ports.is_empty() {
            return Some(items::ports(captured).collect());
        }
        let excluded: PortSet = inbound.exclude_ports.iter().copied().collect();
        let captured: PortSet = captured.iter().copied().collect();
        Some(items::ports(captured.minus(&excluded).ranges()).collect())
    }

    /// Whether any inbound connection is captured.
    pub(super) fn captures_inbound(&self) -> bool {
        self.inbound_ports().is_none_or(|ports| !ports.is_empty())
    }
}
