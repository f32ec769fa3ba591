//! The model of the kernel, held against the kernel: random rulesets, and packets that are really
//! sent.
//!
//! `WEIR_KERNEL_PACKETS` says how many packets, `WEIR_KERNEL_SEED` which rulesets come first.

mod observer;
mod random;
mod rules;
mod way;
mod world;

use std::fmt::Write;
use std::time::Duration;

use netweir::ir::{Protocol, Ruleset};
use netweir::net::{Family, Name};
use netweir::reader::{iptables, nft_json};

use self::random::Random;
use self::rules::Texts;
use self::way::{End, Trail, Way, follow};
use self::world::{LINKS, PORTS, Place, Probe, Received, Sent, World, addresses};
use crate::common::netns;

/// Packets that are sent through one ruleset.
const PACKETS: usize = 100;

/// How often a packet is sent again that did not get as far as it should.
const TRIES: usize = 3;

/// Loads a ruleset into the host. The chains of the later ones of the texts are registered later.
fn load(world: &World, texts: &Texts) {
    let empty = "*raw\nCOMMIT\n*mangle\nCOMMIT\n*nat\nCOMMIT\n*filter\nCOMMIT\n".to_owned();
    let legacy = texts.legacy.clone().unwrap_or([empty.clone(), empty]);
    let variants = ["iptables", "ip6tables"];
    let restore = |variant: &str, texts: &[String; 2]| {
        for (program, text) in variants.iter().zip(texts) {
            let done = world.host.run(&format!("{program}-{variant}-restore"), &[], text);
            assert!(done.ok, "{program}-{variant}: {}\n{text}", done.err);
        }
    };
    let script = format!("flush ruleset\n{}{}", observer::script(), texts.nft);
    let done = world.host.try_load(&script);
    assert!(done.ok, "{}\n{}", done.err, texts.nft);
    restore("legacy", &legacy);
    if let Some(texts) = &texts.variant {
        restore("nft", texts);
    }
}

/// What is loaded, as weir reads it. Its tables are called so that chains that tie run in the order
/// of the tables' names, which is the one that the model supposes first.
fn read(world: &World, texts: &Texts) -> Ruleset {
    let mut ruleset = Ruleset::default();
    let mut add = |tables: Ruleset, name: &dyn Fn(usize, &str) -> String| {
        for (at, mut table) in tables.tables.into_iter().enumerate() {
            table.name = Name::new(&name(at, table.name.as_str())).unwrap();
            ruleset.tables.push(table);
        }
    };
    for (variant, prefix, is_there) in [
        ("nft", "a-variant", texts.variant.is_some()),
        ("legacy", "z-legacy", texts.legacy.is_some()),
    ] {
        if !is_there {
            continue;
        }
        let save = |program: &str| world.host.output(&format!("{program}-{variant}-save"), &[]);
        let [v4, v6] = ["iptables", "ip6tables"].map(save);
        let tables = iptables::read(Some(&v4), Some(&v6), &iptables::Options::default());
        let tables = tables.unwrap_or_else(|errors| panic!("{errors:?}\n{v4}\n{v6}"));
        add(tables, &|_, name| format!("{prefix}-{name}"));
    }
    let json = world.host.output("nft", &["-j", "list", "ruleset"]);
    let variants = ["ip", "ip6"].iter().flat_map(|family| {
        ["raw", "mangle", "nat", "filter"].map(|table| format!("{family} {table}"))
    });
    let leave_out = variants.chain([observer::TABLE.to_owned()]).collect();
    let options = nft_json::Options { leave_out, ..nft_json::Options::default() };
    let tables = nft_json::read(&json, &options);
    let tables = tables.unwrap_or_else(|errors| panic!("{errors:?}\n{}", texts.nft));
    // Of those of one script, the last was registered last.
    add(tables, &|at, name| format!("n{:02}-{name}", 99 - at));
    ruleset
}

fn probe(random: &mut Random) -> Probe {
    let family = random.pick(&Family::ALL);
    let pick = |random: &mut Random, place: Place| {
        random.pick(addresses(place, family)).parse::<std::net::IpAddr>().unwrap()
    };
    let at = |place: Place, at: usize| addresses(place, family)[at].parse().unwrap();
    let from = random.pick(&[Place::Host, Place::Host, Place::Host, Place::Client, Place::Server]);
    let (user, group) = random.pick(&[(0, 0), (1000, 1000), (1337, 1337), (1000, 202)]);
    let is_host = from == Place::Host;
    let to = match from {
        Place::Host => random.pick(&[Place::Host, Place::Client, Place::Server, Place::Server]),
        Place::Client => random.pick(&[Place::Host, Place::Server]),
        Place::Server => random.pick(&[Place::Host, Place::Client]),
    };
    let mut destination = pick(random, to);
    while !is_host && destination.is_loopback() {
        destination = pick(random, to);
    }
    let source = match (from, to) {
        (Place::Host, Place::Host) if destination.is_loopback() => pick(random, Place::Host),
        (Place::Host, _) => at(Place::Host, 1 + random.below(3)),
        // Over the second link.
        (Place::Server, _) if destination == at(Place::Host, 3) => at(Place::Server, 1),
        (Place::Server, _) => at(Place::Server, 0),
        (Place::Client, _) => at(Place::Client, 0),
    };
    Probe {
        from,
        protocol: random.pick(&[Protocol::Tcp, Protocol::Udp]),
        user: if is_host { user } else { 0 },
        group: if is_host { group } else { 0 },
        mark: if is_host && random.chance(30) { random.pick(&[1, 2, 5, 0x11, 0x42]) } else { 0 },
        source,
        destination,
        port: random.pick(&PORTS),
    }
}

/// Who gets the datagram, if anybody listens there.
fn receiver(way: &Way) -> Option<Received> {
    let (place, to) = match &way.end {
        End::Dropped => return None,
        End::Delivered(to) => (Place::Host, *to),
        End::Sent(link, to) => (LINKS.iter().find(|(name, ..)| name == link)?.2, *to),
    };
    let family = if to.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
    let listens = addresses(place, family).iter().any(|own| own.parse() == Ok(to.ip()));
    (listens && PORTS.contains(&to.port())).then_some((place, to, way.source))
}

/// What happened to a packet.
#[derive(PartialEq, Eq)]
struct Observed {
    trail: Trail,
    received: Vec<Received>,
}

/// What should happen to each of `probes`.
fn predicted(rulesets: &[Ruleset; 2], probes: &[Probe], first: u16) -> Vec<Observed> {
    (first..)
        .zip(probes)
        .map(|(port, probe)| {
            let way = follow(&rulesets[probe.family() as usize], probe, port);
            let received = if probe.protocol == Protocol::Udp { receiver(&way) } else { None };
            Observed { received: received.into_iter().collect(), trail: way.trail }
        })
        .collect()
}

fn observed(world: &World, sent: &Sent, count: usize) -> Vec<Observed> {
    let mut trails = observer::trails(&world.host);
    (sent.first..)
        .take(count)
        .map(|port| Observed {
            trail: trails.remove(&port).unwrap_or_default(),
            received: sent.received.get(&port).cloned().unwrap_or_default(),
        })
        .collect()
}

/// Sends all of `probes` and tells those that went another way than they should.
fn differences(world: &mut World, rulesets: &[Ruleset; 2], probes: Vec<Probe>) -> Vec<String> {
    let mut probes = probes;
    let mut differences = Vec::new();
    for tried in 0..TRIES {
        // More time each time, so that slowness never looks like a drop.
        let patience = Duration::from_millis(100 << (2 * tried));
        let mut sent = world.send(&probes);
        let expected = predicted(rulesets, &probes, sent.first);
        let count = expected.iter().filter(|expected| !expected.received.is_empty()).count();
        world.receive(&mut sent, count, patience);
        let mut seen = observed(world, &sent, probes.len());
        if seen != expected {
            std::thread::sleep(patience);
            world.receive(&mut sent, usize::MAX, Duration::ZERO);
            seen = observed(world, &sent, probes.len());
        }
        differences.clear();
        let mut again = Vec::new();
        for ((probe, expected), seen) in probes.into_iter().zip(expected).zip(seen) {
            if expected != seen {
                differences.push(describe(&probe, &expected, &seen));
                again.push(probe);
            }
        }
        probes = again;
        if probes.is_empty() {
            break;
        }
    }
    differences
}

fn describe(probe: &Probe, expected: &Observed, seen: &Observed) -> String {
    let mut text = format!("{probe}\n");
    for (what, Observed { trail, received }) in [("by the model", expected), ("really", seen)] {
        writeln!(text, "{what}:").unwrap();
        for ((hook, moment), seen) in trail {
            writeln!(text, "  {hook:?} {moment:?}: {seen}").unwrap();
        }
        writeln!(text, "  received: {received:?}").unwrap();
    }
    text
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn packets_go_the_way_that_the_model_says() {
    if !netns::available_to_root() {
        return;
    }
    let count = number("WEIR_KERNEL_PACKETS").unwrap_or(2_500);
    let count = usize::try_from(count).unwrap();
    let first_seed = number("WEIR_KERNEL_SEED").unwrap_or(1);
    let mut world = World::new();
    let mut sent = 0;
    for seed in first_seed.. {
        if sent >= count {
            break;
        }
        if !world.has_ports(PACKETS * (TRIES + 1)) {
            world = World::new();
        }
        let mut random = Random::new(seed);
        let texts = rules::texts(&mut random);
        load(&world, &texts);
        let ruleset = read(&world, &texts);
        let rulesets = Family::ALL.map(|family| ruleset.only(family));
        let probes: Vec<_> = (0..PACKETS).map(|_| probe(&mut random)).collect();
        let differences = differences(&mut world, &rulesets, probes);
        assert!(
            differences.is_empty(),
            "WEIR_KERNEL_SEED={seed}: {} of {PACKETS} packets\n{}\n{}\nnft:\n{}\nlegacy:\n{}\n\
             variant:\n{}",
            differences.len(),
            differences[0],
            differences.last().unwrap(),
            texts.nft,
            texts.legacy.clone().unwrap_or_default().join("\n"),
            texts.variant.clone().unwrap_or_default().join("\n"),
        );
        sent += PACKETS;
    }
    println!("{sent} packets");
}
