//! What dependencies ask for.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::common::shipped::root;

/// What cargo knows of this package and of all that it is built from.
fn metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--locked", "--offline", "--all-features"]);
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// `1.89` as numbers, `1.89.0` alike.
fn version(text: &str) -> Vec<u32> {
    let mut parts: Vec<u32> = text.split('.').map(|part| part.parse().unwrap()).collect();
    parts.resize(3, 0);
    parts
}

/// The packages that are built where no test is, the first of them this one.
fn built(metadata: &Value) -> Vec<&Value> {
    let nodes = list(&metadata["resolve"], "nodes");
    let mut open = vec![metadata["resolve"]["root"].as_str().unwrap()];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = nodes.iter().find(|node| node["id"] == id).unwrap();
        let is_built = |dependency: &&Value| {
            list(dependency, "dep_kinds").iter().any(|kind| kind["kind"] != "dev")
        };
        let built = list(node, "deps").iter().filter(is_built);
        open.extend(built.filter_map(|dependency| dependency["pkg"].as_str()));
    }
    let packages = list(metadata, "packages").iter();
    packages.filter(|package| seen.contains(package["id"].as_str().unwrap())).collect()
}

#[test]
fn the_stated_rust_version_is_enough_for_all_that_is_built() {
    let metadata = metadata();
    let built = built(&metadata);
    let own = built.iter().find(|package| package["name"] == "netweir").unwrap();
    let stated = version(own["rust_version"].as_str().unwrap());
    let asks = |package: &&&Value| {
        package["rust_version"].as_str().is_some_and(|asked| version(asked) > stated)
    };
    let newer: Vec<_> = built.iter().filter(asks).map(|package| &package["name"]).collect();
    assert_eq!(newer, Vec::<&Value>::new(), "need a newer Rust than {stated:?}");
    assert!(built.len() > 50, "{}", built.len());
}

/// Neither the library nor the command: who cross-compiles needs Rust alone.
#[test]
fn nothing_that_is_built_needs_a_c_compiler() {
    let metadata = metadata();
    let call_one = ["bindgen", "cc", "cmake", "pkg-config", "vcpkg"];
    let names = built(&metadata).into_iter().filter_map(|package| package["name"].as_str());
    let found: Vec<_> = names.filter(|name| call_one.contains(name)).collect();
    assert_eq!(found, Vec::<&str>::new());
}

#[test]
fn the_package_has_what_it_is_built_and_tested_from_and_no_more() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["package", "--list", "--allow-dirty", "--offline"]);
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = String::from_utf8(output.stdout).unwrap();
    let top: BTreeSet<&str> = files
        .lines()
        .map(|file| file.split_inclusive('/').next().unwrap_or(file))
        // Made by cargo itself, the first where there is a repository only.
        .filter(|file| ![".cargo_vcs_info.json", "Cargo.toml.orig"].contains(file))
        .collect();
    let expected = [
        ".gitignore",
        ".pre-commit-hooks.yaml",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "SECURITY.md",
        "action.yml",
        "benches/",
        "clippy.toml",
        "deny.toml",
        "docs/",
        "examples/",
        "grammar/",
        "packaging/",
        "rulesets/",
        "rustfmt.toml",
        "snapshots/",
        "src/",
        "tests/",
    ];
    assert_eq!(top, BTreeSet::from(expected));
    for file in ["grammar/weir.pest", "docs/schema/policy.schema.json", "src/diag/explain/E341.md"]
    {
        assert!(files.lines().any(|it| it == file), "{file}");
    }
    assert!(!files.contains("tests/embedding/"), "a crate of somebody else's");
}
