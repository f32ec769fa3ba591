//! What is told of packets of a host, and what becomes of them there.
//!
//! Where questions decide that no packet answers, the kernel's way is the usual one or one of the others
//! that are told.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use netweir::explain::{Context, Explanation, explain_way};
use netweir::ir::{Direction, Hook, Match, Protocol, Ruleset};
use netweir::net::Family;
use netweir::semantics::Packet;

use super::machine::{CLOSED, Moment, Place, Probe, Trail, World, addresses, trails};

/// Where packets of the host go, and where others send them: services, endpoints, the host itself, and ports of
/// both that rules know, and that they do not.
const TARGETS: &[([&str; 2], &[u16])] = &[
    (["10.96.0.10", "fd96::10"], &[53, 54]),
    (["10.96.0.20", "fd96::20"], &[80, 81]),
    (["10.96.0.30", "fd96::30"], &[80]),
    (["10.96.0.99", "fd96::99"], &[80]),
    (["192.0.2.20", "2001:db8::20"], &[80]),
    (["192.0.2.50", "2001:db8::50"], &[443]),
    (["10.2.0.2", "fd02::2"], &[53, 80, 443]),
    (["10.1.0.2", "fd01::2"], &[80, 8080]),
];

/// The same of the host's own addresses.
const OWN: &[u16] = &[53, 80, 445, 8080, 8443, 30080, 30099, 41641, CLOSED];

/// Packets of a family that well-known rules of hosts know, or do not.
pub(crate) fn probes(family: Family) -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut add = |from: Place, source: &str, to: &str, port: u16| {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let (source, destination): (IpAddr, IpAddr) =
                (source.parse().unwrap(), to.parse().unwrap());
            let user = if from == Place::Host { 1000 } else { 0 };
            probes.push(Probe {
                from,
                protocol,
                user,
                group: user,
                mark: 0,
                source,
                destination,
                port,
                is_connected: false,
            });
        }
    };
    let at = family as usize;
    let [own, client, server] =
        [Place::Host, Place::Client, Place::Server].map(|place| addresses(place, family));
    for (to, ports) in TARGETS {
        for port in *ports {
            add(Place::Host, own[2], to[at], *port);
            if to[at] != client[0] {
                add(Place::Client, client[0], to[at], *port);
            }
        }
    }
    for port in OWN {
        add(Place::Host, own[0], own[0], *port);
        add(Place::Host, own[2], own[2], *port);
        add(Place::Client, client[0], own[1], *port);
        add(Place::Server, server[0], own[2], *port);
    }
    probes
}

/// The packet as the model takes it.
fn packet(probe: &Probe) -> Packet {
    let Probe { from, source, destination, port, user, group, .. } = probe;
    let protocol = if probe.protocol == Protocol::Tcp { "tcp" } else { "udp" };
    let own = addresses(Place::Host, probe.family());
    let is_own = own.iter().any(|address| address.parse() == Ok(*destination));
    let way = format!("{protocol} from {source} to {}", SocketAddr::new(*destination, *port));
    let text = match (from, is_own) {
        (Place::Host, true) => format!("outbound {way} user {user} group {group} out lo to-local"),
        (Place::Host, false) => format!("outbound {way} user {user} group {group} out tos"),
        (from, is_own) => {
            let (link, at) = if *from == Place::Client { ("toc", own[1]) } else { ("tos", own[2]) };
            let to = if is_own { "" } else { " to-foreign" };
            format!("inbound {way} in {link} interface-address {at}{to}")
        }
    };
    let packet: Packet = text.parse().unwrap();
    packet.check().unwrap_or_else(|why| panic!("{text}: {why}"));
    packet
}

/// How a packet ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// At this machine.
    At(SocketAddr),
    /// It left for there.
    Left(SocketAddr),
    Nowhere,
    /// Where a rule sends it that does not say where; only told.
    There,
}

/// How a packet ended in the kernel.
fn really(trail: &Trail) -> End {
    let at = |hook| trail.get(&(hook, Moment::End));
    match (at(Hook::Input), at(Hook::Postrouting)) {
        (Some(seen), _) => End::At(seen.destination),
        (None, Some(seen)) if seen.output != "lo" => End::Left(seen.destination),
        _ => End::Nowhere,
    }
}

/// How it ends by what is told.
fn told(outcome: &str, end: Option<&str>, probe: &Probe) -> End {
    let end = end.unwrap_or_else(|| panic!("{outcome}"));
    if let Some(at) = end.strip_prefix("at ") {
        return End::At(at.parse().unwrap_or_else(|_| panic!("{outcome}: {end}")));
    }
    if end.starts_with("where `") {
        return End::There;
    }
    if !end.starts_with("out of ") {
        // What a target takes is answered or dropped; there is no program that decides.
        assert!(end.starts_with("nowhere") || end == "where that target sends it", "{end}");
        return End::Nowhere;
    }
    let own = SocketAddr::new(probe.destination, probe.port);
    let to = outcome.split("sent to ").nth(1).and_then(|rest| rest.split(' ').next());
    let to = to.map(|to| match to.parse() {
        Ok(to) => to,
        Err(_) => SocketAddr::new(to.parse().unwrap(), probe.port),
    });
    End::Left(to.unwrap_or(own))
}

/// Every end that is told, the usual one first.
fn all_told(explanation: &Explanation, probe: &Probe) -> Vec<End> {
    let usual = (explanation.words(), explanation.end.clone());
    let others = explanation.unless.iter().map(|other| (other.outcome.clone(), other.end.clone()));
    std::iter::once(usual)
        .chain(others)
        .map(|(outcome, end)| told(&outcome, end.as_deref(), probe))
        .collect()
}

/// What was told and what became of it, in numbers, and where they are not the same.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
}

impl Tally {
    /// Sends packets through the rules that are loaded, and holds what is told of them against what they do.
    pub(crate) fn hold(
        &mut self,
        what: &str,
        (ruleset, context): (&Ruleset, &Context<'_>),
        world: &mut World,
        probes: &[Probe],
    ) {
        // By which link a packet is forwarded, the model does not know.
        let asks_for_output = asks_for_output(ruleset);
        for (probe, trail) in probes.iter().zip(trails(world, probes)) {
            let is_forwarded = trail.keys().any(|(hook, _)| *hook == Hook::Forward);
            if is_forwarded && asks_for_output {
                self.count("forwarded by a link that rules ask for");
                continue;
            }
            let explanation = explain_way(ruleset, &packet(probe), context).unwrap();
            let told = all_told(&explanation, probe);
            let really = really(&trail);
            self.count(match really {
                End::At(_) => "delivered",
                End::Left(_) => "sent",
                End::Nowhere | End::There => "nowhere",
            });
            self.count("told");
            if told.len() > 1 {
                self.count("by open questions");
            }
            let is_so =
                |told: &End| *told == really || *told == End::There && really != End::Nowhere;
            if !is_so(&told[0]) && told.iter().any(is_so) {
                self.count("otherwise than usual");
            }
            if !told.iter().any(is_so) {
                self.wrong.push(format!("{what}: {probe}: told {told:?}, really {really:?}"));
            }
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Asserts that everything was told as it was, of so many packets at least, and a few of each of these kinds.
    pub(crate) fn assert_right(&self, least: usize, kinds: &[&str]) {
        let Self { counts, wrong } = self;
        println!("{counts:?}");
        assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
        let count = |what: &str| counts.get(what).copied().unwrap_or_default();
        assert!(count("told") >= least, "{counts:?}");
        for what in kinds {
            assert!(count(what) >= 4, "{what}: {counts:?}");
        }
    }
}

/// Whether a rule asks by which link a packet leaves.
fn asks_for_output(ruleset: &Ruleset) -> bool {
    let rules = ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|it| &it.rules);
    rules.flat_map(|rule| &rule.when).any(|condition| match condition {
        Match::Interface { of, .. } => *of == Direction::Destination,
        Match::Opaque { condition, .. } => condition.text.contains("oif"),
        _ => false,
    })
}
