//! The model of the kernel, held against the kernel: random rulesets, and packets that are really
//! sent.
//!
//! `WEIR_KERNEL_PACKETS` says how many packets, `WEIR_KERNEL_SEED` which rulesets come first.

mod random;
mod rules;

use std::collections::BTreeMap;

use netweir::ir::{Hook, Protocol, Ruleset};
use netweir::net::Family;

use self::random::Random;
use crate::common::machine::{
    CLOSED, Moment, PORTS, Place, Probe, TRIES, Tried, World, addresses, load, read, send,
};
use crate::common::netns;

/// Connections that are tried with one ruleset.
const CONNECTIONS: usize = 30;

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
        port: if random.chance(10) { CLOSED } else { random.pick(&PORTS) },
        is_connected: random.chance(50),
    }
}

/// What a packet did on its way.
fn events(tried: &Tried) -> Vec<&'static str> {
    let mut events = Vec::new();
    events.extend(tried.seen.is_taken.then_some("taken by the proxy"));
    for (trail, kind) in tried.seen.trails.iter().zip(["first", "reply", "again"]) {
        let Some((_, first)) = trail.first_key_value() else { continue };
        events.push(kind);
        let at = |hook, moment| trail.get(&(hook, moment));
        for hook in Hook::ALL {
            let (Some(begin), end) = (at(hook, Moment::Begin), at(hook, Moment::End)) else {
                continue;
            };
            let Some(end) = end else {
                events.push("dropped");
                continue;
            };
            if begin.source != end.source {
                events.push("source translated");
            }
            if begin.destination != end.destination {
                events.push("destination translated");
            }
            if begin.mark != end.mark {
                events.push("marked");
            }
            if end.connection.as_ref().is_some_and(|(connmark, _)| *connmark != 0) {
                events.push("connection marked");
            }
        }
        let output = at(Hook::Output, Moment::End);
        if let (Some(output), Some(left)) = (output, at(Hook::Postrouting, Moment::Begin)) {
            if output.output != left.output {
                events.push("routed again");
            }
            if left.output == "lo" {
                events.push("looped");
            }
        }
        events.push(match tried.probe.from {
            _ if at(Hook::Forward, Moment::Begin).is_some() => "forwarded",
            _ if at(Hook::Output, Moment::Begin).is_some() => "sent",
            _ => "came in",
        });
        if first.source.is_ipv6() {
            events.push("IPv6");
        }
    }
    events
}

/// Whether chains tie in more ways than the model looks at, so that it says nothing.
fn has_too_many_ties(ruleset: &Ruleset) -> bool {
    Hook::ALL
        .iter()
        .any(|hook| Family::ALL.iter().any(|family| ruleset.schedules(*hook, *family).is_err()))
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn packets_go_the_way_that_the_model_says() {
    if !netns::available_to_root() {
        return;
    }
    let wanted = number("WEIR_KERNEL_PACKETS", 6_000);
    let mut world = World::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in number("WEIR_KERNEL_SEED", 1).. {
        let packets: usize =
            ["first", "reply", "again"].iter().filter_map(|kind| counts.get(kind)).sum();
        if packets >= wanted {
            break;
        }
        if !world.has_ports(CONNECTIONS * TRIES) {
            world = World::new();
        }
        let mut random = Random::new(seed.try_into().unwrap());
        let texts = rules::texts(&mut random);
        load(&world, &texts);
        let ruleset = read(&world, &texts);
        if has_too_many_ties(&ruleset) {
            *counts.entry("ruleset refused").or_default() += 1;
            continue;
        }
        *counts.entry("ruleset").or_default() += 1;
        let probes: Vec<_> = (0..CONNECTIONS).map(|_| probe(&mut random)).collect();
        let all = send(&mut world, &ruleset, probes);
        let wrong: Vec<_> = all.iter().filter(|tried| !tried.is_as_expected()).collect();
        if let Some(first) = wrong.first() {
            let texts: Vec<_> = texts.iter().map(ToString::to_string).collect();
            panic!(
                "WEIR_KERNEL_SEED={seed}: {} of {CONNECTIONS} connections\n{}\n{}",
                wrong.len(),
                first.describe(),
                texts.join("\n")
            );
        }
        for event in all.iter().flat_map(events) {
            *counts.entry(event).or_default() += 1;
        }
    }
    println!("{counts:?}");
    let count = |event: &str| counts.get(event).copied().unwrap_or_default();
    assert!(count("ruleset refused") * 10 < count("ruleset"));
    // Everything that the rules can do has happened.
    for (event, least) in [
        ("reply", wanted / 8),
        ("again", wanted / 8),
        ("dropped", wanted / 50),
        ("source translated", wanted / 50),
        ("destination translated", wanted / 50),
        ("marked", wanted / 50),
        ("connection marked", wanted / 50),
        ("taken by the proxy", wanted / 500),
        ("routed again", wanted / 200),
        ("looped", wanted / 50),
        ("forwarded", wanted / 50),
        ("came in", wanted / 50),
        ("IPv6", wanted / 4),
    ] {
        assert!(count(event) >= least, "{event}: {} of {wanted}", count(event));
    }
}
