//! Rulesets in the shape that well-known programs leave on a host, in `tests/hosts`: `NAME.v4` and `NAME.v6`
//! for the two iptables-restores, `NAME.nft` for nft.

use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::shipped::root;

/// What a program leaves.
pub(crate) struct Host {
    /// What the file is called, without its ending.
    pub(crate) name: String,
    /// What iptables-restore and ip6tables-restore take; empty if there are no rules.
    pub(crate) iptables: [String; 2],
}

/// Where the files are.
pub(crate) fn folder() -> PathBuf {
    root().join("tests/hosts")
}

/// Every host with rules of iptables, in the order of their names.
pub(crate) fn iptables() -> Vec<Host> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".v4").map(str::to_owned))
        .collect();
    names.sort();
    let half = |name: &str, end: &str| {
        fs::read_to_string(folder().join(format!("{name}.{end}"))).unwrap_or_default()
    };
    let host = |name: String| Host { iptables: ["v4", "v6"].map(|end| half(&name, end)), name };
    let hosts: Vec<_> = names.into_iter().map(host).collect();
    assert!(hosts.len() >= 9, "hosts are gone: {}", hosts.len());
    hosts
}

/// Every ruleset for nft, by the name of its file.
pub(crate) fn nft() -> Vec<(String, String)> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|it| it == "nft")).collect();
    files.sort();
    assert!(files.len() >= 4, "hosts are gone: {files:?}");
    let read = |path: PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
    };
    files.into_iter().map(read).collect()
}

/// What is called otherwise of IPv6, by iptables and by nft.
const OF_IPV6: &[(&str, &str)] = &[
    ("-p icmp -m icmp --icmp-type 3 ", "-p ipv6-icmp -m icmp6 --icmpv6-type 1 "),
    ("-p icmp -m icmp --icmp-type 8 ", "-p ipv6-icmp -m icmp6 --icmpv6-type 128 "),
    ("icmp-port-unreachable", "icmp6-port-unreachable"),
    ("table ip ", "table ip6 "),
    ("ipv4_addr", "ipv6_addr"),
    ("ip saddr", "ip6 saddr"),
    ("ip daddr", "ip6 daddr"),
];

/// The same rules for IPv6, where there are such.
pub(crate) fn in_ipv6(text: &str) -> String {
    let text = OF_IPV6
        .iter()
        .fold(text.to_owned(), |text, (of_ipv4, of_ipv6)| text.replace(of_ipv4, of_ipv6));
    // IPv6 has no broadcasts.
    let lines = text.lines().filter(|line| !line.contains("BROADCAST"));
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let mut out = String::new();
    for line in lines {
        let mut rest = line;
        while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
            let length = rest[at..].find(|c| !is_part(c)).unwrap_or(rest.len() - at);
            let (before, found) = rest[..at + length].split_at(at);
            rest = &rest[at + length..];
            out += before;
            // In names, which cannot have colons, it stays.
            match found.parse::<Ipv4Addr>() {
                Ok(address) if !out.ends_with('_') => rest = push(&mut out, address, rest),
                _ => out += found,
            }
        }
        out += rest;
        out.push('\n');
    }
    out
}

/// Writes an address of IPv6 for one of IPv4, with its prefix and its port; what is left behind them.
fn push<'a>(out: &mut String, address: Ipv4Addr, behind: &'a str) -> &'a str {
    let [a, b, c, d] = address.octets();
    let mapped = match (a, b) {
        (127, _) => "::1".to_owned(),
        (10, _) if c == 0 && d == 0 => format!("fd{b:02}::"),
        (10, _) => format!("fd{b:02}::{d}"),
        (192, 0) => format!("2001:db8::{d}"),
        (224, _) => "ff00::".to_owned(),
        (255, _) => ["ffff"; 8].join(":"),
        _ => format!("2001:db8:{a:x}{b:02x}:{c:x}{d:02x}::"),
    };
    let number = |text: &'a str| {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text.split_at(end)
    };
    if let Some(behind) = behind.strip_prefix('/') {
        let (length, behind) = number(behind);
        let length = match length {
            "4" => "8",
            "8" | "32" => "128",
            "10" => "48",
            "16" => "16",
            _ => "64",
        };
        write!(out, "{mapped}/{length}").unwrap();
        behind
    } else if behind.starts_with(':') && !number(&behind[1..]).0.is_empty() {
        write!(out, "[{mapped}]").unwrap();
        behind
    } else {
        *out += &mapped;
        behind
    }
}
