//! Proofs that scripts and batches leave what policies need beside their rules, or nothing of it.

pub(crate) use super::needs::Part;
use super::needs::{Needs, Stale};
use crate::backend::routing::Form;
use crate::diag::{Diagnostic, Problem};
use crate::ip::iptables::{Held, Whose, chain_of_another};
use crate::ip::{self, Namespace, Rule, Stack, Statement, Way};
use crate::ir::{HostPart, HostStep};
use crate::net::{Family, Name};
use crate::nft::{At, ReadError, Script, State, TableName};

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
        let loaded = added(statements, &needs, &needs.others(), &[], "nothing", false)?;
        added(statements, &needs, &loaded, &[], "itself", is_script)?;
        for before in needs.older() {
            added(statements, &needs, &before, &[], "an older version", false)?;
        }
        let stale: Vec<Stale> = needs.stale(is_script);
        let stale: Vec<_> =
            stale.into_iter().filter(|it| families.contains(&it.family())).collect();
        let before = needs.with_stale(&stale);
        added(statements, &needs, &before, &stale, "a version with other numbers", false)?;
        if is_script {
            let needs = Needs::of(parts, &[Family::Ipv4]);
            let before = Namespace { ipv6: None, ..needs.others() };
            added(statements, &needs, &before, &[], "nothing where IPv6 is off", false)?;
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
            match statement {
                Statement::Nft(script) => script.spares_others(&names)?,
                Statement::Iptables(whose) => spares_others(whose, parts)?,
                _ => {}
            }
        }
        let all = Script::all_of(&names);
        let mut errors = Vec::new();
        let tables = all.apply(State::default(), true, &mut errors);
        let needs = Needs::of(parts, &Family::ALL);
        needs.spare_others(statements)?;
        let mut starts = vec![("nothing", needs.others())];
        starts.push(("what was loaded", Namespace { tables: tables.clone(), ..needs.loaded() }));
        let mut of_iptables = needs.loaded();
        of_iptables.iptables.extend(parts.iter().flat_map(held));
        starts.push(("what iptables has loaded", of_iptables));
        // Another mesh needs the address, too.
        let own: Vec<&str> = parts.iter().map(|part| part.chains).collect();
        if let Some(other) = chain_of_another(&own) {
            let mut beside = needs.loaded();
            beside.iptables.push(other);
            starts.push(("what was loaded beside another mesh", beside));
        }
        starts.extend(needs.older().into_iter().map(|before| ("an older version", before)));
        for (on, before) in starts {
            removed(statements, &needs, parts, &before, &[], on)?;
        }
        let stale = needs.stale(true);
        let before = Namespace { tables: tables.clone(), ..needs.with_stale(&stale) };
        removed(statements, &needs, parts, &before, &stale, "a version with other numbers")?;
        let needs = Needs::of(parts, &[Family::Ipv4]);
        let before = Namespace { ipv6: None, tables, ..needs.loaded() };
        removed(statements, &needs, parts, &before, &[], "what was loaded where IPv6 is off")
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
    stale: &[Stale],
    on: &str,
    is_kept: bool,
) -> Result<Namespace<'s>, String> {
    let mut after = before.clone();
    let is_good = no_rule_leads_nowhere(needs, before).is_ok();
    let mut watch = |now: &Namespace<'s>| {
        if is_kept {
            for family in Family::ALL {
                if let Some((before, now)) = before.stack(family).zip(now.stack(family)) {
                    same(before, now)?;
                }
            }
        }
        if is_good { no_rule_leads_nowhere(needs, now) } else { Ok(()) }
    };
    let run = after.run(statements, &mut watch).and_then(|()| {
        if !after.tables.tables.is_empty() {
            return Err("it makes a table".to_owned());
        }
        for family in Family::ALL {
            let (before, after) = (before.stack(family), after.stack(family));
            let Some((before, after)) = before.zip(after) else { continue };
            let mut expected = before.clone();
            for it in stale {
                it.go(family, &mut expected);
            }
            for (step, protocol) in needs.of_family(family) {
                // At whatever priority, and of one that was there several times, fewer may be left.
                let most = before.rules.iter().filter(|rule| rule.is(&step)).count().max(1);
                expected.take(&step);
                let is_marked =
                    |rule: &&Rule| rule.protocol == protocol || before.rules.contains(rule);
                let now = after.rules.iter().filter(|rule| rule.is(&step)).filter(is_marked);
                expected.rules.extend(now.take(most));
                expected.put(&step, protocol);
            }
            same(&expected, after)?;
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
    stale: &[Stale],
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
        let all: Vec<Held> = parts.iter().flat_map(held).collect();
        let before_all = &before.iptables;
        let expected: Vec<_> = before_all.iter().filter(|it| !all.contains(it)).collect();
        if !expected.iter().copied().eq(&after.iptables) {
            return Err("rules of iptables are left, or others are gone".to_owned());
        }
        for family in Family::ALL {
            let (before, after) = (before.stack(family), after.stack(family));
            let Some((before, after)) = before.zip(after) else { continue };
            let mut expected = before.clone();
            for it in stale {
                it.go(family, &mut expected);
            }
            let own: Vec<&str> = parts.iter().map(|part| part.chains).collect();
            let is_shared = chain_of_another(&own).is_some_and(|it| before_all.contains(&it));
            for (step, _) in needs.of_family(family) {
                if !(is_shared && matches!(step.adds, HostPart::Address(_))) {
                    expected.take(&step);
                }
            }
            same(&expected, after)?;
        }
        Ok(())
    });
    run.map_err(|why| format!("run on {on}, {why}"))
}

/// What iptables may have of a policy.
fn held(part: &Part) -> Vec<Held> {
    let chains = ["OUTPUT", "OLD_1"].map(|name| Held::Chain(format!("{}{name}", part.chains)));
    let remarks = part.owned.iter().map(|table| Held::Remark(table.to_string()));
    chains.into_iter().chain(remarks).collect()
}

/// That only what a policy may have of iptables is taken away.
fn spares_others(whose: &Whose, parts: &[Part]) -> Result<(), String> {
    let is_of = |part: &Part| {
        part.chains == whose.chains && whose.owned.iter().all(|table| part.owned.contains(table))
    };
    if parts.iter().any(is_of) {
        return Ok(());
    }
    Err("it touches rules of iptables that are not the policy's".to_owned())
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
        at.stack(step.family).is_some_and(|stack| stack.holds(step))
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
    for (step, protocol) in &needs.steps {
        let HostPart::MarkRule { table, .. } = step.adds else { continue };
        let route = HostStep { adds: HostPart::LocalRoute { table }, ..*step };
        let Some(now) = now.stack(step.family) else { continue };
        if needs.steps.contains(&(route, *protocol)) && now.holds(step) && !now.holds(&route) {
            return Err(format!("{} leads nowhere for a moment", shown(step)));
        }
    }
    Ok(())
}

/// Whether what is there is what must be.
fn same(expected: &Stack, after: &Stack) -> Result<(), String> {
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
    let routes = stack.routes.iter().map(|((table, to), Way { is_local, protocol })| {
        let kind = if *is_local { "local " } else { "" };
        let protocol = Some(protocol).filter(|protocol| **protocol != 0);
        let protocol = protocol.map(|it| format!(" proto {it}")).unwrap_or_default();
        format!("route {kind}{to} table {table}{protocol}")
    });
    let rules = stack.rules.iter().map(|rule| format!("rule {rule}"));
    addresses.chain(routes).chain(rules).collect()
}

fn shown(step: &HostStep) -> String {
    match step.adds {
        HostPart::Address(address) => format!("`address {address}`"),
        HostPart::LocalRoute { table } => format!("`route local table {table}`"),
        HostPart::MarkRule { table, .. } => format!("`rule to table {table}`"),
    }
}

#[cfg(test)]
mod tests {
    use crate::net::Family;
    use crate::syntax::NoIncludes;
    use crate::{Options, View, compile};

    /// What is wrong with what is written of a policy if `old` stands as `new` in it.
    fn changed(view: View, old: &str, new: &str) -> String {
        let text = "sidecar s { mode tproxy }\nambient-pod p {}\n";
        let compilation = compile("s.weir", text, &NoIncludes, &Options::default()).unwrap();
        let policies: Vec<_> = compilation.policies.iter().collect();
        let policies = if old.contains("0x111") { &policies[1..] } else { &policies[..1] };
        let text = compilation.emit_together(policies, view).unwrap();
        assert!(text.contains(old), "{text}");
        let wrong = compilation.prove(policies, view, &text.replacen(old, new, 1));
        wrong.map_or_else(|failure| failure.diagnostics[0].problem.to_string(), |()| String::new())
    }

    /// Of each change, what is wrong with it.
    fn says(cases: &[(View, &str, &str, &str)]) {
        for (view, old, new, said) in cases {
            let wrong = changed(*view, old, new);
            let why = wrong
                .split_once("would not mean what the policy means: ")
                .map_or(&*wrong, |(_, why)| why);
            assert_eq!(why, *said, "{old} as {new}");
        }
    }

    const OURS: &str = "fwmark 0x539/0xffffffff table 133";

    #[test]
    fn what_a_script_would_leave_otherwise_is_named() {
        let ours = OURS;
        let listed =
            format!("[ -n \"$(ip -4 rule list {ours})\" ] || ip -4 rule add {ours} protocol 87");
        says(&[
            (View::Routing, "set -eu", "set -eu", ""),
            (View::Routing, "# Routing", "# routing", ""),
            (
                View::Routing,
                "ip -4 route replace local 0.0.0.0/0 dev lo table 133 proto 87\n",
                "",
                "run on nothing, line 37, column 1: `rule to table 133` leads nowhere for a moment",
            ),
            (
                View::Routing,
                "table 133 proto 87\n",
                "table 133\n",
                "run on nothing, `route local 0.0.0.0/0 table 133 proto 87` is not there",
            ),
            (
                View::Routing,
                "table 133 protocol 87\n",
                "table 133\n",
                "run on nothing, `rule 32765: fwmark 0x539/0xffffffff table 133 protocol 87` is not there",
            ),
            (
                View::Routing,
                "sweep -4 '*:from all fwmark 0x539 lookup 133' 133\n",
                "",
                "run on a version with other numbers, `route local 0.0.0.0/0 table 10001 proto 87` is there, and must not be",
            ),
            (
                View::Routing,
                "sweep -4 '*:from all fwmark 0x539 lookup 133' 133\n",
                "sweep -4 '' ''\n",
                "run on nothing, `route local 0.0.0.0/0 table 133 proto 87` is not there",
            ),
            (
                View::Routing,
                "sweep -4 '*:from all fwmark 0x539 lookup 133' 133\n",
                "sweep -4 '*:from all fwmark 0x539 lookup 133' 134\n",
                "line 39, column 7: unknown rule to keep `-4 \\'*:from all fwmark 0x539 lookup 133\\' 134`",
            ),
            (
                View::Routing,
                "\"$priority\" $rule\n",
                "\"$priority\"\n",
                "line 5, column 1: unknown function `sweep() {`",
            ),
            (
                View::Routing,
                &listed,
                &format!("ip -4 rule add {ours} protocol 87"),
                "run on itself, line 38, column 1: `rule 19998: fwmark 0x539/0xffffffff table 133 protocol 87` is there, and must not be",
            ),
            (
                View::Routing,
                &listed,
                &format!("ip -4 rule flush {ours}\nip -4 rule add {ours} protocol 87"),
                "run on itself, line 38, column 1: `rule 19999: fwmark 0x539/0xffffffff table 133 protocol 87` is not there",
            ),
            (
                View::Routing,
                &format!("rule list {ours}"),
                "rule list fwmark 0x539 table 133",
                "run on nothing, `rule 32765: fwmark 0x539/0xffffffff table 133 protocol 87` is not there",
            ),
            (
                View::Routing,
                "if [ -e $off ] && [ \"$(cat $off)\" = 0 ]; then\n    ip -6 addr replace ::6/128 dev lo nodad\n",
                "ip -6 addr replace ::6/128 dev lo nodad\nif [ -e $off ] && [ \"$(cat $off)\" = 0 ]; then\n",
                "run on nothing where IPv6 is off, line 42, column 1: `-6` would be refused: IPv6 is off",
            ),
        ]);
    }

    #[test]
    fn what_a_batch_would_leave_otherwise_is_named() {
        let (batch, ours) = (View::RoutingBatch(Family::Ipv4), OURS);
        says(&[
            (
                batch,
                &format!("rule flush {ours}"),
                "rule flush",
                "line 2, column 1: it touches what is not the policy's",
            ),
            (
                batch,
                "rule flush protocol 87\n",
                "rule flush protocol 88\n",
                "line 3, column 1: it touches what is not the policy's",
            ),
            (
                batch,
                "rule flush protocol 87\n",
                "",
                "run on a version with other numbers, `rule 15000: fwmark 0x77/0xffffffff table 10001 protocol 87` is there, and must not be",
            ),
            (
                batch,
                "route flush table all proto 87\n",
                "",
                "run on a version with other numbers, `route local 0.0.0.0/0 table 10001 proto 87` is there, and must not be",
            ),
            (
                batch,
                &format!("rule flush {ours}\n"),
                "",
                "run on an older version, `rule 32765: fwmark 0x539/0xffffffff table 133` is there, and must not be",
            ),
        ]);
    }

    #[test]
    fn what_teardown_would_leave_otherwise_is_named() {
        let ours = OURS;
        says(&[
            (
                View::Teardown,
                "add table ip istio-proxy-nat; delete table ip istio-proxy-nat\n",
                "",
                "run on what was loaded, line 5, column 1: some tables of a policy are gone, and some are not",
            ),
            (
                View::Teardown,
                "nft -f - <<'END'\n",
                &format!("ip -4 rule flush {ours}\nnft -f - <<'END'\n"),
                "run on what was loaded, line 5, column 1: `rule to table 133` is gone before the tables",
            ),
            (
                View::Teardown,
                "rule flush fwmark 0x111/0xfff table 100 priority 32764",
                "rule flush fwmark 0x111/0xfff table 100 priority 32765",
                "run on nothing, `rule 32765: fwmark 0x111/0xfff table 100` is not there",
            ),
            (
                View::Teardown,
                "add table inet istio-proxy-nat; delete",
                "add table inet nat; delete",
                "it touches table inet nat, which is not the policy's",
            ),
        ]);
    }
}
