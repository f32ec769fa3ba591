//! A table that writes down what passes each hook, before and behind all other chains.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;

use netweir::ir::Hook;
use serde_json::Value;

use super::way::{Moment, Seen, Trail};
use crate::common::netns::Netns;

/// The table's name, which the model does not read.
pub(crate) const TABLE: &str = "weir-observer";

const MOMENTS: [(Moment, &str, i32); 2] =
    [(Moment::Begin, "begin", -2_000_000_000), (Moment::End, "end", 2_000_000_000)];

/// The packets of a connection, each with how it is told from the others and which of its ports
/// the connection is known by.
const PACKETS: [(&str, &[&str], [&str; 2]); 3] = [
    ("first", &["udp length 10", "tcp flags & (fin | syn | rst | ack) == syn"], ["sport", "dport"]),
    (
        "reply",
        &[
            "udp length 11",
            "tcp flags & (fin | syn | rst | ack) == (syn | ack)",
            "tcp flags & (fin | syn | rst | ack) == (rst | ack) tcp dport 20000-60000",
        ],
        ["dport", "sport"],
    ),
    (
        "again",
        &["udp length 12", "tcp flags & (fin | syn | rst | ack) == ack tcp sport 20000-60000"],
        ["sport", "dport"],
    ),
];

fn places() -> impl Iterator<Item = (Hook, Moment, String, i32)> {
    Hook::ALL.into_iter().flat_map(|hook| {
        MOMENTS.map(|(moment, word, priority)| {
            let hook_name = hook.built_in_chain().to_ascii_lowercase();
            (hook, moment, format!("{hook_name}-{word}"), priority)
        })
    })
}

/// The table, empty. nft lists sets of up to five parts right, so a packet is in three of them.
pub(super) fn script() -> String {
    let mut text = format!("table inet {TABLE} {{\n");
    for (hook, _, place, priority) in places() {
        let mut rules = String::new();
        for (packet, is_it, [known, other]) in PACKETS {
            let name = format!("{place}-{packet}");
            for (kind, fields) in [
                ("ipv4", "inet_service . inet_service . ipv4_addr . ipv4_addr . mark"),
                ("ipv6", "inet_service . inet_service . ipv6_addr . ipv6_addr . mark"),
                ("links", "inet_service . iface_index . iface_index"),
                ("connection", "inet_service . mark . ct_state"),
            ] {
                writeln!(text, "set {name}-{kind} {{ type {fields}; flags dynamic; size 1024; }}")
                    .unwrap();
            }
            write!(
                text,
                "chain {name} {{
                   add @{name}-links {{ th {known} . meta iif . meta oif }}
                   add @{name}-ipv4 {{ th {known} . th {other} . ip saddr . ip daddr . meta mark }}
                   add @{name}-ipv6 {{ th {known} . th {other} . ip6 saddr . ip6 daddr . meta mark }}
                   add @{name}-connection {{ th {known} . ct mark . ct state }}
                 }}\n"
            )
            .unwrap();
            for is_it in is_it {
                writeln!(rules, "{is_it} goto {name}").unwrap();
            }
        }
        let hook = hook.built_in_chain().to_ascii_lowercase();
        let base = format!("type filter hook {hook} priority {priority};");
        writeln!(text, "chain {place} {{\n{base}\n{rules}}}").unwrap();
    }
    text + "}\n"
}

/// What passed since the table was loaded, by the port that a connection is known by: the ways of
/// its packets.
pub(super) fn trails(netns: &Netns) -> BTreeMap<u16, [Trail; 3]> {
    let list = netns.output("nft", &["-j", "list", "table", "inet", TABLE]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let sets: BTreeMap<&str, &Value> = list["nftables"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|object| object.get("set"))
        .filter_map(|set| Some((set["name"].as_str()?, set.get("elem")?)))
        .collect();
    let elements = |name: String| {
        let all = sets.get(name.as_str()).and_then(|all| all.as_array());
        all.into_iter().flatten().map(|element| element["concat"].as_array().unwrap().as_slice())
    };
    let mut trails: BTreeMap<u16, [Trail; 3]> = BTreeMap::new();
    for (hook, moment, place, _) in places() {
        for (at, (packet, ..)) in PACKETS.iter().enumerate() {
            let name = format!("{place}-{packet}");
            let links: BTreeMap<u16, (String, String)> = elements(format!("{name}-links"))
                .map(|parts| (port(&parts[0]), (interface(&parts[1]), interface(&parts[2]))))
                .collect();
            let connections: BTreeMap<u16, (u32, String)> = elements(format!("{name}-connection"))
                .map(|parts| {
                    (port(&parts[0]), (number(&parts[1]), parts[2].as_str().unwrap().to_owned()))
                })
                .collect();
            for parts in elements(format!("{name}-ipv4")).chain(elements(format!("{name}-ipv6"))) {
                let (known, other) = (port(&parts[0]), port(&parts[1]));
                let address = |at: usize| parts[at].as_str().unwrap().parse().unwrap();
                let (input, output) = links[&known].clone();
                let ports = if *packet == "reply" { [other, known] } else { [known, other] };
                let seen = Seen {
                    source: SocketAddr::new(address(2), ports[0]),
                    destination: SocketAddr::new(address(3), ports[1]),
                    mark: number(&parts[4]),
                    input,
                    output,
                    connection: connections.get(&known).cloned().filter(|_| moment == Moment::End),
                };
                trails.entry(known).or_default()[at].insert((hook, moment), seen);
            }
        }
    }
    trails
}

fn port(value: &Value) -> u16 {
    u16::try_from(number(value)).unwrap()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap_or_else(|| panic!("{value}"))).unwrap()
}

/// `0` and `"0"` mean that there is none.
fn interface(value: &Value) -> String {
    let name = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if name == "0" { String::new() } else { name }
}
