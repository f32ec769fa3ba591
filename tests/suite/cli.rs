//! The command as a user meets it: arguments, streams, files, exit status.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use netweir::diag::REFUSAL;

use crate::common::shipped::{self, root};
use crate::common::snapshots;

/// Runs `weir` in the root of the repository.
pub(crate) fn weir(arguments: &[&str]) -> Output {
    weir_with(arguments, "")
}

/// Runs `weir` with `input` as standard input.
pub(crate) fn weir_with(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that fails early closes its input before all of it is written.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// Asserts what was said against `snapshots/<case>/<view>.snap`.
pub(crate) fn snapshot(case: &str, view: &str, said: &str) {
    snapshots::of(case).bind(|| insta::assert_snapshot!(view, said));
}

/// Whether a failure left the line that nothing loads, and no other.
fn is_refusal(output: &Output) -> bool {
    stdout(output).strip_suffix('\n') == Some(REFUSAL)
}

/// Asserts the exit status, and shows what was said where it differs.
pub(crate) fn exits(output: &Output, status: i32) {
    assert_eq!(output.status.code(), Some(status), "{}{}", stdout(output), stderr(output));
}

const DEFAULT: &str = "rulesets/istio/default.weir";

#[test]
fn the_product_goes_to_standard_output_and_nothing_else_does() {
    let output = weir(&["compile", DEFAULT]);
    exits(&output, 0);
    assert!(stdout(&output).contains("table inet istio-proxy-nat {"));
    assert!(stdout(&output).ends_with("}\n"));
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_policy_on_standard_input_is_the_same_policy() {
    let text = fs::read_to_string(root().join(DEFAULT)).unwrap();
    let arguments = ["compile", "--no-comments", "--emit", "json"];
    let from_file = weir(&[&arguments[..], &[DEFAULT]].concat());
    let from_stdin = weir_with(&[&arguments[..], &["-"]].concat(), &text);
    exits(&from_stdin, 0);
    assert_eq!(stdout(&from_file), stdout(&from_stdin));
}

#[test]
fn a_wrong_policy_is_a_diagnostic_and_exit_status_1() {
    let output = weir_with(&["compile", "-"], "sidecar x { inbound { capture port 70000 } }");
    exits(&output, 1);
    assert!(is_refusal(&output), "{}", stdout(&output));
    snapshot("cli", "port-out-of-range", stderr(&output));
}

#[test]
fn colours_are_for_terminals() {
    let wrong = "sidecar x { inbound { capture port 70000 } }";
    assert!(!stderr(&weir_with(&["check", "-"], wrong)).contains('\x1b'));
    assert!(stderr(&weir_with(&["check", "-", "--color", "always"], wrong)).contains('\x1b'));
}

#[test]
fn usage_and_files_are_exit_status_2() {
    for (arguments, said) in [
        (&["compile"][..], "POLICY"),
        (&["compile", "no/such.weir"], "cannot read no/such.weir"),
        (&["compile", "rulesets"], "cannot read rulesets"),
        (&["compile", "--emit", "pdf", DEFAULT], "pdf"),
        (&["compile", "--target", "nft=0.9.0", DEFAULT], "0.9.0"),
        (&["compile", "--policy", "nobody", DEFAULT], "no policy `nobody`; it has `istio`"),
        (&["compile", DEFAULT, "-o", "no/such/folder/x.nft"], "there is no folder no/such/folder"),
        (&["compile", DEFAULT, "-o", "rulesets"], "cannot write rulesets"),
        (&["compile", "--group-file", "no-groups", DEFAULT], "cannot read no-groups"),
        (&["explain-code", "E999"], "there is no code `E999`"),
        (&["frobnicate"], "frobnicate"),
        (&["import", "istio"], "--args"),
        (&["import", "istio", "--args", "-b 80", "--pod", "p.yaml"], "--pod"),
        (&["import", "istio", "p.yaml"], "tip: write `weir import istio --pod p.yaml`"),
        (
            &["import", "istio", "--args", "-b", "80"],
            "tip: write `weir import istio --args='-b 80'`",
        ),
        (&["pod-address", "add", "p.weir", "0.0.0.0"], "it stands for no address"),
        (&["pod-address", "add", "p.weir", "127.0.0.1"], "no pod has it"),
        (&["pod-address", "add", "p.weir", "::ffff:10.0.0.1"], "write `10.0.0.1`"),
        (
            &["pod-address", "add", "10.0.0.1", "p.weir"],
            "write `weir pod-address add p.weir 10.0.0.1`",
        ),
        (&["import", "istio", "--pod", "p.yaml", "--env", "env"], "--env"),
        (&["import", "istio", "--config", "c.json", "--ipv6", "on"], "--ipv6"),
        (&["import", "istio", "--pod", "no/such.yaml"], "cannot read no/such.yaml"),
        (&["import", "istio", "--pod", "-", "--resolv-conf", "-"], "`-` is given twice"),
        (&["import", "istio", "--args", "", "--name", "a.b"], "`.` cannot be in a name"),
        (&["import", "kuma"], "kuma"),
    ] {
        let output = weir(arguments);
        exits(&output, 2);
        let is_file = arguments.contains(&"-o");
        assert_eq!(stdout(&output).is_empty(), is_file || arguments[0] == "explain-code");
        assert!(stdout(&output).is_empty() || is_refusal(&output), "{arguments:?}");
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn one_policy_of_several_must_be_chosen() {
    let policies = "sidecar one {}\nsidecar two { family ipv4 }\n";
    let output = weir_with(&["compile", "-"], policies);
    exits(&output, 2);
    assert!(stderr(&output).contains("`one`, `two`"), "{}", stderr(&output));
    let output = weir_with(&["compile", "--policy", "two", "-"], policies);
    exits(&output, 0);
    assert!(stdout(&output).contains("table ip istio-proxy-nat {"));
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.nft");
    let path = file.to_str().unwrap();
    exits(&weir(&["compile", DEFAULT, "-o", path]), 0);
    let good = fs::read_to_string(&file).unwrap();
    assert_eq!(good, stdout(&weir(&["compile", DEFAULT])));
    exits(&weir_with(&["compile", "-", "-o", path], "sidecar x { mode y }"), 1);
    assert_eq!(fs::read_to_string(&file).unwrap(), good);
    assert_eq!(names(folder.path()), ["out.nft"]);
}

#[test]
fn a_policy_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("base.weir"), "sidecar base {}\n").unwrap();
    let text = "include \"base.weir\"\nsidecar istio extends base {}\n";
    fs::write(path("istio.policy.weir"), text).unwrap();
    let policy = path("istio.policy.weir");
    for arguments in [
        ["compile", &policy, "-o", &policy],
        ["compile", &policy, "-o", &path("base.weir")],
        ["compile", &policy, "--out-dir", folder.path().to_str().unwrap()],
    ] {
        let output = weir(&arguments);
        exits(&output, 2);
        assert!(
            stderr(&output).contains("is read by this command; write elsewhere"),
            "{}",
            stderr(&output)
        );
        assert_eq!(names(folder.path()), ["base.weir", "istio.policy.weir"]);
    }
    assert_eq!(fs::read_to_string(&policy).unwrap(), text);
    assert_eq!(fs::read_to_string(path("base.weir")).unwrap(), "sidecar base {}\n");
}

#[test]
fn an_include_is_a_file_and_never_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("p.weir");
    fs::write(&policy, "include \"-\"\nsidecar x { inbound { capture port $p } }\n").unwrap();
    let output = weir_with(&["check", policy.to_str().unwrap()], "let p = 80\n");
    exits(&output, 1);
    assert!(stderr(&output).contains("E202"), "{}", stderr(&output));
}

#[test]
fn what_cannot_be_read_as_text_is_a_diagnostic_and_no_panic() {
    for text in ["sidecar x {}\n\0", "\u{feff}\0", ""] {
        let output = weir_with(&["compile", "-"], text);
        assert_ne!(output.status.code(), Some(101), "{}", stderr(&output));
        assert_ne!(output.status.code(), Some(0), "{text:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_wrong_policy_is_wrong_even_if_nobody_reads_why() {
    let script = "printf 'sidecar x { mode y }' | \"$1\" check - 2>&-";
    let output =
        Command::new("sh").args(["-c", script, "sh", env!("CARGO_BIN_EXE_weir")]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_folder_gets_every_view_of_every_policy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("golden");
    let policies = "sidecar one {}\nsidecar two { family ipv4 }\n";
    exits(&weir_with(&["compile", "-", "--out-dir", path.to_str().unwrap()], policies), 0);
    let expected: Vec<String> = ["one", "two"]
        .iter()
        .flat_map(|policy| {
            let mut names: Vec<_> = netweir::View::ALL
                .iter()
                .map(|view| format!("{policy}.{}", view.extension()))
                .collect();
            names.sort();
            names
        })
        .collect();
    assert_eq!(names(&path), expected);
}

#[test]
fn group_names_are_resolved_by_a_group_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("group");
    fs::write(&file, "root:x:0:\njava:x:1001:\n").unwrap();
    let policy = "sidecar x { outbound { capture group java } }";
    let output = weir_with(&["compile", "-"], policy);
    exits(&output, 1);
    assert!(stderr(&output).contains("--group-file"), "{}", stderr(&output));
    let output = weir_with(&["compile", "-", "--group-file", file.to_str().unwrap()], policy);
    exits(&output, 0);
    assert!(stdout(&output).contains("skgid 1001"), "{}", stdout(&output));
}

#[test]
fn format_rewrites_and_check_only_looks() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.weir");
    let path = file.to_str().unwrap();
    fs::write(&file, "sidecar   x{inbound{capture port 80,443}}").unwrap();
    let output = weir(&["format", "--check", path]);
    exits(&output, 1);
    assert!(stdout(&output).starts_with(&format!("--- {path}\n+++ ")), "{}", stdout(&output));
    exits(&weir(&["format", path]), 0);
    assert!(fs::read_to_string(&file).unwrap().starts_with("sidecar x {\n"));
    exits(&weir(&["format", "--check", path]), 0);
}

#[test]
fn shipped_policies_are_formatted() {
    for path in shipped::rulesets() {
        exits(&weir(&["format", "--check", path.to_str().unwrap()]), 0);
    }
}

#[test]
fn every_command_helps() {
    let commands = [
        "compile",
        "check",
        "format",
        "show",
        "explain",
        "verify",
        "diff",
        "import",
        "pod-address",
        "apply",
        "remove",
    ];
    let mut all = vec![vec!["--help"], vec!["-h"]];
    all.extend(commands.map(|command| vec![command, "--help"]));
    for arguments in &all {
        let output = weir(arguments);
        exits(&output, 0);
        let longest = stdout(&output).lines().map(str::len).max().unwrap_or_default();
        assert!(longest <= 100, "{arguments:?}: a line has {longest} columns");
    }
    assert!(
        stdout(&weir(&["--help"]))
            .contains("weir compile policy.weir -o policy.nft && nft -f policy.nft")
    );
}

#[test]
fn the_version_names_the_releases_whose_rules_there_are() {
    let version = weir(&["--version"]);
    exits(&version, 0);
    let text = stdout(&version);
    let own = concat!(
        "weir ",
        env!("CARGO_PKG_VERSION"),
        "\nrules of Istio 1.29 to 1.31 (istio 86c9f01f),\n"
    );
    assert!(text.starts_with(own), "{text}");
    assert_eq!(stdout(&weir(&["-V"])).lines().count(), 1);
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&weir(&["completions", shell])).contains("explain-code"), "{shell}");
    }
    assert!(stdout(&weir(&["man"])).starts_with(".ie"));
    assert!(stdout(&weir(&["man", "compile"])).contains("weir\\-compile"));
}

#[test]
fn an_import_is_a_policy_and_notes_beside_it() {
    let output = weir(&[
        "import",
        "istio",
        "--args",
        "-u 1337 -b * -i 10.1.2.3/8 -x '' --log_output_level=all:info",
        "--ipv6",
        "on",
    ]);
    exits(&output, 0);
    insta::assert_snapshot!(stdout(&output), @"
    # What Istio's iptables rules do, those of Istio 1.29 to 1.31 (istio 86c9f01f). Made by weir import.

    sidecar istio {
      outbound {
        # -i 10.1.2.3/8
        capture to 10.0.0.0/8
      }
    }
    ");
    let said = stderr(&output);
    assert!(said.lines().all(|line| line.starts_with("note: ")), "{said}");
    assert!(said.contains("note: `-i 10.1.2.3/8`: `10.1.2.3/8` means `10.0.0.0/8`\n"), "{said}");
    let compiled = weir_with(&["compile", "-"], stdout(&output));
    exits(&compiled, 0);
    assert!(stdout(&compiled).contains("ip daddr 10.0.0.0/8"));
}

#[test]
fn what_istio_refuses_is_exit_status_1_and_no_policy_is_printed() {
    let arguments = ["import", "istio", "--ipv6", "on", "--args", "-u 1337 -p 0 -b 80 -d 90"];
    let output = weir(&arguments);
    exits(&output, 1);
    assert!(is_refusal(&output), "{}", stdout(&output));
    assert_eq!(
        stderr(&output),
        "note: `-d 90`: no effect: ports are excluded only where every inbound port is captured\n\
         error: `-p 0`: `0` is not a port of 1 to 65535\n"
    );
    let output = weir(&[&arguments[..], &["--message-format", "json"]].concat());
    exits(&output, 1);
    let lines: Vec<serde_json::Value> =
        stderr(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines[1],
        serde_json::json!({
            "version": 1,
            "kind": "import",
            "severity": "error",
            "message": "`0` is not a port of 1 to 65535",
            "about": null,
            "option": "-p",
            "value": "0",
            "source": "argument",
            "file": null,
            "line": null,
            "column": null,
        })
    );
}

#[test]
fn an_import_reads_the_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let environment = write(
        "env",
        "PROXY_UID=7\nISTIO_OUTBOUND_OWNER_GROUPS=java\nISTIO_META_DNS_CAPTURE=true\nISTIO_INBOUND_PORTS='*'\n",
    );
    let (group, resolv_conf) =
        (write("group", "java:x:202:\n"), write("resolv.conf", "nameserver 10.96.0.10\n"));
    let policy = folder.path().join("reviews.weir");
    let files = ["--env", &environment, "--group-file", &group, "--resolv-conf", &resolv_conf];
    let more =
        ["--name", "reviews", "--ipv6", "off", "--no-comments", "-o", policy.to_str().unwrap()];
    let output = weir(&[&["import", "istio", "--args", "-i *"], &files[..], &more].concat());
    exits(&output, 0);
    assert_eq!((stdout(&output), stderr(&output)), ("", ""));
    insta::assert_snapshot!(fs::read_to_string(policy).unwrap(), @"
    sidecar reviews {
      family ipv4
      proxy {
        user 7
      }
      outbound {
        capture group 202
      }
      dns {
        capture 10.96.0.10
      }
    }
    ");
}

#[test]
fn several_pods_are_several_policies() {
    let import = ["import", "istio", "--no-comments", "--pod"];
    let output = weir(&[&import[..], &["tests/import/ambient.yaml"]].concat());
    exits(&output, 0);
    assert!(stdout(&output).starts_with("ambient-pod reviews {}\n\nambient-pod ingress {\n"));
    let text = fs::read_to_string(root().join("tests/import/ambient.yaml")).unwrap();
    let from_stdin = weir_with(&[&import[..], &["-"]].concat(), &text);
    assert_eq!(stdout(&from_stdin), stdout(&output));
    // Several files are one picture, and each policy has a file.
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("policies");
    let files =
        ["tests/import/ambient.yaml", "tests/import/injected.yaml", "tests/import/cni.yaml"];
    let to = ["--out-dir", out.to_str().unwrap()];
    let output = weir(&[&["import", "istio", "--pod"][..], &files, &to].concat());
    exits(&output, 0);
    assert_eq!(stdout(&output), "");
    let mut names: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "bookinfo-reviews-v3.weir",
            "frontend.weir",
            "ingress.weir",
            "reviews.weir",
            "virt-launcher.weir"
        ]
    );
    let reviews = fs::read_to_string(out.join("bookinfo-reviews-v3.weir")).unwrap();
    assert!(
        reviews.contains("\n# Deployment bookinfo/reviews-v3\nsidecar bookinfo-reviews-v3 {"),
        "{reviews}"
    );
    exits(&weir(&["check", out.join("frontend.weir").to_str().unwrap()]), 0);
    exits(&weir(&["format", "--check", out.to_str().unwrap()]), 0);
    let nothing = weir_with(&["import", "istio", "--pod", "-"], "kind: Service\n");
    exits(&nothing, 1);
    assert_eq!(
        stderr(&nothing),
        "note: no pod in this Service\nerror: there is nothing to import\n"
    );
    let host = r#"{"kind": "ambient-host", "name": "node", "config": {}}"#;
    let output = weir_with(&["import", "istio", "--config", "-"], host);
    exits(&output, 0);
    assert!(
        stdout(&output)
            .ends_with("ambient-host node {\n  # IPv6 of ambient mode is off\n  family ipv4\n}\n")
    );
}

#[test]
fn policies_of_one_namespace_are_one_transaction() {
    let policies = "sidecar one {}\nambient-host two {}\nsidecar three {}\n";
    let both = ["compile", "-", "--policy", "one", "--policy", "two"];
    let output = weir_with(&both, policies);
    exits(&output, 0);
    assert!(
        stdout(&output).contains("# Policy `one`") && stdout(&output).contains("# Policy `two`")
    );
    let output = weir_with(&[&both[..], &["--emit", "json"]].concat(), policies);
    exits(&output, 0);
    let json: serde_json::Value = serde_json::from_str(stdout(&output)).unwrap();
    let text = json.to_string();
    assert!(text.contains("istio-proxy-nat") && text.contains("istio-ambient-nat"));
    let output = weir_with(&[&both[..], &["--policy", "three"]].concat(), policies);
    exits(&output, 1);
    assert!(is_refusal(&output), "{}", stdout(&output));
    assert!(stderr(&output).contains("E330"), "{}", stderr(&output));
    // Policies of one file are for different namespaces, as long as nobody says otherwise.
    let output = weir_with(&["check", "-"], policies);
    exits(&output, 0);
    assert_eq!(stderr(&output), "");
    let output = weir_with(&["compile", "-", "--policy", "one", "--policy", "one"], policies);
    exits(&output, 2);
    assert!(stderr(&output).contains("`one` is given twice"), "{}", stderr(&output));
}

#[test]
fn addresses_of_pods_come_and_go() {
    let host = "rulesets/ambient/host.weir";
    let output = weir(&["pod-address", "add", host, "10.0.1.2", "fd00:1::2"]);
    exits(&output, 0);
    insta::assert_snapshot!(stdout(&output), @"
    add element inet istio-ambient-nat istio-inpod-probes-v4 { 10.0.1.2 }
    add element inet istio-ambient-nat istio-inpod-probes-v6 { fd00:1::2 }
    ");
    let output = weir(&["pod-address", "delete", "--json", host, "10.0.1.2"]);
    exits(&output, 0);
    let json: serde_json::Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(json["nftables"].as_array().unwrap().len(), 3);
    let beside = "ambient-pod a {}\nambient-host b { probe { pods istio-pods } }\n";
    let output = weir_with(&["pod-address", "add", "-", "10.0.1.2"], beside);
    exits(&output, 0);
    assert!(stdout(&output).contains(" istio-pods-v4 "), "{}", stdout(&output));
    for (arguments, input, said) in [
        (&["rulesets/ambient/host-ipv4.weir", "fd00::2"][..], "", "governs IPv4 only"),
        (&["rulesets/ambient/pod.weir", "10.0.1.2"], "", "is of kind ambient-pod, and only"),
        (&[host, "10.0.1.0/24"], "", "10.0.1.0/24"),
        (&[host], "", "ADDRESS"),
        (&["-", "10.0.1.2"], "sidecar a {}\nambient-pod b {}\n", "no ambient-host policy"),
        (&["-", "10.0.1.2"], "ambient-host a {}\nambient-host b {}\n", "`a`, `b`"),
        (
            &["-", "10.0.1.2", "--policy", "a"],
            "sidecar a {}\nambient-host b {}\n",
            "is of kind sidecar, and only",
        ),
    ] {
        let output = weir_with(&[&["pod-address", "add"], arguments].concat(), input);
        exits(&output, 2);
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn several_policies_and_folders_are_checked_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("good.weir"), "sidecar a {}\n").unwrap();
    fs::write(path("lists.weir"), "let health = 15020\n").unwrap();
    exits(&weir(&["check", folder.path().to_str().unwrap()]), 0);
    exits(&weir(&["check", &path("good.weir"), DEFAULT]), 0);
    fs::write(path("bad.weir"), "sidecar b { family ipx }\n").unwrap();
    let output = weir(&["check", "--message-format", "short", folder.path().to_str().unwrap()]);
    exits(&output, 1);
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("bad.weir:1:20: error[E303]"), "{}", stderr(&output));
    exits(&weir(&["check", &path("good.weir"), &path("bad.weir")]), 1);
    let output = weir_with(&["check", &path("good.weir"), "-"], "sidecar a {}\n");
    exits(&output, 2);
    assert!(stderr(&output).contains("`-` is checked alone"), "{}", stderr(&output));
}

#[test]
fn standard_input_may_have_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("base.weir"), "sidecar base {}\n").unwrap();
    let text = "include \"base.weir\"\nsidecar a extends base { family ipx }\n";
    let name = path("p.weir");
    let output = weir_with(&["check", "--stdin-name", &name, "-"], text);
    exits(&output, 1);
    assert!(stderr(&output).contains("p.weir:2:33"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("E202"), "{}", stderr(&output));
}

#[test]
fn two_policies_are_compared_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (both, renamed) = (path("both.weir"), path("renamed.weir"));
    fs::write(&both, "sidecar a {}\nsidecar b { family ipv4 }\n").unwrap();
    fs::write(&renamed, "sidecar c {}\nsidecar d {}\n").unwrap();
    let output = weir(&["diff", &both]);
    exits(&output, 2);
    let says = "name another file, or two of its policies";
    assert!(stderr(&output).contains(says), "{}", stderr(&output));
    exits(&weir(&["diff", &both, "--policy", "a", "--policy", "b"]), 1);
    exits(&weir(&["diff", &both, &renamed, "--policy", "a", "--policy", "c"]), 0);
    exits(&weir(&["diff", &both, &renamed, "--policy", "b", "--policy", "c"]), 1);
}

#[test]
fn commands_are_found_by_the_names_that_people_try() {
    let help = weir(&["help", "compile"]);
    exits(&help, 0);
    assert_eq!(stdout(&help), stdout(&weir(&["compile", "--help"])));
    assert_eq!(stdout(&weir(&["version"])), stdout(&weir(&["--version"])));
    exits(&weir(&["fmt", "--check", DEFAULT]), 0);
    let output = weir(&["man", "import", "istio"]);
    let page = stdout(&output);
    let version = env!("CARGO_PKG_VERSION");
    assert!(page.contains(&format!(".TH weir-import-istio 1  \"weir {version}\"")), "{page}");
    let output = weir(&["man", "import", "nothing"]);
    exits(&output, 2);
    assert!(stderr(&output).contains("there is no command `nothing`; there are `istio`"));
}

#[test]
fn what_is_not_utf8_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.weir");
    for (bytes, says) in [
        (&b"\xff\xfes\0i\0"[..], "this is UTF-16: save it as UTF-8"),
        (b"sidecar a {}\n# caf\xe9\n", "the byte 0xe9 in line 2, column 6 is not UTF-8"),
    ] {
        fs::write(&file, bytes).unwrap();
        let output = weir(&["check", file.to_str().unwrap()]);
        exits(&output, 2);
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
    fs::write(&file, b"s\0i\0d\0").unwrap();
    let output = weir(&["check", file.to_str().unwrap()]);
    exits(&output, 1);
    assert!(stderr(&output).contains("it looks like UTF-16"), "{}", stderr(&output));
}
