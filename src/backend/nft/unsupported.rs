//! What nft has no exact form for, said before anything is written.

use std::collections::BTreeSet;

use super::legal::legalise;
use super::{Legal, Target};
use crate::diag::{Diagnostic, Problem};
use crate::ir::{Action, Chain, ChainKind, Hook, MaskPair, Match, Protocol, Rule, Ruleset, Table};
use crate::net::Name;
use crate::nft::MOST_NESTED;
use crate::nft::keywords::is_keyword;
use crate::span::Span;

/// `ruleset`, as nft of version `target` can load it.
///
/// # Errors
///
/// What that nft cannot do exactly, each thing of each clause once (`E401`):
///
/// - Copying some bits of a mark into another and keeping the rest, before nft 1.1.2.
/// - A match on whether a socket exists, other than for TCP in a postrouting nat chain. There it
///   is written `fib saddr type local`: is the source an address of this machine? Nat chains see
///   the packet that begins a connection. Observed on Linux 6.18, those of processes match,
///   whatever the user, and forwarded ones do not; only the address counts, so the kernel's own
///   sockets match as well. Left out are sockets bound to an address that is not the machine's
///   (`IP_TRANSPARENT`), and taken in are packets whose socket is gone, if conntrack has forgotten
///   their connection. The other forms are worse: `meta skuid >= 0` leaves out the kernel's
///   sockets, and `meta iif 0` takes in every forwarded packet on kernels that do not know the
///   incoming interface at postrouting.
/// - Chains that jump deeper than the kernel allows.
/// - A jump to a chain of others: chains of one table cannot enter those of another.
/// - Names that some nft from that version on takes for words of its own.
pub fn legal(ruleset: &Ruleset, target: Target) -> Result<Legal, Vec<Diagnostic>> {
    let ruleset = legalise(ruleset);
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut report = |what: &str, at: Option<Span>| {
        let problem = Problem::Unsupported { target: target.to_string(), what: what.to_owned() };
        let one = problem.of(at);
        if !found.contains(&one) {
            found.push(one);
        }
    };
    for table in &ruleset.tables {
        for name in names(table).filter(|name| is_keyword(name.as_str(), target)) {
            report(&format!("the name `{name}`, which is a word of its own"), None);
        }
        if is_too_deep(table) {
            report(&format!("chains of `{}` jump more than {MOST_NESTED} deep", table.name), None);
        }
        let sees_first_packets = only_in_postrouting_nat(table);
        for chain in &table.chains {
            for rule in &chain.rules {
                let at = rule.origin.clause;
                if let Action::Jump(to) | Action::Goto(to) = &rule.then
                    && table.chain(to).is_none()
                {
                    report(&format!("a jump to `{to}`, a chain of others in another table"), at);
                }
                if combines_marks(&rule.then) && !target.combines_marks() {
                    report("copying some bits of a mark needs nft 1.1.2", at);
                }
                let exact = sees_first_packets.contains(&chain.name) && is_tcp(rule);
                if rule.when.iter().any(|one| matches!(one, Match::SocketExists { .. })) && !exact {
                    report("whether a socket exists, other than for TCP in postrouting nat", at);
                }
                if rule.is_opaque() {
                    report("a rule that is not followed", at);
                }
                if rule.when.contains(&Match::TransparentSocket) {
                    report("whether a transparent socket takes the packet", at);
                }
            }
        }
    }
    if found.is_empty() { Ok(Legal { ruleset }) } else { Err(found) }
}

/// Every name of the table that stands in the script, its own first.
fn names(table: &Table) -> impl Iterator<Item = &Name> {
    let sets = table.sets.iter().map(|set| &set.name);
    let chains = table.chains.iter().map(|chain| &chain.name);
    std::iter::once(&table.name).chain(sets).chain(chains)
}

/// Whether a packet could be in more chains at once than the kernel allows.
fn is_too_deep(table: &Table) -> bool {
    let mut inner: BTreeSet<&Name> =
        table.chains.iter().filter(|chain| chain.base.is_some()).map(|chain| &chain.name).collect();
    for _ in 0..MOST_NESTED {
        inner = inner.into_iter().flat_map(|name| targets(table, name)).collect();
    }
    !inner.is_empty()
}

/// The chains that packets reach in postrouting nat, and nowhere else.
fn only_in_postrouting_nat(table: &Table) -> BTreeSet<&Name> {
    table.reached_only_from(|base| base.kind == ChainKind::Nat && base.hook == Hook::Postrouting)
}

/// The chains that rules of the chain called `name` jump or go to.
fn targets<'a>(table: &'a Table, name: &'a Name) -> impl Iterator<Item = &'a Name> {
    table.chain(name).into_iter().flat_map(Chain::targets)
}

/// Whether the action needs two marks to compute one.
fn combines_marks(action: &Action) -> bool {
    match action {
        Action::SaveMark(MaskPair { packet, connection }) => *packet != 0 && !connection != 0,
        // Of a connection mark, none of its bits is read too: there may be no connection.
        Action::RestoreMark(MaskPair { packet, .. }) => !packet != 0,
        Action::Accept
        | Action::Drop
        | Action::Return
        | Action::Jump(_)
        | Action::Goto(_)
        | Action::Redirect { .. }
        | Action::Snat { .. }
        | Action::Dnat { .. }
        | Action::Tproxy { .. }
        | Action::SetMark(_)
        | Action::MarkAndAccept(_)
        | Action::SetConnmark(_)
        | Action::SetZone(_)
        | Action::Notrack
        | Action::Log
        | Action::Opaque(_) => false,
    }
}

/// Whether the rule is about TCP only.
fn is_tcp(rule: &Rule) -> bool {
    rule.when.contains(&Match::Protocol { protocol: Protocol::Tcp, not: false })
}
