//! What costs more than its size lets one think, as the command is given it: each ends within a gibibyte
//! and half a minute, or with a diagnostic that names a limit.
//!
//! What is built for debugging is some ten times slower than what is shipped, and gets files that are only
//! just too large: `cargo test --release --test suite bounds` has those as large as may be.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use netweir::reader::size::{MOST_IPTABLES, MOST_JSON, MOST_NFT};
use netweir::span::Sources;

use crate::cli::{exits, stderr, stdout};
use crate::common::node::node;

/// KiB that the command may use.
const MEMORY: usize = 1 << 20;
/// Seconds that it may take; more where it is not optimised, and the machine may be busy.
const SECONDS: usize = if cfg!(debug_assertions) { 120 } else { 30 };

/// `with`, so often that it has about `least` bytes, or as many as a file may have.
fn filled(with: &str, least: usize) -> String {
    let bytes = if cfg!(debug_assertions) { least } else { Sources::MAX_BYTES - 100 };
    with.repeat(bytes / with.len())
}

/// Runs the command in `folder`, within the bounds. What breaks one ends with a signal, or with 124.
fn bounded(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("sh")
        .args(["-c", &format!("ulimit -v {MEMORY}; exec timeout {SECONDS} \"$@\"")])
        .args(["sh", env!("CARGO_BIN_EXE_weir")])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// A file that a command reads, and what it ends with: its status, and a part of what it says.
struct Case {
    name: &'static str,
    text: String,
    arguments: &'static [&'static str],
    status: i32,
    says: String,
}

/// Asserts that each case ends as it says.
fn hold(cases: impl IntoIterator<Item = Case>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("web.weir"), "sidecar web {}\n").unwrap();
    for Case { name, text, arguments, status, says } in cases {
        fs::write(folder.path().join("given"), text).unwrap();
        let output = bounded(folder.path(), arguments);
        let said = [stdout(&output), stderr(&output)].concat();
        let from = said.char_indices().rev().nth(2000).map_or(0, |(at, _)| at);
        let end = &said[from..];
        assert_eq!(output.status.code(), Some(status), "{name}: {end}");
        assert!(said.contains(&says), "{name}: {end}");
    }
}

const EXPLAIN: &[&str] = &["explain", "given", "outbound tcp to 192.0.2.1:80"];

#[test]
fn policies_of_too_many_words_name_the_limit() {
    let policy = |name, with: &str| Case {
        name,
        text: filled(with, 3_000_000 * with.len()),
        arguments: &["check", "given"],
        status: 1,
        says: "E207".to_owned(),
    };
    hold([
        policy("semicolons", ";"),
        policy("blocks", "{"),
        policy("signs that are none", "\u{7}"),
    ]);
}

#[test]
fn rules_of_too_many_words_name_the_limit() {
    let rules = |name, start: &str, with: &str, (most, terms): (usize, usize)| Case {
        name,
        text: format!("{start}{}", filled(with, (most / terms + 2) * with.len())),
        arguments: EXPLAIN,
        status: 2,
        says: format!("more than {most} words"),
    };
    // A line counts four more than its words.
    let chain = "table ip t {\nchain c {\n";
    hold([
        rules("tables of iptables", "", "*nat\n", (MOST_IPTABLES, 5)),
        rules("errors of iptables", "*nat\n", "-A OUTPUT -x\n", (MOST_IPTABLES, 7)),
        rules("rules of iptables", "*nat\n", "-A OUTPUT -p tcp -j ACCEPT\n", (MOST_IPTABLES, 10)),
        rules("open blocks", "", "table ip t {\n", (MOST_NFT, 8)),
        rules("errors of nft", chain, "x\n", (MOST_NFT, 5)),
        rules("rules of nft", chain, "tcp dport 80 drop\n", (MOST_NFT, 8)),
        rules("JSON", "{\"nftables\":[", "{},", (MOST_JSON, 2)),
    ]);
}

/// Chains by the tens of thousands, in time that grows as they do.
#[test]
fn nodes_of_many_services_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("web.weir"), "sidecar web {}\n").unwrap();
    let services = if cfg!(debug_assertions) { 2_000 } else { 20_000 };
    fs::write(folder.path().join("given"), node(services)).unwrap();
    for arguments in [&["verify", "web.weir", "given"], &["diff", "web.weir", "given"]] {
        let output = bounded(folder.path(), arguments);
        exits(&output, 1);
        assert!(stdout(&output).contains("10.96.0.1"), "{arguments:?}: {}", stdout(&output));
    }
}
