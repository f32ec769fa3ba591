//! Tables that iptables-nft keeps in nft.

use crate::ir::{Base, BuiltInTable};
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
    let known = BuiltInTable::ALL.into_iter().find(|known| known.name() == table);
    let own = known.and_then(|known| {
        let own = known.base(base.hook)?;
        // iptables-nft 1.8.9 has these behind the translation of sources, where the kernel's own, which
        // iptables-legacy fills, are before it.
        let priority = if known == BuiltInTable::Security { 150 } else { own.priority };
        Some(Base { priority, ..own })
    });
    own == Some(base) && chain == base.hook.built_in_chain()
}
