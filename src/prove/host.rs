//! Proofs that scripts and batches leave what policies need beside their rules, or nothing of it.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::backend::routing::Form;
use crate::diag::{Diagnostic, Problem};
use crate::ip::{self, Change, Command, Namespace, Route, Rule, Stack, Statement, everything};
use crate::ir::{HostPart, HostStep};
use crate::net::{Family, Name};
use crate::nft::{At, Place, ReadError, Script, State, TableName};

/// What a policy has in a namespace.
pub(crate) struct Part {
    /// Every table that it may have.
    pub(crate) owned: Vec<Name>,
    /// What it needs beside its rules.
    pub(crate) steps: Vec<HostStep>,
}

/// Proves that a text adds what the policies need, however much of it is there, and changes nothing
/// else: for IPv4 alone where the kernel has IPv6 off; a script in no moment takes away what is there.
///
/// # Errors
///
/// `E402`, if it does not, or if it cannot be read back.
pub(crate) fn routing(parts: &[Part], form: Form, text: &str) -> Result<(), Diagnostic> {
    let (target, read, families) = match form {
        Form::Shell => ("the routing script", ip::script(text), &Family::ALL[..]),
        Form::Batch(Family::Ipv4) => {
            ("the batch for ip", ip::batch(text, Family::Ipv4), &[Family::Ipv4][..])
        }
        Form::Batch(Family::Ipv6) => {
            ("the batch for ip -6", ip::batch(text, Family::Ipv6), &[Family::Ipv6][..])
        }
    };
    let is_script = form == Form::Shell;
    let prove = |statements: &[(At, Statement<'_>)]| {
        if is_script {
            ends_on_failure(statements)?;
        }
        let needs = Needs::of(parts, families);
        needs.spare_others(statements)?;
        let loaded = added(statements, &needs, &needs.others(), "nothing", false)?;
        added(statements, &needs, &loaded, "itself", is_script)?;
        for before in needs.older() {
            added(statements, &needs, &before, "an older version", false)?;
        }
        if is_script {
            let needs = Needs::of(parts, &[Family::Ipv4]);
            let before = Namespace { ipv6: None, ..needs.others() };
            added(statements, &needs, &before, "nothing where IPv6 is off", false)?;
        }
        Ok(())
    };
    proved(target, read, prove)
}

/// Proves that a script takes away what the policies need and every table that they own, where it is
/// there, and changes nothing else: the tables of each first and all at once, and no route while a
/// rule leads to it.
///
/// # Errors
///
/// `E402`, if it does not, or if it cannot be read back.
pub(crate) fn teardown(parts: &[Part], text: &str) -> Result<(), Diagnostic> {
    proved("the teardown script", ip::script(text), |statements| {
        ends_on_failure(statements)?;
        let names: Vec<Name> = parts.iter().flat_map(|part| part.owned.clone()).collect();
        for (_, statement) in statements {
            if let Statement::Nft(script) = statement {
                script.spares_others(&names)?;
            }
        }
        let all = Script::all_of(&names);
        let mut errors = Vec::new();
        let tables = all.apply(State::default(), true, &mut errors);
        let needs = Needs::of(parts, &Family::ALL);
        needs.spare_others(statements)?;
        let mut starts = vec![("nothing", needs.others())];
        starts.push(("what was loaded", Namespace { tables: tables.clone(), ..needs.loaded() }));
        starts.extend(needs.older().into_iter().map(|before| ("an older version", before)));
        for (on, before) in starts {
            removed(statements, &needs, parts, &before, on)?;
        }
        let needs = Needs::of(parts, &[Family::Ipv4]);
        let before = Namespace { ipv6: None, tables, ..needs.loaded() };
        removed(statements, &needs, parts, &before, "what was loaded where IPv6 is off")
    })
}

/// What `prove` says about what was read, as a diagnostic.
fn proved<'a>(
    target: &'static str,
    read: Result<Vec<(At, Statement<'a>)>, ReadError>,
    prove: impl FnOnce(&[(At, Statement<'a>)]) -> Result<(), String>,
) -> Result<(), Diagnostic> {
    let statements = read.map_err(|error| error.to_string());
    let done = statements.and_then(|statements| prove(&statements));
    done.map_err(|why| Problem::NotProved { target, why }.of(None))
}

/// What fails must make the script fail.
fn ends_on_failure(statements: &[(At, Statement<'_>)]) -> Result<(), String> {
    match statements.first() {
        Some((_, Statement::EndOnFailure)) => Ok(()),
        _ => Err("it goes on behind what fails: `set -eu` must come first".to_owned()),
    }
}

/// Runs what adds on `before`, which is `on` in words; what is there then. `is_kept`: nothing may
/// change in any moment.
fn added<'s>(
    statements: &'s [(At, Statement<'s>)],
    needs: &Needs,
    before: &Namespace<'s>,
    on: &str,
    is_kept: bool,
) -> Result<Namespace<'s>, String> {
    let mut after = before.clone();
    let is_good = no_rule_leads_nowhere(needs, before).is_ok();
    let mut watch = |now: &Namespace<'s>| {
        if is_kept {
            for family in Family::ALL {
                same(stack(before, family), stack(now, family))?;
            }
        }
        if is_good { no_rule_leads_nowhere(needs, now) } else { Ok(()) }
    };
    let run = after.run(statements, &mut watch).and_then(|()| {
        if !after.tables.tables.is_empty() {
            return Err("it makes a table".to_owned());
        }
        for family in Family::ALL {
            let (before, after) = (stack(before, family), stack(&after, family));
            let Some((before, after)) = before.zip(after) else { continue };
            let steps = needs.of_family(family);
            let mut expected = before.clone();
            for step in &steps {
                add(&mut expected, step, &after.rules);
            }
            same(Some(&expected), Some(after))?;
        }
        Ok(())
    });
    run.map_err(|why| format!("run on {on}, {why}"))?;
    Ok(after)
}

/// Runs what takes away on `before`, which is `on` in words.
fn removed<'s>(
    statements: &'s [(At, Statement<'s>)],
    needs: &Needs,
    parts: &[Part],
    before: &Namespace<'s>,
    on: &str,
) -> Result<(), String> {
    let mut after = before.clone();
    let is_good = no_rule_leads_nowhere(needs, before).is_ok();
    let mut watch = |now: &Namespace<'s>| {
        for (at, part) in parts.iter().enumerate() {
            // What two policies need goes with the first.
            let is_shared = |step: &HostStep| {
                let others = parts.iter().enumerate().filter(|(other, _)| *other != at);
                others.flat_map(|(_, other)| &other.steps).any(|other| other == step)
            };
            goes_at_once(part, &is_shared, before, now)?;
        }
        if is_good { no_rule_leads_nowhere(needs, now) } else { Ok(()) }
    };
    let run = after.run(statements, &mut watch).and_then(|()| {
        if let Some(table) = after.tables.tables.first() {
            return Err(format!("table {} is left", table.name));
        }
        for family in Family::ALL {
            let (before, after) = (stack(before, family), stack(&after, family));
            let Some((before, after)) = before.zip(after) else { continue };
            let mut expected = before.clone();
            for step in needs.of_family(family) {
                take(&mut expected, &step);
            }
            same(Some(&expected), Some(after))?;
        }
        Ok(())
    });
    run.map_err(|why| format!("run on {on}, {why}"))
}

/// All tables of the policy stand, or none; and while they do, so does all that it needs of what was
/// there before.
fn goes_at_once(
    part: &Part,
    is_shared: &dyn Fn(&HostStep) -> bool,
    before: &Namespace<'_>,
    now: &Namespace<'_>,
) -> Result<(), String> {
    let count =
        |at: &Namespace<'_>| at.tables.tables.iter().filter(|table| owns(part, table.name)).count();
    let (had, has) = (count(before), count(now));
    if has == 0 {
        return Ok(());
    }
    if has < had {
        return Err("some tables of a policy are gone, and some are not".to_owned());
    }
    let has_step = |at: &Namespace<'_>, step: &HostStep| {
        stack(at, step.family).is_some_and(|stack| holds(stack, step))
    };
    let is_early =
        |step: &&HostStep| has_step(before, step) && !has_step(now, step) && !is_shared(step);
    match part.steps.iter().find(is_early) {
        Some(step) => Err(format!("{} is gone before the tables", shown(step))),
        None => Ok(()),
    }
}

fn owns(part: &Part, table: &TableName<'_>) -> bool {
    part.owned.iter().any(|name| name.as_str() == table.name)
}

/// No rule that is needed stands while the route does not to which it leads.
fn no_rule_leads_nowhere(needs: &Needs, now: &Namespace<'_>) -> Result<(), String> {
    for step in &needs.steps {
        let HostPart::MarkRule { table, .. } = step.adds else { continue };
        let route = HostStep { adds: HostPart::LocalRoute { table }, ..*step };
        let Some(now) = stack(now, step.family) else { continue };
        if needs.steps.contains(&route) && holds(now, step) && !holds(now, &route) {
            return Err(format!("{} leads nowhere for a moment", shown(step)));
        }
    }
    Ok(())
}

const fn stack<'n>(namespace: &'n Namespace<'_>, family: Family) -> Option<&'n Stack> {
    match family {
        Family::Ipv4 => Some(&namespace.ipv4),
        Family::Ipv6 => namespace.ipv6.as_ref(),
    }
}

/// Whether what the step adds is there.
fn holds(stack: &Stack, step: &HostStep) -> bool {
    match step.adds {
        HostPart::Address(address) => stack.addresses.contains(&IpNet::from(address)),
        HostPart::LocalRoute { table } => {
            stack.routes.get(&(table, everything(step.family))) == Some(&true)
        }
        HostPart::MarkRule { .. } => stack.rules.iter().any(|rule| rule.is(step)),
    }
}

/// Puts into the stack what the step adds; a rule that is not there as `after` has it, once. Of one
/// that was there more often than that, fewer may be left.
fn add(stack: &mut Stack, step: &HostStep, after: &[Rule]) {
    match step.adds {
        HostPart::Address(address) => {
            stack.addresses.insert(IpNet::from(address));
        }
        HostPart::LocalRoute { table } => {
            stack.routes.insert((table, everything(step.family)), true);
        }
        HostPart::MarkRule { .. } => {
            let is_it = |rule: &&Rule| rule.is(step);
            let most = stack.rules.iter().filter(is_it).count().max(1);
            stack.rules.retain(|rule| !rule.is(step));
            stack.rules.extend(after.iter().filter(is_it).take(most));
            if !stack.rules.iter().any(|rule| rule.is(step)) {
                stack.rules.extend(rule(step));
            }
            stack.rules.sort_by_key(|rule| rule.priority);
        }
    }
}

/// Takes out of the stack what the step adds.
fn take(stack: &mut Stack, step: &HostStep) {
    match step.adds {
        HostPart::Address(address) => {
            stack.addresses.remove(&IpNet::from(address));
        }
        HostPart::LocalRoute { table } => {
            stack.routes.remove(&(table, everything(step.family)));
        }
        HostPart::MarkRule { .. } => stack.rules.retain(|rule| !rule.is(step)),
    }
}

/// What a step adds, as a rule; at a priority that the kernel would choose if the step does not say.
fn rule(step: &HostStep) -> Option<Rule> {
    let HostPart::MarkRule { mark, table, priority } = step.adds else { return None };
    let priority = priority.unwrap_or(32_765);
    Some(Rule { priority, mark: mark.value(), mask: mark.mask(), table })
}

/// Whether what is there is what must be.
fn same(expected: Option<&Stack>, after: Option<&Stack>) -> Result<(), String> {
    let Some((expected, after)) = expected.zip(after) else { return Ok(()) };
    let (must, is) = (listed(expected), listed(after));
    // Of what is there several times, each is counted.
    let is_short = |all: &[String], one: &String, of: &[String]| {
        let count = |all: &[String]| all.iter().filter(|other| *other == one).count();
        count(all) < count(of)
    };
    if let Some(lost) = must.iter().find(|one| is_short(&is, one, &must)) {
        return Err(format!("`{lost}` is not there"));
    }
    if let Some(more) = is.iter().find(|one| is_short(&must, one, &is)) {
        return Err(format!("`{more}` is there, and must not be"));
    }
    Ok(())
}

/// Everything that is there, in words.
fn listed(stack: &Stack) -> Vec<String> {
    let addresses = stack.addresses.iter().map(|address| format!("address {address}"));
    let routes = stack.routes.iter().map(|((table, to), is_local)| {
        let kind = if *is_local { "local " } else { "" };
        format!("route {kind}{to} table {table}")
    });
    let rules = stack.rules.iter().map(|rule| format!("rule {rule}"));
    addresses.chain(routes).chain(rules).collect()
}

fn shown(step: &HostStep) -> String {
    match (step.adds, rule(step)) {
        (HostPart::Address(address), _) => format!("`address {address}`"),
        (HostPart::LocalRoute { table }, _) => format!("`route local table {table}`"),
        (HostPart::MarkRule { table, .. }, _) => format!("`rule to table {table}`"),
    }
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
        ) => route == Route { table, to: everything(step.family) },
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
struct Needs {
    steps: Vec<HostStep>,
}

impl Needs {
    fn of(parts: &[Part], families: &[Family]) -> Self {
        let all = parts.iter().flat_map(|part| &part.steps).copied();
        Self { steps: all.filter(|step| families.contains(&step.family)).collect() }
    }

    fn of_family(&self, family: Family) -> Vec<HostStep> {
        self.steps.iter().filter(|step| step.family == family).copied().collect()
    }

    /// That every command is about something that is needed.
    fn spare_others(&self, statements: &[(At, Statement<'_>)]) -> Result<(), String> {
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
    fn others<'s>(&self) -> Namespace<'s> {
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
                stack.addresses.extend(neighbours(address).into_iter().map(IpNet::from));
            }
            HostPart::LocalRoute { table } => {
                let half = everything(step.family).subnets(1).into_iter().flatten();
                stack.routes.extend(half.map(|half| ((table, half), true)));
                for table in [table.wrapping_add(1), 254] {
                    let is_free = !self.steps.iter().any(|other| {
                        other.adds == HostPart::LocalRoute { table } && other.family == step.family
                    });
                    if is_free {
                        stack.routes.insert((table, everything(step.family)), table != 254);
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
    fn loaded<'s>(&self) -> Namespace<'s> {
        self.with(&self.steps, 1)
    }

    /// Namespaces with one thing that is needed; with all of it twice, where that can be; and with
    /// other routes in its place.
    fn older<'s>(&self) -> Vec<Namespace<'s>> {
        let mut all: Vec<Namespace<'s>> =
            self.steps.iter().map(|step| self.with(std::slice::from_ref(step), 1)).collect();
        all.push(self.with(&self.steps, 2));
        let mut other = self.loaded();
        for step in &self.steps {
            let HostPart::LocalRoute { table } = step.adds else { continue };
            if let Some(stack) = stack_mut(&mut other, step.family) {
                stack.routes.insert((table, everything(step.family)), false);
            }
        }
        all.push(other);
        all
    }

    /// Those of others, with `steps`, rules whose priority the kernel chooses `times` times.
    fn with<'s>(&self, steps: &[HostStep], times: usize) -> Namespace<'s> {
        let mut namespace = self.others();
        for step in steps {
            let Some(stack) = stack_mut(&mut namespace, step.family) else { continue };
            add(stack, step, &[]);
            if let HostPart::MarkRule { priority: None, .. } = step.adds {
                stack.rules.extend((1..times).filter_map(|_| rule(step)));
                stack.rules.sort_by_key(|rule| rule.priority);
            }
        }
        namespace
    }
}

const fn stack_mut<'n>(namespace: &'n mut Namespace<'_>, family: Family) -> Option<&'n mut Stack> {
    match family {
        Family::Ipv4 => Some(&mut namespace.ipv4),
        Family::Ipv6 => namespace.ipv6.as_mut(),
    }
}

/// The addresses before and behind.
fn neighbours(address: std::net::IpAddr) -> BTreeSet<std::net::IpAddr> {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    [true, false]
        .into_iter()
        .map(|next| match address {
            IpAddr::V4(address) => {
                let bits = address.to_bits();
                let bits = if next { bits.wrapping_add(1) } else { bits.wrapping_sub(1) };
                IpAddr::V4(Ipv4Addr::from_bits(bits))
            }
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                let bits = if next { bits.wrapping_add(1) } else { bits.wrapping_sub(1) };
                IpAddr::V6(Ipv6Addr::from_bits(bits))
            }
        })
        .collect()
}
