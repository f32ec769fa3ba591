//! A command that fails leaves a line on standard output which nothing loads.

use std::fs;
use std::path::Path;
use std::process::Command;

use netweir::diag::REFUSAL;

use crate::cli::{exits, stderr, stdout, weir, weir_with};
use crate::common::netns::{self, Netns};
use crate::common::shipped::root;

/// What loads what weir writes: the program, its arguments, and the view of weir that it is for.
const LOADERS: &[(&str, &[&str], &str)] = &[
    ("nft", &["-f", "-"], "nft"),
    ("nft", &["-j", "-f", "-"], "json"),
    ("iptables-legacy-restore", &["--noflush"], "iptables"),
    ("iptables-nft-restore", &["--noflush"], "iptables"),
    ("ip6tables-legacy-restore", &["--noflush"], "ip6tables"),
    ("ip6tables-nft-restore", &["--noflush"], "ip6tables"),
    ("sh", &[], "routing"),
    ("dash", &[], "routing"),
    ("bash", &[], "teardown"),
    ("ip", &["-batch", "-"], "routing-batch"),
    ("ip", &["-6", "-batch", "-"], "routing6-batch"),
];

/// The line, as it stands on standard output.
fn refused() -> String {
    format!("{REFUSAL}\n")
}

#[test]
fn nothing_loads_the_line() {
    assert!(REFUSAL.starts_with(')') && REFUSAL.is_ascii() && !REFUSAL.contains('\n'));
    if !netns::available_to_root() {
        return;
    }
    let netns = Netns::new();
    for (program, arguments, _) in LOADERS {
        if !netns::are_installed(&[program]) {
            continue;
        }
        for text in ["", "# a comment\n"] {
            let done = netns.run(program, arguments, text);
            assert!(done.ok, "{program} takes nothing for something: {}", done.err);
        }
        let done = netns.run(program, arguments, &refused());
        assert!(!done.ok && !done.err.is_empty(), "{program} {arguments:?}: {done:?}");
    }
    // Behind what was written already, too: a transaction fails as a whole.
    let product = stdout(&weir(&["compile", "rulesets/istio/default.weir"])).to_owned();
    let done = netns.run("nft", &["-f", "-"], &(product + &refused()));
    assert!(!done.ok, "{done:?}");
    assert_eq!(netns.output("nft", &["list", "ruleset"]), "");
}

/// Runs `weir ARGUMENTS | LOADER` in a namespace and a folder: the exit status is that of the loader,
/// as without `pipefail`.
fn piped(netns: &Netns, folder: &Path, weir: &str, loader: &str) -> netns::Done {
    let path = Path::new(env!("CARGO_BIN_EXE_weir"));
    let script = format!("cd {} && {} {weir} | {loader}", folder.display(), path.display());
    netns.run("sh", &["-c", &script], "")
}

#[test]
fn no_pipe_takes_a_refusal_for_success() {
    if !netns::available_to_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| fs::write(folder.path().join(name), text).unwrap();
    write("bad.weir", b"sidecar x { mode y }\n");
    write("two.weir", b"sidecar one {}\nsidecar two {}\n");
    write("empty.weir", b"");
    write("nul.weir", b"sidecar x {}\0");
    write("host.weir", b"ambient-host node {}\n");
    write("broken.weir", b"sidecar s { expect outbound tcp => untouched }\n");
    let netns = Netns::new();
    let ends = [
        ("bad.weir", "E303"),
        ("two.weir", "choose one with --policy"),
        ("no-such.weir", "cannot read"),
        ("empty.weir", "E114"),
        ("nul.weir", "E204"),
        ("broken.weir", "E403"),
        ("--nonsense bad.weir", "unexpected argument"),
        ("", "POLICY"),
        ("bad.weir --report no/such/folder", "cannot write"),
    ];
    for (program, arguments, view) in LOADERS {
        if !netns::are_installed(&[program]) {
            continue;
        }
        let loader = format!("{program} {}", arguments.join(" "));
        for (given, said) in ends {
            let compile = format!("compile --emit {view} {given}");
            let done = piped(&netns, folder.path(), &compile, &loader);
            assert!(!done.ok, "{compile} | {loader}: {done:?}");
            assert!(done.err.contains(said), "{compile} | {loader}: {}", done.err);
        }
    }
    for (command, loader) in [
        ("pod-address add host.weir", "nft -f -"),
        ("pod-address add host.weir 10.0.0.0/8", "nft -f -"),
        ("pod-address add --json bad.weir 10.0.0.1", "nft -j -f -"),
        ("import istio --args '-p 0'", "nft -f -"),
        ("import", "nft -f -"),
        ("compil two.weir", "nft -f -"),
        ("", "nft -f -"),
    ] {
        let done = piped(&netns, folder.path(), command, loader);
        assert!(!done.ok && !done.err.is_empty(), "{command} | {loader}: {done:?}");
    }
    assert_eq!(netns.output("nft", &["list", "ruleset"]), "");
    assert_eq!(netns.output("ip", &["-6", "addr", "show", "to", "::6"]), "");
}

#[test]
fn every_end_but_success_leaves_the_line_alone() {
    let default = "rulesets/istio/default.weir";
    let wrong = "sidecar x { mode y }";
    for (arguments, input, status) in [
        (&["compile", "-"][..], wrong, 1),
        (&["compile", "-", "--message-format", "json"], wrong, 1),
        (&["compile", "-", "--message-format", "sarif"], wrong, 1),
        (&["compile", "-", "-o", "-"], wrong, 1),
        (&["compile", "-"], "", 1),
        (&["compile", "--policy", "a", "--policy", "b", "-"], "sidecar a {}\nsidecar b {}\n", 1),
        (&["compile", "--deny", "warnings", "-"], "sidecar a { family ipv4 }\nlet x = 1\n", 1),
        (&["compile", "no/such.weir"], "", 2),
        (&["compile", "--emit", "pdf", default], "", 2),
        (&["compile", "--nonsense"], "", 2),
        (&["compile"], "", 2),
        (&["pod-address", "add", default, "10.0.0.1"], "", 2),
        (&["pod-address", "add", "-", "10.0.0.1"], wrong, 1),
        (&["import", "istio", "--args", "-p 0"], "", 1),
        (&["import", "istio", "--args", "-o 25", "--nonsense"], "", 2),
        (&["import", "kuma"], "", 2),
        (&["frobnicate"], "", 2),
        (&[], "", 2),
    ] {
        let output = weir_with(arguments, input);
        exits(&output, status);
        assert_eq!(stdout(&output), refused(), "{arguments:?}");
        assert!(!stderr(&output).is_empty(), "{arguments:?}");
    }
    // What the product comes before is not loaded either.
    let output = weir(&["compile", default, "--report", "no/such/folder"]);
    exits(&output, 2);
    assert!(stdout(&output).ends_with(&format!("}}\n{REFUSAL}\n")), "{}", stdout(&output));
}

#[test]
fn where_nothing_is_awaited_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let file = out.to_str().unwrap();
    let wrong = "sidecar x { mode y }";
    for (arguments, status) in [
        (&["compile", "-", "-o", file][..], 1),
        (&["compile", "-", "--output", file, "--nonsense"], 2),
        (&["compile", "--nonsense", "-", "-o", file], 2),
        (&["compile", "-", "--out-dir", file], 1),
        (&["import", "istio", "--args", "-p 0", "-o", file], 1),
        (&["check", "-"], 1),
        (&["check", "--nonsense"], 2),
        (&["show", "-"], 1),
        (&["verify", "-", "--nonsense"], 2),
    ] {
        let output = weir_with(arguments, wrong);
        exits(&output, status);
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(!out.exists(), "{arguments:?}");
    }
    for arguments in
        [&["--help"][..], &["--version"], &["compile", "--help"], &["import", "istio", "-h"]]
    {
        let output = weir(arguments);
        exits(&output, 0);
        assert!(!stdout(&output).contains(REFUSAL), "{arguments:?}");
    }
}

/// `script` runs a command on a terminal of its own.
#[test]
fn a_person_at_a_terminal_reads_the_message_alone() {
    let weir = env!("CARGO_BIN_EXE_weir");
    let command = format!("{weir} compile no/such.weir");
    let output = Command::new("script").args(["-qec", &command, "/dev/null"]).output();
    let Ok(output) = output else {
        netns::skip("`script` is missing");
        return;
    };
    exits(&output, 2);
    assert!(stdout(&output).contains("cannot read no/such.weir"), "{}", stdout(&output));
    assert!(!stdout(&output).contains(REFUSAL));
}

#[test]
fn who_is_given_the_line_looks_at_the_command_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line");
    fs::write(&path, refused()).unwrap();
    let (line, default) = (path.to_str().unwrap(), "rulesets/istio/default.weir");
    let shipped = root().join(default);
    assert!(shipped.is_file());
    for arguments in [
        &["check", line][..],
        &["compile", line, "-o", "/dev/null"],
        &["show", line],
        &["format", "--check", line],
        &["explain", line, "outbound tcp to 10.0.0.1:80"],
        &["verify", default, "--iptables", line],
        &["verify", default, "--ip6tables", line],
        &["verify", default, "--nft-json", line],
        &["verify", line, "--nft-json", line],
        &["diff", default, line],
        &["diff", line, default],
    ] {
        let output = weir(arguments);
        exits(&output, 1);
        let said = stderr(&output);
        assert!(
            said.contains("E113") && said.contains("look at the message"),
            "{arguments:?} {said}"
        );
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
    for nothing in ["", "# a comment\n", "let ports = 80\n"] {
        for arguments in
            [&["check", "-"][..], &["explain", "-", "outbound tcp to 10.0.0.1:80"], &["show", "-"]]
        {
            let output = weir_with(arguments, nothing);
            exits(&output, 1);
            assert!(stderr(&output).contains("E114"), "{arguments:?} {}", stderr(&output));
        }
    }
}
