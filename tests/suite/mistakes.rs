//! Every mistake in `tests/mistakes` is reported as its snapshot shows it.
#![cfg(feature = "cli")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use netweir::diag::render;
use netweir::policy::{GroupIds, check};
use netweir::syntax::load;

/// Files that mistakes include, by path.
fn files() -> BTreeMap<String, String> {
    let read = |name: &str| {
        let path = folder().join("included").join(name);
        (name.to_owned(), fs::read_to_string(path).unwrap())
    };
    let names = fs::read_dir(folder().join("included")).unwrap();
    names.map(|entry| read(entry.unwrap().file_name().to_str().unwrap())).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes")
}

/// Groups that mistakes may name.
fn groups() -> GroupIds {
    GroupIds::from([("java".to_owned(), 202), ("ftp".to_owned(), 888)])
}

#[test]
fn mistakes() {
    let files = files();
    insta::glob!("mistakes", "*.weir", |path| {
        let text = fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let loaded = load(name, &text, &files);
        let checked = check(&loaded, &groups());
        assert!(!checked.diagnostics.is_empty(), "{name} has nothing wrong with it");
        let shown = render::human(&loaded.sources, &checked.diagnostics, false);
        snapshot(path, &text, &shown);
    });
}

/// Asserts `output` against `snapshots/mistake.<name>.snap`, which starts with `text` so that a
/// reviewer sees cause and effect together.
fn snapshot(input: &Path, text: &str, output: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // `glob!` would append the path below the inputs' common prefix.
    settings.remove_snapshot_suffix();
    let name = format!("mistake.{}", input.file_stem().unwrap().display());
    let input: String = text.lines().map(visible).collect();
    settings.bind(|| insta::assert_snapshot!(name, format!("{input}{:─<79}\n{output}", "")));
}

/// A line, with what cannot be seen in a review as an escape.
fn visible(line: &str) -> String {
    let hidden = |c: char| c != '\t' && (c.is_control() || c.is_whitespace() && c != ' ');
    let mut visible = String::new();
    for c in line.chars() {
        if hidden(c) || matches!(c, '\u{200b}'..='\u{202e}' | '\u{feff}') {
            visible.extend(c.escape_unicode());
        } else {
            visible.push(c);
        }
    }
    visible + "\n"
}
