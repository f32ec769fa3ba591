//! `weir table`: what becomes of ordinary packets, held against packets that are run.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;

use ipnet::IpNet;
use netweir::explain::{Context, Row, Table, Treatment, Values, explain_hook, tables};
use netweir::ir::Ruleset;
use netweir::lower::lower;
use netweir::net::Families;
use netweir::reader::nft;
use netweir::semantics::{Packet, run};
use netweir::{Options, policy::Policy};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::cli::{exits, stderr, stdout, weir};
use crate::common::hosts;
use crate::common::shipped::{compile_file, root, rulesets};
use crate::common::snapshots;

fn table(arguments: &[&str]) -> String {
    let output = weir(&[&["table"], arguments].concat());
    exits(&output, 0);
    assert_eq!(stderr(&output), "");
    stdout(&output).to_owned()
}

#[test]
fn tables_say_what_becomes_of_destinations_and_ports() {
    let cases = [
        ("default", "rulesets/istio/default.weir"),
        ("dns", "rulesets/istio/dns.weir"),
        ("tproxy", "rulesets/istio/tproxy.weir"),
        ("dns-servers", "rulesets/istio/dns-servers.weir"),
        ("excluded-destinations", "rulesets/istio/excluded-destinations.weir"),
        ("virtual-machine", "rulesets/istio/virtual-machine.weir"),
        ("pod", "rulesets/ambient/pod.weir"),
        ("host", "rulesets/ambient/host.weir"),
        ("kuma-excludes", "rulesets/kuma/kuma-excludes.weir"),
    ];
    for (case, policy) in cases {
        let text = table(&[policy]);
        snapshots::of(case).bind(|| insta::assert_snapshot!("table", text));
    }
    let docker = table(&["tests/hosts/docker.nft"]);
    snapshots::of("host").bind(|| insta::assert_snapshot!("table-docker", docker));
    let json = table(&["rulesets/istio/dns.weir", "--json"]);
    snapshots::of("dns").bind(|| insta::assert_snapshot!("table-json", json));
}

/// Whether a value is among some.
fn is_among(values: Option<&Values>, is: impl Fn(&str) -> bool) -> bool {
    values.is_none_or(|values| values.items.iter().any(|item| is(item)) != values.not)
}

fn within(net: &str, address: IpAddr) -> bool {
    match net.parse::<IpNet>() {
        Ok(net) => net.contains(&address),
        Err(_) => net.parse::<IpAddr>().unwrap() == address,
    }
}

fn port_within(ports: &str, port: u16) -> bool {
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    (first.parse().unwrap()..=last.parse().unwrap()).contains(&port)
}

/// The address of a packet that its table tells.
fn told_address(table: &Table, packet: &Packet) -> IpAddr {
    if table.address == "to" { packet.destination } else { packet.source }
}

/// Whether a packet is in a row, as somebody would read it.
fn has(table: &Table, row: &Row, packet: &Packet) -> bool {
    let address = told_address(table, packet);
    let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    let protocol = packet.protocol.map(|protocol| protocol.name().into_owned());
    row.families.iter().any(|known| known == family)
        && is_among(row.addresses.as_ref(), |net| within(net, address))
        && is_among(row.protocols.as_ref(), |name| protocol.as_deref() == Some(name))
        && is_among(row.ports.as_ref(), |ports| port_within(ports, packet.destination_port))
}

/// What the table says of a packet: the outcomes that it may have.
fn said<'t>(table: &'t Table, packet: &Packet) -> Vec<&'t str> {
    let rows: Vec<&Row> = table.rows.iter().filter(|row| has(table, row, packet)).collect();
    let becomes = match rows[..] {
        [] => {
            let family = if told_address(table, packet).is_ipv4() { "ipv4" } else { "ipv6" };
            let rest = table.rest.iter().filter(|rest| rest.families.iter().any(|it| it == family));
            let rest: Vec<_> = rest.collect();
            assert_eq!(rest.len(), 1, "{packet}");
            &rest[0].becomes
        }
        [row] => &row.becomes,
        _ => panic!("{packet} is in several rows: {rows:?}"),
    };
    becomes.iter().map(|fate| fate.outcome.as_str()).collect()
}

/// Words of addresses and ports near which a table may be wrong.
fn near(tables: &[Table]) -> (Vec<IpAddr>, Vec<u16>) {
    let mut addresses: BTreeSet<IpAddr> =
        ["10.1.2.3", "8.8.8.8", "2001:db8::1", "fd00::5"].map(|it| it.parse().unwrap()).into();
    let mut ports: BTreeSet<u16> = [0, 1, 53, 80, 443, 65535].into();
    for row in tables.iter().flat_map(|table| &table.rows) {
        for net in row.addresses.iter().flat_map(|values| &values.items).take(40) {
            let net = net.parse().unwrap_or_else(|_| IpNet::from(net.parse::<IpAddr>().unwrap()));
            addresses.extend([net.network(), net.broadcast(), next(net.broadcast())]);
        }
        for port in row.ports.iter().flat_map(|values| &values.items) {
            for end in port.split('-') {
                let end: u16 = end.parse().unwrap();
                ports.extend([end.saturating_sub(1), end, end.saturating_add(1)]);
            }
        }
    }
    addresses.retain(|address| !address.is_loopback() && *address != next(loopback_end()));
    (addresses.into_iter().collect(), ports.into_iter().collect())
}

fn loopback_end() -> IpAddr {
    "127.255.255.255".parse().unwrap()
}

/// The address behind.
fn next(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(it) => IpAddr::V4(u32::from(it).wrapping_add(1).into()),
        IpAddr::V6(it) => IpAddr::V6(u128::from(it).wrapping_add(1).into()),
    }
}

/// An ordinary packet of a table, in the words of `weir explain`.
fn words(table: &Table, address: IpAddr, protocol: &str, port: u16, user: u32) -> String {
    let own = if address.is_ipv4() { "10.0.0.7" } else { "fd00::7" };
    let host = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let has_ports = protocol != "other";
    let host = |address: IpAddr| if has_ports { host(address) } else { address.to_string() };
    let port = if has_ports { format!(":{port}") } else { String::new() };
    match table.hook.as_str() {
        "output" => format!(
            "outbound {protocol} from {own} to {}{port} user {user} group {user} to-foreign",
            host(address)
        ),
        _ => format!(
            "inbound {protocol} from {address} to {}{port} in eth0 from-foreign",
            host(own.parse().unwrap())
        ),
    }
}

/// Holds the tables of a ruleset against packets that are run; how many.
fn held(name: &str, ruleset: &Ruleset, policy: Option<&Policy>) -> usize {
    let context = Context { policy, ..Context::default() };
    let tables = tables(ruleset, Families::Both, &context).unwrap();
    let ports = policy.map_or_else(Default::default, |policy| lower(policy).ports);
    let owners = policy.map_or_else(Default::default, |policy| lower(policy).owners);
    let (addresses, numbers) = near(&tables);
    let mut count = 0;
    let mut runner = TestRunner::deterministic();
    for table in tables.iter().filter(|it| ["output", "prerouting"].contains(&it.hook.as_str())) {
        let strategy = (
            prop_oneof![
                proptest::sample::select(addresses.clone()),
                any::<u32>().prop_map(|it| IpAddr::V4(it.into())),
                any::<u128>().prop_map(|it| IpAddr::V6(it.into())),
            ],
            proptest::sample::select(vec!["tcp", "udp", "other"]),
            prop_oneof![proptest::sample::select(numbers.clone()), any::<u16>()],
            proptest::sample::select(vec![1000_u32, 1, 1001, 1002, 1006, 2000]),
        );
        for _ in 0..300 {
            let (address, protocol, port, user) = strategy.new_tree(&mut runner).unwrap().current();
            let is_proxy = owners.users.contains(&user) || owners.groups.contains(&user);
            // IPv4 in IPv6 is no address of a packet.
            let is_mapped = matches!(address, IpAddr::V6(it) if it.to_ipv4_mapped().is_some());
            if is_proxy
                || is_mapped
                || address.is_loopback()
                || address == "10.0.0.7".parse::<IpAddr>().unwrap()
            {
                continue;
            }
            let words = words(table, address, protocol, port, user);
            let Ok(packet) = words.parse::<Packet>() else { panic!("{words}") };
            if packet.check().is_err() {
                continue;
            }
            // Rules of others ask what a packet does not tell; the usual answers count.
            let became = match policy {
                Some(_) => ports.words(&Treatment::of(&run(ruleset, &packet).outcome)),
                None => explain_hook(ruleset, &packet, &context).outcome,
            };
            let said = said(table, &packet);
            assert!(said.contains(&became.as_str()), "{name}: {packet}: {became}, not {said:?}");
            count += 1;
        }
    }
    count
}

#[test]
fn a_table_says_of_every_packet_what_becomes_of_it() {
    let mut count = 0;
    for path in rulesets() {
        let compilation = compile_file(&path, &Options::default());
        for policy in &compilation.policies {
            count += held(&path.display().to_string(), &lower(policy).ruleset, Some(policy));
        }
    }
    for (name, text) in hosts::nft() {
        let Ok(found) = nft::script(&text, &nft::Options::default()) else { continue };
        count += held(&name, &found.ruleset, None);
    }
    assert!(count > 10_000, "only {count} packets");
}

#[test]
fn a_policy_that_is_the_same_for_both_families_has_one_table() {
    let text = table(&["rulesets/istio/default.weir"]);
    assert!(!text.contains("IPv"), "{text}");
    assert_eq!(text.matches("all else").count(), 2, "{text}");
}

#[test]
fn json_is_as_the_schema_says() {
    let schema = fs::read_to_string(root().join("docs/schema/table.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    for subject in ["rulesets/istio/virtual-machine.weir", "tests/hosts/kube-proxy.nft"] {
        let said = serde_json::from_str(&table(&[subject, "--json"])).unwrap();
        let wrong: Vec<_> = schema.iter_errors(&said).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{subject}: {wrong:?}");
    }
}

#[test]
fn what_chance_decides_is_told() {
    let text = table(&["tests/hosts/kube-proxy.nft"]);
    assert!(text.contains("if `numgen random mod 2 0`, which packets do not tell"), "{text}");
}
