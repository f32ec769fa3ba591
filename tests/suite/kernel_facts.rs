//! What the kernel does where rulesets meet it, with real packets, and that the model says so.

use std::net::{IpAddr, SocketAddr};

use netweir::ir::{Hook, Protocol, Ruleset};
use netweir::net::Family;
use netweir::semantics::{Packet, compare, runs};
use netweir::syntax::NoIncludes;
use netweir::{Options, View, compile};

use crate::common::machine::{Moment, Place, Probe, Text, Tried, World, load, read, send};
use crate::common::netns;

const PROTOCOLS: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];

/// What a user of the host or of the client sends to the server, or the client to the host.
fn probe(from: Place, to: Place, family: Family, protocol: Protocol, port: u16) -> Probe {
    let pick = |addresses: [&str; 2]| addresses[family as usize].parse().unwrap();
    Probe {
        from,
        protocol,
        user: if from == Place::Host { 1000 } else { 0 },
        group: 0,
        mark: 0,
        source: pick(match from {
            Place::Host => ["10.2.0.1", "fd02::1"],
            Place::Client => ["10.1.0.2", "fd01::2"],
            Place::Server => ["10.2.0.2", "fd02::2"],
        }),
        destination: pick(match to {
            Place::Host => ["10.1.0.1", "fd01::1"],
            Place::Client => ["10.1.0.2", "fd01::2"],
            Place::Server => ["10.2.0.2", "fd02::2"],
        }),
        port,
        is_connected: false,
    }
}

/// Loads rules, and says how they are read.
fn loaded(world: &World, texts: &[Text]) -> Ruleset {
    load(world, texts);
    read(world, texts)
}

/// Tries connections over both protocols of both families; the model must be right about them.
fn tried(
    world: &mut World,
    ruleset: &Ruleset,
    probe: impl Fn(Family, Protocol) -> Probe,
) -> Vec<Tried> {
    let probes = Family::ALL.into_iter().flat_map(|family| {
        let probe = &probe;
        PROTOCOLS.map(move |protocol| probe(family, protocol))
    });
    let all = send(world, ruleset, probes.collect());
    for tried in &all {
        assert!(tried.is_as_expected(), "{}", tried.describe());
    }
    all
}

/// Who answers, on which port, and sees which source; `None` if nobody does.
fn answers(tried: &Tried) -> Option<(Place, u16, IpAddr)> {
    let received = tried.seen.received[2].first();
    received.map(|(place, at, from)| (*place, at.port(), from.ip()))
}

/// The interface over which the first packet leaves.
fn leaves_over(tried: &Tried) -> String {
    tried.seen.trails[0][&(Hook::Postrouting, Moment::End)].output.clone()
}

fn nft(chains: &str) -> Text {
    Text::Nft(format!("table inet t {{\n{chains}\n}}\n"))
}

/// Both variants of iptables with the same rules for both families.
fn iptables(text: &str) -> [Text; 2] {
    let texts = [text.to_owned(), text.to_owned()];
    [Text::Legacy(texts.clone()), Text::Variant(texts)]
}

#[test]
fn destinations_are_translated_in_one_place_whatever_the_priority() {
    if !netns::available_to_root() {
        return;
    }
    let mut world = World::new();
    let with = |hook: &str, mark: i32, nat: i32| {
        vec![nft(&format!(
            "chain m {{ type filter hook {hook} priority {mark};
               meta l4proto {{ tcp, udp }} th dport 443 meta mark set 0x40; }}
             chain n {{ type nat hook {hook} priority {nat};
               meta mark 0x40 meta l4proto {{ tcp, udp }} redirect to :15001; }}"
        ))]
    };
    let mark = |hook: &str| {
        format!(
            "*mangle\n:{hook} ACCEPT\n\
             -A {hook} -p tcp --dport 443 -j MARK --set-xmark 0x40/0xffffffff\n\
             -A {hook} -p udp --dport 443 -j MARK --set-xmark 0x40/0xffffffff\nCOMMIT\n"
        )
    };
    let redirect = |hook: &str| {
        format!(
            "*nat\n:{hook} ACCEPT\n\
             -A {hook} -p tcp -m mark --mark 0x40 -j REDIRECT --to-ports 15001\n\
             -A {hook} -p udp -m mark --mark 0x40 -j REDIRECT --to-ports 15001\nCOMMIT\n"
        )
    };
    for (from, hook) in [(Place::Host, "output"), (Place::Client, "prerouting")] {
        let built_in = hook.to_uppercase();
        let mut cases = vec![
            (with(hook, -120, -150), true),
            (with(hook, -150, -160), true),
            (with(hook, -101, -199), true),
            (with(hook, -99, -50), false),
            (with(hook, 10, 20), false),
        ];
        let chain = format!(
            "chain n {{ type nat hook {hook} priority -160;
               meta mark 0x40 meta l4proto {{ tcp, udp }} redirect to :15001; }}"
        );
        // The order of loading does not matter: no chains tie.
        for text in iptables(&mark(&built_in)) {
            cases.push((vec![text, nft(&chain)], true));
        }
        for (priority, is_seen) in [(-120, true), (-90, false)] {
            let chain = format!(
                "chain m {{ type filter hook {hook} priority {priority};
                   meta l4proto {{ tcp, udp }} th dport 443 meta mark set 0x40; }}"
            );
            for text in iptables(&redirect(&built_in)) {
                cases.push((vec![text, nft(&chain)], is_seen));
            }
        }
        for (texts, is_translated) in cases {
            let ruleset = loaded(&world, &texts);
            let (place, port) =
                if is_translated { (Place::Host, 15001) } else { (Place::Server, 443) };
            let to = |family, protocol| probe(from, Place::Server, family, protocol, 443);
            for tried in tried(&mut world, &ruleset, to) {
                let right = Some((place, port, tried.probe.source));
                assert_eq!(answers(&tried), right, "{texts:?}");
            }
        }
    }
}

#[test]
fn sources_are_translated_in_one_place_whatever_the_priority() {
    if !netns::available_to_root() {
        return;
    }
    let mut world = World::new();
    for (to, hook) in [(Place::Server, "postrouting"), (Place::Host, "input")] {
        for (mark, nat, is_translated) in [
            (90, 50, true),
            (90, 150, true),
            (99, -199, true),
            (101, 102, false),
            (150, 300, false),
        ] {
            let texts = [nft(&format!(
                "chain m {{ type filter hook {hook} priority {mark};
               meta l4proto {{ tcp, udp }} th dport 443 meta mark set 0x40; }}
                 chain n {{ type nat hook {hook} priority {nat};
                   meta mark 0x40 snat ip to 10.2.0.77; meta mark 0x40 snat ip6 to fd02::77; }}"
            ))];
            let ruleset = loaded(&world, &texts);
            let probe = |family, protocol| probe(Place::Client, to, family, protocol, 443);
            for tried in tried(&mut world, &ruleset, probe) {
                let family = tried.probe.family();
                let other = ["10.2.0.77", "fd02::77"][family as usize].parse().unwrap();
                let source = if is_translated { other } else { tried.probe.source };
                assert_eq!(answers(&tried), Some((to, 443, source)), "{texts:?}");
            }
        }
    }
}

/// What drops packets, in nft and in iptables, and whether somebody answers all the same: behind
/// a redirection of port 443 to 15001 at output.
const BEHIND_OUTPUT: [(&str, &str, &str, bool); 14] = [
    ("filter hook output priority 0", "th dport 443", "filter OUTPUT --dport 443", true),
    ("filter hook output priority 0", "th dport 15001", "filter OUTPUT --dport 15001", false),
    ("filter hook output priority 0", "th dport != 443", "filter OUTPUT ! --dport 443", false),
    ("filter hook output priority -99", "th dport 15001", "filter OUTPUT --dport 15001", false),
    ("filter hook output priority -149", "th dport 15001", "mangle OUTPUT --dport 15001", true),
    ("filter hook output priority -149", "th dport 443", "mangle OUTPUT --dport 443", false),
    // Interfaces of the hook stay; the next hook has the new one.
    (
        "filter hook output priority 0",
        "th dport 15001 oifname \"tos\"",
        "filter OUTPUT -o tos --dport 15001",
        false,
    ),
    (
        "filter hook output priority 0",
        "th dport 15001 oifname \"lo\"",
        "filter OUTPUT -o lo --dport 15001",
        true,
    ),
    (
        "filter hook postrouting priority 0",
        "th dport 15001 oifname \"lo\"",
        "mangle POSTROUTING -o lo --dport 15001",
        false,
    ),
    ("filter hook postrouting priority 0", "th dport 443", "mangle POSTROUTING --dport 443", true),
    ("filter hook prerouting priority -150", "th dport 443", "mangle PREROUTING --dport 443", true),
    (
        "filter hook prerouting priority -150",
        "th dport 15001",
        "mangle PREROUTING --dport 15001",
        false,
    ),
    ("filter hook input priority 0", "th dport 443", "filter INPUT --dport 443", true),
    ("filter hook input priority 0", "th dport 15001", "filter INPUT --dport 15001", false),
];
/// The same at prerouting.
const BEHIND_PREROUTING: [(&str, &str, &str, bool); 5] = [
    ("filter hook prerouting priority 0", "th dport 443", "filter INPUT --dport 443", true),
    ("filter hook prerouting priority 0", "th dport 15001", "filter INPUT --dport 15001", false),
    (
        "filter hook prerouting priority -150",
        "th dport 443",
        "mangle PREROUTING --dport 443",
        false,
    ),
    ("filter hook input priority 0", "th dport 15001", "mangle INPUT --dport 15001", false),
    ("filter hook input priority 0", "th dport 443", "mangle INPUT --dport 443", true),
];

#[test]
fn what_is_behind_a_translation_sees_the_translated_packet() {
    if !netns::available_to_root() {
        return;
    }
    let mut world = World::new();
    for (from, hook, cases) in [
        (Place::Host, "output", &BEHIND_OUTPUT[..]),
        (Place::Client, "prerouting", &BEHIND_PREROUTING),
    ] {
        for (base, matches, line, does_answer) in cases {
            let (table, rest) = line.split_once(' ').unwrap();
            let (chain, matches_of_iptables) = rest.split_once(' ').unwrap();
            let built_in = hook.to_uppercase();
            let nat = |protocol| {
                format!("-A {built_in} -p {protocol} --dport 443 -j REDIRECT --to-ports 15001\n")
            };
            let drop =
                |protocol| format!("-A {chain} -p {protocol} {matches_of_iptables} -j DROP\n");
            // Replies are not what this is about.
            let text = format!(
                "*nat\n:{built_in} ACCEPT\n{}{}COMMIT\n*{table}\n:{chain} ACCEPT\n\
                 -A {chain} -p tcp --sport 15001 -j ACCEPT\n\
                 -A {chain} -p tcp --sport 443 -j ACCEPT\n\
                 -A {chain} -p udp --sport 15001 -j ACCEPT\n\
                 -A {chain} -p udp --sport 443 -j ACCEPT\n{}{}COMMIT\n",
                nat("tcp"),
                nat("udp"),
                drop("tcp"),
                drop("udp"),
            );
            let chains = format!(
                "chain n {{ type nat hook {hook} priority -100;
                   meta l4proto {{ tcp, udp }} th dport 443 redirect to :15001; }}
                 chain f {{ type {base};
                   meta l4proto {{ tcp, udp }} th sport {{ 443, 15001 }} accept;
                   meta l4proto {{ tcp, udp }} {matches} drop; }}"
            );
            for text in iptables(&text).into_iter().chain([nft(&chains)]) {
                let texts = [text];
                let ruleset = loaded(&world, &texts);
                let to = |family, protocol| probe(from, Place::Server, family, protocol, 443);
                for tried in tried(&mut world, &ruleset, to) {
                    let right = does_answer.then_some((Place::Host, 15001, tried.probe.source));
                    assert_eq!(answers(&tried), right, "{texts:?}");
                }
            }
        }
    }
}

/// Asserts that chains of `texts` tie for the model, which tells both orders, and that really the
/// one that was registered last comes first: the one that redirects to `last`.
fn assert_last_wins(world: &mut World, texts: &[Text], [first, last]: [u16; 2]) {
    let ruleset = loaded(world, texts);
    let mut both = [first, last];
    both.sort_unstable();
    let to = |family, _| probe(Place::Host, Place::Server, family, Protocol::Tcp, 443);
    for tried in tried(world, &ruleset, to) {
        let (from, to) = (tried.probe.source, SocketAddr::new(tried.probe.destination, 443));
        let packet: Packet =
            format!("outbound tcp from {from} to {to} user 1000 out tos").parse().unwrap();
        let told: Vec<_> = runs(&ruleset, &packet).unwrap();
        let mut ports: Vec<u16> = told.iter().map(|(run, _)| run.after.destination_port).collect();
        ports.sort_unstable();
        assert_eq!(ports, both, "both orders are told: {texts:?}");
        assert!(told.iter().all(|(_, supposes)| !supposes.is_empty()), "{told:?}");
        assert_eq!(answers(&tried), Some((Place::Host, last, from)), "{texts:?}");
    }
}

#[test]
fn of_chains_that_tie_the_last_one_registered_runs_first() {
    if !netns::available_to_root() {
        return;
    }
    let nat = |port: u16| {
        format!("*nat\n:OUTPUT ACCEPT\n-A OUTPUT -p tcp -j REDIRECT --to-ports {port}\nCOMMIT\n")
    };
    let chain = |table: &str, port: u16| {
        format!(
            "table inet {table} {{ chain c {{ type nat hook output priority -100;
               meta l4proto tcp redirect to :{port}; }}\n}}\n"
        )
    };
    let [legacy, variant] = iptables(&nat(15001));
    let [_, variant_6] = iptables(&nat(15006));
    let nft_1 = Text::Nft(chain("a", 15001));
    let nft_6 = Text::Nft(chain("a", 15006));
    let up = [15001, 15006];
    let mut world = World::new();
    assert_last_wins(&mut world, &[nft_1.clone(), variant_6.clone()], up);
    assert_last_wins(&mut world, &[variant.clone(), nft_6.clone()], up);
    assert_last_wins(&mut world, &[legacy.clone(), nft_6.clone()], up);
    assert_last_wins(&mut world, &[legacy.clone(), variant_6.clone()], up);
    // Two tables of nft, whatever their names.
    for (first, last) in [("a", "b"), ("b", "a")] {
        let text = Text::Nft(chain(first, 15001) + &chain(last, 15006));
        assert_last_wins(&mut world, &[text], up);
    }
    // iptables' own chains are registered when they are used for the first time.
    let down = [15006, 15001];
    assert_last_wins(&mut World::without_legacy(), &[nft_6, legacy.clone()], down);
    assert_last_wins(&mut World::without_legacy(), &[variant_6, legacy], down);
}

#[test]
fn filters_that_tie_run_last_registered_first() {
    if !netns::available_to_root() {
        return;
    }
    let mut world = World::new();
    let marks = "chain c { type filter hook output priority -7; meta mark set 0x40; }";
    let drops = "chain c { type filter hook output priority -7; meta mark 0x40 drop; }";
    for (first, last, does_answer) in [(marks, drops, true), (drops, marks, false)] {
        let script = format!("table inet a {{\n{first}\n}}\ntable inet b {{\n{last}\n}}\n");
        // Within a table it is the same.
        let as_one = format!(
            "table inet a {{\n{}\n{}\n}}\n",
            first.replace("chain c", "chain x"),
            last.replace("chain c", "chain y")
        );
        for script in [script, as_one] {
            let ruleset = loaded(&world, &[Text::Nft(script.clone())]);
            let to = |family, protocol| probe(Place::Host, Place::Server, family, protocol, 80);
            for tried in tried(&mut world, &ruleset, to) {
                let right = does_answer.then_some((Place::Server, 80, tried.probe.source));
                assert_eq!(answers(&tried), right, "{script}");
            }
        }
    }
}

#[test]
fn at_input_a_packet_can_have_the_socket_of_its_receiver() {
    if !netns::available_to_root() {
        return;
    }
    let mut world = World::new();
    for matches in ["meta skuid >= 0", "meta skuid 1337", "meta skgid 1337"] {
        let texts =
            [nft(&format!("chain c {{ type filter hook input priority 0; {matches} drop; }}"))];
        let ruleset = loaded(&world, &texts);
        let differences = compare(&ruleset, &Ruleset::default()).unwrap();
        assert!(differences.iter().all(|found| found.packet.hook == Hook::Input));
        assert_ne!(differences, [], "{matches}");
        let to = |family, protocol| probe(Place::Client, Place::Host, family, protocol, 15001);
        for tried in tried(&mut world, &ruleset, to) {
            if tried.probe.protocol == Protocol::Udp {
                // A datagram's socket is found early if it is connected, and this one is not.
                let right = (Place::Host, 15001, tried.probe.source);
                assert_eq!(answers(&tried), Some(right), "{matches}");
                continue;
            }
            // The first packet finds a listener only later; the third of the handshake has what
            // waits for it.
            let [there, _, again] = &tried.seen.trails;
            assert!(there.contains_key(&(Hook::Input, Moment::End)), "{}", tried.describe());
            assert!(again.contains_key(&(Hook::Input, Moment::Begin)));
            assert!(!again.contains_key(&(Hook::Input, Moment::End)));
            assert_eq!(answers(&tried), None, "{matches}");
        }
    }
}

#[test]
fn marks_route_again_from_route_chains_only() {
    if !netns::available_to_root() {
        return;
    }
    let mut world = World::new();
    let chain = |kind: &str| {
        nft(&format!(
            "chain c {{ type {kind} hook output priority -140;
               meta l4proto {{ tcp, udp }} th dport 443 meta mark set 1; }}"
        ))
    };
    let mangle = "*mangle\n:OUTPUT ACCEPT\n\
                  -A OUTPUT -p tcp --dport 443 -j MARK --set-xmark 0x1/0xffffffff\n\
                  -A OUTPUT -p udp --dport 443 -j MARK --set-xmark 0x1/0xffffffff\nCOMMIT\n";
    let [legacy, variant] = iptables(mangle);
    let mut rulesets = Vec::new();
    for (text, over) in
        [(chain("route"), "alt"), (chain("filter"), "tos"), (legacy, "alt"), (variant, "alt")]
    {
        let ruleset = loaded(&world, &[text]);
        let to = |family, protocol| probe(Place::Host, Place::Server, family, protocol, 443);
        for tried in tried(&mut world, &ruleset, to) {
            assert_eq!(leaves_over(&tried), over);
            let seen = &tried.seen.trails[0][&(Hook::Output, Moment::End)];
            assert_eq!((seen.mark, seen.output.as_str()), (1, "tos"));
        }
        rulesets.push(ruleset);
    }
    assert_ne!(compare(&rulesets[0], &rulesets[1]).unwrap(), []);
}

#[test]
fn a_destination_that_is_translated_back_at_output_is_routed_by_the_mark() {
    if !netns::available_to_root() {
        return;
    }
    let mut world = World::new();
    let mark = "chain m { type filter hook output priority -150; meta mark set 1; }";
    let snat = "chain n { type nat hook input priority 100;
                  snat ip to 10.2.0.77; snat ip6 to fd02::77; }";
    // An answer to a source of its own leaves where the client is, whatever a filter marks.
    for (chains, over) in [(format!("{mark}\n{snat}"), "alt"), (mark.to_owned(), "toc")] {
        let ruleset = loaded(&world, &[nft(&chains)]);
        let to = |family, protocol| probe(Place::Client, Place::Host, family, protocol, 80);
        for tried in tried(&mut world, &ruleset, to) {
            let answer = &tried.seen.trails[1][&(Hook::Postrouting, Moment::End)];
            assert_eq!((answer.output.as_str(), answer.mark), (over, 1), "{chains}");
        }
    }
}

#[test]
fn a_forwarded_packet_has_its_incoming_interface_at_postrouting() {
    if !netns::available_to_root() {
        return;
    }
    let mut world = World::new();
    let texts = [nft(
        "chain c { type filter hook postrouting priority 0; oifname \"tos\" iifname \"toc\" drop; }",
    )];
    let ruleset = loaded(&world, &texts);
    for (from, does_answer) in [(Place::Client, false), (Place::Host, true)] {
        let to = |family, protocol| probe(from, Place::Server, family, protocol, 80);
        for tried in tried(&mut world, &ruleset, to) {
            let right = does_answer.then_some((Place::Server, 80, tried.probe.source));
            assert_eq!(answers(&tried), right);
        }
    }
}

#[test]
fn of_policies_that_are_loaded_together_the_last_one_captures() {
    if !netns::available_to_root() {
        return;
    }
    let mut world = World::new();
    let text = "sidecar s { proxy { outbound-port 15006 } }
                ambient-pod a { proxy { outbound-port 15001 } }";
    let compilation = compile("both.weir", text, &NoIncludes, &Options::default()).unwrap();
    let [s, a] = &compilation.policies[..] else { panic!("two policies") };
    for (order, ports) in [([s, a], [15006, 15001]), ([a, s], [15001, 15006])] {
        let script = compilation.emit_together(&order, View::Nft).unwrap();
        assert_last_wins(&mut world, &[Text::Nft(script)], ports);
    }
}

/// A sidecar that excludes many networks of 24 bits and of 64, and `more`.
fn sidecar_without(more: &str) -> String {
    let networks = |net: fn(u32) -> String| (0..70).map(net).collect::<Vec<_>>().join(", ");
    let (v4, v6) = (
        networks(|at| format!("10.9.{}.0/24", 2 * at)),
        networks(|at| format!("fd09:{:x}::/64", 2 * at)),
    );
    let text = format!("sidecar s {{ outbound {{ exclude to {v4}, {v6}, {more} }} }}");
    let compilation = compile("long.weir", &text, &NoIncludes, &Options::default()).unwrap();
    compilation.emit(&compilation.policies[0], View::Nft).unwrap()
}

#[test]
fn addresses_are_looked_up_by_the_networks_in_which_they_lie() {
    if !netns::available_to_root() {
        return;
    }
    let mut world = World::new();
    // The server is at 10.2.0.2 and fd02::2.
    for (more, is_excluded) in [
        ("10.2.0.0/24, fd02::/64", true),
        ("10.2.0.0/23, fd02::/63", true),
        ("10.2.0.2, fd02::2", true),
        ("10.2.1.0/24, fd02:0:0:1::/64", false),
        ("10.1.255.0/24, fd01:ffff:ffff:ffff::/64", false),
        ("10.2.0.3, fd02::3", false),
    ] {
        let script = sidecar_without(more);
        assert!(script.contains("& 255.255.255.0 ") && script.contains("& ffff:ffff:ffff:ffff:: "));
        let ruleset = loaded(&world, &[Text::Nft(script)]);
        let to = |family, protocol| probe(Place::Host, Place::Server, family, protocol, 80);
        for tried in tried(&mut world, &ruleset, to) {
            let is_captured = tried.probe.protocol == Protocol::Tcp && !is_excluded;
            let at = if is_captured { (Place::Host, 15001) } else { (Place::Server, 80) };
            assert_eq!(answers(&tried), Some((at.0, at.1, tried.probe.source)), "{more}");
        }
    }
}
