//! Rulesets in the shape that well-known programs leave on a host, in `tests/hosts`: `NAME.v4` and `NAME.v6`
//! for the two iptables-restores, `NAME.nft` for nft.

use std::fs;
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
