//! Text for `iptables-restore --noflush` and `ip6tables-restore --noflush`.
//!
//! Checked against iptables 1.8.9, legacy and nft: both load it. Chains take upstream's form:
//! `istio-output` becomes `ISTIO_OUTPUT`, the base chain `prerouting` becomes `PREROUTING`. A set
//! becomes one rule for every item, or `multiport` where that holds them.
//!
//! iptables-restore has no command that deletes a rule only if it is there, so that a text cannot replace
//! itself. Over any version of the policy it fails, and changes nothing: it makes its chains with `-N`,
//! which fails for one that is there, and each table is a transaction; table nat, in which every version of
//! a policy has the same chains, comes first. [`script`] is what replaces. What a rule of a built-in chain
//! does itself, and does not leave to a chain of the policy's, bears the name of its nft table as a comment,
//! by which it is found again.

mod rule;
mod script;

pub use script::script;

use std::fmt::Write;

use crate::diag::{Diagnostic, Problem};
use crate::ir::{Action, Base, BuiltInTable, Chain, Origin, Ruleset, Table, to_iptables_chain};
use crate::net::{Family, Name};

const TARGET: &str = "iptables 1.8.9";

/// Longest name of a chain in bytes: `XT_EXTENSION_MAXNAMELEN` (29) less the terminating NUL.
const LONGEST_CHAIN: usize = 28;

/// The text that loads the rules of `family`, where none of them are. Empty if there are none.
///
/// # Errors
///
/// What iptables cannot express exactly; see [`unsupported`].
pub fn emit(ruleset: &Ruleset, family: Family) -> Result<String, Vec<Diagnostic>> {
    write(ruleset, family, |text, chains| {
        for chain in chains.iter().filter(|chain| chain.hook.is_none()) {
            let _ = writeln!(text, "-N {}", chain.name);
        }
        for chain in chains {
            for rule in &chain.rules {
                let _ = writeln!(text, "-A {} {rule}", chain.name);
            }
        }
    })
}

/// The text that takes away what [`emit`] wrote. It fails, and changes nothing, if a rule of a
/// built-in chain is not there.
///
/// # Errors
///
/// As [`emit`].
pub fn teardown(ruleset: &Ruleset, family: Family) -> Result<String, Vec<Diagnostic>> {
    write(ruleset, family, |text, chains| {
        for chain in chains.iter().filter(|chain| chain.hook.is_some()) {
            for rule in &chain.rules {
                let _ = writeln!(text, "-D {} {rule}", chain.name);
            }
        }
        // A chain can be deleted once no rule leads to it, so all are emptied first.
        for command in ["-F", "-X"] {
            for chain in chains.iter().filter(|chain| chain.hook.is_none()) {
                let _ = writeln!(text, "{command} {}", chain.name);
            }
        }
    })
}

/// What iptables cannot express exactly, of both families.
///
/// Among it: nft's transparent proxy that goes on without a listener, a base chain at a priority
/// that no built-in chain has, two of them at one hook and priority, several interfaces of which
/// none may match, a zone outside of table raw.
#[must_use]
pub fn unsupported(ruleset: &Ruleset) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    for diagnostics in Family::ALL.map(|family| emit(ruleset, family)) {
        for diagnostic in diagnostics.err().into_iter().flatten() {
            if !found.contains(&diagnostic) {
                found.push(diagnostic);
            }
        }
    }
    found
}

/// A chain in iptables' words.
struct ChainText {
    name: String,
    hook: Option<Base>,
    rules: Vec<String>,
}

fn write(
    ruleset: &Ruleset,
    family: Family,
    commands: impl Fn(&mut String, &[ChainText]),
) -> Result<String, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut text = String::new();
    for (kernel, table) in tables(ruleset, &mut problems) {
        if !table.families.has(family) {
            continue;
        }
        let chains: Vec<_> = table
            .chains
            .iter()
            .filter_map(|chain| chain_text(table, kernel, chain, family, &mut problems))
            .collect();
        let _ = writeln!(text, "*{}", kernel.name());
        commands(&mut text, &chains);
        text.push_str("COMMIT\n");
    }
    if problems.is_empty() { Ok(text) } else { Err(problems) }
}

/// The tables with the kernel's table of each, nat first, and then in the kernel's order. A table that the kernel
/// never enters does nothing, so it is left out unless its name says where it belongs.
fn tables<'a>(
    ruleset: &'a Ruleset,
    problems: &mut Vec<Diagnostic>,
) -> Vec<(BuiltInTable, &'a Table)> {
    let mut tables: Vec<(BuiltInTable, &Table)> = Vec::new();
    for table in &ruleset.tables {
        let mut bases = table.chains.iter().filter_map(|chain| chain.base);
        let kernel = match bases.next() {
            None => {
                BuiltInTable::ALL.into_iter().find(|kernel| kernel.name() == table.name.as_str())
            }
            Some(first) => {
                let fits = |kernel: &BuiltInTable| {
                    let same = |base: Base| kernel.base(base.hook) == Some(base);
                    same(first) && bases.clone().all(same)
                };
                let kernel = BuiltInTable::ALL.into_iter().find(fits);
                if kernel.is_none() {
                    problems
                        .push(unsupported_table(table, "base chains that no built-in table has"));
                }
                kernel
            }
        };
        let Some(kernel) = kernel else { continue };
        if tables.iter().any(|(other, _)| *other == kernel) {
            problems.push(unsupported_table(table, "two tables at the same priorities"));
        } else {
            tables.push((kernel, table));
        }
    }
    tables.sort_by_key(|(kernel, _)| (*kernel != BuiltInTable::Nat, *kernel));
    tables
}

fn chain_text(
    table: &Table,
    kernel: BuiltInTable,
    chain: &Chain,
    family: Family,
    problems: &mut Vec<Diagnostic>,
) -> Option<ChainText> {
    let name = match chain.base {
        Some(base) => base.hook.built_in_chain().to_owned(),
        None => chain_name(&chain.name),
    };
    let same = |other: &&Chain| match (chain.base, other.base) {
        (None, None) => chain_name(&other.name) == name,
        (Some(base), Some(other)) => base == other,
        _ => false,
    };
    if chain.base.is_none() && name.len() > LONGEST_CHAIN {
        problems.push(unsupported_table(table, "a chain name of more than 28 bytes"));
        return None;
    }
    if table.chains.iter().filter(same).count() > 1 {
        problems.push(unsupported_table(table, "two chains with the same name"));
        return None;
    }
    let mut rules = Vec::new();
    let is_own = |to: &Name| table.chains.iter().any(|chain| chain.name == *to);
    for rule in &chain.rules {
        let leads_to_own = matches!(&rule.then, Action::Jump(to) | Action::Goto(to) if is_own(to));
        let remark = if chain.base.is_some() && !leads_to_own {
            format!("-m comment --comment {} ", table.name)
        } else {
            String::new()
        };
        match rule::texts(rule, table, kernel, family) {
            Ok(texts) => rules.extend(texts.into_iter().map(|text| format!("{remark}{text}"))),
            Err(what) => problems.push(unsupported_rule(what, rule.origin)),
        }
    }
    Some(ChainText { name, hook: chain.base, rules })
}

/// `ISTIO_OUTPUT` of `istio-output`.
fn chain_name(name: &Name) -> String {
    to_iptables_chain(name.as_str())
}

fn unsupported_table(table: &Table, what: &str) -> Diagnostic {
    let what = format!("{what} (table `{}`)", table.name);
    problem(what).of(None)
}

fn unsupported_rule(what: &'static str, origin: Origin) -> Diagnostic {
    problem(what.to_owned()).of(origin.clause)
}

fn problem(what: String) -> Problem {
    Problem::Unsupported { target: TARGET.to_owned(), what }
}

#[cfg(test)]
mod tests;
