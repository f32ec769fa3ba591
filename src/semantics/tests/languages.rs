//! What a backend wrote and a reader read back treats all packets as before.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::arbitrary::ruleset;
use crate::backend::{iptables, nft};
use crate::ir::Clauses;
use crate::ir::{Action, Base, BuiltInTable, Chain, Hook, Match, Rule, Ruleset, TRACKING, Table};
use crate::net::{Family, Name};
use crate::reader;
use crate::semantics::compare;

/// `ruleset` without the rules that are not `supported`, or that jump to chains that a jump cannot
/// lead to.
fn supported(ruleset: &Ruleset, supported: impl Fn(&Ruleset) -> bool) -> Ruleset {
    let mut kept = ruleset.clone();
    for table in 0..kept.tables.len() {
        for chain in 0..kept.tables[table].chains.len() {
            let rules = std::mem::take(&mut kept.tables[table].chains[chain].rules);
            for rule in rules {
                let leads = match &rule.then {
                    Action::Jump(to) | Action::Goto(to) => is_target(&kept.tables[table], to),
                    _ => true,
                };
                let mut alone = kept.clone();
                for (at, other) in alone.tables.iter_mut().enumerate() {
                    for (place, chain_of) in other.chains.iter_mut().enumerate() {
                        chain_of.rules.clear();
                        if (at, place) == (table, chain) {
                            chain_of.rules.push(rule.clone());
                        }
                    }
                }
                if leads && supported(&alone) {
                    kept.tables[table].chains[chain].rules.push(rule);
                }
            }
        }
    }
    kept
}

fn is_target(table: &Table, name: &Name) -> bool {
    table.chain(name).is_some_and(|chain| chain.base.is_none())
}

/// Takes rules about connections out of a table that packets meet before they are tracked. To the
/// model such rules have a meaning; to nft, none.
fn without_early_connections(table: &mut Table) {
    let is_early = |chain: &Chain| chain.base.is_some_and(|base| base.priority <= TRACKING);
    if table.chains.iter().any(is_early) {
        for chain in &mut table.chains {
            chain.rules.retain(|rule| !is_about_connection(rule));
        }
    }
}

/// Takes rules about local sources out of a table with a chain at postrouting, where nft says
/// whether a socket exists in the same words.
fn without_local_sources(table: &mut Table) {
    let is_it = |chain: &Chain| chain.base.is_some_and(|base| base.hook == Hook::Postrouting);
    if table.chains.iter().any(is_it) {
        let is_local = |when: &Match| matches!(when, Match::Local { .. });
        for chain in &mut table.chains {
            chain.rules.retain(|rule| !rule.when.iter().any(is_local));
        }
    }
}

fn is_about_connection(rule: &Rule) -> bool {
    matches!(rule.then, Action::SetConnmark(_) | Action::SaveMark(_) | Action::RestoreMark(_))
        || rule
            .when
            .iter()
            .any(|when| matches!(when, Match::Connmark { .. } | Match::CtState { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn iptables(mut ruleset in ruleset()) {
        // iptables has each table once, and only chains of its own.
        let mut tables = BTreeSet::new();
        let built_in = |base: Base| {
            BuiltInTable::ALL.into_iter().find(|table| table.base(base.hook) == Some(base))
        };
        ruleset.tables.retain(|table| {
            let bases = || table.chains.iter().filter_map(|chain| chain.base);
            let first = bases().next().and_then(built_in);
            first.is_some_and(|first| {
                bases().all(|base| built_in(base) == Some(first)) && tables.insert(first)
            })
        });
        let ruleset = supported(&ruleset, |ruleset| iptables::unsupported(ruleset).is_empty());
        let [v4, v6] = Family::ALL.map(|family| iptables::emit(&ruleset, family).unwrap());
        let options = reader::iptables::Options::default();
        let read = reader::iptables::read(Some(&v4), Some(&v6), &options);
        let read = read.unwrap_or_else(|errors| panic!("{}\n{v4}{v6}", errors[0]));
        prop_assert_eq!(compare(&ruleset, &read.ruleset), Ok(vec![]), "{}{}", v4, v6);
    }

    #[test]
    fn nft_json(mut ruleset in ruleset()) {
        ruleset.tables.iter_mut().for_each(without_early_connections);
        ruleset.tables.iter_mut().for_each(without_local_sources);
        let target: nft::Target = "1.1.2".parse().unwrap();
        let ruleset =
            supported(&ruleset, |ruleset| nft::legal(ruleset, target).is_ok());
        let name = Name::new("test").unwrap();
        let clauses = Clauses::default();
        let context = nft::Context { policy: &name, owned: &[], clauses: &clauses };
        let options = nft::Options { target, ..nft::Options::default() };
        let legal = nft::legal(&ruleset, target).unwrap();
        let text = nft::json(&legal, &context, &options);
        let read = reader::nft::json(&text, &reader::nft::Options::default());
        let read = read.unwrap_or_else(|errors| panic!("{}\n{text}", errors[0]));
        prop_assert_eq!(compare(&ruleset, &read.ruleset), Ok(vec![]), "{}", text);
    }
}
