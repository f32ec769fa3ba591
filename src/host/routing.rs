//! How routing of a namespace changes: what is there, what is to be, and the commands of `ip` between the two.

use std::collections::BTreeMap;
use std::fs;

use ipnet::IpNet;

use super::owned::Owned;
use super::program::Program;
use crate::ip::{Listings, Rule, Selector, Stack, Way};
use crate::ir::{HostPart, HostStep};
use crate::net::Family;

/// Addresses, routes and routing rules of both families before and after a change; `None`: the family is off.
#[derive(Clone, Debug)]
pub(super) struct Routing {
    before: [Option<Stack>; 2],
    after: [Option<Stack>; 2],
    /// Rules whose priority is for the kernel to choose.
    unplaced: Vec<(Family, Rule)>,
}

impl Routing {
    /// What is to be where policies are loaded, of which `owned` says what they need.
    ///
    /// # Errors
    ///
    /// If what is listed cannot be read, loopback is down, or a table that is needed is somebody else's.
    pub(super) fn with(owned: &Owned, listings: &[Listings; 2]) -> Result<Self, String> {
        let mut routing = Self::of(listings, owned)?;
        for family in Family::ALL {
            let Some(stack) = &mut routing.after[place(family)] else { continue };
            let before = stack.clone();
            let steps = || owned.steps(family);
            for (step, protocol) in steps() {
                is_free(step, stack)?;
                stack.put(step, protocol);
            }
            for (protocol, keep) in owned.protocols(family) {
                stack.sweep(protocol, keep.as_ref());
            }
            // What one policy took for a version of itself may be another's.
            for (step, protocol) in steps() {
                stack.put(step, protocol);
                let open = matches!(step.adds, HostPart::MarkRule { priority: None, .. });
                let made = stack.rules.iter().filter(|rule| open && rule.is(step));
                let made = made.filter(|rule| !before.rules.contains(rule));
                routing.unplaced.extend(made.map(|rule| (family, *rule)));
            }
        }
        Ok(routing)
    }

    /// What is to be where nothing of the policies is. An address stays that `is_shared` with others.
    ///
    /// # Errors
    ///
    /// If what is listed cannot be read.
    pub(super) fn without(
        owned: &Owned,
        listings: &[Listings; 2],
        is_shared: bool,
    ) -> Result<Self, String> {
        let mut routing = Self::of(listings, &Owned::default())?;
        for family in Family::ALL {
            let Some(stack) = &mut routing.after[place(family)] else { continue };
            for (step, _) in owned.steps(family) {
                if !(is_shared && matches!(step.adds, HostPart::Address(_))) {
                    stack.take(step);
                }
            }
            for (protocol, _) in owned.protocols(family) {
                stack.sweep(protocol, None);
            }
        }
        Ok(routing)
    }

    fn of(listings: &[Listings; 2], needed_by: &Owned) -> Result<Self, String> {
        let mut stacks = [None, None];
        for (family, listings) in Family::ALL.into_iter().zip(listings) {
            if is_off(family) {
                continue;
            }
            let stack = Stack::listed(family, listings)?;
            if !stack.is_on(family) && needed_by.steps(family).next().is_some() {
                return Err("the loopback interface is down: `ip link set lo up`".to_owned());
            }
            stacks[place(family)] = Some(stack);
        }
        Ok(Self { before: stacks.clone(), after: stacks, unplaced: Vec::new() })
    }

    /// Whether nothing changes.
    pub(super) fn is_settled(&self) -> bool {
        self.before == self.after
    }

    /// What adds what is new.
    pub(super) fn additions(&self) -> Vec<Program> {
        self.batches(|old, new, family| additions(old, new, &|rule| self.is_unplaced(family, rule)))
    }

    /// What takes away what is old.
    pub(super) fn removals(&self) -> Vec<Program> {
        self.batches(|old, new, _| removals(old, new, &|_| false))
    }

    /// What adds again what [`removals`](Self::removals) took away.
    pub(super) fn additions_again(&self) -> Vec<Program> {
        self.batches(|old, new, _| additions(new, old, &|_| false))
    }

    /// What takes away what [`additions`](Self::additions) added.
    pub(super) fn additions_undone(&self) -> Vec<Program> {
        self.batches(|old, new, family| removals(new, old, &|rule| self.is_unplaced(family, rule)))
    }

    fn is_unplaced(&self, family: Family, rule: &Rule) -> bool {
        self.unplaced.contains(&(family, *rule))
    }

    fn batches(&self, lines: impl Fn(&Stack, &Stack, Family) -> Vec<String>) -> Vec<Program> {
        let mut programs = Vec::new();
        for family in Family::ALL {
            let at = place(family);
            let (Some(old), Some(new)) = (&self.before[at], &self.after[at]) else { continue };
            let lines = lines(old, new, family);
            if !lines.is_empty() {
                let option = if family == Family::Ipv4 { "-4" } else { "-6" };
                let text = lines.join("\n") + "\n";
                programs.push(Program::reading("ip", &[option, "-batch", "-"], text));
            }
        }
        programs
    }
}

/// Whether all that is listed of two moments is the same, of what policies may change.
pub(super) fn are_same(one: &[Listings; 2], other: &[Listings; 2]) -> Result<bool, String> {
    for ((family, one), other) in Family::ALL.into_iter().zip(one).zip(other) {
        if Stack::listed(family, one)? != Stack::listed(family, other)? {
            return Ok(false);
        }
    }
    Ok(true)
}

const fn place(family: Family) -> usize {
    match family {
        Family::Ipv4 => 0,
        Family::Ipv6 => 1,
    }
}

/// Whether the family is off in the namespace that this thread is in.
fn is_off(family: Family) -> bool {
    let off = || fs::read_to_string("/proc/sys/net/ipv6/conf/lo/disable_ipv6");
    family == Family::Ipv6 && !off().is_ok_and(|it| it.trim() == "0")
}

/// Whether a routing table that is needed leads nowhere else.
fn is_free(step: &HostStep, stack: &Stack) -> Result<(), String> {
    let HostPart::LocalRoute { table } = step.adds else { return Ok(()) };
    let way = stack.routes.get(&(table, step.family.everywhere()));
    if way.is_some_and(|way| !way.is_local) {
        let family = step.family;
        return Err(format!(
            "{family} routing table {table} leads elsewhere: it is somebody else's"
        ));
    }
    Ok(())
}

/// What adds what `new` has and `old` has not, each before what needs it.
fn additions(old: &Stack, new: &Stack, unplaced: &dyn Fn(&Rule) -> bool) -> Vec<String> {
    let addresses = new.addresses.difference(&old.addresses);
    let mut lines: Vec<String> =
        addresses.map(|it| format!("address replace {it} dev lo nodad")).collect();
    for ((table, to), way) in &new.routes {
        if way.is_local && old.routes.get(&(*table, *to)) != Some(way) {
            lines.push(format!("route replace {}", route(*table, *to, *way)));
        }
    }
    let rules = more(&new.rules, &old.rules).into_iter();
    lines.extend(rules.map(|it| format!("rule add {}", selected(&it, unplaced(&it)))));
    lines
}

/// What takes away what `old` has and `new` has not, each behind what needs it.
fn removals(old: &Stack, new: &Stack, unplaced: &dyn Fn(&Rule) -> bool) -> Vec<String> {
    let rules = more(&old.rules, &new.rules).into_iter();
    let mut lines: Vec<String> =
        rules.map(|it| format!("rule del {}", selected(&it, unplaced(&it)))).collect();
    for ((table, to), way) in &old.routes {
        if !new.routes.contains_key(&(*table, *to)) {
            lines.push(format!("route del {}", route(*table, *to, *way)));
        }
    }
    let addresses = old.addresses.difference(&new.addresses);
    lines.extend(addresses.map(|it| format!("address del {it} dev lo")));
    lines
}

/// What one list has more often than another.
fn more(list: &[Rule], than: &[Rule]) -> Vec<Rule> {
    let mut counts: BTreeMap<Rule, usize> = BTreeMap::new();
    for rule in than {
        *counts.entry(*rule).or_default() += 1;
    }
    let mut is_more = |rule: &Rule| {
        let count = counts.entry(*rule).or_default();
        let is_more = *count == 0;
        *count = count.saturating_sub(1);
        is_more
    };
    list.iter().copied().filter(|rule| is_more(rule)).collect()
}

fn route(table: u32, to: IpNet, Way { protocol, .. }: Way) -> String {
    let protocol = if protocol == 0 { "boot".to_owned() } else { protocol.to_string() };
    format!("local {to} dev lo table {table} proto {protocol}")
}

/// A rule as `ip` is told it.
fn selected(rule: &Rule, is_unplaced: bool) -> String {
    let Rule { priority, mark, mask, table, protocol } = *rule;
    let selector = Selector {
        mark: Some(mark),
        mask: Some(mask),
        table: Some(table),
        priority: (!is_unplaced).then_some(priority),
        protocol: (protocol != 0).then_some(protocol),
    };
    selector.to_string()
}
