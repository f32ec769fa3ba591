//! Every console block in the README and in `docs/` is run, and says what it shows.
//!
//! A block is a fence marked `console`. A line that begins with `$ ` is run by `sh` in the root of
//! the repository with `weir` in the path; the lines below it, to the next command, are what it
//! prints (both streams). `cargo run --quiet --` stands for `weir`. `…` on a line of its own stands for any lines. Commands that need nft, or
//! root, end with a comment that says so, and are run where they can be.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::netns::{self, Netns};
use crate::common::shipped::root;

struct Step {
    command: String,
    shown: Vec<String>,
    line: usize,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, _) => {
                if let Some(command) = line.strip_prefix("$ ") {
                    let command = command.to_owned();
                    steps.push(Step { command, shown: Vec::new(), line: index + 1 });
                    continue;
                }
                let step = steps.last_mut().expect("a console block begins with a command");
                match step.command.strip_suffix('\\') {
                    Some(start) if step.shown.is_empty() => {
                        step.command = format!("{start}{}", line.trim_start());
                    }
                    _ => step.shown.push(line.to_owned()),
                }
            }
            (false, _) => {}
        }
    }
    steps
}

/// Whether `printed` is `shown`, where `…` stands for any lines.
fn agrees(shown: &[String], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line.trim() == "…" => {
            (0..=printed.len()).any(|skip| agrees(rest, &printed[skip..]))
        }
        Some((line, rest)) => {
            printed.first().is_some_and(|first| first.trim_end() == line.trim_end())
                && agrees(rest, &printed[1..])
        }
    }
}

fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn console_blocks_do_what_they_show() {
    let weir = Path::new(env!("CARGO_BIN_EXE_weir"));
    let path = std::env::join_paths(
        std::iter::once(weir.parent().unwrap().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    let mut ran = 0;
    let mut wrong = Vec::new();
    for document in documents() {
        for step in steps(&fs::read_to_string(&document).unwrap()) {
            let place = format!("{}:{}", document.display(), step.line);
            let step = Step { command: installed(&step.command), ..step };
            if is_readers_own(&step.command) {
                continue;
            }
            let script = format!("{{ {}\n}} 2>&1", step.command);
            let netns = needs_kernel(&step.command).then(|| netns::available().then(Netns::new));
            let mut command = match &netns {
                Some(None) => continue,
                Some(Some(netns)) => netns.command("sh", &["-c", &script]),
                None => {
                    let mut command = Command::new("sh");
                    command.args(["-c", &script]);
                    command
                }
            };
            let output = command.current_dir(root()).env("PATH", &path).output().unwrap();
            let printed = String::from_utf8(output.stdout).unwrap();
            ran += 1;
            if !agrees(&step.shown, &printed.lines().collect::<Vec<_>>()) {
                wrong.push(format!("{place}: $ {}\n{printed}", step.command));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ran >= 5, "only {ran} console blocks were run");
}

/// The command for those who have installed weir, of the one for those who have only its source.
fn installed(command: &str) -> String {
    let rest = command.strip_prefix("cargo run --quiet -- ");
    rest.map_or_else(|| command.to_owned(), |rest| format!("weir {rest}"))
}

/// Whether the command builds, installs or tests weir: the reader's own first steps.
fn is_readers_own(command: &str) -> bool {
    ["cargo ", "git ", ".ci/"].iter().any(|start| command.starts_with(start))
}

/// Whether the command touches the network, and so gets a namespace of its own.
fn needs_kernel(command: &str) -> bool {
    ["nft ", "ip ", "iptables", "| sh", "weir apply", "weir remove"]
        .iter()
        .any(|tool| command.contains(tool))
}
