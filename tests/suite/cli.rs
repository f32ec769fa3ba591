//! The command as a user meets it: arguments, streams, files, exit status.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::shipped::{self, root};

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

/// Asserts what was said against `snapshots/cli.<name>.snap`.
fn snapshot(name: &str, said: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(format!("cli.{name}"), said));
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
    assert_eq!(stdout(&output), "");
    snapshot("port-out-of-range", stderr(&output));
}

#[test]
fn messages_have_three_forms() {
    let policy = "sidecar x {\n  inbuond { capture port 70000 }\n  mode transparent\n}\n";
    let mut text = String::new();
    for form in ["human", "short", "json"] {
        let output = weir_with(&["check", "-", "--message-format", form], policy);
        exits(&output, 1);
        text.extend(["── ", form, "\n", stderr(&output)]);
    }
    snapshot("three-forms", &text);
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
        (&["compile", DEFAULT, "-o", "no/such/folder/x.nft"], "cannot write"),
        (&["compile", DEFAULT, "-o", "rulesets"], "cannot write rulesets"),
        (&["compile", "--group-file", "no-groups", DEFAULT], "cannot read no-groups"),
        (&["explain-code", "E999"], "there is no code `E999`"),
        (&["frobnicate"], "frobnicate"),
    ] {
        let output = weir(arguments);
        exits(&output, 2);
        assert_eq!(stdout(&output), "", "{arguments:?}");
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

#[cfg(unix)]
#[test]
fn permissions_and_links_of_a_file_are_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("out.nft"), folder.path().join("link.nft"));
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&file, &link).unwrap();
    exits(&weir(&["compile", DEFAULT, "-o", link.to_str().unwrap()]), 0);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::read_to_string(&file).unwrap().contains("istio-proxy-nat"));
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
    assert_eq!(stdout(&output), format!("{path}\n"));
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
    let commands = ["compile", "check", "format", "show", "explain", "verify", "diff"];
    let mut all = vec![vec!["--help"], vec!["-h"]];
    all.extend(commands.map(|command| vec![command, "--help"]));
    for arguments in &all {
        let output = weir(arguments);
        exits(&output, 0);
        let longest = stdout(&output).lines().map(str::len).max().unwrap_or_default();
        assert!(longest <= 100, "{arguments:?}: a line has {longest} columns");
    }
    assert!(stdout(&weir(&["--help"])).contains("weir compile policy.weir | nft -f -"));
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&weir(&["completions", shell])).contains("explain-code"), "{shell}");
    }
    assert!(stdout(&weir(&["man"])).starts_with(".ie"));
    assert!(stdout(&weir(&["man", "compile"])).contains("weir\\-compile"));
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
