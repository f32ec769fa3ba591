//! What commands do to the addresses, routes and routing rules of a namespace, and to its tables.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::{Change, Command, Route, Rule, Selector, Statement};
use crate::ir::{HostPart, HostStep};
use crate::net::Family;
use crate::nft::{At, Place, ReadError, ReadProblem, State, absent, refused};

/// The part of a network namespace that scripts change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Namespace<'s> {
    pub(crate) ipv4: Stack,
    /// `None`: the kernel has it off, and commands about it fail.
    pub(crate) ipv6: Option<Stack>,
    /// nft's tables.
    pub(crate) tables: State<'s>,
}

/// Addresses, routes and routing rules of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stack {
    /// Addresses of the loopback interface, each with the length of its prefix.
    pub(crate) addresses: BTreeSet<IpNet>,
    /// Routes by table and destination; whether what they lead to is this machine.
    pub(crate) routes: BTreeMap<(u32, IpNet), bool>,
    /// Rules, in the order in which they are asked.
    pub(crate) rules: Vec<Rule>,
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
    /// Whether what the step adds is there.
    pub(crate) fn holds(&self, step: &HostStep) -> bool {
        match step.adds {
            HostPart::Address(address) => self.addresses.contains(&IpNet::from(address)),
            HostPart::LocalRoute { table } => {
                self.routes.get(&(table, step.family.everywhere())) == Some(&true)
            }
            HostPart::MarkRule { .. } => self.rules.iter().any(|rule| rule.is(step)),
        }
    }

    /// Makes what the step adds be there, a rule once if it is not.
    pub(crate) fn put(&mut self, step: &HostStep) {
        match step.adds {
            HostPart::Address(address) => {
                self.addresses.insert(IpNet::from(address));
            }
            HostPart::LocalRoute { table } => {
                self.routes.insert((table, step.family.everywhere()), true);
            }
            HostPart::MarkRule { .. } => {
                if !self.holds(step) {
                    self.rules.extend(Rule::of(step));
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
            Change::ReplaceRoute(Route { table, to }) => {
                self.routes.insert((table, to), true);
            }
            Change::DeleteRoute(Route { table, to }) => {
                let known = self.routes.get(&(table, to)).copied();
                if known != Some(true) {
                    return Err(absent("route", &format!("local {to} table {table}")));
                }
                self.routes.remove(&(table, to));
            }
            Change::AddRule(selector) => return self.add_rule(&selector),
            Change::FlushRules(selector) => {
                // `ip` spares the rule that is asked first.
                self.rules.retain(|rule| rule.priority == 0 || !selector.fits(rule));
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
