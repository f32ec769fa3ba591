//! What is read and written, where somebody else may have a hand in it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cli::{exits, stderr, stdout};
use crate::common::repository::Repository;

const POLICY: &str = "sidecar web {}\n";

/// A folder with a policy `p.weir` in it.
fn folder() -> Repository {
    let folder = Repository::new();
    folder.write("p.weir", POLICY);
    folder
}

/// What a run of `weir` says, which ends so.
fn says(folder: &Repository, arguments: &[&str], status: i32) -> String {
    let output = folder.weir_in("", arguments);
    exits(&output, status);
    stderr(&output).to_owned()
}

fn script(folder: &Repository) -> String {
    stdout(&folder.weir_in("", &["compile", "p.weir"])).to_owned()
}

#[test]
fn a_link_becomes_a_file_and_what_it_led_to_stays() {
    let folder = folder();
    folder.write("secret", "theirs");
    for target in ["secret", "nothing"] {
        symlink(target, folder.path("link")).unwrap();
        says(&folder, &["compile", "p.weir", "-o", "link"], 0);
        assert!(fs::symlink_metadata(folder.path("link")).unwrap().is_file());
        assert_eq!(folder.read("link"), script(&folder));
        fs::remove_file(folder.path("link")).unwrap();
    }
    assert_eq!(folder.read("secret"), "theirs");
    assert!(!folder.path("nothing").exists());
    // A policy is written where it is, or not at all.
    folder.write("q.weir", "sidecar   q {}\n");
    symlink("q.weir", folder.path("link")).unwrap();
    let said = says(&folder, &["format", "link"], 2);
    assert!(said.contains("link is a symbolic link; name the file that it leads to"), "{said}");
    assert_eq!(folder.read("q.weir"), "sidecar   q {}\n");
}

#[test]
fn permissions_stay_and_the_owner_if_root_writes() {
    let folder = folder();
    folder.write("out.nft", "old");
    let file = folder.path("out.nft");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let is_root = std::os::unix::fs::chown(&file, Some(65534), Some(65534)).is_ok();
    says(&folder, &["compile", "p.weir", "-o", "out.nft"], 0);
    let known = fs::metadata(&file).unwrap();
    assert_eq!(known.mode() & 0o7777, 0o640);
    assert_eq!(known.uid() == 65534, is_root);
    assert_eq!(folder.read("out.nft"), script(&folder));
}

#[test]
fn what_is_no_regular_file_is_written_to() {
    let folder = folder();
    let script = script(&folder);
    let run = |command: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", command, env!("CARGO_BIN_EXE_weir")]).current_dir(folder.path(""));
        let output = shell.stdin(Stdio::null()).output().unwrap();
        exits(&output, 0);
        stdout(&output).to_owned()
    };
    assert_eq!(run("$0 compile p.weir -o /dev/stdout"), script);
    assert_eq!(run("$0 compile p.weir -o /dev/fd/1 | cat"), script);
    assert_eq!(run("$0 compile p.weir -o /dev/fd/3 3>&1 | cat"), script);
    assert_eq!(run("echo first > log; $0 compile p.weir -o /dev/fd/3 3>> log; cat log"), {
        format!("first\n{script}")
    });
    assert_eq!(run("mkfifo pipe; cat pipe & $0 compile p.weir -o pipe; wait"), script);
    let pipe = fs::symlink_metadata(folder.path("pipe")).unwrap();
    assert!(!pipe.is_file() && !pipe.is_symlink());
    assert_eq!(run("cat p.weir | $0 compile /dev/stdin"), script);
    assert!(run("$0 compile p.weir -o /dev/null").is_empty());
}

#[test]
fn what_was_read_is_not_written_over() {
    let folder = folder();
    folder.write("groups", "g:x:1337:\n");
    folder.write("env", "ENVOY_PORT=15001\n");
    symlink("p.weir", folder.path("link")).unwrap();
    for arguments in [
        &["compile", "p.weir", "-o", "p.weir"][..],
        &["compile", "p.weir", "-o", "link"],
        &["compile", "p.weir", "--group-file", "groups", "-o", "groups"],
        &["import", "istio", "--args", "-u 1337", "--env", "env", "-o", "env"],
    ] {
        let before = folder.files();
        let said = says(&folder, arguments, 2);
        let name = arguments.last().unwrap();
        assert!(said.contains(&format!("{name} is read by this command")), "{said}");
        assert_eq!(folder.files(), before);
    }
}

#[test]
fn of_an_included_file_that_is_no_policy_nothing_is_shown() {
    let folder = folder();
    folder.write("secret", "root:hash:1\nother { }\n");
    folder.write("i.weir", "include \"secret\"\nsidecar i {}\n");
    for form in ["human", "short", "json"] {
        let said = says(&folder, &["check", "i.weir", "--message-format", form], 1);
        assert!(said.contains("E202") && said.contains("it is no policy"), "{said}");
        assert!(!said.contains("hash") && !said.contains("other"), "{said}");
    }
    let made = Command::new("mkfifo").arg(folder.path("pipe")).status().unwrap();
    assert!(made.success());
    folder.write("i.weir", "include \"pipe\"\nsidecar i {}\n");
    let said = says(&folder, &["check", "i.weir"], 1);
    assert!(said.contains("it is no regular file"), "{said}");
}

#[test]
fn nothing_is_included_from_beyond_a_root() {
    let folder = folder();
    folder.write("sub/below.weir", "let a = 80\n");
    folder.write("sub/good.weir", "include \"below.weir\"\nsidecar g {}\n");
    folder.write("sub/bad.weir", "include \"../p.weir\"\nsidecar b {}\n");
    symlink("../p.weir", folder.path("sub/link.weir")).unwrap();
    folder.write("sub/linked.weir", "include \"link.weir\"\nsidecar l {}\n");
    let rooted = |file: &str, status| {
        says(&folder, &["check", "--include-root", "sub", &format!("sub/{file}.weir")], status)
    };
    rooted("good", 0);
    for file in ["bad", "linked"] {
        says(&folder, &["check", &format!("sub/{file}.weir")], 0);
        let said = rooted(file, 1);
        assert!(said.contains("it is not below `sub`"), "{said}");
    }
    // A repository of policies is a root.
    folder.write("weir.toml", "");
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "let a = 80\n").unwrap();
    let text = format!("include \"{}\"\nsidecar o {{}}\n", outside.path().display());
    folder.write("o.weir", &text);
    let output = folder.weir_in("", &["lint", "o.weir"]);
    exits(&output, 1);
    assert!(stdout(&output).contains("it is not below"), "{}", stdout(&output));
}

#[test]
fn a_set_that_was_not_finished_is_told_and_mended() {
    let folder = folder();
    let set = ["compile", "p.weir", "--out-dir", "d"];
    says(&folder, &set, 0);
    let right = folder.files();
    // As a run leaves it that is killed before the last of its files has its name.
    folder.write("d/web.nft", "old");
    folder.write("d/.weir-Abc123", "new");
    folder.write("d/.weir-unfinished", ".weir-Abc122 web.json\n.weir-Abc123 web.nft\n");
    folder.write("d/.weir-keep", "someone else's");
    let said = says(&folder, &set, 0);
    let expected = "note: an earlier run was stopped before it had written web.nft; all files are written now\n";
    assert_eq!(said, expected);
    fs::remove_file(folder.path("d/.weir-keep")).unwrap();
    assert_eq!(folder.files(), right);
    // Not while another run is writing.
    let handle = fs::File::open(folder.path("d")).unwrap();
    handle.lock().unwrap();
    let said = says(&folder, &set, 2);
    assert!(said.contains("another run is writing into d"), "{said}");
}

#[test]
fn a_run_that_is_killed_leaves_whole_files_and_the_next_one_mends_the_set() {
    let folder = folder();
    let set = ["compile", "p.weir", "--out-dir", "d"];
    let texts = [POLICY, "sidecar web { outbound { exclude port 25 } }\n"];
    let versions = texts.map(|text| {
        folder.write("p.weir", text);
        says(&folder, &set, 0);
        folder.files()
    });
    for round in 0..24 {
        folder.write("p.weir", texts[round % 2]);
        let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
        weir.args(set).current_dir(folder.path("")).stderr(Stdio::null());
        let mut child = weir.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(7 * (round as u64 + 1)));
        let _ = child.kill();
        child.wait().unwrap();
        for (name, text) in folder.files() {
            let is_ours =
                |all: &Vec<(String, Vec<u8>)>| all.contains(&(name.clone(), text.clone()));
            let is_whole =
                name.contains("/.weir-") || name == "p.weir" || versions.iter().any(is_ours);
            assert!(is_whole, "{name} is of no version");
        }
        says(&folder, &set, 0);
        assert_eq!(folder.files(), versions[round % 2]);
    }
}
