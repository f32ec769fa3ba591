//! What costs more than its size lets one think, as the command is given it: each ends within a gibibyte
//! and half a minute, or with a diagnostic that names a limit.
//!
//! What is built for debugging is some ten times slower than what is shipped, and gets files that are only
//! just too large: `cargo test --release --test suite bounds` has those as large as may be.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use netweir::reader::size::{MOST_IPTABLES, MOST_JSON, MOST_NFT, MOST_UNKNOWN};
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

/// Chains of which each calls the next twice, and one mark is set at the end of all 2^59 ways.
fn doubling() -> String {
    let mut text = String::from("*mangle\n");
    for at in 0..60 {
        writeln!(text, ":C{at} - [0:0]").unwrap();
    }
    text.push_str("-A OUTPUT -j C0\n");
    for at in 1..60 {
        write!(text, "-A C{0} -j C{at}\n-A C{0} -p tcp -j C{at}\n", at - 1).unwrap();
    }
    text + "-A C59 -p udp -j MARK --set-xmark 0x1/0x1\nCOMMIT\n"
}

/// Rules of which each has one bit of the mark decide about another.
fn tangled_bits() -> String {
    let rule = |bit: u32| {
        let (asked, set) = (1_u32 << bit, 1_u32 << (bit * 7 % 31 + 1));
        format!(
            "-A OUTPUT -m mark --mark {asked:#x}/{asked:#x} -j MARK --set-xmark {set:#x}/{set:#x}\n"
        )
    };
    format!("*mangle\n{}COMMIT\n", (0..31).map(rule).collect::<String>())
}

/// A thousand rules for as many networks, of which the `step`th comes next; 1,000 and `step` have no
/// common divisor.
fn rules_in_order(step: usize) -> String {
    let rule = |at: usize| {
        let at = at * step % 1000;
        let then = if at.is_multiple_of(3) { "DROP" } else { "ACCEPT" };
        let network = format!("10.{}.{}.0/24", at / 250, at % 250);
        format!("-A OUTPUT -d {network} -p tcp --dport {} -j {then}\n", 1000 + at)
    };
    format!("*filter\n{}COMMIT\n", (0..1000).map(rule).collect::<String>())
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
    // A line counts twelve more than its words, and one of nft four more.
    let chain = "table ip t {\nchain c {\n";
    hold([
        rules("tables of iptables", "", "*nat\n", (MOST_IPTABLES, 13)),
        rules("errors of iptables", "*nat\n", "-A OUTPUT -x\n", (MOST_IPTABLES, 15)),
        rules("rules of iptables", "*nat\n", "-A OUTPUT -p tcp -j ACCEPT\n", (MOST_IPTABLES, 18)),
        rules("open blocks", "", "table ip t {\n", (MOST_NFT, 8)),
        rules("errors of nft", chain, "x\n", (MOST_NFT, 5)),
        rules("rules of nft", chain, "tcp dport 80 drop\n", (MOST_NFT, 8)),
        rules("JSON", "{\"nftables\":[", "{},", (MOST_JSON, 2)),
    ]);
}

/// Rules of which each has a target of its own that nobody knows.
#[test]
fn rules_that_nobody_knows_are_bounded() {
    let of = |count: usize| {
        let mut text = String::from("*mangle\n");
        for at in 0..count {
            writeln!(text, "-A OUTPUT -j TARGET{at}").unwrap();
        }
        text + "COMMIT\n"
    };
    let verify: &[&str] = &["verify", "web.weir", "given"];
    let case = |name, count, arguments, status, says: &str| Case {
        name,
        text: of(count),
        arguments,
        status,
        says: says.to_owned(),
    };
    let many = if cfg!(debug_assertions) { 20_000 } else { MOST_UNKNOWN };
    let past = format!("more than {MOST_UNKNOWN} rules with unknown targets");
    hold([
        case("a packet", many, EXPLAIN, 0, "unless"),
        case("a comparison", many, verify, 2, "the rules are too entangled"),
        case("too many", MOST_UNKNOWN + 1, verify, 2, &past),
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

#[test]
fn entangled_rules_are_compared() {
    let case = |name, text, arguments, status, says: &str| Case {
        name,
        text,
        arguments,
        status,
        says: says.to_owned(),
    };
    let verify = &["verify", "web.weir", "given"][..];
    hold([
        case("chains that call each other twice", doubling(), verify, 1, "different in"),
        case("a packet in such chains", doubling(), EXPLAIN, 0, "jump C59"),
        case("bits that decide about bits", tangled_bits(), verify, 1, "different in"),
    ]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("one"), rules_in_order(1)).unwrap();
    fs::write(folder.path().join("other"), rules_in_order(617)).unwrap();
    let output = bounded(folder.path(), &["diff", "one", "other"]);
    exits(&output, 0);
    assert!(stdout(&output).contains("equal"), "{}", stdout(&output));
}

#[test]
fn whatever_reads_a_policy_is_bounded() {
    let policy = || filled(";", 3_000_000);
    let case = |name, arguments: &'static [&'static str], (status, says): (i32, &str)| Case {
        name,
        text: policy(),
        arguments,
        status,
        says: says.to_owned(),
    };
    hold([
        case("compile", &["compile", "given"], (1, "E207")),
        case("format", &["format", "given"], (1, "E207")),
        case("lint", &["lint", "given"], (1, "E207")),
        case("diff", &["diff", "given", "web.weir"], (1, "E207")),
        case("graph", &["graph", "given"], (1, "E207")),
        case("test", &["test", "given"], (1, "E207")),
    ]);
}

#[test]
fn many_policies_are_chosen() {
    let count = 5_000;
    let name = |at: usize| format!("p{at}");
    let text = (0..count).fold(String::new(), |text, at| text + "sidecar " + &name(at) + " {}\n");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("many.weir"), text).unwrap();
    let chosen: Vec<String> = (0..count).map(|at| format!("--policy={}", name(at))).collect();
    let mut arguments = vec!["compile", "many.weir"];
    arguments.extend(chosen.iter().map(String::as_str));
    let output = bounded(folder.path(), &arguments);
    exits(&output, 1);
    assert!(stderr(&output).contains("1001 errors"), "{}", stderr(&output));
}

#[test]
fn pods_of_very_many_values_name_the_limit() {
    // What is not optimised takes too long for as many as there may be.
    let says =
        if cfg!(debug_assertions) { "no pod in this document" } else { "more than 5000000 values" };
    hold([Case {
        name: "a pod",
        text: filled("- a\n", 1_000_000),
        arguments: &["import", "istio", "--pod", "given"],
        status: 1,
        says: says.to_owned(),
    }]);
}

#[test]
fn a_folder_of_goldens_with_a_large_manifest_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("weir.toml"), filled("[[policy]]\n", 3_000_000)).unwrap();
    for command in ["golden", "lint", "test"] {
        let output = bounded(folder.path(), &[command]);
        exits(&output, 1);
        assert!(stderr(&output).contains("E203"), "{command}: {}", stderr(&output));
    }
}

/// What others write may be one word as long as its file, and messages are read by people.
#[test]
fn a_word_of_a_megabyte_is_shown_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let word = "W".repeat(1_000_000);
    for (rule, advice) in [
        (format!("-A OUTPUT -p tcp -j {word}"), "--leave-out OUTPUT"),
        (format!("-A {word} -p tcp -j ACCEPT"), "--leave-out NAME"),
    ] {
        fs::write(folder.path().join("given"), format!("*nat\n{rule}\nCOMMIT\n")).unwrap();
        let output = bounded(folder.path(), EXPLAIN);
        exits(&output, 2);
        let said = stderr(&output);
        assert!(said.len() < 1000, "{}", said.len());
        assert!(said.contains("chain `WWW") && said.contains(advice), "{said}");
    }
}
