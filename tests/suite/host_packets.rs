//! What becomes of packets under the rules of whole hosts, by `explain` and in the kernel.
//!
//! Where questions decide that no packet answers, the kernel's way is the usual one or one of the others
//! that are told.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use netweir::explain::{Context, Explanation, explain_way};
use netweir::ir::{Hook, Protocol};
use netweir::net::Family;
use netweir::reader::iptables;
use netweir::semantics::Packet;

use crate::common::hosts;
use crate::common::machine::{
    CLOSED, Moment, Place, Probe, Text, Trail, World, addresses, load, trails,
};
use crate::common::netns;

/// The interfaces of the files, and those of the machine that packets are sent to.
const LINKS: &[(&str, &str)] = &[
    ("docker0", "toc"),
    ("cali1", "toc"),
    ("cali+", "toc"),
    ("virbr0", "toc"),
    ("tailscale0", "alt"),
];

/// Where packets of the host go, and where others send them: services, endpoints, the host itself, and ports of
/// both that rules know, and that they do not.
const TARGETS: &[(&str, &[u16])] = &[
    ("10.96.0.10", &[53, 54]),
    ("10.96.0.20", &[80, 81]),
    ("10.96.0.30", &[80]),
    ("10.96.0.99", &[80]),
    ("192.0.2.20", &[80]),
    ("192.0.2.50", &[443]),
    ("10.2.0.2", &[53, 80, 443]),
    ("10.1.0.2", &[80, 8080]),
];

/// The same of the host's own addresses.
const OWN: &[u16] = &[53, 80, 445, 8080, 8443, 30080, 30099, 41641, CLOSED];

/// A text as the machine takes it, where source ports are kept, by which packets are known.
fn there(text: &str) -> String {
    let text = text.replace(" --random-fully", "");
    LINKS.iter().fold(text, |text, (name, link)| {
        text.replace(&format!("-i {name} "), &format!("-i {link} "))
            .replace(&format!("-o {name} "), &format!("-o {link} "))
    })
}

fn probes() -> Vec<Probe> {
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
    for (to, ports) in TARGETS {
        for port in *ports {
            add(Place::Host, "10.2.0.1", to, *port);
            if *to != "10.1.0.2" {
                add(Place::Client, "10.1.0.2", to, *port);
            }
        }
    }
    for port in OWN {
        add(Place::Host, "127.0.0.1", "127.0.0.1", *port);
        add(Place::Host, "10.2.0.1", "10.2.0.1", *port);
        add(Place::Client, "10.1.0.2", "10.1.0.1", *port);
        add(Place::Server, "10.2.0.2", "10.2.0.1", *port);
    }
    probes
}

/// The packet as the model takes it.
fn packet(probe: &Probe) -> Packet {
    let Probe { from, source, destination, port, user, group, .. } = probe;
    let protocol = if probe.protocol == Protocol::Tcp { "tcp" } else { "udp" };
    let own = addresses(Place::Host, Family::Ipv4);
    let is_own = own.iter().any(|address| address.parse() == Ok(*destination));
    let way = format!("{protocol} from {source} to {destination}:{port}");
    let text = match (from, is_own) {
        (Place::Host, true) => format!("outbound {way} user {user} group {group} out lo to-local"),
        (Place::Host, false) => format!("outbound {way} user {user} group {group} out tos"),
        (from, is_own) => {
            let link = if *from == Place::Client { "toc" } else { "tos" };
            let to = if is_own { "" } else { " to-foreign" };
            format!("inbound {way} in {link}{to}")
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

#[test]
fn packets_end_where_it_is_told() {
    if !netns::available_to_root() {
        return;
    }
    let probes = probes();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut world = World::new();
    for host in hosts::iptables() {
        let texts = host.iptables.each_ref().map(|text| there(text));
        let read = iptables::read(Some(&texts[0]), Some(&texts[1]), &iptables::Options::default());
        let ruleset = read.unwrap_or_else(|errors| panic!("{}: {errors:?}", host.name)).ruleset;
        let context = Context { is_iptables: true, ..Context::default() };
        // By which link a packet is forwarded, the model does not know.
        let asks_for_output = texts[0].contains(" -o ");
        for text in [Text::Legacy(texts.clone()), Text::Variant(texts.clone())] {
            if !world.has_ports(probes.len()) {
                world = World::new();
            }
            load(&world, &[text]);
            for (probe, trail) in probes.iter().zip(trails(&mut world, &probes)) {
                let explanation = explain_way(&ruleset, &packet(probe), &context).unwrap();
                let is_forwarded = trail.keys().any(|(hook, _)| *hook == Hook::Forward);
                if is_forwarded && asks_for_output {
                    *counts.entry("forwarded by a link that rules ask for").or_default() += 1;
                    continue;
                }
                let told = all_told(&explanation, probe);
                let really = really(&trail);
                let what = match really {
                    End::At(_) => "delivered",
                    End::Left(_) => "sent",
                    End::Nowhere => "nowhere",
                };
                *counts.entry(what).or_default() += 1;
                *counts.entry("told").or_default() += 1;
                if told.len() > 1 {
                    *counts.entry("by open questions").or_default() += 1;
                }
                if told[0] != really && told.contains(&really) {
                    *counts.entry("otherwise than usual").or_default() += 1;
                }
                if !told.contains(&really) {
                    wrong.push(format!("{}: {probe}: told {told:?}, really {really:?}", host.name));
                }
            }
        }
    }
    println!("{counts:?}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let count = |what: &str| counts.get(what).copied().unwrap_or_default();
    assert!(count("told") >= 500, "{counts:?}");
    for what in ["delivered", "sent", "nowhere", "by open questions", "otherwise than usual"] {
        assert!(count(what) >= 4, "{what}: {counts:?}");
    }
}
