//! What differs, as people see it on a screen: ten differences, each looked at, and laws about all of them.

use std::net::IpAddr;
use std::process::Command;

use ipnet::IpNet;
use netweir::explain::{Context, DifferenceWords, Sides, differences, sentences};
use netweir::ir::Ruleset;
use netweir::lower::lower;
use netweir::net::{Families, Family};
use netweir::policy::Policy;
use netweir::semantics::{Packet, Question, Topic, Traffic, Word, run};
use netweir::syntax::NoIncludes;
use netweir::{Options, compile};

use crate::cli::snapshot;
use crate::common::corpus;
use crate::common::shipped::root;

const DEFAULT: &str = "rulesets/istio/default.weir";

/// Ten differences as they come: a clause more, another mode, another mesh, a family, rules of others beside.
const SCREENS: [(&str, &[&str]); 10] = [
    ("dns", &["diff", DEFAULT, "rulesets/istio/dns.weir"]),
    ("tproxy", &["diff", DEFAULT, "rulesets/istio/tproxy.weir"]),
    ("excluded", &["diff", DEFAULT, "rulesets/istio/excluded-destinations.weir"]),
    ("one-family", &["diff", DEFAULT, "rulesets/istio/ipv4-only.weir"]),
    ("drop-invalid", &["diff", DEFAULT, "rulesets/istio/drop-invalid.weir"]),
    ("chosen", &["diff", DEFAULT, "rulesets/istio/chosen-traffic.weir"]),
    ("extended", &["diff", "rulesets/examples/company.weir", "rulesets/examples/reviews.weir"]),
    ("other-mesh", &["diff", "rulesets/kuma/kuma.weir", "rulesets/consul/consul.weir"]),
    ("two-backends", &["diff", "docs/meshes/consul-dual-stack.iptables", "docs/meshes/consul.nft"]),
    ("beside-docker", &["verify", DEFAULT, "--beside", "tests/hosts/docker.v4"]),
];

/// What is printed on a screen of so many columns.
fn screen(arguments: &[&str], columns: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(arguments)
        .current_dir(root())
        .env("COLUMNS", columns)
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn differences_fit_on_a_screen() {
    for (name, arguments) in SCREENS {
        snapshot("screens", name, &screen(arguments, "80"));
        for columns in [60, 80, 132] {
            for more in [&[][..], &["--all"], &["--ways"]] {
                let text = screen(&[arguments, more].concat(), &columns.to_string());
                let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
                assert!(widest <= columns, "{name} {more:?} {columns}: {text}");
            }
        }
    }
}

/// A configuration of a corpus, as the mesh's iptables or nft backend writes it.
type Written = (&'static str, &'static str, &'static str);

/// Ten differences of the corpora: of the two backends of a mesh, of two configurations, and of two meshes.
const OF_CORPORA: [(&str, Written, Written); 10] = {
    const fn backends(
        screen: &'static str,
        mesh: &'static str,
        entry: &'static str,
    ) -> (&'static str, Written, Written) {
        (screen, (mesh, entry, "iptables"), (mesh, entry, "nft"))
    }
    const fn two(
        screen: &'static str,
        [(mesh, entry), (other, another)]: [(&'static str, &'static str); 2],
    ) -> (&'static str, Written, Written) {
        (screen, (mesh, entry, "iptables"), (other, another, "iptables"))
    }
    const EMPTY: (&str, &str) = ("istio", "upstream/sidecar/empty");
    [
        backends("istio-backends-networks", "istio", "upstream/sidecar/ip-range"),
        backends("istio-backends-ports", "istio", "upstream/sidecar/ipv6-outbound-ports"),
        backends("istio-backends-tproxy", "istio", "upstream/sidecar/inbound-ports-tproxy"),
        backends("istio-backends-invalid", "istio", "upstream/sidecar/drop-invalid"),
        backends("consul-backends-dns", "consul", "consul/golden/dual-dns-port"),
        two("istio-dns", [EMPTY, ("istio", "upstream/sidecar/dns-uid-gid")]),
        two("istio-tproxy", [EMPTY, ("istio", "upstream/sidecar/tproxy")]),
        two(
            "linkerd-ports",
            [
                ("linkerd", "linkerd/golden/inject_emojivoto_deployment_overridden"),
                ("linkerd", "linkerd/golden/install_gid_output"),
            ],
        ),
        two("kuma-users", [("kuma", "kuma/s-empty"), ("kuma", "kuma/s-uid-ports-15")]),
        two("istio-to-osm", [EMPTY, ("osm", "osm/golden/no-exclusions-or-inclusions")]),
    ]
};

/// The text, and that for IPv6 if it is another; `None`, with a printed note, without a corpus.
fn written((mesh, name, backend): Written) -> Option<[String; 2]> {
    let text = corpus::text(mesh)?;
    let entries = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let entry = entries.into_iter().find(|entry| entry["name"] == name);
    let entry = entry.unwrap_or_else(|| panic!("no {name} in the corpus"));
    let said = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let ipv6 = if backend == "iptables" { said("ip6tables") } else { String::new() };
    Some([said(backend), ipv6])
}

#[test]
fn differences_of_the_corpora_fit_on_a_screen() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (name, old, new) in OF_CORPORA {
        let Some(texts) = written(old).zip(written(new)) else { return };
        let mut arguments = vec!["diff".to_owned(), path("old"), path("new")];
        for ([text, ipv6], side) in [(texts.0, "old"), (texts.1, "new")] {
            std::fs::write(path(side), text).unwrap();
            if !ipv6.is_empty() {
                std::fs::write(path(&format!("{side}6")), ipv6).unwrap();
                arguments.extend([format!("--{side}-ip6tables"), path(&format!("{side}6"))]);
            }
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let text = screen(&arguments, "80");
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80 && text.lines().count() <= 40, "{name}: {text}");
        snapshot("screens", name, &text.replace(&path(""), ""));
    }
}

#[test]
fn the_headline_of_dns_is_what_a_person_would_say() {
    let text = screen(&["diff", DEFAULT, "rulesets/istio/dns.weir"], "80");
    let first = text.lines().next();
    let said = "DNS (TCP and UDP 53) of the workload now goes to port 15053, both families";
    assert_eq!(first, Some(said), "{text}");
    assert!(text.lines().count() <= 24, "{text}");
}

#[test]
fn colours_say_what_signs_say() {
    let arguments = ["diff", DEFAULT, "rulesets/istio/dns.weir", "--ways"];
    let plain = screen(&arguments, "80");
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let coloured = screen(&[&arguments[..], &["--color", "always"]].concat(), "80");
    snapshot("screens", "dns-in-colour", &coloured.replace('\u{1b}', "␛"));
    let mut text = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, style)) = rest.split_once("\u{1b}[") {
        text += before;
        rest = style.split_once('m').unwrap().1;
    }
    assert_eq!(text + rest, plain);
    let forced = |name: &str, value: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(arguments)
            .current_dir(root())
            .env_remove("NO_COLOR")
            .env("CLICOLOR_FORCE", "1")
            .env(name, value)
            .output()
            .unwrap();
        output.stdout.contains(&0x1b)
    };
    assert!(forced("CLICOLOR_FORCE", "1"));
    assert!(!forced("CLICOLOR_FORCE", "0"));
    assert!(!forced("NO_COLOR", "1"));
}

#[test]
fn words_of_time_are_those_of_diff_alone() {
    for (name, arguments) in SCREENS {
        let text = screen(arguments, "80");
        let of_time = ["now ", "no longer", "newly"].iter().any(|word| text.contains(word));
        assert!(arguments[0] == "diff" || !of_time, "{name}: {text}");
    }
}

/// The policy of a file, and its rules.
fn ruled(name: &str) -> (Policy, Ruleset) {
    let text = std::fs::read_to_string(root().join("rulesets/istio").join(name)).unwrap();
    let compiled = compile(name, &text, &NoIncludes, &Options::default()).unwrap();
    let policy = compiled.policies[0].clone();
    let ruleset = lower(&policy).ruleset;
    (policy, ruleset)
}

/// Ordinary packets of many kinds.
fn ordinary() -> Vec<Packet> {
    let mut packets = Vec::new();
    let ports = [1, 22, 53, 80, 443, 3306, 5432, 6379, 8080, 9080, 15006, 15008, 15020, 15090];
    for to in ["10.96.0.1", "10.20.0.1", "10.96.0.10", "169.254.169.254", "192.168.1.1", "8.8.8.8"]
    {
        for protocol in ["tcp", "udp"] {
            for port in ports {
                packets.push(format!("outbound {protocol} to {to}:{port} user 1000"));
            }
        }
        packets.push(format!("outbound icmp to {to} user 1000"));
    }
    for to in ["fd00:96::1", "fd00:20::1", "2001:db8::1"] {
        for port in ports {
            packets.push(format!("outbound tcp to [{to}]:{port} user 1000"));
            packets.push(format!("outbound udp to [{to}]:{port} user 1000"));
        }
    }
    for [to, from] in [["10.0.0.7", "10.0.0.9:"], ["[fd00::7]", "[fd00::9]:"]] {
        for port in ports {
            for source in [53, 40000] {
                packets.push(format!("inbound tcp from {from}{source} to {to}:{port}"));
                packets.push(format!("inbound udp from {from}{source} to {to}:{port}"));
            }
        }
    }
    packets.iter().filter_map(|packet| packet.parse().ok()).collect()
}

/// Whether a packet has what a word says.
fn has(word: &Word, packet: &Packet) -> bool {
    let in_ranges = |number: u32| {
        word.values.iter().any(|value| {
            let (first, last) = value.split_once('-').unwrap_or((value, value));
            (first.parse::<u32>().unwrap()..=last.parse().unwrap()).contains(&number)
        })
    };
    let in_nets = |address: IpAddr| {
        word.values.iter().any(|value| {
            if let Ok(one) = value.parse::<IpAddr>() {
                return one == address;
            }
            value.parse::<IpNet>().unwrap().contains(&address)
        })
    };
    let is_among = match word.topic {
        Topic::Protocol => {
            let name = packet.protocol.map_or("other".to_owned(), |it| it.name().to_string());
            word.values.contains(&name)
        }
        Topic::Destination => in_nets(packet.destination),
        Topic::Source => in_nets(packet.source),
        Topic::DestinationPort => in_ranges(packet.destination_port.into()),
        Topic::SourcePort => in_ranges(packet.source_port.into()),
        Topic::User | Topic::Group => in_ranges(1000),
        Topic::Output => word.values.iter().any(|name| packet.output.as_ref() == Some(name)),
        Topic::Input => word.values.iter().any(|name| packet.input.as_ref() == Some(name)),
        // Of state, only that of a packet that begins is ordinary.
        Topic::State => return true,
        topic => panic!("{topic:?} is told of ordinary packets"),
    };
    is_among != word.not
}

fn is_in(kind: &Traffic, packet: &Packet) -> bool {
    let family = if packet.destination.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
    kind.hook == packet.hook
        && kind.families.has(family)
        && kind.words.iter().all(|word| has(word, packet))
}

#[test]
fn what_is_told_of_ordinary_packets_is_exact() {
    let names = [
        "default.weir",
        "dns.weir",
        "dns-servers.weir",
        "chosen-traffic.weir",
        "excluded-destinations.weir",
        "egress-only.weir",
        "ipv4-only.weir",
        "openshift.weir",
    ];
    let all: Vec<_> = names.iter().map(|name| (*name, ruled(name))).collect();
    let packets = ordinary();
    assert!(packets.len() > 300, "{}", packets.len());
    let mut differing = 0;
    for (left_name, (left_policy, left)) in &all {
        for (right_name, (right_policy, right)) in &all {
            let context = |policy| Context { policy: Some(policy), ..Context::default() };
            let (one, other) = (context(left_policy), context(right_policy));
            let found = differences((left, &one), (right, &other), Question::default()).unwrap();
            assert!(!found.and_more);
            let told: Vec<&DifferenceWords> =
                found.ways.iter().filter(|way| way.is_ordinary()).collect();
            for packet in &packets {
                let differs = run(left, packet).outcome != run(right, packet).outcome;
                let is_told = told
                    .iter()
                    .any(|way| way.and_more || way.kinds.iter().any(|kind| is_in(kind, packet)));
                let all_told = told.iter().all(|way| !way.and_more);
                assert!(
                    differs == is_told || !all_told && !differs,
                    "{left_name} {right_name}: {packet} {differs} {is_told}: {told:#?}"
                );
                differing += usize::from(differs);
            }
            let sentences = sentences(&found.ways, Sides::InTime, Families::Both);
            let of: usize = sentences.iter().map(|sentence| sentence.of.len()).sum();
            assert_eq!(of, told.len(), "{left_name} {right_name}");
        }
    }
    assert!(differing > 1000, "{differing}");
}
