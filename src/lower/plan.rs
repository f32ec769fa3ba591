//! A ruleset in the making: tables and chains by name.

use super::lowered::{Lowered, Owners, Ports};
use crate::ir::{
    Action, AddressSet, Base, BuiltInTable, Chain, Hook, Origin, Rule, Ruleset, Table,
};
use crate::net::{Families, Name};

/// The tables of a policy that does more than translate.
pub(super) const RAW_TO_NAT: &[BuiltInTable] =
    &[BuiltInTable::Raw, BuiltInTable::Mangle, BuiltInTable::Nat];

/// The nft table that stands for one of iptables', as upstream calls it.
fn table_name(prefix: &str, table: BuiltInTable) -> Name {
    name(&format!("{prefix}-{}", table.name()))
}

/// A ruleset in the making: the chains of each of iptables' tables, which are nft tables upstream.
#[derive(Debug)]
pub(super) struct Plan {
    prefix: &'static str,
    chains: &'static str,
    families: Families,
    tables: [Vec<Chain>; BuiltInTable::ALL.len()],
    sets: Vec<AddressSet>,
}

impl Plan {
    /// `prefix` begins the names of tables, and `chains` those of chains, to iptables.
    pub(super) fn new(prefix: &'static str, chains: &'static str, families: Families) -> Self {
        Self {
            prefix,
            chains,
            families,
            tables: [const { Vec::new() }; BuiltInTable::ALL.len()],
            sets: Vec::new(),
        }
    }

    /// Declares a set of the nat table that others fill.
    pub(super) fn declare(&mut self, set: AddressSet) {
        self.sets.push(set);
    }

    /// The rules at a hook, to add to.
    pub(super) fn at(&mut self, table: BuiltInTable, hook: Hook) -> &mut Vec<Rule> {
        let chain = hook.built_in_chain().to_ascii_lowercase();
        let base = table.base(hook).expect("the table has a chain at the hook");
        self.rules(table, &chain, Some(base))
    }

    /// The rules of a chain that only jumps enter, to add to.
    pub(super) fn chain(&mut self, table: BuiltInTable, chain: &str) -> &mut Vec<Rule> {
        self.rules(table, chain, None)
    }

    fn rules(&mut self, table: BuiltInTable, chain: &str, base: Option<Base>) -> &mut Vec<Rule> {
        let chains = &mut self.tables[table as usize];
        let at =
            chains.iter().position(|known| known.name.as_str() == chain).unwrap_or_else(|| {
                chains.push(Chain { name: name(chain), base, rules: Vec::new() });
                chains.len() - 1
            });
        &mut chains[at].rules
    }

    /// Sends every packet of the hook to `chain`.
    pub(super) fn enter(&mut self, table: BuiltInTable, hook: Hook, chain: &str) {
        let rule = super::when::any(self.families).then(jump(chain), Origin::ENTRY);
        self.at(table, hook).push(rule);
    }

    /// Everything that a policy comes to that has these tables, its proxy beside it, and needs nothing
    /// of the namespace but rules.
    pub(super) fn lowered(self, tables: &[BuiltInTable], ports: Ports, owners: Owners) -> Lowered {
        Lowered {
            families: self.families,
            owned: tables.iter().map(|table| table_name(self.prefix, *table)).collect(),
            chains: self.chains,
            ruleset: self.into_ruleset(),
            host: Vec::new(),
            protocol: None,
            claims: Vec::new(),
            ports,
            owners,
        }
    }

    fn into_ruleset(self) -> Ruleset {
        let Self { prefix, families, tables, mut sets, .. } = self;
        let tables = BuiltInTable::ALL.into_iter().zip(tables).map(|(table, mut chains)| {
            // Base chains first: they are where reading begins.
            chains.sort_by_key(|chain| chain.base.is_none());
            let sets = if table == BuiltInTable::Nat { std::mem::take(&mut sets) } else { vec![] };
            Table { name: table_name(prefix, table), families, sets, chains }
        });
        Ruleset { tables: tables.filter(|table| !table.chains.is_empty()).collect() }
    }
}

pub(super) fn jump(chain: &str) -> Action {
    Action::Jump(name(chain))
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).expect("names of ours are names")
}
