//! What commands do to the addresses, routes and routing rules of a namespace, and to its tables.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::iptables::{Held, is_captured};
use super::{Change, Command, Route, Rule, Selector, Statement};
use crate::ir::{HostPart, HostStep};
use crate::net::Family;
use crate::nft::{At, Place, ReadError, ReadProblem, State, absent, refused};

/// The part of a network namespace that scripts change.
#[derive(Clone, Debug)]
pub(crate) struct Namespace<'s> {
    pub(crate) ipv4: Stack,
    /// `None`: the kernel has it off, and commands about it fail.
    pub(crate) ipv6: Option<Stack>,
    /// nft's tables.
    pub(crate) tables: State<'s>,
    /// What iptables has.
    pub(crate) iptables: Vec<Held>,
}

/// Addresses, routes and routing rules of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stack {
    /// The destination that is every address.
    pub(super) everywhere: IpNet,
    /// Addresses of the loopback interface, each with the length of its prefix.
    pub(crate) addresses: BTreeSet<IpNet>,
    /// Routes by table and destination.
    pub(crate) routes: BTreeMap<(u32, IpNet), Way>,
    /// Rules, in the order in which they are asked.
    pub(crate) rules: Vec<Rule>,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Whether that is this machine.
    pub(crate) is_local: bool,
    /// 0: none that is said.
    pub(crate) protocol: u8,
}

/// What is told of a namespace after each command.
type Watch<'w, 's> = &'w mut dyn FnMut(&Namespace<'s>) -> Result<(), String>;

impl<'s> Namespace<'s> {
    /// Runs the statements, the first that fails being the last. `watch` sees what there is behind
    /// every command.
    ///
    /// # Errors
    ///
    /// What fails, or what `watch` says, with the place of the command.
    pub(crate) fn run(
        &mut self,
        statements: &'s [(At, Statement<'s>)],
        watch: Watch<'_, 's>,
    ) -> Result<(), String> {
        for (at, statement) in statements {
            let placed = |problem| ReadError { at: Place::from(*at), problem }.to_string();
            match statement {
                Statement::WithIpv6(inner) if self.ipv6.is_some() => self.run(inner, watch)?,
                Statement::EndOnFailure | Statement::WithIpv6(_) => continue,
                Statement::Ip(command) => self.command(*command).map_err(placed)?,
                Statement::UnlessListed { family, selector, then } => {
                    // What cannot be listed is not there, to the shell.
                    let listed = self.stack(*family).is_some_and(|stack| stack.has(selector));
                    if !listed {
                        self.command(*then).map_err(placed)?;
                    }
                }
                Statement::Sweep { family, protocol, keep } => {
                    let stack = self.stack_mut(*family);
                    let off = || refused("-6", "IPv6 is off");
                    stack.ok_or_else(off).map_err(placed)?.sweep(*protocol, keep.as_ref());
                }
                Statement::UnlessCaptured(command) => {
                    let tables = self.tables.tables.iter().map(|table| &*table.name.name);
                    if !is_captured(tables, &self.iptables) {
                        self.command(*command).map_err(placed)?;
                    }
                }
                Statement::Iptables(whose) => self.iptables.retain(|held| !whose.has(held)),
                Statement::Nft(script) => {
                    let mut errors = Vec::new();
                    self.tables = script.apply(std::mem::take(&mut self.tables), true, &mut errors);
                    if let Some(error) = errors.first() {
                        return Err(error.to_string());
                    }
                }
            }
            watch(self).map_err(|why| format!("{}: {why}", Place::from(*at)))?;
        }
        Ok(())
    }

    fn command(&mut self, Command { family, change }: Command) -> Result<(), ReadProblem> {
        let stack = self.stack_mut(family);
        stack.ok_or_else(|| refused("-6", "IPv6 is off"))?.change(change)
    }

    /// What there is of the family; `None`: the kernel has it off.
    pub(crate) const fn stack(&self, family: Family) -> Option<&Stack> {
        match family {
            Family::Ipv4 => Some(&self.ipv4),
            Family::Ipv6 => self.ipv6.as_ref(),
        }
    }

    /// The same, to change it.
    pub(crate) const fn stack_mut(&mut self, family: Family) -> Option<&mut Stack> {
        match family {
            Family::Ipv4 => Some(&mut self.ipv4),
            Family::Ipv6 => self.ipv6.as_mut(),
        }
    }
}

impl Stack {
    /// Nothing of the family.
    pub(crate) const fn new(family: Family) -> Self {
        Self {
            everywhere: family.everywhere(),
            addresses: BTreeSet::new(),
            routes: BTreeMap::new(),
            rules: Vec::new(),
        }
    }

    /// Whether what the step adds is there.
    pub(crate) fn holds(&self, step: &HostStep) -> bool {
        match step.adds {
            HostPart::Address(address) => self.addresses.contains(&IpNet::from(address)),
            HostPart::LocalRoute { table } => {
                let way = self.routes.get(&(table, step.family.everywhere()));
                way.is_some_and(|way| way.is_local)
            }
            HostPart::MarkRule { .. } => self.rules.iter().any(|rule| rule.is(step)),
        }
    }

    /// Makes what the step adds be there, of this protocol, a rule once if there is none of any.
    pub(crate) fn put(&mut self, step: &HostStep, protocol: u8) {
        match step.adds {
            HostPart::Address(address) => {
                self.addresses.insert(IpNet::from(address));
            }
            HostPart::LocalRoute { table } => {
                let way = Way { is_local: true, protocol };
                self.routes.insert((table, step.family.everywhere()), way);
            }
            HostPart::MarkRule { .. } => {
                if !self.holds(step) {
                    self.rules.extend(Rule::of(step, protocol));
                    self.rules.sort_by_key(|rule| rule.priority);
                }
            }
        }
    }

    /// Takes away what the step adds.
    pub(crate) fn take(&mut self, step: &HostStep) {
        match step.adds {
            HostPart::Address(address) => {
                self.addresses.remove(&IpNet::from(address));
            }
            HostPart::LocalRoute { table } => {
                self.routes.remove(&(table, step.family.everywhere()));
            }
            HostPart::MarkRule { .. } => self.rules.retain(|rule| !rule.is(step)),
        }
    }

    fn has(&self, selector: &Selector) -> bool {
        self.rules.iter().any(|rule| selector.fits(rule))
    }

    fn change(&mut self, change: Change) -> Result<(), ReadProblem> {
        match change {
            Change::ReplaceAddress(address) => {
                self.addresses.insert(address);
            }
            Change::FlushAddresses(of) => {
                let goes = |address: &IpNet| of.is_none_or(|of| of.contains(&address.addr()));
                self.addresses.retain(|address| !goes(address));
            }
            Change::ReplaceRoute(Route { table, to, protocol }) => {
                self.routes.insert((table, to), Way { is_local: true, protocol });
            }
            Change::DeleteRoute(Route { table, to, protocol }) => {
                let known = self.routes.get(&(table, to)).copied();
                let fits = |way: Way| way.is_local && (protocol == 0 || protocol == way.protocol);
                if !known.is_some_and(fits) {
                    return Err(absent("route", &format!("local {to} table {table}")));
                }
                self.routes.remove(&(table, to));
            }
            Change::AddRule(selector) => return self.add_rule(&selector),
            Change::FlushRules(selector) => {
                // `ip` spares the rule that is asked first.
                self.rules.retain(|rule| rule.priority == 0 || !selector.fits(rule));
            }
            Change::FlushRoutes { protocol } => {
                self.routes.retain(|_, way| way.protocol != protocol);
            }
        }
        Ok(())
    }

    fn add_rule(&mut self, selector: &Selector) -> Result<(), ReadProblem> {
        let (Some(mark), Some(table)) = (selector.mark, selector.table) else {
            return Err(refused("rule add", "it has no mark or no table"));
        };
        let rule = Rule {
            priority: selector.priority.unwrap_or_else(|| self.free_priority()),
            mark,
            mask: selector.mask.unwrap_or(u32::MAX),
            table,
            protocol: selector.protocol.unwrap_or(0),
        };
        if selector.priority.is_some() && self.rules.contains(&rule) {
            return Err(ReadProblem::Exists { what: "rule", name: rule.to_string() });
        }
        self.rules.push(rule);
        // Of one priority, the last is asked last: the sort keeps that.
        self.rules.sort_by_key(|rule| rule.priority);
        Ok(())
    }

    /// What the kernel takes for a rule that names none: the place before the second rule.
    fn free_priority(&self) -> u32 {
        self.rules.get(1).map_or(0, |second| second.priority.saturating_sub(1))
    }
}
