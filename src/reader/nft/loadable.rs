//! What the kernel, or some nft from a version on, would refuse although it can be read.

use std::collections::BTreeSet;

use super::{Place, ReadError, ReadProblem, Target};
use crate::ir::{Action, Base, ChainKind, Hook, Table};
use crate::nft::keywords::is_keyword;
use crate::nft::{
    At, ChainState, Expr, MOST_NESTED, Script, SetState, State, Statement, TableState, Value, Verb,
    refused, unknown,
};

/// Most bytes of a comment on a rule: nft 1.0.1 to 1.1.7 refuse more, or list what they refuse.
const MAX_COMMENT: usize = 128;
/// `destroy` (1.0.7), a wildcard in a set and a range of one (1.0.3).
const DESTROYS: Target = Target::new(1, 0, 7);
const HAS_WILDCARDS: Target = Target::new(1, 0, 3);

/// What 1.0.3 and 1.0.4 refuse is taken again.
const PROXIES_MARKED: Target = Target::new(1, 0, 5);

/// The priority above which a nat chain has to be: the kernel refuses -200 and lower (Linux 6.18).
const LOWEST_NAT: i32 = -199;

/// Everything that would be refused of `script`, which leaves `state`, by nft from `target` on.
pub(super) fn check(
    script: &Script<'_>,
    state: &State<'_>,
    target: Target,
    errors: &mut Vec<ReadError>,
) {
    for command in &script.commands {
        if command.verb == Verb::Destroy && target < DESTROYS {
            let problem = refused("destroy", "nft before 1.0.7 does not know it");
            errors.push(ReadError { at: command.at.into(), problem });
        }
    }
    for form in script.newer.iter().filter(|form| target < form.since) {
        let problem = refused(form.word, &format!("only {} and newer take this form", form.since));
        errors.push(ReadError { at: form.at.into(), problem });
    }
    for at in &script.listed {
        let problem = unknown("statement", "text");
        errors.push(ReadError { at: (*at).into(), problem });
    }
    for table in &script.elsewhere {
        let problem = refused(table, "it is in no family that rules are written for");
        errors.push(ReadError { at: Place::Text, problem });
    }
    for table in &state.tables {
        let name = table.name.to_string();
        let mut report = |at: Place, problem| errors.push(ReadError { at, problem });
        let chains = table.chains.iter().map(|chain| chain.name);
        let sets = table.sets.iter().map(|set| &*set.set.name);
        for word in [&*table.name.name].into_iter().chain(chains).chain(sets) {
            if is_keyword(word, target) {
                let why = "it is a word of nft's own, and no name";
                report(Place::Table(name.clone()), refused(word, why));
            }
        }
        for set in &table.sets {
            if let Err(problem) = check_set(set, target) {
                report(Place::Table(name.clone()), problem);
            }
        }
        for chain in &table.chains {
            let chain_place = || Place::Chain { table: name.clone(), chain: chain.name.to_owned() };
            if chain.is_elsewhere {
                let problem = unknown("hook", "ingress");
                report(Place::or(chain.at, chain_place), problem);
            }
            if let Err(problem) = chain.base.map_or(Ok(()), check_base) {
                report(Place::or(chain.at, chain_place), problem);
            }
            if let Err(problem) = check_comments(chain) {
                report(Place::or(chain.at, chain_place), problem);
            }
        }
    }
}

fn check_base(base: Base) -> Result<(), ReadProblem> {
    match base.kind {
        ChainKind::Nat if base.hook == Hook::Forward => {
            Err(refused("type nat", "the kernel has none at forward"))
        }
        ChainKind::Nat if base.priority < LOWEST_NAT => {
            Err(refused("priority", "a nat chain needs one above -200"))
        }
        ChainKind::Route if base.hook != Hook::Output => {
            Err(refused("type route", "the kernel has it at output only"))
        }
        ChainKind::Filter | ChainKind::Nat | ChainKind::Route => Ok(()),
    }
}

fn check_comments(chain: &ChainState<'_>) -> Result<(), ReadProblem> {
    let is_bad = |comment: &&str| comment.len() > MAX_COMMENT || comment.contains('"');
    let mut comments = chain.rules.iter().filter_map(|rule| rule.comment.as_deref());
    match comments.find(is_bad) {
        Some(_) => Err(refused("comment", "nft lists 128 bytes at most, without `\"`")),
        None => Ok(()),
    }
}

fn check_set(set: &SetState<'_>, target: Target) -> Result<(), ReadProblem> {
    let is_interval = set.is_interval();
    let values = || set.values.iter().copied().flatten();
    if set.set.size.is_some_and(|size| values().count() > size as usize) {
        return Err(refused(&set.set.name, "it has more elements than its size"));
    }
    let keys = set.entries.iter().copied().flatten().map(|(key, _)| key);
    for value in values().chain(keys) {
        if value.is_interval() && !is_interval {
            return Err(refused(value, "its set needs `flags interval`"));
        }
        check_value(value, target)?;
    }
    if is_interval && !set.set.auto_merge {
        let mut ends: Vec<_> = values().filter_map(Value::ends).collect();
        if !ends.is_sorted() {
            ends.sort_unstable();
        }
        if ends.windows(2).any(|two| two[1].0 <= two[0].1) {
            return Err(refused(&set.set.name, "two of its elements overlap"));
        }
    }
    Ok(())
}

/// Whether a packet could be in more chains at once than the kernel allows.
pub(super) fn check_depth(table: &TableState<'_>) -> Result<(), ReadProblem> {
    let mut inner: BTreeSet<&str> =
        table.chains.iter().filter(|chain| chain.base.is_some()).map(|chain| chain.name).collect();
    for _ in 0..MOST_NESTED {
        inner = inner.into_iter().flat_map(|name| table.targets(name)).collect();
    }
    match inner.first() {
        Some(chain) => {
            let why = format!("the kernel has a packet in {MOST_NESTED} chains at most");
            Err(refused(&format!("chain {chain}"), &why))
        }
        None => Ok(()),
    }
}

/// Whether nft from `target` on takes an expression: before 1.1.2, one has one mark, on the left.
pub(super) fn check_marks(value: &Expr<'_>, target: Target) -> Result<(), ReadProblem> {
    let Expr::Binary(operator, both) = value else { return Ok(()) };
    if reads_mark(&both.1) && !target.combines_marks() {
        return Err(refused(operator.word(), "nft before 1.1.2 has a number behind it only"));
    }
    check_marks(&both.0, target)?;
    check_marks(&both.1, target)
}

fn reads_mark(value: &Expr<'_>) -> bool {
    match value {
        Expr::Value(_) => false,
        Expr::Binary(_, both) => reads_mark(&both.0) || reads_mark(&both.1),
        _ => true,
    }
}

/// Whether nft from `target` on takes a script's rule: 1.0.3 and 1.0.4 take no mark before `tproxy`.
pub(super) fn check_order(
    statements: &[(At, Statement<'_>)],
    target: Target,
) -> Result<(), (At, ReadProblem)> {
    let is_tproxy =
        |(_, statement): &(At, Statement<'_>)| matches!(statement, Statement::Tproxy { .. });
    let Some(end) = statements.iter().position(is_tproxy) else { return Ok(()) };
    let mut before = statements[..end].iter();
    match before.find(|(_, statement)| matches!(statement, Statement::Mangle { .. })) {
        Some((at @ At::Line { .. }, _)) if target < PROXIES_MARKED => {
            Err((*at, refused("mark set", "nft 1.0.3 and 1.0.4 do not take it before `tproxy`")))
        }
        _ => Ok(()),
    }
}

/// Whether nft from `target` on takes the value in a set.
pub(super) fn check_value(value: &Value<'_>, target: Target) -> Result<(), ReadProblem> {
    match value {
        Value::Word(word) | Value::Text(word) if word.ends_with('*') && target < HAS_WILDCARDS => {
            Err(refused(word, "nft before 1.0.3 has no wildcards in sets"))
        }
        _ => check_range(value, target),
    }
}

/// Whether nft from `target` on takes the value.
pub(super) fn check_range(value: &Value<'_>, target: Target) -> Result<(), ReadProblem> {
    match value {
        Value::Range(ends) if ends.0 == ends.1 && target < HAS_WILDCARDS => {
            Err(refused(value, "nft before 1.0.3 has no range of one value"))
        }
        _ => Ok(()),
    }
}

/// An action, and where the kernel has it.
type Kind = (&'static str, fn(&Action) -> bool, fn(Base) -> bool);

/// What the kernel would refuse of the rules of `table`: actions that it has in some chains only, if
/// packets come there from others.
pub(super) fn check_actions(table: &Table) -> Result<(), ReadProblem> {
    let kinds: [Kind; 4] = [
        (
            "redirect",
            |action| matches!(action, Action::Redirect { .. }),
            |base| {
                base.kind == ChainKind::Nat && matches!(base.hook, Hook::Prerouting | Hook::Output)
            },
        ),
        (
            "snat",
            |action| matches!(action, Action::Snat { .. }),
            |base| {
                base.kind == ChainKind::Nat && matches!(base.hook, Hook::Postrouting | Hook::Input)
            },
        ),
        (
            "dnat",
            |action| matches!(action, Action::Dnat { .. }),
            |base| {
                base.kind == ChainKind::Nat && matches!(base.hook, Hook::Prerouting | Hook::Output)
            },
        ),
        (
            "tproxy",
            |action| matches!(action, Action::Tproxy { .. }),
            |base| base.kind == ChainKind::Filter && base.hook == Hook::Prerouting,
        ),
    ];
    for (word, is_it, may) in kinds {
        let mut with = table
            .chains
            .iter()
            .filter(|chain| chain.rules.iter().any(|rule| is_it(&rule.then)))
            .peekable();
        if with.peek().is_none() {
            continue;
        }
        let elsewhere = table.reached_from(|base| !may(base));
        if let Some(chain) = with.find(|chain| elsewhere.contains(&chain.name)) {
            let why = format!("packets come to chain {} where the kernel has none", chain.name);
            return Err(refused(word, &why));
        }
    }
    Ok(())
}
