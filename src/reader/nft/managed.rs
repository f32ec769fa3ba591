//! Tables that iptables-nft keeps in nft.

use crate::ir::{Base, BuiltInTable, ChainKind, Hook};
use crate::nft::{TableFamily, TableState};

/// Whether iptables-nft keeps the table: its family, its name, and every chain that the kernel enters
/// are iptables' own. What has a chain of another kind besides, `iptables-save` refuses to show.
pub(super) fn is_of_iptables(table: &TableState<'_>) -> bool {
    let mut bases =
        table.chains.iter().filter_map(|chain| Some((chain.name, chain.base?))).peekable();
    table.name.family != TableFamily::Inet
        // iptables has no sets of its own.
        && table.sets.is_empty()
        && bases.peek().is_some()
        && bases.all(|(name, base)| is_built_in(&table.name.name, name, base))
}

fn is_built_in(table: &str, chain: &str, base: Base) -> bool {
    let own = if table == "security" {
        // iptables 1.8.9 has it, and rules of ours do not.
        let is_there = matches!(base.hook, Hook::Input | Hook::Forward | Hook::Output);
        is_there.then_some(Base { kind: ChainKind::Filter, hook: base.hook, priority: 50 })
    } else {
        let known = BuiltInTable::ALL.into_iter().find(|known| known.name() == table);
        known.and_then(|known| known.base(base.hook))
    };
    own == Some(base) && chain == base.hook.built_in_chain()
}
