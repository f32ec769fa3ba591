//! `weir golden` as a repository meets it: states, revisions, interruptions, other people's files.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use netweir::View;

use crate::cli::{exits, snapshot, stderr, stdout};
use crate::common::repository::Repository;

/// The policy of this number, which excludes a port of its own.
fn policy(number: usize) -> String {
    format!(
        "# Policy {number}\nsidecar web-{number} {{\n  inbound {{ exclude port 15020 }}\n  \
         outbound {{ exclude port {}, 3306 }}\n}}\n",
        5000 + number
    )
}

fn twenty(repository: &Repository) {
    for number in 1..=20 {
        repository.write(&format!("policies/web-{number}.weir"), &policy(number));
    }
    repository
        .write("weir.toml", "policies = [\"policies\"]\n\n[golden]\nviews = [\"nft\", \"json\"]\n");
    exits(&repository.golden(&["--bless"]), 0);
}

#[test]
fn a_repository_of_twenty_policies_drifts_in_each_way() {
    let Some(repository) = Repository::with_git() else { return };
    twenty(&repository);
    repository.commit();
    let output = repository.golden(&[]);
    exits(&output, 0);
    assert_eq!((stdout(&output), stderr(&output)), ("40 goldens: 40 current\n", ""));

    // Nothing that means nothing is seen.
    repository.edit("policies/web-1.weir", "# Policy 1\n", "# Policy one\n\n\n");
    repository.write(
        "policies/web-2.weir",
        "sidecar web-2 { outbound { # why\nexclude port 5002, 3306 }\ninbound { exclude port 15020 } }",
    );
    exits(&repository.golden(&[]), 0);

    // Another text with the same meaning, another meaning, neither known.
    repository.edit("policies/golden/web-3.nft", "I6 excluded port", "I6 health");
    repository.edit("policies/web-4.weir", ", 3306", "");
    repository.edit("policies/golden/web-5.json", "{\"nftables\"", "{\"nonsense\"");
    // Missing, orphaned, and a view that is not whole.
    fs::remove_file(repository.path("policies/golden/web-6.nft")).unwrap();
    fs::remove_file(repository.path("policies/web-7.weir")).unwrap();
    repository.write("policies/new.weir", "sidecar new {}\n");
    // Files of others are nobody's business.
    repository.write("policies/golden/README.md", "Ours.\n");
    let output = repository.golden(&["--summary", "summary.md"]);
    exits(&output, 1);
    assert_eq!(stderr(&output), "");
    snapshot("golden", "drifted", stdout(&output));
    snapshot("golden", "summary", &repository.read("summary.md"));

    // The same from every folder, by whatever path.
    for (folder, arguments) in [
        ("policies", &[][..]),
        ("policies/golden", &[]),
        ("", &["policies"]),
        ("policies", &["../policies/./"]),
        (".git", &["../policies"]),
    ] {
        let elsewhere = repository.weir_in(folder, &[&["golden"], arguments].concat());
        exits(&elsewhere, 1);
        assert_eq!(stdout(&elsewhere), stdout(&output), "{folder} {arguments:?}");
    }
    // A pull request is told in the same words.
    fs::remove_file(repository.path("summary.md")).unwrap();
    let output = repository.golden(&["--base", "main"]);
    exits(&output, 1);
    snapshot("golden", "base", stdout(&output));

    let before = repository.names();
    let output = repository.golden(&["--bless"]);
    exits(&output, 0);
    assert!(stdout(&output).ends_with("7 written, 2 removed\n"), "{}", stdout(&output));
    let after = repository.names();
    let gone: Vec<_> = before.iter().filter(|name| !after.contains(name)).collect();
    assert_eq!(gone, ["policies/golden/web-7.json", "policies/golden/web-7.nft"]);
    exits(&repository.golden(&[]), 0);
    exits(&repository.golden(&["--base", "main"]), 1);
    repository.commit();
    exits(&repository.golden(&["--base", "HEAD"]), 0);
}

#[test]
fn nothing_is_written_while_a_policy_is_refused_or_two_collide() {
    let repository = Repository::new();
    repository.write("a.weir", "sidecar a {}\n");
    repository.write("b.weir", "sidecar b { inbound { capture port 70000 } }\n");
    let before = repository.files();
    let refused = repository.golden(&["--bless", "."]);
    exits(&refused, 1);
    snapshot("golden", "refused", &format!("{}{}", stdout(&refused), stderr(&refused)));
    assert_eq!(repository.files(), before);

    // Not every file system tells `A` from `a`.
    repository.write("b.weir", "sidecar A {}\n");
    let before = repository.files();
    let collision = repository.golden(&["--bless", "."]);
    exits(&collision, 1);
    snapshot("golden", "collision", stdout(&collision));
    assert_eq!(repository.files(), before);
    exits(&repository.golden(&["--bless", "a.weir"]), 0);
}

#[test]
fn a_golden_is_what_compile_prints_with_the_same_options() {
    let repository = Repository::new();
    let views: Vec<_> = VIEWS.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    repository.write(
        "p/a b.weir",
        "sidecar a { mode tproxy; outbound { capture group web } }\nsidecar b {}\n",
    );
    repository.write("groups", "web:x:1234:\n");
    let check = |settings: &str, flags: &[&str]| {
        let views = views.join(", ");
        let settings = format!("group-file = \"groups\"\n[golden]\nviews = [{views}]\n{settings}");
        repository.write("weir.toml", &settings);
        let _ = fs::remove_dir_all(repository.path("p/golden"));
        exits(&repository.golden(&["--bless"]), 0);
        for policy in ["a", "b"] {
            for (view, extension) in VIEWS {
                let arguments = ["compile", "p/a b.weir", "--emit", view, "--policy", policy];
                let groups = ["--group-file", "groups"];
                let printed = repository.weir_in("", &[&arguments[..], &groups, flags].concat());
                exits(&printed, 0);
                let golden = repository.read(&format!("p/golden/{policy}.{extension}"));
                assert_eq!(stdout(&printed), golden, "{policy} {view} {flags:?}");
            }
        }
    };
    assert_eq!(VIEWS.len(), View::ALL.len());
    check("", &[]);
    check("layout = \"upstream\"", &["--layout", "upstream"]);
    check("counters = false", &["--no-counters"]);
    check("comments = false", &["--no-comments"]);
    check("form = \"flat\"", &["--form", "flat"]);
    check("target = \"nft=1.0.8\"", &["--target", "nft=1.0.8"]);
}

const VIEWS: &[(&str, &str)] = &[
    ("nft", "nft"),
    ("json", "json"),
    ("iptables", "iptables"),
    ("ip6tables", "ip6tables"),
    ("iptables-script", "iptables.sh"),
    ("policy", "policy.weir"),
    ("ir", "ir.txt"),
    ("routing", "routing.sh"),
    ("routing-batch", "routing.batch"),
    ("routing6-batch", "routing6.batch"),
    ("teardown", "teardown.sh"),
];

#[test]
fn of_every_view_is_said_what_is_known() {
    const PLAIN: &str = "sidecar a { outbound { exclude port 25 } }";
    const TPROXY: &str = "sidecar a { mode tproxy; outbound { exclude port 25 } }";
    let repository = Repository::new();
    let views: Vec<_> = VIEWS.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    repository.write("weir.toml", &format!("[golden]\nviews = [{}]\n", views.join(", ")));
    let mut said = String::new();
    for (what, before, after) in [
        ("another meaning", PLAIN, "sidecar a { outbound { exclude port 26 } }"),
        (
            "other routing",
            TPROXY,
            "sidecar a { mode tproxy { table 7 }; outbound { exclude port 25 } }",
        ),
        (
            "another expectation",
            PLAIN,
            "sidecar a { outbound { exclude port 25 }\nexpect outbound tcp port 25 => untouched }",
        ),
        ("other words", PLAIN, "let p = 25\nsidecar a { outbound { exclude port $p } }"),
    ] {
        // Afresh, because this is about one change at a time.
        let _ = fs::remove_dir_all(repository.path("golden"));
        repository.write("a.weir", before);
        exits(&repository.golden(&["--bless"]), 0);
        repository.write("a.weir", after);
        let output = repository.golden(&[]);
        exits(&output, 1);
        said.extend(["── ", what, "\n", stdout(&output)]);
    }
    snapshot("golden", "views", &said);
}

#[test]
fn goldens_stand_where_the_settings_say() {
    let repository = Repository::new();
    repository.write("weir.toml", "policies = [\"p\", \"!p/drafts\"]\n[golden]\nroot = \"out\"\n");
    repository.write("p/a.weir", "sidecar a {}\n");
    repository.write("p/deep/b.weir", "sidecar b {}\n");
    repository.write("p/drafts/c.weir", "sidecar c { nonsense }\n");
    repository.write("elsewhere/d.weir", "sidecar d { nonsense }\n");
    // Settings of a folder hold below it, in place of those around it.
    repository
        .write("p/legacy/weir.toml", "[golden]\nviews = [\"iptables\"]\nfolder = \"made/here\"\n");
    repository.write("p/legacy/e.weir", "sidecar e {}\n");
    exits(&repository.golden(&["--bless"]), 0);
    let made: Vec<_> = repository
        .names()
        .into_iter()
        .filter(|name| ![".weir", ".toml"].iter().any(|end| name.ends_with(end)))
        .collect();
    assert_eq!(
        made,
        [
            "out/p/MANIFEST",
            "out/p/a.nft",
            "out/p/deep/MANIFEST",
            "out/p/deep/b.nft",
            "p/legacy/made/here/MANIFEST",
            "p/legacy/made/here/e.iptables",
        ]
    );
    exits(&repository.golden(&[]), 0);
    // A folder whose policies are gone still has goldens.
    fs::remove_dir_all(repository.path("p/deep")).unwrap();
    let output = repository.golden(&[]);
    exits(&output, 1);
    assert!(
        stdout(&output).starts_with("orphaned         out/p/deep/b.nft\n"),
        "{}",
        stdout(&output)
    );
    exits(&repository.golden(&["--bless"]), 0);
    assert!(!repository.path("out/p/deep").exists());
}

#[test]
fn mistakes_in_the_settings_are_shown_where_they_are() {
    let repository = Repository::new();
    repository.write("a.weir", "sidecar a {}\n");
    let mut said = String::new();
    for settings in [
        "policies = \"policies\n",
        "polices = [\"a\"]\n[golden]\nveiws = [\"nft\"]\nfolders = \"x\"\n[lint]\n",
        "policies = \"a.weir\"\ngroup-file = [\"x\"]\ngolden = true\n",
        "policies = [\"../a\", \"/etc\", 7, \"[\"]\n",
        "[golden]\nviews = []\nlayout = \"tight\"\ntarget = \"1.0.6\"\ncounters = \"no\"\nfolder = \"../x\"\n",
        "[golden]\nviews = [\"nft\", \"pdf\", \"nft\"]\nfolder = \"a\"\nroot = \"b\"\ntarget = \"nft=0.9\"\n",
    ] {
        repository.write("weir.toml", settings);
        let output = repository.golden(&["--bless"]);
        exits(&output, 1);
        assert_eq!(stdout(&output), "");
        said.extend(["── ", settings, stderr(&output)]);
    }
    snapshot("golden", "settings", &said);
    assert_eq!(repository.names(), ["a.weir", "weir.toml"]);
}

#[test]
fn a_setting_in_the_wrong_section_is_told_its_place() {
    let repository = Repository::new();
    repository.write("a.weir", "sidecar a {}\n");
    for (settings, place) in [
        ("views = [\"nft\"]\n", "its place is in `[golden]`"),
        ("[golden]\npolicies = [\"a.weir\"]\n", "its place is above `[golden]`"),
    ] {
        repository.write("weir.toml", settings);
        let output = repository.golden(&["."]);
        exits(&output, 1);
        assert!(stderr(&output).contains(place), "{}", stderr(&output));
    }
}

#[test]
fn the_pages_on_settings_have_a_mistake_and_its_correction() {
    let repository = Repository::new();
    repository.write("policies/a.weir", "sidecar a {}\n");
    exits(&repository.golden(&["--bless", "."]), 0);
    for code in ["E601", "E602", "E603"] {
        let page = netweir::diag::explain(code).unwrap();
        let examples: Vec<_> = page.split("```toml\n").skip(1).collect();
        let [wrong, right] = examples[..] else { panic!("{code} has other examples") };
        let text = |example: &str| example.split_once("```").unwrap().0.to_owned();
        repository.write("weir.toml", &text(wrong));
        let output = repository.golden(&["--message-format", "short"]);
        exits(&output, 1);
        let said: Vec<_> = stderr(&output).lines().collect();
        assert!(said.iter().all(|line| line.contains(&format!("error[{code}]"))), "{said:?}");
        repository.write("weir.toml", &text(right));
        exits(&repository.golden(&[]), 0);
    }
}

#[test]
fn usage_and_files_are_exit_status_2() {
    let repository = Repository::new();
    repository.write("a/a.weir", "sidecar a {}\n");
    repository.write("b/readme", "no policy\n");
    repository.write("c/weir.toml", "policies = [\"elsewhere\"]\n");
    repository.write("c/c.weir", "sidecar c {}\n");
    exits(&repository.golden(&["--bless", "a"]), 0);
    for (arguments, said) in [
        (&[][..], "write a weir.toml beside them"),
        (&["nowhere"], "cannot read nowhere"),
        (&["b"], "there is no policy in b: their files end in `.weir`"),
        (&["c"], "`policies` in weir.toml selects none of the policies in c"),
        (&["a/golden"], "a/golden is where goldens stand; name the folder of their policies"),
        (&["a/golden/a.nft"], "a/golden/a.nft stands among goldens; name its policy"),
        (&["a", "--base", "main", "--bless"], "cannot be used with"),
        (&["a", "--base", "--help"], "--base"),
        (&["a", "--base=-x"], "`-x` cannot be a revision"),
        (&["a", "--summary", "a/a.weir"], "a/a.weir is a policy; write elsewhere"),
    ] {
        let output = repository.golden(arguments);
        exits(&output, 2);
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
    }
    #[cfg(unix)]
    {
        let target = repository.path("elsewhere");
        fs::remove_dir_all(repository.path("a/golden")).unwrap();
        fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&target, repository.path("a/golden")).unwrap();
        let output = repository.golden(&["--bless", "a/a.weir"]);
        exits(&output, 2);
        assert!(stderr(&output).contains("a/golden is a symbolic link"), "{}", stderr(&output));
        assert_eq!(fs::read_dir(target).unwrap().count(), 0);
    }
}

#[test]
fn only_what_the_list_names_is_removed() {
    let repository = Repository::new();
    repository.write("a.weir", "sidecar a {}\n");
    repository.write("b.weir", "sidecar b {}\n");
    exits(&repository.golden(&["--bless", "."]), 0);
    repository.write("precious.nft", "precious\n");
    repository.write("golden/mine.nft", "mine\n");
    // A list that lies, as a merge or a stranger may leave it.
    let list = repository.read("golden/MANIFEST");
    let lies = "../precious.nft b.weir\n<<<<<<< HEAD\n/etc/hostname b.weir\n";
    repository.write("golden/MANIFEST", &(list + lies));
    fs::remove_file(repository.path("b.weir")).unwrap();
    exits(&repository.golden(&["--bless", "."]), 0);
    let names = ["a.weir", "golden/MANIFEST", "golden/a.nft", "golden/mine.nft", "precious.nft"];
    assert_eq!(repository.names(), names);
    // Goldens of policies that were not looked at stay.
    repository.write("c.weir", "sidecar c {}\n");
    exits(&repository.golden(&["--bless", "c.weir"]), 0);
    exits(&repository.golden(&["."]), 0);
    assert!(repository.path("golden/a.nft").exists());
}

#[test]
fn line_ends_that_a_checkout_changed_are_told() {
    let repository = Repository::new();
    repository.write("a.weir", "sidecar a {}\n");
    exits(&repository.golden(&["--bless", "."]), 0);
    let text = repository.read("golden/a.nft");
    assert!(!text.contains('\r'));
    repository.write("golden/a.nft", &text.replace('\n', "\r\n"));
    let output = repository.golden(&["."]);
    exits(&output, 1);
    snapshot("golden", "line-ends", stdout(&output));
    // A policy that has them is the same policy.
    repository.write("golden/a.nft", &text);
    repository.write("a.weir", "sidecar a {\r\n  # why\r\n}\r\n");
    exits(&repository.golden(&["."]), 0);
}

#[test]
fn a_revision_is_read_without_running_anything() {
    let Some(repository) = Repository::with_git() else { return };
    repository.write("a.weir", "sidecar a {}\n");
    exits(&repository.golden(&["--bless", "."]), 0);
    repository.write(".gitattributes", "* filter=evil diff=evil text eol=crlf\n");
    repository.commit();
    for key in [
        "filter.evil.smudge",
        "filter.evil.clean",
        "filter.evil.process",
        "diff.evil.textconv",
        "core.fsmonitor",
    ] {
        repository.git(&["config", key, "touch ran; cat"]);
    }
    let hooks = repository.path(".git/hooks/post-checkout");
    fs::create_dir_all(hooks.parent().unwrap()).unwrap();
    fs::write(hooks, "#!/bin/sh\ntouch ran\n").unwrap();
    exits(&repository.golden(&["--base", "HEAD", "."]), 0);
    exits(&repository.golden(&["--base", "main~0", "."]), 0);
    assert!(!repository.path("ran").exists());
    for (revision, said) in [
        ("nope", "there is no revision `nope`; `git fetch` may bring it"),
        ("HEAD\nx", "cannot be a revision"),
        ("HEAD:a.weir", "there is no revision `HEAD:a.weir`"),
        ("", "`` cannot be a revision"),
    ] {
        let output = repository.golden(&["--base", revision, "."]);
        exits(&output, 2);
        assert!(stderr(&output).contains(said), "{revision}: {}", stderr(&output));
    }
    // Inside of a hook, git names a repository and an index by its own paths.
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
    weir.args(["golden", "--base", "HEAD", "."]).current_dir(repository.path(""));
    weir.env("GIT_DIR", "nowhere").env("GIT_INDEX_FILE", "nowhere");
    exits(&weir.output().unwrap(), 0);
}

#[test]
fn what_git_refuses_is_told_with_what_to_write() {
    let Some(repository) = Repository::with_git() else { return };
    repository.write("a.weir", "sidecar a {}\n");
    exits(&repository.golden(&["--bless", "."]), 0);
    repository.commit();
    repository.write("b.weir", "sidecar b {}\n");
    repository.commit();
    let clones = tempfile::tempdir().unwrap();
    let shallow = Repository { folder: tempfile::tempdir_in(&clones).unwrap() };
    let from = format!("file://{}", repository.path("").display());
    shallow.git(&["clone", "-q", "--depth", "1", &from, "."]);
    let output = shallow.golden(&["--base", "origin/main~1", "."]);
    exits(&output, 2);
    let said = "is not in this clone, which is shallow: write `git fetch --unshallow`";
    assert!(stderr(&output).contains(said), "{}", stderr(&output));
    exits(&shallow.golden(&["--base", "origin/main", "."]), 1);

    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
    weir.args(["golden", "--base", "HEAD", "."]).current_dir(repository.path(""));
    weir.env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1").env("HOME", clones.path());
    let output = weir.output().unwrap();
    exits(&output, 2);
    let said = "write `git config --global --add safe.directory '";
    assert!(stderr(&output).contains(said), "{}", stderr(&output));

    let none = Repository { folder: tempfile::tempdir().unwrap() };
    none.write("a.weir", "sidecar a {}\n");
    let output = none.golden(&["--base", "HEAD", "."]);
    exits(&output, 2);
    assert!(stderr(&output).contains("in no one git repository"), "{}", stderr(&output));
}

#[test]
fn a_bless_that_is_killed_leaves_every_file_old_or_new() {
    const KILLS: u32 = 200;
    let repository = Repository::new();
    // Every policy changes from one to the other, and one goes while another comes.
    let set = |generation: u32| {
        for number in 0..3 {
            let text = format!("osm web-{number} {{ outbound {{ exclude port {generation} }} }}\n");
            repository.write(&format!("web-{number}.weir"), &text);
        }
        let _ = fs::remove_file(repository.path(&format!("only-{}.weir", 3 - generation)));
        repository
            .write(&format!("only-{generation}.weir"), &format!("osm only-{generation} {{}}\n"));
    };
    let goldens = || {
        let mut files = repository.files();
        files.retain(|(name, _)| Path::new(name).extension().is_some_and(|it| it == "nft"));
        files
    };
    let mut whole = Vec::new();
    let mut longest = Duration::ZERO;
    for generation in [2, 1] {
        set(generation);
        let begun = Instant::now();
        exits(&repository.golden(&["--bless", "."]), 0);
        longest = begun.elapsed();
        assert_eq!(goldens().len(), 4);
        whole.push(goldens());
    }
    let (mut stopped, mut unfinished) = (0, 0);
    for kill in 0..KILLS {
        let generation = 1 + kill % 2;
        set(generation);
        let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
        weir.args(["golden", "--bless", "."]).current_dir(repository.path(""));
        let mut child = weir.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(longest * (kill * 7 % KILLS) / KILLS);
        child.kill().unwrap();
        stopped += u32::from(!child.wait().unwrap().success());
        let standing = goldens();
        for golden in &standing {
            assert!(whole.iter().flatten().any(|known| known == golden), "{} is half", golden.0);
        }
        // What is left to do is told by the next run, whatever it is.
        let told = repository.golden(&["."]);
        let is_done = standing == whole[usize::from(generation == 1)];
        if !is_done {
            exits(&told, 1);
            assert!(stdout(&told).ends_with("`weir golden --bless` makes them current\n"));
            unfinished += 1;
        }
        if kill % 10 == 9 {
            exits(&repository.golden(&["--bless", "."]), 0);
            assert_eq!(goldens(), whole[usize::from(generation == 1)]);
            let is_left = |name: &String| name.contains(".weir-");
            assert!(!repository.names().iter().any(is_left), "{:?}", repository.names());
            exits(&repository.golden(&["."]), 0);
        }
    }
    assert!(stopped > KILLS / 4, "only {stopped} runs were stopped in their middle");
    assert!(unfinished > 20, "only {unfinished} runs left something to do");
}
