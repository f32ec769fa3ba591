//! A machine with rules, and what packets really meet there beside what the model says.

mod observer;
mod way;
mod world;

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use netweir::ir::{Protocol, Ruleset};
use netweir::net::{Family, Name};
use netweir::reader::{iptables, nft};

use self::way::{listener, ways};
use self::world::Sent;

pub(crate) use self::observer::TABLE as OBSERVER;
pub(crate) use self::way::{Moment, Trail};
pub(crate) use self::world::{
    CLOSED, PORTS, PROXY, Place, Probe, Received, World, addresses, inside,
};

/// How often packets are sent again of a connection that did not get as far as it should.
pub(crate) const TRIES: usize = 5;

/// What a TCP connection may take.
const HANDSHAKE: Duration = Duration::from_millis(500);

/// What packets take through a machine.
const SETTLED: Duration = Duration::from_millis(200);

/// Rules as a tool loads them. Those of iptables are one text a family.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Nft(String),
    Legacy([String; 2]),
    Variant([String; 2]),
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nft(script) => write!(f, "nft:\n{script}"),
            Self::Legacy([v4, v6]) => write!(f, "iptables-legacy:\n{v4}\n{v6}"),
            Self::Variant([v4, v6]) => write!(f, "iptables-nft:\n{v4}\n{v6}"),
        }
    }
}

/// Loads rules into the host. The chains of later texts are registered later.
pub(crate) fn load(world: &World, texts: &[Text]) {
    let restore = |variant: &str, texts: &[String; 2]| {
        for (program, text) in ["iptables", "ip6tables"].iter().zip(texts) {
            let done = world.host.run(&format!("{program}-{variant}-restore"), &[], text);
            assert!(done.ok, "{program}-{variant}: {}\n{text}", done.err);
        }
    };
    let nft = |script: &str| {
        let done = world.host.try_load(script);
        assert!(done.ok, "{}\n{script}", done.err);
    };
    nft(&format!("flush ruleset\n{}", observer::script()));
    if world.has_legacy {
        // A policy stays until another is given.
        let empty = "*raw\nCOMMIT\n*mangle\nCOMMIT\n*nat\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n\
                     :FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n";
        restore("legacy", &[empty.to_owned(), empty.to_owned()]);
    }
    for (at, text) in texts.iter().enumerate() {
        match text {
            Text::Nft(script) => nft(script),
            Text::Legacy(texts) => {
                assert!(!world.has_legacy || at == 0, "they are registered already");
                restore("legacy", texts);
            }
            Text::Variant(texts) => restore("nft", texts),
        }
    }
}

/// Looks on at what packets meet, beside rules that others load.
pub(crate) fn watch(world: &World) {
    let done = world.host.try_load(&observer::script());
    assert!(done.ok, "{}", done.err);
}

/// What is loaded, as weir reads it. Its tables are called so that chains that tie run in the order
/// of the tables' names, which is the one that the model supposes first.
pub(crate) fn read(world: &World, texts: &[Text]) -> Ruleset {
    let mut ruleset = Ruleset::default();
    let save = |program: &str| world.host.output(program, &[]);
    for (step, text) in texts.iter().enumerate() {
        let tables = match text {
            Text::Nft(script) => {
                let json = world.host.output("nft", &["-j", "list", "ruleset"]);
                let of_iptables = nft::OfIptables::PassOver;
                let options = nft::Options { of_iptables, ..nft::Options::default() };
                let found = nft::json(&json, &options);
                let found = found.unwrap_or_else(|errors| panic!("{errors:?}\n{script}"));
                let mut tables = found.ruleset;
                tables.tables.retain(|table| !NOT_OURS.contains(&table.name.as_str()));
                tables
            }
            Text::Legacy(_) | Text::Variant(_) => {
                let variant = if matches!(text, Text::Legacy(_)) { "legacy" } else { "nft" };
                let [v4, v6] = ["iptables", "ip6tables"]
                    .map(|program| save(&format!("{program}-{variant}-save")));
                let tables = iptables::read(Some(&v4), Some(&v6), &iptables::Options::default());
                tables.unwrap_or_else(|errors| panic!("{errors:?}\n{v4}\n{v6}")).ruleset
            }
        };
        for (at, mut table) in tables.tables.into_iter().enumerate() {
            let order = (texts.len() - step) * 100 - at;
            table.name = Name::new(&format!("t{order:03}-{}", table.name)).unwrap();
            ruleset.tables.push(table);
        }
    }
    ruleset
}

/// Tables of nft that are iptables', or look on.
const NOT_OURS: [&str; 5] = ["raw", "mangle", "nat", "filter", observer::TABLE];

/// What should happen to a connection, and what did.
pub(crate) struct Tried {
    pub(crate) probe: Probe,
    pub(crate) expected: Observed,
    pub(crate) seen: Observed,
}

/// What happened to a connection's packets: there, back, and there again.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) trails: [Trail; 3],
    /// What arrived of each. Of TCP, that is a connection in the end.
    pub(crate) received: [Vec<Received>; 3],
    /// Whether the transparent proxy took the first. Then nobody looks at the others.
    pub(crate) is_taken: bool,
}

impl Observed {
    /// Whether nothing happened but what should, though perhaps not all of it.
    fn is_behind(&self, expected: &Self) -> bool {
        let mut trails = self.trails.iter().zip(&expected.trails);
        let mut received = self.received.iter().zip(&expected.received);
        trails
            .all(|(trail, expected)| trail.iter().all(|(at, seen)| expected.get(at) == Some(seen)))
            && received
                .all(|(received, expected)| received.iter().all(|one| expected.contains(one)))
    }
}

/// What should happen to each of `probes`.
fn predicted(rulesets: &[Ruleset; 2], probes: &[Probe], first: u16) -> Vec<Observed> {
    let all = (first..).zip(probes);
    all.map(|(port, probe)| {
        let ways = ways(&rulesets[probe.family() as usize], probe, port);
        let is_tcp = probe.protocol == Protocol::Tcp;
        let mut seen = Observed::default();
        for (at, way) in ways.into_iter().enumerate() {
            let place = match at {
                1 => way.place().filter(|place| {
                    *place == probe.from && way.destination == SocketAddr::new(probe.source, port)
                }),
                _ if way.is_taken => way.place(),
                _ => listener(&way).map(|(place, _)| place),
            };
            let to = if way.is_taken { any(probe.family()) } else { way.destination };
            if !is_tcp || at == 2 {
                let received = place.map(|place| (place, to, way.source));
                seen.received[at].extend(received);
            }
            seen.is_taken |= way.is_taken;
            seen.trails[at] = way.trail;
        }
        seen
    })
    .collect()
}

/// Where the transparent proxy listens.
fn any(family: Family) -> SocketAddr {
    let any = match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(any, PROXY)
}

/// What happened, as far as it is looked at where `expected` is.
fn observed(world: &World, sent: &Sent, expected: &[Observed]) -> Vec<Observed> {
    let mut trails = observer::trails(&world.host);
    let received = |port: u16| {
        [0, 1, 2].map(|kind| sent.received[kind].get(&port).cloned().unwrap_or_default())
    };
    let seen = (sent.first..).zip(expected).map(|(port, expected)| {
        let mut trails = trails.remove(&port).unwrap_or_default();
        let mut received = received(port);
        if expected.is_taken {
            trails[1..].fill(Trail::new());
            received[1..].fill(Vec::new());
        }
        Observed { trails, received, is_taken: expected.is_taken }
    });
    seen.collect()
}

/// The ways of the first packets of `probes` through the host.
pub(crate) fn trails(world: &mut World, probes: &[Probe]) -> Vec<Trail> {
    let mut sent = world.send(probes);
    // Nothing waits for an answer, and nothing is sent again.
    std::thread::sleep(SETTLED);
    let mut trails = observer::trails(&world.host);
    world.receive(&mut sent, 0, 0, Duration::ZERO);
    let first = |port: u16| trails.remove(&port).map(|[first, ..]| first).unwrap_or_default();
    (sent.first..).take(probes.len()).map(first).collect()
}

/// Sends all of `probes`, again those that did not get as far as they should, but no other way.
pub(crate) fn send(world: &mut World, ruleset: &Ruleset, probes: Vec<Probe>) -> Vec<Tried> {
    let rulesets = Family::ALL.map(|family| ruleset.only(family));
    let mut done = Vec::new();
    let mut probes = probes;
    for tried in 1..=TRIES {
        // More time each time, so that slowness never looks like a drop.
        let patience = Duration::from_millis(50 << tried);
        let mut sent = world.send(&probes);
        let expected = predicted(&rulesets, &probes, sent.first);
        let count = |kind: usize| {
            expected.iter().filter(|expected| !expected.received[kind].is_empty()).count()
        };
        let counts = [0, 1, 2].map(count);
        let is_made = |(probe, expected): (&Probe, &Observed)| {
            probe.protocol == Protocol::Tcp && !expected.received[2].is_empty()
        };
        let made = probes.iter().zip(&expected).filter(|pair| is_made(*pair)).count();
        world.receive(&mut sent, 2, made, HANDSHAKE);
        let is_in_time = sent.give_up();
        world.receive(&mut sent, 0, counts[0], patience);
        world.reply(&sent);
        world.receive(&mut sent, 1, counts[1], patience);
        sent.again();
        world.receive(&mut sent, 2, counts[2], patience);
        let mut seen = observed(world, &sent, &expected);
        if seen != expected {
            std::thread::sleep(patience);
            world.receive(&mut sent, 0, 0, Duration::ZERO);
            seen = observed(world, &sent, &expected);
        }
        let mut again = Vec::new();
        for ((probe, expected), seen) in probes.into_iter().zip(expected).zip(seen) {
            let may_be_slow = !is_in_time || seen.is_behind(&expected);
            if tried == TRIES || expected == seen || !may_be_slow {
                done.push(Tried { probe, expected, seen });
            } else {
                again.push(probe);
            }
        }
        probes = again;
        if probes.is_empty() {
            break;
        }
    }
    done
}

impl Tried {
    pub(crate) fn is_as_expected(&self) -> bool {
        self.expected == self.seen
    }

    /// The connection, what should happen to it, and what did.
    pub(crate) fn describe(&self) -> String {
        let mut text = format!("{}\n", self.probe);
        for (what, Observed { trails, received, .. }) in
            [("by the model", &self.expected), ("really", &self.seen)]
        {
            for (packet, (trail, received)) in
                ["there", "back", "there again"].iter().zip(trails.iter().zip(received))
            {
                writeln!(text, "{packet}, {what}:").unwrap();
                for ((hook, moment), seen) in trail {
                    writeln!(text, "  {hook:?} {moment:?}: {seen}").unwrap();
                }
                writeln!(text, "  received: {received:?}").unwrap();
            }
        }
        text
    }
}
