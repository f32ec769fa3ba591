//! Which rules are a mesh's, by the names of its chains and of the tables that weir makes for it; the
//! rest are someone else's.

use std::collections::BTreeSet;

use super::leaf::{Leaf, leaves};
use super::{Read, Reason, ambient, appmesh, consul, kuma, linkerd, osm, sidecar};
use crate::ir::{
    Action, BuiltInTable, Chain, Hook, Locator, Rule, Ruleset, Table, from_iptables_chain,
};
use crate::net::Name;

/// A ladder, by what is known of it from outside.
pub(super) struct Ladder {
    /// What messages call the mesh.
    pub(super) mesh: &'static str,
    /// What policies of its kind are called that have no name.
    pub(super) name: &'static str,
    /// How the names of its tables begin where they are its own.
    tables: &'static [&'static str],
    /// Its chains, as nft calls them: by name, or by a beginning with `*` behind it.
    chains: &'static [&'static str],
    /// Those of them that no other ladder has.
    signs: &'static [&'static str],
    /// The hooks of which it has one, if that tells it from a ladder in tables of the same name.
    hooks: &'static [Hook],
    /// Reads it.
    read: fn(&[Leaf<'_>]) -> Read,
}

/// Every ladder, in the order in which policies are written.
const LADDERS: &[Ladder] = &[
    Ladder {
        mesh: "Istio",
        name: "istio",
        tables: &["istio-proxy-"],
        chains: &[
            "istio-inbound",
            "istio-output",
            "istio-output-dns",
            "istio-redirect",
            "istio-in-redirect",
            "istio-divert",
            "istio-tproxy",
            "istio-drop",
        ],
        signs: &["istio-inbound", "istio-redirect", "istio-in-redirect", "istio-output-dns"],
        hooks: &[],
        read: sidecar::read,
    },
    Ladder {
        mesh: "Istio",
        name: "istio-pod",
        tables: &["istio-ambient-"],
        chains: &["istio-prerouting", "istio-output"],
        signs: &["istio-prerouting"],
        hooks: &[Hook::Prerouting, Hook::Output],
        read: ambient::read_pod,
    },
    Ladder {
        mesh: "Istio",
        name: "istio-host",
        tables: &["istio-ambient-"],
        chains: &["istio-postrouting"],
        signs: &["istio-postrouting"],
        hooks: &[Hook::Postrouting],
        read: ambient::read_host,
    },
    Ladder::of("Kuma", "kuma", &["kuma-"], &["kuma-mesh-*"], kuma::read),
    Ladder::of("Linkerd", "linkerd", &["linkerd-"], &["proxy-init-*"], linkerd::read),
    Ladder::of("Consul", "consul", &["consul-", "consul_"], &["consul-*"], consul::read),
    Ladder::of("Open Service Mesh", "osm", &["osm-"], &["osm-proxy-*"], osm::read),
    Ladder::of("AWS App Mesh", "appmesh", &["appmesh-"], &["appmesh-*"], appmesh::read),
];

impl Ladder {
    const fn of(
        mesh: &'static str,
        name: &'static str,
        tables: &'static [&'static str],
        chains: &'static [&'static str],
        read: fn(&[Leaf<'_>]) -> Read,
    ) -> Self {
        Self { mesh, name, tables, chains, signs: chains, hooks: &[], read }
    }
}

/// Rules of one ladder, and what they say.
pub(super) struct Own {
    pub(super) ladder: &'static Ladder,
    /// The mesh's rules alone.
    pub(super) ruleset: Ruleset,
    pub(super) read: Read,
    /// Rules of its chains that are no rung of the ladder, as the table and the chain that they are in, and their place.
    pub(super) strange: Vec<(Name, Name, Option<Locator>)>,
}

/// The rules of every mesh, and how many rules are left.
pub(super) fn own(ruleset: &Ruleset) -> Result<(Vec<Own>, usize), Reason> {
    let mut all = Vec::new();
    let mut taken = Taken::default();
    for ladder in LADDERS {
        for is_shared in [true, false] {
            let tables = ruleset.tables.iter().enumerate();
            let tables: Vec<_> =
                tables.filter(|(_, table)| is_builtin(table) == is_shared).collect();
            if !ladder.is_there(&tables, is_shared) {
                continue;
            }
            all.extend(ladder.own(&tables, is_shared, &mut taken)?);
        }
    }
    let rules = |chain: &Chain| chain.rules.iter().filter(|rule| rule.then != Action::Log).count();
    let count: usize = ruleset.tables.iter().flat_map(|table| &table.chains).map(rules).sum();
    Ok((all, count.saturating_sub(taken.0.len())))
}

/// The rules of meshes: those of a table, of a chain, and their places.
#[derive(Default)]
struct Taken(BTreeSet<(usize, usize, usize)>);

/// Whether it is one of iptables' own tables, which everybody shares.
fn is_builtin(table: &Table) -> bool {
    BuiltInTable::ALL.iter().any(|known| known.name() == table.name.as_str())
}

fn is_among(names: &[&str], chain: &Name) -> bool {
    let chain = from_iptables_chain(chain.as_str());
    names.iter().any(|name| match name.strip_suffix('*') {
        Some(stem) => chain.starts_with(stem),
        None => chain == *name,
    })
}

impl Ladder {
    /// Whether some of the tables have its rules.
    fn is_there(&self, tables: &[(usize, &Table)], is_shared: bool) -> bool {
        if is_shared {
            let mut chains = tables.iter().flat_map(|(_, table)| &table.chains);
            return chains.any(|chain| is_among(self.signs, &chain.name));
        }
        tables.iter().any(|(_, table)| self.has_table(table))
    }

    /// Whether a table that nobody shares is its own.
    fn has_table(&self, table: &Table) -> bool {
        let is_named = self.tables.iter().any(|stem| table.name.as_str().starts_with(stem));
        let is_at = |hook: &Hook| {
            table.chains.iter().any(|chain| chain.base.is_some_and(|base| base.hook == *hook))
        };
        let is_signed = || table.chains.iter().any(|chain| is_among(self.signs, &chain.name));
        is_named && (self.hooks.is_empty() || self.hooks.iter().any(is_at)) || is_signed()
    }

    /// Its rules in some tables.
    fn own(
        &'static self,
        tables: &[(usize, &Table)],
        is_shared: bool,
        taken: &mut Taken,
    ) -> Result<Option<Own>, Reason> {
        let mut places = Vec::new();
        let mut ruleset = Ruleset::default();
        for (at, table) in tables {
            if !is_shared && !self.has_table(table) {
                continue;
            }
            let (own, kept) = if is_shared { self.cut(table) } else { whole(table) };
            if !own.chains.is_empty() {
                ruleset.tables.push(own);
                places.push((*at, kept));
            }
        }
        let read = {
            let leaves = leaves(&ruleset).ok_or(Reason::Entangled)?;
            let read = (self.read)(&leaves);
            let strange = strange(&leaves, &read.understood);
            (read, strange)
        };
        let (mut read, strange) = read;
        // What stands in iptables' own chains and is no rung is someone else's.
        let mut gone: BTreeSet<(usize, usize, usize)> = BTreeSet::new();
        let mut odd = Vec::new();
        for Strange { root: (table, chain, rule), is_direct, chain: within, locator } in strange {
            let of = &ruleset.tables[table];
            if is_shared && is_direct {
                gone.insert((table, chain, rule));
            } else {
                let within = within.unwrap_or_else(|| of.chains[chain].name.clone());
                odd.push((of.name.clone(), within, locator));
            }
        }
        if !gone.is_empty() {
            for (table, of) in ruleset.tables.iter_mut().enumerate() {
                for (chain, of) in of.chains.iter_mut().enumerate() {
                    let mut place = 0..;
                    let kept = |place| !gone.contains(&(table, chain, place));
                    of.rules.retain(|_| place.next().is_some_and(kept));
                    let mut place = 0..;
                    places[table].1[chain].retain(|_| place.next().is_some_and(kept));
                }
            }
            read = (self.read)(&leaves(&ruleset).ok_or(Reason::Entangled)?);
        }
        for (at, chains) in places {
            taken.0.extend(chains.into_iter().flatten().map(|(chain, rule)| (at, chain, rule)));
        }
        Ok(Some(Own { ladder: self, ruleset, read, strange: odd }))
    }

    /// Its chains of a table that everybody shares, what they lead to, and rules of built-in chains that
    /// lead into them, or lead nowhere. The places of the rules, chain by chain.
    fn cut(&self, table: &Table) -> (Table, Vec<Vec<(usize, usize)>>) {
        let named = |name: &Name| is_among(self.chains, name);
        let exists = |name: &Name| table.chains.iter().any(|chain| chain.name == *name);
        let mut own: BTreeSet<&Name> = BTreeSet::new();
        let mut open: Vec<&Chain> = table
            .chains
            .iter()
            .filter(|chain| chain.base.is_none() && named(&chain.name))
            .collect();
        while let Some(chain) = open.pop() {
            if own.insert(&chain.name) {
                open.extend(
                    chain.targets().filter_map(|to| table.chains.iter().find(|it| it.name == *to)),
                );
            }
        }
        let is_own = |rule: &Rule| match &rule.then {
            Action::Jump(to) | Action::Goto(to) => own.contains(to) || !exists(to),
            Action::Log | Action::Opaque(_) => false,
            _ => true,
        };
        let mut cut = Table { chains: Vec::new(), ..table.clone() };
        let mut places = Vec::new();
        for (at, chain) in table.chains.iter().enumerate() {
            if chain.base.is_none() && !own.contains(&chain.name) {
                continue;
            }
            let rules = chain.rules.iter().enumerate();
            let rules = rules.filter(|(_, rule)| chain.base.is_none() || is_own(rule));
            let (kept, rules): (Vec<_>, Vec<_>) =
                rules.map(|(place, rule)| ((at, place), rule.clone())).unzip();
            if chain.base.is_none() || !rules.is_empty() {
                cut.chains.push(Chain { rules, ..chain.clone() });
                places.push(kept);
            }
        }
        (cut, places)
    }
}

/// All of a table, and the places of its rules.
fn whole(table: &Table) -> (Table, Vec<Vec<(usize, usize)>>) {
    let chains = table.chains.iter().enumerate();
    let places = chains.map(|(at, chain)| (0..chain.rules.len()).map(|rule| (at, rule)).collect());
    (table.clone(), places.collect())
}

/// A rule that is no rung.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Strange {
    /// Where the way to it begins in a base chain.
    root: (usize, usize, usize),
    /// Whether it stands there itself.
    is_direct: bool,
    /// The chain that it stands in otherwise.
    chain: Option<Name>,
    locator: Option<Locator>,
}

/// The rules of which nothing was understood.
fn strange(leaves: &[Leaf<'_>], understood: &[bool]) -> BTreeSet<Strange> {
    let rungs: BTreeSet<_> = leaves
        .iter()
        .zip(understood)
        .filter(|(_, is_understood)| **is_understood)
        .map(|(leaf, _)| leaf.root)
        .collect();
    let mut all = BTreeSet::new();
    for (leaf, is_understood) in leaves.iter().zip(understood) {
        let is_direct = leaf.is_direct();
        if *is_understood || is_direct && rungs.contains(&leaf.root) {
            continue;
        }
        let chain = leaf.via.last().and_then(|chain| Name::new(chain).ok());
        all.insert(Strange { root: leaf.root, is_direct, chain, locator: leaf.locator });
    }
    all
}
