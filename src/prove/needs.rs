//! What policies need beside their rules, and the namespaces in which they may find themselves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::ip::{Change, Command, Namespace, Route, Rule, Stack, Statement};
use crate::ir::{HostPart, HostStep};
use crate::net::{Family, Name};
use crate::nft::{At, Place, State};

/// What a policy has in a namespace.
pub(crate) struct Part {
    /// Every table that it may have.
    pub(crate) owned: Vec<Name>,
    /// What it needs beside its rules.
    pub(crate) steps: Vec<HostStep>,
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
        ) => route == Route { table, to: step.family.everywhere() },
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
    pub(super) steps: Vec<HostStep>,
}

impl Needs {
    pub(super) fn of(parts: &[Part], families: &[Family]) -> Self {
        let all = parts.iter().flat_map(|part| &part.steps).copied();
        Self { steps: all.filter(|step| families.contains(&step.family)).collect() }
    }

    pub(super) fn of_family(&self, family: Family) -> Vec<HostStep> {
        self.steps.iter().filter(|step| step.family == family).copied().collect()
    }

    /// That every command is about something that is needed.
    pub(super) fn spare_others(&self, statements: &[(At, Statement<'_>)]) -> Result<(), String> {
        for (at, statement) in statements {
            match statement {
                Statement::Ip(command) | Statement::UnlessListed { then: command, .. } => {
                    if !self.steps.iter().any(|step| is_about(command, step)) {
                        let at = Place::from(*at);
                        return Err(format!("{at}: it touches what is not the policy's"));
                    }
                }
                Statement::WithIpv6(inner) => self.spare_others(inner)?,
                Statement::EndOnFailure | Statement::Nft(_) => {}
            }
        }
        Ok(())
    }

    /// A namespace with what everybody has, and with what is almost what is needed.
    pub(super) fn others<'s>(&self) -> Namespace<'s> {
        let [ipv4, ipv6] = [Family::Ipv4, Family::Ipv6].map(|family| {
            let mut stack = Stack::default();
            let (loopback, host) = match family {
                Family::Ipv4 => ("127.0.0.1/8", "192.0.2.1/32"),
                Family::Ipv6 => ("::1/128", "2001:db8::1/128"),
            };
            let addresses = [loopback, host].map(str::parse::<IpNet>);
            stack.addresses.extend(addresses.into_iter().flatten());
            for (priority, table) in [(0, 255), (32_766, 254), (32_767, 253)] {
                stack.rules.push(Rule { priority, mark: 0, mask: 0, table });
            }
            for step in self.of_family(family) {
                self.surround(&mut stack, &step);
            }
            stack.rules.sort_unstable();
            stack.rules.dedup();
            stack
        });
        Namespace { ipv4, ipv6: Some(ipv6), tables: State::default() }
    }

    /// Puts beside what the step adds what is almost the same, and nobody needs.
    fn surround(&self, stack: &mut Stack, step: &HostStep) {
        let is_needed = |rule: &Rule| self.of_family(step.family).iter().any(|step| rule.is(step));
        match step.adds {
            HostPart::Address(address) => {
                stack.addresses.extend(neighbours(address).map(IpNet::from));
            }
            HostPart::LocalRoute { table } => {
                let half = step.family.everywhere().subnets(1).into_iter().flatten();
                stack.routes.extend(half.map(|half| ((table, half), true)));
                for table in [table.wrapping_add(1), 254] {
                    let is_free = !self.steps.iter().any(|other| {
                        other.adds == HostPart::LocalRoute { table } && other.family == step.family
                    });
                    if is_free {
                        stack.routes.insert((table, step.family.everywhere()), table != 254);
                    }
                }
            }
            HostPart::MarkRule { mark, table, priority } => {
                let (bits, mask) = (mark.value(), mark.mask());
                let priority = priority.unwrap_or(20_000);
                let it = Rule { priority, mark: bits, mask, table };
                let beside = [
                    Rule { mark: bits ^ 1, ..it },
                    Rule { mask: bits, ..it },
                    Rule { mask: mask ^ (1 << 31), ..it },
                    Rule { mask: u32::MAX, ..it },
                    Rule { table: table ^ 1, ..it },
                    Rule { table: 254, ..it },
                    Rule { priority: priority ^ 1, ..it },
                    Rule { mark: 0, mask: 0, ..it },
                ];
                stack.rules.extend(beside.into_iter().filter(|rule| !is_needed(rule)));
            }
        }
    }

    /// A namespace with all that is needed.
    pub(super) fn loaded<'s>(&self) -> Namespace<'s> {
        self.with(&self.steps, 1)
    }

    /// Namespaces with one thing that is needed; with all of it twice, where that can be; and with
    /// other routes in its place.
    pub(super) fn older<'s>(&self) -> Vec<Namespace<'s>> {
        let mut all: Vec<Namespace<'s>> =
            self.steps.iter().map(|step| self.with(std::slice::from_ref(step), 1)).collect();
        all.push(self.with(&self.steps, 2));
        let mut other = self.loaded();
        for step in &self.steps {
            let HostPart::LocalRoute { table } = step.adds else { continue };
            if let Some(stack) = other.stack_mut(step.family) {
                stack.routes.insert((table, step.family.everywhere()), false);
            }
        }
        all.push(other);
        all
    }

    /// Those of others, with `steps`, rules whose priority the kernel chooses `times` times.
    fn with<'s>(&self, steps: &[HostStep], times: usize) -> Namespace<'s> {
        let mut namespace = self.others();
        for step in steps {
            let Some(stack) = namespace.stack_mut(step.family) else { continue };
            stack.put(step);
            if let HostPart::MarkRule { priority: None, .. } = step.adds {
                stack.rules.extend((1..times).filter_map(|_| Rule::of(step)));
                stack.rules.sort_by_key(|rule| rule.priority);
            }
        }
        namespace
    }
}

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
