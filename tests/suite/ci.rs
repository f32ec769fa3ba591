//! `weir golden` where people meet it: the example, `docs/ci.md`, the action, the hooks.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::cli::{exits, stderr, stdout};
use crate::common::repository::Repository;
use crate::common::shipped::root;
use crate::common::skip::skip;

/// The example, in a repository of its own.
fn example(repository: Repository) -> Repository {
    let from = root().join("examples/golden");
    for folder in ["", "policies", "policies/golden"] {
        for entry in fs::read_dir(from.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(&from).unwrap().to_str().unwrap();
                repository.write(name, &fs::read_to_string(&path).unwrap());
            }
        }
    }
    repository
}

fn document() -> String {
    fs::read_to_string(root().join("docs/ci.md")).unwrap()
}

/// The first block of `docs/ci.md` that is fenced as `language`, below a heading.
fn block(heading: &str, language: &str) -> String {
    let document = document();
    let (_, below) = document.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, inside) = below.split_once(&format!("```{language}\n")).unwrap();
    inside.split_once("\n```").unwrap().0.to_owned() + "\n"
}

/// The lines of a block of YAML that stand below `key` and further in, without the indent.
fn below(yaml: &str, key: &str) -> Vec<String> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut blocks = Vec::new();
    let mut lines = yaml.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim_start().trim_start_matches("- ") != key {
            continue;
        }
        let outside = depth(line);
        let mut text = String::new();
        while let Some(line) = lines.next_if(|line| line.trim().is_empty() || depth(line) > outside)
        {
            text += line.get(outside + 2..).unwrap_or_default();
            text.push('\n');
        }
        blocks.push(text);
    }
    assert!(!blocks.is_empty(), "there is no `{key}`");
    blocks
}

/// Runs a script as a job does, with weir in the path.
fn run(
    repository: &Repository,
    shell: &[&str],
    script: &str,
    variables: &[(&str, &str)],
) -> Output {
    let weir = Path::new(env!("CARGO_BIN_EXE_weir")).parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap();
    let paths = std::iter::once(weir).chain(std::env::split_paths(&others));
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg("-c").arg(script).current_dir(repository.path(""));
    command.env("PATH", std::env::join_paths(paths).unwrap()).envs(variables.iter().copied());
    command.output().unwrap()
}

/// Runs `weir golden`, which ends so and says this; all that it says.
fn golden(repository: &Repository, status: i32, said: &[&str]) -> String {
    let output = repository.golden(&[]);
    exits(&output, status);
    for said in said {
        assert!(stdout(&output).contains(said), "`{said}`: {}", stdout(&output));
    }
    stdout(&output).to_owned()
}

#[test]
fn the_example_goes_through_every_state() {
    let repository = example(Repository::new());
    golden(&repository, 0, &["3 goldens: 3 current\n"]);
    repository.edit("policies/base.weir", "$health }", "$probes }");
    repository.edit("policies/base.weir", "let health", "let probes");
    let same = "same meaning     policies/golden/shop.nft\n";
    golden(&repository, 1, &[same, "3 goldens: 3 same meaning\n"]);
    let repository = example(repository);
    repository.edit("policies/shop.weir", ", 5432", "");
    let said = golden(&repository, 1, &["meaning changed  policies/golden/shop.nft\n"]);
    assert!(
        document().contains(&format!("```text\n{said}```\n")),
        "docs/ci.md does not say\n{said}"
    );
    fs::rename(repository.path("policies/shop.weir"), repository.path("policies/store.weir"))
        .unwrap();
    golden(&repository, 1, &["3 goldens: 2 current, 1 meaning changed\n"]);
    repository.edit("policies/store.weir", "sidecar shop", "sidecar store");
    golden(
        &repository,
        1,
        &[
            "orphaned         policies/golden/shop.nft\n",
            "missing          policies/golden/store.nft\n",
        ],
    );
    repository.edit("policies/legacy.weir", "sidecar legacy", "sidecar search");
    golden(&repository, 1, &["collision        policies/golden/search.nft\n"]);
    repository.edit("policies/legacy.weir", "sidecar search", "sidecar legacy");
    exits(&repository.golden(&["--bless"]), 0);
    golden(&repository, 0, &["3 goldens: 3 current\n"]);
    assert!(!repository.path("policies/golden/shop.nft").exists());
}

#[test]
fn the_settings_of_the_document_are_the_defaults_where_it_says_so() {
    let repository = Repository::new();
    repository.write("weir.toml", &block("`weir.toml`", "toml"));
    repository.write("groups", "web:x:7:\n");
    repository.write("policies/a.weir", "sidecar a { outbound { exclude group web } }\n");
    repository.write("policies/drafts/b.weir", "nonsense\n");
    exits(&repository.golden(&["--bless"]), 0);
    let settings = "policies = [\"policies\", \"!policies/drafts\"]\ngroup-file = \"groups\"\n\
                    [golden]\nviews = [\"nft\", \"iptables\", \"ip6tables\"]\n";
    repository.write("weir.toml", settings);
    let output = repository.golden(&[]);
    exits(&output, 0);
    assert_eq!(stdout(&output), "3 goldens: 3 current\n");
}

/// A repository whose branch takes a port out of a policy; `blessed` says whether the goldens follow.
fn branch(is_blessed: bool) -> Option<Repository> {
    let repository = example(Repository::with_git()?);
    repository.commit();
    repository.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    repository.edit("policies/shop.weir", ", 5432", "");
    if is_blessed {
        exits(&repository.golden(&["--bless"]), 0);
    }
    repository.commit();
    Some(repository)
}

#[test]
fn the_scripts_of_the_document_tell_what_changes_and_fail_where_goldens_are_old() {
    let gitlab = block("GitLab", "yaml");
    let gitlab: Vec<_> = below(&gitlab, "script:")
        .concat()
        .lines()
        .map(|line| line.trim_start_matches("- ").to_owned())
        .collect();
    let gitlab = format!("set -eu\n{}", gitlab.join("\n"));
    for script in [block("Plain shell", "sh"), gitlab] {
        for (is_blessed, status) in [(true, 0), (false, 1)] {
            let Some(repository) = branch(is_blessed) else { return };
            let base = [("CI_MERGE_REQUEST_DIFF_BASE_SHA", "origin/main")];
            let output = run(&repository, &["sh"], &script, &base);
            exits(&output, status);
            assert!(stdout(&output).contains("3 goldens as of origin/main: 2 current, 1 meaning"));
            assert!(repository.read("changes.md").contains("meaning changed"));
        }
        // A revision that is not there is a failure, and not an empty answer.
        let Some(repository) = branch(true) else { return };
        repository.git(&["update-ref", "-d", "refs/remotes/origin/main"]);
        let base = [("CI_MERGE_REQUEST_DIFF_BASE_SHA", "origin/main")];
        let output = run(&repository, &["sh"], &script, &base);
        exits(&output, 1);
        assert!(stderr(&output).contains("there is no revision `origin/main`"));
    }
}

#[test]
fn the_steps_of_the_action_do_as_it_says() {
    if Command::new("bash").arg("--version").output().is_err() {
        return skip("there is no bash");
    }
    let action = fs::read_to_string(root().join("action.yml")).unwrap();
    assert!(!action.contains("run: weir"), "a script stands below `run: |`");
    let scripts = below(&action, "run: |");
    for script in &scripts {
        assert!(!script.contains("${{"), "an input would be run as a script: {script}");
    }
    let script = scripts.join("\n");
    for (is_blessed, base, paths, status, told) in [
        (true, "origin/main", "", 0, "3 goldens as of origin/main: 2 current, 1 meaning changed"),
        (false, "origin/main", "policies\n", 1, "3 goldens: 2 current, 1 meaning changed"),
        (true, "", "policies/shop.weir\npolicies/search.weir", 0, "2 goldens: 2 current"),
        (true, "$(touch ran)", "", 2, ""),
        (true, "", "$(touch ran)\n--bless", 2, ""),
    ] {
        let Some(repository) = branch(is_blessed) else { return };
        let runner = tempfile::tempdir().unwrap();
        let (summary, sarif) = (runner.path().join("job.md"), runner.path().join("a b.sarif"));
        fs::write(&summary, "before\n").unwrap();
        let variables = [
            ("RUNNER_TEMP", runner.path().to_str().unwrap()),
            ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
            ("GITHUB_PATH", "/dev/null"),
            ("GITHUB_ACTION_PATH", "/nowhere"),
            ("WEIR_BASE", base),
            ("WEIR_PATHS", paths),
            ("WEIR_SARIF", sarif.to_str().unwrap()),
        ];
        let output = run(
            &repository,
            &["bash", "--noprofile", "--norc", "-eo", "pipefail"],
            &script,
            &variables,
        );
        exits(&output, status);
        let summary = fs::read_to_string(summary).unwrap();
        assert!(summary.starts_with("before\n") && summary.contains(told), "{summary}");
        // What is old is annotated, where there is something to change.
        let annotation = "::error file=policies/shop.weir,";
        assert_eq!(stdout(&output).contains(annotation), !is_blessed, "{}", stdout(&output));
        let found = match fs::read_to_string(sarif) {
            Ok(text) => serde_json::from_str::<Value>(&text).unwrap()["runs"][0]["results"].clone(),
            Err(_) => Value::Null,
        };
        let old = found.as_array().map(|all| all.iter().any(|it| it["level"] == "error"));
        if status != 2 {
            assert_eq!(old, Some(!is_blessed), "{found:#}");
        }
        assert!(!repository.path("ran").exists());
    }
}

#[test]
fn the_hooks_run_what_there_is() {
    let hooks = fs::read_to_string(root().join(".pre-commit-hooks.yaml")).unwrap();
    let entries: Vec<_> =
        hooks.lines().filter_map(|line| line.trim_start().strip_prefix("entry: ")).collect();
    assert_eq!(entries, ["weir golden", "weir format"]);
    let repository = example(Repository::new());
    for entry in entries {
        let files =
            if entry == "weir format" { " policies/shop.weir policies/base.weir" } else { "" };
        let output = run(&repository, &["sh"], &format!("{entry}{files}"), &[]);
        exits(&output, 0);
        assert_eq!(stderr(&output), "");
    }
    repository.edit("policies/shop.weir", ", 5432", "");
    exits(&run(&repository, &["sh"], "weir golden", &[]), 1);
}
