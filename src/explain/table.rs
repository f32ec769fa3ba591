//! What becomes of ordinary packets, in a table: destinations and ports, as few rows as say it.
//!
//! Rows of a table are apart, and with what stands for all else they are every packet that the table is about.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::Context;
use super::treatment::Treatment;
use crate::ir::{CtState, CtStates, Direction, Hook, Match, Owner, OwnerIs, Protocol, Ruleset};
use crate::lower::{Owners, Ports};
use crate::net::{Families, Family, Interface, Mark, Nets, PortSet};
use crate::semantics::{Limit, Listed, Outcome, Share, Shares, shares};

/// What becomes of ordinary packets at one hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Table {
    /// `outbound`, `inbound` or `forwarded`.
    pub direction: String,
    /// The hook: `output`.
    pub hook: String,
    /// Which packets it is about, exactly.
    pub packets: String,
    /// Which of their addresses is told: `to` or `from`.
    pub address: String,
    /// What becomes of which packets. No packet is in two.
    pub rows: Vec<Row>,
    /// What becomes of all others, for each family of which another thing does.
    pub rest: Vec<Rest>,
    /// What all that supposes about the order of chains that tie, of which no text tells.
    pub supposes: Vec<String>,
    /// What rules ask that packets do not tell, and on which it may depend what becomes of them: the usual
    /// answers count, as in an explanation.
    pub asks: Vec<String>,
}

/// Packets, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Row {
    /// Their families: `ipv4`, `ipv6`.
    pub families: Vec<String>,
    /// Their addresses; `None`: every one. A prefix of one family says nothing about the other.
    pub addresses: Option<Values>,
    /// Their protocols, by name or number; `None`: every one.
    pub protocols: Option<Values>,
    /// The ports that they go to, or ranges of these; `None`: every one.
    pub ports: Option<Values>,
    /// What becomes of them: one thing, or several, each of some of them.
    pub becomes: Vec<Fate>,
}

/// Some values: these, or all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Values {
    /// The values.
    pub items: Vec<String>,
    /// Whether all others are meant.
    pub not: bool,
}

/// All packets that are in no row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Rest {
    /// Their families: `ipv4`, `ipv6`.
    pub families: Vec<String>,
    /// What becomes of them: one thing, or several, each of some of them.
    pub becomes: Vec<Fate>,
}

/// What becomes of packets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fate {
    /// In the words of an explanation: `captured: redirected to the outbound proxy port 15001`.
    pub outcome: String,
    /// In few words: `captured: outbound proxy port 15001`.
    pub summary: String,
    /// Whether they go to the proxy.
    pub captured: bool,
    /// Whether they go to where the proxy answers queries.
    pub dns: bool,
    /// The port that they go to instead of their own.
    pub port: Option<u16>,
    /// Of which packets of the row; empty: of all.
    #[serde(rename = "if")]
    pub of: Vec<String>,
}

/// The hooks in the order in which tables are told, with their directions.
const HOOKS: [(Hook, &str); 5] = [
    (Hook::Output, "outbound"),
    (Hook::Postrouting, "outbound"),
    (Hook::Prerouting, "inbound"),
    (Hook::Input, "inbound"),
    (Hook::Forward, "forwarded"),
];

/// What `ruleset` does to ordinary packets of `families`: a table for each hook at which there are chains.
///
/// Marks, zones and connection tracking aside.
///
/// # Errors
///
/// If the rules are too entangled to tell.
pub fn tables(
    ruleset: &Ruleset,
    families: Families,
    context: &Context<'_>,
) -> Result<Vec<Table>, Limit> {
    let (owners, ports) = (context.owners(), context.ports());
    let mut tables = Vec::new();
    for (hook, direction) in HOOKS {
        let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
        if !chains.clone().any(|chain| chain.base.is_some_and(|base| base.hook == hook)) {
            continue;
        }
        let told = address(ruleset, hook);
        let mut all: Vec<(Family, Shares)> = Vec::new();
        for family in families.iter() {
            let when = ordinary(hook, family, &owners);
            if let Some(shares) = shares(ruleset, (hook, family), &when, told)? {
                all.push((family, shares));
            }
        }
        let mut supposes: Vec<String> = Vec::new();
        for (_, shares) in &all {
            supposes.extend(shares.supposes.iter().cloned());
        }
        supposes.dedup();
        let asks = all.iter().flat_map(|(_, shares)| &shares.asks);
        let asks: BTreeSet<String> = asks.map(ToString::to_string).collect();
        tables.push(Table {
            direction: direction.to_owned(),
            hook: hook.name().to_owned(),
            packets: packets(hook, &owners),
            address: match told {
                Direction::Source => "from",
                Direction::Destination => "to",
            }
            .to_owned(),
            rows: rows(&all, &ports),
            rest: rest(&all, &ports),
            supposes,
            asks: asks.into_iter().collect(),
        });
    }
    Ok(tables)
}

/// Which address of packets is told: the one that more rules ask for there, or else that of the other machine.
fn address(ruleset: &Ruleset, hook: Hook) -> Direction {
    let mut counts = [0_usize; 2];
    for table in &ruleset.tables {
        let reached = table.reached_from(|base| base.hook == hook);
        let chains = table.chains.iter().filter(|chain| reached.contains(&chain.name));
        for when in chains.flat_map(|chain| &chain.rules).flat_map(|rule| &rule.when) {
            match when {
                Match::Address { of: Direction::Source, .. } => counts[0] += 1,
                Match::Address { of: Direction::Destination, .. } => counts[1] += 1,
                _ => {}
            }
        }
    }
    let others = match hook {
        Hook::Prerouting | Hook::Input => Direction::Source,
        Hook::Output | Hook::Postrouting | Hook::Forward => Direction::Destination,
    };
    match counts[0].cmp(&counts[1]) {
        Ordering::Less => Direction::Destination,
        Ordering::Equal => others,
        Ordering::Greater => Direction::Source,
    }
}

/// What ordinary packets of `family` are at `hook`.
fn ordinary(hook: Hook, family: Family, owners: &Owners) -> Vec<Match> {
    let local = |of, is: bool| Match::Local { of, not: !is };
    let not_over_lo = |of| Match::Interface { of, names: vec![Interface::lo()], not: true };
    let (source, destination) = (Direction::Source, Direction::Destination);
    let mut when = vec![
        Match::CtState { states: CtStates::from_iter([CtState::New]), not: false },
        Match::Mark { mark: Mark::exactly(0), not: false },
        Match::Connmark { mark: Mark::exactly(0), not: false },
    ];
    // Loopback is this machine's everywhere, though nothing else is known of what is.
    when.extend([source, destination].map(|of| Match::Address {
        of,
        nets: loopback(family),
        not: true,
    }));
    match hook {
        Hook::Output | Hook::Postrouting => {
            let none_of = |owner, ids: &[u32]| {
                let ids = ids.iter().map(|id| (*id, *id)).collect();
                Match::Owner { owner, is: OwnerIs::NotIn { ids, ownerless: false } }
            };
            when.extend([local(source, true), local(destination, false), not_over_lo(destination)]);
            when.extend([
                none_of(Owner::User, &owners.users),
                none_of(Owner::Group, &owners.groups),
            ]);
        }
        Hook::Prerouting | Hook::Input => {
            when.extend([local(source, false), local(destination, true), not_over_lo(source)]);
        }
        Hook::Forward => {
            when.extend([local(source, false), local(destination, false)]);
            when.extend([not_over_lo(source), not_over_lo(destination)]);
        }
    }
    when
}

/// Every loopback address of a family.
fn loopback(family: Family) -> Nets {
    Nets::from(match family {
        Family::Ipv4 => IpNet::new_assert([127, 0, 0, 0].into(), 8),
        Family::Ipv6 => IpNet::new_assert(std::net::Ipv6Addr::LOCALHOST.into(), 128),
    })
}

/// The same in words.
fn packets(hook: Hook, owners: &Owners) -> String {
    let ids = |word: &str, ids: &[u32]| {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        (!ids.is_empty()).then(|| format!("{word} {}", ids.join(", ")))
    };
    let proxy: Vec<String> =
        [ids("user", &owners.users), ids("group", &owners.groups)].into_iter().flatten().collect();
    let of = match (hook, proxy.is_empty()) {
        (Hook::Output | Hook::Postrouting, true) => " of any process",
        (Hook::Output | Hook::Postrouting, false) => " of processes other than the proxy's",
        _ => "",
    };
    let proxy =
        if of.ends_with("proxy's") { format!(" ({})", proxy.join("; ")) } else { String::new() };
    let way = match hook {
        Hook::Output | Hook::Postrouting => "from this machine to another, not out on lo",
        Hook::Prerouting | Hook::Input => "from another machine to this one, not in on lo",
        Hook::Forward => "from another machine to another, not in or out on lo",
    };
    format!("first packets of new connections{of}{proxy}, {way}, at {}, without marks", hook.name())
}

fn words(family: Family) -> String {
    match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    }
    .to_owned()
}

fn rest(all: &[(Family, Shares)], ports: &Ports) -> Vec<Rest> {
    let mut told: Vec<Rest> = Vec::new();
    for (family, shares) in all {
        let becomes = fates(&shares.rest, ports);
        match told.iter_mut().find(|known| known.becomes == becomes) {
            Some(known) => known.families.push(words(*family)),
            None => told.push(Rest { families: vec![words(*family)], becomes }),
        }
    }
    told
}

fn rows(all: &[(Family, Shares)], ports: &Ports) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (family, shares) in all {
        for share in &shares.shares {
            let row = row(*family, share, ports);
            if !rows.iter_mut().any(|known| join(known, &row)) {
                rows.push(row);
            }
        }
    }
    // What names more first.
    rows.sort_by_cached_key(|row| {
        let tells = |some: &Option<Values>| some.as_ref().is_none_or(|some| some.not);
        let keys = [&row.addresses, &row.ports, &row.protocols].map(tells);
        let addresses = row.addresses.iter().flat_map(|values| &values.items);
        let addresses: Vec<IpAddr> =
            addresses.filter_map(|net| net.split('/').next()?.parse().ok()).collect();
        (keys, addresses, row.ports.clone(), row.protocols.clone(), row.becomes.clone())
    });
    rows
}

/// Makes `known` tell the packets of `row` too, if they differ in one family only; whether it does.
fn join(known: &mut Row, row: &Row) -> bool {
    let is_same = known.protocols == row.protocols
        && known.ports == row.ports
        && known.becomes == row.becomes
        && known.families.iter().all(|family| !row.families.contains(family));
    let every = || Values { items: Vec::new(), not: true };
    let mut addresses = known.addresses.clone().unwrap_or_else(every);
    let more = row.addresses.clone().unwrap_or_else(every);
    if !is_same || addresses.not != more.not {
        return false;
    }
    addresses.items.extend(more.items);
    let is_every = addresses == every();
    known.addresses = (!is_every).then_some(addresses);
    known.families.extend(row.families.iter().cloned());
    true
}

fn row(family: Family, share: &Share, ports: &Ports) -> Row {
    let Share { protocols, addresses, tells_other_ports, becomes, .. } = share;
    Row {
        families: vec![words(family)],
        addresses: addresses.as_ref().map(|among| Values {
            items: among.items.iter().map(|net| bare(*net)).collect(),
            not: among.not,
        }),
        protocols: protocols_of(protocols),
        ports: ports_of(&share.ports, *tells_other_ports),
        becomes: fates(becomes, ports),
    }
}

/// `10.0.0.1` for `10.0.0.1/32`.
fn bare(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

fn protocols_of(among: &Listed<Option<Protocol>>) -> Option<Values> {
    let items = among.items.iter().flatten().map(|protocol| protocol.name().into_owned()).collect();
    let some = Values { items, not: among.not };
    (!some.not || !some.items.is_empty()).then_some(some)
}

fn ports_of(ports: &PortSet, tells_others: bool) -> Option<Values> {
    let others = ports.complement();
    if others.is_empty() {
        return None;
    }
    let told = if tells_others { &others } else { ports };
    let items = told.ranges().iter().map(ToString::to_string).collect();
    Some(Values { items, not: tells_others })
}

fn fates(becomes: &[(Outcome, Vec<String>)], ports: &Ports) -> Vec<Fate> {
    let fate = |(outcome, of): &(Outcome, Vec<String>)| {
        let treatment = Treatment::of(outcome);
        let port = treatment.port();
        Fate {
            outcome: ports.words(&treatment),
            summary: summary(&treatment, ports),
            captured: treatment.is_captured(),
            dns: port.is_some() && port == ports.dns(),
            port,
            of: of.clone(),
        }
    };
    let mut fates: Vec<Fate> = becomes.iter().map(fate).collect();
    fates.sort();
    fates
}

/// What becomes of packets, in few words.
fn summary(treatment: &Treatment, ports: &Ports) -> String {
    let port = |port: u16| match ports.name(port) {
        Some(name) => format!("{name} {port}"),
        None => format!("port {port}"),
    };
    match treatment {
        Treatment::Redirected { port } if ports.dns() == Some(*port) => format!("DNS: port {port}"),
        Treatment::Redirected { port: to } => format!("captured: {}", port(*to)),
        Treatment::Handed { port: to } => format!("captured: {} by TPROXY", port(*to)),
        other => ports.words(other),
    }
}
