//! What policies need beside their rules, and the namespaces in which they may find themselves.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::ip::iptables::Held;
use crate::ip::{Change, Command, Namespace, Rule, Stack, Statement, Way};
use crate::ir::{HostPart, HostStep};
use crate::net::{Family, Name};
use crate::nft::{At, Place, State};

/// What a policy has in a namespace.
pub(crate) struct Part {
    /// Every table that it may have.
    pub(crate) owned: Vec<Name>,
    /// How the names of its chains begin, as iptables has them.
    pub(crate) chains: &'static str,
    /// What it needs beside its rules.
    pub(crate) steps: Vec<HostStep>,
    /// The protocol number of its routes and rules.
    pub(crate) protocol: Option<u8>,
}

/// Whether the command changes what the step adds, and nothing that no step adds.
fn is_about(command: &Command, step: &HostStep) -> bool {
    if command.family != step.family {
        return false;
    }
    match (command.change, step.adds) {
        (
            Change::ReplaceAddress(changed) | Change::FlushAddresses(Some(changed)),
            HostPart::Address(address),
        ) => changed == IpNet::from(address),
        (
            Change::ReplaceRoute(route) | Change::DeleteRoute(route),
            HostPart::LocalRoute { table },
        ) => (route.table, route.to) == (table, step.family.everywhere()),
        (
            Change::AddRule(selector) | Change::FlushRules(selector),
            HostPart::MarkRule { mark, table, .. },
        ) => {
            selector.table == Some(table)
                && selector.mark == Some(mark.value())
                && selector.mask == Some(mark.mask())
        }
        _ => false,
    }
}

/// What policies need of some families.
pub(super) struct Needs {
    /// Each with the protocol number of its policy; 0: none.
    pub(super) steps: Vec<(HostStep, u8)>,
    /// The protocol numbers of all policies.
    pub(super) protocols: Vec<u8>,
}

/// What an older version may have left, which needed other numbers: a route and the rule that leads to it.
#[derive(Clone, Copy)]
pub(super) struct Stale {
    family: Family,
    rule: Rule,
    /// The protocol of the route; `None`: there is none.
    route: Option<u8>,
}

impl Needs {
    pub(super) fn of(parts: &[Part], families: &[Family]) -> Self {
        let all = parts.iter().flat_map(|part| {
            part.steps.iter().map(|step| (*step, part.protocol.unwrap_or_default()))
        });
        let steps = all.filter(|(step, _)| families.contains(&step.family)).collect();
        Self { steps, protocols: parts.iter().filter_map(|part| part.protocol).collect() }
    }

    /// The first of ten tables that nothing is known about.
    fn free(&self) -> u32 {
        const MANY: u32 = 100;
        let tables = self.steps.iter().filter_map(|(step, _)| match step.adds {
            HostPart::LocalRoute { table } | HostPart::MarkRule { table, .. } => Some(table / MANY),
            HostPart::Address(_) => None,
        });
        let used: BTreeSet<u32> = tables.flat_map(|at| [at, at.saturating_add(1)]).collect();
        let most = u32::MAX / MANY;
        (MANY..most).find(|at| !used.contains(at)).map_or(MANY, |at| at * MANY)
    }

    pub(super) fn of_family(&self, family: Family) -> Vec<(HostStep, u8)> {
        self.steps.iter().filter(|(step, _)| step.family == family).copied().collect()
    }

    /// That every command is about something that is needed.
    pub(super) fn spare_others(&self, statements: &[(At, Statement<'_>)]) -> Result<(), String> {
        for (at, statement) in statements {
            match statement {
                Statement::Ip(command)
                | Statement::UnlessCaptured(command)
                | Statement::UnlessListed { then: command, .. } => {
                    let is_ours = match command.change {
                        Change::FlushRoutes { protocol } => self.protocols.contains(&protocol),
                        Change::FlushRules(selector) => selector
                            .protocol
                            .is_some_and(|protocol| self.protocols.contains(&protocol)),
                        _ => false,
                    };
                    if !is_ours && !self.steps.iter().any(|(step, _)| is_about(command, step)) {
                        let at = Place::from(*at);
                        return Err(format!("{at}: it touches what is not the policy's"));
                    }
                }
                Statement::Sweep { protocol, .. } if !self.protocols.contains(protocol) => {
                    let at = Place::from(*at);
                    return Err(format!("{at}: it touches what is not the policy's"));
                }
                Statement::WithIpv6(inner) => self.spare_others(inner)?,
                Statement::EndOnFailure
                | Statement::Iptables(_)
                | Statement::Nft(_)
                | Statement::Sweep { .. } => {}
            }
        }
        Ok(())
    }

    /// A namespace with what everybody has, and with what is almost what is needed.
    pub(super) fn others<'s>(&self) -> Namespace<'s> {
        let [ipv4, ipv6] = [Family::Ipv4, Family::Ipv6].map(|family| {
            let mut stack = Stack::new(family);
            let (loopback, host) = match family {
                Family::Ipv4 => ("127.0.0.1/8", "192.0.2.1/32"),
                Family::Ipv6 => ("::1/128", "2001:db8::1/128"),
            };
            let addresses = [loopback, host].map(str::parse::<IpNet>);
            stack.addresses.extend(addresses.into_iter().flatten());
            for (priority, table) in [(0, 255), (32_766, 254), (32_767, 253)] {
                stack.rules.push(Rule { priority, mark: 0, mask: 0, table, protocol: 2 });
            }
            for (step, _) in self.of_family(family) {
                self.surround(&mut stack, &step);
            }
            stack.rules.sort_unstable();
            stack.rules.dedup();
            stack
        });
        let others = ["KUBE_SERVICES", "istio_output"].map(|name| Held::Chain(name.to_owned()));
        let mut iptables = others.to_vec();
        iptables.push(Held::Remark("istio".to_owned()));
        Namespace { ipv4, ipv6: Some(ipv6), tables: State::default(), iptables }
    }

    /// Puts beside what the step adds what is almost the same, and nobody needs.
    fn surround(&self, stack: &mut Stack, step: &HostStep) {
        let is_needed =
            |rule: &Rule| self.of_family(step.family).iter().any(|(step, _)| rule.is(step));
        let way = |is_local| Way { is_local, protocol: 0 };
        match step.adds {
            HostPart::Address(address) => {
                stack.addresses.extend(neighbours(address).map(IpNet::from));
            }
            HostPart::LocalRoute { table } => {
                let mut halves = step.family.everywhere().subnets(1).into_iter().flatten();
                let half = halves.next().unwrap_or(step.family.everywhere());
                // A table that somebody has beside this one's default holds something else, too.
                for table in [table, table.wrapping_add(1), table ^ 1, 254] {
                    stack.routes.insert((table, half), way(true));
                    let is_free = !self.steps.iter().any(|(other, _)| {
                        other.adds == HostPart::LocalRoute { table } && other.family == step.family
                    });
                    if is_free {
                        stack.routes.insert((table, step.family.everywhere()), way(table != 254));
                    }
                }
                // And one that holds the same, to which rules of other protocols lead.
                stack.routes.insert((self.free() + OTHERS, step.family.everywhere()), way(true));
            }
            HostPart::MarkRule { mark, table, priority } => {
                let (bits, mask) = (mark.value(), mark.mask());
                let priority = priority.unwrap_or(20_000);
                let it = Rule { priority, mark: bits, mask, table, protocol: 0 };
                let beside = [
                    Rule { mark: bits ^ 1, ..it },
                    Rule { mask: bits, ..it },
                    Rule { mask: mask ^ (1 << 31), ..it },
                    Rule { mask: u32::MAX, ..it },
                    Rule { table: table ^ 1, ..it },
                    Rule { table: 254, ..it },
                    Rule { priority: priority ^ 1, ..it },
                    Rule { mark: 0, mask: 0, ..it },
                    Rule { protocol: 4, table: self.free() + OTHERS, ..it },
                    Rule { mark: 0, mask: 0, table: self.free() + OTHERS, ..it },
                ];
                stack.rules.extend(beside.into_iter().filter(|rule| !is_needed(rule)));
            }
        }
    }

    /// A namespace with all that is needed.
    pub(super) fn loaded<'s>(&self) -> Namespace<'s> {
        self.with(&self.steps, 1)
    }

    /// What older versions may have left, beside all that is needed: by the protocol number, and by its
    /// form alone where it is known by that, as a batch does not know it.
    pub(super) fn stale(&self, by_form: bool) -> Vec<Stale> {
        let of = |family: Family| {
            let rule = |protocol: u8, at: u32| Rule {
                priority: 15_000 + at,
                mark: 0x77,
                mask: if at == 0 { u32::MAX } else { 0xfff },
                table: self.free() + OLDER + at,
                protocol,
            };
            let stale = |rule: Rule, route| Stale { family, rule, route };
            let mut all = Vec::new();
            for protocol in &self.protocols {
                all.extend([0, 1].map(|at| stale(rule(*protocol, at), Some(*protocol))));
                all.push(stale(rule(*protocol, 2), None));
                if by_form {
                    all.extend([3, 4].map(|at| stale(rule(0, at), Some(0))));
                    // Two rules may lead to one table.
                    all.push(stale(Rule { mark: 0x78, ..rule(0, 4) }, None));
                    all.push(stale(rule(0, 5), Some(*protocol)));
                }
            }
            all
        };
        Family::ALL.into_iter().flat_map(of).collect()
    }

    /// All that is needed, and what older versions may have left.
    pub(super) fn with_stale<'s>(&self, stale: &[Stale]) -> Namespace<'s> {
        let mut namespace = self.loaded();
        for Stale { family, rule, route } in stale {
            let Some(stack) = namespace.stack_mut(*family) else { continue };
            stack.rules.push(*rule);
            stack.rules.sort_by_key(|rule| rule.priority);
            if let Some(protocol) = *route {
                let way = Way { is_local: true, protocol };
                stack.routes.insert((rule.table, family.everywhere()), way);
            }
        }
        namespace
    }

    /// Namespaces with one thing that is needed; with all of it twice, where that can be; and with
    /// other routes in its place.
    pub(super) fn older<'s>(&self) -> Vec<Namespace<'s>> {
        let mut all: Vec<Namespace<'s>> =
            self.steps.iter().map(|step| self.with(std::slice::from_ref(step), 1)).collect();
        all.push(self.with(&self.steps, 2));
        let mut other = self.loaded();
        for (step, _) in &self.steps {
            let HostPart::LocalRoute { table } = step.adds else { continue };
            if let Some(stack) = other.stack_mut(step.family) {
                let way = Way { is_local: false, protocol: 0 };
                stack.routes.insert((table, step.family.everywhere()), way);
            }
        }
        all.push(other);
        // As weir 0.1.0 had it, under the same numbers.
        let unsaid: Vec<_> = self.steps.iter().map(|(step, _)| (*step, 0)).collect();
        all.push(self.with(&unsaid, 1));
        all
    }

    /// Those of others, with `steps`, rules whose priority the kernel chooses `times` times.
    fn with<'s>(&self, steps: &[(HostStep, u8)], times: usize) -> Namespace<'s> {
        let mut namespace = self.others();
        for (step, protocol) in steps {
            let Some(stack) = namespace.stack_mut(step.family) else { continue };
            stack.put(step, *protocol);
            if let HostPart::MarkRule { priority: None, .. } = step.adds {
                stack.rules.extend((1..times).filter_map(|_| Rule::of(step, *protocol)));
                stack.rules.sort_by_key(|rule| rule.priority);
            }
        }
        namespace
    }
}

impl Stale {
    pub(super) const fn family(&self) -> Family {
        self.family
    }

    /// Takes it away.
    pub(super) fn go(&self, family: Family, stack: &mut Stack) {
        if self.family == family {
            stack.rules.retain(|rule| *rule != self.rule);
            stack.routes.remove(&(self.rule.table, family.everywhere()));
        }
    }
}

/// Where the table of somebody else is behind the first that is free, and those of older versions.
const OTHERS: u32 = 0;
const OLDER: u32 = 1;

/// The addresses before and behind.
fn neighbours(address: IpAddr) -> [IpAddr; 2] {
    match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            [bits.wrapping_sub(1), bits.wrapping_add(1)]
                .map(|bits| Ipv4Addr::from_bits(bits).into())
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            [bits.wrapping_sub(1), bits.wrapping_add(1)]
                .map(|bits| Ipv6Addr::from_bits(bits).into())
        }
    }
}
